//! A control plane small enough to see through: one purse for each customer, lending what is
//! needed and a little more, with switches for everything that can go wrong.

use std::collections::{BTreeMap, HashMap};

use creditgate_core::amount::{Amount, Currency, Scale};
use creditgate_core::detail::Row;
use creditgate_core::id::AccountId;
use creditgate_core::key::{CredentialHash, credential_hash};
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::outage::OnUnavailable;
use creditgate_core::protocol::{
    AccountState, Barred, Block, CustomerPricing, EnforcementMode, GatewayConfig, LeaseAnswer,
    LimitedAccount, Phase, PollAnswer, PollRequest, PreviousAnswer, Report, ResolveAnswer,
    ResolveRequest, Resolved, SyncAnswer, SyncRequest, Timing, USAGE_ROWS_MAX, UsageAnswer,
    UsageRequest,
};
use creditgate_core::rate_card::RateCardDocument;
use creditgate_plugin::host::CallAnswer;
use serde::Serialize;

use super::host::Sent;

/// A lease, as the control plane knows it.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    pub(crate) counters: Counters,
    pub(crate) phase: Phase,
}

/// A customer's money.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) purse: i64,
    pub(crate) version: u64,
    pub(crate) credential_version: u32,
    pub(crate) block: Option<Block>,
    pub(crate) mode: EnforcementMode,
    pub(crate) pricing: Option<Box<CustomerPricing>>,
    pub(crate) on_unavailable: Option<OnUnavailable>,
    pub(crate) leases: BTreeMap<u64, Lease>,
    /// Credit that cannot be lent at present: it lies at another gateway.
    pub(crate) elsewhere: i64,
    /// A ceiling is told when a need can't be met.
    told: Option<Amount>,
}

pub(crate) struct Plane {
    pub(crate) accounts: HashMap<AccountId, Account>,
    keys: HashMap<CredentialHash, AccountId>,
    /// Accounts of customer 1 that are limited to rules.
    pub(crate) limited: Vec<LimitedAccount>,
    pub(crate) epoch: u64,
    pub(crate) timing: Timing,
    pub(crate) card: serde_json::Value,
    pub(crate) config_version: u64,
    pub(crate) offline_allowance: i64,
    pub(crate) overrun_max: i64,
    pub(crate) warn_below: i64,
    pub(crate) cursor: u64,
    pub(crate) changed: BTreeMap<u64, AccountId>,
    pub(crate) overdue: Vec<AccountId>,
    pub(crate) barred: Option<Barred>,
    told_barred: Option<Barred>,
    /// Calls are answered only when this lets them.
    pub(crate) is_down: bool,
    /// Every call is answered with this status, and told to come back after so many seconds.
    pub(crate) answers_with: Option<(u32, Option<u64>)>,
    /// All the same it answers polls.
    pub(crate) answers_polls: bool,
    /// When which path was asked; a poll that is held again and again.
    pub(crate) asked: Vec<(u64, String)>,
    /// Answers to calls to this path are lost, and so time out.
    pub(crate) loses: Option<&'static str>,
    /// Calls to this path never arrive.
    pub(crate) unheard: Option<&'static str>,
    /// What is lent beyond the need, if it is free.
    pub(crate) ahead: i64,
    /// The next poll brings these instead of the truth.
    pub(crate) stale: Option<LeaseAnswer>,
    /// The next poll calls credit back.
    pub(crate) recall: Option<LeaseAnswer>,
    pub(crate) resolves: u32,
    pub(crate) syncs: u32,
    pub(crate) reports: Vec<Report>,
    /// The batches of usage that came, repetitions too.
    pub(crate) batches: Vec<UsageRequest>,
    /// The rows of those that were new.
    pub(crate) used: Vec<Row>,
    last_batch: HashMap<u64, u64>,
}

pub(crate) const fn account(customer: u8) -> AccountId {
    AccountId(customer as u128)
}

impl Plane {
    pub(crate) fn new(purse: i64) -> Self {
        let mut plane = Self {
            accounts: HashMap::new(),
            keys: HashMap::new(),
            limited: Vec::new(),
            epoch: 7,
            timing: Timing {
                use_by_ms: 8_000,
                sync_ms: 100,
                idle_ms: 2_000,
                wait_ms: 1_000,
                max_stream_ms: 60_000,
            },
            card: serde_json::json!({
                "name": "test", "currency": "tokens", "scale": 0, "default": "deny", "free_paths": ["/healthz"],
                "rules": [
                    {"id": "one", "path": {"exact": "/one"}, "price": 1},
                    {"id": "five", "path": {"exact": "/five"}, "price": 5},
                    {"id": "always", "path": {"exact": "/always"}, "price": 1, "charge": "always"},
                    {"id": "shadow", "path": {"exact": "/shadow"}, "price": 1, "mode": "shadow"},
                    {"id": "nothing", "path": {"exact": "/nothing"}, "price": 0},
                ],
            }),
            config_version: 1,
            offline_allowance: 0,
            overrun_max: 1_000_000,
            warn_below: 0,
            cursor: 1,
            changed: BTreeMap::new(),
            overdue: Vec::new(),
            barred: None,
            told_barred: None,
            is_down: false,
            answers_with: None,
            answers_polls: false,
            asked: Vec::new(),
            loses: None,
            unheard: None,
            ahead: 10,
            stale: None,
            recall: None,
            resolves: 0,
            syncs: 0,
            reports: Vec::new(),
            batches: Vec::new(),
            used: Vec::new(),
            last_batch: HashMap::new(),
        };
        plane.add_customer(1, purse);
        plane
    }

    pub(crate) fn add_customer(&mut self, customer: u8, purse: i64) {
        self.keys
            .insert(credential_hash(&super::key(customer)), account(customer));
        self.accounts
            .insert(account(customer), Account::fresh(purse));
    }

    /// Gives customer 1 an account that is limited to rules, and has gateways hear of it.
    pub(crate) fn limit(&mut self, id: u8, rules: &[&str], purse: i64) {
        let mut fresh = Account::fresh(purse);
        let first = self.first();
        first.credential_version += 1;
        fresh.credential_version = first.credential_version;
        first.version += 1;
        self.accounts.insert(account(id), fresh);
        self.limited.push(LimitedAccount {
            account: account(id),
            rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
        });
        self.touch(account(1));
    }

    /// Customer 1 is known by its key no more.
    /// A customer is also known under a name.
    pub(crate) fn name(&mut self, customer: u8, hash: CredentialHash) {
        self.keys.insert(hash, account(customer));
    }

    pub(crate) fn revoke(&mut self) {
        self.keys.clear();
        let ids: Vec<_> = self.accounts.keys().copied().collect();
        for id in ids {
            self.change_of(id, |account| account.credential_version += 1);
        }
    }

    pub(crate) fn first(&mut self) -> &mut Account {
        self.accounts.get_mut(&account(1)).unwrap()
    }

    pub(crate) fn of(&mut self, id: u8) -> &mut Account {
        self.accounts.get_mut(&account(id)).unwrap()
    }

    /// Changes the first account, and has the poll tell of it.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Account)) {
        self.change_of(account(1), change);
    }

    /// Changes an account, and has the poll tell of it.
    pub(crate) fn change_of(&mut self, id: AccountId, change: impl FnOnce(&mut Account)) {
        let known = self.accounts.get_mut(&id).unwrap();
        change(known);
        known.version += 1;
        known.told = None;
        self.touch(id);
    }

    pub(crate) fn touch(&mut self, account: AccountId) {
        self.cursor += 1;
        self.changed.insert(self.cursor, account);
    }

    /// An answer, or none while a poll is held or the call is lost.
    pub(crate) fn answer(&mut self, call: &Sent, now_ms: u64) -> Option<CallAnswer> {
        assert!(call.authorization.starts_with("Bearer cgg_"));
        self.asked.push((now_ms, call.path.clone()));
        let is_spared = self.answers_polls && call.path.ends_with("/poll");
        if let Some((status, retry_after_s)) = self.answers_with.filter(|_| !is_spared) {
            return Some(CallAnswer {
                status: Some(status),
                retry_after_s,
                body: b"busy".to_vec(),
            });
        }
        let is_unheard = self.unheard.is_some_and(|path| call.path.ends_with(path));
        if self.is_down || is_unheard {
            return Some(CallAnswer {
                status: None,
                retry_after_s: None,
                body: Vec::new(),
            });
        }
        let is_lost = self.loses.is_some_and(|path| call.path.ends_with(path));
        let answer = match call.path.as_str() {
            "/v1/gateway/resolve" => text(&self.resolve(&read(&call.body))),
            "/v1/gateway/sync" => text(&self.sync(&read(&call.body))),
            "/v1/gateway/usage" => text(&self.usage(read(&call.body))),
            "/v1/gateway/poll" => text(&self.poll(&read(&call.body), call, now_ms)?),
            other => panic!("no such path: {other}"),
        };
        (!is_lost).then_some(CallAnswer {
            status: Some(200),
            retry_after_s: None,
            body: answer,
        })
    }

    fn resolve(&mut self, request: &ResolveRequest) -> ResolveAnswer {
        self.resolves += 1;
        if let Some(reason) = self.barred {
            return ResolveAnswer::Barred { reason };
        }
        let Some(id) = self.keys.get(&request.credential).copied() else {
            return ResolveAnswer::Unknown {
                retry_after_ms: 5_000,
            };
        };
        let limited = match id == self::account(1) {
            true => self.limited.clone(),
            false => Vec::new(),
        };
        let pays_first = limited.iter().find(|limited| {
            let rule = request.rule.as_ref();
            rule.is_some_and(|rule| limited.rules.contains(rule))
        });
        let is_paid_there = pays_first.is_some_and(|limited| {
            let payer = &self.accounts[&limited.account];
            payer.block.is_none() && payer.purse - payer.spent() >= request.need.get()
        });
        let account = self.accounts.get_mut(&id).unwrap();
        let newest = account
            .leases
            .last_key_value()
            .map(|(number, lease)| (*number, lease.clone()));
        let usable = newest.as_ref().is_none_or(|(number, lease)| {
            request.lease.0 > *number && lease.counters.is_balanced()
        });
        let repeated = newest.as_ref().is_some_and(|(number, lease)| {
            *number == request.lease.0 && lease.counters.mark() == 0
        });
        if usable {
            if let Some((number, _)) = newest {
                account.leases.get_mut(&number).unwrap().phase = Phase::Closed;
            }
            account.leases.insert(
                request.lease.0,
                Lease {
                    counters: Counters::default(),
                    phase: Phase::Open,
                },
            );
        }
        let number = if usable || repeated {
            request.lease
        } else {
            LeaseNumber(newest.unwrap().0)
        };
        if (usable || repeated) && !is_paid_there {
            account.lend(number, request.need, request.need, self.ahead);
        }
        ResolveAnswer::Known(Box::new(Resolved {
            epoch: self.epoch,
            customer: format!("customer-{}", id.0),
            currency: Currency::new("tokens").unwrap(),
            scale: Scale::new(0).unwrap(),
            opened: usable || repeated,
            answer: account.answer(id, number, self.timing.use_by_ms, None),
            limited,
            pricing: account.pricing.clone(),
        }))
    }

    fn sync(&mut self, request: &SyncRequest) -> SyncAnswer {
        self.syncs += 1;
        let known_epoch = request.hello.epoch == 0 || request.hello.epoch == self.epoch;
        let answers = request
            .reports
            .iter()
            .map(|report| self.report(report, known_epoch))
            .collect();
        SyncAnswer {
            epoch: self.epoch,
            answers,
        }
    }

    fn usage(&mut self, request: UsageRequest) -> UsageAnswer {
        assert!((1..=USAGE_ROWS_MAX).contains(&request.rows.len()));
        let last = self.last_batch.entry(request.source).or_default();
        if request.number > *last {
            assert_eq!(request.number, *last + 1, "none is left out");
            *last = request.number;
            self.used.extend(request.rows.iter().cloned());
        }
        let number = *last;
        self.batches.push(request);
        UsageAnswer { number }
    }

    fn report(&mut self, report: &Report, known_epoch: bool) -> LeaseAnswer {
        self.reports.push(report.clone());
        let barred = self.barred.is_some();
        let (ahead, use_by_ms) = (self.ahead, self.timing.use_by_ms);
        let account = self.accounts.get_mut(&report.account).unwrap();
        let mut previous = None;
        if let Some(told) = &report.previous {
            account.open_offline(told.lease, &told.counters);
            let closed = match account.leases.get_mut(&told.lease.0) {
                Some(lease) => {
                    lease.merge(&told.counters);
                    lease.phase = Phase::Turn;
                    lease.counters.is_balanced() || told.dead
                }
                None => true,
            };
            if closed && let Some(lease) = account.leases.get_mut(&told.lease.0) {
                lease.phase = Phase::Closed;
            }
            previous = Some(PreviousAnswer {
                lease: told.lease,
                settled: told.counters.settled,
                closed,
            });
        }
        account.open_offline(report.lease, &report.counters);
        let newest = account
            .leases
            .last_key_value()
            .map_or(0, |(number, _)| *number);
        let fresh = report.lease.0 > newest
            && report.counters == Counters::default()
            && known_epoch
            && !barred;
        if fresh {
            // A new number that does not name an older lease means that one's cell is lost.
            let named = report.previous.as_ref().map(|told| told.lease.0);
            for (number, lease) in &mut account.leases {
                if Some(*number) != named && !lease.counters.is_balanced() {
                    lease.phase = Phase::Closed;
                }
            }
            account.leases.insert(
                report.lease.0,
                Lease {
                    counters: Counters::default(),
                    phase: Phase::Open,
                },
            );
        }
        if let Some(lease) = account.leases.get_mut(&report.lease.0) {
            assert!(
                report.counters.granted <= lease.counters.granted,
                "more reported than ever lent"
            );
            report.counters.check().unwrap();
            lease.merge(&report.counters);
            if barred && lease.phase == Phase::Open {
                lease.phase = Phase::Turn;
            }
            if lease.phase == Phase::Open && !report.need.is_zero() {
                account.lend(report.lease, report.need, report.wanted, ahead);
            }
        }
        account.answer(report.account, report.lease, use_by_ms, previous)
    }

    fn poll(&mut self, request: &PollRequest, call: &Sent, now_ms: u64) -> Option<PollAnswer> {
        let hold_until_ms = call.until_ms - 2_000;
        let is_news = request.cursor < self.cursor
            || request.config_version != self.config_version
            || request.hello.epoch != self.epoch
            || self.barred != self.told_barred
            || !self.overdue.is_empty();
        if !is_news && now_ms < hold_until_ms {
            return None;
        }
        self.told_barred = self.barred;
        let mut changes = Vec::new();
        for (_, id) in self.changed.range(request.cursor + 1..) {
            let account = &self.accounts[id];
            changes.extend(account.leases.keys().map(|number| {
                account.answer(*id, LeaseNumber(*number), self.timing.use_by_ms, None)
            }));
        }
        if let Some(instead) = self.stale.take().or_else(|| self.recall.take()) {
            changes = vec![instead];
        }
        let config = (request.config_version != self.config_version).then(|| {
            Box::new(GatewayConfig {
                version: self.config_version,
                rate_card_name: "api".into(),
                rate_card_version: self.config_version,
                rate_card: serde_json::from_value::<RateCardDocument>(self.card.clone()).unwrap(),
                scale: Scale::new(0).unwrap(),
                top_up_url: Some("https://pay.example".into()),
                timing: self.timing,
                offline_allowance: Amount::new(self.offline_allowance),
                overrun_max: Amount::new(self.overrun_max),
                warn_below: Amount::new(self.warn_below),
            })
        });
        let overdue = std::mem::take(&mut self.overdue);
        Some(PollAnswer {
            epoch: self.epoch,
            cursor: self.cursor,
            changes,
            overdue,
            config,
            barred: self.barred,
        })
    }
}

impl Lease {
    fn merge(&mut self, reported: &Counters) {
        let granted = self.counters.granted;
        self.counters = Counters {
            granted,
            ..self.counters.merged(reported)
        };
        // What was used beyond what was lent is lent now.
        let overrun = self.counters.overrun();
        self.counters.granted = granted.saturating_add(overrun);
    }
}

impl Account {
    fn fresh(purse: i64) -> Self {
        Self {
            purse,
            version: 1,
            credential_version: 1,
            block: None,
            mode: EnforcementMode::Enforce,
            pricing: None,
            on_unavailable: None,
            leases: BTreeMap::new(),
            elsewhere: 0,
            told: None,
        }
    }

    /// A lease that was begun while this control plane did not answer.
    fn open_offline(&mut self, number: LeaseNumber, counters: &Counters) {
        if counters.granted.is_zero() && counters.remaining().is_negative() {
            self.leases.entry(number.0).or_insert(Lease {
                counters: Counters::default(),
                phase: Phase::Open,
            });
        }
    }

    pub(crate) fn spent(&self) -> i64 {
        self.leases
            .values()
            .map(|lease| lease.counters.settled.get())
            .sum()
    }

    pub(crate) fn outstanding(&self) -> i64 {
        self.leases
            .values()
            .map(|lease| lease.counters.outstanding().get())
            .sum()
    }

    pub(crate) fn free(&self) -> i64 {
        self.purse - self.spent() - self.outstanding() - self.elsewhere
    }

    fn lend(&mut self, number: LeaseNumber, need: Amount, wanted: Amount, ahead: i64) {
        let free = self.free();
        let could = self.free() + self.elsewhere;
        let lease = self.leases.get_mut(&number.0).unwrap();
        let remaining = lease.counters.remaining().get();
        let short = need.get() - remaining;
        if short > free || self.block.is_some() {
            if short > could {
                let ceiling = Some(Amount::new((could + remaining).max(0)));
                self.version += u64::from(self.told != ceiling);
                self.told = ceiling;
            }
            return;
        }
        let amount = (wanted.get() - remaining)
            .max(short)
            .max(ahead.min(free / 2))
            .min(free)
            .max(0);
        lease.counters.granted = lease.counters.granted.saturating_add(Amount::new(amount));
    }

    pub(crate) fn answer(
        &self,
        account: AccountId,
        number: LeaseNumber,
        use_by_ms: u64,
        previous: Option<PreviousAnswer>,
    ) -> LeaseAnswer {
        let lease = self.leases.get(&number.0);
        LeaseAnswer {
            account,
            lease: number,
            phase: lease.map_or(Phase::Closed, |lease| lease.phase),
            granted: lease.map_or(Amount::ZERO, |lease| lease.counters.granted),
            use_by_ms,
            settled: lease.map_or(Amount::ZERO, |lease| lease.counters.settled),
            previous,
            keep: None,
            waiting: false,
            state: AccountState {
                version: self.version,
                ceiling: self.told,
                block: self.block,
                mode: self.mode,
                on_unavailable: self.on_unavailable,
                owes: self.spent() > self.purse,
                credential_version: self.credential_version,
                balance: Amount::new(self.purse - self.spent()),
                issued: Amount::new(self.purse),
            },
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> T {
    serde_json::from_slice(body).unwrap()
}

fn text(answer: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(answer).unwrap()
}
