//! Answers that are paid for while they pass: under the promise `metered` a request reserves
//! what its beginning costs, and more as the answer burns it.
//!
//! A piece that is not paid for is held back, and the request waits for credit like one that
//! is not admitted yet. If none comes the stream ends: with an event that says why where the
//! answer is made of events, and cut off. So what is delivered beyond what is paid for is one
//! piece at most, and of a stream of events the rest of an event. No more is put into the piece
//! in which the stream is cut: the proxy would lose it.

use creditgate_core::amount::Amount;
use creditgate_core::cell::NotAdmitted;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::rate_card::{Discount, Promise};

use super::line::Place;
use super::{Action, Admitted, Stage};
use crate::gate::Gate;
use crate::host::Host;
use crate::metrics::Metric;
use crate::shared;

/// Leases that one stream reserves under, at most: it is ended rather than to have more.
const PARTS_MAX: usize = 8;

/// What ends a stream of events whose credit is used up. Clients of every provider find what
/// they look for in it.
const LAST_EVENT: &[u8] = b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"credit_exhausted\",\"code\":\"credit_exhausted\",\"message\":\"The credit is used up; the answer ends here. Top up, then try again.\"}}\n\n";

/// What an answer has reserved besides its beginning, and how it stands.
#[derive(Debug, Default)]
pub(crate) struct Burning {
    /// What was reserved as it went, by lease.
    parts: Vec<(LeaseNumber, Amount)>,
    /// What it waits for, with a piece held back.
    wants: Option<Want>,
    /// How much of the held piece was measured already.
    held: usize,
    end: End,
}

#[derive(Debug, Clone, Copy)]
struct Want {
    amount: Amount,
    deadline_ms: u64,
}

/// How far the end of a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum End {
    #[default]
    Open,
    /// It ends with the event that is passing.
    AtBoundary,
    /// It has said its last; the next piece, or the tick, cuts it off.
    Cut,
}

/// What became of a wish for more credit.
enum More {
    /// It was reserved, or what there is will do for now.
    Had,
    /// It isn't here; the control plane may have it.
    Short,
    /// There is none.
    None,
}

impl Admitted {
    /// All that is set aside for it.
    pub(crate) fn reserved(&self) -> Amount {
        let parts = self.burning.iter().flat_map(|burning| &burning.parts);
        parts.fold(self.terms.cost(), |sum, (_, amount)| {
            sum.saturating_add(*amount)
        })
    }

    /// What it waits for while a piece of its answer is held back.
    pub(crate) fn wanted(&self) -> Option<Amount> {
        self.burning.as_ref()?.wants.map(|want| want.amount)
    }

    /// What each lease it reserved under has set aside, and its share of the cost.
    pub(crate) fn shares(&self, cost: Amount) -> Vec<(LeaseNumber, Amount, Amount)> {
        let first = (self.lease, self.terms.cost());
        let parts = self.burning.iter().flat_map(|burning| &burning.parts);
        let mut rest = cost;
        let mut shares: Vec<_> = std::iter::once(&first)
            .chain(parts)
            .map(|(lease, reserved)| {
                let share = rest.min(*reserved);
                rest = rest.saturating_sub(share);
                (*lease, *reserved, share)
            })
            .collect();
        // What it cost beyond all that was reserved.
        if let Some((_, _, share)) = shares.last_mut() {
            *share = share.saturating_add(rest);
        }
        shares
    }
}

impl Gate {
    /// A piece of the response's body comes by. `bytes`: of all that is held back by now.
    pub fn on_response_body(
        &mut self,
        host: &dyn Host,
        id: u32,
        bytes: usize,
        is_end: bool,
    ) -> Action {
        let Some(Stage::Admitted(admitted)) = self.requests.get_mut(&id) else {
            return Action::Continue;
        };
        admitted.response.is_complete |= is_end;
        let Some(meter) = &mut admitted.meter else {
            return Action::Continue;
        };
        let held = admitted.burning.as_ref().map_or(0, |burning| burning.held);
        meter.pass(host, held, bytes);
        if admitted.terms.rule.promise() != Promise::Metered {
            return Action::Continue;
        }
        let Some(Stage::Admitted(mut admitted)) = self.requests.remove(&id) else {
            return Action::Continue;
        };
        let action = self.burn(host, id, &mut admitted, bytes, is_end);
        self.requests.insert(id, Stage::Admitted(admitted));
        action
    }

    fn burn(
        &mut self,
        host: &dyn Host,
        id: u32,
        admitted: &mut Admitted,
        bytes: usize,
        is_end: bool,
    ) -> Action {
        let burning = admitted.burning.get_or_insert_default();
        burning.held = 0;
        match burning.end {
            End::Cut => {
                host.reset_response();
                return Action::Pause;
            }
            End::AtBoundary => {
                if end_at(host, bytes, first_boundary) {
                    burning.end = End::Cut;
                    self.cut.push(id);
                }
                return Action::Continue;
            }
            End::Open => {}
        }
        if is_end {
            self.sate(id, admitted);
            return Action::Continue;
        }
        if admitted.wanted().is_some() {
            admitted.burning.get_or_insert_default().held = bytes;
            return Action::Pause;
        }
        match self.pay(host, admitted) {
            More::Had => Action::Continue,
            More::Short => {
                self.wait_for_more(host, id, admitted, bytes);
                Action::Pause
            }
            More::None => {
                self.end_stream(host, id, admitted, bytes);
                Action::Continue
            }
        }
    }

    /// Reserves what has burnt, and a step ahead if that is to be had.
    fn pay(&mut self, host: &dyn Host, admitted: &mut Admitted) -> More {
        let burnt = admitted.burnt();
        let reserved = admitted.reserved();
        let step = admitted.terms.rule.step(admitted.asked(), Discount::NONE);
        let must = burnt.saturating_sub(reserved);
        let ahead = must.saturating_add(step);
        if ahead <= Amount::ZERO {
            return More::Had;
        }
        let account = admitted.credential.account;
        for _ in 0..self.config.limits.cas_attempts {
            let now_ms = host.now_ms();
            let found = shared::read(host, admitted.slot, account)
                .or_else(|| shared::find(host, account, self.config.limits.cells_max));
            let Some(mut found) = found else {
                break;
            };
            if self.is_of_another_ledger(&found.cell) {
                break;
            }
            let (had, refused) = match found.cell.admit(ahead, now_ms) {
                Ok(()) => (ahead, None),
                Err(_) if must <= Amount::ZERO => return More::Had,
                Err(_) => (must, found.cell.admit(must, now_ms).err()),
            };
            match refused {
                None if !admitted.has_room_for(found.cell.lease) => return More::None,
                None => {
                    if shared::write(host, &found).is_ok() {
                        admitted.add(found.cell.lease, had);
                        self.watched.touch(found.slot, account, now_ms);
                        return More::Had;
                    }
                    self.count(Metric::CasLost);
                }
                Some(NotAdmitted::Blocked(_) | NotAdmitted::AboveCeiling)
                    if self.is_current(now_ms, &found.cell) =>
                {
                    return More::None;
                }
                Some(_) => return More::Short,
            }
        }
        if must <= Amount::ZERO {
            More::Had
        } else {
            More::Short
        }
    }

    fn wait_for_more(&mut self, host: &dyn Host, id: u32, admitted: &mut Admitted, bytes: usize) {
        let now_ms = host.now_ms();
        let amount = admitted.burnt().saturating_sub(admitted.reserved());
        let deadline_ms = now_ms.saturating_add(self.timing().wait_ms);
        let burning = admitted.burning.get_or_insert_default();
        burning.wants = Some(Want {
            amount,
            deadline_ms,
        });
        burning.held = bytes;
        self.count(Metric::StreamsHeld);
        self.line.set_deadline(id, deadline_ms);
        self.line.join(id, admitted.credit_place());
        self.wake(host);
    }

    /// It waits for nothing any more.
    pub(crate) fn sate(&mut self, id: u32, admitted: &mut Admitted) {
        let place = admitted.credit_place();
        if let Some(burning) = &mut admitted.burning
            && let Some(want) = burning.wants.take()
        {
            self.line.leave(id, place);
            self.line.clear_deadline(id, want.deadline_ms);
        }
    }

    /// Serves a stream that waits for credit. Answers false if it has to wait on. From the root
    /// only.
    pub(crate) fn serve_stream(&mut self, host: &dyn Host, id: u32) -> bool {
        let Some(Stage::Admitted(mut admitted)) = self.requests.remove(&id) else {
            return true;
        };
        let more = self.pay(host, &mut admitted);
        if !matches!(more, More::Short) {
            self.sate(id, &mut admitted);
            self.let_go(host, id, &mut admitted, matches!(more, More::None));
        }
        self.requests.insert(id, Stage::Admitted(admitted));
        !matches!(more, More::Short)
    }

    /// A stream's time to wait is over. From the root only.
    pub(crate) fn end_waiting_stream(&mut self, host: &dyn Host, id: u32) {
        let Some(Stage::Admitted(mut admitted)) = self.requests.remove(&id) else {
            return;
        };
        self.sate(id, &mut admitted);
        self.let_go(host, id, &mut admitted, true);
        self.requests.insert(id, Stage::Admitted(admitted));
    }

    /// Lets the piece go that was held back, as the last one if the stream is to end.
    fn let_go(&mut self, host: &dyn Host, id: u32, admitted: &mut Admitted, is_last: bool) {
        if host.enter(id) {
            let held = admitted.burning.as_ref().map_or(0, |burning| burning.held);
            if is_last {
                self.end_stream(host, id, admitted, held);
            }
            if let Some(burning) = &mut admitted.burning {
                burning.held = 0;
            }
            host.resume_response();
        }
        host.enter(self.root);
    }

    /// Ends a stream whose credit is used up, of which so many bytes are at hand.
    fn end_stream(&mut self, host: &dyn Host, id: u32, admitted: &mut Admitted, bytes: usize) {
        self.count(Metric::StreamsEnded);
        let is_stream = admitted
            .meter
            .as_ref()
            .is_some_and(|meter| meter.is_stream());
        let burning = admitted.burning.get_or_insert_default();
        // Events that are not whole here end with the event in the next piece.
        burning.end = if is_stream && !end_at(host, bytes, last_boundary) {
            End::AtBoundary
        } else {
            self.cut.push(id);
            End::Cut
        };
    }

    /// Cuts off the streams that have said their last. From the tick.
    pub(crate) fn cut_streams(&mut self, host: &dyn Host) {
        for id in std::mem::take(&mut self.cut) {
            if self.requests.contains_key(&id) && host.enter(id) {
                host.reset_response();
            }
        }
        host.enter(self.root);
    }
}

impl Admitted {
    /// What the answer has cost so far.
    fn burnt(&self) -> Amount {
        let Some(meter) = &self.meter else {
            return Amount::ZERO;
        };
        let measures = meter.so_far(&self.terms.rule);
        let cost = self
            .terms
            .rule
            .cost(&measures, &self.models(None), Discount::NONE);
        // What can't be told is settled at what is reserved.
        cost.unwrap_or_else(|_| self.reserved())
    }

    fn asked(&self) -> Option<&str> {
        self.models(None).asked
    }

    fn credit_place(&self) -> Place {
        Place::Credit {
            slot: self.slot,
            account: self.credential.account,
        }
    }

    fn has_room_for(&self, lease: LeaseNumber) -> bool {
        let parts = self.burning.as_ref().map(|burning| &burning.parts);
        parts.is_none_or(|parts| {
            parts.len() < PARTS_MAX || parts.last().is_some_and(|(last, _)| *last == lease)
        })
    }

    fn add(&mut self, lease: LeaseNumber, amount: Amount) {
        let parts = &mut self.burning.get_or_insert_default().parts;
        match parts.last_mut() {
            Some((last, sum)) if *last == lease => *sum = sum.saturating_add(amount),
            _ => parts.push((lease, amount)),
        }
    }
}

/// Puts the last event behind the boundary that `find` finds in what is at hand; what follows
/// it is dropped. Answers false if there is none.
fn end_at(host: &dyn Host, bytes: usize, find: fn(&[u8]) -> Option<usize>) -> bool {
    let mut body = host.response_body(bytes);
    let Some(end) = find(&body) else {
        return false;
    };
    body.truncate(end);
    body.extend_from_slice(LAST_EVENT);
    host.replace_response_body(bytes, &body);
    true
}

/// Two ends of lines, behind which an event ends.
const BOUNDARIES: [&[u8]; 3] = [b"\n\n", b"\r\n\r\n", b"\r\r"];

fn boundaries(body: &[u8]) -> impl Iterator<Item = usize> {
    (0..body.len()).filter_map(|place| {
        let rest = body.get(place..)?;
        let found = BOUNDARIES
            .iter()
            .find(|boundary| rest.starts_with(boundary))?;
        place.checked_add(found.len())
    })
}

fn first_boundary(body: &[u8]) -> Option<usize> {
    boundaries(body).next()
}

fn last_boundary(body: &[u8]) -> Option<usize> {
    boundaries(body).last()
}
