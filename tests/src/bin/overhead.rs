//! What a paid request costs the proxy: CPU time of the Envoy process for each request.
//!
//! Three Envoys of one worker take turns under the same load: without a filter, with one
//! that does nothing, with Creditgate paying from an account that never runs dry. CPU time
//! is the operating system's account of the process, so the load generator and the control
//! plane beside it do not count. Run by `cargo xtask bench`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use creditgate_tests::client::get;
use creditgate_tests::clock::percentile;
use creditgate_tests::envoy::{Envoy, Setup};
use creditgate_tests::load::send_all;
use creditgate_tests::scene::Scene;

const ROUNDS: usize = 7;
const REQUESTS: u64 = 6_000;
const CONNECTIONS: usize = 16;
const WARM_UP: u64 = 1_000;

struct Subject {
    name: &'static str,
    envoy: Envoy,
    took: Vec<Duration>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let idle = std::env::var_os("CREDITGATE_IDLE_WASM")
        .context("CREDITGATE_IDLE_WASM is not set: run `cargo xtask bench`")?;
    let scene = Scene::with(
        &serde_json::json!({}),
        &creditgate_tests::scene::card(),
        false,
    )
    .await?;
    let ada = scene.customer("ada", "100000000").await?;
    let one = || Setup::default().workers(1);
    let none = one().edit(
        "          - name: creditgate\n",
        "          - name: creditgate\n            disabled: true\n",
    );
    let idle = Setup {
        module: Some(idle.into()),
        ..one()
    };
    let mut subjects = Vec::new();
    for (name, setup) in [
        ("no filter", none),
        ("a filter that does nothing", idle),
        ("creditgate", one()),
    ] {
        let envoy = scene.envoy_with(name, &setup).await?;
        let took = Vec::new();
        subjects.push(Subject { name, envoy, took });
    }
    for subject in &subjects {
        load(&subject.envoy, &ada.key, WARM_UP).await?;
    }
    for _ in 0..ROUNDS {
        for subject in &mut subjects {
            let before = subject.envoy.cpu_time()?;
            load(&subject.envoy, &ada.key, REQUESTS).await?;
            let spent = subject.envoy.cpu_time()?.saturating_sub(before);
            subject.took.push(spent / u32::try_from(REQUESTS)?);
        }
    }
    report(&subjects);
    let balance = scene.at_rest(&ada).await?;
    let paid = i128::from(WARM_UP + REQUESTS * ROUNDS as u64);
    ensure!(
        balance.spent == paid,
        "spent {}, but {paid} requests were paid",
        balance.spent
    );
    Ok(())
}

async fn load(envoy: &Envoy, key: &str, requests: u64) -> Result<()> {
    let key = key.to_owned();
    let tally = send_all(&[envoy.address()], CONNECTIONS, requests, move |_| {
        get("/v1/ping", &key)
    })
    .await;
    ensure!(tally.status(200) == requests, "not all were paid: {tally}");
    Ok(())
}

fn report(subjects: &[Subject]) {
    let bare = subjects
        .first()
        .map_or(Duration::ZERO, |subject| percentile(&subject.took, 50));
    println!(
        "CPU of the Envoy process a request; medians of {ROUNDS} rounds of {REQUESTS} requests, one worker"
    );
    for Subject { name, took, .. } in subjects {
        let median = percentile(took, 50);
        let added = median.saturating_sub(bare);
        println!(
            "{name:28} {:6.1} µs   added {:5.1} µs   (lowest {:.1}, highest {:.1})",
            micros(median),
            micros(added),
            micros(percentile(took, 1)),
            micros(percentile(took, 100)),
        );
    }
}

#[expect(
    clippy::float_arithmetic,
    reason = "times for people to read, not money"
)]
fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
