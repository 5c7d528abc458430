//! Lists: every filter, in pages, against what a plain search through all rows finds.

use core::cmp::Reverse;

use creditgate::storage::{
    ApplicationFilter, ClaimFilter, CustomerFilter, EntryFilter, GrantFilter, LotFilter, Reader,
    SubscriptionFilter, WalletFilter,
};
use creditgate_core::amount::Currency;
use creditgate_core::outage::OnUnavailable;
use creditgate_core::protocol::EnforcementMode;
use creditgate_ledger::customer::CustomerChange;
use creditgate_ledger::grant::ApplicationState;
use creditgate_ledger::subscription::SubscriptionStatus;
use creditgate_ledger::{
    CustomerStatus, Entry, EntryKind, Fact, LotKind, LotStatus, ReasonCode, Timestamp,
    WalletStatus, customer,
};

use crate::desk::{Backend, Desk, all_pages};
use crate::world::World;

crate::on_every_backend!(
    customers_are_listed_by_status_and_mode,
    wallets_are_listed_by_customer_currency_and_status,
    lots_are_listed_by_kind_and_status,
    entries_are_listed_by_what_they_are_about,
    chain_is_read_in_its_order,
    claims_are_listed_by_wallet,
    subscriptions_are_listed_by_customer_plan_and_status,
    grants_are_listed_by_scope,
    applications_are_listed_newest_first,
);

/// None, and each of the values.
pub(crate) fn or_any<T: Clone>(values: &[T]) -> Vec<Option<T>> {
    let some = values.iter().cloned().map(Some);
    std::iter::once(None).chain(some).collect()
}

fn customers_are_listed_by_status_and_mode<B: Backend>(mut desk: Desk<B>) {
    let statuses = [CustomerStatus::Active, CustomerStatus::Suspended];
    let modes = [
        EnforcementMode::Enforce,
        EnforcementMode::Shadow,
        EnforcementMode::Off,
    ];
    let words = [
        None,
        Some(OnUnavailable::Allow),
        Some(OnUnavailable::Shadow),
    ];
    let mut made = Vec::new();
    for (round, word) in words.into_iter().enumerate() {
        for status in statuses {
            for mode in modes {
                let customer = desk.customer(&format!("c{round}{status:?}{mode:?}")).id;
                desk.decide(customer, |book, journal, context| {
                    let change = CustomerChange {
                        status: Some(status),
                        mode: Some(mode),
                        on_unavailable: Some(word),
                        ..CustomerChange::default()
                    };
                    customer::change(book, journal, context, change);
                });
                made.push(desk.book(customer).customer);
            }
        }
    }
    for status in or_any(&statuses) {
        for mode in or_any(&modes) {
            let filter = CustomerFilter { status, mode };
            let mut expected = made.clone();
            expected.retain(|row| status.is_none_or(|of| of == row.status));
            expected.retain(|row| mode.is_none_or(|of| of == row.mode));
            let got = all_pages(|page| desk.reader().customers(filter, page).unwrap());
            assert_eq!(got, expected, "{filter:?}");
        }
    }
}

fn wallets_are_listed_by_customer_currency_and_status<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 21, false);
    let customers: Vec<_> = world.books.iter().map(|book| book.customer.id).collect();
    let currencies = ["tokens", "USD", "none"].map(|code| Currency::new(code).unwrap());
    let statuses = [
        WalletStatus::Active,
        WalletStatus::Frozen,
        WalletStatus::Closed,
    ];
    for customer in or_any(&customers[..2]) {
        for currency in or_any(&currencies) {
            for status in or_any(&statuses) {
                let filter = WalletFilter {
                    customer,
                    currency,
                    status,
                };
                let wallets = world.books.iter().flat_map(|book| &book.wallets);
                let mut expected: Vec<_> = wallets
                    .filter(|row| customer.is_none_or(|of| of == row.customer))
                    .filter(|row| currency.is_none_or(|of| of == row.currency))
                    .filter(|row| status.is_none_or(|of| of == row.status))
                    .cloned()
                    .collect();
                expected.sort_by_key(|row| row.id);
                let got = all_pages(|page| desk.reader().wallet_list(filter, page).unwrap());
                assert_eq!(got, expected, "{filter:?}");
            }
        }
    }
}

fn lots_are_listed_by_kind_and_status<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 22, false);
    let statuses = [
        LotStatus::Pending,
        LotStatus::Active,
        LotStatus::Depleted,
        LotStatus::Expired,
        LotStatus::Voided,
    ];
    // Each lot's own instants, and a moment before.
    let lots: Vec<_> = world.books.iter().flat_map(|book| &book.lots).collect();
    let instants = lots
        .iter()
        .flat_map(|lot| [Some(lot.effective_at), lot.expires_at]);
    let instants = instants.flatten();
    let instants: Vec<_> = instants.flat_map(|at| [at, Timestamp(at.0 - 1)]).collect();
    let mut found = 0;
    for wallet in world.books.iter().flat_map(|book| &book.wallets) {
        for kind in or_any(&[LotKind::Purchased, LotKind::CreditLine]) {
            for status in std::iter::once(None).chain(statuses.map(Some)) {
                for now in &instants {
                    let filter = LotFilter::Some {
                        wallet: wallet.id,
                        kind,
                        status: status.map(|status| (status, *now)),
                    };
                    let expected: Vec<_> = lots
                        .iter()
                        .filter(|lot| lot.wallet == wallet.id)
                        .filter(|lot| kind.is_none_or(|kind| kind == lot.kind))
                        .filter(|lot| status.is_none_or(|status| status == lot.status(*now)))
                        .map(|lot| (*lot).clone())
                        .collect();
                    found += expected.len();
                    let got = all_pages(|page| desk.reader().lots(filter, page).unwrap());
                    assert_eq!(got, expected, "{filter:?}");
                    if status.is_none() {
                        break;
                    }
                }
            }
        }
    }
    assert!(found > 100);
}

/// Entries that match, newest first.
fn matching(world: &World, matches: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    let mut entries: Vec<_> = world
        .entries
        .iter()
        .filter(|row| matches(row))
        .cloned()
        .collect();
    entries.sort_by_key(|row| Reverse(row.number));
    entries
}

fn entries_are_listed_by_what_they_are_about<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 23, false);
    let book = &world.books[0];
    let list = |filter| all_pages(|page| desk.reader().entries(filter, page).unwrap());
    let account = book.accounts[0].id;
    let of_account = matching(&world, |row| row.account == account);
    assert_eq!(list(EntryFilter::Account(account)), of_account);
    let lot_of = |id| book.lots.iter().find(|lot| lot.id == id);
    for lot in &book.lots {
        let expected = matching(&world, |row| {
            let says = match &row.fact {
                Some(Fact::LotMade(terms)) => Some(terms.lot),
                Some(Fact::LotVoided { lot }) => Some(*lot),
                _ => None,
            };
            says == Some(lot.id) || row.draws.iter().any(|draw| draw.lot == lot.id)
        });
        assert_eq!(list(EntryFilter::Lot(lot.id)), expected);
    }
    let instants = [0, 1, 4_000, 4_001, 9_000, 90_000].map(Timestamp);
    let kinds = [
        EntryKind::Usage,
        EntryKind::Lending,
        EntryKind::TopUp,
        EntryKind::Debit,
    ];
    let reasons = [
        ReasonCode::Usage,
        ReasonCode::LeaseLending,
        ReasonCode::CreditRolledOver,
    ];
    for wallet in book.wallets.iter().map(|wallet| wallet.id) {
        let concerns = |row: &Entry| {
            let mut drawn = row.draws.iter().filter_map(|draw| lot_of(draw.lot));
            row.wallet == Some(wallet) || drawn.any(|lot| lot.wallet == wallet)
        };
        let all = matching(&world, concerns);
        assert_eq!(list(EntryFilter::Wallet(wallet)), all);
        for kind in or_any(&kinds) {
            for reason in or_any(&reasons) {
                for (from, before) in or_any(&instants).into_iter().zip(or_any(&instants)) {
                    for (from, before) in
                        [(from, None), (None, before), (from, Some(Timestamp(5_000)))]
                    {
                        let filter = EntryFilter::Some {
                            wallet,
                            kind,
                            reason,
                            from,
                            before,
                        };
                        let mut expected = all.clone();
                        expected.retain(|row| kind.is_none_or(|kind| kind == row.kind));
                        expected.retain(|row| reason.is_none_or(|reason| reason == row.reason));
                        expected.retain(|row| from.is_none_or(|from| row.booked_at >= from));
                        expected.retain(|row| before.is_none_or(|before| row.booked_at < before));
                        assert_eq!(list(filter), expected, "{filter:?}");
                    }
                }
            }
        }
    }
}

fn chain_is_read_in_its_order<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 24, true);
    for book in &world.books {
        let account = &book.accounts[0];
        let mut expected = matching(&world, |row| row.account == account.id);
        expected.reverse();
        let chain = |after, limit| desk.reader().chain(account.id, after, limit).unwrap();
        assert_eq!(chain(0, 99), expected);
        assert_eq!(chain(0, 7), expected[..7]);
        assert_eq!(chain(7, 7), expected[7..14]);
        assert!(chain(30, 7).is_empty() && chain(u64::MAX, 7).is_empty());
        // What comes back is what was hashed.
        let mut read = creditgate_ledger::chain::Chain::default();
        assert!(chain(0, 99).iter().all(|entry| read.follows(entry)));
        assert_eq!(read, account.chain);
        assert!(
            desk.reader()
                .chain(book.accounts[1].id, 0, 9)
                .unwrap()
                .is_empty()
        );
    }
}

fn claims_are_listed_by_wallet<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 25, false);
    let wallets: Vec<_> = world.books.iter().flat_map(|book| &book.wallets).collect();
    for wallet in or_any(&wallets[..3]) {
        for open_only in [false, true] {
            let filter = ClaimFilter {
                wallet: wallet.map(|wallet| wallet.id),
                open_only,
            };
            let claims = world.books.iter().flat_map(|book| &book.claims);
            let mut expected: Vec<_> = claims
                .filter(|row| wallet.is_none_or(|wallet| wallet.id == row.wallet))
                .filter(|row| !open_only || row.closed_at.is_none())
                .cloned()
                .collect();
            expected.sort_by_key(|row| row.id);
            let got = all_pages(|page| desk.reader().claims(filter, page).unwrap());
            assert_eq!(got, expected, "{filter:?}");
        }
    }
}

fn subscriptions_are_listed_by_customer_plan_and_status<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 26, false);
    let customers: Vec<_> = world.books.iter().map(|book| book.customer.id).collect();
    let plans: Vec<_> = world.registry.plans.iter().map(|plan| plan.id).collect();
    let statuses = [
        SubscriptionStatus::Active,
        SubscriptionStatus::Paused,
        SubscriptionStatus::Cancelled,
    ];
    for customer in or_any(&customers[..2]) {
        for plan in or_any(&plans) {
            for status in or_any(&statuses) {
                let filter = SubscriptionFilter {
                    customer,
                    plan,
                    status,
                };
                let rows = world.books.iter().flat_map(|book| &book.subscriptions);
                let mut expected: Vec<_> = rows
                    .filter(|row| customer.is_none_or(|of| of == row.customer))
                    .filter(|row| plan.is_none_or(|of| of == row.plan))
                    .filter(|row| status.is_none_or(|of| of == row.status))
                    .cloned()
                    .collect();
                expected.sort_by_key(|row| row.id);
                let got = all_pages(|page| desk.reader().subscriptions(filter, page).unwrap());
                assert_eq!(got, expected, "{filter:?}");
            }
        }
    }
}

fn grants_are_listed_by_scope<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 27, false);
    let scopes: Vec<_> = world.grants().iter().map(|grant| grant.scope).collect();
    for scope in or_any(&scopes) {
        for with_archived in [false, true] {
            let filter = GrantFilter {
                scope,
                with_archived,
            };
            let rows = world.grants().into_iter();
            let expected: Vec<_> = rows
                .filter(|row| scope.is_none_or(|of| of == row.scope))
                .filter(|row| with_archived || row.archived_at.is_none())
                .cloned()
                .collect();
            let got = all_pages(|page| desk.reader().grants(filter, page).unwrap());
            assert_eq!(got, expected, "{filter:?}");
        }
    }
}

fn applications_are_listed_newest_first<B: Backend>(mut desk: Desk<B>) {
    let world = World::make(&mut desk, 28, false);
    let book = &world.books[0];
    let customers: Vec<_> = world.books.iter().map(|book| book.customer.id).collect();
    let subscriptions: Vec<_> = book.subscriptions.iter().map(|row| row.id).collect();
    let grants: Vec<_> = book.grants.iter().map(|row| row.id).collect();
    let states = [
        ApplicationState::Applied,
        ApplicationState::Skipped,
        ApplicationState::Failed,
    ];
    for customer in or_any(&customers[..2]) {
        for subscription in or_any(&subscriptions[..2]) {
            for grant in or_any(&grants[..3]) {
                for state in or_any(&states) {
                    let filter = ApplicationFilter {
                        customer,
                        subscription,
                        grant,
                        state,
                    };
                    let rows = world.books.iter().flat_map(|book| &book.applications);
                    let mut expected: Vec<_> = rows
                        .filter(|row| customer.is_none_or(|of| of == row.customer))
                        .filter(|row| subscription.is_none_or(|of| row.subscription == Some(of)))
                        .filter(|row| grant.is_none_or(|of| of == row.grant))
                        .filter(|row| state.is_none_or(|of| of == row.state))
                        .cloned()
                        .collect();
                    expected.sort_by_key(|row| Reverse(row.id));
                    let got = all_pages(|page| desk.reader().applications(filter, page).unwrap());
                    assert_eq!(got, expected, "{filter:?}");
                }
            }
        }
    }
}
