//! What is forgotten with time, so that nothing grows without bound: answers to idempotency
//! keys, events with their deliveries, usage detail, and instances that are gone.

use std::collections::BTreeSet;
use std::time::Duration;

use creditgate_ledger::Timestamp;
use creditgate_ledger::id::InstanceId;
use creditgate_ledger::registry::InstanceState;
use creditgate_ledger::usage::Day;

use super::Jobs;
use crate::command::{Command, WebhookCommand};
use crate::storage::ForgetUsage;

/// How long a repeat of a write gets the original answer: thirty days.
const ANSWERS_KEPT_MS: i64 = 30 * DAY_MS;
/// How long events, their deliveries and attempts can be looked at and sent again: thirty days.
const EVENTS_KEPT_MS: i64 = 30 * DAY_MS;
/// How many days usage detail can be looked at: thirteen months, so that a month can be held
/// against that of the year before.
const USAGE_KEPT_DAYS: i32 = 400;
/// How long a worker's last batch of usage is remembered, so that its repetition is not counted
/// twice: thirty days after it.
const SOURCES_KEPT_MS: i64 = 30 * DAY_MS;
/// How long an instance that holds nothing is remembered after it last spoke: an hour.
const INSTANCES_KEPT: Duration = Duration::from_secs(60 * 60);
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
const PERIOD: Duration = Duration::from_secs(60);

pub(super) async fn run(mut jobs: Jobs) {
    loop {
        forget_answers(&jobs).await;
        forget_events(&jobs).await;
        forget_usage(&jobs).await;
        forget_instances(&jobs).await;
        if !jobs.sleep(PERIOD).await {
            return;
        }
    }
}

async fn forget_answers(jobs: &Jobs) {
    let before = Timestamp(jobs.clock.now().0.saturating_sub(ANSWERS_KEPT_MS));
    if let Err(error) = jobs
        .writer
        .execute("retention", Command::ForgetAnswers { before })
        .await
    {
        tracing::warn!(%error, "old answers could not be forgotten; it is tried again");
    }
}

async fn forget_events(jobs: &Jobs) {
    let before = Timestamp(jobs.clock.now().0.saturating_sub(EVENTS_KEPT_MS));
    let command = Command::Webhook(WebhookCommand::Forget { before });
    if let Err(error) = jobs.writer.execute("retention", command).await {
        tracing::warn!(%error, "old events could not be forgotten; it is tried again");
    }
}

async fn forget_usage(jobs: &Jobs) {
    let now = jobs.clock.now();
    let command = Command::ForgetUsage(ForgetUsage {
        rows_before: Day::of(now).plus(-USAGE_KEPT_DAYS),
        sources_before: Timestamp(now.0.saturating_sub(SOURCES_KEPT_MS)),
    });
    if let Err(error) = jobs.writer.execute("retention", command).await {
        tracing::warn!(%error, "old usage detail could not be forgotten; it is tried again");
    }
}

async fn forget_instances(jobs: &Jobs) {
    let registry = jobs.writer.registry();
    let silent = |id: &InstanceId| jobs.presence.silent_at_least(*id) >= INSTANCES_KEPT;
    let mut gone: BTreeSet<InstanceId> = registry
        .instances
        .iter()
        // One that was frozen stays so until someone has looked at why.
        .filter(|known| known.state != InstanceState::Frozen)
        .map(|known| known.id)
        .filter(silent)
        .collect();
    if gone.is_empty() {
        return;
    }
    let Some(outstanding) = jobs
        .read(|reader| Ok(reader.outstanding_instances()?))
        .await
    else {
        return;
    };
    for instance in outstanding {
        gone.remove(&instance);
    }
    for instance in gone {
        if let Err(error) = jobs
            .writer
            .execute("retention", Command::ForgetInstance { instance })
            .await
        {
            tracing::warn!(%error, "an instance could not be forgotten; it is tried again");
            return;
        }
        jobs.presence.forget(instance);
        jobs.writer.changes().forget(instance);
    }
}
