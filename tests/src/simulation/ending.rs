//! The end of a schedule: faults stop, time passes, and then everything must be in order.
//!
//! Nothing is lent or set aside any more; each lease is charged what was really used; and
//! every request that the balance can pay is admitted, wherever it comes in and wherever the
//! credit lies, within the time a request waits. Then the balance is empty to the last unit,
//! the next request is refused, and the one after the next top-up is admitted.

use creditgate_ledger::{LedgerAccount, lend};

use super::auditor::Broken;
use super::control_plane::wall_clock;
use super::world::{Event, Stage, World, note};

impl World {
    /// Runs the whole schedule.
    pub(super) fn play(&mut self) -> Result<(), Broken> {
        self.run_until(self.calm_from_ms)?;
        note!(self, "--- faults stop");
        self.make_peace()?;
        self.settle_down(true)?;
        for payer in 0..self.payers.len() {
            note!(self, "--- payer {payer} spends what is left");
            self.spend_all(payer)?;
        }
        note!(self, "--- everything comes to rest");
        self.settle_down(false)?;
        self.auditor.reconcile()?;
        for payer in &self.payers {
            let booked = -self
                .auditor
                .booked_in(payer.account, LedgerAccount::Funding);
            if booked != i128::from(payer.funded) {
                return Err(format!(
                    "invariant 8: {booked} was funded, of {} in all",
                    payer.funded
                ));
            }
        }
        self.tally.checks = self.auditor.checks;
        Ok(())
    }

    /// Long enough for everything that is out to come home or be decided over.
    fn settle_down(&mut self, faults_before: bool) -> Result<(), Broken> {
        let settings = self.control_plane.settings.clone();
        let rest_ms = 3 * settings.timing.max_stream_ms + 2 * settings.timing.use_by_ms;
        let silence_ms = settings.silent_after_ms + settings.quarantine_policy_after_ms;
        let until_ms = self.now_ms + rest_ms + if faults_before { silence_ms } else { 0 };
        self.run_until(until_ms)?;
        if self.waiting() > 0 {
            return Err(format!("{} requests wait for ever", self.waiting()));
        }
        for payer in &self.payers {
            for ledger in [LedgerAccount::Lent, LedgerAccount::Quarantined] {
                let left = self.auditor.booked_in(payer.account, ledger);
                if left != 0 {
                    return Err(format!(
                        "{left} is {ledger} for {} although everything rests",
                        payer.account
                    ));
                }
            }
        }
        Ok(())
    }

    fn balance(&self, payer: usize) -> Result<i64, Broken> {
        let known = &self.payers[payer];
        let book = self
            .control_plane
            .book(known.id)
            .map_err(|error| error.to_string())?;
        Ok(lend::balance(&book, known.account, wall_clock(self.now_ms)).get())
    }

    /// A request now, here or there; answers what became of it within its time.
    fn try_now(&mut self, payer: usize, cost: i64, actual: i64) -> Result<Stage, Broken> {
        let request = self.add_request(payer, cost);
        let row = &mut self.requests[request];
        (row.actual, row.takes_ms) = (actual, 5);
        row.at_once &= cost == actual;
        self.at(self.now_ms, Event::Arrive(request));
        let bound_ms = self.now_ms + self.timing().wait_ms + 1;
        while self.now_ms < bound_ms
            && matches!(self.requests[request].stage, Stage::New | Stage::Waiting)
        {
            self.run_until(self.now_ms + 5)?;
        }
        Ok(self.requests[request].stage)
    }

    fn must_pay(&mut self, payer: usize, cost: i64, actual: i64) -> Result<(), Broken> {
        let before = self.balance(payer)?;
        match self.try_now(payer, cost, actual)? {
            Stage::Running | Stage::Done => Ok(()),
            other => Err(format!(
                "a false refusal: {before} was left, but a request for {cost} came to {other:?}"
            )),
        }
    }

    fn spend_all(&mut self, payer: usize) -> Result<(), Broken> {
        let mut left = self.balance(payer)?;
        for _ in 0..6 {
            if left < 2 {
                break;
            }
            let cost = i64::try_from(
                self.random
                    .between(1, u64::try_from(left / 2).unwrap_or(1).max(1)),
            )
            .unwrap_or(1);
            let actual = if self.random.per_mille(700) {
                cost
            } else {
                cost / 2
            };
            self.must_pay(payer, cost, actual)?;
            left -= actual;
            let pause_ms = self.random.between(6, 120);
            self.run_until(self.now_ms + pause_ms)?;
        }
        if left > 0 {
            self.must_pay(payer, left, left)?;
        }
        match self.try_now(payer, 1, 1)? {
            Stage::Refused("exhausted" | "waited too long") => {}
            other => {
                return Err(format!(
                    "nothing is left, but a request for 1 came to {other:?}"
                ));
            }
        }
        let amount = self.random.between(1, 20);
        self.top_up_by(payer, 0, amount, (None, None, None), false)?;
        let push_ms = 40;
        self.run_until(self.now_ms + push_ms)?;
        let cost = i64::try_from(amount).unwrap_or(1);
        self.must_pay(payer, cost, cost)
    }
}
