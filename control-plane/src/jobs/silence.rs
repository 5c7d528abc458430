//! Instances that do not speak any more: their leases are set aside, never taken back.

use std::collections::BTreeSet;
use std::time::Duration;

use creditgate_ledger::id::{CustomerId, InstanceId};
use creditgate_ledger::{LeaseState, QuarantineCause};

use super::Jobs;
use crate::command::Command;
use crate::problem::Problem;
use crate::storage::{LeaseFilter, PageRequest, Reader, Target};

/// Customers in one go; the rest follows if the instance is still silent then.
const CUSTOMERS_MAX: usize = 250;

const PAGE: u32 = 500;

pub(super) async fn run(mut jobs: Jobs) {
    loop {
        let silent_after = Duration::from_millis(jobs.writer.registry().settings.silent_after_ms);
        let period = (silent_after / 8).clamp(Duration::from_millis(50), Duration::from_secs(1));
        if !jobs.sleep(period).await {
            return;
        }
        let outstanding = jobs
            .read(|reader| Ok(reader.outstanding_instances()?))
            .await
            .unwrap_or_default();
        for instance in outstanding {
            quarantine(&jobs, instance, silent_after).await;
        }
    }
}

/// Sets aside what the instance has, as long as it is silent.
async fn quarantine(jobs: &Jobs, instance: InstanceId, silent_after: Duration) {
    let mut before = BTreeSet::new();
    while jobs.presence.silent_at_least(instance) > silent_after {
        let customers = jobs
            .read(move |reader| {
                lending(reader, instance, &[LeaseState::Open, LeaseState::Draining])
            })
            .await
            .unwrap_or_default();
        // What failed once is left to the next look.
        if customers.is_empty() || customers == before {
            return;
        }
        tracing::warn!(%instance, customers = customers.len(), "an instance is silent; its leases are quarantined");
        let commands = customers.iter().map(|customer| Command::Quarantine {
            customer: Target::Customer(*customer),
            instance,
            cause: QuarantineCause::InstanceSilent,
        });
        if !jobs.give("silence", commands.collect()).await {
            return;
        }
        before = customers;
    }
}

/// Of whose credit the instance has leases in these states; at most a batch of them.
pub(crate) fn lending(
    reader: &dyn Reader,
    instance: InstanceId,
    states: &[LeaseState],
) -> Result<BTreeSet<CustomerId>, Problem> {
    let mut customers = BTreeSet::new();
    for state in states {
        let filter = LeaseFilter {
            instance: Some(instance),
            state: Some(*state),
            ..LeaseFilter::default()
        };
        let mut page = PageRequest::first(PAGE);
        loop {
            let found = reader.leases(filter, page)?;
            customers.extend(found.items.iter().map(|(customer, _)| *customer));
            page.cursor = found.next;
            if page.cursor.is_none() || customers.len() >= CUSTOMERS_MAX {
                break;
            }
        }
    }
    Ok(customers)
}
