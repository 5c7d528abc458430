//! Load: many connections that stay open, and an exact count of what came back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use tokio::task::{JoinHandle, JoinSet};

use crate::client::{Answer, Client};
use crate::clock::{ms, now, pause};

/// What came back.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Answers by status.
    pub by_status: BTreeMap<u16, u64>,
    /// Refusals by their code.
    pub by_code: BTreeMap<String, u64>,
    /// Requests without an answer, and why.
    pub broken: Vec<String>,
    /// How long each answered request took.
    pub took: Vec<Duration>,
    /// How long it all took.
    pub elapsed: Duration,
}

impl Tally {
    /// How many answers had this status.
    #[must_use]
    pub fn status(&self, status: u16) -> u64 {
        self.by_status.get(&status).copied().unwrap_or_default()
    }

    /// How many answers there were.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.by_status.values().sum()
    }

    fn add(&mut self, outcome: Result<Answer>) {
        match outcome {
            Ok(answer) => {
                *self.by_status.entry(answer.status.as_u16()).or_default() += 1;
                self.took.push(answer.took);
                let code = answer.code();
                if !code.is_empty() {
                    *self.by_code.entry(code).or_default() += 1;
                }
            }
            Err(error) => self.broken.push(format!("{error:#}")),
        }
    }

    fn join(&mut self, other: Self) {
        for (status, count) in other.by_status {
            *self.by_status.entry(status).or_default() += count;
        }
        for (code, count) in other.by_code {
            *self.by_code.entry(code).or_default() += count;
        }
        self.broken.extend(other.broken);
        self.took.extend(other.took);
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = self.elapsed.as_micros().max(1);
        let rate = u128::from(self.answered()) * 1_000_000 / micros;
        let [p50, p99] = [50, 99].map(|percent| crate::clock::percentile(&self.took, percent));
        write!(
            f,
            "{:?} {:?}, {} broken, {rate} a second, p50 {p50:.1?}, p99 {p99:.1?}",
            self.by_status,
            self.by_code,
            self.broken.len()
        )
    }
}

/// Sends `requests` requests from `connections` connections spread over the gateways; `make`
/// makes the request of a number.
pub async fn send_all(
    gateways: &[SocketAddr],
    connections: usize,
    requests: u64,
    make: impl Fn(u64) -> Request<Full<Bytes>> + Send + Sync + 'static,
) -> Tally {
    let next = Arc::new(AtomicU64::new(0));
    let make = Arc::new(make);
    let started = now();
    let mut tasks = JoinSet::new();
    for address in gateways.iter().cycle().take(connections) {
        let (next, make, mut client) =
            (Arc::clone(&next), Arc::clone(&make), Client::new(*address));
        tasks.spawn(async move {
            let mut tally = Tally::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= requests {
                    return tally;
                }
                tally.add(client.send(make(number)).await);
            }
        });
    }
    let mut tally = Tally::default();
    while let Some(part) = tasks.join_next().await {
        tally.join(part.unwrap_or_default());
    }
    tally.elapsed = started.elapsed();
    tally
}

/// Load that goes on until it is told to stop.
pub struct Background {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Tally>>,
    started: std::time::Instant,
}

impl Background {
    /// Starts it: each connection sends, pauses for `gap`, and sends again.
    pub fn start(
        gateways: &[SocketAddr],
        connections: usize,
        gap: Duration,
        make: impl Fn(u64) -> Request<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let next = Arc::new(AtomicU64::new(0));
        let make = Arc::new(make);
        let start = |address: &SocketAddr| {
            let (stop, next, make) = (Arc::clone(&stop), Arc::clone(&next), Arc::clone(&make));
            let mut client = Client::new(*address);
            tokio::spawn(async move {
                let mut tally = Tally::default();
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let outcome = client.send(make(number)).await;
                    if outcome.is_err() {
                        // The gateway may be gone for good.
                        pause(ms(20)).await;
                    }
                    tally.add(outcome);
                    pause(gap).await;
                }
                tally
            })
        };
        Self {
            tasks: gateways
                .iter()
                .cycle()
                .take(connections)
                .map(start)
                .collect(),
            stop,
            started: now(),
        }
    }

    /// Stops it, lets what is under way end, and counts.
    pub async fn stop(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut tally = Tally::default();
        for task in self.tasks {
            tally.join(task.await.unwrap_or_default());
        }
        tally.elapsed = self.started.elapsed();
        tally
    }
}
