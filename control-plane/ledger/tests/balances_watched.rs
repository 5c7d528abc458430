//! Whatever changes a balance is watched: debits that wait for gateways, transfers between
//! wallets, quarantine, credit limits; each wallet for itself.

mod common;

use common::{A, Bench, used};
use creditgate_core::amount::Scale;
use creditgate_ledger::alert::{AlertCondition, AlertSettings, AlertThreshold};
use creditgate_ledger::auto_top_up::{AutoTopUp, Fill};
use creditgate_ledger::id::WalletId;
use creditgate_ledger::wallet::{PaidCredit, WalletChange};
use creditgate_ledger::{
    Credits, EntryKind, EventKind, Fact, QuarantineCause, ResolutionKind, quarantine,
};
use serde_json::json;

fn credits(text: &str) -> Credits {
    Credits::parse(text, Scale::MAX).unwrap()
}

/// In alarm at 100 or below.
fn alarm() -> AlertSettings {
    AlertSettings {
        enabled: true,
        info: None,
        warning: None,
        critical: Some(AlertThreshold {
            threshold: credits("100"),
            condition: AlertCondition::Below,
            hysteresis: None,
        }),
    }
}

/// 500 at 100 or below.
fn fill() -> AutoTopUp {
    AutoTopUp {
        enabled: true,
        threshold: credits("100"),
        fill: Fill::Amount(credits("500")),
        invoicing: false,
        cooldown_ms: None,
        per_day_max: None,
        per_month_max: None,
    }
}

fn watch(bench: &mut Bench, wallet: WalletId) {
    let change = WalletChange {
        alert_settings: Some(Some(alarm())),
        ..WalletChange::default()
    };
    bench.change(wallet, change).unwrap();
}

fn refill(bench: &mut Bench, wallet: WalletId) {
    let change = WalletChange {
        auto_topup: Some(Some(fill())),
        ..WalletChange::default()
    };
    bench.change(wallet, change).unwrap();
}

/// Of which wallet what state was told, in order.
fn states(bench: &Bench) -> Vec<(String, String)> {
    let told = bench.told(EventKind::WalletAlert);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    told.iter()
        .map(|event| (text(&event.data["wallet_id"]), text(&event.data["to"])))
        .collect()
}

fn is(wallet: WalletId, state: &str) -> (String, String) {
    (wallet.to_string(), state.to_owned())
}

#[test]
fn each_wallet_of_an_account_is_watched_for_itself() {
    let mut bench = Bench::with_credit(1_000);
    let (first, second) = (bench.first(), bench.open(|_| ()));
    watch(&mut bench, first);
    watch(&mut bench, second);
    assert_eq!(states(&bench), [is(second, "in_alarm")], "it is empty");
    bench.transfer(first, second, 500).unwrap();
    bench.debit(second, 450).unwrap();
    bench.transfer(first, second, 450).unwrap();
    let expected = [
        is(second, "in_alarm"),
        is(second, "ok"),
        is(second, "in_alarm"),
        is(first, "in_alarm"),
        is(second, "ok"),
    ];
    assert_eq!(states(&bench), expected);
    let sequences = bench.book.wallets.iter();
    let sequences: Vec<_> = sequences
        .map(|wallet| wallet.alert_state.sequence)
        .collect();
    assert_eq!(sequences, [1, 4], "each counts its own");
}

#[test]
fn a_debit_of_what_gateways_have_counts_from_when_it_is_asked() {
    let mut bench = Bench::with_credit(1_000);
    let first = bench.first();
    watch(&mut bench, first);
    bench.ask(A, 1, used(0, 0, 0), 1_000);
    bench.debit(first, 950).unwrap();
    assert_eq!(bench.has(first), 50);
    assert_eq!(states(&bench), [is(first, "in_alarm")]);
    let cause = bench.told(EventKind::WalletAlert)[0].data["cause"].clone();
    let mut entries = bench.journal.entries.iter();
    let entry = entries.find(|entry| json!(entry.id.to_string()) == cause);
    let fact = entry.expect("the entry that wants it back").fact.clone();
    assert!(matches!(fact, Some(Fact::ClaimOpened { .. })), "{fact:?}");
}

#[test]
fn a_manual_debit_sets_off_an_auto_top_up_and_its_alert_goes_down_and_up() {
    let mut bench = Bench::with_credit(1_000);
    let first = bench.first();
    watch(&mut bench, first);
    refill(&mut bench, first);
    bench.debit(first, 899).unwrap();
    assert_eq!((bench.has(first), states(&bench).len()), (101, 0));
    bench.debit(first, 1).unwrap();
    assert_eq!(bench.has(first), 600);
    assert_eq!(states(&bench), [is(first, "in_alarm"), is(first, "ok")]);
    let kinds: Vec<_> = bench
        .told(EventKind::WalletAlert)
        .iter()
        .map(|event| {
            let mut entries = bench.journal.entries.iter();
            let cause = &event.data["cause"];
            let entry = entries.find(|entry| json!(entry.id.to_string()) == *cause);
            entry.expect("an entry").kind
        })
        .collect();
    assert_eq!(kinds, [EntryKind::Debit, EntryKind::TopUp]);
    let applied = bench.told(EventKind::AutoTopUpApplied);
    assert_eq!(applied.len(), 1);
}

#[test]
fn credit_set_aside_is_not_the_customers_until_it_is_given_back() {
    let mut bench = Bench::with_credit(1_000);
    let first = bench.first();
    watch(&mut bench, first);
    bench.ask(A, 1, used(0, 0, 0), 950);
    bench.run(|book, journal, context| {
        let cause = QuarantineCause::InstanceSilent;
        quarantine::set_aside(book, journal, context, 0, 0, cause);
    });
    assert_eq!(states(&bench), [is(first, "in_alarm")]);
    let lease = bench.book.leases[0].id;
    bench.run(|book, journal, context| {
        let kind = ResolutionKind::Release;
        quarantine::resolve(book, journal, context, lease, kind, "it never came back").unwrap();
    });
    assert_eq!(states(&bench), [is(first, "in_alarm"), is(first, "ok")]);
}

#[test]
fn a_lowered_limit_leaves_the_balance_at_once_also_where_it_is_lent() {
    let mut bench = Bench::new();
    let wallet = bench.open_post_paid(200);
    watch(&mut bench, wallet);
    refill(&mut bench, wallet);
    bench.ask(A, 1, used(0, 0, 0), 200);
    assert_eq!((bench.has(wallet), states(&bench)), (200, vec![]));
    bench.set_limit(wallet, 101);
    assert_eq!((bench.has(wallet), states(&bench)), (101, vec![]));
    assert_eq!(bench.parts(wallet).pending_recall.get(), 99);
    bench.set_limit(wallet, 0);
    assert_eq!(bench.told(EventKind::AutoTopUpApplied).len(), 1);
    assert_eq!(
        bench.has(wallet),
        500,
        "the limit is gone, and was topped up"
    );
    bench.set_limit(wallet, 50);
    assert_eq!(bench.has(wallet), 550, "so much of what is lent may stay");
}

#[test]
fn a_post_paid_wallet_has_what_is_left_of_its_limit() {
    let mut bench = Bench::new();
    let wallet = bench.open_post_paid(1_000);
    watch(&mut bench, wallet);
    assert_eq!(states(&bench), []);
    bench.ask(A, 1, used(0, 0, 0), 900);
    assert_eq!(states(&bench), []);
    bench.ask(A, 1, used(900, 900, 0), 0);
    assert_eq!(states(&bench), [is(wallet, "in_alarm")]);
    bench.top_up_with(300, |top_up| top_up.wallet = wallet);
    assert_eq!(
        bench.has(wallet),
        400,
        "what was used of the limit is repaid"
    );
    bench.set_limit(wallet, 700);
    assert_eq!(
        states(&bench),
        [
            is(wallet, "in_alarm"),
            is(wallet, "ok"),
            is(wallet, "in_alarm")
        ]
    );
}

#[test]
fn a_closed_wallet_is_neither_watched_nor_filled_but_says_so() {
    let mut bench = Bench::with_credit(1_000);
    let first = bench.first();
    watch(&mut bench, first);
    refill(&mut bench, first);
    bench.close(first, PaidCredit::Keep).unwrap();
    assert_eq!(states(&bench), []);
    let refused = bench.told(EventKind::AutoTopUpRefused);
    let reasons: Vec<_> = refused
        .iter()
        .map(|event| event.data["reason"].clone())
        .collect();
    assert_eq!(reasons, ["wallet_closed"]);
    assert_eq!(bench.told(EventKind::AutoTopUpApplied).len(), 0);
}
