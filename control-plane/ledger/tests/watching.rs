//! Random histories: alert states are those of a simple model; auto top-ups keep their bounds.

mod common;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use common::{A, Bench, used};
use creditgate_core::lease::LeaseNumber;
use creditgate_ledger::alert::{self, AlertCondition, AlertLevel, AlertSettings, AlertThreshold};
use creditgate_ledger::auto_top_up::{self, AutoTopUp, Fill};
use creditgate_ledger::{
    Credits, Event, EventKind, Fact, LeaseState, Rate, WalletStatus, balance, payment, void, wallet,
};
use proptest::prelude::*;

/// What happens to a wallet, in one decision each.
#[derive(Debug, Clone)]
enum Step {
    TopUp {
        units: i64,
        after_ms: u64,
        for_ms: Option<u64>,
    },
    Void(usize),
    Use {
        asked: i64,
        used: i64,
    },
    Pass(u64),
    Pay,
    Cancel,
    Freeze(bool),
    Own(Option<AlertSettings>),
    Default(Option<AlertSettings>),
    Terms(bool),
}

fn nano(nano: i128) -> Credits {
    Credits::of_nano(nano)
}

fn threshold() -> impl Strategy<Value = AlertThreshold> {
    (
        0_i128..400,
        prop_oneof![Just(0_i128), 0..150_i128],
        any::<bool>(),
    )
        .prop_map(|(threshold, hysteresis, is_above)| AlertThreshold {
            // In quarters of a credit, so that edges are met, and are no whole units.
            threshold: nano(threshold * 250_000_000),
            condition: if is_above {
                AlertCondition::Above
            } else {
                AlertCondition::Below
            },
            hysteresis: (hysteresis > 0).then(|| nano(hysteresis * 250_000_000)),
        })
}

fn settings() -> impl Strategy<Value = AlertSettings> {
    let level = || prop::option::weighted(0.8, threshold());
    (prop::bool::weighted(0.9), level(), level(), level()).prop_map(
        |(enabled, info, warning, critical)| AlertSettings {
            enabled,
            info,
            warning,
            critical,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let waits = prop_oneof![Just(0_u64), 1..900_u64, 1..5_000_u64, 1..100_000_000_u64];
    prop_oneof![
        4 => (1..60_i64, prop_oneof![3 => Just(0_u64), 1 => 1..5_000_u64],
              prop::option::weighted(0.4, 1..20_000_u64))
            .prop_map(|(units, after_ms, for_ms)| Step::TopUp { units, after_ms, for_ms }),
        2 => (0..8_usize).prop_map(Step::Void),
        5 => (0..80_i64, 0..80_i64).prop_map(|(asked, used)| Step::Use { asked, used }),
        5 => waits.prop_map(Step::Pass),
        1 => Just(Step::Pay),
        1 => Just(Step::Cancel),
        1 => any::<bool>().prop_map(Step::Freeze),
        1 => prop::option::of(settings()).prop_map(Step::Own),
        1 => prop::option::of(settings()).prop_map(Step::Default),
        1 => any::<bool>().prop_map(Step::Terms),
    ]
}

/// A wallet under test, with a gateway that asks and uses.
struct History {
    bench: Bench,
    terms: Option<AutoTopUp>,
    lease: (u64, i64, i64),
}

impl History {
    fn new(rate: &str, zone: &str) -> Self {
        let mut bench = Bench::of(|new| {
            new.conversion_rate = Rate::parse(rate, "/conversion_rate").unwrap();
        });
        bench.book.customer.time_zone = zone.to_owned();
        Self {
            bench,
            terms: None,
            lease: (1, 0, 0),
        }
    }

    fn take(&mut self, step: &Step) {
        let bench = &mut self.bench;
        match step {
            Step::TopUp {
                units,
                after_ms,
                for_ms,
            } => {
                let effective_at = bench.now.plus_ms(*after_ms);
                bench.top_up_with(*units, |top_up| {
                    top_up.effective_at = Some(effective_at);
                    top_up.expires_at = for_ms.map(|ms| effective_at.plus_ms(ms));
                });
            }
            Step::Void(place) => {
                let lots = bench.book.lots.iter();
                let mut live = lots
                    .filter(|lot| lot.is_live() && lot.voided_at.is_none() && lot.unpaid.is_zero());
                let lot = live.nth(*place).map(|lot| lot.id);
                bench.run(|book, journal, context| {
                    // It may expire by this very decision.
                    lot.map(|lot| void::void(book, journal, context, lot, "r"))
                });
            }
            Step::Use { asked, used } => self.ask(*asked, *used),
            Step::Pass(ms) => {
                bench.later(*ms);
                bench.run(|_, _, _| ());
            }
            Step::Pay | Step::Cancel => {
                let pending = bench.book.wallets[0].auto_topup_state.pending;
                let pays = matches!(step, Step::Pay);
                bench.run(|book, journal, context| {
                    let Some(lot) = pending else { return };
                    if pays {
                        payment::pay(book, journal, context, lot, None, None).unwrap();
                    } else {
                        void::void(book, journal, context, lot, "r").unwrap();
                    }
                });
            }
            Step::Freeze(freezes) => {
                let id = bench.book.wallets[0].id;
                let status = if *freezes {
                    WalletStatus::Frozen
                } else {
                    WalletStatus::Active
                };
                bench.run(|book, journal, context| {
                    wallet::set_status(book, journal, context, id, status, None).unwrap();
                });
            }
            Step::Own(settings) => {
                // What would never end is refused.
                if alert::check(settings.as_ref()).is_ok() {
                    bench.alert_by(bench.first(), settings.clone());
                }
            }
            Step::Default(settings) => {
                bench.registry.settings.default_alerts = settings.clone();
                bench.run(|book, _, context| book.touch(0, context.now));
            }
            Step::Terms(has) => {
                let terms = self.terms.clone().filter(|_| *has);
                let rate = &bench.book.wallets[0].conversion_rate;
                let scale = bench.book.accounts[0].scale;
                if auto_top_up::check(terms.as_ref(), rate, scale).is_ok() {
                    bench.fill_by(bench.first(), terms);
                }
            }
        }
    }

    /// The wallet's own settings; and the installation's, if those count.
    fn settings(&self) -> [Option<AlertSettings>; 2] {
        let own = self.bench.book.wallets[0].alert_settings.clone();
        let default = self.bench.registry.settings.default_alerts.clone();
        let default = default.filter(|_| own.is_none());
        [own, default]
    }

    /// A report: some of what is lent was used, and some more is asked for.
    fn ask(&mut self, asked: i64, wanted: i64) {
        let (number, granted, settled) = self.lease;
        let account = self.bench.account();
        let lease = self.bench.book.lease_place(account, A, LeaseNumber(number));
        let over =
            lease.is_some_and(|lease| self.bench.book.leases[lease].state != LeaseState::Open);
        if over {
            // All is given back or used, and the next lease has a new number.
            let end = common::returned(used(granted, settled, 0), granted - settled);
            self.bench.ask(A, number, end, 0);
            self.lease = (number + 1, 0, 0);
            return;
        }
        let settled = settled + wanted.min(granted - settled);
        let answer = self.bench.ask(A, number, used(granted, settled, 0), asked);
        self.lease = (number, answer.granted.get(), settled);
    }

    fn balance(&self) -> i64 {
        let wallet = &self.bench.book.wallets[0];
        let parts = balance::parts(
            &self.bench.book,
            wallet.account,
            Some(wallet.id),
            self.bench.now,
        );
        let one = [wallet.id].into();
        let known = balance::of_wallets(&self.bench.book, &one, self.bench.now);
        assert_eq!(known[&wallet.id], parts.balance(), "both ways to count");
        parts.balance().get()
    }

    fn told(&self, kind: EventKind) -> Vec<&Event> {
        let events = self.bench.journal.events.iter();
        events.filter(|event| event.kind == kind).collect()
    }
}

/// The reference: what anyone would write down who watched the balance.
#[derive(Default)]
struct Model {
    began: [bool; 3],
    level: AlertLevel,
    changes: Vec<(AlertLevel, AlertLevel, i64)>,
}

impl Model {
    fn look(&mut self, settings: Option<&AlertSettings>, balance: i64, rate_nano: i128) {
        let settings = settings.filter(|settings| settings.enabled);
        let levels = settings.map_or([None, None, None], |settings| {
            [&settings.info, &settings.warning, &settings.critical].map(Option::as_ref)
        });
        for (began, level) in self.began.iter_mut().zip(levels) {
            let Some(level) = level else {
                *began = false;
                continue;
            };
            // Units of scale 0, in 10⁻¹⁸; credits × rate are so, too.
            let balance = i128::from(balance) * 10_i128.pow(18);
            let edge = level.threshold.nano() * rate_nano;
            let back = level.hysteresis.as_ref().map_or(0, Credits::nano) * rate_nano;
            *began = match (level.condition, *began) {
                (AlertCondition::Below, false) => balance <= edge,
                (AlertCondition::Below, true) => balance <= edge + back,
                (AlertCondition::Above, false) => balance >= edge,
                (AlertCondition::Above, true) => balance >= edge - back,
            };
        }
        let level = match self.began {
            [_, _, true] => AlertLevel::InAlarm,
            [_, true, _] => AlertLevel::Warning,
            [true, _, _] => AlertLevel::Info,
            _ => AlertLevel::Ok,
        };
        if level != self.level {
            self.changes.push((self.level, level, balance));
            self.level = level;
        }
    }
}

fn rate() -> impl Strategy<Value = (&'static str, i128)> {
    prop_oneof![
        Just(("1", 1_000_000_000_i128)),
        Just(("0.37", 370_000_000)),
        Just(("3.3", 3_300_000_000)),
    ]
}

/// The facts of the chain and the events say the same, one after the other.
fn assert_told_in_order(history: &History) -> Vec<(AlertLevel, AlertLevel, i64)> {
    let entries = history.bench.journal.entries.iter();
    let facts = entries.filter_map(|entry| match entry.fact {
        Some(Fact::AlertState {
            sequence,
            from,
            to,
            balance,
            ..
        }) => Some((sequence, from, to, balance.get())),
        _ => None,
    });
    let facts: Vec<_> = facts.collect();
    let events = history.told(EventKind::WalletAlert);
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            let text = |field: &str| event.data[field].as_str().unwrap().to_owned();
            (
                event.data["sequence"].as_u64().unwrap(),
                text("from"),
                text("to"),
                text("balance"),
            )
        })
        .collect();
    let words: Vec<_> = facts
        .iter()
        .map(|(sequence, from, to, balance)| {
            (
                *sequence,
                from.as_str().to_owned(),
                to.as_str().to_owned(),
                balance.to_string(),
            )
        })
        .collect();
    assert_eq!(told, words);
    let mut before = (0, AlertLevel::Ok);
    for (sequence, from, to, _) in &facts {
        assert_eq!(
            (*sequence, *from),
            (before.0 + 1, before.1),
            "no gap, no jump"
        );
        assert_ne!(from, to);
        before = (*sequence, *to);
    }
    let state = history.bench.book.wallets[0].alert_state;
    assert_eq!((state.sequence, state.level), before);
    assert_eq!(state.crossed.level(), state.level);
    facts
        .into_iter()
        .map(|(_, from, to, balance)| (from, to, balance))
        .collect()
}

proptest! {
    #[test]
    fn alert_states_are_those_of_the_reference(
        (rate, rate_nano) in rate(),
        first in settings(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut history = History::new(rate, "UTC");
        let mut model = Model::default();
        let all = std::iter::once(Step::Own(Some(first))).chain(steps);
        for step in all {
            let before = history.settings();
            history.take(&step);
            let wallet = &history.bench.book.wallets[0];
            let after = history.settings();
            if after != before {
                model.began = [false; 3];
            }
            let [own, default] = after;
            model.look(own.or(default).as_ref(), history.balance(), rate_nano);
            prop_assert_eq!(wallet.alert_state.level, model.level, "after {:?}", step);
        }
        prop_assert_eq!(assert_told_in_order(&history), model.changes);
    }

    #[test]
    fn auto_top_ups_keep_their_bounds_and_never_stop_in_silence(
        (rate, rate_nano) in rate(),
        zone in prop_oneof![Just("UTC"), Just("Asia/Singapore"), Just("America/New_York"), Just("Pacific/Apia")],
        threshold in 0_i128..60,
        (is_target, added) in (any::<bool>(), 1_i128..80),
        invoicing in any::<bool>(),
        cooldown_ms in 1_000..4_000_u64,
        (per_day, per_month) in (1..9_u32, 1..13_u32),
        alerts in settings(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut history = History::new(rate, zone);
        let terms = AutoTopUp {
            enabled: true,
            threshold: nano(threshold * 1_000_000_000),
            fill: if is_target {
                Fill::Target(nano((threshold + added) * 1_000_000_000))
            } else {
                Fill::Amount(nano(added * 1_000_000_000))
            },
            invoicing,
            cooldown_ms: Some(cooldown_ms),
            per_day_max: Some(per_day),
            per_month_max: Some(per_month),
        };
        history.terms = Some(terms);
        let is_low = |balance: i64| {
            i128::from(balance) * 10_i128.pow(9) <= threshold * rate_nano
        };
        history.take(&Step::Own(Some(alerts)));
        history.take(&Step::Terms(true));
        let mut made = Vec::new();
        let mut unpaid = None;
        for step in steps {
            let before = history.bench.journal.events.len();
            let was_pending = history.bench.book.wallets[0].auto_topup_state.pending;
            history.take(&step);
            let balance = history.balance();
            let wallet = &history.bench.book.wallets[0];
            let state = &wallet.auto_topup_state;
            let new = history.bench.journal.events[before..].iter().filter(|event| {
                matches!(event.kind, EventKind::AutoTopUpApplied | EventKind::AutoTopUpPending)
            });
            let new: Vec<_> = new.collect();
            prop_assert!(new.len() <= 1, "two by one decision: {:?}", step);
            for event in new {
                prop_assert!(wallet.auto_topup.is_some() && wallet.status == WalletStatus::Active);
                let applied = event.kind == EventKind::AutoTopUpApplied;
                prop_assert_eq!(applied, !invoicing);
                if !applied {
                    prop_assert!(is_low(balance), "a crossing was answered");
                }
                prop_assert!(unpaid.is_none() || state.pending != unpaid, "while one was unpaid");
                made.push(event.at);
            }
            if let (Some(was), Some(is)) = (was_pending, state.pending) {
                // What was paid may be too little, and the next be made at once.
                prop_assert!(was == is || matches!(step, Step::Pay), "one at a time");
            }
            unpaid = state.pending;
            if state.is_crossed {
                prop_assert!(is_low(balance));
                prop_assert!(state.is_answered || state.refused.is_some(), "in silence: {:?}", state);
                prop_assert!(state.retry_at.is_none_or(|at| at > history.bench.now), "{:?}", state);
            }
            prop_assert_eq!(state.is_answered && state.pending.is_none(), false);
        }
        for pair in made.windows(2) {
            prop_assert!(pair[1].since_ms(pair[0]) >= cooldown_ms);
        }
        let mut days: BTreeMap<String, u32> = BTreeMap::new();
        let mut months: BTreeMap<String, u32> = BTreeMap::new();
        for at in made {
            let zone: chrono_tz::Tz = zone.parse().unwrap();
            let local = DateTime::<Utc>::from_timestamp_millis(at.0).unwrap().with_timezone(&zone);
            *days.entry(local.format("%F").to_string()).or_default() += 1;
            *months.entry(local.format("%Y-%m").to_string()).or_default() += 1;
        }
        prop_assert!(days.values().all(|count| *count <= per_day), "{:?}", days);
        prop_assert!(months.values().all(|count| *count <= per_month), "{:?}", months);
        assert_told_in_order(&history);
    }
}
