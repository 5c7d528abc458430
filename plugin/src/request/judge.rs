//! The decision: who pays what a request costs, then one compare-and-set on its account's cell.
//!
//! It is asked again, in the same words, whenever a held request may have become decidable.

use std::rc::Rc;

use creditgate_core::amount::{Amount, format};
use creditgate_core::cell::{Cell, NotAdmitted};
use creditgate_core::protocol::EnforcementMode;

use super::line::Place;
use super::meter::Meter;
use super::outage::Alone;
use super::refusal::Refusal;
use super::reply::Money;
use super::{Admitted, Demand, Purpose, Refused, Shadowed, Terms, Verdict, response};
use crate::config::Mode;
use crate::credential::Credential;
use crate::gate::Gate;
use crate::host::Host;
use crate::metrics::Metric;
use crate::shared::{self, Found};

/// What one account says to a demand.
#[derive(Debug)]
pub(crate) enum Ruling {
    /// It decides the request, or has it wait.
    Verdict(Verdict),
    /// It does not pay.
    Declined(Declined),
    /// Its cell is not there any more.
    Gone,
}

/// Why an account does not pay, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Declined {
    pub(crate) refusal: Refusal,
    pub(crate) money: Option<Money>,
    /// Whether that is carried out: as rule, filter and customer say together.
    pub(crate) mode: Mode,
}

impl Gate {
    /// Decides what is priced. `heads`: the slot at which nobody waits before it.
    pub(crate) fn judge(
        &mut self,
        host: &dyn Host,
        demand: &Demand,
        heads: Option<u32>,
    ) -> Verdict {
        let now_ms = host.now_ms();
        let terms = demand.terms();
        if let Some(barred) = self.barred.filter(|_| terms.is_some()) {
            return no(demand, None, Refusal::barred(barred), None);
        }
        // A card in another currency is paid from another account.
        let currency = terms.map(|terms| terms.currency);
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
                return no(demand, None, Refusal::CredentialUnknown, None);
            }
            return self.wait_for_credential(host, now_ms, demand, true);
        };
        let demand = &*self.at_own_prices(host, &credential, demand);
        let terms = demand.terms();
        if let Some(Err(error)) = terms.map(|terms| terms.reserved) {
            return no(demand, Some(&credential), Refusal::estimate(error), None);
        }
        let limited = terms.and_then(|terms| credential.limited_to(terms.rule.id()));
        let declined = match limited {
            None => None,
            Some(payer) => {
                match self.judge_limited(host, now_ms, demand, &credential, payer, heads) {
                    Ok(verdict) => return verdict,
                    Err(declined) => Some(declined),
                }
            }
        };
        self.judge_general(host, now_ms, demand, &credential, heads, declined)
    }

    /// What the general account says. `declined`: what a limited one said before it.
    pub(crate) fn judge_general(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        demand: &Demand,
        credential: &Rc<Credential>,
        heads: Option<u32>,
        declined: Option<Declined>,
    ) -> Verdict {
        let (slot, account) = (credential.slot.get(), credential.account);
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
            return self.resolve_again(host, now_ms, demand);
        };
        let Purpose::Pay(terms) = &demand.purpose else {
            return self.judge_balance(host, now_ms, demand, credential, &found);
        };
        if self.must_queue(demand, slot, heads) {
            return Verdict::Wait(Place::Credit { slot, account }, Some(demand.clone()));
        }
        let is_alone = self.is_cut_off(now_ms);
        match self.judge_cell(host, (now_ms, is_alone), demand, terms, credential, found) {
            Ruling::Verdict(verdict) => verdict,
            Ruling::Gone => self.resolve_again(host, now_ms, demand),
            Ruling::Declined(own) => {
                // What running requests hold may be free in a moment: that is the better news.
                let is_held = |declined: &Declined| declined.refusal == Refusal::CreditHeld;
                let better = declined.filter(is_held);
                let better = better.filter(|_| own.refusal == Refusal::CreditExhausted);
                decline(demand, Some(credential), better.unwrap_or(own))
            }
        }
    }

    /// Whether others wait at a slot, before whom the request may not be served.
    pub(crate) fn must_queue(&self, demand: &Demand, slot: u32, heads: Option<u32>) -> bool {
        heads != Some(slot) && demand.mode == Mode::Enforce && self.line.has_waiters(slot)
    }

    /// What was known of the credential is not so any more.
    pub(crate) fn resolve_again(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        demand: &Demand,
    ) -> Verdict {
        self.credentials.remove(&demand.credential);
        self.wait_for_credential(host, now_ms, demand, false)
    }

    /// `is_stranger`: this worker never knew the credential, so it may be invented, and
    /// looking it up is on the budget for such.
    fn wait_for_credential(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        demand: &Demand,
        is_stranger: bool,
    ) -> Verdict {
        let hash = demand.credential;
        if !self.line.lookups.is_under_way(&hash) {
            if is_stranger && self.unknown_budget.is_empty(now_ms) {
                return no(demand, None, Refusal::Capacity, None);
            }
            if !self
                .line
                .lookups
                .begin(hash, demand.customer.as_ref(), is_stranger)
            {
                self.count(Metric::LookupsRefused);
                return no(demand, None, Refusal::Capacity, None);
            }
        }
        if demand.mode == Mode::Enforce {
            return Verdict::Wait(Place::Credential(hash), Some(demand.clone()));
        }
        // Shadow mode holds nobody: it learns for the next time.
        self.wake(host);
        undecided(demand)
    }

    /// What the account of a cell says to a demand. `is_alone`: whether it is to be decided
    /// without the control plane, as far as may be.
    pub(crate) fn judge_cell(
        &mut self,
        host: &dyn Host,
        (now_ms, is_alone): (u64, bool),
        demand: &Demand,
        terms: &Terms,
        credential: &Rc<Credential>,
        found: Found,
    ) -> Ruling {
        let cost = terms.cost();
        let mut found = found;
        for _ in 0..self.config.limits.cas_attempts {
            let mode = demand.mode.max(mode_of_customer(found.cell.mode));
            match mode {
                Mode::Off => return Ruling::Verdict(Verdict::Pass),
                Mode::Shadow => return shadow(demand, credential, &found.cell, cost),
                Mode::Enforce => {}
            }
            let at_once = terms.rule.is_settled_at_once();
            let admitted = match at_once {
                true => found.cell.charge(cost, now_ms),
                false => found.cell.admit(cost, now_ms),
            };
            let alone = admitted
                .err()
                .filter(|_| is_alone)
                .map(|reason| self.judge_alone(host, now_ms, terms, &mut found.cell, reason));
            if alone == Some(Alone::Shadowed) {
                return Ruling::Declined(Declined {
                    refusal: Refusal::ControlPlaneUnreachable,
                    money: None,
                    mode: Mode::Shadow,
                });
            }
            let is_offline = alone == Some(Alone::Admitted);
            let admitted = if is_offline { Ok(()) } else { admitted };
            let refusal = match admitted {
                Ok(()) if shared::write(host, &found).is_ok() => {
                    let admitted =
                        self.admitted(now_ms, demand, terms, credential, (&found, is_offline));
                    return Ruling::Verdict(admitted);
                }
                Ok(()) => {
                    self.count(Metric::CasLost);
                    None
                }
                Err(NotAdmitted::Blocked(block)) if self.is_current(now_ms, &found.cell) => {
                    Some((Refusal::blocked(block), None))
                }
                Err(NotAdmitted::AboveCeiling) if self.is_current(now_ms, &found.cell) => {
                    let money = money(credential, &found.cell, cost, now_ms);
                    Some((short_of(&found.cell, cost), Some(money)))
                }
                Err(_) => {
                    let (slot, account) = (found.slot, credential.account);
                    let place = Place::Credit { slot, account };
                    return Ruling::Verdict(Verdict::Wait(place, Some(demand.clone())));
                }
            };
            if let Some((refusal, money)) = refusal {
                return Ruling::Declined(Declined {
                    refusal,
                    money,
                    mode,
                });
            }
            let Some(again) = shared::read(host, found.slot, credential.account) else {
                return Ruling::Gone;
            };
            found = again;
        }
        Ruling::Verdict(no(demand, Some(credential), Refusal::Contention, None))
    }

    fn admitted(
        &mut self,
        now_ms: u64,
        demand: &Demand,
        terms: &Terms,
        credential: &Rc<Credential>,
        (found, is_offline): (&Found, bool),
    ) -> Verdict {
        self.watched.touch(found.slot, credential.account, now_ms);
        if is_offline {
            self.count(Metric::AdmittedOffline);
            self.count_units(Metric::OfflineUnits, terms.cost());
        }
        #[cfg(feature = "test-trap")]
        if demand.trap {
            std::process::abort();
        }
        Verdict::Admit(Box::new(Admitted {
            credential: Rc::clone(credential),
            cost_text: format(terms.cost(), credential.scale).to_string(),
            is_settled: terms.rule.is_settled_at_once(),
            is_offline,
            meter: Meter::of(terms, now_ms),
            burning: None,
            terms: terms.clone(),
            slot: found.slot,
            lease: found.cell.lease,
            remaining: found.cell.spendable(),
            issued: found.cell.issued,
            is_grpc: demand.is_grpc,
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
    let mode = demand.mode;
    let declined = Declined {
        refusal,
        money,
        mode,
    };
    decline(demand, credential, declined)
}

/// The refusal, or what the mode makes of it.
pub(crate) fn decline(
    demand: &Demand,
    credential: Option<&Rc<Credential>>,
    declined: Declined,
) -> Verdict {
    let Declined {
        refusal,
        money,
        mode,
    } = declined;
    let terms = demand.terms().cloned();
    let credential = credential.cloned();
    match mode {
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
        issued: cell.issued,
        age_seconds: (now_ms / 1000).saturating_sub(u64::from(cell.balance_at_s)),
        required,
        currency: credential.currency,
        scale: credential.scale,
    }
}

/// What would be refused is judged by the balance: a shadowed account is lent nothing.
fn shadow(demand: &Demand, credential: &Rc<Credential>, cell: &Cell, cost: Amount) -> Ruling {
    let refusal = match cell.block {
        Some(block) => Some(Refusal::blocked(block)),
        None if cell.spendable() < cost => Some(short_of(cell, cost)),
        None => None,
    };
    match refusal {
        Some(refusal) => Ruling::Declined(Declined {
            refusal,
            money: None,
            mode: Mode::Shadow,
        }),
        None => Ruling::Verdict(Verdict::Shadow(Box::new(Shadowed {
            terms: demand.terms().cloned(),
            credential: Some(Rc::clone(credential)),
            refusal: None,
        }))),
    }
}

/// In shadow mode nobody waits to be judged.
pub(crate) fn undecided(demand: &Demand) -> Verdict {
    Verdict::Shadow(Box::new(Shadowed {
        terms: demand.terms().cloned(),
        credential: None,
        refusal: None,
    }))
}

const fn mode_of_customer(mode: EnforcementMode) -> Mode {
    match mode {
        EnforcementMode::Enforce => Mode::Enforce,
        EnforcementMode::Shadow => Mode::Shadow,
        EnforcementMode::Off => Mode::Off,
    }
}
