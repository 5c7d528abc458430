//! Claims, subscriptions, and credit grants with what became of them.

use creditgate_ledger::claim::Claim;
use creditgate_ledger::grant::{Application, Grant};
use creditgate_ledger::id::{ApplicationId, ClaimId, GrantId, SubscriptionId};
use creditgate_ledger::subscription::Subscription;

use super::names::Kind;
use super::reads::rising;
use super::tables::Tables;
use crate::storage::Target;
use crate::storage::{
    ApplicationFilter, ClaimFilter, GrantFilter, Page, PageRequest, SubscriptionFilter,
};

impl Tables {
    pub(super) fn claim(&self, id: ClaimId) -> Option<Claim> {
        self.claims.get(&id).map(|(_, claim)| claim.clone())
    }

    pub(super) fn claims(&self, filter: ClaimFilter, page: PageRequest) -> Page<Claim> {
        let claims = self
            .claims
            .values()
            .map(|(_, claim)| claim)
            .filter(|claim| is_after(claim.id.0, page))
            .filter(|claim| filter.wallet.is_none_or(|of| of == claim.wallet))
            .filter(|claim| !filter.open_only || claim.is_open())
            .cloned();
        rising(claims, page, |claim| claim.id.0)
    }

    pub(super) fn subscription(&self, target: &Target) -> Option<Subscription> {
        let id = match target {
            Target::Subscription(id) => *id,
            Target::SubscriptionName(name) => {
                SubscriptionId(self.names.find(Kind::Subscription, name)?)
            }
            _ => return None,
        };
        self.subscriptions.get(&id).cloned()
    }

    pub(super) fn subscriptions(
        &self,
        filter: SubscriptionFilter,
        page: PageRequest,
    ) -> Page<Subscription> {
        let subscriptions = self
            .subscriptions
            .values()
            .filter(|row| is_after(row.id.0, page))
            .filter(|row| filter.customer.is_none_or(|of| of == row.customer))
            .filter(|row| filter.plan.is_none_or(|of| of == row.plan))
            .filter(|row| filter.status.is_none_or(|of| of == row.status))
            .cloned();
        rising(subscriptions, page, |row| row.id.0)
    }

    pub(super) fn grant(&self, target: &Target) -> Option<Grant> {
        let id = match target {
            Target::Grant(id) => *id,
            Target::GrantName(name) => GrantId(self.names.find(Kind::Grant, name)?),
            _ => return None,
        };
        self.grants.get(&id).map(|(_, grant)| grant.clone())
    }

    pub(super) fn grants(&self, filter: GrantFilter, page: PageRequest) -> Page<Grant> {
        let grants = self
            .grants
            .values()
            .map(|(_, grant)| grant)
            .filter(|row| is_after(row.id.0, page))
            .filter(|row| filter.scope.is_none_or(|of| of == row.scope))
            .filter(|row| filter.with_archived || row.archived_at.is_none())
            .cloned();
        rising(grants, page, |row| row.id.0)
    }

    pub(super) fn application(&self, id: ApplicationId) -> Option<Application> {
        self.applications.get(&id).cloned()
    }

    pub(super) fn applications(
        &self,
        filter: ApplicationFilter,
        page: PageRequest,
    ) -> Page<Application> {
        let applications = self
            .applications
            .values()
            .rev()
            .filter(|row| page.cursor.is_none_or(|cursor| row.id.0 < cursor.0))
            .filter(|row| filter.customer.is_none_or(|of| of == row.customer))
            .filter(|row| {
                filter
                    .subscription
                    .is_none_or(|of| row.subscription == Some(of))
            })
            .filter(|row| filter.grant.is_none_or(|of| of == row.grant))
            .filter(|row| filter.state.is_none_or(|of| of == row.state))
            .cloned();
        rising(applications, page, |row| row.id.0)
    }
}

fn is_after(id: u128, page: PageRequest) -> bool {
    page.cursor.is_none_or(|cursor| id > cursor.0)
}
