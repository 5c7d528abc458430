//! `cargo xtask demo`: the whole of Creditgate on this machine, with nothing made up.
//!
//! A control plane on embedded SQLite, an Envoy with the filter, and a small upstream, on
//! ports that happen to be free and in a folder that goes away; then a short story told with
//! real requests, each answer checked. A demo that shows something other than it says fails.

mod built;
mod household;
mod http;
mod screen;
mod site;
mod story;
mod upstream;

use std::time::{Duration, Instant};

use anyhow::Result;

pub(crate) use household::{TIED, run_tied};

use built::Built;
use household::Household;
use screen::Screen;
use site::Site;

/// Builds, starts and shows. `once`: ends then, instead of staying up until Ctrl-C.
///
/// # Errors
/// Something could not be got, built or started, or was not as it should be.
pub(crate) fn run(once: bool) -> Result<()> {
    let screen = Screen::new();
    let started = now();
    screen.title("Creditgate demo");

    screen.heading("Building");
    let built = Built::build(&screen)?;
    let household = Household::new()?;
    let outcome = show(&screen, &household, &built);
    let site = match outcome {
        Ok(site) => site,
        Err(error) => {
            household.print_last_words();
            return Err(error);
        }
    };
    screen.line("");
    screen.good(&format!(
        "All of it was as it should be: {} checks, {} from the start.",
        screen.checks(),
        seconds(now().duration_since(started)),
    ));
    if once {
        return Ok(());
    }
    household.stays_up();
    site.print_what_to_try(&screen, household.folder());
    loop {
        // Ctrl-C ends it, from the thread that waits for signals.
        household.ensure_running()?;
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn show(screen: &Screen, household: &Household, built: &Built) -> Result<Site> {
    screen.heading("Starting");
    let site = Site::start(screen, household, built)?;
    story::tell(screen, &site)?;
    Ok(site)
}

/// `0.8 ms`, `12 ms`, `3.4 s`, `2 min 5 s`.
fn seconds(duration: Duration) -> String {
    let microseconds = duration.as_micros();
    match microseconds {
        0..10_000 => format!("{}.{} ms", microseconds / 1_000, microseconds % 1_000 / 100),
        10_000..1_000_000 => format!("{} ms", microseconds / 1_000),
        1_000_000..60_000_000 => {
            format!(
                "{}.{} s",
                microseconds / 1_000_000,
                microseconds % 1_000_000 / 100_000
            )
        }
        _ => format!(
            "{} min {} s",
            duration.as_secs() / 60,
            duration.as_secs() % 60
        ),
    }
}

/// Asks `question` every few milliseconds until it answers with something.
fn until<T>(
    what: &str,
    within: Duration,
    mut question: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = now();
    loop {
        if let Some(answer) = question()? {
            return Ok(answer);
        }
        anyhow::ensure!(
            now().duration_since(started) < within,
            "waited {} in vain: {what}",
            seconds(within)
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "xtask is a shell, and shows people how long things take"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::seconds;

    #[test]
    fn durations_read_as_people_say_them() {
        let shown = |ms| seconds(Duration::from_millis(ms));
        assert_eq!(shown(3), "3.0 ms");
        assert_eq!(shown(42), "42 ms");
        assert_eq!(shown(3_456), "3.4 s");
        assert_eq!(shown(125_000), "2 min 5 s");
    }
}
