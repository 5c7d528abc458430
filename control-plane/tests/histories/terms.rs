//! Acts on plans, subscriptions and grants, by name.

use creditgate::command::{Command, GrantCommand, GrantOwner, Subscribe};
use creditgate::storage::Target;
use creditgate_core::amount::Currency;
use creditgate_ledger::grant::{Cadence, GrantCadence, GrantExpiry, NewGrant, NewRollover, Period};
use creditgate_ledger::plan::NewPlan;
use creditgate_ledger::subscription::{CancelAt, GrantedCredit};
use proptest::prelude::*;

use crate::history::CUSTOMERS;

#[derive(Debug, Clone)]
pub(crate) enum TermsAct {
    Plan {
        plan: u8,
    },
    ArchivePlan {
        plan: u8,
    },
    Subscribe {
        subscription: u8,
        plan: u8,
    },
    Pause {
        subscription: u8,
        paused: bool,
    },
    Cancel {
        subscription: u8,
        now: bool,
        void: bool,
    },
    Grant {
        grant: u8,
        owner: u8,
        recurring: bool,
        lives: Option<u32>,
        rolls: bool,
    },
    Archive {
        grant: u8,
    },
}

pub(crate) fn terms_act() -> impl Strategy<Value = TermsAct> {
    let some = || 0_u8..4;
    prop_oneof![
        2 => some().prop_map(|plan| TermsAct::Plan { plan }),
        1 => some().prop_map(|plan| TermsAct::ArchivePlan { plan }),
        4 => (some(), some()).prop_map(|(subscription, plan)| TermsAct::Subscribe { subscription, plan }),
        1 => (some(), any::<bool>()).prop_map(|(subscription, paused)| TermsAct::Pause { subscription, paused }),
        1 => (some(), any::<bool>(), any::<bool>())
            .prop_map(|(subscription, now, void)| TermsAct::Cancel { subscription, now, void }),
        5 => (some(), 0_u8..9, any::<bool>(), proptest::option::of(1_u32..3), any::<bool>())
            .prop_map(|(grant, owner, recurring, lives, rolls)| TermsAct::Grant { grant, owner, recurring, lives, rolls }),
        1 => some().prop_map(|grant| TermsAct::Archive { grant }),
    ]
}

fn plan_named(plan: u8) -> String {
    format!("plan {plan}")
}

fn subscription_named(subscription: u8) -> Target {
    Target::SubscriptionName(format!("subscription {subscription}"))
}

fn customer(of: u8) -> Target {
    Target::ExternalId(CUSTOMERS[usize::from(of) % CUSTOMERS.len()].to_owned())
}

const DAILY: Cadence = Cadence {
    period: Period::Daily,
    count: 1,
};

pub(crate) fn terms_command(act: TermsAct) -> Command {
    let command = match act {
        TermsAct::Plan { plan } => GrantCommand::CreatePlan(Box::new(NewPlan {
            external_id: plan_named(plan),
            name: "A plan".to_owned(),
            description: None,
            metadata: Default::default(),
        })),
        TermsAct::ArchivePlan { plan } => GrantCommand::ArchivePlan {
            plan: plan_named(plan),
        },
        TermsAct::Subscribe { subscription, plan } => {
            GrantCommand::Subscribe(Box::new(Subscribe {
                customer: customer(subscription),
                plan: plan_named(plan),
                external_id: Some(format!("subscription {subscription}")),
                billing: DAILY,
                started_at: None,
                metadata: Default::default(),
            }))
        }
        TermsAct::Pause {
            subscription,
            paused,
        } => {
            let (subscription, reason) = (subscription_named(subscription), None);
            if paused {
                GrantCommand::Pause {
                    subscription,
                    reason,
                }
            } else {
                GrantCommand::Resume {
                    subscription,
                    reason,
                }
            }
        }
        TermsAct::Cancel {
            subscription,
            now,
            void,
        } => GrantCommand::Cancel {
            subscription: subscription_named(subscription),
            at: if now {
                CancelAt::Now
            } else {
                CancelAt::PeriodEnd
            },
            granted_credit: if void {
                GrantedCredit::Void
            } else {
                GrantedCredit::Keep
            },
            reason: None,
        },
        TermsAct::Grant { .. } => return grant_command(act),
        TermsAct::Archive { grant } => GrantCommand::Archive {
            grant: format!("grant {grant}"),
        },
    };
    Command::Grant(command)
}

fn grant_command(act: TermsAct) -> Command {
    let TermsAct::Grant {
        grant,
        owner,
        recurring,
        lives,
        rolls,
    } = act
    else {
        panic!("{act:?}")
    };
    let owner = match owner {
        0..3 => GrantOwner::Plan(plan_named(owner)),
        3..6 => GrantOwner::Subscription(subscription_named(owner % 3)),
        _ => GrantOwner::Customer(customer(owner)),
    };
    let lives = lives.map(|count| Cadence { count, ..DAILY });
    let new = NewGrant {
        external_id: Some(format!("grant {grant}")),
        name: "A grant".to_owned(),
        credits: "12".to_owned(),
        currency: Currency::new("usd").unwrap(),
        cadence: if recurring {
            GrantCadence::Recurring(DAILY)
        } else {
            GrantCadence::Onetime
        },
        anchor: None,
        expiry: lives.map_or(GrantExpiry::Never, GrantExpiry::Duration),
        rollover: rolls.then(|| NewRollover {
            minimum: Some("2".to_owned()),
            maximum: "20".to_owned(),
        }),
        priority: None,
        is_promotional: true,
        metadata: Default::default(),
    };
    Command::Grant(GrantCommand::Create {
        owner,
        new: Box::new(new),
    })
}
