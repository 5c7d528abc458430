//! The cell: no sequence of steps and messages makes it spend what it was not lent.

use creditgate_core::amount::Amount;
use creditgate_core::cell::{CELL_BYTES, Cell, NotAdmitted, Reception, Settlement};
use creditgate_core::id::AccountId;
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{AccountState, Block, LeaseAnswer, Phase, PreviousAnswer, Timing};

use crate::generator::Generator;

const ACCOUNT: AccountId = AccountId(0x0192_0000_0000_7000_8000_0000_0000_0001);

fn amount(units: u64) -> Amount {
    Amount::new(units as i64)
}

/// A control plane that lends without limit, and a gateway's cell between two of its requests.
struct Walk {
    cell: Cell,
    now_ms: u64,
    version: u64,
    /// What was lent under each number.
    granted: Vec<(LeaseNumber, u64)>,
    /// Requests in flight: under which lease, how much.
    running: Vec<(LeaseNumber, u64)>,
}

impl Walk {
    fn new(generator: &mut Generator) -> Self {
        let now_ms = 1 + generator.below(1 << 20);
        let number = LeaseNumber::draw(now_ms, generator.bits() as u32, LeaseNumber::NONE);
        Self {
            cell: Cell::fresh(ACCOUNT, number),
            now_ms,
            version: 1,
            granted: Vec::new(),
            running: Vec::new(),
        }
    }

    fn lent(&mut self, lease: LeaseNumber, more: u64) -> u64 {
        match self.granted.iter_mut().find(|(known, _)| *known == lease) {
            Some((_, granted)) => {
                *granted += more;
                *granted
            }
            None => {
                self.granted.push((lease, more));
                more
            }
        }
    }

    fn answer(&mut self, generator: &mut Generator) -> LeaseAnswer {
        let before = self.cell.previous.map(|previous| previous.lease);
        let lease = before
            .filter(|_| generator.one_in(4))
            .unwrap_or(self.cell.lease);
        let more = generator.below(40);
        let granted = self.lent(lease, more);
        self.version += generator.below(2);
        let mut answer = answer(lease, granted, self.version);
        answer.phase = if generator.one_in(10) {
            Phase::Turn
        } else {
            Phase::Open
        };
        answer.keep = generator.one_in(5).then(|| amount(generator.below(10)));
        answer.state.block = generator.one_in(10).then_some(Block::CustomerSuspended);
        answer.state.ceiling = generator.one_in(5).then(|| amount(generator.below(30)));
        let balanced = self
            .cell
            .previous
            .is_some_and(|previous| previous.counters.is_balanced());
        answer.previous = before.map(|lease| PreviousAnswer {
            lease,
            settled: Amount::ZERO,
            closed: balanced && generator.one_in(2),
        });
        answer
    }

    /// One step of any kind.
    fn step(&mut self, generator: &mut Generator) {
        self.now_ms += generator.below(400);
        let now_ms = self.now_ms;
        match generator.below(9) {
            0 | 1 => {
                let sent_mark = generator.one_in(2).then(|| self.cell.mark());
                let answer = self.answer(generator);
                self.cell.apply(
                    &answer,
                    Reception {
                        sent_at_ms: now_ms,
                        now_ms,
                        sent_mark,
                    },
                );
            }
            2 | 3 => {
                let cost = generator.below(20);
                let before = self.cell.clone();
                match self.cell.admit(amount(cost), now_ms) {
                    Ok(()) => {
                        assert!(
                            before.counters.remaining() >= amount(cost) && before.block.is_none()
                        );
                        assert!(now_ms < before.use_by_ms, "past its use-by");
                        self.running.push((before.lease, cost));
                    }
                    Err(_) => assert_eq!(self.cell, before, "a refusal changes nothing"),
                }
            }
            4 | 5 if !self.running.is_empty() => {
                let place = generator.below(self.running.len() as u64) as usize;
                let (lease, cost) = self.running.swap_remove(place);
                let settled =
                    self.cell
                        .settle(lease, amount(cost), amount(generator.below(cost + 1)));
                let knows = lease == self.cell.lease
                    || self
                        .cell
                        .previous
                        .is_some_and(|previous| previous.lease == lease && !previous.dead);
                assert_eq!(settled == Settlement::Booked, knows);
            }
            6 => self.cell.give_back(amount(generator.below(20))),
            7 => {
                let number = LeaseNumber::draw(now_ms, generator.bits() as u32, self.cell.lease);
                self.cell.turn(number, now_ms);
            }
            _ => {
                let number = LeaseNumber::draw(now_ms, generator.bits() as u32, self.cell.lease);
                let timing = Timing {
                    max_stream_ms: 2_000,
                    ..Timing::default()
                };
                self.cell.age(now_ms, generator.one_in(3), &timing, number);
            }
        }
    }

    /// Nothing is spent that was not lent, whatever happened.
    fn check(&self) {
        let lent = |lease| {
            self.granted
                .iter()
                .find(|(known, _)| *known == lease)
                .map_or(Amount::ZERO, |(_, granted)| amount(*granted))
        };
        let counters = self.cell.counters;
        assert_eq!(counters.check(), Ok(()));
        assert!(!counters.remaining().is_negative(), "{counters:?}");
        assert!(counters.granted <= lent(self.cell.lease), "{counters:?}");
        if self.cell.spent_out {
            assert!(counters.remaining().is_zero(), "{counters:?}");
        }
        if let Some(previous) = self.cell.previous {
            assert_eq!(previous.counters.check(), Ok(()));
            assert!(previous.counters.remaining().is_zero(), "{previous:?}");
            assert!(
                previous.counters.granted <= lent(previous.lease),
                "{previous:?}"
            );
            assert!(previous.lease < self.cell.lease);
        }
    }
}

fn answer(lease: LeaseNumber, granted: u64, version: u64) -> LeaseAnswer {
    LeaseAnswer {
        account: ACCOUNT,
        lease,
        phase: Phase::Open,
        granted: amount(granted),
        use_by_ms: 60_000,
        settled: Amount::ZERO,
        previous: None,
        keep: None,
        waiting: false,
        state: AccountState {
            version,
            balance: amount(1_000),
            issued: amount(2_000),
            ..AccountState::unknown()
        },
    }
}

/// A cell somewhere on its way.
fn any_cell(generator: &mut Generator) -> (Cell, u64) {
    let mut walk = Walk::new(generator);
    for _ in 0..generator.below(25) {
        walk.step(generator);
    }
    (walk.cell, walk.now_ms)
}

fn received(now_ms: u64) -> Reception {
    Reception {
        sent_at_ms: now_ms,
        now_ms,
        sent_mark: None,
    }
}

property! {
    fn no_sequence_of_steps_spends_what_was_not_lent(generator) {
        let mut walk = Walk::new(generator);
        for _ in 0..40 {
            let before = walk.cell.clone();
            walk.step(generator);
            walk.check();
            if walk.cell.lease == before.lease {
                assert_eq!(before.counters.merged(&walk.cell.counters), walk.cell.counters, "counters only grow");
            } else {
                assert!(walk.cell.lease > before.lease);
            }
        }
    }
}

property! {
    fn a_cell_reads_back_as_it_was_written(generator) {
        let (cell, _) = any_cell(generator);
        assert_eq!(Cell::from_bytes(&cell.to_bytes()), Ok(cell));
    }
}

property! {
    fn any_bytes_are_a_sound_cell_or_none(generator) {
        let (cell, now_ms) = any_cell(generator);
        let mut bytes = cell.to_bytes().to_vec();
        match generator.below(4) {
            0 => bytes = generator.bytes(CELL_BYTES as u64 + 8),
            1 => bytes.truncate(generator.below(CELL_BYTES as u64) as usize),
            _ => {
                for _ in 0..=generator.below(4) {
                    let place = generator.below(bytes.len() as u64) as usize;
                    bytes[place] = generator.bits() as u8;
                }
            }
        }
        let Ok(mut read) = Cell::from_bytes(&bytes) else { return };
        assert_eq!(Cell::from_bytes(&read.to_bytes()), Ok(read.clone()));
        assert_eq!(read.counters.check(), Ok(()));
        // Whatever it holds, it can be used: arithmetic saturates, nothing panics.
        let _ = read.admit(amount(generator.bits() >> 1), now_ms);
        let _ = read.settle(read.lease, amount(generator.bits() >> 1), amount(generator.bits() >> 1));
        read.age(now_ms, true, &Timing::default(), LeaseNumber(generator.bits()));
        read.apply(&answer(read.lease, generator.bits() >> 1, generator.bits()), received(generator.bits()));
        let _ = (read.balance(), read.spendable(), read.mark(), read.is_reusable(now_ms, &Timing::default()));
    }
}

property! {
    fn admission_takes_exactly_the_cost_or_says_why_not(generator) {
        let (mut cell, now_ms) = any_cell(generator);
        let (before, cost) = (cell.clone(), amount(generator.below(30)));
        let remaining = before.counters.remaining();
        match cell.admit(cost, now_ms) {
            Ok(()) => assert_eq!(cell.counters.remaining(), remaining.saturating_sub(cost)),
            Err(NotAdmitted::Blocked(block)) => assert_eq!(before.block, Some(block)),
            Err(NotAdmitted::AboveCeiling) => assert!(remaining < cost && before.ceiling.is_some_and(|ceiling| ceiling < cost)),
            Err(NotAdmitted::Short) => assert!(remaining < cost),
            Err(NotAdmitted::PastUseBy) => assert!(now_ms >= before.use_by_ms && remaining >= cost),
        }
    }
}

property! {
    fn answers_in_any_order_and_number_lead_to_the_same_cell(generator) {
        let (now_ms, lease) = (1_000, LeaseNumber(1_000 << 22));
        let mut granted = 0;
        let answers: Vec<LeaseAnswer> = (1..=6).map(|version| {
            granted += generator.below(50);
            let mut answer = answer(lease, granted, version);
            answer.use_by_ms = generator.below(60_000);
            answer.state.block = generator.one_in(2).then_some(Block::WalletFrozen);
            answer.state.ceiling = generator.one_in(2).then(|| amount(generator.below(100)));
            answer.state.credential_version = version as u32;
            answer
        }).collect();
        let mut in_order = Cell::fresh(ACCOUNT, lease);
        for answer in &answers {
            in_order.apply(answer, received(now_ms));
        }
        let mut shuffled: Vec<&LeaseAnswer> = answers.iter().chain(&answers).collect();
        for place in (1..shuffled.len()).rev() {
            shuffled.swap(place, generator.below(place as u64 + 1) as usize);
        }
        let mut cell = Cell::fresh(ACCOUNT, lease);
        for answer in shuffled {
            cell.apply(answer, received(now_ms));
        }
        assert_eq!(cell, in_order);
    }
}

property! {
    fn an_older_state_changes_no_flag(generator) {
        let (mut cell, now_ms) = any_cell(generator);
        let version = cell.version + 1 + generator.below(9);
        cell.apply(&answer(cell.lease, 0, version), received(now_ms));
        let before = cell.clone();
        let mut stale = answer(cell.lease, 0, generator.below(version));
        stale.state.block = Some(Block::CustomerSuspended);
        stale.state.ceiling = Some(Amount::ZERO);
        stale.keep = Some(Amount::ZERO);
        stale.use_by_ms = generator.below(1 << 40);
        cell.apply(&stale, received(now_ms));
        assert_eq!(cell, before);
    }
}

property! {
    fn a_turn_gives_back_all_and_late_releases_too(generator) {
        let (mut cell, now_ms) = any_cell(generator);
        cell.apply(&answer(cell.lease, 1 << 30, cell.version + 1), received(now_ms));
        cell.block = None;
        let (estimate, actual) = (generator.below(100) + 1, generator.below(100));
        if cell.admit(amount(estimate), now_ms).is_err() || !cell.can_turn() {
            return;
        }
        let (old, held) = (cell.lease, cell.counters.held());
        cell.turn(LeaseNumber(old.0 + 1), now_ms);
        let turned = cell.previous.unwrap();
        assert_eq!((turned.lease, turned.counters.remaining(), turned.counters.held()), (old, Amount::ZERO, held));
        assert_eq!((cell.counters, cell.use_by_ms, cell.ceiling), (Counters::default(), 0, None));
        assert_eq!(cell.settle(old, amount(estimate), amount(actual.min(estimate))), Settlement::Booked);
        let settled = cell.previous.unwrap().counters;
        assert_eq!(settled.remaining(), Amount::ZERO, "a release after the turn is returned");
        assert_eq!(settled.returned, turned.counters.returned.saturating_add(amount(estimate - actual.min(estimate))));
    }
}

property! {
    fn what_was_not_acknowledged_is_news(generator) {
        let (mut cell, now_ms) = any_cell(generator);
        let acknowledged = Reception { sent_mark: Some(cell.mark()), ..received(now_ms) };
        cell.apply(&answer(cell.lease, 0, 0), acknowledged);
        assert!(!cell.has_news());
        cell.apply(&answer(cell.lease, 1 << 30, cell.version + 1), received(now_ms));
        cell.block = None;
        let news = cell.has_news();
        if cell.admit(amount(1 + generator.below(9)), now_ms).is_ok() {
            assert!(cell.has_news(), "a reservation is news");
        } else {
            assert_eq!(cell.has_news(), news);
        }
    }
}

property! {
    // A settlement once made the mark of an unreported turn equal to the acknowledged one.
    fn a_turn_stays_news_whatever_settles_after_it(generator) {
        let lease = LeaseNumber(7 << 22);
        let mut cell = Cell::fresh(ACCOUNT, lease);
        cell.apply(&answer(lease, 1_000, 1), received(1_000));
        for _ in 0..20 {
            cell.admit(amount(2), 1_000).unwrap();
        }
        cell.turn(LeaseNumber(lease.0 + 1 + generator.below(1 << 30)), 1_000);
        for _ in 0..20 {
            assert_eq!(cell.settle(lease, amount(2), amount(generator.below(3))), Settlement::Booked);
            assert!(cell.has_news());
        }
    }
}

property! {
    fn a_cell_is_given_away_only_when_nothing_is_in_it(generator) {
        let (mut cell, now_ms) = any_cell(generator);
        let timing = Timing::default();
        let later_ms = now_ms + generator.below(3) * timing.reuse_after_ms();
        if generator.one_in(2) {
            let acknowledged = Reception { sent_mark: Some(cell.mark()), ..received(now_ms) };
            cell.apply(&answer(cell.lease, 0, 0), acknowledged);
        }
        if cell.is_reusable(later_ms, &timing) {
            assert!(!cell.is_lent() && cell.previous.is_none() && !cell.has_news());
            assert!(later_ms >= cell.reported_at_ms + timing.reuse_after_ms());
        }
    }
}

property! {
    fn the_balance_is_what_was_told_less_what_was_settled_here_since(generator) {
        let lease = LeaseNumber(1 << 22);
        let mut cell = Cell::fresh(ACCOUNT, lease);
        let mut settled = 0;
        for version in 1..=generator.below(8) + 1 {
            let seen = generator.below(settled + 1);
            let told = amount(generator.below(1 << 40));
            let mut answer = answer(lease, 1 << 40, version);
            (answer.settled, answer.state.balance) = (amount(seen), told);
            cell.apply(&answer, received(1));
            let cost = generator.below(100);
            cell.charge(amount(cost), 1).unwrap();
            settled += cost;
            assert_eq!(cell.balance(), told.saturating_sub(amount(settled - seen)));
        }
    }
}

property! {
    // Else the present lease's own word of that version could not shorten the use-by, and
    // credit of a lot would be spent after its expiry.
    fn a_newer_version_under_another_lease_ends_the_use_by(generator) {
        let (old, lease) = (LeaseNumber(1 << 22), LeaseNumber(2 << 22));
        let mut cell = Cell::fresh(ACCOUNT, old);
        cell.turn(lease, 1);
        cell.apply(&answer(lease, 100, 5), received(10));
        assert_eq!(cell.use_by_ms, 60_010);
        let version = 6 + generator.below(9);
        cell.apply(&answer(old, 0, version), received(20));
        assert_eq!(cell.clone().admit(amount(1), 30), Err(NotAdmitted::PastUseBy));
        let mut own = answer(lease, 100, version);
        own.use_by_ms = 100;
        cell.apply(&own, received(20));
        assert_eq!(cell.use_by_ms, 120);
    }
}

property! {
    fn a_ceiling_ends_with_the_lease_it_was_told_to(generator) {
        let (old, lease) = (LeaseNumber(1 << 22), LeaseNumber(2 << 22));
        let mut cell = Cell::fresh(ACCOUNT, old);
        let mut told = answer(old, 0, 1);
        told.state.ceiling = Some(amount(generator.below(5)));
        cell.apply(&told, received(1));
        assert_eq!(cell.admit(amount(9), 2), Err(NotAdmitted::AboveCeiling));
        cell.turn(lease, 3);
        assert_eq!(cell.admit(amount(9), 4), Err(NotAdmitted::Short), "the new lease asks for itself");
        told.state.version = 1 + generator.below(2);
        cell.apply(&told, received(5));
        assert_eq!(cell.admit(amount(9), 6), Err(NotAdmitted::Short), "nobody raises the old one's ceiling");
    }
}

property! {
    // Whatever an answer says that it used: a strict rule books nothing beyond what is lent, and
    // no gateway reports more than the control plane takes.
    fn what_is_booked_within_the_room_overruns_a_lease_no_further_than_it_may(generator) {
        let (mut cell, now_ms) = any_cell(generator);
        let overrun_max = amount(generator.below(3) * generator.below(50));
        let (lease, estimate) = (cell.lease, amount(generator.below(20)));
        if cell.admit(estimate, now_ms).is_err() {
            return;
        }
        if generator.one_in(2) {
            cell.turn(LeaseNumber(cell.lease.0 + (1 << 22)), now_ms);
        }
        let counters = |cell: &Cell| match cell.previous {
            Some(previous) if previous.lease == lease => previous.counters,
            _ => cell.counters,
        };
        let before = counters(&cell).overrun();
        let room = cell.overrun_room(lease, overrun_max);
        let actual = estimate.saturating_add(room.min(amount(generator.below(500))));
        if cell.settle(lease, estimate, actual) == Settlement::Gone {
            return;
        }
        let after = counters(&cell).overrun();
        assert!(after <= before.max(overrun_max), "{before} {after} {overrun_max}");
        assert_eq!(counters(&cell).check(), Ok(()));
    }
}
