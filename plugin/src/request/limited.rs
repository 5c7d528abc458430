//! Accounts that are limited to rules: they pay first, and what they can't the general one does.
//!
//! Such an account has a cell and leases like any other, so waiting, recall, ceilings and
//! turning are the same. Only its cell is made differently: when a request first wants it,
//! empty, and its first report asks for credit. Where the account may not pay, has too
//! little, or finds no room for a cell, the general account is asked for the whole.

use std::rc::Rc;

use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::EnforcementMode;

use super::judge::{Declined, Ruling, undecided};
use super::line::Place;
use super::refusal::Refusal;
use super::{Demand, Verdict};
use crate::config::Mode;
use crate::credential::Credential;
use crate::gate::Gate;
use crate::host::Host;
use crate::metrics::Metric;
use crate::shared::{self, Found, Placed};

impl Gate {
    /// What the account says that a rule is limited to; or why it does not pay.
    pub(crate) fn judge_limited(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        demand: &Demand,
        general: &Credential,
        payer: &Rc<Credential>,
        heads: Option<u32>,
    ) -> Result<Verdict, Declined> {
        let capacity = Declined {
            refusal: Refusal::Capacity,
            money: None,
            mode: demand.mode,
        };
        let Some(terms) = demand.terms() else {
            return Err(capacity);
        };
        let found = self.limited_cell(host, now_ms, payer).ok_or(capacity)?;
        let is_newer = found
            .cell
            .credential_version
            .wrapping_sub(general.version)
            .cast_signed()
            > 0;
        if is_newer || general.ledger != self.ledger() {
            // The customer's keys or limits are others by now.
            return Ok(self.resolve_again(host, now_ms, demand));
        }
        let (slot, account) = (found.slot, payer.account);
        let place = Place::Credit { slot, account };
        if self.must_queue(demand, slot, heads) {
            return Ok(Verdict::Wait(place, Some(demand.clone())));
        }
        let is_shadow = demand.mode == Mode::Shadow || found.cell.mode == EnforcementMode::Shadow;
        if is_shadow && found.cell.version == 0 {
            self.wake(host);
            return Ok(undecided(demand));
        }
        let is_alone = self.is_cut_off(now_ms);
        match self.judge_cell(host, (now_ms, is_alone), demand, terms, payer, found) {
            Ruling::Verdict(verdict) => Ok(verdict),
            // Made anew when the tick asks again.
            Ruling::Gone => Ok(Verdict::Wait(place, Some(demand.clone()))),
            Ruling::Declined(declined) => Err(declined),
        }
    }

    /// The cell of a limited account, made if there is none. `None` if there is no room.
    pub(crate) fn limited_cell(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        payer: &Credential,
    ) -> Option<Found> {
        let (slot, account) = (payer.slot.get(), payer.account);
        let found = match shared::read(host, slot, account) {
            Some(found) => found,
            None => self.place_limited_cell(host, now_ms, payer)?,
        };
        if self.is_of_another_ledger(&found.cell) {
            return self.reconcile(host, now_ms, found.slot, account);
        }
        Some(found)
    }

    fn place_limited_cell(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        payer: &Credential,
    ) -> Option<Found> {
        let account = payer.account;
        let mut cell = self.fresh_cell(account, Self::draw(host, now_ms, LeaseNumber::NONE));
        (cell.credential_version, cell.mode) = (payer.version, payer.mode);
        let cells_max = self.config.limits.cells_max;
        match shared::place(host, &cell, cells_max, now_ms, &self.timing()) {
            Placed::Made(slot) => {
                self.count(Metric::CellsMade);
                payer.slot.set(slot);
                self.watched.urge(slot, account, now_ms);
                shared::read(host, slot, account)
            }
            Placed::Exists(found) => {
                payer.slot.set(found.slot);
                Some(*found)
            }
            Placed::Full => {
                self.count(Metric::CellsRefused);
                None
            }
        }
    }
}
