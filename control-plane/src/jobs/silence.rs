//! Instances that do not speak any more: their leases are set aside, never taken back.

use std::collections::BTreeSet;
use std::time::Duration;

use creditgate_ledger::id::{CustomerId, InstanceId};
use creditgate_ledger::{LeaseState, QuarantineCause};

use super::Jobs;
use crate::command::Command;
use crate::problem::Problem;
use crate::storage::{LeaseFilter, PageRequest, Reader, Target};

/// Customers set aside in one go; the rest follows with the next look.
const CUSTOMERS_MAX: usize = 1_000;

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
            if jobs.presence.silent_at_least(instance) > silent_after {
                quarantine(&jobs, instance).await;
            }
        }
    }
}

async fn quarantine(jobs: &Jobs, instance: InstanceId) {
    let customers = jobs
        .read(move |reader| lending(reader, instance, &[LeaseState::Open, LeaseState::Draining]))
        .await
        .unwrap_or_default();
    if customers.is_empty() {
        return;
    }
    tracing::warn!(%instance, customers = customers.len(), "an instance is silent; its leases are quarantined");
    for customer in customers {
        let command = Command::Quarantine {
            customer: Target::Customer(customer),
            instance,
            cause: QuarantineCause::InstanceSilent,
        };
        // It may have spoken while the others were written.
        let silent_after = Duration::from_millis(jobs.writer.registry().settings.silent_after_ms);
        if jobs.presence.silent_at_least(instance) <= silent_after {
            return;
        }
        if let Err(error) = jobs.writer.execute("silence", command).await {
            tracing::warn!(%error, "a lease could not be quarantined; it is tried again");
            return;
        }
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
            customer: None,
            state: Some(*state),
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
