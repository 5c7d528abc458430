//! What a unit of work finds.

use creditgate::storage::{ChangeSet, LoadPlan, NamedLease, Reader, Storage, Target};
use creditgate_core::key::credential_hash;
use creditgate_ledger::id::{CustomerId, InstanceId, KeyId, LeaseId, LotId};
use creditgate_ledger::{LeaseState, credential, lease::QuarantineCause, quarantine};

use crate::desk::{Backend, Desk, idempotency, stored_answer, unknown_account, unknown_wallet};
use crate::world::World;

crate::on_every_backend!(
    every_kind_of_target_finds_its_book,
    target_that_does_not_exist_has_no_place,
    targets_of_one_customer_share_a_book,
    book_reads_back_as_it_was_decided,
    used_up_lot_leaves_the_book_but_still_finds_it,
    closed_lease_leaves_the_book_once_a_newer_one_is_there,
    past_lease_that_a_report_names_is_put_into_its_book,
    application_that_was_given_up_is_put_into_its_book_if_it_is_named,
    revoked_key_leaves_the_book,
    first_answer_is_found_under_its_key_byte_for_byte,
    new_database_has_the_epoch_it_was_given,
);

fn every_kind_of_target_finds_its_book<B: Backend>(mut desk: Desk<B>) {
    desk.funded("other");
    let wallet = desk.funded("acme");
    let lot = desk.top_up(&wallet, 7);
    let lease = desk.lend(&wallet, InstanceId(1), 5, 10);
    let key = desk.decide(wallet.customer, |book, _, context| {
        credential::add(book, context, None, credential_hash("k")).unwrap()
    });
    let targets = [
        Target::Customer(wallet.customer),
        Target::ExternalId("acme".to_owned()),
        Target::Account(wallet.account),
        Target::Wallet(wallet.id),
        Target::Lot(lot.id),
        Target::Lease(lease.id),
        Target::Credential(key.hash),
        Target::Key(key.id),
    ];
    for target in targets {
        let loaded = desk.load(std::slice::from_ref(&target));
        assert_eq!(loaded.books.len(), 1, "{target:?}");
        assert_eq!(loaded.places.get(&target), Some(&0));
        assert_eq!(loaded.books[0].customer.id, wallet.customer);
        let owner = desk
            .reader()
            .customer(&target)
            .unwrap()
            .map(|customer| customer.id);
        assert_eq!(owner, Some(wallet.customer), "{target:?}");
    }
}

fn target_that_does_not_exist_has_no_place<B: Backend>(mut desk: Desk<B>) {
    desk.funded("acme");
    let targets = [
        Target::Customer(CustomerId(0xdead)),
        Target::ExternalId("nobody".to_owned()),
        Target::Account(unknown_account()),
        Target::Wallet(unknown_wallet()),
        Target::Lot(LotId(0xdead)),
        Target::Lease(LeaseId(0xdead)),
        Target::Credential(credential_hash("nothing")),
        Target::Key(KeyId(0xdead)),
    ];
    let loaded = desk.load(&targets);
    assert!(loaded.books.is_empty() && loaded.places.is_empty());
    for target in targets {
        assert_eq!(desk.reader().book(&target).unwrap(), None);
    }
}

fn targets_of_one_customer_share_a_book<B: Backend>(mut desk: Desk<B>) {
    let first = desk.funded("first");
    let second = desk.funded("second");
    let targets = [
        Target::Wallet(second.id),
        Target::Customer(first.customer),
        Target::Account(second.account),
        Target::Wallet(second.id),
    ];
    let loaded = desk.load(&targets);
    assert_eq!(loaded.books.len(), 2);
    assert_eq!(loaded.places[&targets[0]], loaded.places[&targets[2]]);
    for target in &targets {
        let owner = if *target == targets[1] {
            first.customer
        } else {
            second.customer
        };
        assert_eq!(loaded.books[loaded.places[target]].customer.id, owner);
    }
}

fn book_reads_back_as_it_was_decided<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("acme");
    desk.wallet_in(wallet.customer, "eur");
    desk.top_up_dated(&wallet, 500, Some(2_000_000), Some(3_000_000));
    let (one, two) = (InstanceId(1), InstanceId(u128::MAX));
    let lease = desk.lend(&wallet, one, u64::MAX, 600);
    desk.report(&lease, wallet.customer, 100, 50, None);
    desk.lend(&wallet, two, 9, 350);
    // A need that waits, a ceiling that is told, a quarantine and a protected waiter's credit.
    let asking = desk.lease(&wallet, two, 9);
    let decided = desk.decide(wallet.customer, |book, journal, context| {
        let place = book.account_place(wallet.account).unwrap();
        let lease = book
            .lease_place(wallet.account, two, asking.number)
            .unwrap();
        let need = |first| creditgate_ledger::lend::Need {
            first,
            all: first,
            ..Default::default()
        };
        creditgate_ledger::lend::question(
            book,
            journal,
            context,
            place,
            lease,
            need(creditgate_core::amount::Amount::new(600)),
        );
        creditgate_ledger::lend::question(
            book,
            journal,
            context,
            place,
            lease,
            need(creditgate_core::amount::Amount::new(900_000)),
        );
        let lease = book
            .lease_place(wallet.account, one, lease_number(u64::MAX))
            .unwrap();
        quarantine::set_aside(
            book,
            journal,
            context,
            place,
            lease,
            QuarantineCause::CellLost,
        );
        credential::add(
            book,
            context,
            Some("first".to_owned()),
            credential_hash("k"),
        )
        .unwrap();
        book.customer.credential_version = u32::MAX;
        book.clone()
    });
    assert!(decided.leases.iter().any(|lease| lease.told.is_some()));
    assert!(
        decided
            .leases
            .iter()
            .any(|lease| lease.state == LeaseState::Quarantined)
    );
    let mut desk = desk.reopen();
    assert_eq!(
        desk.load(&[Target::Customer(wallet.customer)]).books,
        std::slice::from_ref(&decided)
    );
    assert_eq!(desk.book(wallet.customer), decided);
}

const fn lease_number(number: u64) -> creditgate_core::lease::LeaseNumber {
    creditgate_core::lease::LeaseNumber(number)
}

fn used_up_lot_leaves_the_book_but_still_finds_it<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("acme");
    let lot = desk.book(wallet.customer).lots[0].clone();
    let lease = desk.lend(&wallet, InstanceId(1), 5, 1_000);
    assert_eq!(
        desk.book(wallet.customer).lots.len(),
        1,
        "a lot that is lent is live"
    );
    desk.report(&lease, wallet.customer, 1_000, 0, None);
    assert!(desk.book(wallet.customer).lots.is_empty());
    assert!(
        desk.load(&[Target::Lot(lot.id)])
            .places
            .contains_key(&Target::Lot(lot.id))
    );
    let (owner, past) = desk.reader().lot(lot.id).unwrap().unwrap();
    assert_eq!((owner, past.spent.get()), (wallet.customer, 1_000));
}

/// A lease that was turned, paid off and overtaken by a newer one.
fn with_past_lease<B: Backend>(
    desk: &mut Desk<B>,
) -> (creditgate_ledger::Wallet, creditgate_ledger::Lease) {
    let wallet = desk.funded("acme");
    let first = desk.lend(&wallet, InstanceId(1), 5, 100);
    desk.report(&first, wallet.customer, 40, 60, None);
    desk.lend(&wallet, InstanceId(1), 6, 100);
    (wallet, first)
}

fn closed_lease_leaves_the_book_once_a_newer_one_is_there<B: Backend>(mut desk: Desk<B>) {
    let (wallet, past) = with_past_lease(&mut desk);
    let numbers: Vec<_> = desk
        .book(wallet.customer)
        .leases
        .iter()
        .map(|lease| lease.number.0)
        .collect();
    assert_eq!(numbers, [6]);
    let (owner, past) = desk.reader().lease(past.id).unwrap().unwrap();
    assert_eq!(
        (owner, past.state, past.newest),
        (wallet.customer, LeaseState::Closed, false)
    );
}

fn past_lease_that_a_report_names_is_put_into_its_book<B: Backend>(mut desk: Desk<B>) {
    let (wallet, past) = with_past_lease(&mut desk);
    let named = |number| NamedLease {
        account: wallet.account,
        instance: InstanceId(1),
        number: lease_number(number),
    };
    let mut plan = LoadPlan {
        targets: vec![Target::Account(wallet.account)],
        ..LoadPlan::default()
    };
    plan.reported = vec![named(5), named(6), named(5), named(7)];
    let book = desk
        .backend
        .writer()
        .load(&plan)
        .unwrap()
        .books
        .pop()
        .unwrap();
    let numbers: Vec<_> = book.leases.iter().map(|lease| lease.number.0).collect();
    assert_eq!(numbers, [5, 6]);
    assert_eq!(book.leases[0].id, past.id);
    // It is changed like any other, and is history afterwards again.
    let mut after = book.clone();
    after.leases[0].pushes += 1;
    let books = vec![creditgate::storage::BookChange {
        before: Some(book),
        after,
    }];
    desk.backend
        .writer()
        .commit(&ChangeSet {
            books,
            ..ChangeSet::default()
        })
        .unwrap();
    assert_eq!(
        desk.reader().lease(past.id).unwrap().unwrap().1.pushes,
        past.pushes + 2
    );
    assert_eq!(desk.book(wallet.customer).leases.len(), 1);
    // Of an account that is not loaded, nothing is.
    plan.targets.clear();
    assert!(desk.backend.writer().load(&plan).unwrap().books.is_empty());
}

fn application_that_was_given_up_is_put_into_its_book_if_it_is_named<B: Backend>(
    mut desk: Desk<B>,
) {
    let world = World::make(&mut desk, 23, true);
    let (live, past): (Vec<_>, Vec<_>) = world
        .books
        .iter()
        .flat_map(|book| &book.applications)
        .partition(|row| row.is_live());
    assert!(!live.is_empty() && !past.is_empty(), "the world has both");
    for row in live.iter().chain(&past) {
        let unnamed = desk.load(&[Target::Customer(row.customer)]);
        assert_eq!(unnamed.books[0].applications.contains(row), row.is_live());
        // Twice named, once there, and in the order of the ids.
        let target = Target::Application(row.id);
        let loaded = desk.load(&[target.clone(), Target::Customer(row.customer), target]);
        let rows = &loaded.books[0].applications;
        assert_eq!(rows.iter().filter(|known| known == row).count(), 1);
        assert!(rows.is_sorted_by_key(|known| known.id));
    }
}

fn revoked_key_leaves_the_book<B: Backend>(mut desk: Desk<B>) {
    let customer = desk.customer("acme").id;
    let hash = credential_hash("k");
    let now = desk.now;
    let key = desk.decide(customer, |book, _, context| {
        credential::add(book, context, None, hash).unwrap()
    });
    desk.decide(customer, |book, _, context| {
        credential::revoke(book, context, key.id, now).unwrap()
    });
    assert!(desk.book(customer).keys.is_empty());
    assert_eq!(desk.reader().credential(&hash).unwrap(), None);
    assert_eq!(
        desk.reader().key(key.id).unwrap().unwrap().revoked_at,
        Some(now)
    );
    let targets = [Target::Credential(hash), Target::Key(key.id)];
    assert!(desk.load(&targets).places.is_empty());
}

fn first_answer_is_found_under_its_key_byte_for_byte<B: Backend>(mut desk: Desk<B>) {
    let answer = stored_answer(b"{\"id\":\t\"x\"}\x00\xff\n");
    let answers = vec![(idempotency("one"), answer.clone())];
    desk.backend
        .writer()
        .commit(&ChangeSet {
            answers,
            ..ChangeSet::default()
        })
        .unwrap();
    let mut desk = desk.reopen();
    let other_principal = creditgate::storage::IdempotencyKey {
        principal: "key_other".to_owned(),
        ..idempotency("one")
    };
    let plan = LoadPlan {
        idempotency: vec![idempotency("one"), idempotency("two"), other_principal],
        ..LoadPlan::default()
    };
    let loaded = desk.backend.writer().load(&plan).unwrap();
    assert_eq!(
        loaded.answers.into_iter().collect::<Vec<_>>(),
        [(idempotency("one"), answer)]
    );
}

fn new_database_has_the_epoch_it_was_given<B: Backend>(mut desk: Desk<B>) {
    assert_eq!(desk.load(&[]).registry.epoch, crate::desk::EPOCH);
    let desk = desk.reopen();
    assert_eq!(desk.reader().registry().unwrap().epoch, crate::desk::EPOCH);
}
