//! Real time, for harness and tests: they run real processes, which have no other.

use std::time::{Duration, Instant};

/// This instant.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the harness is a shell around real processes"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock, in milliseconds of UTC since 1970: to name an instant to a service.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the harness is a shell around real processes"
)]
pub fn utc_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// Sleeps.
pub async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Milliseconds as a duration.
#[must_use]
pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Asks `question` every 10 ms until it answers with something, for at most `within`.
///
/// # Errors
/// If it never did; `what` says for what was waited.
pub async fn until<T>(
    what: &str,
    within: Duration,
    mut question: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let started = now();
    loop {
        if let Some(answer) = question().await? {
            return Ok(answer);
        }
        anyhow::ensure!(
            started.elapsed() < within,
            "waited {within:?} in vain: {what}"
        );
        pause(ms(10)).await;
    }
}

/// The value below which `percent` of the durations lie.
#[must_use]
pub fn percentile(durations: &[Duration], percent: usize) -> Duration {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(rank).copied().unwrap_or_default()
}
