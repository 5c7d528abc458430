//! What becomes of quarantined credit without an operator's word, when its time has come.

use std::time::Duration;

use creditgate_ledger::Timestamp;

use super::Jobs;
use crate::command::{Command, Failure};
use crate::writer::WriteError;

const BATCH: u32 = 256;

pub(super) async fn run(mut jobs: Jobs) {
    loop {
        let settings = jobs.writer.registry().settings.clone();
        let after = settings.quarantine_policy_after_ms;
        let period = Duration::from_millis(after / 8)
            .clamp(Duration::from_millis(50), Duration::from_secs(1));
        if !jobs.sleep(period).await {
            return;
        }
        let Some(kind) = settings.quarantine_policy.resolution() else {
            continue;
        };
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let before = Timestamp(jobs.clock.now().0.saturating_sub(after));
        let due = jobs
            .read(move |reader| Ok(reader.leases_quarantined_before(before, BATCH)?))
            .await
            .unwrap_or_default();
        for (_, lease) in due {
            match jobs
                .writer
                .execute("policy", Command::ApplyPolicy { lease, kind })
                .await
            {
                Ok(_) => tracing::info!(%lease, ?kind, "the policy resolved a quarantined lease"),
                // A late report or an operator was first.
                Err(WriteError::Failed(Failure::Refused(_))) => {}
                Err(error) => {
                    tracing::warn!(%error, "a lease could not be resolved; it is tried again");
                    break;
                }
            }
        }
    }
}
