//! Whatever two gateways report, in whatever order it arrives: the book stays sound.
//!
//! Real cells make the reports; messages wait in a heap from which any is taken next, and
//! may be taken again. [`common::Bench::run`] holds every decision to the invariants.

mod common;

use common::{A, B, Bench, amount};
use creditgate_core::cell::{Cell, Reception};
use creditgate_core::id::InstanceId;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::{LeaseAnswer, Report};
use creditgate_ledger::quarantine;
use creditgate_ledger::{LeaseState, LedgerAccount, QuarantineCause, ResolutionKind};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Spend {
        gateway: usize,
        cost: i64,
        actual: i64,
    },
    Settle {
        gateway: usize,
    },
    Ask {
        gateway: usize,
        need: i64,
    },
    Deliver {
        message: usize,
        keep: bool,
    },
    Hear {
        gateway: usize,
        answer: usize,
        keep: bool,
    },
    Age {
        gateway: usize,
        unused: bool,
        ms: u64,
    },
    Lose {
        gateway: usize,
    },
    TopUp {
        units: i64,
        lives_ms: Option<u64>,
    },
    Void {
        lot: usize,
    },
    Silence {
        gateway: usize,
    },
    Decide {
        release: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let gateway = 0_usize..2;
    prop_oneof![
        5 => (gateway.clone(), 1_i64..20, 0_i64..20).prop_map(|(gateway, cost, actual)| Step::Spend { gateway, cost, actual: actual.min(cost) }),
        4 => gateway.clone().prop_map(|gateway| Step::Settle { gateway }),
        5 => (gateway.clone(), 0_i64..30).prop_map(|(gateway, need)| Step::Ask { gateway, need }),
        8 => (any::<usize>(), any::<bool>()).prop_map(|(message, keep)| Step::Deliver { message, keep }),
        8 => (gateway.clone(), any::<usize>(), any::<bool>()).prop_map(|(gateway, answer, keep)| Step::Hear { gateway, answer, keep }),
        3 => (gateway.clone(), any::<bool>(), 1_u64..400_000).prop_map(|(gateway, unused, ms)| Step::Age { gateway, unused, ms }),
        1 => gateway.clone().prop_map(|gateway| Step::Lose { gateway }),
        2 => (1_i64..100, proptest::option::of(1_u64..600_000)).prop_map(|(units, lives_ms)| Step::TopUp { units, lives_ms }),
        1 => any::<usize>().prop_map(|lot| Step::Void { lot }),
        1 => gateway.prop_map(|gateway| Step::Silence { gateway }),
        1 => any::<bool>().prop_map(|release| Step::Decide { release }),
    ]
}

const INSTANCES: [InstanceId; 2] = [A, B];

struct World {
    bench: Bench,
    cells: [Cell; 2],
    running: [Vec<(LeaseNumber, i64, i64)>; 2],
    messages: Vec<(usize, Report)>,
    answers: [Vec<LeaseAnswer>; 2],
    drawn: u64,
}

impl World {
    fn new() -> Self {
        let bench = Bench::with_credit(50);
        let cells = [1, 2].map(|number| Cell::fresh(bench.account(), LeaseNumber(number)));
        Self {
            bench,
            cells,
            running: Default::default(),
            messages: Vec::new(),
            answers: Default::default(),
            drawn: 2,
        }
    }

    fn clock(&self) -> u64 {
        self.bench.now.0.unsigned_abs()
    }

    fn draw(&mut self) -> LeaseNumber {
        self.drawn += 1;
        LeaseNumber(self.drawn)
    }

    fn play(&mut self, step: Step) {
        let now_ms = self.clock();
        match step {
            Step::Spend {
                gateway,
                cost,
                actual,
            } => {
                let cell = &mut self.cells[gateway];
                if cell.admit(amount(cost), now_ms).is_ok() {
                    self.running[gateway].push((cell.lease, cost, actual));
                }
            }
            Step::Settle { gateway } => {
                if let Some((lease, cost, actual)) = self.running[gateway].pop() {
                    let _ = self.cells[gateway].settle(lease, amount(cost), amount(actual));
                }
            }
            Step::Ask { gateway, need } => {
                self.messages.push((
                    gateway,
                    self.cells[gateway].report(amount(need), amount(need)),
                ));
            }
            Step::Deliver { message, keep } if !self.messages.is_empty() => {
                let place = message % self.messages.len();
                let (gateway, report) = self.messages[place].clone();
                if !keep {
                    self.messages.swap_remove(place);
                }
                let answer = self.bench.report(INSTANCES[gateway], &report);
                self.answers[gateway].push(answer.expect("an honest report is possible"));
            }
            Step::Hear {
                gateway,
                answer,
                keep,
            } if !self.answers[gateway].is_empty() => {
                let place = answer % self.answers[gateway].len();
                let answer = self.answers[gateway][place].clone();
                if !keep {
                    self.answers[gateway].swap_remove(place);
                }
                let reception = Reception {
                    sent_at_ms: now_ms,
                    now_ms,
                    sent_mark: None,
                };
                self.cells[gateway].apply(&answer, reception);
            }
            Step::Age {
                gateway,
                unused,
                ms,
            } => {
                self.bench.later(ms);
                let number = self.draw();
                let timing = self.bench.registry.settings.timing;
                let now_ms = self.clock();
                self.cells[gateway].age(now_ms, unused, &timing, number);
            }
            Step::Lose { gateway } => {
                let number = self.draw();
                self.cells[gateway] = Cell::fresh(self.bench.account(), number);
            }
            Step::TopUp { units, lives_ms } => {
                let expires_at = lives_ms.map(|ms| self.bench.now.plus_ms(ms));
                self.bench
                    .top_up_with(units, |lot| lot.expires_at = expires_at);
            }
            Step::Void { lot } => {
                let lots = self.bench.book.lots.len();
                let id = self.bench.book.lots[lot % lots].id;
                let _ = self.bench.run(|book, journal, context| {
                    creditgate_ledger::top_up::void(book, journal, context, id, "chance")
                });
            }
            Step::Silence { gateway } => {
                let instance = INSTANCES[gateway];
                self.bench.run(|book, journal, context| {
                    for lease in 0..book.leases.len() {
                        if book.leases[lease].instance == instance {
                            quarantine::set_aside(
                                book,
                                journal,
                                context,
                                0,
                                lease,
                                QuarantineCause::InstanceSilent,
                            );
                        }
                    }
                });
            }
            Step::Decide { release } => {
                let kind = if release {
                    ResolutionKind::Release
                } else {
                    ResolutionKind::Consume
                };
                let aside = self
                    .bench
                    .book
                    .leases
                    .iter()
                    .find(|lease| lease.state == LeaseState::Quarantined);
                if let Some(id) = aside.map(|lease| lease.id) {
                    let decided = self.bench.run(|book, journal, context| {
                        quarantine::resolve(book, journal, context, id, kind, "chance")
                    });
                    decided.unwrap();
                }
            }
            Step::Deliver { .. } | Step::Hear { .. } => {}
        }
    }

    /// The present state of what cells hold is within what is lent.
    fn check(&self) {
        for (gateway, cell) in self.cells.iter().enumerate() {
            let lease =
                self.bench.book.leases.iter().find(|lease| {
                    lease.instance == INSTANCES[gateway] && lease.number == cell.lease
                });
            let counters = lease.map(|lease| lease.counters).unwrap_or_default();
            let lent = counters.granted.saturating_sub(counters.returned);
            let out = cell.counters.granted.saturating_sub(cell.counters.returned);
            assert!(out <= lent, "{out:?} of {lent:?}: {cell:?} {lease:?}");
        }
        assert_eq!(self.bench.balance(LedgerAccount::Debt), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_reports_keeps_the_book_sound(steps in proptest::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.play(step);
            world.check();
        }
    }

    #[test]
    fn a_report_applied_again_at_once_moves_nothing(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            world.play(step);
        }
        for (cell, instance) in world.cells.iter().zip(INSTANCES) {
            let report = cell.report(amount(0), amount(0));
            world.bench.report(instance, &report).unwrap();
            let entries = world.bench.journal.entries.len();
            world.bench.report(instance, &report).unwrap();
            prop_assert_eq!(&world.bench.journal.entries[entries..], &[]);
        }
    }
}
