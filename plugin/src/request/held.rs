//! Requests that can't be decided yet: held, asked again, and answered in the end.
//!
//! A held request keeps what it takes to decide it later, never its headers as a whole. It
//! is asked again in order whenever what it waits for has changed, and refused at its
//! deadline with the reason that is true then.

use std::rc::Rc;

use creditgate_core::amount::Amount;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::outage::OnUnavailable;

use super::body::{Buffered, Reading};
use super::identify::{Client, Seen};
use super::judge::{self, Declined, Ruling};
use super::line::Place;
use super::price::{Question, refused};
use super::refusal::Refusal;
use super::reply;
use super::{Action, Demand, Stage, Verdict};
use crate::config::Mode;
use crate::credential::Credential;
use crate::gate::Gate;
use crate::host::Host;
use crate::metrics::Metric;
use crate::shared::{self, Found};

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) place: Place,
    since_ms: u64,
    deadline_ms: u64,
    client: Client,
    /// None: there was no rate card to price it by.
    demand: Option<Demand>,
    /// What of its body is held back with it.
    pub(crate) buffered: Buffered,
}

impl Held {
    fn cost(&self) -> Amount {
        self.demand.as_ref().map_or(Amount::ZERO, Demand::cost)
    }

    const fn demand(&self) -> Option<&Demand> {
        self.demand.as_ref()
    }
}

impl Gate {
    pub(crate) fn hold(
        &mut self,
        host: &dyn Host,
        id: u32,
        place: Place,
        demand: Option<Demand>,
        client: &Client,
    ) -> Action {
        if self.line.len() >= self.config.limits.waiters_max {
            if let Place::Credential(hash) = place {
                self.line.lookups.forget_unasked(&hash);
            }
            let Verdict::Refuse(refused, money) = Verdict::refuse(Refusal::Capacity) else {
                return Action::Pause;
            };
            self.refuse(host, id, refused, money, client);
            return Action::Pause;
        }
        let now_ms = host.now_ms();
        let held = Held {
            place,
            since_ms: now_ms,
            deadline_ms: now_ms.saturating_add(self.timing().wait_ms),
            client: client.clone(),
            demand,
            buffered: Buffered::default(),
        };
        self.count(Metric::Held);
        self.line.set_deadline(id, held.deadline_ms);
        self.line.join(id, held.place);
        self.requests.insert(id, Stage::Held(Box::new(held)));
        self.wake(host);
        Action::Pause
    }

    /// What a held request costs, and by which rule.
    pub(crate) fn priced(&self, id: u32) -> (Amount, Option<&str>) {
        let Some(Stage::Held(held)) = self.requests.get(&id) else {
            return (Amount::ZERO, None);
        };
        let terms = held.demand().and_then(Demand::terms);
        (held.cost(), terms.map(|terms| terms.rule.id()))
    }

    /// What all these held requests cost.
    pub(crate) fn cost_of(&self, waiters: impl Iterator<Item = u32>) -> Amount {
        waiters.fold(Amount::ZERO, |sum, id| match self.requests.get(&id) {
            Some(Stage::Held(held)) => sum.saturating_add(held.cost()),
            Some(Stage::Admitted(admitted)) => {
                sum.saturating_add(admitted.wanted().unwrap_or_default())
            }
            _ => sum,
        })
    }

    /// What would move to this lease of what these hold under others, if there were enough.
    pub(crate) fn held_elsewhere(
        &self,
        lease: LeaseNumber,
        waiters: impl Iterator<Item = u32>,
    ) -> Amount {
        waiters.fold(Amount::ZERO, |sum, id| match self.requests.get(&id) {
            Some(Stage::Admitted(admitted)) => sum.saturating_add(admitted.held_elsewhere(lease)),
            _ => sum,
        })
    }

    fn held(&mut self, id: u32) -> Option<Box<Held>> {
        match self.requests.remove(&id)? {
            Stage::Held(held) => Some(held),
            other => {
                self.requests.insert(id, other);
                None
            }
        }
    }

    /// A held request went away.
    pub(crate) fn forget_held(&mut self, id: u32, held: &Held) {
        self.line.leave(id, held.place);
        self.line.clear_deadline(id, held.deadline_ms);
    }

    /// Asks a held request again that was taken out of its queue. From the root only.
    pub(crate) fn ask_again(&mut self, host: &dyn Host, id: u32) {
        let Some(held) = self.held(id) else { return };
        let verdict = match held.demand() {
            Some(demand) => self.judge(host, demand, None),
            None => self.weigh_held(host, id, held.buffered),
        };
        match verdict {
            Verdict::Wait(place, demand) => {
                let mut held = held;
                held.place = place;
                held.demand = demand.or(held.demand);
                self.line.join(id, held.place);
                self.requests.insert(id, Stage::Held(held));
            }
            Verdict::Read(bytes_max, mode) => {
                self.line.clear_deadline(id, held.deadline_ms);
                let reading = Reading {
                    bytes_max,
                    client: held.client,
                    mode,
                };
                self.requests.insert(id, Stage::Reading(Box::new(reading)));
            }
            verdict => self.end_hold(host, id, &held, verdict),
        }
    }

    /// Prices a request that was held without a price, by its headers, which the proxy has
    /// kept, and by its body if that is whole by now.
    fn weigh_held(&mut self, host: &dyn Host, id: u32, buffered: Buffered) -> Verdict {
        if !host.enter(id) {
            return Verdict::refuse(Refusal::NotReady);
        }
        let verdict = match host.request_headers() {
            Some(pairs) => {
                let mut seen = Seen::read(&pairs);
                if buffered.is_whole && buffered.bytes == 0 {
                    seen.content_length = Some(0);
                }
                self.weigh(host, &Question::of(&seen, &pairs, host))
            }
            None => Verdict::refuse(Refusal::NotReady),
        };
        let verdict = match verdict {
            Verdict::Read(bytes_max, mode)
                if u64::try_from(buffered.bytes).unwrap_or(u64::MAX) > bytes_max =>
            {
                refused(Refusal::BodyTooLarge, mode)
            }
            Verdict::Read(..) if buffered.is_whole => self.weigh_whole(host, buffered.bytes),
            verdict => verdict,
        };
        host.enter(self.root);
        verdict
    }

    /// Serves those who wait for credit at a slot, in order, as far as it goes.
    pub(crate) fn serve(&mut self, host: &dyn Host, slot: u32) {
        while let Some(id) = self.line.credit_head(slot) {
            if let Some(Stage::Admitted(_)) = self.requests.get(&id) {
                if !self.serve_stream(host, id) {
                    return;
                }
                self.line.leave_credit(id, slot);
                continue;
            }
            let Some(held) = self.held(id) else {
                self.line.leave_credit(id, slot);
                continue;
            };
            let verdict = match held.demand() {
                Some(demand) => self.judge(host, demand, Some(slot)),
                // Nobody waits for credit unpriced; were it so, it must not hang.
                None => Verdict::refuse(Refusal::NotReady),
            };
            match verdict {
                Verdict::Wait(Place::Credit { slot: same, .. }, _) if same == slot => {
                    self.requests.insert(id, Stage::Held(held));
                    return;
                }
                Verdict::Wait(place, _) => {
                    self.line.leave_credit(id, slot);
                    let mut held = held;
                    held.place = place;
                    self.line.join(id, place);
                    self.requests.insert(id, Stage::Held(held));
                }
                verdict => {
                    self.line.leave_credit(id, slot);
                    self.end_hold(host, id, &held, verdict);
                }
            }
        }
    }

    /// Refuses a held request for a reason that is certain. From the root only.
    pub(crate) fn refuse_held(&mut self, host: &dyn Host, id: u32, refusal: Refusal) {
        let Some(held) = self.held(id) else { return };
        self.line.leave(id, held.place);
        let verdict = match held.demand() {
            Some(demand) => judge::no(demand, None, refusal, None),
            None => Verdict::refuse(refusal),
        };
        self.end_hold(host, id, &held, verdict);
    }

    /// Answers every request whose time is over. From the root only.
    pub(crate) fn end_overdue(&mut self, host: &dyn Host, now_ms: u64) {
        while let Some(id) = self.line.pop_overdue(now_ms) {
            if let Some(Stage::Admitted(_)) = self.requests.get(&id) {
                self.end_overdue_stream(host, id);
                continue;
            }
            let Some(held) = self.held(id) else { continue };
            let verdict = self.too_late(host, now_ms, &held);
            self.line.leave(id, held.place);
            self.end_hold(host, id, &held, verdict);
        }
    }

    /// What is true of a request at its deadline.
    fn too_late(&mut self, host: &dyn Host, now_ms: u64, held: &Held) -> Verdict {
        let Some(demand) = held.demand() else {
            return Verdict::refuse(Refusal::NotReady);
        };
        let unreachable = || judge::no(demand, None, Refusal::ControlPlaneUnreachable, None);
        let Place::Credit { slot, account } = held.place else {
            return unreachable();
        };
        let Some(credential) = self.credentials.get(&demand.credential).cloned() else {
            return unreachable();
        };
        if demand.terms().is_none() {
            // An old balance with its age is better than none.
            let known = self.tell_known_balance(host, now_ms, &credential);
            return known.unwrap_or_else(unreachable);
        }
        let answered_at_ms = self
            .line
            .credit(slot)
            .map_or(0, |queue| queue.answered_at_ms);
        let was_answered = answered_at_ms >= held.since_ms;
        let limited = credential.limited_account(account);
        let Some(found) = shared::read(host, slot, account) else {
            return unreachable();
        };
        let payer = limited.unwrap_or(&credential);
        if !was_answered && let Some(verdict) = self.alone(host, now_ms, demand, payer, &found) {
            return verdict;
        }
        let cell = &found.cell;
        let refusal = match cell.block {
            Some(block) if was_answered => Refusal::blocked(block),
            None if was_answered => judge::short_of(cell, held.cost()),
            None if cell.counters.remaining() >= held.cost() => Refusal::LeasePastUseBy,
            _ => Refusal::ControlPlaneUnreachable,
        };
        let declined = Declined {
            refusal,
            money: Some(judge::money(payer, cell, held.cost(), now_ms)),
            mode: demand.mode,
        };
        if limited.is_some() {
            // What a limited account could not be had for in time, the general one may pay.
            let own = Some(declined);
            match self.judge_general(host, now_ms, demand, &credential, None, own) {
                Verdict::Wait(..) => {}
                Verdict::Refuse(..) if !was_answered => {}
                verdict => return verdict,
            }
        }
        judge::decline(demand, Some(payer), declined)
    }

    /// What customer, rule or configuration say of a request that nobody answered for, if that is
    /// not to refuse it.
    fn alone(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        demand: &Demand,
        payer: &Rc<Credential>,
        found: &Found,
    ) -> Option<Verdict> {
        let terms = demand.terms()?;
        if self.policy(terms, &found.cell) == OnUnavailable::Deny {
            return None;
        }
        match self.judge_cell(host, (now_ms, true), demand, terms, payer, found.clone()) {
            Ruling::Verdict(Verdict::Wait(..)) | Ruling::Gone => None,
            Ruling::Verdict(verdict) => Some(verdict),
            Ruling::Declined(declined) if declined.mode == Mode::Shadow => {
                Some(judge::decline(demand, Some(payer), declined))
            }
            Ruling::Declined(_) => None,
        }
    }

    /// Carries out what was decided for a request that was held and is in no queue any more.
    fn end_hold(&mut self, host: &dyn Host, id: u32, held: &Held, verdict: Verdict) {
        self.line.clear_deadline(id, held.deadline_ms);
        let is_there = host.enter(id);
        if is_there
            && matches!(
                verdict,
                Verdict::Pass | Verdict::Admit(_) | Verdict::Shadow(_)
            )
        {
            self.leave_mark(host, &verdict);
            if held.buffered.bytes > 0 && !held.buffered.is_whole {
                self.drips.begin(id);
            }
        }
        match verdict {
            Verdict::Pass => {
                self.count(Metric::Passed);
                if is_there {
                    host.resume();
                }
            }
            Verdict::Admit(mut admitted) => {
                self.count(Metric::Admitted);
                // What was held back passes without another callback.
                if admitted
                    .terms
                    .known
                    .as_ref()
                    .is_some_and(|known| !known.is_read)
                {
                    admitted.count_request(held.buffered.bytes);
                }
                self.requests.insert(id, Stage::Admitted(admitted));
                if is_there {
                    host.resume();
                } else {
                    self.finish(host, id);
                }
            }
            Verdict::Shadow(shadowed) => {
                self.shadow(id, shadowed);
                if is_there {
                    host.resume();
                }
            }
            Verdict::Refuse(refused, money) if is_there => {
                self.refuse(host, id, refused, money, &held.client);
            }
            Verdict::Answer(refused, mut reply) if is_there => {
                reply.headers.extend(reply::headers_for(&held.client));
                self.requests.insert(id, Stage::Refused(refused));
                host.reply(&reply);
            }
            // Never decided: callers keep those.
            Verdict::Wait(..) | Verdict::Read(..) | Verdict::Refuse(..) | Verdict::Answer(..) => {}
        }
        host.enter(self.root);
    }
}
