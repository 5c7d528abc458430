//! Which endpoints an event goes to, when it is tried again, and when an endpoint is disabled.

use std::collections::{BTreeMap, BTreeSet};

use creditgate_ledger::id::{DeliveryId, EndpointId, EventId};
use creditgate_ledger::webhook::endpoint::{self, EndpointChange, NewEndpoint, SECRETS_MAX};
use creditgate_ledger::webhook::retry::{self, Disabled, FAILING_ATTEMPTS, Jitter, WAITS_MS};
use creditgate_ledger::webhook::{
    Attempt, AttemptError, Delivery, DeliveryState, ENDPOINTS_MAX, Endpoint, EndpointSecret,
    EndpointStatus, outbox,
};
use creditgate_ledger::{Event, EventKind, Ids, Timestamp};
use serde_json::Value;

const HOUR_MS: u64 = 60 * 60 * 1_000;
const START: Timestamp = Timestamp(1_800_000_000_000);

struct Counted(u128);

impl Ids for Counted {
    fn next(&mut self) -> u128 {
        self.0 += 1;
        self.0
    }
}

fn new(name: Option<&str>, events: &[EventKind]) -> NewEndpoint {
    NewEndpoint {
        external_id: name.map(str::to_owned),
        url: "https://example.com/".to_owned(),
        description: None,
        events: events.iter().copied().collect(),
        metadata: BTreeMap::new(),
        secret: secret("first"),
    }
}

fn secret(text: &str) -> EndpointSecret {
    EndpointSecret::lasting(text.to_owned())
}

fn made(endpoints: &mut Vec<Endpoint>, id: u128, events: &[EventKind]) -> Endpoint {
    let name = format!("e{id}");
    let new = new(Some(&name), events);
    endpoint::create(endpoints, EndpointId(id), new, START).unwrap()
}

fn event(kind: EventKind) -> Event {
    Event {
        id: EventId(77),
        kind,
        at: START,
        customer: None,
        data: Value::Null,
    }
}

fn told(endpoints: &[Endpoint], kind: EventKind) -> Vec<u128> {
    let deliveries = outbox::deliveries(&event(kind), endpoints, &mut Counted(0));
    deliveries
        .iter()
        .map(|delivery| delivery.endpoint.0)
        .collect()
}

#[test]
fn an_event_goes_to_the_enabled_endpoints_that_want_it() {
    let mut endpoints = Vec::new();
    made(&mut endpoints, 1, &[]);
    made(
        &mut endpoints,
        2,
        &[EventKind::WalletAlert, EventKind::LotPaid],
    );
    made(&mut endpoints, 3, &[EventKind::LotPaid]);
    made(&mut endpoints, 4, &[]);
    made(&mut endpoints, 5, &[]);
    endpoint::disable(&mut endpoints, "e4").unwrap();
    endpoint::delete(&mut endpoints, "e5", START).unwrap();
    assert_eq!(told(&endpoints, EventKind::WalletAlert), [1, 2]);
    assert_eq!(told(&endpoints, EventKind::LotPaid), [1, 2, 3]);
    assert_eq!(told(&endpoints, EventKind::WalletOpened), [1]);
    assert_eq!(
        told(&endpoints, EventKind::Test),
        [] as [u128; 0],
        "a test is for one endpoint"
    );
    endpoint::enable(&mut endpoints, "e4").unwrap();
    assert_eq!(told(&endpoints, EventKind::WalletOpened), [1, 4]);
}

#[test]
fn every_kind_of_event_has_a_name_of_its_own_and_says_what_it_means() {
    let names: BTreeSet<&str> = EventKind::ALL.iter().map(|(_, name, _)| *name).collect();
    assert_eq!(names.len(), EventKind::ALL.len());
    for (kind, name, meaning) in EventKind::ALL {
        assert_eq!(
            serde_json::to_value(kind).unwrap(),
            Value::from(*name),
            "{name}"
        );
        assert!(meaning.trim().ends_with('.'), "{name}: {meaning}");
    }
    let words: BTreeSet<&str> = AttemptError::ALL.iter().map(|(_, word, _)| *word).collect();
    assert_eq!(words.len(), AttemptError::ALL.len());
}

/// An attempt that ended at once.
fn attempt(delivery: &Delivery, at: Timestamp, status: Option<u16>) -> Attempt {
    Attempt {
        delivery: delivery.id,
        number: delivery.attempts + 1,
        at,
        status,
        error: (status.is_none_or(|status| status / 100 != 2))
            .then(|| AttemptError::Status.as_str().to_owned()),
        response: None,
        duration_ms: 0,
    }
}

fn on_its_way(endpoint: EndpointId) -> Delivery {
    let mut ids = Counted(100);
    outbox::delivery(EventId(77), EventKind::LotPaid, endpoint, START, &mut ids)
}

#[test]
fn a_failed_delivery_is_tried_ten_times_over_three_days() {
    let mut delivery = on_its_way(EndpointId(1));
    let mut at = START;
    let mut waits = Vec::new();
    while let Some(next) = delivery.next_at {
        waits.push(next.since_ms(at));
        at = next;
        let attempt = attempt(&delivery, at, Some(500));
        assert_eq!(
            retry::book(&mut delivery, None, &attempt, Jitter::NONE),
            None
        );
    }
    assert_eq!(delivery.state, DeliveryState::Failed);
    assert_eq!(delivery.attempts, 10);
    assert_eq!(waits[0], 0, "the first attempt is at once");
    assert_eq!(waits[1..], WAITS_MS);
    assert_eq!(at.since_ms(START), 75 * HOUR_MS + 35 * 60_000 + 5_000);
}

#[test]
fn a_wait_counts_from_the_end_of_the_attempt() {
    let mut delivery = on_its_way(EndpointId(1));
    let attempt = Attempt {
        duration_ms: 15_000,
        ..attempt(&delivery, START, None)
    };
    retry::book(&mut delivery, None, &attempt, Jitter::NONE);
    assert_eq!(delivery.next_at, Some(START.plus_ms(20_000)));
}

#[test]
fn jitter_makes_a_wait_at_most_a_fifth_longer_or_shorter() {
    let waits: BTreeSet<u64> = (0..100_000)
        .filter_map(|random| retry::wait_ms(1, Jitter::of(random)))
        .collect();
    assert_eq!(
        (waits.first(), waits.last()),
        (Some(&4_000), Some(&6_000)),
        "around 5 s"
    );
    assert_eq!(waits.len(), 401, "evenly in steps of a thousandth");
    assert_eq!(
        retry::wait_ms(9, Jitter::of(0)),
        Some(24 * HOUR_MS * 8 / 10)
    );
    assert_eq!(retry::wait_ms(10, Jitter::NONE), None);
    assert_eq!(retry::wait_ms(0, Jitter::NONE), None);
    assert_eq!(retry::wait_ms(u32::MAX, Jitter::NONE), None);
}

#[test]
fn only_a_status_from_200_to_299_is_a_delivery() {
    for (status, state) in [
        (200, DeliveryState::Delivered),
        (204, DeliveryState::Delivered),
        (299, DeliveryState::Delivered),
        (199, DeliveryState::Pending),
        (301, DeliveryState::Pending),
        (307, DeliveryState::Pending),
        (404, DeliveryState::Pending),
        (500, DeliveryState::Pending),
    ] {
        let mut delivery = on_its_way(EndpointId(1));
        let attempt = attempt(&delivery, START, Some(status));
        retry::book(&mut delivery, None, &attempt, Jitter::NONE);
        assert_eq!(delivery.state, state, "{status}");
        assert_eq!(delivery.last_status, Some(status));
    }
}

#[test]
fn an_endpoint_is_disabled_after_three_days_of_failures_alone() {
    let mut endpoints = Vec::new();
    let mut endpoint = made(&mut endpoints, 1, &[]);
    let book = |at: Timestamp, status: u16, endpoint: &mut Endpoint| {
        let mut delivery = on_its_way(endpoint.id);
        delivery.attempts = FAILING_ATTEMPTS - 1;
        let attempt = attempt(&delivery, at, Some(status));
        retry::book(&mut delivery, Some(endpoint), &attempt, Jitter::NONE)
    };
    let hours = |hours: u64| START.plus_ms(hours * HOUR_MS);
    assert_eq!(book(hours(0), 500, &mut endpoint), None);
    assert_eq!(endpoint.failing_since, Some(hours(0)));
    assert_eq!(book(hours(71), 500, &mut endpoint), None);
    // One success, and the count begins anew.
    assert_eq!(book(hours(72), 200, &mut endpoint), None);
    assert_eq!(endpoint.failing_since, None);
    assert_eq!(book(hours(73), 302, &mut endpoint), None);
    assert_eq!(book(hours(144), 500, &mut endpoint), None);
    assert_eq!(
        book(hours(145), 500, &mut endpoint),
        Some(Disabled::Failing)
    );
    assert_eq!(endpoint.status, EndpointStatus::Disabled);
    assert_eq!(endpoint.disabled_reason.as_deref(), Some("failing"));
    assert_eq!(endpoint.failing_since, Some(hours(73)));
    assert_eq!(
        book(hours(146), 500, &mut endpoint),
        None,
        "it is told once"
    );
    let mut endpoints = vec![endpoint];
    let enabled = endpoint::enable(&mut endpoints, "e1").unwrap();
    assert_eq!(
        (enabled.failing_since, enabled.disabled_reason),
        (None, None)
    );
}

#[test]
fn three_days_in_which_nothing_was_sent_do_not_disable() {
    let mut endpoints = Vec::new();
    let mut endpoint = made(&mut endpoints, 1, &[]);
    let mut delivery = on_its_way(endpoint.id);
    // Between the first two attempts this service was down over a long weekend.
    for hour in [0, 90, 91, 93] {
        let attempt = attempt(&delivery, START.plus_ms(hour * HOUR_MS), Some(503));
        let came = retry::book(&mut delivery, Some(&mut endpoint), &attempt, Jitter::NONE);
        assert_eq!(came, None, "after {hour} hours");
    }
    assert_eq!(endpoint.status, EndpointStatus::Enabled);
}

#[test]
fn a_410_disables_at_once_and_is_not_tried_again() {
    let mut endpoints = Vec::new();
    let mut endpoint = made(&mut endpoints, 1, &[]);
    let mut delivery = on_its_way(endpoint.id);
    let attempt = attempt(&delivery, START, Some(410));
    let why = retry::book(&mut delivery, Some(&mut endpoint), &attempt, Jitter::NONE);
    assert_eq!(why, Some(Disabled::Gone));
    assert_eq!(endpoint.disabled_reason.as_deref(), Some("gone"));
    assert_eq!(
        (delivery.state, delivery.next_at),
        (DeliveryState::Failed, None)
    );
}

#[test]
fn an_operators_word_stands_over_a_failure_that_comes_later() {
    let mut endpoints = Vec::new();
    made(&mut endpoints, 1, &[]);
    let mut endpoint = endpoint::disable(&mut endpoints, "e1").unwrap();
    let mut delivery = on_its_way(endpoint.id);
    let attempt = attempt(&delivery, START, Some(410));
    let why = retry::book(&mut delivery, Some(&mut endpoint), &attempt, Jitter::NONE);
    assert_eq!(why, None);
    assert_eq!(endpoint.disabled_reason.as_deref(), Some("operator"));
}

#[test]
fn giving_up_says_when_and_ends_the_waiting() {
    let mut delivery = on_its_way(EndpointId(1));
    let attempt = attempt(&delivery, START, None);
    retry::give_up(&mut delivery, &attempt);
    assert_eq!(
        (delivery.state, delivery.next_at),
        (DeliveryState::Failed, None)
    );
    assert_eq!((delivery.attempts, delivery.last_at), (1, Some(START)));
    assert_eq!(delivery.id, DeliveryId(101));
}

#[test]
fn a_replaced_secret_stays_valid_for_the_overlap_and_no_longer() {
    let mut endpoints = Vec::new();
    made(&mut endpoints, 1, &[]);
    let rotated = endpoint::rotate(&mut endpoints, "e1", secret("second"), 60_000, START).unwrap();
    let valid = |endpoint: &Endpoint, at: Timestamp| -> Vec<String> {
        let secrets = endpoint.secrets.iter();
        let valid = secrets.filter(|secret| secret.is_valid(at));
        valid.map(|secret| secret.secret.clone()).collect()
    };
    assert_eq!(valid(&rotated, START), ["second", "first"]);
    assert_eq!(valid(&rotated, START.plus_ms(59_999)), ["second", "first"]);
    assert_eq!(valid(&rotated, START.plus_ms(60_000)), ["second"]);
    // A second rotation prolongs no secret that is on its way out.
    let later = START.plus_ms(30_000);
    let again = endpoint::rotate(&mut endpoints, "e1", secret("third"), 60_000, later).unwrap();
    assert_eq!(valid(&again, later), ["third", "second", "first"]);
    assert_eq!(valid(&again, START.plus_ms(60_000)), ["third", "second"]);
    let at_once = endpoint::rotate(&mut endpoints, "e1", secret("fourth"), 0, later).unwrap();
    assert_eq!(valid(&at_once, later), ["fourth"]);
    assert_eq!(at_once.secrets.len(), 1, "what is over is forgotten");
}

#[test]
fn no_more_secrets_are_valid_at_once_than_a_message_has_room_for() {
    let mut endpoints = Vec::new();
    made(&mut endpoints, 1, &[]);
    for turn in 1..SECRETS_MAX {
        let next = secret(&turn.to_string());
        endpoint::rotate(&mut endpoints, "e1", next, 60_000, START).unwrap();
    }
    let refused = endpoint::rotate(&mut endpoints, "e1", secret("more"), 60_000, START);
    assert_eq!(refused.unwrap_err().code(), "webhook_secrets_max");
    assert_eq!(endpoints[0].secrets.len(), SECRETS_MAX);
}

#[test]
fn endpoints_are_few_and_their_names_unique() {
    let mut endpoints = Vec::new();
    for id in 1..=ENDPOINTS_MAX {
        made(&mut endpoints, u128::try_from(id).unwrap(), &[]);
    }
    let more = endpoint::create(&mut endpoints, EndpointId(999), new(None, &[]), START);
    assert_eq!(more.unwrap_err().code(), "webhook_endpoints_max");
    let renamed = EndpointChange {
        external_id: Some(Some("e2".to_owned())),
        ..EndpointChange::default()
    };
    let taken = endpoint::change(&mut endpoints, "e1", renamed.clone());
    assert_eq!(taken.unwrap_err().code(), "already_exists");
    assert!(
        endpoint::change(&mut endpoints, "e2", renamed).is_ok(),
        "its own name is no other's"
    );
    let deleted = endpoint::delete(&mut endpoints, "e3", START).unwrap();
    assert!(
        deleted.secrets.is_empty(),
        "a secret does not outlive its endpoint"
    );
    assert_eq!(
        endpoint::find(&endpoints, "e3").unwrap_err().code(),
        "not_found"
    );
    assert_eq!(
        endpoint::find(&endpoints, &EndpointId(3).to_string())
            .unwrap_err()
            .code(),
        "not_found"
    );
    let again = endpoint::create(&mut endpoints, EndpointId(999), new(Some("e3"), &[]), START);
    assert!(again.is_ok(), "the name and the place are free again");
}
