//! Plans and their grants are the installation's; subscriptions and other grants are in books.

use creditgate_ledger::grant::{self, Grant, NewGrant};
use creditgate_ledger::id::{PlanId, SubscriptionId};
use creditgate_ledger::plan::{self, Plan, PlanChange};
use creditgate_ledger::subscription::{self, NewSubscription, Subscription};
use creditgate_ledger::{Book, Context, Journal, Refusal};

use super::{Failure, Work, in_field, not_found};
use crate::command::Outcome;
use crate::command::grant::{
    GrantCommand, GrantOutcome, GrantOwner, Subscribe, Subscribed, grant_target,
};
use crate::storage::Target;
use crate::storage::live::{is_live_grant, is_live_subscription};

impl Work<'_> {
    pub(super) fn decide_grant(
        &mut self,
        actor: &str,
        command: GrantCommand,
    ) -> Result<Outcome, Failure> {
        let outcome = match command {
            GrantCommand::CreatePlan(new) => {
                let id = PlanId(self.ids.next());
                let plan = plan::create(&self.registry, id, self.clock, *new)?;
                self.registry_mut().plans.push(plan.clone());
                GrantOutcome::Plan(plan)
            }
            GrantCommand::ChangePlan { plan, change } => self.change_plan(&plan, *change)?,
            GrantCommand::ArchivePlan { plan } => {
                let now = self.clock;
                let plan = self.plan_mut(&plan)?;
                plan.archive(now)?;
                GrantOutcome::Plan(plan.clone())
            }
            GrantCommand::Subscribe(new) => self.subscribe(actor, *new)?,
            GrantCommand::Pause { subscription, .. } => {
                self.on_subscription(actor, &subscription, subscription::pause)?
            }
            GrantCommand::Resume { subscription, .. } => {
                self.on_subscription(actor, &subscription, subscription::resume)?
            }
            GrantCommand::Cancel {
                subscription,
                at,
                granted_credit,
                reason,
            } => {
                let how = (granted_credit, reason);
                self.on_subscription(actor, &subscription, |book, journal, context, id| {
                    subscription::cancel(book, journal, context, id, at, how)
                })?
            }
            GrantCommand::Create { owner, new } => self.create_grant(actor, owner, *new)?,
            GrantCommand::Archive { grant } => self.archive_grant(actor, &grant)?,
            GrantCommand::Retry { application } => {
                let target = Target::Application(application);
                self.on(actor, &target, |book, journal, context, _| {
                    let row = grant::retry(book, journal, context, application)?;
                    let wallet = row.wallet.and_then(|id| book.wallet(id));
                    let account = wallet.and_then(|wallet| book.account(wallet.account));
                    let unit = account.map(|account| (account.currency, account.scale));
                    Ok(GrantOutcome::Application(row, unit))
                })?
            }
        };
        Ok(Outcome::Grant(Box::new(outcome)))
    }

    fn plan_mut(&mut self, named: &str) -> Result<&mut Plan, Refusal> {
        let id = plan_named(self, named)?.id;
        let found = self.registry_mut().plans.iter_mut();
        let mut found = found.filter(|plan| plan.id == id);
        found.next().ok_or_else(|| no_plan(named))
    }

    fn change_plan(&mut self, named: &str, change: PlanChange) -> Result<GrantOutcome, Failure> {
        let plan = self.plan_mut(named)?;
        plan.change(change);
        Ok(GrantOutcome::Plan(plan.clone()))
    }

    fn subscribe(&mut self, actor: &str, new: Subscribe) -> Result<GrantOutcome, Failure> {
        self.place_in(&new.customer, "/customer_id")?;
        let plan = plan_named(self, &new.plan);
        let plan = plan.map_err(|refusal| in_field(refusal, "/plan_id"))?.id;
        let name = new.external_id.clone().map(Target::SubscriptionName);
        self.check_free("subscription", name.as_ref())?;
        let made = NewSubscription {
            external_id: new.external_id,
            plan,
            billing: new.billing,
            started_at: new.started_at,
            metadata: new.metadata,
        };
        let outcome = self.on(actor, &new.customer, |book, journal, context, _| {
            let made = subscription::create(book, journal, context, made)?;
            Ok(subscribed(book, context, made))
        })?;
        self.take_name(&new.customer, name)?;
        Ok(outcome)
    }

    fn on_subscription(
        &mut self,
        actor: &str,
        target: &Target,
        change: impl FnOnce(
            &mut Book,
            &mut Journal,
            &mut Context<'_>,
            SubscriptionId,
        ) -> Result<Subscription, Refusal>,
    ) -> Result<GrantOutcome, Failure> {
        self.on(actor, target, |book, journal, context, _| {
            let id = subscription_of(book, target)?;
            let changed = change(book, journal, context, id)?;
            Ok(subscribed(book, context, changed))
        })
    }

    fn create_grant(
        &mut self,
        actor: &str,
        owner: GrantOwner,
        new: NewGrant,
    ) -> Result<GrantOutcome, Failure> {
        let currency = new.currency;
        let name = new.external_id.clone();
        let is_plans = |grant: &Grant| grant.external_id == name && name.is_some();
        if self.registry.plan_grants.iter().any(is_plans) {
            return Err(taken("credit grant", name.unwrap_or_default()).into());
        }
        let name = name.map(Target::GrantName);
        self.check_free("credit grant", name.as_ref())?;
        let is_subscriptions = matches!(owner, GrantOwner::Subscription(_));
        let (target, field) = match owner {
            GrantOwner::Plan(plan) => {
                let grant = self.create_plan_grant(actor, &plan, new)?;
                self.use_currency(currency);
                return Ok(GrantOutcome::Grant(grant, None));
            }
            GrantOwner::Subscription(target) => (target, "/subscription_id"),
            GrantOwner::Customer(target) => (target, "/customer_id"),
        };
        self.place_in(&target, field)?;
        let made = self.on(actor, &target, |book, journal, context, _| {
            let subscription = is_subscriptions.then(|| subscription_of(book, &target));
            let subscription = subscription.transpose();
            let subscription = subscription.map_err(|refusal| in_field(refusal, field))?;
            let grant = grant::create(book, journal, context, subscription, new)?;
            Ok(GrantOutcome::Grant(grant, Some(book.customer.id)))
        })?;
        self.use_currency(currency);
        self.take_name(&target, name)?;
        Ok(made)
    }

    fn create_plan_grant(
        &mut self,
        actor: &str,
        named: &str,
        new: NewGrant,
    ) -> Result<Grant, Failure> {
        let mut context = Context {
            now: self.clock,
            ids: self.ids,
            registry: &self.registry,
            actor,
        };
        let plan = context.registry.plan_named(named);
        let plan = plan.ok_or_else(|| in_field(no_plan(named), "/plan_id"))?;
        let grant = grant::create_for_plan(&mut context, plan, new)?;
        let grants = &mut self.registry_mut().plan_grants;
        let place = grants.partition_point(|known| known.id < grant.id);
        grants.insert(place, grant.clone());
        Ok(grant)
    }

    fn archive_grant(&mut self, actor: &str, named: &str) -> Result<GrantOutcome, Failure> {
        let target = grant_target(named);
        let is = |grant: &&Grant| is_named(grant, &target);
        if let Some(id) = self
            .registry
            .plan_grants
            .iter()
            .find(is)
            .map(|grant| grant.id)
        {
            let now = self.clock;
            let grant = grant::archive_of_plan(self.registry_mut(), now, id)?;
            return Ok(GrantOutcome::Grant(grant, None));
        }
        self.on(actor, &target, |book, _, context, _| {
            let mut live = book
                .grants
                .iter()
                .filter(|grant| is_live_grant(grant, &book.subscriptions));
            let found = live.find(|grant| is_named(grant, &target));
            // One that exists and is not live is archived already; the book need not hold it.
            let id = found
                .map(|grant| grant.id)
                .ok_or_else(|| Refusal::Conflict {
                    code: "grant_archived",
                    problem: format!("credit grant {named:?} is archived already"),
                })?;
            let grant = grant::archive(book, context, id)?;
            Ok(GrantOutcome::Grant(grant, Some(book.customer.id)))
        })
    }

    /// A name that an object of any customer has can't be given to another.
    fn check_free(&self, what: &'static str, name: Option<&Target>) -> Result<(), Refusal> {
        match name {
            Some(target @ (Target::SubscriptionName(name) | Target::GrantName(name)))
                if self.places.contains_key(target) =>
            {
                Err(taken(what, name.clone()))
            }
            _ => Ok(()),
        }
    }
}

fn plan_named<'w>(work: &'w Work<'_>, named: &str) -> Result<&'w Plan, Refusal> {
    work.registry
        .plan_named(named)
        .ok_or_else(|| no_plan(named))
}

fn no_plan(named: &str) -> Refusal {
    Refusal::NotFound {
        what: "plan",
        id: named.to_owned(),
    }
}

fn taken(what: &'static str, id: String) -> Refusal {
    Refusal::Exists {
        field: "/external_id",
        what,
        id,
    }
}

fn is_named(grant: &Grant, target: &Target) -> bool {
    match target {
        Target::Grant(id) => grant.id == *id,
        Target::GrantName(name) => grant.external_id.as_ref() == Some(name),
        _ => false,
    }
}

/// The id of a subscription that exists. One that is not live is over; the book need not hold it.
fn subscription_of(book: &Book, target: &Target) -> Result<SubscriptionId, Refusal> {
    let is = |row: &&Subscription| match target {
        Target::Subscription(id) => row.id == *id,
        Target::SubscriptionName(name) => row.external_id.as_ref() == Some(name),
        _ => false,
    };
    let mut live = book
        .subscriptions
        .iter()
        .filter(|row| is_live_subscription(row));
    let found = live.find(is).map(|row| row.id);
    found.ok_or_else(|| match not_found(target) {
        Refusal::NotFound { id, .. } => subscription::over(&id),
        other => other,
    })
}

fn subscribed(book: &Book, context: &Context<'_>, subscription: Subscription) -> GrantOutcome {
    GrantOutcome::Subscription(Subscribed {
        subscription,
        time_zone: book.customer.time_zone.clone(),
        at: context.now,
    })
}
