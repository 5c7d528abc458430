//! Debits and transfers: what is free is taken at once, what gateways have as it comes back.

mod common;

use common::credit::{code, debit_of};
use common::*;
use creditgate_core::amount::Scale;
use creditgate_core::lease::Counters;
use creditgate_core::protocol::Phase;
use creditgate_ledger::claim::{Claim, ClaimLots, ClaimPurpose, NewClaim};
use creditgate_ledger::id::LotId;
use creditgate_ledger::top_up;
use creditgate_ledger::wallet::PaidCredit;
use creditgate_ledger::{
    EntryKind, EventKind, LeaseState, LedgerAccount, LotKind, LotSource, LotStatus,
    QuarantineCause, ReasonCode, ResolutionKind, payment, quarantine,
};

/// asked, done, short.
fn figures(claim: &Claim) -> (i64, i64, i64) {
    (claim.asked.get(), claim.done.get(), claim.short.get())
}

/// 100, of which gateway A has 30 under lease 1.
fn lent() -> Bench {
    let mut bench = Bench::with_credit(100);
    bench.ask(A, 1, Counters::default(), 30);
    bench
}

/// Gateway A used so much of its 30 and turns to lease 2, which needs nothing.
fn turn(bench: &mut Bench, spent: i64) {
    let gateway = returned(used(30, spent, 0), 30 - spent);
    let report = turned(
        question(bench.account(), 2, Counters::default(), 0),
        1,
        gateway,
        false,
    );
    bench.report(A, &report).unwrap();
}

#[test]
fn free_credit_is_debited_at_once_in_burn_order() {
    let mut bench = Bench::new();
    let late = bench.top_up_with(50, |lot| lot.priority = Some(2));
    let soon = bench.top_up_with(50, |lot| lot.priority = Some(1));
    let claim = bench.debit(bench.first(), 70).unwrap();
    assert_eq!(figures(&claim), (70, 70, 0));
    assert!(!claim.is_open());
    assert_eq!(bench.lot(soon.id).withdrawn, amount(50));
    assert_eq!(bench.lot(late.id).withdrawn, amount(20));
    let entry = bench
        .journal
        .entries
        .iter()
        .find(|entry| entry.kind == EntryKind::Debit);
    let entry = entry.unwrap();
    assert_eq!(entry.reason, ReasonCode::ManualBalanceDebit);
    assert_eq!(entry.note.as_deref(), Some("asked by mail"));
    let draws: Vec<(LotId, i64)> = entry
        .draws
        .iter()
        .map(|draw| (draw.lot, draw.amount.get()))
        .collect();
    assert_eq!(draws, [(soon.id, 50), (late.id, 20)]);
    assert_eq!(bench.told(EventKind::WalletDebited).len(), 1);
    assert_eq!(
        bench.told(EventKind::ClaimClosed).len(),
        0,
        "it was over at once"
    );
}

#[test]
fn lent_credit_that_comes_back_is_taken_before_anyone_else_gets_it() {
    let mut bench = lent();
    bench.later(1);
    let claim = bench.debit(bench.first(), 90).unwrap();
    assert_eq!(figures(&claim), (90, 70, 0));
    assert_eq!(
        (
            bench.has(bench.first()),
            bench.parts(bench.first()).pending_recall.get()
        ),
        (10, 20)
    );
    assert!(
        bench.ask(B, 1, Counters::default(), 10).waiting || bench.book.leases[1].told.is_some()
    );
    assert_eq!(bench.book.leases[0].state, LeaseState::Draining);
    let told = bench.ask(A, 1, used(30, 4, 0), 5);
    assert_eq!((told.phase, told.granted), (Phase::Turn, amount(30)));
    turn(&mut bench, 4);
    assert_eq!(figures(bench.claimed(claim.id)), (90, 90, 0));
    assert!(!bench.claimed(claim.id).is_open());
    assert_eq!(bench.balance(LedgerAccount::Withdrawn), 90);
    assert_eq!(bench.has(bench.first()), 6, "100 - 90 debited - 4 used");
    let told = bench.told(EventKind::ClaimClosed);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0].data["done"], &told[0].data["short"]),
        (&"90".into(), &"0".into())
    );
}

#[test]
fn lent_credit_that_was_spent_is_what_the_claim_is_short_of() {
    let mut bench = lent();
    let claim = bench.debit(bench.first(), 90).unwrap();
    bench.later(5);
    turn(&mut bench, 15);
    assert_eq!(figures(bench.claimed(claim.id)), (90, 85, 5));
    assert!(!bench.claimed(claim.id).is_open());
    assert_eq!(bench.has(bench.first()), 0);
    assert_eq!(bench.told(EventKind::ClaimClosed)[0].data["short"], "5");
}

#[test]
fn a_claim_waits_for_quarantined_credit_until_that_is_resolved() {
    for (kind, figures_after) in [
        (ResolutionKind::Release, (90, 90, 0)),
        (ResolutionKind::Consume, (90, 70, 20)),
    ] {
        let mut bench = lent();
        let claim = bench.debit(bench.first(), 90).unwrap();
        bench.run(|book, journal, context| {
            quarantine::set_aside(
                book,
                journal,
                context,
                0,
                0,
                QuarantineCause::InstanceSilent,
            );
        });
        bench.later(60_000);
        bench.ask(B, 1, Counters::default(), 1);
        assert_eq!(figures(bench.claimed(claim.id)), (90, 70, 0));
        assert!(bench.claimed(claim.id).is_open());
        let lease = bench.book.leases[0].id;
        bench
            .run(|book, journal, context| {
                quarantine::resolve(book, journal, context, lease, kind, "decided")
            })
            .unwrap();
        assert_eq!(figures(bench.claimed(claim.id)), figures_after);
        assert!(!bench.claimed(claim.id).is_open());
    }
}

#[test]
fn more_than_the_balance_is_refused_and_what_other_claims_wait_for_is_not_there() {
    let mut bench = lent();
    assert_eq!(
        code(bench.debit(bench.first(), 101)),
        "balance_insufficient"
    );
    bench.debit(bench.first(), 95).unwrap();
    assert_eq!(code(bench.debit(bench.first(), 6)), "balance_insufficient");
    let second = bench.debit(bench.first(), 5).unwrap();
    assert_eq!(figures(&second), (5, 0, 0));
    turn(&mut bench, 0);
    assert_eq!(figures(bench.claimed(second.id)), (5, 5, 0));
    assert_eq!(code(bench.debit(bench.first(), 0)), "amount_not_positive");
}

#[test]
fn credit_that_is_added_later_is_not_taken_for_an_older_claim_and_can_be_lent() {
    let mut bench = lent();
    let claim = bench.debit(bench.first(), 100).unwrap();
    bench.later(1);
    bench.top_up(10);
    assert_eq!(figures(bench.claimed(claim.id)), (100, 70, 0));
    let answer = bench.ask(B, 1, Counters::default(), 10);
    assert_eq!(answer.granted, amount(10));
    turn(&mut bench, 30);
    assert_eq!(figures(bench.claimed(claim.id)), (100, 70, 30));
}

#[test]
fn claimed_credit_that_expires_while_it_is_out_is_not_taken() {
    let mut bench = Bench::new();
    let expires_at = bench.now.plus_ms(1_000);
    bench.top_up_with(30, |lot| lot.expires_at = Some(expires_at));
    bench.ask(A, 1, Counters::default(), 30);
    let claim = bench.debit(bench.first(), 10).unwrap();
    bench.later(1_000);
    turn(&mut bench, 0);
    assert_eq!(figures(bench.claimed(claim.id)), (10, 0, 10));
    assert_eq!(bench.balance(LedgerAccount::Expired), 30);
}

#[test]
fn one_lot_can_be_debited_whatever_burns_first() {
    let mut bench = Bench::new();
    bench.top_up_with(10, |lot| lot.priority = Some(1));
    let chosen = bench.top_up(20);
    let one = |units| NewClaim {
        lots: ClaimLots::One(chosen.id),
        ..debit_of(chosen.wallet, units)
    };
    assert_eq!(code(bench.claim(one(21))), "balance_insufficient");
    bench.claim(one(15)).unwrap();
    assert_eq!(bench.lot(chosen.id).withdrawn, amount(15));
    let unknown = NewClaim {
        lots: ClaimLots::One(LotId(77)),
        ..debit_of(chosen.wallet, 1)
    };
    assert_eq!(code(bench.claim(unknown)), "not_found");
}

#[test]
fn a_transfer_keeps_the_terms_and_shares_the_cost() {
    let mut bench = Bench::new();
    let to = bench.open(|_| ());
    let expires_at = bench.now.plus_ms(1_000_000);
    let lot = bench.top_up_with(30, |lot| {
        lot.expires_at = Some(expires_at);
        lot.priority = Some(7);
    });
    let claim = bench.transfer(lot.wallet, to, 10).unwrap();
    assert_eq!(figures(&claim), (10, 10, 0));
    let moved = bench.lots_of(to)[0].clone();
    assert_eq!(
        (moved.kind, moved.reason),
        (LotKind::Purchased, ReasonCode::PurchasedCreditDirect)
    );
    assert_eq!(
        (moved.priority, moved.expires_at),
        (Some(7), Some(expires_at))
    );
    let source = LotSource::Transfer {
        lot: lot.id,
        granted_by: None,
    };
    assert_eq!(moved.source, source);
    assert_eq!(moved.cost.unwrap().received, "10");
    assert_eq!((bench.has(lot.wallet), bench.has(to)), (20, 10));
    assert_eq!(
        bench.balance(LedgerAccount::Transferred),
        0,
        "within one account"
    );
    let told = bench.told(EventKind::WalletTransferred);
    assert_eq!(told[0].data["to_wallet_id"], to.to_string());
}

#[test]
fn parts_of_a_lot_that_are_transferred_take_exactly_its_cost_along() {
    let mut bench = Bench::new();
    let to = bench.open(|_| ());
    let lot = bench.top_up_with(7, |lot| {
        lot.cost = Some(creditgate_ledger::CostBasis {
            currency: bench_currency(),
            received: "10".into(),
            tax: "1.9".into(),
            reference: Some("pay-1".into()),
        });
    });
    for _ in 0..7 {
        bench.later(1);
        bench.transfer(lot.wallet, to, 1).unwrap();
    }
    let nano = |text: &str| creditgate_core::amount::parse_exact(text, Scale::MAX).unwrap();
    let mut sums = (0, 0);
    for moved in bench.lots_of(to) {
        let cost = moved.cost.clone().unwrap();
        sums.0 += nano(&cost.received).get();
        sums.1 += nano(&cost.tax).get();
        assert_eq!(cost.reference.as_deref(), Some("pay-1"));
    }
    assert_eq!(sums, (10_000_000_000, 1_900_000_000));
}

fn bench_currency() -> creditgate_core::amount::Currency {
    creditgate_core::amount::Currency::new("usd").unwrap()
}

#[test]
fn what_comes_back_of_a_transferred_lot_goes_into_the_lot_its_first_part_made() {
    let mut bench = lent();
    let to = bench.open(|_| ());
    let claim = bench.transfer(bench.first(), to, 95).unwrap();
    assert_eq!(figures(&claim), (95, 70, 0));
    bench.later(10);
    turn(&mut bench, 2);
    assert_eq!(figures(bench.claimed(claim.id)), (95, 95, 0));
    let lots = bench.lots_of(to);
    assert_eq!(lots.len(), 1);
    assert_eq!(
        (
            lots[0].amount.get(),
            lots[0].cost.clone().unwrap().received.as_str()
        ),
        (95, "95")
    );
}

#[test]
fn a_transfer_to_a_limited_wallet_leaves_the_account_and_serves_who_waits_in_the_other() {
    let mut bench = Bench::with_credit(100);
    let to = bench.open(|new| new.scope.rules = ["image".to_owned()].into());
    let account = bench.book.accounts[1].id;
    let ask = |bench: &mut Bench| {
        bench
            .report(A, &question(account, 1, Counters::default(), 40))
            .unwrap()
    };
    assert!(ask(&mut bench).state.ceiling.is_some());
    bench.transfer(bench.first(), to, 40).unwrap();
    assert_eq!(bench.balance(LedgerAccount::Transferred), 40);
    assert_eq!(bench.book.accounts[0].balances.funded(), amount(60));
    assert_eq!(bench.book.accounts[1].balances.funded(), amount(40));
    assert_eq!(
        bench.book.leases[0].told, None,
        "the gateway hears that it can be paid"
    );
    assert_eq!(ask(&mut bench).granted, amount(40));
}

#[test]
fn a_transfer_goes_only_to_an_open_wallet_of_the_same_currency() {
    let mut bench = Bench::with_credit(10);
    let first = bench.first();
    let other =
        bench.open(|new| new.currency = creditgate_core::amount::Currency::new("jpy").unwrap());
    let closed = bench.open(|_| ());
    bench
        .close(closed, creditgate_ledger::wallet::PaidCredit::Keep)
        .unwrap();
    assert_eq!(code(bench.transfer(first, first, 1)), "transfer_to_itself");
    assert_eq!(code(bench.transfer(first, other, 1)), "currency_mismatch");
    assert_eq!(code(bench.transfer(first, closed, 1)), "wallet_closed");
    let unknown = creditgate_ledger::id::WalletId(99);
    assert_eq!(code(bench.transfer(first, unknown, 1)), "not_found");
}

#[test]
fn credit_that_is_not_effective_yet_is_no_balance_and_is_not_debited() {
    let mut bench = Bench::with_credit(10);
    let at = bench.now.plus_ms(1_000);
    let later = bench.top_up_with(10, |lot| lot.effective_at = Some(at));
    assert_eq!(code(bench.debit(bench.first(), 11)), "balance_insufficient");
    bench
        .claim(NewClaim {
            lots: ClaimLots::One(later.id),
            purpose: ClaimPurpose::Debit,
            ..debit_of(later.wallet, 3)
        })
        .unwrap();
    assert_eq!(
        bench.lot(later.id).free,
        amount(7),
        "asked for by its id, it is"
    );
}

#[test]
fn a_voided_lot_is_no_longer_waited_for() {
    let mut bench = lent();
    let lot = bench.book.lots[0].id;
    let claim = bench.debit(bench.first(), 90).unwrap();
    bench
        .run(|book, journal, context| top_up::void(book, journal, context, lot, "fraud"))
        .unwrap();
    assert_eq!(figures(bench.claimed(claim.id)), (90, 70, 20));
    turn(&mut bench, 0);
    assert_eq!(bench.balance(LedgerAccount::Withdrawn), 100);
}

#[test]
fn credit_that_is_paid_later_is_not_taken_for_an_older_claim() {
    let mut bench = Bench::new();
    let unpaid = bench.top_up_with(500, |lot| lot.awaits_payment = true);
    let before = bench.top_up_with(70, |lot| lot.awaits_payment = true);
    bench.top_up(1_000);
    bench.later(1);
    bench.ask(A, 1, Counters::default(), 1_000);
    pay(&mut bench, before.id);
    bench.later(1);
    let claim = bench.debit(bench.first(), 1_020).unwrap();
    assert_eq!(figures(&claim), (1_020, 70, 0), "paid before, it is taken");
    bench.later(1);
    pay(&mut bench, unpaid.id);
    assert_eq!(figures(bench.claimed(claim.id)), (1_020, 70, 0));
    assert_eq!(bench.lot(unpaid.id).free, amount(500));
    bench.ask(A, 1, used(1_000, 1_000, 0), 0);
    assert_eq!(figures(bench.claimed(claim.id)), (1_020, 70, 950));
    assert_eq!(bench.has(bench.first()), 500);
    let lent = bench.ask(B, 1, Counters::default(), 500).granted;
    assert_eq!(lent, amount(500), "requests may have it");
}

fn pay(bench: &mut Bench, lot: LotId) {
    bench
        .run(|book, journal, context| payment::pay(book, journal, context, lot, None, None))
        .unwrap();
}

#[test]
fn a_wallet_can_be_closed_with_a_transfer_while_a_debit_waits() {
    let mut bench = Bench::with_credit(40);
    let (wallet, other) = (bench.first(), bench.open(|_| ()));
    bench.ask(A, 1, Counters::default(), 40);
    bench.later(1);
    let debit = bench.debit(wallet, 10).unwrap();
    assert_eq!(figures(&debit), (10, 0, 0));
    bench.later(1);
    let closing = bench.close(wallet, PaidCredit::Transfer(other)).unwrap();
    let transfer = closing.claim.unwrap();
    assert_eq!(figures(&transfer), (30, 0, 0), "less what the debit takes");
    let over = returned(used(40, 4, 0), 36);
    let report = turned(
        question(bench.account(), 2, Counters::default(), 0),
        1,
        over,
        false,
    );
    bench.report(A, &report).unwrap();
    assert_eq!(figures(bench.claimed(debit.id)), (10, 10, 0));
    assert_eq!(figures(bench.claimed(transfer.id)), (30, 26, 4));
    assert_eq!((bench.has(wallet), bench.has(other)), (0, 26));
}

#[test]
fn a_wallet_of_which_a_debit_takes_all_is_closed_without_a_transfer() {
    let mut bench = Bench::with_credit(40);
    let (wallet, other) = (bench.first(), bench.open(|_| ()));
    bench.ask(A, 1, Counters::default(), 40);
    bench.debit(wallet, 40).unwrap();
    let closing = bench.close(wallet, PaidCredit::Transfer(other)).unwrap();
    assert_eq!((closing.claim, closing.kept), (None, amount(0)));
}

#[test]
fn a_lot_of_which_nothing_was_left_is_depleted_after_its_expiry_too() {
    let mut bench = Bench::new();
    let (wallet, other) = (bench.first(), bench.open(|_| ()));
    let at = bench.now.plus_ms(1_000);
    let mut dated = |units| bench.top_up_with(units, |lot| lot.expires_at = Some(at)).id;
    let [debited, moved, left, lent] = [10, 20, 30, 40].map(&mut dated);
    bench.debit(wallet, 10).unwrap();
    bench.transfer(wallet, other, 20).unwrap();
    bench.debit(wallet, 29).unwrap();
    bench.ask(A, 1, Counters::default(), 1);
    bench.debit(wallet, 40).unwrap();
    let status = |bench: &Bench, lot: LotId| bench.lot(lot).status(bench.now);
    assert_eq!(status(&bench, moved), LotStatus::Depleted);
    bench.later(1_000);
    assert_eq!(status(&bench, debited), LotStatus::Depleted);
    assert_eq!(status(&bench, moved), LotStatus::Depleted);
    assert_eq!(status(&bench, left), LotStatus::Expired, "one is lent");
    assert_eq!(status(&bench, lent), LotStatus::Depleted);
    bench.ask(A, 1, used(1, 1, 0), 0);
    assert_eq!(
        status(&bench, left),
        LotStatus::Depleted,
        "it was used after all"
    );
}
