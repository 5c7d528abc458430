//! The end of a request: its cost is booked, or its reservation given back.
//!
//! A rule that charges on success asks whether the upstream served the request. It did if
//! it answered with less than 500 and the answer was not cut off by its side; a client that
//! went away while the upstream worked pays. Answers the proxy gave itself (no route, rate
//! limited by another filter, body too large, an upload that stalled) cost nothing from 400
//! on: the upstream did not answer. A gRPC call fails by its status: those that mean "the server failed".
//! Settling never gives up: what loses every race is left to the tick.

use creditgate_core::amount::Amount;
use creditgate_core::cell::Settlement as Outcome;
use creditgate_core::id::AccountId;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::rate_card::Charge;

use super::access_log::{self, Fate};
use super::{Admitted, Stage, response};
use crate::gate::Gate;
use crate::host::Host;
use crate::metrics::Metric;
use crate::shared;

/// Response flags: the proxy's bits for what went wrong at the upstream's side. Timeout,
/// local and remote reset, connection failure and end, overflow, retries used up, longest
/// stream reached, protocol error.
const UPSTREAM_FAILED: u64 = 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x8000 | 0x8_0000 | 0x80_0000;
/// Response flags: the client went away.
const CLIENT_LEFT: u64 = 0x4000 | 0x1000_0000;

/// A settlement that has yet to be booked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settlement {
    pub(crate) slot: u32,
    pub(crate) account: AccountId,
    pub(crate) lease: LeaseNumber,
    pub(crate) estimate: Amount,
    pub(crate) actual: Amount,
}

impl Gate {
    /// The request is over, however it ended. May be called more than once.
    pub fn finish(&mut self, host: &dyn Host, id: u32) {
        let Some(stage) = self.requests.remove(&id) else {
            return;
        };
        match stage {
            Stage::Held(held) => self.forget_held(id, &held),
            Stage::Admitted(admitted) => self.settle(host, &admitted),
            Stage::Shadowed(shadowed) => {
                if self.config.access_log {
                    access_log::shadowed(host, &shadowed);
                }
            }
            Stage::Refused(refused) => {
                if self.config.access_log {
                    access_log::refused(host, &refused);
                }
            }
        }
    }

    fn settle(&mut self, host: &dyn Host, admitted: &Admitted) {
        let estimate = admitted.terms.cost();
        let is_due = match admitted.terms.rule.charge() {
            Charge::Always => true,
            Charge::OnSuccess => was_served(host, admitted.response),
        };
        let actual = if is_due { estimate } else { Amount::ZERO };
        self.count(if is_due {
            Metric::Settled
        } else {
            Metric::Released
        });
        let mut fate = if is_due {
            Fate::Settled
        } else {
            Fate::Released
        };
        if !admitted.is_settled {
            let settlement = Settlement {
                slot: admitted.slot,
                account: admitted.credential.account,
                lease: admitted.lease,
                estimate,
                actual,
            };
            match self.book(host, settlement, self.config.limits.cas_attempts) {
                Some(Outcome::Booked) => {}
                Some(Outcome::Gone) => fate = Fate::Gone,
                None => self.book_later(settlement),
            }
            let now_ms = self.watched.latest_ms();
            self.watched
                .touch(admitted.slot, admitted.credential.account, now_ms);
        }
        if self.config.access_log {
            access_log::admitted(host, admitted, fate, is_due);
        }
    }

    /// Books a settlement in the cell. `None` if every race was lost.
    fn book(&mut self, host: &dyn Host, settlement: Settlement, attempts: u32) -> Option<Outcome> {
        let Settlement {
            account,
            lease,
            estimate,
            actual,
            ..
        } = settlement;
        for _ in 0..attempts {
            // The cell may have come to stand elsewhere.
            let found = shared::read(host, settlement.slot, account)
                .or_else(|| shared::find(host, account, self.config.limits.cells_max));
            let Some(mut found) = found else {
                self.count(Metric::SettledGone);
                return Some(Outcome::Gone);
            };
            if found.cell.settle(lease, estimate, actual) == Outcome::Gone {
                self.count(Metric::SettledGone);
                return Some(Outcome::Gone);
            }
            if shared::write(host, &found).is_ok() {
                return Some(Outcome::Booked);
            }
            self.count(Metric::CasLost);
        }
        None
    }

    fn book_later(&mut self, settlement: Settlement) {
        if self.unsettled.len() < self.config.limits.settlements_max {
            self.count(Metric::SettledLater);
            self.unsettled.push_back(settlement);
        } else {
            self.count(Metric::SettlementsDropped);
        }
    }

    /// Books what lost its races. From the tick.
    pub(crate) fn book_unsettled(&mut self, host: &dyn Host) {
        for _ in 0..self.unsettled.len() {
            let Some(settlement) = self.unsettled.pop_front() else {
                return;
            };
            if self
                .book(host, settlement, self.config.limits.cas_attempts)
                .is_none()
            {
                self.unsettled.push_back(settlement);
            }
        }
    }
}

/// Whether the upstream did its work.
fn was_served(host: &dyn Host, seen: response::Seen) -> bool {
    if seen.has_failed() {
        return false;
    }
    if seen.status >= 400 {
        let details = host.property(&["response", "code_details"]);
        return details.as_deref() == Some(b"via_upstream");
    }
    if seen.is_complete && seen.status > 0 {
        return true;
    }
    let flags = integer(host.property(&["response", "flags"]));
    if flags & UPSTREAM_FAILED != 0 {
        return false;
    }
    if seen.status > 0 {
        return true;
    }
    // No response at all: it pays if it left while the upstream was at work.
    let attempts = integer(host.property(&["upstream", "request_attempt_count"]));
    flags & CLIENT_LEFT != 0 && attempts > 0
}

fn integer(property: Option<Vec<u8>>) -> u64 {
    let bytes = property.unwrap_or_default();
    bytes
        .first_chunk::<8>()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
