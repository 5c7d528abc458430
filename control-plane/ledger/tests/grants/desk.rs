//! A bench with plans, and grants in few words.

use std::collections::BTreeMap;

use creditgate_core::amount::{Currency, Scale};
use creditgate_ledger::grant::{
    self, Application, ApplicationState, Cadence, Grant, GrantCadence, GrantExpiry, NewGrant,
    NewRollover, Period,
};
use creditgate_ledger::id::{GrantId, PlanId, SubscriptionId};
use creditgate_ledger::plan::{self, NewPlan};
use creditgate_ledger::subscription::{self, NewSubscription, Subscription};
use creditgate_ledger::{Lot, Refusal, Timestamp};

use crate::common::Bench;

pub(crate) const MONTH: Cadence = Cadence {
    period: Period::Monthly,
    count: 1,
};

pub(crate) const DAY: Cadence = Cadence {
    period: Period::Daily,
    count: 1,
};

pub(crate) fn days(count: u32) -> Cadence {
    Cadence { count, ..DAY }
}

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// A bench whose clock stands at `now`, of a customer in `zone` with an empty wallet.
pub(crate) fn bench(now: &str, zone: &str) -> Bench {
    let mut bench = Bench::new();
    bench.book.customer.time_zone = zone.to_owned();
    bench.now = at(now);
    bench
}

/// So many credits a month, for ever.
pub(crate) fn monthly(credits: &str) -> NewGrant {
    NewGrant {
        external_id: None,
        name: format!("{credits} a month"),
        credits: credits.to_owned(),
        currency: Currency::new("usd").unwrap(),
        cadence: GrantCadence::Recurring(MONTH),
        anchor: None,
        expiry: GrantExpiry::Never,
        rollover: None,
        priority: None,
        is_promotional: false,
        metadata: BTreeMap::new(),
    }
}

pub(crate) fn once(credits: &str) -> NewGrant {
    NewGrant {
        cadence: GrantCadence::Onetime,
        ..monthly(credits)
    }
}

pub(crate) fn rollover(minimum: &str, maximum: &str) -> Option<NewRollover> {
    Some(NewRollover {
        minimum: Some(minimum.to_owned()),
        maximum: maximum.to_owned(),
    })
}

impl Bench {
    /// A plan with these grants.
    pub(crate) fn plan(&mut self, name: &str, grants: Vec<NewGrant>) -> PlanId {
        self.ids.0 += 1;
        let new = NewPlan {
            external_id: name.to_owned(),
            name: name.to_owned(),
            description: None,
            metadata: BTreeMap::new(),
        };
        let plan = plan::create(&self.registry, PlanId(self.ids.0), self.now, new).unwrap();
        self.registry.plans.push(plan.clone());
        for new in grants {
            self.plan_grant(plan.id, new).unwrap();
        }
        plan.id
    }

    pub(crate) fn plan_grant(&mut self, plan: PlanId, new: NewGrant) -> Result<Grant, Refusal> {
        let plan = self.registry.plan(plan).unwrap().clone();
        let made = self.run(|_, _, context| grant::create_for_plan(context, &plan, new));
        self.registry.plan_grants.extend(made.clone().ok());
        made
    }

    pub(crate) fn try_subscribe(
        &mut self,
        plan: PlanId,
        change: impl FnOnce(&mut NewSubscription),
    ) -> Result<Subscription, Refusal> {
        let mut new = NewSubscription {
            external_id: None,
            plan,
            billing: MONTH,
            started_at: None,
            metadata: BTreeMap::new(),
        };
        change(&mut new);
        self.run(|book, journal, context| subscription::create(book, journal, context, new))
    }

    pub(crate) fn subscribe(&mut self, plan: PlanId) -> SubscriptionId {
        self.try_subscribe(plan, |_| ()).unwrap().id
    }

    pub(crate) fn try_grant(
        &mut self,
        subscription: Option<SubscriptionId>,
        new: NewGrant,
    ) -> Result<Grant, Refusal> {
        self.run(|book, journal, context| grant::create(book, journal, context, subscription, new))
    }

    /// Makes a grant of the customer.
    pub(crate) fn grant(&mut self, new: NewGrant) -> GrantId {
        self.try_grant(None, new).unwrap().id
    }

    /// Lets time pass, and decides nothing but what it brings.
    pub(crate) fn pass(&mut self, to: &str) {
        assert!(at(to) >= self.now, "time does not go back");
        self.now = at(to);
        self.run(|_, _, _| ());
    }

    /// Goes from instant to instant at which something happens by itself, as the job does.
    pub(crate) fn step(&mut self, to: &str) {
        while let Some(next) = creditgate_ledger::expiry::next_instant(&self.book, self.now)
            .filter(|next| *next <= at(to))
        {
            self.now = next;
            self.run(|book, journal, context| {
                for place in 0..book.accounts.len() {
                    creditgate_ledger::expiry::pass(book, journal, context, place);
                }
            });
        }
        self.pass(to);
    }

    /// The applications so far: their numbers, instants and states.
    pub(crate) fn applications(&self) -> Vec<(u32, String, ApplicationState)> {
        let line = |row: &Application| (row.occurrence, day(row.scheduled_for), row.state);
        self.book.applications.iter().map(line).collect()
    }

    /// The lots so far: when they are effective, when they expire, and what is free of them.
    pub(crate) fn lots(&self) -> Vec<(String, String, i64)> {
        let line = |lot: &Lot| {
            let expires_at = lot.expires_at.map_or_else(|| "never".to_owned(), day);
            (day(lot.effective_at), expires_at, lot.free.get())
        };
        self.book.lots.iter().map(line).collect()
    }

    pub(crate) fn free(&self) -> i64 {
        let account = self.account();
        creditgate_ledger::lend::free(&self.book, account, self.now).get()
    }
}

/// The day, and the time if it is not midnight in UTC.
pub(crate) fn day(instant: Timestamp) -> String {
    let text = instant.to_string();
    match text.strip_suffix("T00:00:00.000Z") {
        Some(day) => day.to_owned(),
        None => text.replace(".000Z", "Z"),
    }
}

/// Digits of the bench's wallet.
pub(crate) fn whole() -> Scale {
    Scale::new(0).unwrap()
}
