//! An event goes to the endpoints that are there when it happens, whatever shares its
//! transaction; and it is put on its way if and only if it is written.

use std::collections::{BTreeMap, BTreeSet};

use creditgate::clock::{RandomIds, SystemClock};
use creditgate::command::{Command, WebhookCommand, Work};
use creditgate::storage::memory::MemoryStorage;
use creditgate::storage::{ChangeSet, LoadPlan, Storage, Target};
use creditgate_ledger::customer::{CustomerChange, NewCustomer};
use creditgate_ledger::webhook::EndpointSecret;
use creditgate_ledger::webhook::endpoint::NewEndpoint;
use creditgate_ledger::{CustomerStatus, EventKind, Timestamp};

fn customer() -> Command {
    Command::CreateCustomer(NewCustomer {
        external_id: "ada".to_owned(),
        name: None,
        time_zone: "UTC".to_owned(),
        metadata: BTreeMap::new(),
    })
}

fn becomes(name: &str, status: CustomerStatus) -> Command {
    Command::ChangeCustomer {
        reason: None,
        customer: Target::ExternalId(name.to_owned()),
        change: CustomerChange {
            status: Some(status),
            ..CustomerChange::default()
        },
    }
}

fn endpoint(name: &str) -> Command {
    Command::Webhook(WebhookCommand::Create(Box::new(NewEndpoint {
        external_id: Some(name.to_owned()),
        url: "https://example.com/".to_owned(),
        description: None,
        events: BTreeSet::new(),
        metadata: BTreeMap::new(),
        secret: EndpointSecret::lasting("whsec_AAAA".to_owned()),
    })))
}

fn disable(name: &str) -> Command {
    Command::Webhook(WebhookCommand::Disable {
        endpoint: name.to_owned(),
    })
}

/// The kinds of the events and of the deliveries that were written, in their order.
type Told = (Vec<EventKind>, Vec<(EventKind, String)>);

/// Carries the commands out in batches of this size.
fn told(commands: &[Command], batch: usize) -> Told {
    let mut storage = MemoryStorage::new(1);
    let mut ids = RandomIds::new(SystemClock);
    let mut all = Told::default();
    for batch in commands.chunks(batch) {
        let targets = batch.iter().flat_map(Command::targets).collect();
        let plan = LoadPlan {
            targets,
            ..LoadPlan::default()
        };
        let loaded = storage.load(&plan).unwrap();
        let registry = loaded.registry.clone();
        let mut work = Work::new(loaded, Timestamp(1_800_000_000_000), &mut ids);
        for command in batch {
            let _refused_or_not = work.decide("test", command.clone());
        }
        let changes: ChangeSet = work.into_changes();
        let after = changes
            .registry
            .as_ref()
            .map_or(&*registry, |(_, after)| after);
        all.0.extend(changes.events.iter().map(|event| event.kind));
        for delivery in &changes.deliveries {
            let known = after
                .endpoints
                .iter()
                .find(|known| known.id == delivery.endpoint);
            let name = known.unwrap().external_id.clone().unwrap();
            all.1.push((delivery.kind, name));
        }
        storage.commit(&changes).unwrap();
    }
    all
}

#[test]
fn an_event_goes_to_who_is_there_then_however_commands_are_batched() {
    use CustomerStatus::{Active, Suspended};
    let commands = [
        customer(),
        becomes("ada", Suspended),
        endpoint("first"),
        becomes("ada", Active),
        becomes("nobody", Suspended),
        endpoint("second"),
        becomes("ada", Suspended),
        disable("first"),
        becomes("ada", Active),
        becomes("ada", Active),
    ];
    let (suspended, resumed) = (EventKind::CustomerSuspended, EventKind::CustomerResumed);
    let due = [
        (resumed, "first"),
        (suspended, "first"),
        (suspended, "second"),
        (resumed, "second"),
    ];
    let due = due.map(|(kind, name)| (kind, name.to_owned()));
    for batch in 1..=commands.len() {
        let (events, deliveries) = told(&commands, batch);
        assert_eq!(
            events,
            [suspended, resumed, suspended, resumed],
            "batches of {batch}"
        );
        assert_eq!(deliveries, due, "batches of {batch}");
    }
}
