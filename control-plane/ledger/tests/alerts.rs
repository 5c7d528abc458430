//! Balance alerts: each change of state is told once, in order, by the decision that makes it.

mod common;

use common::{A, Bench, amount, used};
use creditgate_core::amount::Scale;
use creditgate_ledger::alert::{
    AlertCondition, AlertLevel, AlertSettings, AlertThreshold, Crossed,
};
use creditgate_ledger::top_up::{self, TopUp};
use creditgate_ledger::{
    Credits, EntryKind, Event, EventKind, Lot, Rate, ReasonCode, WalletStatus, balance, wallet,
};
use serde_json::json;

fn credits(text: &str) -> Credits {
    Credits::parse(text, Scale::MAX).unwrap()
}

fn below(threshold: &str) -> AlertThreshold {
    AlertThreshold {
        threshold: credits(threshold),
        condition: AlertCondition::Below,
        hysteresis: None,
    }
}

fn above(threshold: &str) -> AlertThreshold {
    AlertThreshold {
        condition: AlertCondition::Above,
        ..below(threshold)
    }
}

fn with_hysteresis(level: AlertThreshold, hysteresis: &str) -> AlertThreshold {
    AlertThreshold {
        hysteresis: Some(credits(hysteresis)),
        ..level
    }
}

/// Info at 100, warning at 50, critical at 10 and below.
fn levels() -> AlertSettings {
    AlertSettings {
        enabled: true,
        info: Some(below("100")),
        warning: Some(below("50")),
        critical: Some(below("10")),
    }
}

/// A wallet that has 1000, with these alerts.
fn watched(settings: AlertSettings) -> Bench {
    let mut bench = Bench::with_credit(1_000);
    set(&mut bench, Some(settings));
    bench
}

fn set(bench: &mut Bench, settings: Option<AlertSettings>) {
    bench.alert_by(bench.first(), settings);
}

/// Makes the balance this, by a lot or by taking one out.
fn bring_to(bench: &mut Bench, units: i64) {
    let wallet = bench.book.wallets[0].id;
    let parts = balance::parts(&bench.book, bench.account(), Some(wallet), bench.now);
    let missing = units - parts.balance().get();
    if missing >= 0 {
        top_up_at_once(bench, missing);
        return;
    }
    // One decision: what is too much is taken out as a whole, the rest of it comes back.
    let command = purchase(bench, units);
    bench.run(|book, journal, context| {
        let lots: Vec<Lot> = book.lots.clone();
        for lot in lots.iter().filter(|lot| !lot.free.is_zero()) {
            top_up::void(book, journal, context, lot.id, "taken out").unwrap();
        }
        if units > 0 {
            top_up::top_up(book, journal, context, command).unwrap();
        }
    });
}

fn purchase(bench: &Bench, units: i64) -> TopUp {
    let reason = ReasonCode::PurchasedCreditDirect;
    TopUp::new(bench.book.wallets[0].id, amount(units), reason)
}

fn top_up_at_once(bench: &mut Bench, units: i64) {
    if units > 0 {
        bench.top_up(units);
    }
}

fn told(bench: &Bench) -> Vec<&Event> {
    let events = bench.journal.events.iter();
    events
        .filter(|event| event.kind == EventKind::WalletAlert)
        .collect()
}

/// The changes that were told: sequence, from, to.
fn changes(bench: &Bench) -> Vec<(u64, String, String)> {
    let text = |event: &Event, field: &str| event.data[field].as_str().unwrap().to_owned();
    told(bench)
        .iter()
        .map(|event| {
            let sequence = event.data["sequence"].as_u64().unwrap();
            (sequence, text(event, "from"), text(event, "to"))
        })
        .collect()
}

fn states(bench: &Bench) -> Vec<String> {
    changes(bench).into_iter().map(|(_, _, to)| to).collect()
}

#[test]
fn every_level_is_told_not_only_the_critical_one() {
    let mut bench = watched(levels());
    for units in [100, 50, 10, 11, 51, 101] {
        bring_to(&mut bench, units);
    }
    let expected = [
        (1, "ok", "info"),
        (2, "info", "warning"),
        (3, "warning", "in_alarm"),
        (4, "in_alarm", "warning"),
        (5, "warning", "info"),
        (6, "info", "ok"),
    ];
    let expected = expected.map(|(sequence, from, to)| (sequence, from.into(), to.into()));
    assert_eq!(changes(&bench), expected);
}

#[test]
fn a_crossing_is_told_once_however_many_debits_follow() {
    let mut bench = watched(levels());
    for units in [90, 80, 70, 60, 95, 60] {
        bring_to(&mut bench, units);
    }
    assert_eq!(states(&bench), ["info"]);
}

#[test]
fn a_threshold_is_crossed_at_it_and_so_that_of_nothing_can_be() {
    let mut bench = watched(AlertSettings {
        info: Some(below("100")),
        warning: Some(below("0")),
        critical: Some(above("2000")),
        ..levels()
    });
    for units in [101, 100, 1, 0, 1, 101, 1_999, 2_000] {
        bring_to(&mut bench, units);
    }
    let expected = ["info", "warning", "info", "ok", "in_alarm"];
    assert_eq!(states(&bench), expected);
}

#[test]
fn the_most_severe_level_wins_whichever_way_it_looks() {
    let mut bench = watched(AlertSettings {
        info: Some(above("500")),
        warning: Some(below("50")),
        critical: Some(above("2000")),
        ..levels()
    });
    assert_eq!(states(&bench), ["info"], "1000 is above 500");
    for units in [2_000, 1_999, 300, 20, 3_000] {
        bring_to(&mut bench, units);
    }
    assert_eq!(
        states(&bench),
        ["info", "in_alarm", "info", "ok", "warning", "in_alarm"]
    );
}

#[test]
fn hysteresis_ends_a_level_at_its_edge_and_not_before() {
    let mut bench = watched(AlertSettings {
        info: Some(with_hysteresis(below("100"), "20")),
        warning: None,
        critical: Some(with_hysteresis(above("5000"), "1000")),
        ..levels()
    });
    for units in [
        120, 100, 101, 120, 121, 120, 5_000, 4_999, 4_000, 3_999, 100,
    ] {
        bring_to(&mut bench, units);
    }
    assert_eq!(
        states(&bench),
        ["info", "ok", "in_alarm", "ok", "info"],
        "not at 101 or 120, but at 121; not at 4000, but at 3999"
    );
}

#[test]
fn a_milder_level_goes_on_under_a_more_severe_one_only_if_it_had_begun() {
    let settings = AlertSettings {
        info: Some(with_hysteresis(below("50"), "100")),
        warning: Some(with_hysteresis(below("100"), "10")),
        critical: None,
        ..levels()
    };
    let mut bench = watched(settings.clone());
    for units in [80, 120] {
        bring_to(&mut bench, units);
    }
    assert_eq!(states(&bench), ["warning", "ok"], "info never began");
    let mut bench = watched(settings);
    for units in [40, 120, 151] {
        bring_to(&mut bench, units);
    }
    assert_eq!(
        states(&bench),
        ["warning", "info", "ok"],
        "info began at 40"
    );
}

#[test]
fn a_report_that_settles_much_in_one_go_is_one_change() {
    let mut bench = watched(levels());
    bench.ask(A, 1, used(0, 0, 0), 1_000);
    assert_eq!(states(&bench), [""; 0], "lent is still the customer's");
    bench.ask(A, 1, used(1_000, 995, 0), 0);
    assert_eq!(changes(&bench), [(1, "ok".into(), "in_alarm".into())]);
    let usage = bench.journal.entries.iter();
    let usage = usage.rev().find(|entry| entry.kind == EntryKind::Usage);
    let cause = usage.map(|entry| entry.id.to_string());
    assert_eq!(told(&bench)[0].data["cause"], json!(cause));
}

#[test]
fn expired_credit_that_is_all_lent_is_told_at_its_instant_and_not_at_a_sweep() {
    let mut bench = Bench::new();
    let expires_at = bench.now.plus_ms(1_000);
    bench.top_up_with(500, |top_up| top_up.expires_at = Some(expires_at));
    set(&mut bench, Some(levels()));
    bench.ask(A, 1, used(0, 0, 0), 500);
    bench.later(999);
    bench.run(|_, _, _| ());
    assert_eq!(states(&bench), [""; 0]);
    bench.later(1);
    bench.run(|_, _, _| ());
    assert_eq!(changes(&bench), [(1, "ok".into(), "in_alarm".into())]);
    assert_eq!(told(&bench)[0].data["at"], json!(expires_at));
    assert_eq!(told(&bench)[0].data["balance"], "0");
}

#[test]
fn credit_that_comes_to_its_effective_instant_ends_an_alarm() {
    let mut bench = Bench::new();
    set(&mut bench, Some(levels()));
    let effective_at = bench.now.plus_ms(1_000);
    bench.top_up_with(500, |top_up| top_up.effective_at = Some(effective_at));
    assert_eq!(states(&bench), ["in_alarm"], "there is nothing yet");
    bench.later(1_000);
    bench.run(|_, _, _| ());
    assert_eq!(states(&bench), ["in_alarm", "ok"]);
}

#[test]
fn changed_settings_are_looked_at_by_the_decision_that_changes_them() {
    let mut bench = watched(levels());
    let higher = AlertSettings {
        info: Some(below("1000")),
        ..levels()
    };
    set(&mut bench, Some(higher));
    assert_eq!(states(&bench), ["info"]);
    set(&mut bench, Some(levels()));
    assert_eq!(states(&bench), ["info", "ok"]);
}

#[test]
fn disabling_goes_back_to_ok_once_and_keeps_the_count() {
    let mut bench = watched(levels());
    bring_to(&mut bench, 5);
    let disabled = AlertSettings {
        enabled: false,
        ..levels()
    };
    set(&mut bench, Some(disabled));
    bring_to(&mut bench, 4);
    assert_eq!(states(&bench), ["in_alarm", "ok"]);
    assert_eq!(told(&bench)[1].data["threshold"], json!(null));
    let state = bench.book.wallets[0].alert_state;
    assert_eq!((state.sequence, state.crossed), (2, Crossed::default()));
    set(&mut bench, Some(levels()));
    assert_eq!(changes(&bench)[2], (3, "ok".into(), "in_alarm".into()));
}

#[test]
fn the_default_holds_for_wallets_without_their_own_from_their_next_decision() {
    let mut bench = Bench::with_credit(1_000);
    bench.registry.settings.default_alerts = Some(levels());
    bring_to(&mut bench, 40);
    assert_eq!(states(&bench), ["warning"]);
    set(
        &mut bench,
        Some(AlertSettings {
            warning: None,
            ..levels()
        }),
    );
    assert_eq!(states(&bench), ["warning", "info"], "its own");
    set(&mut bench, None);
    assert_eq!(states(&bench), ["warning", "info", "warning"]);
    bench.registry.settings.default_alerts = None;
    bring_to(&mut bench, 30);
    assert_eq!(states(&bench).last().unwrap(), "ok");
}

#[test]
fn a_frozen_wallet_is_watched_and_a_closed_one_is_not() {
    let mut bench = watched(levels());
    let id = bench.book.wallets[0].id;
    bring_to(&mut bench, 60);
    bench.run(|book, journal, context| {
        wallet::set_status(book, journal, context, id, WalletStatus::Frozen, None).unwrap();
    });
    bring_to(&mut bench, 20);
    assert_eq!(states(&bench), ["info", "warning"]);
    bench.run(|book, journal, context| {
        wallet::set_status(book, journal, context, id, WalletStatus::Closed, None).unwrap();
    });
    assert_eq!(states(&bench), ["info", "warning", "ok"]);
}

#[test]
fn a_change_says_what_was_compared_with_what() {
    let mut bench = Bench::of(|new| {
        new.conversion_rate = Rate::parse("2", "/conversion_rate").unwrap();
    });
    bench.top_up(1_000);
    set(&mut bench, Some(levels()));
    bench.book.wallets[0].external_id = Some("purse".into());
    bench.top_up(199);
    let first = bench.book.lots[0].id;
    bench.run(|book, journal, context| top_up::void(book, journal, context, first, "r").unwrap());
    let event = told(&bench)[0];
    let cause = event.data["cause"].clone();
    let wallet = &bench.book.wallets[0];
    let expected = json!({
        "wallet_id": wallet.id.to_string(),
        "wallet_external_id": "purse",
        "customer_id": bench.book.customer.id.to_string(),
        "customer_external_id": "cust",
        "currency": "usd",
        "from": "ok",
        "to": "info",
        "sequence": 1,
        "balance": "199",
        "credit_balance": "99.5",
        "level": "info",
        "threshold": { "threshold": "100", "condition": "below" },
        "at": bench.now,
        "cause": cause,
    });
    assert_eq!(event.data, expected);
    let entry = bench.journal.entries.iter();
    let mut entry = entry.filter(|entry| json!(entry.id.to_string()) == cause);
    assert_eq!(entry.next().unwrap().kind, EntryKind::Void);
}

#[test]
fn settings_that_could_never_work_are_refused_where_the_fault_is() {
    let at = |settings: AlertSettings| match settings.check("/alert_settings", "code") {
        Ok(()) => "fine".to_owned(),
        Err(creditgate_ledger::Refusal::InvalidAt { field, code, .. }) => {
            assert_eq!(code, "code");
            field
        }
        Err(other) => panic!("{other}"),
    };
    assert_eq!(at(levels()), "fine");
    let negative = AlertSettings {
        info: Some(below("-1")),
        ..levels()
    };
    assert_eq!(at(negative), "/alert_settings/info/threshold");
    let negative = AlertSettings {
        warning: Some(with_hysteresis(below("1"), "-1")),
        ..levels()
    };
    assert_eq!(at(negative), "/alert_settings/warning/hysteresis");
    let endless = AlertSettings {
        critical: Some(with_hysteresis(above("10"), "10")),
        ..levels()
    };
    assert_eq!(at(endless), "/alert_settings/critical/hysteresis");
    let last = AlertSettings {
        critical: Some(with_hysteresis(above("10"), "9.999999999")),
        info: Some(with_hysteresis(above("0"), "0")),
        ..levels()
    };
    assert_eq!(at(last), "fine");
}

#[test]
fn levels_are_ordered_by_severity() {
    let levels = [
        AlertLevel::Ok,
        AlertLevel::Info,
        AlertLevel::Warning,
        AlertLevel::InAlarm,
    ];
    assert!(levels.is_sorted());
    let names = levels.map(AlertLevel::as_str);
    assert_eq!(names, ["ok", "info", "warning", "in_alarm"]);
}

#[test]
fn new_default_levels_begin_without_the_old_ones_hysteresis() {
    let default = |threshold: &str| AlertSettings {
        enabled: true,
        info: None,
        warning: Some(with_hysteresis(below(threshold), "20")),
        critical: None,
    };
    let mut bench = Bench::with_credit(1_000);
    bench.registry.settings.default_alerts = Some(default("50"));
    bring_to(&mut bench, 40);
    bring_to(&mut bench, 45);
    assert_eq!(states(&bench), ["warning"]);
    bench.registry.settings.default_alerts = Some(default("30"));
    bring_to(&mut bench, 46);
    assert_eq!(states(&bench), ["warning", "ok"], "30 was never crossed");
    bring_to(&mut bench, 30);
    bring_to(&mut bench, 46);
    assert_eq!(
        states(&bench).len(),
        3,
        "now it was, and it goes on until 50"
    );
    bring_to(&mut bench, 51);
    assert_eq!(states(&bench).last().unwrap(), "ok");
}
