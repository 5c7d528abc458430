//! The decision: price, then who pays, then one compare-and-set on the account's cell.
//!
//! [`Gate::weigh`] starts from a request's headers, [`Gate::judge`] from what it costs;
//! both are asked again, in the same words, whenever a held request may have become
//! decidable.

use std::rc::Rc;

use creditgate_core::amount::{Amount, format};
use creditgate_core::cell::{Cell, NotAdmitted};
use creditgate_core::key::CredentialHash;
use creditgate_core::protocol::EnforcementMode;
use creditgate_core::rate_card::{Charge, Decision, Mode as RuleMode, Request};

use super::identify::Seen;
use super::line::Place;
use super::refusal::Refusal;
use super::reply::Money;
use super::{Admitted, Demand, Purpose, Refused, Shadowed, Terms, Verdict, response};
use crate::config::{Config, Mode};
use crate::gate::{Credential, Gate};
use crate::host::Host;
use crate::metrics::Metric;
use crate::shared::{self, Found};

/// Between a poll's answer and the next poll, at most.
const POLL_MARGIN_MS: u64 = 250;

/// What has to be known of a request to price it.
#[derive(Debug, Clone)]
pub(crate) struct Question<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) is_cors_preflight: bool,
    pub(crate) is_grpc: bool,
    pub(crate) credential: Result<CredentialHash, Refusal>,
    #[cfg(feature = "test-trap")]
    pub(crate) trap: bool,
}

impl<'a> Question<'a> {
    pub(crate) fn of(seen: &Seen<'a>, config: &Config) -> Self {
        Self {
            method: seen.method,
            path: seen.path,
            is_cors_preflight: seen.is_cors_preflight,
            is_grpc: seen.client.is_grpc,
            credential: seen.credential(config),
            #[cfg(feature = "test-trap")]
            trap: seen.trap,
        }
    }

    fn demand(&self, purpose: Purpose, mode: Mode) -> Result<Demand, Refusal> {
        Ok(Demand {
            credential: self.credential?,
            purpose,
            mode,
            is_grpc: self.is_grpc,
            #[cfg(feature = "test-trap")]
            trap: self.trap,
        })
    }

    fn asks_for_balance(&self, balance_path: Option<&str>) -> bool {
        let path = self.path.split(|byte| *byte == b'?').next();
        self.method == b"GET" && balance_path.is_some_and(|own| path == Some(own.as_bytes()))
    }
}

impl Gate {
    /// Decides from the headers.
    pub(crate) fn weigh(&mut self, host: &dyn Host, question: &Question<'_>) -> Verdict {
        if question.asks_for_balance(self.config.balance_path.as_deref()) {
            return match question.demand(Purpose::Balance, Mode::Enforce) {
                Ok(demand) => self.judge(host, demand, true),
                Err(refusal) => Verdict::refuse(refusal),
            };
        }
        if self.settings.is_none() {
            self.load_settings(host);
        }
        let Some(settings) = self.settings.clone() else {
            return match self.config.mode {
                Mode::Enforce => Verdict::Wait(Place::Settings, None),
                Mode::Shadow | Mode::Off => Verdict::Pass,
            };
        };
        let request = Request {
            method: question.method,
            path: question.path,
            is_cors_preflight: question.is_cors_preflight,
        };
        let rule = match settings.card.price(request) {
            Decision::Free => return Verdict::Pass,
            Decision::Deny => return self.unpriced(Refusal::RouteDenied),
            Decision::Ambiguous(_) => return self.unpriced(Refusal::PathAmbiguous),
            Decision::Rule(rule) => rule,
        };
        let mode = self.config.mode.max(mode_of_rule(rule.mode()));
        if mode == Mode::Off || rule.price().is_zero() {
            return Verdict::Pass;
        }
        let terms = Terms {
            rule: rule.clone(),
            card_version: settings.card.version(),
            currency: settings.card.currency(),
        };
        match question.demand(Purpose::Pay(terms), mode) {
            Ok(demand) => self.judge(host, demand, false),
            Err(refusal) if mode == Mode::Shadow => Verdict::Shadow(Box::new(Shadowed {
                terms: None,
                credential: None,
                refusal: Some(refusal),
            })),
            Err(refusal) => Verdict::refuse(refusal),
        }
    }

    fn unpriced(&self, refusal: Refusal) -> Verdict {
        match self.config.mode {
            Mode::Enforce => Verdict::refuse(refusal),
            Mode::Shadow | Mode::Off => Verdict::Shadow(Box::new(Shadowed {
                terms: None,
                credential: None,
                refusal: Some(refusal),
            })),
        }
    }

    /// Decides what is priced. `is_first`: nobody of this account waits before it.
    pub(crate) fn judge(&mut self, host: &dyn Host, demand: Demand, is_first: bool) -> Verdict {
        let now_ms = host.now_ms();
        let pays = matches!(demand.purpose, Purpose::Pay(_));
        if let Some(barred) = self.barred.filter(|_| pays) {
            return no(&demand, None, Refusal::barred(barred), None);
        }
        // A card in another currency is paid from another account.
        let currency = demand.terms().map(|terms| terms.currency);
        let fits =
            |known: &&Rc<Credential>| currency.is_none_or(|currency| known.currency == currency);
        let Some(credential) = self
            .credentials
            .get(&demand.credential)
            .filter(fits)
            .cloned()
        else {
            let unknown = self
                .unknown
                .get(&demand.credential)
                .is_some_and(|until_ms| now_ms < *until_ms);
            if unknown {
                return no(&demand, None, Refusal::CredentialUnknown, None);
            }
            return self.wait_for_credential(host, now_ms, demand, true);
        };
        let (slot, account) = (credential.slot, credential.account);
        let mut found = shared::read(host, slot, account);
        if found
            .as_ref()
            .is_some_and(|found| self.is_of_another_ledger(&found.cell))
        {
            found = self.reconcile(host, now_ms, slot, account);
        }
        let found = found.filter(|found| found.cell.credential_version == credential.version);
        let Some(found) = found else {
            // Revoked, moved, or the cell is elsewhere or gone: the answer says which.
            self.credentials.remove(&demand.credential);
            return self.wait_for_credential(host, now_ms, demand, false);
        };
        if !is_first && demand.mode == Mode::Enforce && self.line.has_waiters(credential.slot) {
            return Verdict::Wait(Place::Credit(credential.slot), Some(demand));
        }
        self.judge_cell(host, now_ms, demand, &credential, found)
    }

    /// `is_stranger`: this worker never knew the credential, so it may be invented, and
    /// looking it up is on the budget for such.
    fn wait_for_credential(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        demand: Demand,
        is_stranger: bool,
    ) -> Verdict {
        let hash = demand.credential;
        if !self.line.lookups.is_under_way(&hash) {
            if is_stranger && self.unknown_budget.is_empty(now_ms) {
                return no(&demand, None, Refusal::Capacity, None);
            }
            if !self.line.lookups.begin(hash, is_stranger) {
                self.count(Metric::LookupsRefused);
                return no(&demand, None, Refusal::Capacity, None);
            }
        }
        if demand.mode == Mode::Enforce {
            return Verdict::Wait(Place::Credential(hash), Some(demand));
        }
        // Shadow mode holds nobody: it learns for the next time.
        self.wake(host);
        let terms = demand.terms().cloned();
        Verdict::Shadow(Box::new(Shadowed {
            terms,
            credential: None,
            refusal: None,
        }))
    }

    fn judge_cell(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        demand: Demand,
        credential: &Rc<Credential>,
        found: Found,
    ) -> Verdict {
        let terms = match &demand.purpose {
            Purpose::Pay(terms) => terms,
            Purpose::Balance if self.is_stale(now_ms, &found.cell) => {
                return Verdict::Wait(Place::Credit(credential.slot), Some(demand));
            }
            Purpose::Balance => return self.tell_balance(now_ms, credential, &found.cell),
        };
        let cost = terms.cost();
        let mut found = found;
        for _ in 0..self.config.limits.cas_attempts {
            match demand.mode.max(mode_of_customer(found.cell.mode)) {
                Mode::Off => return Verdict::Pass,
                Mode::Shadow => return shadow(&demand, credential, &found.cell, cost),
                Mode::Enforce => {}
            }
            let at_once = terms.rule.charge() == Charge::Always;
            let admitted = match at_once {
                true => found.cell.charge(cost, now_ms),
                false => found.cell.admit(cost, now_ms),
            };
            match admitted {
                Ok(()) if shared::write(host, &found).is_ok() => {
                    return self.admitted(now_ms, demand.clone(), credential, &found, at_once);
                }
                Ok(()) => self.count(Metric::CasLost),
                Err(NotAdmitted::Blocked(block)) if self.is_current(now_ms, &found.cell) => {
                    return no(&demand, Some(credential), Refusal::blocked(block), None);
                }
                Err(NotAdmitted::AboveCeiling) if self.is_current(now_ms, &found.cell) => {
                    let refusal = short_of(&found.cell, cost);
                    return no(
                        &demand,
                        Some(credential),
                        refusal,
                        Some(money(credential, &found.cell, cost, now_ms)),
                    );
                }
                Err(_) => return Verdict::Wait(Place::Credit(credential.slot), Some(demand)),
            }
            let Some(again) = shared::read(host, credential.slot, credential.account) else {
                self.credentials.remove(&demand.credential);
                return self.wait_for_credential(host, now_ms, demand, false);
            };
            found = again;
        }
        no(&demand, Some(credential), Refusal::Contention, None)
    }

    fn admitted(
        &mut self,
        now_ms: u64,
        demand: Demand,
        credential: &Rc<Credential>,
        found: &Found,
        at_once: bool,
    ) -> Verdict {
        self.watched.touch(found.slot, credential.account, now_ms);
        #[cfg(feature = "test-trap")]
        if demand.trap {
            std::process::abort();
        }
        let is_grpc = demand.is_grpc;
        let Purpose::Pay(terms) = demand.purpose else {
            return Verdict::Pass;
        };
        Verdict::Admit(Box::new(Admitted {
            credential: Rc::clone(credential),
            cost_text: format(terms.cost(), credential.scale).to_string(),
            terms,
            slot: found.slot,
            lease: found.cell.lease,
            remaining: found.cell.spendable(),
            is_settled: at_once,
            is_grpc,
            response: response::Seen::default(),
        }))
    }

    /// Whether the balance is so old that it is worth a question.
    fn is_stale(&self, now_ms: u64, cell: &Cell) -> bool {
        let learned_ms = u64::from(cell.balance_at_s)
            .saturating_add(1)
            .saturating_mul(1_000);
        now_ms > learned_ms.saturating_add(self.timing().use_by_ms)
    }

    /// Whether what the cell says of blocks and ceiling can be believed without asking: the
    /// poll would have told of a change, or the account was asked for a short while ago.
    pub(crate) fn is_current(&self, now_ms: u64, cell: &Cell) -> bool {
        let timing = self.timing();
        // The next poll is sent at once, and answered by the end of its hold, news or none.
        // That one is under way proves nothing: the other side may be gone.
        let polled = self.watch.leader.polled_at_ms;
        let answer_ms = self.config.control_plane.timeout_ms;
        let fresh_ms = timing
            .poll_hold_ms()
            .saturating_add(answer_ms)
            .saturating_add(POLL_MARGIN_MS);
        if polled > 0 && now_ms < polled.saturating_add(fresh_ms) {
            return true;
        }
        // Spread by account, so that a silent control plane is not asked by all at once.
        let eighth = timing.use_by_ms / 8;
        let spread = u64::try_from(cell.account.0 % 1024).unwrap_or_default();
        let jitter = eighth.saturating_mul(spread) / 1024;
        cell.reported_at_ms > 0
            && now_ms
                < cell
                    .reported_at_ms
                    .saturating_add(eighth)
                    .saturating_add(jitter)
    }
}

/// The refusal, or what shadow mode makes of it.
pub(crate) fn no(
    demand: &Demand,
    credential: Option<&Rc<Credential>>,
    refusal: Refusal,
    money: Option<Money>,
) -> Verdict {
    let terms = demand.terms().cloned();
    let credential = credential.cloned();
    match demand.mode {
        Mode::Enforce => Verdict::Refuse(
            Box::new(Refused {
                terms,
                credential,
                refusal: Some(refusal),
            }),
            money,
        ),
        Mode::Shadow | Mode::Off => Verdict::Shadow(Box::new(Shadowed {
            terms,
            credential,
            refusal: Some(refusal),
        })),
    }
}

/// Not enough can be had: is it gone, or do running requests hold it?
pub(crate) fn short_of(cell: &Cell, cost: Amount) -> Refusal {
    if cell.balance() >= cost {
        Refusal::CreditHeld
    } else {
        Refusal::CreditExhausted
    }
}

pub(crate) fn money(credential: &Credential, cell: &Cell, required: Amount, now_ms: u64) -> Money {
    Money {
        balance: cell.balance(),
        age_seconds: (now_ms / 1000).saturating_sub(u64::from(cell.balance_at_s)),
        required,
        currency: credential.currency,
        scale: credential.scale,
    }
}

/// What would be refused is judged by the balance: a shadowed account is lent nothing.
fn shadow(demand: &Demand, credential: &Rc<Credential>, cell: &Cell, cost: Amount) -> Verdict {
    let refusal = match cell.block {
        Some(block) => Some(Refusal::blocked(block)),
        None if cell.spendable() < cost => Some(short_of(cell, cost)),
        None => None,
    };
    Verdict::Shadow(Box::new(Shadowed {
        terms: demand.terms().cloned(),
        credential: Some(Rc::clone(credential)),
        refusal,
    }))
}

const fn mode_of_rule(mode: RuleMode) -> Mode {
    match mode {
        RuleMode::Enforce => Mode::Enforce,
        RuleMode::Shadow => Mode::Shadow,
        RuleMode::Off => Mode::Off,
    }
}

const fn mode_of_customer(mode: EnforcementMode) -> Mode {
    match mode {
        EnforcementMode::Enforce => Mode::Enforce,
        EnforcementMode::Shadow => Mode::Shadow,
        EnforcementMode::Off => Mode::Off,
    }
}
