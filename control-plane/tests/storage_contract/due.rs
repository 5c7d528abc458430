//! What is due: changes for gateways, missing reports, quarantine.

use creditgate::storage::{Reader, Storage, Target};
use creditgate_core::lease::LeaseNumber;
use creditgate_ledger::id::InstanceId;
use creditgate_ledger::lease::QuarantineCause;
use creditgate_ledger::{LedgerAccount, Timestamp, Wallet, quarantine};

use crate::desk::{Backend, Desk};

crate::on_every_backend!(
    pushed_lease_gets_the_next_change_number,
    change_is_told_once_by_its_latest_number,
    changes_of_other_instances_are_not_told,
    change_numbers_grow_over_reopening,
    lease_that_was_not_pushed_is_no_change,
    overdue_are_accounts_with_credit_out_and_no_report_since,
    instances_with_credit_out_are_known,
    totals_are_of_leases_that_are_not_closed,
    what_is_owed_is_summed_by_currency,
    quarantined_since_are_oldest_first,
);

const ONE: InstanceId = InstanceId(1);
const TWO: InstanceId = InstanceId(2);

fn push<B: Backend>(desk: &mut Desk<B>, wallet: &Wallet) {
    desk.decide(wallet.customer, |book, _, _| book.push(wallet.account));
}

fn told<B: Backend>(desk: &Desk<B>, instance: InstanceId, after: u64) -> Vec<(u64, u64)> {
    let changes = desk.reader().changes(instance, after, 100).unwrap();
    changes
        .into_iter()
        .map(|(change, _, _, LeaseNumber(number))| (change, number))
        .collect()
}

fn pushed_lease_gets_the_next_change_number<B: Backend>(mut desk: Desk<B>) {
    let (acme, other) = (desk.funded("acme"), desk.funded("other"));
    desk.lend(&acme, ONE, 5, 10);
    desk.lend(&other, ONE, 6, 10);
    let start = desk.reader().last_change().unwrap();
    push(&mut desk, &acme);
    push(&mut desk, &other);
    let changes = desk.reader().changes(ONE, start, 100).unwrap();
    let expected = [
        (start + 1, acme.customer, acme.account, LeaseNumber(5)),
        (start + 2, other.customer, other.account, LeaseNumber(6)),
    ];
    assert_eq!(changes, expected);
    assert_eq!(desk.reader().last_change().unwrap(), start + 2);
    assert_eq!(desk.reader().changes(ONE, start, 1).unwrap(), expected[..1]);
    assert!(
        desk.reader()
            .changes(ONE, start + 2, 100)
            .unwrap()
            .is_empty()
    );
    assert!(
        desk.reader()
            .changes(ONE, u64::MAX, 100)
            .unwrap()
            .is_empty()
    );
}

fn change_is_told_once_by_its_latest_number<B: Backend>(mut desk: Desk<B>) {
    let (acme, other) = (desk.funded("acme"), desk.funded("other"));
    desk.lend(&acme, ONE, 5, 10);
    desk.lend(&other, ONE, 6, 10);
    let start = desk.reader().last_change().unwrap();
    push(&mut desk, &acme);
    push(&mut desk, &other);
    push(&mut desk, &acme);
    assert_eq!(told(&desk, ONE, start), [(start + 2, 6), (start + 3, 5)]);
    // The cursor says what was seen: after a gap everything later comes.
    assert_eq!(told(&desk, ONE, start + 2), [(start + 3, 5)]);
    assert_eq!(told(&desk, ONE, 0).len(), 2);
}

fn changes_of_other_instances_are_not_told<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("acme");
    desk.lend(&wallet, ONE, 5, 10);
    desk.lend(&wallet, TWO, 6, 10);
    let start = desk.reader().last_change().unwrap();
    push(&mut desk, &wallet);
    assert_eq!(told(&desk, ONE, start).len(), 1);
    assert_eq!(told(&desk, TWO, start).len(), 1);
    assert_ne!(told(&desk, ONE, start)[0].0, told(&desk, TWO, start)[0].0);
    assert!(told(&desk, InstanceId(3), 0).is_empty());
}

fn change_numbers_grow_over_reopening<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("acme");
    desk.lend(&wallet, ONE, 5, 10);
    push(&mut desk, &wallet);
    let first = desk.reader().last_change().unwrap();
    let mut desk = desk.reopen();
    push(&mut desk, &wallet);
    assert_eq!(desk.reader().last_change().unwrap(), first + 1);
    // Work that is given up uses no number up.
    desk.load(&[Target::Customer(wallet.customer)]);
    desk.backend.writer().abandon();
    push(&mut desk, &wallet);
    assert_eq!(desk.reader().last_change().unwrap(), first + 2);
}

fn lease_that_was_not_pushed_is_no_change<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("acme");
    let lease = desk.lend(&wallet, ONE, 5, 10);
    let start = desk.reader().last_change().unwrap();
    desk.report(&lease, wallet.customer, 1, 0, None);
    desk.decide(wallet.customer, |book, _, _| book.customer.name = None);
    assert_eq!(desk.reader().last_change().unwrap(), start);
}

fn overdue_are_accounts_with_credit_out_and_no_report_since<B: Backend>(mut desk: Desk<B>) {
    let (acme, other, idle) = (
        desk.funded("acme"),
        desk.funded("other"),
        desk.funded("idle"),
    );
    desk.now = Timestamp(2_000_000);
    desk.lend(&other, ONE, 5, 10);
    let returned = desk.lend(&idle, ONE, 5, 10);
    desk.report(&returned, idle.customer, 4, 6, None);
    desk.now = Timestamp(2_001_000);
    let reported = desk.lend(&acme, ONE, 5, 10);
    desk.lend(&acme, TWO, 5, 10);
    let overdue = |desk: &Desk<B>, before, limit| {
        desk.reader()
            .overdue(ONE, Timestamp(before), limit)
            .unwrap()
    };
    assert_eq!(overdue(&desk, 2_001_001, 9), [other.account, acme.account]);
    assert_eq!(overdue(&desk, 2_001_001, 1), [other.account]);
    assert_eq!(overdue(&desk, 2_000_500, 9), [other.account]);
    assert!(overdue(&desk, 1_999_500, 9).is_empty());
    desk.now = Timestamp(2_005_000);
    desk.report(&reported, acme.customer, 3, 0, None);
    assert_eq!(overdue(&desk, 2_004_000, 9), [other.account]);
    set_aside(&mut desk, &other, 5);
    assert!(overdue(&desk, 2_004_000, 9).is_empty());
}

fn set_aside<B: Backend>(desk: &mut Desk<B>, wallet: &Wallet, number: u64) {
    desk.decide(wallet.customer, |book, journal, context| {
        let place = book.account_place(wallet.account).unwrap();
        let lease = book
            .lease_place(wallet.account, ONE, LeaseNumber(number))
            .unwrap();
        quarantine::set_aside(
            book,
            journal,
            context,
            place,
            lease,
            QuarantineCause::InstanceSilent,
        );
    });
}

fn instances_with_credit_out_are_known<B: Backend>(mut desk: Desk<B>) {
    assert!(desk.reader().outstanding_instances().unwrap().is_empty());
    let (acme, other) = (desk.funded("acme"), desk.funded("other"));
    desk.lend(&acme, TWO, 5, 10);
    desk.lend(&acme, ONE, 5, 10);
    desk.lend(&other, ONE, 5, 10);
    assert_eq!(desk.reader().outstanding_instances().unwrap(), [ONE, TWO]);
    desk.decide(acme.customer, |book, _, _| {
        for lease in &mut book.leases {
            lease.state = creditgate_ledger::LeaseState::Closed;
        }
    });
    assert_eq!(desk.reader().outstanding_instances().unwrap(), [ONE]);
}

fn totals_are_of_leases_that_are_not_closed<B: Backend>(mut desk: Desk<B>) {
    assert!(desk.reader().lease_totals().unwrap().is_empty());
    let (acme, other) = (desk.funded("acme"), desk.funded("other"));
    let lent = [
        desk.lend(&acme, ONE, 5, 10),
        desk.lend(&acme, TWO, 5, 20),
        desk.lend(&other, ONE, 5, 30),
    ];
    set_aside(&mut desk, &other, 5);
    let out = |lease: &creditgate_ledger::Lease| i128::from(lease.counters.outstanding().get());
    let totals = desk.reader().lease_totals().unwrap();
    let told: Vec<_> = totals
        .iter()
        .map(|total| (total.is_quarantined, total.leases, total.outstanding))
        .collect();
    let lending = out(&lent[0]) + out(&lent[1]);
    assert_eq!(told, [(false, 2, lending), (true, 1, out(&lent[2]))]);
    assert_eq!(totals[0].currency, acme.currency);
}

fn what_is_owed_is_summed_by_currency<B: Backend>(mut desk: Desk<B>) {
    assert!(desk.reader().owed_totals().unwrap().is_empty());
    let owing = [
        desk.funded("acme"),
        desk.funded("other"),
        desk.funded("third"),
    ];
    for (wallet, units) in owing.iter().zip([i64::MAX, i64::MAX - 9, 0]) {
        desk.decide(wallet.customer, |book, _, _| {
            let owed = creditgate_core::amount::Amount::new(-units);
            book.accounts[0].balances.add(LedgerAccount::Debt, owed);
        });
    }
    let totals = desk.reader().owed_totals().unwrap();
    let most = i128::from(i64::MAX);
    assert_eq!(totals.len(), 1);
    assert_eq!(totals[0].currency, owing[0].currency);
    assert_eq!((totals[0].owed, totals[0].most), (2 * most - 9, most));
}

fn quarantined_since_are_oldest_first<B: Backend>(mut desk: Desk<B>) {
    let (acme, other) = (desk.funded("acme"), desk.funded("other"));
    let first = desk.lend(&acme, ONE, 5, 10);
    let second = desk.lend(&other, ONE, 5, 10);
    desk.now = Timestamp(2_000_000);
    set_aside(&mut desk, &other, 5);
    desk.now = Timestamp(3_000_000);
    set_aside(&mut desk, &acme, 5);
    let since = |before, limit| {
        desk.reader()
            .leases_quarantined_before(Timestamp(before), limit)
            .unwrap()
    };
    assert_eq!(
        since(3_000_001, 9),
        [(other.customer, second.id), (acme.customer, first.id)]
    );
    assert_eq!(since(3_000_001, 1), [(other.customer, second.id)]);
    assert_eq!(since(3_000_000, 9), [(other.customer, second.id)]);
    assert!(since(2_000_000, 9).is_empty());

    desk.decide(other.customer, |book, _, context| {
        quarantine::hold(book, context, second.id, "asked the operator of the host").unwrap();
    });
    let mut desk = desk.reopen();
    let since = |desk: &Desk<B>| {
        let due = desk
            .reader()
            .leases_quarantined_before(Timestamp(3_000_001), 9);
        due.unwrap()
    };
    assert_eq!(since(&desk), [(acme.customer, first.id)]);
    let held = desk.lease(&other, ONE, 5).hold;
    let held = held.expect("the hold was written");
    assert_eq!(held.reason, "asked the operator of the host");
    assert_eq!((held.actor.as_str(), held.at), ("key_of_tests", desk.now));
    desk.decide(other.customer, |book, _, _| {
        book.leases[0].hold = None;
    });
    assert_eq!(since(&desk).len(), 2);
}
