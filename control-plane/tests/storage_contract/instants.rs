//! Instants at which time alone changes something, in pages.

use std::collections::BTreeSet;

use creditgate::storage::{BookChange, ChangeSet, Reader, Storage};
use creditgate_core::key::credential_hash;
use creditgate_ledger::id::{CustomerId, InstanceId};
use creditgate_ledger::{Timestamp, credential};

use crate::desk::{Backend, Desk};
use crate::fill::Fill;
use crate::world::World;

crate::on_every_backend!(
    next_instants_are_of_live_lots_and_keys,
    instants_come_in_pages_however_many_share_one,
    instants_are_of_all_that_time_alone_changes,
    thousands_that_share_an_instant_are_each_told_once,
);

const ONE: InstanceId = InstanceId(1);

fn next_instants_are_of_live_lots_and_keys<B: Backend>(mut desk: Desk<B>) {
    let customer = desk.customer("acme").id;
    let wallet = desk.wallet(customer);
    desk.top_up_dated(&wallet, 10, Some(5_000_000), Some(6_000_000));
    let spent = desk.top_up_dated(&wallet, 10, None, Some(9_000_000));
    let now = desk.now;
    let revoked = desk.decide(customer, |book, _, context| {
        let kept = credential::add(book, context, None, credential_hash("kept")).unwrap();
        let revoked = credential::add(book, context, None, credential_hash("revoked")).unwrap();
        credential::revoke(book, context, kept.id, Timestamp(5_500_000)).unwrap();
        credential::revoke(book, context, revoked.id, Timestamp(5_600_000)).unwrap()
    });
    let instants = |desk: &Desk<B>, after| desk.reader().next_instants(behind(after), 99).unwrap();
    let told: Vec<_> = instants(&desk, 1_000_000)
        .iter()
        .map(|(at, owner)| (at.0, *owner))
        .collect();
    let all = [5_000_000, 5_500_000, 5_600_000, 6_000_000, 9_000_000].map(|at| (at, customer));
    assert_eq!(told, all);
    assert_eq!(instants(&desk, 5_500_000).len(), 3);
    // What is used up or revoked changes nothing any more.
    let lease = desk.lend(&wallet, ONE, 5, 10);
    desk.report(&lease, customer, 10, 0, None);
    desk.decide(customer, |book, _, context| {
        credential::revoke(book, context, revoked.id, now).unwrap()
    });
    let told: Vec<_> = instants(&desk, 1_000_000)
        .iter()
        .map(|(at, _)| at.0)
        .collect();
    assert_eq!(told, [5_000_000, 5_500_000, 6_000_000]);
    assert!(desk.reader().lot(spent.id).unwrap().is_some());
}

fn instants_come_in_pages_however_many_share_one<B: Backend>(mut desk: Desk<B>) {
    let midnight = 5_000_000;
    let mut owners = Vec::new();
    for n in 0..10 {
        let customer = desk.customer(&format!("c{n}")).id;
        let wallet = desk.wallet(customer);
        // Several of one instant and one customer are told once.
        desk.top_up_dated(&wallet, 10, None, Some(midnight));
        desk.top_up_dated(&wallet, 10, None, Some(midnight));
        desk.top_up_dated(&wallet, 10, None, Some(midnight + 1 + n));
        owners.push(customer);
    }
    let (mut after, mut told) = (behind(1_000_000), Vec::new());
    loop {
        let page = desk.reader().next_instants(after, 3).unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = *last;
        told.extend(page);
    }
    assert!(told.is_sorted());
    assert_eq!(
        told.iter()
            .filter(|(at, _)| at.0 == midnight)
            .map(|(_, owner)| *owner)
            .collect::<Vec<_>>(),
        owners
    );
    assert_eq!(told.len(), 20);
}

fn instants_are_of_all_that_time_alone_changes<B: Backend>(mut desk: Desk<B>) {
    let mut world = World::make(&mut desk, 41, false);
    for round in 0..3 {
        let mut expected = BTreeSet::new();
        for place in 0..world.books.len() {
            let book = world.live(place);
            let lots = book.lots.iter().flat_map(|lot| {
                let lapses_at = lot.lapses_at.filter(|_| lot.unpaid.get() != 0);
                [Some(lot.effective_at), lot.expires_at, lapses_at]
            });
            let wallets = book.wallets.iter();
            let all = lots
                .chain(wallets.map(|row| row.auto_topup_state.retry_at))
                .chain(book.schedules.iter().map(|row| row.next_at))
                .chain(book.applications.iter().map(|row| row.retry_at))
                .chain(book.subscriptions.iter().map(|row| row.ends_at));
            expected.extend(all.flatten().map(|at| (at, book.customer.id)));
        }
        let expected: Vec<_> = expected.into_iter().collect();
        assert!(expected.len() > 50, "{}", expected.len());
        let next = |after, limit| desk.reader().next_instants(after, limit).unwrap();
        assert_eq!(next(behind(0), 9_999), expected);
        for (place, after) in expected.iter().enumerate().step_by(7) {
            let rest = &expected[place + 1..];
            assert_eq!(next(*after, 5), rest[..rest.len().min(5)], "round {round}");
        }
        world.change(&mut desk);
    }
}

fn thousands_that_share_an_instant_are_each_told_once<B: Backend>(mut desk: Desk<B>) {
    let mut fill = Fill::new(44, true);
    let midnight = Timestamp(1 << 41);
    let mut changes = ChangeSet::default();
    for n in 0..2_000 {
        let mut after = desk.new_book(&format!("c{n}"));
        let account = fill.account(after.customer.id, None);
        let mut wallet = fill.wallet(&account);
        wallet.auto_topup_state.retry_at = Some(midnight);
        after.accounts.push(account);
        after.wallets.push(wallet);
        changes.books.push(BookChange {
            before: None,
            after,
        });
    }
    desk.load(&[]);
    desk.backend.writer().commit(&changes).unwrap();
    let (mut after, mut told) = (behind(0), Vec::new());
    while let page @ [.., last] = desk.reader().next_instants(after, 512).unwrap().as_slice() {
        assert!(page.len() == 512 || told.len() + page.len() == 2_000);
        after = *last;
        told.extend_from_slice(page);
    }
    let owners = changes.books.iter().map(|change| change.after.customer.id);
    let expected: Vec<_> = owners.map(|owner| (midnight, owner)).collect();
    assert_eq!(told, expected);
}

/// Behind all of an instant.
fn behind(instant: i64) -> (Timestamp, CustomerId) {
    (Timestamp(instant), CustomerId(u128::MAX))
}
