//! Requests that can't be decided because the control plane does not answer.
//!
//! Customer, rule or configuration say what befalls them, in this order. Whoever this worker
//! knows may be let through: on the offline allowance of the account's cell, which is bounded
//! and booked later, or in shadow mode, unpaid. Whom it does not know gets 503.

use creditgate_core::cell::{Cell, NotAdmitted, Offline};
use creditgate_core::outage::OnUnavailable;

use super::Terms;
use crate::gate::Gate;
use crate::host::Host;

/// What the cell of a request that it can't decide comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    /// It is refused, or waits.
    Denied,
    /// Its cost is set aside in the cell, beyond what is lent.
    Admitted,
    /// It passes unpaid.
    Shadowed,
}

impl Gate {
    /// Whether the control plane is known not to answer this worker.
    pub(crate) fn is_cut_off(&self, now_ms: u64) -> bool {
        let timeout_ms = self.config.control_plane.timeout_ms;
        let heard_ms = self.watch.leader.polled_at_ms;
        self.calls.is_cut_off(now_ms, timeout_ms, heard_ms)
    }

    /// What befalls a request when the control plane does not answer.
    pub(super) fn policy(&self, terms: &Terms, cell: &Cell) -> OnUnavailable {
        let rule = terms.rule.on_unavailable();
        OnUnavailable::chosen(cell.on_unavailable, rule, self.config.on_unavailable)
    }

    /// Decides without the control plane what the cell does not admit for this reason.
    pub(super) fn judge_alone(
        &self,
        host: &dyn Host,
        now_ms: u64,
        terms: &Terms,
        cell: &mut Cell,
        reason: NotAdmitted,
    ) -> Alone {
        let is_undecided = matches!(reason, NotAdmitted::Short | NotAdmitted::PastUseBy);
        match self.policy(terms, cell) {
            OnUnavailable::Allow if is_undecided => {
                let offline = Offline {
                    allowance: self.offline_allowance(),
                    now_ms,
                    number: Self::draw(host, now_ms, cell.lease),
                    at_once: terms.rule.is_settled_at_once(),
                };
                match cell.admit_offline(terms.cost(), offline) {
                    Ok(()) => Alone::Admitted,
                    Err(_) => Alone::Denied,
                }
            }
            OnUnavailable::Shadow if is_undecided => Alone::Shadowed,
            OnUnavailable::Deny | OnUnavailable::Allow | OnUnavailable::Shadow => Alone::Denied,
        }
    }
}
