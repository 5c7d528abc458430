//! Lots that wait: for their payment, and for their instant; and what comes on top of a purchase.

mod common;

use common::credit::code;
use common::*;
use creditgate_core::amount::Scale;
use creditgate_core::lease::Counters;
use creditgate_ledger::bonus::{Bonus, BonusSlab};
use creditgate_ledger::credits::Credits;
use creditgate_ledger::id::LotId;
use creditgate_ledger::top_up;
use creditgate_ledger::{
    EventKind, Fact, LedgerAccount, Lot, LotKind, LotSource, LotStatus, ReasonCode, Refusal,
    expiry, payment,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn pending(bench: &mut Bench, units: i64) -> Lot {
    bench.top_up_with(units, |lot| {
        lot.reason = ReasonCode::PurchasedCreditInvoiced;
        lot.awaits_payment = true;
    })
}

fn pay(bench: &mut Bench, id: LotId) -> Result<Lot, Refusal> {
    bench.run(|book, journal, context| {
        let reference = Some("inv-7".to_owned());
        payment::pay(book, journal, context, id, reference, Some("bank transfer"))
    })
}

fn bonus_of(bench: &Bench, id: LotId) -> &Lot {
    let mut lots = bench.book.lots.iter();
    lots.find(|lot| lot.source == LotSource::Bonus(id)).unwrap()
}

fn credits(text: &str) -> Credits {
    Credits::parse(text, Scale::MAX).unwrap()
}

/// Ten percent on top of 100 credits and more, for a day.
fn ten_percent() -> Vec<BonusSlab> {
    vec![BonusSlab {
        from: credits("100"),
        bonus: Bonus::Percent(credits("10")),
        expire_in_days: Some(1),
        priority: Some(3),
    }]
}

#[test]
fn unpaid_credit_is_in_no_balance_until_it_is_paid() {
    let mut bench = Bench::new();
    let lot = pending(&mut bench, 50);
    assert_eq!(
        (lot.unpaid, lot.free, lot.status(bench.now)),
        (amount(50), amount(0), LotStatus::Pending)
    );
    assert_eq!(
        (bench.has(lot.wallet), bench.parts(lot.wallet).unpaid),
        (0, amount(50))
    );
    assert_eq!(
        bench.balance(LedgerAccount::Funding),
        0,
        "nothing is posted"
    );
    let told = bench.ask(A, 1, Counters::default(), 10);
    assert_eq!(told.state.ceiling, Some(amount(0)));
    let paid = pay(&mut bench, lot.id).unwrap();
    assert_eq!(
        (paid.unpaid, paid.free, paid.lapses_at),
        (amount(0), amount(50), None)
    );
    assert_eq!(paid.cost.unwrap().reference.as_deref(), Some("inv-7"));
    assert_eq!(bench.balance(LedgerAccount::Funding), -50);
    assert_eq!(bench.book.leases[0].told, None, "the gateway hears of it");
    assert_eq!(
        bench.told(EventKind::LotPaid)[0].data["payment_reference"],
        "inv-7"
    );
    assert_eq!(code(pay(&mut bench, lot.id)), "lot_not_unpaid");
}

#[test]
fn invoice_that_goes_unpaid_lapses_at_its_instant_and_does_not_count_any_more() {
    let mut bench = Bench::new();
    let lot = pending(&mut bench, 50);
    let lapses_at = lot.lapses_at.unwrap();
    assert_eq!(
        expiry::next_instant(&bench.book, bench.now),
        Some(lapses_at)
    );
    bench.later(bench.registry.settings.unpaid_lot_ttl_ms - 1);
    bench.run(|_, _, _| ());
    assert_eq!(bench.lot(lot.id).status(bench.now), LotStatus::Pending);
    bench.later(1);
    bench.run(|_, _, _| ());
    let lapsed = bench.lot(lot.id);
    assert_eq!(
        (lapsed.status(bench.now), lapsed.voided_at),
        (LotStatus::Voided, Some(lapses_at))
    );
    let entry = bench.journal.entries.last().unwrap();
    assert_eq!(
        (entry.reason, &entry.fact),
        (
            ReasonCode::PaymentLapsed,
            &Some(Fact::LotVoided { lot: lot.id })
        )
    );
    assert_eq!(bench.told(EventKind::LotLapsed).len(), 1);
    assert_eq!(code(pay(&mut bench, lot.id)), "lot_not_unpaid");
}

#[test]
fn unpaid_purchase_can_be_cancelled() {
    let mut bench = Bench::new();
    let lot = pending(&mut bench, 50);
    let (voided, parts) = bench
        .run(|book, journal, context| top_up::void(book, journal, context, lot.id, "changed mind"))
        .unwrap();
    assert_eq!((voided.unpaid, parts.withdrawn), (amount(50), amount(0)));
    assert_eq!(bench.balance(LedgerAccount::Withdrawn), 0);
    assert_eq!(code(pay(&mut bench, lot.id)), "lot_not_unpaid");
}

#[test]
fn with_payment_authorised_before_a_purchase_by_invoice_lands_at_once() {
    let mut bench = Bench::new();
    bench
        .registry
        .settings
        .auto_complete_purchased_credit_transaction = true;
    let lot = pending(&mut bench, 50);
    assert_eq!((lot.unpaid, lot.free), (amount(0), amount(50)));
}

#[test]
fn bonus_of_a_purchase_is_a_lot_of_its_own() {
    let mut bench = Bench::new();
    bench.registry.settings.bonus_slabs = ten_percent();
    let small = bench.top_up(99);
    assert!(
        bench
            .book
            .lots
            .iter()
            .all(|lot| lot.source != LotSource::Bonus(small.id))
    );
    let large = bench.top_up(100);
    let bonus = bonus_of(&bench, large.id).clone();
    assert_eq!(
        (bonus.amount, bonus.kind, bonus.reason),
        (amount(10), LotKind::Bonus, ReasonCode::PurchasedCreditBonus)
    );
    assert_eq!((bonus.priority, bonus.cost), (Some(3), None));
    assert_eq!(bonus.expires_at, Some(bench.now.plus_ms(DAY_MS)));
    let gift = bench.top_up_with(100, |lot| lot.kind = LotKind::Promotional);
    assert!(
        bench
            .book
            .lots
            .iter()
            .all(|lot| lot.source != LotSource::Bonus(gift.id))
    );
}

#[test]
fn operators_bonus_takes_the_place_of_the_settings() {
    let mut bench = Bench::new();
    bench.registry.settings.bonus_slabs = ten_percent();
    let lot = bench.top_up_with(100, |lot| lot.bonus = Some(amount(3)));
    assert_eq!(bonus_of(&bench, lot.id).amount, amount(3));
    let lot = bench.top_up_with(100, |lot| lot.bonus = Some(amount(0)));
    assert!(
        bench
            .book
            .lots
            .iter()
            .all(|row| row.source != LotSource::Bonus(lot.id))
    );
}

#[test]
fn bonus_waits_with_its_purchase_and_its_days_count_from_the_payment() {
    let mut bench = Bench::new();
    bench.registry.settings.bonus_slabs = ten_percent();
    let lot = pending(&mut bench, 100);
    let bonus = bonus_of(&bench, lot.id).clone();
    assert_eq!((bonus.unpaid, bench.has(lot.wallet)), (amount(10), 0));
    assert_eq!(code(pay(&mut bench, bonus.id)), "lot_is_bonus");
    bench.later(3 * DAY_MS);
    bench.run(|_, _, _| ());
    assert_eq!(bench.lot(bonus.id).status(bench.now), LotStatus::Pending);
    pay(&mut bench, lot.id).unwrap();
    assert_eq!(bench.has(lot.wallet), 110);
    assert_eq!(
        bench.lot(bonus.id).expires_at,
        Some(bench.now.plus_ms(DAY_MS))
    );
}

#[test]
fn bonus_goes_with_the_purchase_that_is_never_paid() {
    let mut bench = Bench::new();
    bench.registry.settings.bonus_slabs = ten_percent();
    let lapsing = pending(&mut bench, 100);
    let cancelled = pending(&mut bench, 200);
    let bonus = |bench: &Bench, of: &Lot| bonus_of(bench, of.id).status(bench.now);
    bench
        .run(|book, journal, context| top_up::void(book, journal, context, cancelled.id, "no"))
        .unwrap();
    assert_eq!(bonus(&bench, &cancelled), LotStatus::Voided);
    assert_eq!(bonus(&bench, &lapsing), LotStatus::Pending);
    bench.later(bench.registry.settings.unpaid_lot_ttl_ms);
    bench.run(|_, _, _| ());
    assert_eq!(bonus(&bench, &lapsing), LotStatus::Voided);
}

#[test]
fn every_change_of_a_balance_has_an_entry_also_a_lot_that_becomes_effective() {
    let mut bench = Bench::new();
    let at = bench.now.plus_ms(500);
    let lot = bench.top_up_with(10, |lot| lot.effective_at = Some(at));
    let notes = |bench: &Bench| {
        let entries = bench.journal.entries.iter();
        entries
            .filter(|entry| entry.fact == Some(Fact::LotEffective { lot: lot.id }))
            .map(|entry| entry.booked_at)
            .collect::<Vec<_>>()
    };
    bench.later(499);
    bench.run(|_, _, _| ());
    assert_eq!((bench.has(lot.wallet), notes(&bench)), (0, vec![]));
    bench.later(1);
    bench.run(|_, _, _| ());
    bench.run(|_, _, _| ());
    bench.later(1);
    bench.run(|_, _, _| ());
    assert_eq!((bench.has(lot.wallet), notes(&bench)), (10, vec![at]));
}

#[test]
fn debt_is_repaid_by_credit_that_can_be_spent_and_not_before() {
    let mut bench = Bench::with_credit(10);
    bench.registry.settings.overrun_max = amount(100);
    bench.ask(A, 1, Counters::default(), 10);
    bench.ask(A, 1, used(10, 15, 0), 0);
    assert_eq!(bench.balance(LedgerAccount::Debt), -5);
    let at = bench.now.plus_ms(1_000);
    bench.top_up_with(20, |lot| lot.effective_at = Some(at));
    pending(&mut bench, 20);
    assert_eq!(bench.balance(LedgerAccount::Debt), -5);
    bench.later(1_000);
    bench.run(|_, _, _| ());
    assert_eq!(bench.balance(LedgerAccount::Debt), 0);
    assert_eq!(bench.has(bench.first()), 15);
}

#[test]
fn a_lapse_in_the_same_decision_does_not_hide_a_lot_that_became_effective() {
    let mut bench = Bench::new();
    let wallet = bench.open_post_paid(100);
    let granted = bench.ask(A, 1, Counters::default(), 30).granted.get();
    let counters = used(granted, 30, 0);
    bench.ask(A, 1, returned(counters, granted - 30), 0);
    let lapses_at = pending(&mut bench, 50).lapses_at.unwrap();
    let later = bench.top_up_with(20, |lot| {
        lot.wallet = wallet;
        lot.effective_at = Some(lapses_at);
    });
    bench.now = lapses_at;
    bench.run(|_, _, _| ());
    assert_eq!(bench.lot(later.id).spent, amount(20), "it repays the line");
    let noted = |fact: &Fact| *fact == Fact::LotEffective { lot: later.id };
    let mut facts = bench.journal.entries.iter();
    assert!(facts.any(|entry| entry.fact.as_ref().is_some_and(noted)));
}
