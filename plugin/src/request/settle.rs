//! The end of a request: its cost is booked, or its reservation given back.
//!
//! A rule that charges on success asks whether the upstream served the request. It did if
//! it answered with less than 500 and the answer was not cut off by its side; a client that
//! went away while the upstream worked pays. Answers the proxy gave itself (no route, rate
//! limited by another filter, body too large, an upload that stalled) cost nothing from 400
//! on, and by gRPC with any status but OK: the upstream did not answer. A gRPC call fails by its
//! status: those that mean "the server failed".
//! Settling never gives up: what loses every race is left to the tick.

use creditgate_core::amount::Amount;
use creditgate_core::cell::Settlement as Outcome;
pub(crate) use creditgate_core::detail::SettledBy as By;
use creditgate_core::detail::{Counts, Heading, Row};
use creditgate_core::id::AccountId;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::rate_card::{
    Cause, Causes, CostError, Ending, Measures, OnEmpty, PRICE_MAX, Promise, Verdict,
};
use creditgate_core::usage::ModelName;

use super::access_log::{self, Fate};
use super::meter::{Measured, Meter, Told};
use super::{Admitted, Stage, response};
use crate::gate::{FAULTS_TOLD_MAX, Gate};
use crate::host::{Host, Level};
use crate::metrics::Metric;
use crate::shared;

/// Response flags: the proxy's bits for what went wrong at the upstream's side. Timeout,
/// local and remote reset, connection failure and end, overflow, retries used up, longest
/// stream reached, protocol error.
const UPSTREAM_FAILED: u64 = 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x8000 | 0x8_0000 | 0x80_0000;
/// Response flags: the client went away.
const CLIENT_LEFT: u64 = 0x4000 | 0x1000_0000;

/// The upstream cut the stream or the connection off, or broke the protocol.
const UPSTREAM_RESET: u64 = 0x8 | 0x10 | 0x20 | 0x40 | 0x80_0000;
/// It took too long: the request, the stream's silence, or its whole length.
const TIMED_OUT: u64 = 0x4 | 0x1_0000 | 0x8_0000 | 0x40_0000;
const RETRIES_USED_UP: u64 = 0x8000;

/// A settlement that has yet to be booked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settlement {
    pub(crate) slot: u32,
    pub(crate) account: AccountId,
    pub(crate) lease: LeaseNumber,
    pub(crate) estimate: Amount,
    pub(crate) actual: Amount,
}

/// What is charged for a request that has ended.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) amount: Amount,
    pub(crate) by: By,
    /// What was measured, if the price depends on it.
    pub(crate) measures: Measures,
    /// The model that answered.
    pub(crate) model: Option<ModelName>,
}

impl Due {
    fn of(amount: Amount, by: By) -> Self {
        Self {
            amount,
            by,
            measures: Measures::default(),
            model: None,
        }
    }
}

impl Admitted {
    /// What is due for an answer that the filter ended: what had passed.
    fn due_if_ended(&self) -> Option<Due> {
        let burning = self.burning.as_ref().filter(|burning| burning.is_ended())?;
        let mut due = Due::of(burning.passed.cost.min(burning.reserved), By::Ended);
        due.measures = burning.passed.measures;
        Some(due)
    }

    /// What an answer costs that could not be read: what was reserved before it began, and as much as
    /// has passed of one that is paid for while it passes.
    fn unread_cost(&self) -> Amount {
        let burnt = self.burning.as_ref().map(|burning| burning.passed.cost);
        // What has no cost at all is no sum.
        let burnt = burnt.filter(|burnt| *burnt < PRICE_MAX);
        let cost = self.terms.cost().max(burnt.unwrap_or_default());
        match self.terms.rule.on_empty() {
            OnEmpty::End => cost.min(self.reserved()),
            OnEmpty::Finish => cost,
        }
    }

    /// What an answer costs that was read. A metered one that ends when the credit does costs no
    /// more than was reserved; nor does a strict one that broke off.
    fn capped(&self, cost: Amount, told: Told) -> Amount {
        let rule = &self.terms.rule;
        match (rule.promise(), rule.on_empty(), told) {
            (Promise::Strict, _, Told::Passed) | (Promise::Metered, OnEmpty::End, _) => {
                cost.min(self.reserved())
            }
            _ => cost,
        }
    }
}

impl Gate {
    /// The request is over, however it ended. May be called more than once.
    pub fn finish(&mut self, host: &dyn Host, id: u32) {
        self.drips.forget(id);
        let Some(stage) = self.requests.remove(&id) else {
            return;
        };
        match stage {
            Stage::Held(held) => self.forget_held(id, &held),
            Stage::Admitted(admitted) => {
                self.timed.remove(&id);
                self.sate(id, &admitted);
                self.settle(host, admitted);
            }
            Stage::Reading(_) => {}
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

    fn settle(&mut self, host: &dyn Host, mut admitted: Box<Admitted>) {
        let due = self.due(host, &mut admitted);
        let (metric, mut fate) = match due.by {
            By::Nothing => (Metric::Released, Fate::Released),
            _ => (Metric::Settled, Fate::Settled),
        };
        self.count(metric);
        if admitted.is_settled {
            self.note_usage(&admitted.heading(&due), due.amount, &due.counts());
        } else {
            if !self.book_shares(host, &admitted, &due) {
                fate = Fate::Gone;
            }
            let now_ms = self.watched.latest_ms();
            self.watched
                .touch(admitted.slot, admitted.credential.account, now_ms);
        }
        if self.config.access_log {
            access_log::admitted(host, &admitted, fate, &due);
        }
    }

    /// Books what a request costs under each lease that it reserved under; what exceeds all that
    /// was reserved goes to the last, what was counted to the first. Answers whether all of them
    /// were there.
    fn book_shares(&mut self, host: &dyn Host, admitted: &Admitted, due: &Due) -> bool {
        let mut settlement = Settlement {
            slot: admitted.slot,
            account: admitted.credential.account,
            lease: admitted.lease,
            estimate: admitted.terms.cost(),
            actual: due.amount,
        };
        let told = admitted.heading(due);
        let mut counts = due.counts();
        let mut rest = due.amount;
        let mut is_known = true;
        for part in admitted.parts() {
            settlement.actual = rest.min(settlement.estimate);
            rest = rest.saturating_sub(settlement.actual);
            is_known &= self.book_now(host, settlement, &told, &counts);
            counts = Counts::default();
            (settlement.lease, settlement.estimate) = *part;
        }
        settlement.actual = rest;
        self.book_now(host, settlement, &told, &counts) && is_known
    }

    fn book_now(
        &mut self,
        host: &dyn Host,
        settlement: Settlement,
        told: &Heading<'_>,
        counts: &Counts,
    ) -> bool {
        let cost = settlement.actual;
        match self.book(host, settlement, self.config.limits.cas_attempts) {
            Some(Outcome::Booked) => self.note_usage(told, cost, counts),
            Some(Outcome::Gone) => return false,
            None => self.book_later(settlement, Row::of(told, cost, counts)),
        }
        true
    }

    /// What a request that has ended costs.
    fn due(&mut self, host: &dyn Host, admitted: &mut Admitted) -> Due {
        if let Some(due) = admitted.due_if_ended() {
            return due;
        }
        let rule = &admitted.terms.rule;
        let response = admitted.response;
        let verdict = rule.verdict(
            || ending(host, response, admitted.is_grpc),
            || was_served(host, response),
        );
        match verdict {
            Verdict::Release => Due::of(Amount::ZERO, By::Nothing),
            Verdict::Minimum => Due::of(rule.minimum_cost(), By::Minimum),
            Verdict::Charge => match admitted.meter.take() {
                None => Due::of(admitted.terms.cost(), By::Price),
                Some(meter) => self.measured(host, admitted, *meter),
            },
        }
    }

    /// What is due by what was measured. An answer that doesn't tell what it used costs what was
    /// reserved; of a stream that broke off, what has passed is charged.
    fn measured(&mut self, host: &dyn Host, admitted: &Admitted, meter: Meter) -> Due {
        let terms = &admitted.terms;
        let Measured {
            measures,
            answered,
            told,
            misread,
        } = meter.end(host, &terms.rule, admitted.response.is_complete);
        let models = admitted.models(answered.as_ref());
        let cost = terms.rule.cost(&measures, &models);
        let mut due = match (told, cost) {
            (Told::All, Ok(cost)) => Due::of(admitted.capped(cost, told), By::Usage),
            (Told::Passed, Ok(cost)) => Due::of(admitted.capped(cost, told), By::Passed),
            (Told::Nothing(fault), _) => self.at_estimate(host, admitted, fault.as_str()),
            (Told::All | Told::Passed, Err(CostError::UnknownModel)) => {
                self.at_estimate(host, admitted, "model_unknown")
            }
            (Told::All | Told::Passed, Err(CostError::Absurd)) => {
                self.at_estimate(host, admitted, "absurd")
            }
        };
        if let Some(misread) = misread.filter(|_| due.by != By::Estimate) {
            // All else is charged by what was measured.
            self.note_unread(host, admitted, misread.as_str());
            due.by = By::Estimate;
        }
        if due.amount > admitted.reserved() {
            self.count(Metric::Overruns);
            let units = due.amount.saturating_sub(admitted.reserved());
            self.count_units(Metric::OverrunUnits, units);
        }
        due.measures = measures;
        due.model = answered;
        due
    }

    /// What is due for an answer that didn't tell its usage.
    fn at_estimate(&mut self, host: &dyn Host, admitted: &Admitted, fault: &'static str) -> Due {
        self.note_unread(host, admitted, fault);
        Due::of(admitted.unread_cost(), By::Estimate)
    }

    /// An answer didn't tell what it is charged by. It is counted, and the log has each kind of it
    /// once a rule.
    fn note_unread(&mut self, host: &dyn Host, admitted: &Admitted, fault: &'static str) {
        self.count(Metric::UsageUnreadable);
        self.count(Metric::SettledAtEstimate);
        let rule = admitted.terms.rule.id();
        let has_room = self.faults_told.len() < FAULTS_TOLD_MAX;
        if has_room && self.faults_told.insert((rule.into(), fault)) {
            host.log(
                Level::Warn,
                &format!("creditgate: an answer priced by rule {rule} did not tell its usage ({fault}); it is settled at its estimate. This is said once"),
            );
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

    fn book_later(&mut self, settlement: Settlement, row: Row) {
        if self.unsettled.len() < self.config.limits.settlements_max {
            self.count(Metric::SettledLater);
            self.unsettled.push_back((settlement, row));
        } else {
            self.count(Metric::SettlementsDropped);
        }
    }

    /// Books what lost its races. From the tick.
    pub(crate) fn book_unsettled(&mut self, host: &dyn Host) {
        for _ in 0..self.unsettled.len() {
            let Some((settlement, row)) = self.unsettled.pop_front() else {
                return;
            };
            match self.book(host, settlement, self.config.limits.cas_attempts) {
                Some(Outcome::Booked) => self.note_usage(&row.heading(), row.cost, &row.counts),
                Some(Outcome::Gone) => {}
                None => self.unsettled.push_back((settlement, row)),
            }
        }
    }
}

/// How a request ended, for rules that settle by it.
fn ending(host: &dyn Host, seen: response::Seen, is_grpc: bool) -> Ending {
    let flags = integer(host.property(&["response", "flags"]));
    let details = host.property(&["response", "code_details"]);
    let is_local = details.is_some_and(|details| details != b"via_upstream");
    let found = [
        (Cause::ClientAbort, flags & CLIENT_LEFT != 0),
        (Cause::UpstreamReset, flags & UPSTREAM_RESET != 0),
        (Cause::Timeout, flags & TIMED_OUT != 0),
        (Cause::NoResponse, seen.status == 0),
        (Cause::LocalReply, seen.status > 0 && is_local),
        (Cause::Retries, flags & RETRIES_USED_UP != 0),
    ];
    let causes = found.into_iter().filter(|(_, is_so)| *is_so);
    Ending {
        status: (seen.status > 0).then_some(seen.status),
        grpc_status: seen.grpc_status.filter(|_| is_grpc),
        causes: causes.fold(Causes::NONE, |causes, (cause, _)| causes.with(cause)),
    }
}

/// Whether the upstream did its work.
fn was_served(host: &dyn Host, seen: response::Seen) -> bool {
    if seen.has_failed() {
        return false;
    }
    // A refusal may be the proxy's own, or another filter's; by gRPC it has status 200.
    if seen.status >= 400 || seen.grpc_status.is_some_and(|status| status != 0) {
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
