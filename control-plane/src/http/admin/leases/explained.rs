//! A lease in words: why it is as it is, and what may be done.

use creditgate_core::amount::{Currency, Scale};
use creditgate_ledger::id::CustomerId;
use creditgate_ledger::{Lease, LeaseState, QuarantineCause, ResolutionKind};
use serde::Serialize;
use utoipa::ToSchema;

use super::LeaseView;
use crate::http::money::decimal;

/// A lease, and why it is as it is.
#[derive(Serialize, ToSchema)]
pub(super) struct LeaseExplained {
    /// The lease.
    #[serde(flatten)]
    lease: LeaseView,
    /// Its state in words, and what may be done.
    explanation: String,
    /// Why it was quarantined.
    #[schema(value_type = Option<String>)]
    quarantine_cause: Option<QuarantineCause>,
    /// What `release` may cost: use that is reported later is the operator's loss.
    possible_loss: Option<String>,
    /// What may be asked of it: `release`, `consume`, `hold`, or nothing.
    #[schema(value_type = Vec<String>)]
    actions: &'static [&'static str],
    /// The lots behind what is outstanding, those that were lent first coming first.
    pins: Vec<PinView>,
    /// That it is kept from the policy of the settings until someone decides.
    hold: Option<HoldView>,
    /// How its quarantine, or its hold, was decided.
    resolution: Option<ResolutionView>,
}

/// A part of a lot that is out.
#[derive(Serialize, ToSchema)]
struct PinView {
    /// The lot; null for what is covered by debt.
    lot_id: Option<String>,
    /// How much of it.
    amount: String,
}

/// A hold against the policy.
#[derive(Serialize, ToSchema)]
struct HoldView {
    /// Since when.
    at: String,
    /// By whom.
    actor: String,
    /// Why.
    reason: String,
}

/// How a quarantine or a hold was decided.
#[derive(Serialize, ToSchema)]
struct ResolutionView {
    /// `release`, `consume` or `unsettled_hold`.
    #[schema(value_type = String)]
    action: ResolutionKind,
    /// Over how much.
    amount: String,
    /// When.
    at: String,
    /// By whom.
    actor: String,
    /// Why.
    reason: String,
}

impl LeaseExplained {
    pub(super) fn of(lease: &Lease, owner: CustomerId, unit: (Currency, Scale)) -> Self {
        let amount = |amount| decimal(amount, unit.1);
        let is_quarantined = lease.state == LeaseState::Quarantined;
        Self {
            explanation: explanation(lease),
            quarantine_cause: lease.quarantine_cause,
            possible_loss: is_quarantined.then(|| amount(lease.counters.outstanding())),
            actions: match (is_quarantined, &lease.hold) {
                (true, None) => &["release", "consume", "hold"],
                (true, Some(_)) => &["release", "consume"],
                (false, _) => &[],
            },
            hold: lease.hold.as_ref().map(|hold| HoldView {
                at: hold.at.to_string(),
                actor: hold.actor.clone(),
                reason: hold.reason.clone(),
            }),
            pins: lease
                .pins
                .iter()
                .map(|pin| PinView {
                    lot_id: pin.lot.map(|lot| lot.to_string()),
                    amount: amount(pin.amount),
                })
                .collect(),
            resolution: lease.resolution.as_ref().map(|resolution| ResolutionView {
                action: resolution.kind,
                amount: amount(resolution.amount),
                at: resolution.at.to_string(),
                actor: resolution.actor.clone(),
                reason: resolution.reason.clone(),
            }),
            lease: LeaseView::of(lease, owner, unit),
        }
    }
}

fn explanation(lease: &Lease) -> String {
    let mut words = state(lease).to_owned();
    if lease.state == LeaseState::Quarantined && lease.hold.is_some() {
        words.push_str(" It is held: the policy of the settings leaves it alone.");
    }
    words
}

fn state(lease: &Lease) -> &'static str {
    match (lease.state, lease.quarantine_cause, &lease.resolution) {
        (LeaseState::Open, ..) => {
            "The instance spends from it and may get more. Nothing need be done."
        }
        (LeaseState::Draining, ..) => {
            "It gets no more; the instance gives back what remains and settles what is in flight. Nothing need be done."
        }
        (LeaseState::Quarantined, Some(QuarantineCause::InstanceSilent), _) => {
            "The instance fell silent, so nobody knows how much of what is outstanding was used. A late report settles it by itself. Else release it to the customer, at the operator's risk, or consume it, at the customer's."
        }
        (LeaseState::Quarantined, Some(QuarantineCause::CellLost), _) => {
            "The instance lost its record of this lease, so how much of what is outstanding was used can only be told from its access log. Release it to the customer, at the operator's risk, or consume it, at the customer's."
        }
        (LeaseState::Quarantined, Some(QuarantineCause::DatabaseRestored), _) => {
            "The database was restored from a backup that has this lease open, so what became of it since can only be told from the access log of its instance. Release what is outstanding to the customer, at the operator's risk, or consume it, at the customer's."
        }
        (LeaseState::Quarantined, ..) => {
            "The instance reported what can't be true and was frozen. Find out what happened from its access log, then release what is outstanding to the customer or consume it; thaw the instance when it can be trusted."
        }
        (LeaseState::Closed, _, Some(_)) => {
            "It was decided over; late reports move money only within that decision, never the customer's balance twice."
        }
        (LeaseState::Closed, ..) => "All that was lent in it was used or given back.",
    }
}
