//! The decision: who pays what a request costs, then one compare-and-set on its account's cell.
//!
//! It is asked again, in the same words, whenever a held request may have become decidable.

use std::rc::Rc;

use creditgate_core::amount::{Amount, format};
use creditgate_core::cell::{Cell, NotAdmitted};
use creditgate_core::protocol::EnforcementMode;
use creditgate_core::rate_card::Charge;

use super::line::Place;
use super::refusal::Refusal;
use super::reply::Money;
use super::{Admitted, Demand, Purpose, Refused, Shadowed, Verdict, response};
use crate::config::Mode;
use crate::gate::{Credential, Gate};
use crate::host::Host;
use crate::metrics::Metric;
use crate::shared::{self, Found};

impl Gate {
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

const fn mode_of_customer(mode: EnforcementMode) -> Mode {
    match mode {
        EnforcementMode::Enforce => Mode::Enforce,
        EnforcementMode::Shadow => Mode::Shadow,
        EnforcementMode::Off => Mode::Off,
    }
}
