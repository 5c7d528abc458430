//! What a commit does, and what it does not do.

use creditgate::storage::{
    BookChange, ChangeSet, CustomerFilter, EntryFilter, LoadPlan, PageRequest, Reader, Storage,
    StorageError, StoredAnswer, Target,
};
use creditgate_core::key::credential_hash;
use creditgate_core::rate_card::RateCardDocument;
use creditgate_ledger::id::{GatewayId, InstanceId, KeyId};
use creditgate_ledger::rate_card::{RateCardHead, RateCardState, RateCardVersion};
use creditgate_ledger::registry::{
    CurrencyDefinition, Gateway, GatewayKey, Instance, InstanceState, OperatorKey, OperatorRole,
};
use creditgate_ledger::{Timestamp, credential};

use crate::desk::{Backend, Desk, all_pages, idempotency, stored_answer};

crate::on_every_backend!(
    abandoned_work_writes_nothing,
    work_that_is_begun_again_starts_from_what_is_committed,
    taken_name_is_a_conflict_and_nothing_is_written,
    name_taken_twice_in_one_batch_is_a_conflict,
    taken_credential_is_a_conflict,
    second_lease_of_a_number_is_a_conflict,
    second_entry_of_a_number_is_a_conflict,
    second_answer_under_a_key_is_a_conflict,
    taken_names_of_the_registry_are_conflicts,
    moved_key_keeps_its_id_and_hash,
    registry_reads_back_as_it_was_written,
    versions_of_a_rate_card_that_are_over_stay_readable,
    forgotten_instance_is_gone_and_its_leases_stay,
    old_answers_are_forgotten_and_newer_ones_stay,
    what_was_committed_is_there_after_reopening,
);

fn conflict(answer: Result<u64, StorageError>) -> String {
    match answer {
        Err(StorageError::Conflict(what)) => what,
        other => panic!("expected a conflict, got {other:?}"),
    }
}

fn abandoned_work_writes_nothing<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("acme");
    let before = desk.book(wallet.customer);
    desk.load(&[Target::Customer(wallet.customer)]);
    desk.backend.writer().abandon();
    assert_eq!(desk.book(wallet.customer), before);
    // And the next unit of work is free to begin.
    desk.top_up(&wallet, 5);
    assert_eq!(desk.book(wallet.customer).lots.len(), 2);
}

fn work_that_is_begun_again_starts_from_what_is_committed<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("acme");
    let first = desk.load(&[Target::Customer(wallet.customer)]);
    let second = desk.load(&[Target::Customer(wallet.customer)]);
    assert_eq!(first.books, second.books);
    desk.top_up(&wallet, 5);
}

fn taken_name_is_a_conflict_and_nothing_is_written<B: Backend>(mut desk: Desk<B>) {
    desk.customer("acme");
    let wallet = desk.funded("other");
    let before = desk
        .load(&[Target::Customer(wallet.customer)])
        .books
        .pop()
        .unwrap();
    let mut after = before.clone();
    after.customer.name = Some("renamed".to_owned());
    let books = vec![
        BookChange {
            before: Some(before.clone()),
            after,
        },
        BookChange {
            before: None,
            after: desk.new_book("acme"),
        },
    ];
    let answers = vec![(idempotency("one"), stored_answer(b"x"))];
    let answer = desk.backend.writer().commit(&ChangeSet {
        books,
        answers,
        ..ChangeSet::default()
    });
    assert_eq!(conflict(answer), "a customer of this external_id");
    assert_eq!(desk.book(wallet.customer), before);
    let again = ChangeSet {
        answers: vec![(idempotency("one"), stored_answer(b"y"))],
        ..ChangeSet::default()
    };
    desk.backend
        .writer()
        .commit(&again)
        .expect("the answer of the failed batch was not kept");
}

fn name_taken_twice_in_one_batch_is_a_conflict<B: Backend>(mut desk: Desk<B>) {
    let (one, two) = (desk.new_book("acme"), desk.new_book("acme"));
    let books = vec![
        BookChange {
            before: None,
            after: one,
        },
        BookChange {
            before: None,
            after: two,
        },
    ];
    let answer = desk.backend.writer().commit(&ChangeSet {
        books,
        ..ChangeSet::default()
    });
    assert_eq!(conflict(answer), "a customer of this external_id");
    assert!(
        desk.reader()
            .customers(CustomerFilter::default(), PageRequest::first(9))
            .unwrap()
            .items
            .is_empty()
    );
}

fn taken_credential_is_a_conflict<B: Backend>(mut desk: Desk<B>) {
    let hash = credential_hash("k");
    let (first, second) = (desk.customer("first").id, desk.customer("second").id);
    let key = desk.decide(first, |book, _, context| {
        credential::add(book, context, None, hash).unwrap()
    });
    let now = desk.now;
    let before = desk.book(second);
    let mut after = before.clone();
    after.keys.push(credential::ConsumerKey {
        id: KeyId(0xbeef),
        customer: second,
        ..key.clone()
    });
    let change = || BookChange {
        before: Some(before.clone()),
        after: after.clone(),
    };
    let commit = |desk: &mut Desk<B>| {
        desk.load(&[]);
        desk.backend.writer().commit(&ChangeSet {
            books: vec![change()],
            ..ChangeSet::default()
        })
    };
    assert_eq!(conflict(commit(&mut desk)), "a consumer key of this hash");
    // A revoked one is not given to another either.
    desk.decide(first, |book, _, context| {
        credential::revoke(book, context, key.id, now).unwrap()
    });
    assert_eq!(conflict(commit(&mut desk)), "a consumer key of this hash");
}

fn second_lease_of_a_number_is_a_conflict<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("acme");
    let lease = desk.lend(&wallet, InstanceId(1), 5, 10);
    let before = desk
        .load(&[Target::Customer(wallet.customer)])
        .books
        .pop()
        .unwrap();
    let mut after = before.clone();
    after.leases.push(creditgate_ledger::Lease {
        id: creditgate_ledger::id::LeaseId(0xbeef),
        ..lease
    });
    let books = vec![BookChange {
        before: Some(before),
        after,
    }];
    let answer = desk.backend.writer().commit(&ChangeSet {
        books,
        ..ChangeSet::default()
    });
    assert_eq!(conflict(answer), "a lease of this number");
}

fn second_entry_of_a_number_is_a_conflict<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("acme");
    let filter = EntryFilter::Account(wallet.account);
    let entries = desk
        .reader()
        .entries(filter, PageRequest::first(9))
        .unwrap()
        .items;
    desk.load(&[]);
    let answer = desk.backend.writer().commit(&ChangeSet {
        entries: entries.clone(),
        ..ChangeSet::default()
    });
    assert_eq!(conflict(answer), "an entry of this number");
    assert_eq!(
        desk.reader()
            .entries(filter, PageRequest::first(9))
            .unwrap()
            .items,
        entries
    );
}

fn second_answer_under_a_key_is_a_conflict<B: Backend>(mut desk: Desk<B>) {
    let changes = |body: &[u8]| ChangeSet {
        answers: vec![(idempotency("one"), stored_answer(body))],
        ..ChangeSet::default()
    };
    desk.backend.writer().commit(&changes(b"first")).unwrap();
    let answer = desk.backend.writer().commit(&changes(b"second"));
    assert_eq!(conflict(answer), "an answer under this idempotency key");
}

fn gateway(id: u128, external_id: &str) -> Gateway {
    Gateway {
        id: GatewayId(id),
        external_id: external_id.to_owned(),
        name: None,
        rate_card: "api".to_owned(),
        created_at: Timestamp(1),
    }
}

fn gateway_key(id: u128, key: &str) -> GatewayKey {
    GatewayKey {
        id: KeyId(id),
        gateway: GatewayId(1),
        hash: credential_hash(key),
        created_at: Timestamp(1),
        revoked_at: None,
    }
}

fn taken_names_of_the_registry_are_conflicts<B: Backend>(mut desk: Desk<B>) {
    desk.change_registry(|registry| {
        registry.gateways.push(gateway(1, "edge"));
        registry.gateway_keys.push(gateway_key(1, "k"));
    })
    .unwrap();
    let named = desk.change_registry(|registry| registry.gateways.push(gateway(2, "edge")));
    assert_eq!(conflict(named), "a gateway of this external_id");
    let keyed = desk.change_registry(|registry| registry.gateway_keys.push(gateway_key(2, "k")));
    assert_eq!(conflict(keyed), "a gateway key of this hash");
    assert_eq!(desk.load(&[]).registry.gateways.len(), 1);
}

fn moved_key_keeps_its_id_and_hash<B: Backend>(mut desk: Desk<B>) {
    // Both ways round: the order of the books in a batch must not matter.
    for (place, name) in ["first", "second"].iter().enumerate() {
        let (from, to) = (
            desk.customer(name).id,
            desk.customer(&format!("{name}'s heir")).id,
        );
        let key = desk.decide(from, |book, _, context| {
            credential::add(book, context, None, credential_hash(name)).unwrap()
        });
        let loaded = desk.load(&[Target::Customer(from), Target::Customer(to)]);
        let mut books: Vec<_> = loaded
            .books
            .into_iter()
            .map(|book| BookChange {
                before: Some(book.clone()),
                after: book,
            })
            .collect();
        let moved = books[0].after.keys.pop().unwrap();
        books[1].after.keys.push(credential::ConsumerKey {
            customer: to,
            ..moved
        });
        books.rotate_left(place);
        desk.backend
            .writer()
            .commit(&ChangeSet {
                books,
                ..ChangeSet::default()
            })
            .unwrap();
        assert!(desk.book(from).keys.is_empty());
        assert_eq!(desk.book(to).keys[0].id, key.id);
        assert_eq!(
            desk.reader()
                .credential(&key.hash)
                .unwrap()
                .unwrap()
                .customer,
            to
        );
        assert_eq!(
            desk.reader()
                .book(&Target::Key(key.id))
                .unwrap()
                .unwrap()
                .customer
                .id,
            to
        );
    }
}

fn card(name: &str, version: u64) -> RateCardVersion {
    let document = format!(
        r#"{{"name":"{name}","currency":"tokens","default":"deny",
            "rules":[{{"id":"r","path":{{"prefix":"/v{version}"}},"price":"0.10"}}]}}"#
    );
    let document = RateCardDocument::from_json(document.as_bytes()).unwrap();
    RateCardVersion {
        head: RateCardHead {
            name: name.to_owned(),
            version,
            state: RateCardState::Active,
            created_at: Timestamp(3),
            effective_at: Timestamp(4),
            ended_at: None,
        },
        document,
    }
}

fn registry_reads_back_as_it_was_written<B: Backend>(mut desk: Desk<B>) {
    desk.change_registry(|registry| {
        registry.gateways.push(gateway(1, "edge"));
        registry.gateway_keys.push(gateway_key(1, "k"));
        registry.instances.push(Instance {
            id: InstanceId(7),
            gateway: GatewayId(1),
            state: InstanceState::Active,
            reason: None,
            first_seen_at: Timestamp(4),
        });
    })
    .unwrap();
    desk.change_registry(|registry| {
        registry.config_version = 9;
        registry.settings.silent_after_ms = 77;
        registry.settings.timing.use_by_ms = 1_234;
        registry.settings.top_up_url = Some("https://buy.example/".to_owned());
        registry.currencies.push(CurrencyDefinition {
            code: creditgate_core::amount::Currency::new("tokens").unwrap(),
            scale: creditgate_core::amount::Scale::new(2).unwrap(),
            created_at: Timestamp(2),
        });
        registry.operator_keys.push(OperatorKey {
            id: KeyId(9),
            name: Some("ops".to_owned()),
            role: OperatorRole::Read,
            hash: credential_hash("ops"),
            created_at: Timestamp(3),
            revoked_at: None,
        });
        registry.gateway_keys[0].revoked_at = Some(Timestamp(6));
        registry.rate_cards.push(card("api", 1));
        registry.instances[0].state = InstanceState::Frozen;
        registry.instances[0].reason = Some("impossible report".to_owned());
    })
    .unwrap();
    let written = desk.reader().registry().unwrap();
    assert_eq!(
        (
            written.config_version,
            written.settings.timing.use_by_ms,
            written.instances.len()
        ),
        (9, 1_234, 1)
    );
    let mut desk = desk.reopen();
    assert_eq!(desk.load(&[]).registry, written);
    assert_eq!(desk.reader().registry().unwrap(), written);
}

fn forgotten_instance_is_gone_and_its_leases_stay<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("acme");
    let instance = |id| Instance {
        id: InstanceId(id),
        gateway: GatewayId(1),
        state: InstanceState::Active,
        reason: None,
        first_seen_at: Timestamp(4),
    };
    desk.change_registry(|registry| {
        registry.gateways.push(gateway(1, "edge"));
        registry.instances = vec![instance(1), instance(2)];
    })
    .unwrap();
    desk.lend(&wallet, InstanceId(1), 5, 100);
    desk.change_registry(|registry| registry.instances.retain(|known| known.id.0 == 2))
        .unwrap();
    let desk = desk.reopen();
    assert_eq!(desk.reader().registry().unwrap().instances, [instance(2)]);
    assert_eq!(
        desk.lease(&wallet, InstanceId(1), 5).counters.granted.get(),
        100
    );
}

fn old_answers_are_forgotten_and_newer_ones_stay<B: Backend>(mut desk: Desk<B>) {
    let answer = |at| StoredAnswer {
        created_at: Timestamp(at),
        ..stored_answer(b"x")
    };
    let answers = vec![
        (idempotency("old"), answer(4)),
        (idempotency("new"), answer(5)),
    ];
    let remember = ChangeSet {
        answers,
        ..ChangeSet::default()
    };
    desk.backend.writer().commit(&remember).unwrap();
    let forget = ChangeSet {
        forget_answers_before: Some(Timestamp(5)),
        ..ChangeSet::default()
    };
    desk.backend.writer().commit(&forget).unwrap();
    let plan = LoadPlan {
        idempotency: vec![idempotency("old"), idempotency("new")],
        ..LoadPlan::default()
    };
    let known = desk.backend.writer().load(&plan).unwrap().answers;
    assert_eq!(known.keys().collect::<Vec<_>>(), [&idempotency("new")]);
}

fn versions_of_a_rate_card_that_are_over_stay_readable<B: Backend>(mut desk: Desk<B>) {
    for version in 1..=3 {
        desk.change_registry(|registry| {
            for card in &mut registry.rate_cards {
                card.head.state = RateCardState::Superseded;
                card.head.ended_at = Some(Timestamp(9));
            }
            registry.rate_cards.push(card("api", version));
        })
        .unwrap();
    }
    desk.change_registry(|registry| {
        let mut next = card("api", 4);
        next.head.state = RateCardState::Scheduled;
        next.head.effective_at = Timestamp(77);
        registry.rate_cards.push(card("images", 1));
        registry.rate_cards.push(next);
    })
    .unwrap();
    let live = |desk: &Desk<B>| -> Vec<_> {
        let registry = desk.reader().registry().unwrap();
        let cards = registry.rate_cards.iter();
        cards
            .map(|card| (card.head.name.clone(), card.head.version))
            .collect()
    };
    let named = |name: &str, version| (name.to_owned(), version);
    let mut desk = desk.reopen();
    assert_eq!(
        live(&desk),
        [named("api", 3), named("api", 4), named("images", 1)]
    );
    // One that was cancelled stays known as the newest: its number is not given again.
    desk.change_registry(|registry| {
        let card = &mut registry.rate_cards[1];
        card.head.state = RateCardState::Cancelled;
        card.head.ended_at = Some(Timestamp(50));
    })
    .unwrap();
    let desk = desk.reopen();
    assert_eq!(live(&desk).len(), 3);
    let second = desk.reader().rate_card("api", 2).unwrap().unwrap();
    assert_eq!(second.document, card("api", 2).document);
    assert_eq!(
        (second.head.state, second.head.ended_at),
        (RateCardState::Superseded, Some(Timestamp(9)))
    );
    assert_eq!(desk.reader().rate_card("api", 5).unwrap(), None);
    let all = all_pages(|page| desk.reader().rate_card_versions("api", page).unwrap());
    let all: Vec<_> = all
        .into_iter()
        .map(|head| (head.version, head.state))
        .collect();
    assert_eq!(
        all,
        [
            (4, RateCardState::Cancelled),
            (3, RateCardState::Active),
            (2, RateCardState::Superseded),
            (1, RateCardState::Superseded),
        ]
    );
    let none = desk
        .reader()
        .rate_card_versions("none", PageRequest::first(9));
    assert!(none.unwrap().items.is_empty());
}

fn what_was_committed_is_there_after_reopening<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("acme");
    let lease = desk.lend(&wallet, InstanceId(1), 5, 100);
    desk.report(&lease, wallet.customer, 40, 0, None);
    let filter = EntryFilter::Account(wallet.account);
    let (book, entries) = (
        desk.book(wallet.customer),
        desk.reader()
            .entries(filter, PageRequest::first(50))
            .unwrap(),
    );
    let last = desk.reader().last_change().unwrap();
    let desk = desk.reopen();
    assert_eq!(desk.book(wallet.customer), book);
    assert_eq!(
        desk.reader()
            .entries(filter, PageRequest::first(50))
            .unwrap(),
        entries
    );
    assert_eq!(desk.reader().last_change().unwrap(), last);
}
