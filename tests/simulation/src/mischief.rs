//! Everything that goes wrong, and everything operators do meanwhile.

use creditgate::command::{
    Command, CreateWallet, HowMuch, Outcome, TopUpCommand, WalletCommand, WalletOutcome,
};
use creditgate::storage::Target;
use creditgate_core::amount::Currency;
use creditgate_core::id::AccountId;
use creditgate_ledger::customer::{CustomerChange, NewCustomer};
use creditgate_ledger::registry::InstanceState;
use creditgate_ledger::{CustomerStatus, LeaseState, ReasonCode, ResolutionKind, WalletStatus};

use super::auditor::Broken;
use super::control_plane::wall_clock;
use super::gateway::hash;
use super::network::RULE;
use super::options::Fault;
use super::world::{Event, Payer, Stage, World, note};

impl World {
    /// Makes a customer with one or two wallets, some lots and a key.
    pub(super) fn add_payer(&mut self) -> Result<(), Broken> {
        let place = self.payers.len();
        let external_id = format!("payer-{place}");
        let new = NewCustomer {
            external_id: external_id.clone(),
            name: None,
            time_zone: "UTC".to_owned(),
            metadata: Default::default(),
        };
        let Outcome::Customer(customer) = self.execute("operator", Command::CreateCustomer(new))?
        else {
            return Err("no customer was made".to_owned());
        };
        let target = Target::Customer(customer.id);
        let command = Command::AddKey {
            customer: target.clone(),
            name: None,
            hash: hash(place, 0),
        };
        let Outcome::Key(key) = self.execute("operator", command)? else {
            return Err("no key was made".to_owned());
        };
        let mut payer = Payer {
            id: customer.id,
            account: AccountId(0),
            limited: None,
            wallets: Vec::new(),
            lots: Vec::new(),
            key: key.id,
            hash: key.hash,
            generation: 0,
            funded: 0,
        };
        for _ in 0..self.random.between(1, 2) {
            let currency = Currency::new("credits").map_err(|error| error.to_string())?;
            let wallet = CreateWallet::plain(target.clone(), currency);
            let command = WalletCommand::Create(Box::new(wallet));
            let Outcome::Wallet(made) = self.execute("operator", command.into())? else {
                return Err("no wallet was made".to_owned());
            };
            payer.account = made.wallet().account;
            payer.wallets.push(made.wallet().id);
        }
        self.payers.push(payer);
        for _ in 0..self.random.between(1, 3) {
            self.top_up(place)?;
        }
        Ok(())
    }

    /// Adds a lot, under an idempotency key that is sometimes sent twice.
    fn top_up(&mut self, payer: usize) -> Result<(), Broken> {
        let wallet = self.random.place(self.payers[payer].wallets.len());
        let amount = self.random.between(1, 150);
        let expires_in_ms = self.random.between(50, self.calm_from_ms);
        let expires =
            self.random.per_mille(350) && self.options.allows(Fault::Expiry) && !self.is_calm();
        let priority = self
            .random
            .per_mille(500)
            .then(|| i32::try_from(self.random.below(3)).unwrap_or(0));
        let later_ms = if self.random.per_mille(150) {
            self.random.between(1, 500)
        } else {
            0
        };
        let twice = self.random.per_mille(200);
        let now = wall_clock(self.now_ms);
        let effective_at = (later_ms > 0).then(|| now.plus_ms(later_ms));
        let expires_at = expires.then(|| now.plus_ms(later_ms + expires_in_ms));
        self.top_up_by(
            payer,
            wallet,
            amount,
            (priority, effective_at, expires_at),
            twice,
        )
    }

    pub(super) fn top_up_by(
        &mut self,
        payer: usize,
        wallet: usize,
        amount: u64,
        (priority, effective_at, expires_at): (
            Option<i32>,
            Option<creditgate_ledger::Timestamp>,
            Option<creditgate_ledger::Timestamp>,
        ),
        twice: bool,
    ) -> Result<(), Broken> {
        let wallet = Target::Wallet(self.payers[payer].wallets[wallet]);
        let value = HowMuch::Amount(amount.to_string());
        let top_up = TopUpCommand {
            priority,
            effective_at,
            expires_at,
            ..TopUpCommand::new(wallet, value, ReasonCode::PurchasedCreditDirect)
        };
        let command = Command::from(WalletCommand::TopUp(Box::new(top_up)));
        self.top_ups += 1;
        let key = format!("top-up {}", self.top_ups);
        note!(
            self,
            "top-up of payer {payer}: {amount}, effective {effective_at:?}, expires {expires_at:?}"
        );
        self.payers[payer].funded += amount;
        for _ in 0..=u8::from(twice) {
            let executed = self
                .control_plane
                .execute_once(self.now_ms, &key, command.clone())
                .map_err(|error| error.to_string())?;
            let Some(executed) = executed else { continue };
            if let Outcome::Wallet(made) = self.committed(executed)?
                && let WalletOutcome::Lot(made) = *made
            {
                self.payers[payer].lots.push(made.lot.id);
            }
        }
        Ok(())
    }

    /// What the control plane does by itself.
    pub(super) fn jobs(&mut self) -> Result<(), Broken> {
        if self.now_ms >= self.control_plane.down_until_ms {
            for command in self
                .control_plane
                .due(self.now_ms)
                .map_err(|error| error.to_string())?
            {
                self.tally.quarantines += u64::from(matches!(command, Command::Quarantine { .. }));
                self.execute("job", command)?;
            }
            self.wake_polls()?;
            self.finish_drains()?;
        }
        let every_ms = self.random.between(5, 30);
        self.after(every_ms, Event::Jobs);
        Ok(())
    }

    /// One thing goes wrong, or an operator does one thing.
    pub(super) fn mischief(&mut self) -> Result<(), Broken> {
        if self.is_calm() {
            return Ok(());
        }
        let gateway = self.random.place(self.gateways.len());
        let payer = self.random.place(self.payers.len());
        let kind = self.random.below(34);
        let length_ms = self.random.between(20, 1_200);
        let every_ms = self.random.between(20, 160);
        let cut_off_ms = if self.random.per_mille(400) {
            2_000 + length_ms
        } else {
            length_ms / 3
        };
        self.after(every_ms, Event::Mischief);
        let before = self.tally.faults;
        self.tally.faults += 1;
        match kind {
            0..=5 => self.top_up(payer)?,
            6 if self.options.allows(Fault::Crash) => self.crash(gateway, length_ms / 4),
            7..=9 if self.options.allows(Fault::LostCell) => self.lose_cell(gateway, payer),
            10..=11 if self.options.allows(Fault::Trap) => self.trap(gateway),
            12 if self.options.allows(Fault::Restart) => self.restart(length_ms / 3),
            13..=14 if self.options.allows(Fault::Partition) => self.cut_off(gateway, cut_off_ms),
            15..=16 if self.options.allows(Fault::Void) => self.void(payer)?,
            17..=18 if self.options.allows(Fault::Suspension) => self.suspend(payer)?,
            19..=20 if self.options.allows(Fault::Freeze) => self.freeze(payer)?,
            21 if self.options.allows(Fault::Drain) => self.drain(gateway)?,
            22..=23 if self.options.allows(Fault::Rotation) => self.rotate(payer)?,
            24..=25 if self.options.allows(Fault::Operator) => self.decide_quarantine()?,
            26..=28 if self.options.allows(Fault::Reuse) => self.reuse(gateway, payer),
            29..=30 if self.options.allows(Fault::Limit) => self.limit(payer)?,
            _ => self.tally.faults = before,
        }
        Ok(())
    }

    /// The process ends: cells and requests are gone.
    pub(super) fn crash(&mut self, gateway: usize, back_in_ms: u64) {
        if !self.gateways[gateway].is_up {
            return;
        }
        note!(self, "g{gateway} crashes");
        for worker in 0..self.gateways[gateway].workers.len() {
            self.abandon_requests(gateway, worker);
        }
        for account in self.gateways[gateway].accounts() {
            self.erase(gateway, account);
        }
        self.gateways[gateway].is_up = false;
        self.gateways[gateway].drains_since_ms = None;
        self.after(back_in_ms, Event::Boot(gateway));
    }

    /// Requests of a worker end with it. What they really cost is known to no process any
    /// more; the auditor takes it that they were served.
    fn abandon_requests(&mut self, gateway: usize, worker: usize) {
        let running = std::mem::take(&mut self.gateways[gateway].workers[worker].running);
        for request in running {
            let row = self.requests[request].clone();
            let key = (self.gateways[gateway].id, row.account, row.lease);
            if !row.at_once {
                self.auditor
                    .ended(key, row.admitted_at_ms, row.cost, row.actual);
            }
            self.requests[request].stage = Stage::Done;
        }
        let life = (
            self.gateways[gateway].life,
            self.gateways[gateway].workers[worker].life,
        );
        for request in 0..self.requests.len() {
            let row = &self.requests[request];
            let is_here = row.gateway == gateway
                && row.worker == worker
                && (row.gateway_life, row.worker_life) == life;
            if is_here && row.stage == Stage::Waiting {
                self.refuse(request, "worker gone");
            }
        }
    }

    fn trap(&mut self, gateway: usize) {
        if !self.gateways[gateway].is_up {
            return;
        }
        let worker = self.random.place(self.gateways[gateway].workers.len());
        note!(self, "g{gateway}.{worker} traps");
        self.abandon_requests(gateway, worker);
        let life = self.gateways[gateway].workers[worker].life + 1;
        self.gateways[gateway].workers[worker] = super::gateway::Worker {
            life,
            ..Default::default()
        };
    }

    /// One of a customer's accounts.
    fn any_account(&mut self, payer: usize) -> AccountId {
        let accounts: Vec<_> = self.payers[payer].accounts().collect();
        accounts[self.random.place(accounts.len())]
    }

    fn lose_cell(&mut self, gateway: usize, payer: usize) {
        let account = self.any_account(payer);
        note!(self, "g{gateway} loses the cell of {account}");
        self.erase(gateway, account);
    }

    /// A cell that holds nothing is given to another account.
    fn reuse(&mut self, gateway: usize, payer: usize) {
        let account = self.any_account(payer);
        let now = self.clock(gateway);
        let cell = self.gateways[gateway].cell(account);
        if cell.is_some_and(|cell| cell.is_reusable(now, &self.timing())) {
            note!(self, "g{gateway} gives the cell of {account} to another");
            self.erase(gateway, account);
        }
    }

    fn restart(&mut self, down_ms: u64) {
        note!(self, "the control plane restarts");
        self.control_plane.restart(self.now_ms, down_ms);
        self.drop_polls();
    }

    fn cut_off(&mut self, gateway: usize, length_ms: u64) {
        note!(self, "g{gateway} is cut off for {length_ms} ms");
        self.gateways[gateway].cut_off_until_ms = self.now_ms + length_ms;
    }

    fn void(&mut self, payer: usize) -> Result<(), Broken> {
        if self.payers[payer].lots.is_empty() {
            return Ok(());
        }
        let place = self.random.place(self.payers[payer].lots.len());
        let lot = self.payers[payer].lots[place];
        self.execute(
            "operator",
            WalletCommand::VoidLot {
                lot: Target::Lot(lot),
                reason: "by chance".to_owned(),
            }
            .into(),
        )
        .map(|_| ())
    }

    fn suspend(&mut self, payer: usize) -> Result<(), Broken> {
        let book = self
            .control_plane
            .book(self.payers[payer].id)
            .map_err(|error| error.to_string())?;
        let status = match book.customer.status {
            CustomerStatus::Active => CustomerStatus::Suspended,
            CustomerStatus::Suspended => CustomerStatus::Active,
        };
        if status == CustomerStatus::Suspended {
            let for_ms = self.random.between(10, 250);
            self.after(for_ms, Event::Resume(payer));
        }
        self.set_status(payer, status)
    }

    /// Suspensions and freezes are short, so that there is traffic in between.
    pub(super) fn resume(&mut self, payer: usize) -> Result<(), Broken> {
        self.set_status(payer, CustomerStatus::Active)?;
        for wallet in self.payers[payer].wallets.clone() {
            let command = WalletCommand::SetStatus {
                wallet: Target::Wallet(wallet),
                status: WalletStatus::Active,
                reason: None,
            };
            self.execute("operator", command.into())?;
        }
        Ok(())
    }

    fn set_status(&mut self, payer: usize, status: CustomerStatus) -> Result<(), Broken> {
        let change = CustomerChange {
            status: Some(status),
            ..CustomerChange::default()
        };
        let customer = Target::Customer(self.payers[payer].id);
        self.execute(
            "operator",
            Command::ChangeCustomer {
                customer,
                change,
                reason: None,
            },
        )
        .map(|_| ())
    }

    fn freeze(&mut self, payer: usize) -> Result<(), Broken> {
        let place = self.random.place(self.payers[payer].wallets.len());
        let id = self.payers[payer].wallets[place];
        let book = self
            .control_plane
            .book(self.payers[payer].id)
            .map_err(|error| error.to_string())?;
        let is_active = book
            .wallets
            .iter()
            .any(|wallet| wallet.id == id && wallet.status == WalletStatus::Active);
        if is_active {
            let for_ms = self.random.between(10, 250);
            self.after(for_ms, Event::Resume(payer));
        }
        let status = if is_active {
            WalletStatus::Frozen
        } else {
            WalletStatus::Active
        };
        self.execute(
            "operator",
            WalletCommand::SetStatus {
                wallet: Target::Wallet(id),
                status,
                reason: None,
            }
            .into(),
        )
        .map(|_| ())
    }

    fn rotate(&mut self, payer: usize) -> Result<(), Broken> {
        let generation = self.payers[payer].generation + 1;
        let command = Command::RotateKey {
            key: self.payers[payer].key,
            hash: hash(payer, generation),
            overlap_ms: 0,
        };
        if let Outcome::Key(key) = self.execute("operator", command)? {
            let known = &mut self.payers[payer];
            (known.generation, known.key, known.hash) = (generation, key.id, key.hash);
        }
        Ok(())
    }

    fn drain(&mut self, gateway: usize) -> Result<(), Broken> {
        if !self.gateways[gateway].is_up || self.gateways[gateway].drains_since_ms.is_some() {
            return Ok(());
        }
        let instance = self.gateways[gateway].id;
        self.gateways[gateway].drains_since_ms = Some(self.now_ms);
        self.execute(
            "operator",
            Command::SetInstanceState {
                instance,
                state: InstanceState::Draining,
                reason: None,
            },
        )?;
        for payer in 0..self.payers.len() {
            let customer = Target::Customer(self.payers[payer].id);
            self.execute("operator", Command::TurnLeases { customer, instance })?;
        }
        Ok(())
    }

    /// A drained process is replaced once nothing is lent to it, or after a while anyway.
    fn finish_drains(&mut self) -> Result<(), Broken> {
        for gateway in 0..self.gateways.len() {
            let Some(since_ms) = self.gateways[gateway].drains_since_ms else {
                continue;
            };
            let instance = self.gateways[gateway].id;
            // Whoever drains it waits for what it spent on its own word, too.
            let place = &self.gateways[gateway];
            let is_told = |account: &AccountId| {
                let cell = place.cell(*account);
                cell.is_none_or(|cell| cell.overrun().is_zero())
            };
            let mut is_empty = place.accounts().iter().all(is_told);
            for payer in 0..self.payers.len() {
                let book = self
                    .control_plane
                    .book(self.payers[payer].id)
                    .map_err(|error| error.to_string())?;
                is_empty &= !book
                    .leases
                    .iter()
                    .any(|lease| lease.instance == instance && lease.state != LeaseState::Closed);
            }
            if is_empty || self.now_ms > since_ms + 3_000 {
                note!(self, "g{gateway} was drained: nothing lent {is_empty}");
                self.crash(gateway, 20);
            }
        }
        Ok(())
    }

    /// An operator decides over everything that is quarantined.
    pub(super) fn decide_quarantine(&mut self) -> Result<(), Broken> {
        for lease in self
            .control_plane
            .quarantined(self.now_ms)
            .map_err(|error| error.to_string())?
        {
            let kind = if self.random.per_mille(500) {
                ResolutionKind::Release
            } else {
                ResolutionKind::Consume
            };
            self.execute(
                "operator",
                Command::ResolveLease {
                    lease,
                    kind,
                    reason: "by chance".to_owned(),
                },
            )?;
        }
        Ok(())
    }

    /// A customer gets a wallet that is limited to a rule, and something in it.
    fn limit(&mut self, payer: usize) -> Result<(), Broken> {
        if self.payers[payer].limited.is_some() {
            return Ok(());
        }
        let currency = Currency::new("credits").map_err(|error| error.to_string())?;
        let mut wallet = CreateWallet::plain(Target::Customer(self.payers[payer].id), currency);
        wallet.rules.insert(RULE.to_owned());
        let command = WalletCommand::Create(Box::new(wallet));
        let Outcome::Wallet(made) = self.execute("operator", command.into())? else {
            return Err("no wallet was made".to_owned());
        };
        let (account, wallet) = (made.wallet().account, made.wallet().id);
        note!(self, "payer {payer} gets the limited account {account}");
        self.payers[payer].limited = Some(account);
        self.payers[payer].wallets.push(wallet);
        let wallet = self.payers[payer].wallets.len() - 1;
        let amount = self.random.between(1, 150);
        self.top_up_by(payer, wallet, amount, (None, None, None), false)
    }

    /// Operators undo what they did to customers.
    pub(super) fn make_peace(&mut self) -> Result<(), Broken> {
        for payer in 0..self.payers.len() {
            self.resume(payer)?;
        }
        for gateway in 0..self.gateways.len() {
            self.gateways[gateway].cut_off_until_ms = 0;
            if !self.gateways[gateway].is_up {
                self.after(1, Event::Boot(gateway));
            }
        }
        self.control_plane.down_until_ms = 0;
        Ok(())
    }
}
