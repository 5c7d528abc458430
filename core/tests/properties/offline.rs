//! The offline allowance: whatever happens while nobody answers, no more is used than was lent
//! and the allowance together.

use creditgate_core::amount::Amount;
use creditgate_core::cell::{Cell, NotAdmitted, Offline, Reception};
use creditgate_core::id::AccountId;
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{AccountState, Block, LeaseAnswer, Phase, PreviousAnswer, Timing};

use crate::generator::Generator;

const ACCOUNT: AccountId = AccountId(7);

fn amount(units: u64) -> Amount {
    Amount::new(units as i64)
}

fn lent(lease: LeaseNumber, granted: u64, version: u64) -> LeaseAnswer {
    LeaseAnswer {
        account: ACCOUNT,
        lease,
        phase: Phase::Open,
        granted: amount(granted),
        use_by_ms: 1_000,
        settled: Amount::ZERO,
        previous: None,
        keep: None,
        waiting: false,
        state: AccountState {
            version,
            balance: amount(1_000),
            ..AccountState::unknown()
        },
    }
}

fn heard(cell: &mut Cell, answer: &LeaseAnswer, now_ms: u64) {
    let reception = Reception {
        sent_at_ms: now_ms,
        now_ms,
        sent_mark: None,
    };
    cell.apply(answer, reception);
}

fn offline(allowance: u64, now_ms: u64, number: u64) -> Offline {
    Offline {
        allowance: amount(allowance),
        now_ms,
        number: LeaseNumber(number),
        at_once: false,
    }
}

/// A cell that was lent so much, and then hears nothing any more.
struct Outage {
    cell: Cell,
    now_ms: u64,
    lent: u64,
    allowance: u64,
    used: i64,
    running: Vec<(LeaseNumber, u64)>,
}

impl Outage {
    fn begin(generator: &mut Generator) -> Self {
        let now_ms = 1_000 + generator.below(1_000);
        let mut cell = Cell::fresh(ACCOUNT, LeaseNumber::draw(now_ms, 0, LeaseNumber::NONE));
        let lent_here = generator.below(60);
        let answer = lent(cell.lease, lent_here, 1);
        heard(&mut cell, &answer, now_ms);
        Self {
            cell,
            now_ms,
            lent: lent_here,
            allowance: generator.below(40),
            used: 0,
            running: Vec::new(),
        }
    }

    fn number(&self, generator: &mut Generator) -> LeaseNumber {
        LeaseNumber::draw(self.now_ms, generator.bits() as u32, self.cell.lease)
    }

    fn step(&mut self, generator: &mut Generator) {
        self.now_ms += generator.below(200);
        let cost = 1 + generator.below(12);
        let number = self.number(generator);
        match generator.below(8) {
            0 | 1 => {
                if self.cell.admit(amount(cost), self.now_ms).is_ok() {
                    self.run(cost, false);
                }
            }
            2..=4 => {
                let at_once = generator.one_in(3);
                let terms = Offline {
                    at_once,
                    ..offline(self.allowance, self.now_ms, number.0)
                };
                let before = self.cell.clone();
                match self.cell.admit_offline(amount(cost), terms) {
                    Ok(()) => self.run(cost, at_once),
                    Err(_) => assert_eq!(self.cell, before, "a refusal changes nothing"),
                }
            }
            5 | 6 if !self.running.is_empty() => {
                let place = generator.below(self.running.len() as u64) as usize;
                let (lease, estimate) = self.running.swap_remove(place);
                let actual = generator.below(estimate + 1);
                self.used += actual as i64 - estimate as i64;
                let _ = self.cell.settle(lease, amount(estimate), amount(actual));
            }
            _ => {
                let timing = Timing {
                    max_stream_ms: 1_500,
                    ..Timing::default()
                };
                let unused = generator.one_in(4);
                self.cell.age(self.now_ms, unused, &timing, number);
            }
        }
    }

    fn run(&mut self, cost: u64, at_once: bool) {
        self.used += cost as i64;
        if !at_once {
            self.running.push((self.cell.lease, cost));
        }
    }
}

property! {
    fn no_more_is_used_in_an_outage_than_was_lent_and_the_allowance(generator) {
        let mut outage = Outage::begin(generator);
        for _ in 0..60 {
            outage.step(generator);
            assert!(outage.cell.overrun() <= amount(outage.allowance));
            assert!(outage.used <= (outage.lent + outage.allowance) as i64, "{:?}", outage.cell);
            assert_eq!(Cell::from_bytes(&outage.cell.to_bytes()), Ok(outage.cell.clone()));
        }
    }
}

property! {
    fn after_the_use_by_nothing_of_the_lease_is_used_any_more(generator) {
        let mut cell = Cell::fresh(ACCOUNT, LeaseNumber(1));
        heard(&mut cell, &lent(LeaseNumber(1), 50, 1), 0);
        cell.charge(amount(10), 1).unwrap();
        let cost = 1 + generator.below(20);
        assert_eq!(cell.admit_offline(amount(cost), offline(20, 1_000, 2)), Ok(()));
        let previous = cell.previous.unwrap();
        assert_eq!((previous.lease, previous.counters.returned), (LeaseNumber(1), amount(40)));
        let beyond = Counters { reserved: amount(cost), ..Counters::default() };
        assert_eq!((cell.lease, cell.counters), (LeaseNumber(2), beyond));
    }
}

property! {
    fn an_allowance_that_was_covered_can_be_used_again_and_one_that_was_not_can_not(generator) {
        let allowance = 1 + generator.below(30);
        let mut cell = Cell::fresh(ACCOUNT, LeaseNumber(1));
        heard(&mut cell, &lent(LeaseNumber(1), 0, 1), 0);
        assert_eq!(cell.admit_offline(amount(allowance), offline(allowance, 1, 2)), Ok(()));
        assert_eq!(cell.admit_offline(amount(1), offline(allowance, 1, 2)), Err(NotAdmitted::Short));
        heard(&mut cell, &lent(LeaseNumber(1), allowance, 2), 2);
        assert_eq!(cell.overrun(), Amount::ZERO);
        assert_eq!(cell.admit_offline(amount(allowance), offline(allowance, 3, 2)), Ok(()));
    }
}

property! {
    fn who_was_blocked_or_short_or_owed_something_has_no_allowance(generator) {
        let mut answer = lent(LeaseNumber(1), 0, 1);
        let expected = match generator.below(3) {
            0 => {
                answer.state.block = Some(Block::WalletFrozen);
                NotAdmitted::Blocked(Block::WalletFrozen)
            }
            1 => {
                answer.state.ceiling = Some(amount(4));
                NotAdmitted::AboveCeiling
            }
            _ => {
                answer.state.owes = true;
                NotAdmitted::Short
            }
        };
        let mut cell = Cell::fresh(ACCOUNT, LeaseNumber(1));
        heard(&mut cell, &answer, 0);
        let now_ms = generator.below(3_000);
        assert_eq!(cell.admit_offline(amount(5), offline(100, now_ms, 2)), Err(expected));
    }
}

property! {
    fn a_cell_that_heard_nothing_has_no_allowance(generator) {
        let mut cell = Cell::fresh(ACCOUNT, LeaseNumber(1));
        let now_ms = generator.below(3_000);
        assert_eq!(cell.admit_offline(amount(1), offline(100, now_ms, 2)), Err(NotAdmitted::Short));
    }
}

property! {
    fn no_allowance_admits_nothing(generator) {
        let mut outage = Outage::begin(generator);
        outage.allowance = 0;
        let cost = outage.lent + 1;
        let number = outage.number(generator);
        let terms = offline(0, outage.now_ms, number.0);
        assert!(outage.cell.admit_offline(amount(cost), terms).is_err());
        let late = offline(0, outage.now_ms + 1_000, number.0);
        assert!(outage.cell.admit_offline(amount(1), late).is_err());
    }
}

property! {
    // The control plane closes a lease that has nothing out as soon as another is asked for.
    fn a_closed_lease_is_not_forgotten_while_what_it_was_overrun_by_is_unheard(generator) {
        let mut cell = Cell::fresh(ACCOUNT, LeaseNumber(1));
        heard(&mut cell, &lent(LeaseNumber(1), 0, 1), 0);
        let cost = 1 + generator.below(20);
        cell.admit_offline(amount(cost), offline(20, 1, 2)).unwrap();
        cell.turn(LeaseNumber(3), 2);
        let mut answer = lent(LeaseNumber(3), 5, 2);
        let mut told = PreviousAnswer { lease: LeaseNumber(1), settled: Amount::ZERO, closed: true };
        answer.previous = Some(told.clone());
        heard(&mut cell, &answer, 3);
        assert!(cell.previous.is_some(), "in flight");
        let actual = amount(generator.below(cost) + 1);
        let _ = cell.settle(LeaseNumber(1), amount(cost), actual);
        heard(&mut cell, &answer, 4);
        assert!(cell.previous.is_some(), "settled, and not heard of");
        told.settled = actual;
        answer.previous = Some(told);
        heard(&mut cell, &answer, 5);
        assert_eq!(cell.previous, None);
    }
}
