//! Brings versions of rate cards into force at their instants: gateways hear of it by push.
//!
//! Whoever reads a card looks at the instant itself, so nothing is wrong before this has run;
//! but gateways are told only when it has. After a start, what became due meanwhile is done
//! at once.

use std::time::Duration;

use super::Jobs;
use crate::command::Command;

/// How often it is looked whether something has become due.
const LOOK: Duration = Duration::from_millis(100);

pub(super) async fn run(mut jobs: Jobs) {
    loop {
        let next = jobs.writer.registry().next_rate_card_at();
        let is_due = next.is_some_and(|at| at <= jobs.clock.now());
        if is_due && !jobs.give("time", vec![Command::PassRateCards]).await {
            tracing::warn!("a rate card could not be brought into force; it is tried again");
        }
        if !jobs.sleep(LOOK).await {
            return;
        }
    }
}
