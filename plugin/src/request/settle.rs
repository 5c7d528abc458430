//! The end of a request: its cost is booked, or its reservation given back.
//!
//! A rule that charges on success asks whether the upstream served the request. It did if
//! it answered with less than 500 and did not cut its answer off; a client that went away while
//! the upstream worked pays, and so does one whose answer ran into a time limit after it began:
//! a slow reader makes any answer do so. Answers the proxy gave itself (no route, rate
//! limited by another filter, body too large, an upload that stalled) cost nothing but with 2xx,
//! and by gRPC with any status but OK: the upstream did not answer. A gRPC call fails by its
//! status: those that mean "the server failed".
//! How it is booked is in [`book`](super::book).

use creditgate_core::amount::{Amount, format};
pub(crate) use creditgate_core::detail::SettledBy as By;
use creditgate_core::rate_card::{
    Cause, Causes, CostError, Ending, Flag, Measures, OnEmpty, PRICE_MAX, Promise, Verdict,
};
use creditgate_core::usage::ModelName;

use super::access_log::{self, Fate};
use super::book::Booked;
use super::by_lease::ByLease;
use super::meter::{Measured, Meter, Told};
use super::{Admitted, Stage, response};
use crate::gate::{FAULTS_TOLD_MAX, Gate};
use crate::host::{Host, Level};
use crate::metrics::Metric;

/// The proxy's response flags for some things that go wrong.
const fn any_of(flags: &[Flag]) -> u64 {
    match flags {
        [] => 0,
        [first, rest @ ..] => first.bit() | any_of(rest),
    }
}
/// The client went away.
const CLIENT_LEFT: u64 = any_of(&[Flag::Dc, Flag::Dr]);
/// The upstream cut the stream or the connection off, or broke the protocol.
const UPSTREAM_RESET: u64 = any_of(&[Flag::Lr, Flag::Ur, Flag::Uf, Flag::Uc, Flag::Upe]);
/// It took too long: the request, the stream's silence, or its whole length.
const TIMED_OUT: u64 = any_of(&[Flag::Ut, Flag::Si, Flag::Umsdr, Flag::Dt]);
const RETRIES_USED_UP: u64 = Flag::Urx.bit();
/// The upstream's side failed, other than by taking too long.
const UPSTREAM_FAILED: u64 = UPSTREAM_RESET | RETRIES_USED_UP | any_of(&[Flag::Uh, Flag::Uo]);

/// What is charged for a request that has ended.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) amount: Amount,
    /// What passed of a metered answer that nobody paid for: the rest of an event, at most, and
    /// the last moment.
    pub(crate) overshoot: Amount,
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
            overshoot: Amount::ZERO,
            by,
            measures: Measures::default(),
            model: None,
        }
    }

    /// What a metered answer cost, up to what was reserved.
    fn up_to(reserved: Amount, cost: Amount, by: By) -> Self {
        let over = cost.saturating_sub(reserved).max(Amount::ZERO);
        Self {
            // What has no cost at all is no sum.
            overshoot: Some(over).filter(|_| cost < PRICE_MAX).unwrap_or_default(),
            ..Self::of(cost.min(reserved), by)
        }
    }
}

impl Admitted {
    /// What is due for an answer that the filter ended: what had passed.
    fn due_if_ended(&self) -> Option<Due> {
        let burning = self.burning.as_ref().filter(|burning| burning.is_ended())?;
        let passed = burning.passed.cost.saturating_add(burning.rest);
        let mut due = Due::up_to(burning.reserved, passed, By::Ended);
        due.measures = burning.passed.measures;
        Some(due)
    }

    /// What is due for an answer of which something waited for credit when its client went away: what
    /// had passed.
    fn due_if_left(&self) -> Option<Due> {
        let burning = self.burning.as_ref();
        let burning = burning.filter(|burning| burning.holds_unpaid())?;
        let passed = burning.passed.cost;
        let mut due = match self.terms.rule.on_empty() {
            OnEmpty::End => Due::up_to(burning.reserved, passed, By::Passed),
            OnEmpty::Finish if passed < PRICE_MAX => Due::of(passed, By::Passed),
            OnEmpty::Finish => return None,
        };
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

    /// What is due for an answer that was read. A metered one that ends when the credit does costs
    /// no more than was reserved; nor does a strict one that broke off, whose cost is guessed.
    fn due_if_read(&self, cost: Amount, told: Told) -> Due {
        let by = match told {
            Told::Passed => By::Passed,
            _ => By::Usage,
        };
        let rule = &self.terms.rule;
        match (rule.promise(), rule.on_empty(), told) {
            (Promise::Strict, _, Told::Passed) => Due::of(cost.min(self.reserved()), by),
            (Promise::Metered, OnEmpty::End, _) => Due::up_to(self.reserved(), cost, by),
            _ => Due::of(cost, by),
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
                    access_log::shadowed(host, &self.config.log_as, &shadowed);
                }
            }
            Stage::Refused(refused) => {
                if self.config.access_log {
                    access_log::refused(host, &self.config.log_as, &refused);
                }
            }
        }
    }

    fn settle(&mut self, host: &dyn Host, mut admitted: Box<Admitted>) {
        let mut due = self.due(host, &mut admitted);
        if due.overshoot > Amount::ZERO {
            self.count_units(Metric::OvershootUnits, due.overshoot);
        }
        let (metric, mut fate) = match due.by {
            By::Nothing => (Metric::Released, Fate::Released),
            _ => (Metric::Settled, Fate::Settled),
        };
        self.count(metric);
        let mut shares = ByLease::default();
        if admitted.is_settled {
            let counted = admitted.counted(&due);
            self.note_usage(&admitted.heading(&due), due.amount, &counted);
        } else {
            let booked = self.book(host, &admitted, &due);
            if booked.is_gone {
                fate = Fate::Gone;
            } else {
                self.count_overrun(host, &admitted, due.amount, &booked);
                due.amount = booked.amount;
            }
            shares = booked.shares;
            let now_ms = self.watched.latest_ms();
            self.watched
                .touch(admitted.slot, admitted.credential.account, now_ms);
        }
        if self.config.access_log {
            access_log::admitted(host, &self.config.log_as, &admitted, fate, &due, &shares);
        }
    }

    /// Counts what an answer cost beyond what was reserved for it: what of that is charged, and
    /// what is not, since the lease had no room for it.
    fn count_overrun(
        &mut self,
        host: &dyn Host,
        admitted: &Admitted,
        cost: Amount,
        booked: &Booked,
    ) {
        let charged = booked.amount.saturating_sub(admitted.reserved());
        if charged > Amount::ZERO {
            self.count(Metric::Overruns);
            self.count_units(Metric::OverrunUnits, charged);
        }
        if booked.waived > Amount::ZERO {
            self.count(Metric::Waived);
            self.count_units(Metric::WaivedUnits, booked.waived);
            self.tell_once(host, admitted.terms.rule.id(), "waived", || {
                let cost = format(cost, admitted.credential.scale);
                format!("an answer cost {cost}, more than was reserved and may be overrun; the rest is not charged")
            });
        }
    }

    /// What a request that has ended costs.
    fn due(&mut self, host: &dyn Host, admitted: &mut Admitted) -> Due {
        if let Some(due) = admitted.due_if_ended() {
            return due;
        }
        let rule = &admitted.terms.rule;
        let response = admitted.response;
        let has_told_all = || {
            admitted
                .meter
                .as_ref()
                .is_some_and(|meter| meter.has_ended())
        };
        let verdict = rule.verdict(
            || ending(host, response),
            || was_served(host, response, has_told_all),
        );
        match verdict {
            Verdict::Release => Due::of(Amount::ZERO, By::Nothing),
            Verdict::Minimum => Due::of(rule.minimum_cost(), By::Minimum),
            Verdict::Charge => match (admitted.due_if_left(), admitted.meter.take()) {
                (Some(due), _) => due,
                (None, Some(meter)) => self.measured(host, admitted, *meter),
                (None, None) => Due::of(admitted.terms.cost(), By::Price),
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
            (Told::All | Told::Passed, Ok(cost)) => admitted.due_if_read(cost, told),
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
            due.by = if !admitted.response.is_answer() || admitted.response.is_complete {
                self.note_unread(host, admitted, misread.as_str());
                By::Estimate
            } else {
                By::Passed
            };
        }
        if (told, due.by) == (Told::All, By::Usage) {
            self.note_model(host, admitted, answered.as_ref());
        }
        due.measures = measures;
        due.model = answered;
        due
    }

    /// An answer that should be charged as the model that it names may name none that the card lists.
    fn note_model(&mut self, host: &dyn Host, admitted: &Admitted, answered: Option<&ModelName>) {
        let rule = &admitted.terms.rule;
        let answered = answered.map(ModelName::as_str);
        let passed_over = rule
            .tokens()
            .and_then(|tokens| tokens.passes_over(answered));
        if let Some(fault) = passed_over {
            self.count(Metric::ModelPassedOver);
            self.tell_once(host, rule.id(), fault.as_str(), || {
                let named = answered.unwrap_or("none");
                format!("an answer is charged as the model that was asked for, since the card does not list the one that it names ({named})")
            });
        }
    }

    /// What is due for an answer that didn't tell its usage.
    fn at_estimate(&mut self, host: &dyn Host, admitted: &Admitted, fault: &'static str) -> Due {
        self.note_unread(host, admitted, fault);
        Due::of(admitted.unread_cost(), By::Estimate)
    }

    /// An answer didn't tell what it is charged by. It is counted, and the log has each kind of it
    /// once a rule. Where the upstream did not answer there is nobody to blame.
    fn note_unread(&mut self, host: &dyn Host, admitted: &Admitted, fault: &'static str) {
        self.count(Metric::SettledAtEstimate);
        if !admitted.response.is_answer() {
            return;
        }
        self.count(Metric::UsageUnreadable);
        self.tell_once(host, admitted.terms.rule.id(), fault, || {
            format!("an answer did not tell its usage ({fault}); it is settled at its estimate")
        });
    }

    /// Logs what is wrong with answers of a rule, each kind of it once.
    fn tell_once(
        &mut self,
        host: &dyn Host,
        rule: &str,
        fault: &'static str,
        what: impl FnOnce() -> String,
    ) {
        let has_room = self.faults_told.len() < FAULTS_TOLD_MAX;
        if has_room && self.faults_told.insert((rule.into(), fault)) {
            let what = what();
            let message = format!("creditgate: rule {rule}: {what}. This is said once");
            host.log(Level::Warn, &message);
        }
    }
}

/// How a request ended, for rules that settle by it.
fn ending(host: &dyn Host, seen: response::Seen) -> Ending {
    let flags = integer(host.property(&["response", "flags"]));
    let attempts = integer(host.property(&["upstream", "request_attempt_count"]));
    let has_left = flags & CLIENT_LEFT != 0;
    let has_run_out = flags & TIMED_OUT != 0 || (flags == 0 && has_lasted_too_long(host, seen));
    // The router answers itself where the upstream doesn't; that says what it was in a flag.
    let was_tried = flags & UPSTREAM_FAILED != 0 || has_run_out;
    let no_answer = seen.status == 0 || seen.is_local;
    let found = [
        (Cause::ClientAbort, has_left),
        (Cause::UpstreamReset, flags & UPSTREAM_RESET != 0),
        (Cause::Timeout, has_run_out),
        (Cause::NoResponse, no_answer && was_tried && !has_left),
        (Cause::LocalReply, seen.is_local && !was_tried),
        (Cause::Retries, flags & RETRIES_USED_UP != 0),
    ];
    let causes = found.into_iter().filter(|(_, is_so)| *is_so);
    Ending {
        causes: causes.fold(Causes::NONE, |causes, (cause, _)| causes.with(cause)),
        flags,
        retries: u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX),
        ..seen.ending()
    }
}

/// Whether the stream was ended for having lasted too long, of which the proxy has no flag.
fn has_lasted_too_long(host: &dyn Host, seen: response::Seen) -> bool {
    if seen.is_complete && !seen.is_local {
        return false;
    }
    let details = host.property(&["response", "code_details"]);
    details.as_deref() == Some(b"max_duration_timeout")
}

/// Whether the upstream did its work.
fn was_served(host: &dyn Host, seen: response::Seen, has_told_all: impl FnOnce() -> bool) -> bool {
    if seen.has_failed() || seen.is_local {
        return false;
    }
    if seen.status > 0 && (seen.is_complete || has_told_all()) {
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
