//! Lists, pages and snapshots.

use creditgate::storage::{
    CustomerFilter, EntryFilter, LeaseFilter, LotFilter, PageRequest, Reader, Target,
};
use creditgate_core::key::credential_hash;
use creditgate_ledger::id::{CustomerId, InstanceId};
use creditgate_ledger::{EntryKind, LeaseState, LedgerAccount, credential};

use crate::desk::{Backend, Desk, all_pages, unknown_account, unknown_wallet};

crate::on_every_backend!(
    every_customer_is_on_one_page,
    lots_are_listed_with_those_that_are_history,
    leases_are_listed_newest_first_by_any_filter,
    keys_are_listed_with_revoked_ones,
    entries_come_newest_first_with_postings_and_draws,
    wallet_has_the_entries_that_drew_from_its_lots,
    page_of_exactly_the_limit_has_no_next,
    snapshot_keeps_its_moment,
);

fn every_customer_is_on_one_page<B: Backend>(mut desk: Desk<B>) {
    let made: Vec<_> = (0..7).map(|n| desk.customer(&format!("c{n}")).id).collect();
    let listed = all_pages(|page| {
        desk.reader()
            .customers(CustomerFilter::default(), page)
            .unwrap()
    });
    assert_eq!(
        listed
            .iter()
            .map(|customer| customer.id)
            .collect::<Vec<_>>(),
        made
    );
}

fn lots_are_listed_with_those_that_are_history<B: Backend>(mut desk: Desk<B>) {
    desk.funded("other");
    let wallet = desk.funded("acme");
    let lease = desk.lend(&wallet, InstanceId(1), 5, 1_000);
    desk.report(&lease, wallet.customer, 1_000, 0, None);
    let second = desk.wallet(wallet.customer);
    let mut made: Vec<_> = (1..=4)
        .map(|amount| desk.top_up(&second, amount).id)
        .collect();
    let of_second = all_pages(|page| {
        desk.reader()
            .lots(LotFilter::Wallet(second.id), page)
            .unwrap()
    });
    assert_eq!(of_second.iter().map(|lot| lot.id).collect::<Vec<_>>(), made);
    let of_customer = all_pages(|page| {
        desk.reader()
            .lots(LotFilter::Customer(wallet.customer), page)
            .unwrap()
    });
    made.insert(0, of_customer[0].id);
    assert_eq!(
        of_customer.iter().map(|lot| lot.id).collect::<Vec<_>>(),
        made
    );
    assert_eq!(of_customer[0].wallet, wallet.id);
    assert_eq!(
        desk.reader().wallets(wallet.customer).unwrap(),
        [wallet.clone(), second]
    );
    assert_eq!(desk.reader().wallet(wallet.id).unwrap(), Some(wallet));
    assert_eq!(desk.reader().wallet(unknown_wallet()).unwrap(), None);
    assert!(
        desk.reader()
            .wallets(CustomerId(0xdead))
            .unwrap()
            .is_empty()
    );
}

fn leases_are_listed_newest_first_by_any_filter<B: Backend>(mut desk: Desk<B>) {
    let (one, two) = (InstanceId(1), InstanceId(2));
    let (acme, other) = (desk.funded("acme"), desk.funded("other"));
    for number in 1..=4 {
        let lease = desk.lend(&acme, one, number, 10);
        desk.report(&lease, acme.customer, 4, 6, None);
    }
    let open = desk.lend(&acme, two, 1, 10);
    let others = desk.lend(&other, one, 1, 10);
    let listed = |filter| {
        let leases = all_pages(|page| desk.reader().leases(filter, page).unwrap());
        leases
            .into_iter()
            .map(|(customer, lease)| (customer, lease.number.0, lease.instance))
            .collect::<Vec<_>>()
    };
    let (a, b) = (acme.customer, other.customer);
    let everything = [
        (b, 1, one),
        (a, 1, two),
        (a, 4, one),
        (a, 3, one),
        (a, 2, one),
        (a, 1, one),
    ];
    let all = LeaseFilter::default();
    assert_eq!(listed(all), everything);
    assert_eq!(
        listed(LeaseFilter {
            customer: Some(a),
            ..all
        }),
        everything[1..]
    );
    assert_eq!(
        listed(LeaseFilter {
            instance: Some(two),
            ..all
        }),
        [everything[1]]
    );
    assert_eq!(
        listed(LeaseFilter {
            instance: Some(one),
            customer: Some(b),
            ..all
        }),
        [everything[0]]
    );
    let of_state = |state| {
        listed(LeaseFilter {
            state: Some(state),
            ..all
        })
    };
    let live: Vec<_> = [&others, &open]
        .iter()
        .map(|lease| lease.instance)
        .collect();
    assert!(
        of_state(LeaseState::Open)
            .iter()
            .map(|row| row.2)
            .collect::<Vec<_>>()
            .starts_with(&live)
    );
    assert_eq!(
        of_state(LeaseState::Closed).len() + of_state(LeaseState::Open).len(),
        6
    );
    assert!(of_state(LeaseState::Quarantined).is_empty());
    assert_eq!(
        listed(LeaseFilter {
            instance: Some(one),
            customer: Some(b),
            state: Some(LeaseState::Open),
            ..all
        }),
        [everything[0]]
    );
}

fn keys_are_listed_with_revoked_ones<B: Backend>(mut desk: Desk<B>) {
    let customer = desk.customer("acme").id;
    let now = desk.now;
    let made: Vec<_> = (0..5)
        .map(|n| {
            desk.decide(customer, |book, _, context| {
                credential::add(book, context, None, credential_hash(&n.to_string())).unwrap()
            })
            .id
        })
        .collect();
    desk.decide(customer, |book, _, context| {
        credential::revoke(book, context, made[1], now).unwrap()
    });
    let listed = all_pages(|page| desk.reader().keys(customer, page).unwrap());
    assert_eq!(listed.iter().map(|key| key.id).collect::<Vec<_>>(), made);
    assert!(listed[1].revoked_at.is_some() && listed[2].revoked_at.is_none());
}

fn entries_come_newest_first_with_postings_and_draws<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("acme");
    let lot = desk.book(wallet.customer).lots[0].id;
    let lease = desk.lend(&wallet, InstanceId(1), 5, 100);
    for settled in [10, 30, 60, 100] {
        desk.now = desk.now.plus_ms(50);
        desk.report(&lease, wallet.customer, settled, 0, None);
    }
    let entries = all_pages(|page| {
        desk.reader()
            .entries(EntryFilter::Account(wallet.account), page)
            .unwrap()
    });
    assert!(entries.is_sorted_by(|newer, older| newer.number > older.number));
    // Before it was topped up the wallet was opened.
    assert_eq!(entries[entries.len() - 2].kind, EntryKind::TopUp);
    let used: Vec<_> = entries
        .iter()
        .map(|entry| entry.posted(LedgerAccount::Spent).get())
        .filter(|spent| *spent != 0)
        .collect();
    assert_eq!(used, [40, 30, 20, 10]);
    let newest = &entries[0];
    assert_eq!(
        (newest.lease, newest.actor.as_str()),
        (Some(lease.id), "key_of_tests")
    );
    assert!(
        newest
            .usage_from
            .is_some_and(|from| from < newest.booked_at)
    );
    assert_eq!(
        (newest.draws[0].lot, newest.draws[0].amount.get()),
        (lot, 40)
    );
    let unknown = desk
        .reader()
        .entries(
            EntryFilter::Account(unknown_account()),
            PageRequest::first(9),
        )
        .unwrap();
    assert!(unknown.items.is_empty() && unknown.next.is_none());
}

fn wallet_has_the_entries_that_drew_from_its_lots<B: Backend>(mut desk: Desk<B>) {
    let customer = desk.customer("acme").id;
    let (one, two) = (desk.wallet(customer), desk.wallet(customer));
    desk.top_up_dated(&one, 100, None, Some(5_000_000));
    desk.top_up(&two, 50);
    let lease = desk.lend(&one, InstanceId(1), 5, 120);
    desk.report(&lease, customer, 90, 0, None);
    let of = |wallet| {
        all_pages(|page| {
            desk.reader()
                .entries(EntryFilter::Wallet(wallet), page)
                .unwrap()
        })
    };
    let kinds = |wallet| {
        of(wallet)
            .iter()
            .map(|entry| entry.kind)
            .collect::<Vec<_>>()
    };
    use EntryKind::{Lending, Note, TopUp, Usage};
    assert_eq!(kinds(one.id), [Usage, Lending, TopUp, Note]);
    assert_eq!(kinds(two.id), [Lending, TopUp, Note]);
    assert!(of(unknown_wallet()).is_empty());
}

fn page_of_exactly_the_limit_has_no_next<B: Backend>(mut desk: Desk<B>) {
    for n in 0..3 {
        desk.customer(&format!("c{n}"));
    }
    assert_eq!(
        desk.reader()
            .customers(CustomerFilter::default(), PageRequest::first(3))
            .unwrap()
            .next,
        None
    );
    assert!(
        desk.reader()
            .customers(CustomerFilter::default(), PageRequest::first(2))
            .unwrap()
            .next
            .is_some()
    );
}

fn snapshot_keeps_its_moment<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("acme");
    let target = Target::Customer(wallet.customer);
    let snapshot = desk.reader().snapshot().unwrap();
    let before = desk.book(wallet.customer);
    desk.top_up(&wallet, 5);
    desk.customer("later");
    desk.change_registry(|registry| registry.config_version += 1)
        .unwrap();
    assert_eq!(snapshot.book(&target).unwrap(), Some(before.clone()));
    assert_eq!(
        snapshot
            .customers(CustomerFilter::default(), PageRequest::first(9))
            .unwrap()
            .items
            .len(),
        1
    );
    assert_eq!(snapshot.registry().unwrap().config_version, 0);
    assert_eq!(
        snapshot.snapshot().unwrap().book(&target).unwrap(),
        Some(before.clone())
    );
    assert_ne!(desk.reader().book(&target).unwrap(), Some(before));
    assert_eq!(desk.reader().registry().unwrap().config_version, 1);
}
