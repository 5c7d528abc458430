//! Instants at which time alone changes something: a lot becomes effective or expires, a
//! grant is due, a subscription ends (see `Reader::next_instants`).
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

/// Before every instant.
const START: (Timestamp, CustomerId) = (Timestamp(i64::MIN), CustomerId(0));

pub(super) async fn run(mut jobs: Jobs) {
    // Where the page before ended, and where a new look begins.
    let mut page = START;
    let mut through = START;
    let mut done: BTreeSet<(Timestamp, CustomerId)> = BTreeSet::new();
    let mut wait = Duration::ZERO;
    while jobs.sleep(wait).await {
        let Some(next) = jobs
            .read(move |reader| Ok(reader.next_instants(page, BATCH)?))
            .await
        else {
            wait = Duration::from_secs(1);
            continue;
        };
        let now = jobs.clock.now();
        let is_full = next.len() >= usize::try_from(BATCH).unwrap_or(usize::MAX);
        let (due, coming): (Vec<_>, Vec<_>) =
            next.into_iter().partition(|(instant, _)| *instant <= now);
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
        let last = due.last().copied();
        done.extend(due);
        // The next look begins a little behind; what is before that need not be remembered.
        let behind = Timestamp(now.0.saturating_sub(AGAIN_MS));
        through = through.max((behind, CustomerId(u128::MAX)));
        done = done.split_off(&through);
        // However many share an instant, the next page goes on behind this one's last.
        if let Some(last) = last.filter(|_| is_full && coming.is_empty()) {
            page = last;
            wait = Duration::ZERO;
            continue;
        }
        page = through;
        let until_next = coming
            .first()
            .map_or(LOOK_MS, |(instant, _)| instant.since_ms(now).max(1));
        wait = Duration::from_millis(until_next.min(LOOK_MS));
    }
}
