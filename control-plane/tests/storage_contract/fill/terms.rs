//! Plans, subscriptions, credit grants and what became of them.

use std::sync::Arc;

use creditgate_core::rate_card::{Discount, PricingDocument};
use creditgate_ledger::grant::{
    Application, ApplicationState, Cadence, Grant, GrantCadence, GrantExpiry, GrantScope, Period,
    Rollover, Schedule,
};
use creditgate_ledger::id::{
    ApplicationId, CustomerId, GrantId, LotId, PlanId, SubscriptionId, WalletId,
};
use creditgate_ledger::plan::Plan;
use creditgate_ledger::pricing::PricingVersion;
use creditgate_ledger::subscription::{Ending, GrantedCredit, Subscription, SubscriptionStatus};

use super::Fill;

impl Fill {
    pub(crate) fn plan(&mut self) -> Plan {
        Plan {
            id: PlanId(self.id()),
            external_id: self.name(),
            name: self.text(),
            description: self.maybe(Self::text),
            metadata: self.metadata(),
            created_at: self.time(),
            archived_at: self.maybe(Self::time),
        }
    }

    pub(crate) fn pricing(&mut self) -> PricingVersion {
        let document = PricingDocument {
            discount_ppm: Discount::new(self.count() % 1_000_000).unwrap(),
            rate_cards: Vec::new(),
        };
        PricingVersion {
            version: self.count(),
            document: Arc::new(document),
            changed_at: self.time(),
        }
    }

    fn cadence(&mut self) -> Cadence {
        Cadence {
            period: self.pick(&[Period::Daily, Period::HalfYearly, Period::Annual]),
            count: self.count(),
        }
    }

    pub(crate) fn subscription(&mut self, customer: CustomerId, plan: PlanId) -> Subscription {
        Subscription {
            id: SubscriptionId(self.id()),
            external_id: self.maybe(Self::name),
            customer,
            plan,
            status: self.pick(&[
                SubscriptionStatus::Active,
                SubscriptionStatus::Paused,
                SubscriptionStatus::Cancelled,
            ]),
            billing: self.cadence(),
            started_at: self.time(),
            paused_at: self.maybe(Self::time),
            ends_at: self.maybe(Self::time),
            ending: self.maybe(|fill| Ending {
                granted_credit: fill.pick(&[GrantedCredit::Keep, GrantedCredit::Void]),
                reason: fill.maybe(Self::text),
                actor: fill.text(),
            }),
            cancelled_at: self.maybe(Self::time),
            metadata: self.metadata(),
            created_at: self.time(),
        }
    }

    pub(crate) fn grant(&mut self, scope: GrantScope) -> Grant {
        let (cadence, lifetime) = (self.cadence(), self.cadence());
        Grant {
            id: GrantId(self.id()),
            external_id: self.maybe(Self::name),
            name: self.text(),
            scope,
            credits: self.credits(),
            currency: self.currency(),
            cadence: self.pick(&[GrantCadence::Onetime, GrantCadence::Recurring(cadence)]),
            anchor: self.maybe(Self::time),
            expiry: self.pick(&[
                GrantExpiry::Never,
                GrantExpiry::Duration(lifetime),
                GrantExpiry::BillingCycle,
            ]),
            rollover: self.maybe(|fill| Rollover {
                minimum: fill.credits(),
                maximum: fill.credits(),
            }),
            priority: self.maybe(Self::priority),
            is_promotional: self.is(),
            metadata: self.metadata(),
            created_at: self.time(),
            archived_at: if self.is() { Some(self.time()) } else { None },
        }
    }

    pub(crate) fn schedule(
        &mut self,
        grant: GrantId,
        subscription: Option<SubscriptionId>,
    ) -> Schedule {
        Schedule {
            grant,
            subscription,
            began_at: self.time(),
            offset: self.count(),
            occurrence: self.count(),
            next_at: if self.is() { Some(self.time()) } else { None },
        }
    }

    pub(crate) fn application(
        &mut self,
        customer: CustomerId,
        schedule: &Schedule,
        (wallet, lot): (WalletId, LotId),
    ) -> Application {
        Application {
            id: ApplicationId(self.id()),
            grant: schedule.grant,
            subscription: schedule.subscription,
            customer,
            occurrence: self.count(),
            scheduled_for: self.time(),
            state: self.pick(&[
                ApplicationState::Applied,
                ApplicationState::Skipped,
                ApplicationState::Failed,
            ]),
            cause: self.maybe(Self::text),
            attempts: self.count(),
            retry_at: if self.is() { Some(self.time()) } else { None },
            wallet: self.maybe(|_| wallet),
            lot: self.maybe(|_| lot),
            amount: self.amount(),
            rolled_over: self.amount(),
            carried: self.is(),
            decided_at: self.time(),
        }
    }
}
