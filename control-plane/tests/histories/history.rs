//! A random history: acts that are turned into commands against what there is at that moment,
//! carried out one by one, and remembered as commands with their instants.

use creditgate::command::{Command, WalletCommand, Work};
use creditgate::storage::memory::MemoryStorage;
use creditgate::storage::{ChangeSet, LoadPlan, Reader, Storage, StorageError, Target};
use creditgate_core::amount::Amount;
use creditgate_core::id::InstanceId;
use creditgate_core::key::credential_hash;
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{PreviousReport, Report};
use creditgate_ledger::customer::{CustomerChange, NewCustomer};
use creditgate_ledger::registry::Settings;
use creditgate_ledger::{
    Book, CustomerStatus, Ids, Lease, LeaseState, QuarantineCause, ResolutionKind, Timestamp,
};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::credit::{CreditAct, credit_act, credit_command};
use crate::terms::{TermsAct, terms_act, terms_command};

/// Ids in the order in which they are drawn.
pub(crate) struct Counter(pub(crate) u128);

impl Ids for Counter {
    fn next(&mut self) -> u128 {
        self.0 += 1;
        self.0
    }
}

/// Commands that come at one instant, and so may be in one batch.
pub(crate) struct Moment {
    pub(crate) at: Timestamp,
    pub(crate) commands: Vec<Command>,
}

#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Time passes; the jobs look after the customers.
    Pass {
        ms: u64,
    },
    /// Something about the wallet of this number; see [`crate::credit`].
    Credit {
        wallet: u8,
        act: CreditAct,
    },
    Void {
        lot: Index,
    },
    Pay {
        lot: Index,
    },
    Rank {
        lot: Index,
        priority: Option<i32>,
    },
    /// Something about plans, subscriptions and grants; see [`crate::terms`].
    Terms(TermsAct),
    Suspend {
        of: Index,
        suspended: bool,
    },
    Key {
        of: Index,
        hash: u8,
    },
    Revoke {
        key: Index,
    },
    Move {
        key: Index,
        to: Index,
    },
    /// A gateway reports what it used of a lease and gives some back, and asks for more.
    Report {
        account: Index,
        instance: u128,
        uses: i64,
        returns: i64,
        need: i64,
        way: Way,
    },
    Resolve {
        hash: u8,
        instance: u128,
        need: i64,
    },
    /// An impossible report: the instance is frozen.
    Lie {
        account: Index,
        instance: u128,
    },
    Silence {
        of: Index,
        instance: u128,
    },
    Turn {
        of: Index,
        instance: u128,
    },
    Decide {
        kind: ResolutionKind,
    },
    /// One of the last commands comes again.
    Again {
        back: usize,
    },
}

/// How a gateway reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Plain,
    /// It turns its lease.
    Turns,
    /// What the turned lease holds will never be settled.
    Dies,
    /// It used more than was lent.
    Overruns,
    /// It speaks of a lease that was decided over.
    Late,
}

pub(crate) fn act() -> impl Strategy<Value = Act> {
    let index = any::<Index>;
    let instance = || 1_u128..3;
    let priority = || proptest::option::of(-2_i32..3);
    let kinds = vec![ResolutionKind::Release, ResolutionKind::Consume];
    prop_oneof![
        4 => prop_oneof![3 => 1_u64..8_000, 1 => 1_u64..200_000_000].prop_map(|ms| Act::Pass { ms }),
        12 => (0_u8..6, credit_act()).prop_map(|(wallet, act)| Act::Credit { wallet, act }),
        2 => index().prop_map(|lot| Act::Void { lot }),
        1 => index().prop_map(|lot| Act::Pay { lot }),
        1 => (index(), priority()).prop_map(|(lot, priority)| Act::Rank { lot, priority }),
        5 => terms_act().prop_map(Act::Terms),
        1 => (index(), any::<bool>()).prop_map(|(of, suspended)| Act::Suspend { of, suspended }),
        1 => (index(), 0_u8..4).prop_map(|(of, hash)| Act::Key { of, hash }),
        1 => index().prop_map(|key| Act::Revoke { key }),
        1 => (index(), index()).prop_map(|(key, to)| Act::Move { key, to }),
        16 => (index(), instance(), 0_i64..40, 0_i64..40, 0_i64..60, way()).prop_map(
            |(account, instance, uses, returns, need, way)| Act::Report { account, instance, uses, returns, need, way }
        ),
        3 => (0_u8..4, instance(), 0_i64..30).prop_map(|(hash, instance, need)| Act::Resolve { hash, instance, need }),
        1 => (index(), instance()).prop_map(|(account, instance)| Act::Lie { account, instance }),
        1 => (index(), instance()).prop_map(|(of, instance)| Act::Silence { of, instance }),
        1 => (index(), instance()).prop_map(|(of, instance)| Act::Turn { of, instance }),
        3 => (1_usize..6).prop_map(|back| Act::Again { back }),
        1 => proptest::sample::select(kinds).prop_map(|kind| Act::Decide { kind }),
    ]
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        16 => Just(Way::Plain),
        2 => Just(Way::Turns),
        1 => Just(Way::Dies),
        1 => Just(Way::Overruns),
        1 => Just(Way::Late),
    ]
}

pub(crate) const CUSTOMERS: [&str; 3] = ["ada", "bob", "cyd"];

fn hash(of: u8) -> creditgate_core::key::CredentialHash {
    credential_hash(&format!("key {of}"))
}

/// Carries out acts one by one on an empty storage.
pub(crate) struct Recorder {
    pub(crate) storage: MemoryStorage,
    pub(crate) ids: Counter,
    pub(crate) moments: Vec<Moment>,
    drawn: u64,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        let mut recorder = Self {
            storage: MemoryStorage::new(7),
            ids: Counter(0x100),
            moments: vec![Moment {
                at: Timestamp(1_000_000_000_000),
                commands: Vec::new(),
            }],
            drawn: 0,
        };
        recorder.furnish();
        recorder
    }

    fn furnish(&mut self) {
        let settings = Settings {
            overrun_max: Amount::new(50_000_000_000),
            ..Settings::default()
        };
        self.carry_out(Command::PutSettings(settings));
        for name in CUSTOMERS {
            self.carry_out(Command::CreateCustomer(NewCustomer {
                external_id: name.to_owned(),
                name: None,
                time_zone: "UTC".to_owned(),
                metadata: Default::default(),
            }));
        }
        for wallet in 0..3 {
            self.carry_out(credit_command(wallet, CreditAct::plain(), self.now()));
        }
        let document =
            serde_json::json!({ "name": "card", "currency": "usd", "default": { "price": "1" } });
        self.carry_out(Command::PutRateCard {
            name: "card".to_owned(),
            document: serde_json::from_value(document).map(Box::new).unwrap(),
            effective_at: None,
        });
        self.carry_out(Command::CreateGateway {
            external_id: "edge".to_owned(),
            name: None,
            rate_card: "card".to_owned(),
        });
        for instance in 1..3 {
            let gateway = self.storage.registry().unwrap().gateways[0].id;
            self.carry_out(Command::SeeInstance {
                gateway,
                instance: InstanceId(instance),
            });
        }
    }

    fn now(&self) -> Timestamp {
        self.moments.last().unwrap().at
    }

    pub(crate) fn books(&self) -> Vec<Book> {
        let named = |name: &&str| Target::ExternalId((*name).to_owned());
        let book = |target| self.storage.book(&target).unwrap().unwrap();
        CUSTOMERS.iter().map(named).map(book).collect()
    }

    fn carry_out(&mut self, command: Command) {
        let at = self.now();
        let done = batch(
            &mut self.storage,
            &mut self.ids,
            at,
            std::slice::from_ref(&command),
        );
        drop(done);
        self.moments.last_mut().unwrap().commands.push(command);
    }

    pub(crate) fn act(&mut self, act: Act) {
        if let Act::Pass { ms } = act {
            let at = self.now().plus_ms(ms);
            let commands = Vec::new();
            self.moments.push(Moment { at, commands });
            for name in CUSTOMERS {
                let customer = Target::ExternalId(name.to_owned());
                self.carry_out(Command::PassTime { customer });
            }
            return;
        }
        let command = self.command(act);
        command
            .into_iter()
            .for_each(|command| self.carry_out(command));
    }

    fn command(&mut self, act: Act) -> Option<Command> {
        let books = self.books();
        let customer = |of: Index| Target::ExternalId((*of.get(&CUSTOMERS)).to_owned());
        let accounts: Vec<_> = books.iter().flat_map(|book| &book.accounts).collect();
        let lots: Vec<_> = books.iter().flat_map(|book| &book.lots).collect();
        let keys: Vec<_> = books.iter().flat_map(|book| &book.keys).collect();
        let now = self.now();
        Some(match act {
            Act::Pass { .. } => return None,
            Act::Again { back } => {
                let commands: Vec<_> = self.moments.iter().flat_map(|m| &m.commands).collect();
                (*commands.get(commands.len().checked_sub(back)?)?).clone()
            }
            Act::Credit { wallet, act } => credit_command(wallet, act, now),
            Act::Terms(act) => terms_command(act),
            Act::Void { lot } if !lots.is_empty() => Command::from(WalletCommand::VoidLot {
                lot: Target::Lot(lot.get(&lots).id),
                reason: "chance".to_owned(),
            }),
            Act::Pay { lot } if !lots.is_empty() => Command::from(WalletCommand::PayLot {
                lot: Target::Lot(lot.get(&lots).id),
                reference: Some("wire 7".to_owned()),
                reason: None,
            }),
            Act::Rank { lot, priority } if !lots.is_empty() => {
                Command::from(WalletCommand::RankLot {
                    lot: Target::Lot(lot.get(&lots).id),
                    priority,
                    reason: None,
                })
            }
            Act::Void { .. } | Act::Pay { .. } | Act::Rank { .. } => return None,
            Act::Suspend { of, suspended } => Command::ChangeCustomer {
                reason: None,
                customer: customer(of),
                change: CustomerChange {
                    status: Some(if suspended {
                        CustomerStatus::Suspended
                    } else {
                        CustomerStatus::Active
                    }),
                    ..CustomerChange::default()
                },
            },
            Act::Key { of, hash: of_key } => Command::AddKey {
                customer: customer(of),
                name: None,
                hash: hash(of_key),
            },
            Act::Revoke { key } if !keys.is_empty() => Command::RevokeKey {
                key: key.get(&keys).id,
                at: None,
            },
            Act::Move { key, to } if !keys.is_empty() => Command::MoveKey {
                key: key.get(&keys).id,
                customer: customer(to),
            },
            Act::Revoke { .. } | Act::Move { .. } => return None,
            Act::Report {
                account,
                instance,
                uses,
                returns,
                need,
                way,
            } => {
                let account = account.get(&accounts).id;
                let leases: Vec<_> = books.iter().flat_map(|book| &book.leases).collect();
                let mut own = leases.into_iter().filter(|lease| {
                    let is_wanted = if way == Way::Late {
                        lease.resolution.is_some()
                    } else {
                        lease.newest
                    };
                    lease.account == account && lease.instance == InstanceId(instance) && is_wanted
                });
                let report = self.report(account, own.next(), (uses, returns, need), way);
                Command::Report {
                    instance: InstanceId(instance),
                    report,
                }
            }
            Act::Resolve {
                hash: of_key,
                instance,
                need,
            } => Command::Resolve {
                gateway: self.storage.registry().unwrap().gateways[0].id,
                instance: InstanceId(instance),
                credential: hash(of_key),
                customer: None,
                lease: self.number(),
                need: units(need),
                rule: None,
            },
            Act::Lie { account, instance } => {
                let account = account.get(&accounts).id;
                let leases: Vec<_> = books.iter().flat_map(|book| &book.leases).collect();
                let lease = leases.into_iter().find(|lease| {
                    lease.account == account
                        && lease.instance == InstanceId(instance)
                        && lease.newest
                })?;
                let mut report = question(account, lease.number, lease.counters, 0);
                report.counters.granted = units(1_000_000);
                Command::Report {
                    instance: InstanceId(instance),
                    report,
                }
            }
            Act::Silence { of, instance } => Command::Quarantine {
                customer: customer(of),
                instance: InstanceId(instance),
                cause: QuarantineCause::InstanceSilent,
            },
            Act::Turn { of, instance } => Command::TurnLeases {
                customer: customer(of),
                instance: InstanceId(instance),
            },
            Act::Decide { kind } => {
                let mut leases = books.iter().flat_map(|book| &book.leases);
                let aside = leases.find(|lease| lease.state == LeaseState::Quarantined)?;
                Command::ResolveLease {
                    lease: aside.id,
                    kind,
                    reason: "chance".to_owned(),
                }
            }
        })
    }

    /// What a gateway says that knows of its lease what the control plane knows.
    fn report(
        &mut self,
        account: creditgate_ledger::id::AccountId,
        lease: Option<&Lease>,
        (uses, returns, need): (i64, i64, i64),
        way: Way,
    ) -> Report {
        let usable = |lease: &&Lease| {
            way == Way::Late || matches!(lease.state, LeaseState::Open | LeaseState::Draining)
        };
        let Some(lease) = lease.filter(usable) else {
            return question(account, self.number(), Counters::default(), need);
        };
        let mut counters = lease.counters;
        let held = counters.held();
        counters.settled = counters.settled.saturating_add(held);
        let most = match way {
            Way::Overruns => counters.remaining().saturating_add(units(5)),
            _ => counters.remaining(),
        };
        let uses = units(uses).min(most).max(Amount::ZERO);
        counters.reserved = counters.reserved.saturating_add(uses);
        let turns = matches!(way, Way::Turns | Way::Dies);
        if turns || lease.state == LeaseState::Draining {
            if way != Way::Dies {
                counters.settled = counters.settled.saturating_add(uses);
            }
            let back = counters.remaining().max(Amount::ZERO);
            counters.returned = counters.returned.saturating_add(back);
            let previous = PreviousReport {
                lease: lease.number,
                counters,
                dead: way == Way::Dies,
            };
            return Report {
                previous: Some(previous),
                ..question(account, self.number(), Counters::default(), need)
            };
        }
        if way == Way::Late {
            counters.settled = counters.settled.saturating_add(uses);
        }
        let returns = units(returns).min(counters.remaining()).max(Amount::ZERO);
        counters.returned = counters.returned.saturating_add(returns);
        question(account, lease.number, counters, need)
    }

    fn number(&mut self) -> LeaseNumber {
        self.drawn += 1;
        LeaseNumber(self.drawn)
    }
}

fn units(credits: i64) -> Amount {
    Amount::new(credits * 1_000_000_000)
}

fn question(
    account: creditgate_ledger::id::AccountId,
    lease: LeaseNumber,
    counters: Counters,
    need: i64,
) -> Report {
    Report {
        account,
        lease,
        counters,
        previous: None,
        need: units(need),
        wanted: units(need),
    }
}

/// Carries out commands as the writer's thread does: one load, one commit; a batch that fails
/// for one command's sake is taken apart. Answers what each came to, and what was written.
pub(crate) fn batch(
    storage: &mut impl Storage,
    ids: &mut Counter,
    at: Timestamp,
    commands: &[Command],
) -> (Vec<String>, Vec<ChangeSet>) {
    let drawn = ids.0;
    let mut plan = LoadPlan::default();
    for command in commands {
        plan.targets.extend(command.targets());
        plan.reported.extend(command.reported());
    }
    let loaded = storage.load(&plan).unwrap();
    let mut work = Work::new(loaded, at, ids);
    let mut answers = Vec::new();
    for command in commands {
        let decided = work.decide("key_of_tests", command.clone());
        if let Ok(outcome) = &decided {
            work.audit("key_of_tests", command, outcome);
        }
        answers.push(format!("{decided:?}"));
    }
    let changes = work.into_changes();
    match storage.commit(&changes) {
        Ok(_) => (answers, vec![changes]),
        Err(StorageError::Conflict(problem)) => {
            ids.0 = drawn;
            if commands.len() == 1 {
                return (vec![problem], Vec::new());
            }
            let (mut answers, mut changes) = (Vec::new(), Vec::new());
            for command in commands {
                let alone = batch(storage, ids, at, std::slice::from_ref(command));
                answers.extend(alone.0);
                changes.extend(alone.1);
            }
            (answers, changes)
        }
        Err(error) => panic!("{error}"),
    }
}
