//! Instants at which time alone changes something: a lot becomes effective or expires, a
//! key expires.
//!
//! Whether credit may be spent never depends on this: every decision and every read looks
//! at the instant itself. What is done here is to book it, to recall what was lent of it,
//! and to tell gateways. After a start, all instants of live lots are gone through once:
//! some may have passed while the service was down.

use std::collections::BTreeSet;
use std::time::Duration;

use creditgate_ledger::Timestamp;
use creditgate_ledger::id::CustomerId;

use super::Jobs;
use crate::command::Command;
use crate::storage::Target;

const BATCH: u32 = 512;

/// How often instants are looked for that are newly on the way.
const LOOK_MS: u64 = 200;

/// Instants this long past are looked at again: a lot may have been written a moment after
/// its own instant had been gone through.
const AGAIN_MS: i64 = 3_000;

pub(super) async fn run(mut jobs: Jobs) {
    let mut through = Timestamp(i64::MIN);
    let mut done: BTreeSet<(Timestamp, CustomerId)> = BTreeSet::new();
    let mut wait = Duration::ZERO;
    while jobs.sleep(wait).await {
        let Some(next) = jobs
            .read(move |reader| Ok(reader.next_instants(through, BATCH)?))
            .await
        else {
            wait = Duration::from_secs(1);
            continue;
        };
        let now = jobs.clock.now();
        let (due, coming): (Vec<_>, Vec<_>) =
            next.into_iter().partition(|(instant, _)| *instant <= now);
        let more = coming.is_empty() && due.len() >= usize::try_from(BATCH).unwrap_or(usize::MAX);
        let latest = due.last().map(|(instant, _)| *instant);
        let fresh: BTreeSet<CustomerId> = due
            .iter()
            .filter(|instant| !done.contains(instant))
            .map(|(_, customer)| *customer)
            .collect();
        let commands = fresh.into_iter().map(|customer| Command::PassTime {
            customer: Target::Customer(customer),
        });
        if !jobs.give("time", commands.collect()).await {
            tracing::warn!("the passing of time could not be booked; it is tried again");
            wait = Duration::from_secs(1);
            continue;
        }
        done.extend(due);
        // Go on where this page ended; once all is gone through, stay a little behind.
        let behind = Timestamp(now.0.saturating_sub(AGAIN_MS));
        through = if more {
            latest.unwrap_or(through)
        } else {
            through.max(behind)
        };
        done = done.split_off(&(Timestamp(through.0.saturating_add(1)), CustomerId(0)));
        let until_next = coming
            .first()
            .map_or(LOOK_MS, |(instant, _)| instant.since_ms(now).max(1));
        wait = if more {
            Duration::ZERO
        } else {
            Duration::from_millis(until_next.min(LOOK_MS))
        };
    }
}
