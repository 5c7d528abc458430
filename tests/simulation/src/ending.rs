//! The end of a schedule: faults stop, time passes, and then everything must be in order.
//!
//! Nothing is lent or set aside any more; each lease is charged what was really used; and
//! every request that the balance can pay is admitted, wherever it comes in and wherever the
//! credit lies, within the time a request waits. Then the balance is empty to the last unit,
//! the next request is refused, and the one after the next top-up is admitted.

use creditgate_core::id::AccountId;
use creditgate_ledger::{LedgerAccount, lend};

use super::auditor::Broken;
use super::control_plane::wall_clock;
use super::world::{Event, Payer, Stage, World, note};

impl World {
    /// Runs the whole schedule.
    pub(super) fn play(&mut self) -> Result<(), Broken> {
        self.run_until(self.calm_from_ms)?;
        note!(self, "--- faults stop");
        self.make_peace()?;
        self.use_overrun_accounts();
        self.settle_down(true)?;
        for payer in 0..self.payers.len() {
            note!(self, "--- payer {payer} spends what is left");
            self.repay(payer)?;
            self.spend_all(payer)?;
        }
        note!(self, "--- everything comes to rest");
        self.settle_down(false)?;
        self.auditor.reconcile()?;
        for payer in &self.payers {
            let funding = |account| self.auditor.booked_in(account, LedgerAccount::Funding);
            let booked = -payer.accounts().map(funding).sum::<i128>();
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
        for account in self.payers.iter().flat_map(Payer::accounts) {
            for ledger in [LedgerAccount::Lent, LedgerAccount::Quarantined] {
                let left = self.auditor.booked_in(account, ledger);
                if left != 0 {
                    return Err(format!(
                        "{left} is {ledger} for {account} although everything rests"
                    ));
                }
            }
        }
        Ok(())
    }

    /// What was spent offline by a worker that trapped since is reported when another worker of
    /// its process uses the account.
    fn use_overrun_accounts(&mut self) {
        for gateway in 0..self.gateways.len() {
            let place = &self.gateways[gateway];
            let accounts = place.accounts().into_iter();
            let overrun = |account: &AccountId| {
                let cell = place.cell(*account);
                cell.is_some_and(|cell| !cell.overrun().is_zero())
            };
            let accounts: Vec<AccountId> = accounts.filter(overrun).collect();
            for account in accounts {
                self.watch(gateway, 0, account, false);
            }
        }
    }

    /// The customer pays what is owed.
    fn repay(&mut self, payer: usize) -> Result<(), Broken> {
        let general = self.payers[payer].account;
        let limited = self.payers[payer].limited;
        let last = self.payers[payer].wallets.len() - 1;
        for (account, wallet) in [(Some(general), 0), (limited, last)] {
            let owed = account.map_or(0, |account| {
                -self.auditor.booked_in(account, LedgerAccount::Debt)
            });
            if owed > 0 {
                let owed = u64::try_from(owed).unwrap_or(u64::MAX);
                self.top_up_by(payer, wallet, owed, (None, None, None), false)?;
            }
        }
        self.run_until(self.now_ms + 40)
    }

    fn balance(&self, payer: usize, account: AccountId) -> Result<i64, Broken> {
        let book = self
            .control_plane
            .book(self.payers[payer].id)
            .map_err(|error| error.to_string())?;
        Ok(lend::balance(&book, account, wall_clock(self.now_ms)).get())
    }

    /// A request now, here or there, of the rule that accounts may be limited to or of another;
    /// answers what became of it within its time, and who paid.
    fn try_now(
        &mut self,
        payer: usize,
        is_limited: bool,
        cost: i64,
        actual: i64,
    ) -> Result<(Stage, AccountId), Broken> {
        let request = self.add_request(payer, cost);
        let row = &mut self.requests[request];
        (row.actual, row.takes_ms, row.is_limited) = (actual, 5, is_limited);
        row.at_once &= cost == actual;
        self.at(self.now_ms, Event::Arrive(request));
        let bound_ms = self.now_ms + self.timing().wait_ms + 1;
        while self.now_ms < bound_ms
            && matches!(self.requests[request].stage, Stage::New | Stage::Waiting)
        {
            self.run_until(self.now_ms + 5)?;
        }
        let row = &self.requests[request];
        Ok((row.stage, row.account))
    }

    /// A request that an account has to pay.
    fn must_pay(
        &mut self,
        payer: usize,
        by: AccountId,
        is_limited: bool,
        (cost, actual): (i64, i64),
    ) -> Result<(), Broken> {
        let before = self.balance(payer, by)?;
        match self.try_now(payer, is_limited, cost, actual)? {
            (Stage::Running | Stage::Done, account) if account == by => Ok(()),
            other => Err(format!(
                "a false refusal: {before} was left in {by}, but a request for {cost} came to {other:?}"
            )),
        }
    }

    fn must_not_pay(&mut self, payer: usize, is_limited: bool) -> Result<(), Broken> {
        match self.try_now(payer, is_limited, 1, 1)? {
            (Stage::Refused("exhausted" | "waited too long"), _) => Ok(()),
            other => Err(format!(
                "nothing is left, but a request for 1 came to {other:?}"
            )),
        }
    }

    /// First what is limited, for then the general account pays for that rule, too.
    fn spend_all(&mut self, payer: usize) -> Result<(), Broken> {
        let (general, limited) = (self.payers[payer].account, self.payers[payer].limited);
        let mut left = self.balance(payer, general)?;
        if let Some(limited) = limited {
            let left_there = self.balance(payer, limited)?;
            self.spend(payer, limited, true, left_there)?;
            if left > 0 {
                self.must_pay(payer, general, true, (1, 1))?;
                left -= 1;
            }
        }
        self.spend(payer, general, false, left)?;
        self.must_not_pay(payer, false)?;
        self.must_not_pay(payer, true)?;
        self.top_up_and_pay(payer, 0, general, false)?;
        match limited {
            // The wallet that was made last.
            Some(limited) => {
                let wallet = self.payers[payer].wallets.len() - 1;
                self.top_up_and_pay(payer, wallet, limited, true)
            }
            None => Ok(()),
        }
    }

    /// Requests of different prices, until an account is empty.
    fn spend(
        &mut self,
        payer: usize,
        account: AccountId,
        is_limited: bool,
        mut left: i64,
    ) -> Result<(), Broken> {
        for _ in 0..6 {
            if left < 2 {
                break;
            }
            let most = u64::try_from(left / 2).unwrap_or(1).max(1);
            let cost = i64::try_from(self.random.between(1, most)).unwrap_or(1);
            let actual = if self.random.per_mille(700) {
                cost
            } else {
                cost / 2
            };
            self.must_pay(payer, account, is_limited, (cost, actual))?;
            left -= actual;
            // The general account pays at once rather than wait for what others have yet to
            // report of a limited one.
            let report_ms = match is_limited {
                true => 2 * self.timing().sync_ms,
                false => 0,
            };
            let pause_ms = self.random.between(6, 120) + report_ms;
            self.run_until(self.now_ms + pause_ms)?;
        }
        if left > 0 {
            self.must_pay(payer, account, is_limited, (left, left))?;
        }
        Ok(())
    }

    fn top_up_and_pay(
        &mut self,
        payer: usize,
        wallet: usize,
        account: AccountId,
        is_limited: bool,
    ) -> Result<(), Broken> {
        let amount = self.random.between(1, 20);
        self.top_up_by(payer, wallet, amount, (None, None, None), false)?;
        let push_ms = 40;
        self.run_until(self.now_ms + push_ms)?;
        let cost = i64::try_from(amount).unwrap_or(1);
        self.must_pay(payer, account, is_limited, (cost, cost))
    }
}
