//! Auto top-ups by invoice: the credit waits for its payment, and an invoice that stays unpaid
//! blocks no further one for ever.

mod common;

use common::{Bench, amount};
use creditgate_core::amount::Scale;
use creditgate_ledger::auto_top_up::{AutoTopUp, AutoTopUpRefusal, Fill};
use creditgate_ledger::bonus::{Bonus, BonusSlab};
use creditgate_ledger::id::LotId;
use creditgate_ledger::{
    Credits, EventKind, Lot, LotKind, Rate, ReasonCode, balance, payment, void,
};

const MINUTE: u64 = 60 * 1_000;
const DAY: u64 = 24 * 60 * MINUTE;

fn credits(text: &str) -> Credits {
    Credits::parse(text, Scale::MAX).unwrap()
}

/// A wallet with lots of so many that orders 500 at 100 or below.
fn ordering(lots: &[i64]) -> Bench {
    let mut bench = Bench::new();
    order(&mut bench, lots);
    bench
}

fn order(bench: &mut Bench, lots: &[i64]) {
    for units in lots {
        bench.top_up(*units);
    }
    let terms = AutoTopUp {
        enabled: true,
        threshold: credits("100"),
        fill: Fill::Amount(credits("500")),
        invoicing: true,
        cooldown_ms: None,
        per_day_max: None,
        per_month_max: None,
    };
    bench.fill_by(bench.first(), Some(terms));
}

fn take(bench: &mut Bench, units: i64) {
    let lots = bench.book.lots.iter();
    let mut lots = lots.filter(|lot| lot.free == amount(units) && lot.voided_at.is_none());
    let lot = lots.next().expect("a lot of that size").id;
    cancel(bench, lot);
}

fn cancel(bench: &mut Bench, lot: LotId) {
    bench.run(|book, journal, context| {
        void::void(book, journal, context, lot, "taken out").unwrap();
    });
}

fn pay(bench: &mut Bench, lot: LotId) {
    bench.run(|book, journal, context| {
        payment::pay(book, journal, context, lot, None, None).unwrap();
    });
}

fn wait(bench: &mut Bench, ms: u64) {
    bench.later(ms);
    bench.run(|_, _, _| ());
}

fn count(bench: &Bench, kind: EventKind) -> usize {
    let events = bench.journal.events.iter();
    events.filter(|event| event.kind == kind).count()
}

fn orders(bench: &Bench) -> usize {
    count(bench, EventKind::AutoTopUpPending)
}

fn refusals(bench: &Bench) -> Vec<String> {
    let events = bench.journal.events.iter();
    events
        .filter(|event| event.kind == EventKind::AutoTopUpRefused)
        .map(|event| event.data["reason"].as_str().unwrap().to_owned())
        .collect()
}

fn pending(bench: &Bench) -> LotId {
    let state = &bench.book.wallets[0].auto_topup_state;
    state.pending.expect("a lot waits for its payment")
}

fn has(bench: &Bench) -> i64 {
    let wallet = bench.book.wallets[0].id;
    let parts = balance::parts(&bench.book, bench.account(), Some(wallet), bench.now);
    parts.balance().get()
}

fn lot(bench: &Bench, id: LotId) -> &Lot {
    bench.book.lot(id).expect("the lot")
}

#[test]
fn an_order_is_in_no_balance_until_it_is_paid() {
    let mut bench = Bench::of(|new| {
        new.topup_conversion_rate = Rate::parse("0.8", "/rate").unwrap();
    });
    order(&mut bench, &[1_000, 50]);
    take(&mut bench, 1_000);
    assert_eq!((orders(&bench), has(&bench)), (1, 50));
    let id = pending(&bench);
    let ordered = lot(&bench, id);
    assert_eq!(ordered.reason, ReasonCode::PurchasedCreditInvoiced);
    assert_eq!((ordered.unpaid, ordered.free), (amount(500), amount(0)));
    assert_eq!(ordered.cost.as_ref().unwrap().received, "400");
    assert_eq!(ordered.lapses_at, Some(bench.now.plus_ms(7 * DAY)));
    pay(&mut bench, id);
    assert_eq!(has(&bench), 550);
    let state = &bench.book.wallets[0].auto_topup_state;
    assert_eq!((state.pending, state.is_crossed), (None, false));
    assert_eq!((state.in_day, refusals(&bench).len()), (1, 0));
}

#[test]
fn debits_while_it_waits_order_nothing_more() {
    let mut bench = ordering(&[1_000, 50, 30, 10]);
    for units in [1_000, 50, 30] {
        take(&mut bench, units);
        wait(&mut bench, DAY);
    }
    assert_eq!((orders(&bench), refusals(&bench).len()), (1, 0));
}

#[test]
fn another_crossing_while_it_waits_is_told_and_answered_once_it_is_paid() {
    let mut bench = ordering(&[1_000, 50]);
    take(&mut bench, 1_000);
    bench.top_up(2_000);
    take(&mut bench, 2_000);
    assert_eq!(
        (orders(&bench), refusals(&bench)),
        (1, vec!["payment_pending".to_owned()])
    );
    wait(&mut bench, MINUTE);
    let first = pending(&bench);
    pay(&mut bench, first);
    assert_eq!((orders(&bench), has(&bench)), (1, 550), "which was enough");
}

#[test]
fn an_unpaid_invoice_does_not_block_further_ones_for_ever() {
    let mut bench = ordering(&[1_000, 50]);
    take(&mut bench, 1_000);
    let first = pending(&bench);
    wait(&mut bench, 7 * DAY - 1);
    assert_eq!(pending(&bench), first);
    wait(&mut bench, 1);
    assert_eq!(count(&bench, EventKind::LotLapsed), 1);
    let state = bench.book.wallets[0].auto_topup_state.clone();
    assert_eq!(
        (state.pending, state.refused),
        (None, Some(AutoTopUpRefusal::Cooldown))
    );
    assert_eq!(state.retry_at, Some(bench.now.plus_ms(MINUTE)), "by itself");
    wait(&mut bench, MINUTE);
    assert_eq!(orders(&bench), 2);
    assert_ne!(pending(&bench), first);
}

#[test]
fn a_cancelled_order_is_made_again_only_after_the_cool_down_and_within_the_caps() {
    let mut bench = ordering(&[1_000, 50]);
    bench.registry.settings.auto_topups_per_day_max = 3;
    take(&mut bench, 1_000);
    for made in 1..=3 {
        assert_eq!(orders(&bench), made);
        let order = pending(&bench);
        cancel(&mut bench, order);
        assert_eq!(orders(&bench), made, "not by the decision that cancelled");
        wait(&mut bench, MINUTE);
    }
    assert_eq!(orders(&bench), 3);
    assert_eq!(refusals(&bench).last().unwrap(), "daily_cap");
}

#[test]
fn payment_that_is_authorised_before_makes_the_credit_usable_at_once() {
    let mut bench = ordering(&[1_000, 50]);
    bench
        .registry
        .settings
        .auto_complete_purchased_credit_transaction = true;
    take(&mut bench, 1_000);
    assert_eq!((orders(&bench), has(&bench)), (0, 550));
    assert_eq!(count(&bench, EventKind::AutoTopUpApplied), 1);
    let made = bench.book.lots.last().unwrap();
    assert_eq!(made.reason, ReasonCode::PurchasedCreditInvoiced);
}

#[test]
fn a_bonus_comes_with_it_as_with_any_purchase() {
    let mut bench = ordering(&[1_000, 50]);
    bench.registry.settings.bonus_slabs = vec![BonusSlab {
        from: credits("500"),
        bonus: Bonus::Percent(credits("10")),
        expire_in_days: Some(1),
        priority: None,
    }];
    take(&mut bench, 1_000);
    let order = pending(&bench);
    pay(&mut bench, order);
    assert_eq!(has(&bench), 600);
    let bonus = bench
        .book
        .lots
        .iter()
        .find(|lot| lot.kind == LotKind::Bonus);
    assert_eq!(bonus.unwrap().amount, amount(50));
}

#[test]
fn paid_credit_that_is_too_little_is_followed_by_more_after_the_cool_down() {
    let mut bench = ordering(&[1_000, 50]);
    let terms = bench.book.wallets[0].auto_topup.clone().unwrap();
    let little = AutoTopUp {
        fill: Fill::Amount(credits("40")),
        ..terms
    };
    bench.fill_by(bench.first(), Some(little));
    take(&mut bench, 1_000);
    let first = pending(&bench);
    pay(&mut bench, first);
    assert_eq!(
        (orders(&bench), refusals(&bench)),
        (1, vec!["cooldown".to_owned()])
    );
    wait(&mut bench, MINUTE);
    assert_eq!(orders(&bench), 2);
    // One that is paid after the cool-down is followed at once.
    wait(&mut bench, MINUTE);
    let second = pending(&bench);
    pay(&mut bench, second);
    assert_eq!((orders(&bench), has(&bench)), (2, 130));
}

#[test]
fn an_order_outlives_its_terms_and_blocks_the_next_ones() {
    let mut bench = ordering(&[1_000, 500, 50]);
    take(&mut bench, 1_000);
    take(&mut bench, 500);
    let (order, terms) = (pending(&bench), bench.book.wallets[0].auto_topup.clone());
    bench.fill_by(bench.first(), None);
    assert_eq!(pending(&bench), order);
    bench.fill_by(bench.first(), terms);
    bench.top_up(10);
    take(&mut bench, 10);
    assert_eq!(
        (orders(&bench), refusals(&bench)),
        (1, vec!["payment_pending".to_owned()])
    );
    pay(&mut bench, order);
    assert_eq!(bench.book.wallets[0].auto_topup_state.pending, None);
}
