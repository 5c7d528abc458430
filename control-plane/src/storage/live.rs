//! Which rows are live, that is in a book when it is loaded. The others are history.
//!
//! The ledger relies on these rules: a lot that pins refer to, a lease that may still move
//! money, and the newest lease of an instance are always there. SQLite's partial indexes
//! (`migrations/sqlite`) say the same.

use creditgate_ledger::claim::Claim;
use creditgate_ledger::grant::{Application, Grant, GrantScope, Schedule};
use creditgate_ledger::pricing::PricingVersion;
use creditgate_ledger::subscription::{Subscription, SubscriptionStatus};
use creditgate_ledger::{Book, ConsumerKey, Lease, LeaseState, Timestamp};

/// Not closed, or the newest of its instance and account.
pub(crate) fn is_live_lease(lease: &Lease) -> bool {
    lease.state != LeaseState::Closed || lease.newest
}

/// Not revoked.
pub(crate) fn is_live_key(key: &ConsumerKey) -> bool {
    key.revoked_at.is_none()
}

/// Not over.
pub(crate) fn is_live_claim(claim: &Claim) -> bool {
    claim.is_open()
}

/// Not cancelled.
pub(crate) fn is_live_subscription(subscription: &Subscription) -> bool {
    subscription.status != SubscriptionStatus::Cancelled
}

/// Not archived, and not of a subscription that is not live.
pub(crate) fn is_live_grant(grant: &Grant, subscriptions: &[Subscription]) -> bool {
    let goes_on = |id| {
        let mut live = subscriptions.iter().filter(|row| is_live_subscription(row));
        live.any(|row| row.id == id)
    };
    let is_of_live = match grant.scope {
        GrantScope::Subscription(id) => goes_on(id),
        GrantScope::Plan(_) | GrantScope::Customer(_) => true,
    };
    grant.archived_at.is_none() && is_of_live
}

/// There is a next application.
pub(crate) fn is_live_schedule(schedule: &Schedule) -> bool {
    schedule.next_at.is_some()
}

/// It is tried again.
pub(crate) fn is_live_application(application: &Application) -> bool {
    application.is_live()
}

/// The versions of the pricing that came since the book was loaded, oldest first.
pub(crate) fn new_pricings<'a>(
    before: &'a Book,
    after: &'a Book,
) -> impl Iterator<Item = &'a PricingVersion> {
    let all = after.replaced_pricings.iter().chain(&after.pricing);
    all.filter(|row| before.pricing.as_ref() != Some(*row))
}

/// The instants at which time alone changes something for the customer, of live rows.
pub(crate) fn instants(book: &Book) -> impl Iterator<Item = Timestamp> {
    let lots = book.lots.iter().flat_map(|lot| {
        let lapses_at = lot.lapses_at.filter(|_| !lot.unpaid.is_zero());
        [Some(lot.effective_at), lot.expires_at, lapses_at]
    });
    let keys = book.keys.iter().map(|key| key.expires_at);
    let schedules = book.schedules.iter().map(|schedule| schedule.next_at);
    let applications = book.applications.iter().map(|row| row.retry_at);
    let ends = book.subscriptions.iter().map(|row| row.ends_at);
    let wallets = book.wallets.iter();
    let retries = wallets.map(|wallet| wallet.auto_topup_state.retry_at);
    lots.chain(keys)
        .chain(schedules)
        .chain(applications)
        .chain(ends)
        .chain(retries)
        .flatten()
}

/// Brings rows into the order in which they are loaded.
pub(crate) fn sort(book: &mut Book) {
    book.wallets.sort_by_key(|wallet| wallet.id);
    book.accounts.sort_by_key(|account| account.id);
    book.lots.sort_by_key(|lot| lot.id);
    book.leases.sort_by_key(|lease| lease.id);
    book.keys.sort_by_key(|key| key.id);
    book.claims.sort_by_key(|claim| claim.id);
    book.subscriptions
        .sort_by_key(|subscription| subscription.id);
    book.grants.sort_by_key(|grant| grant.id);
    let place = |schedule: &Schedule| (schedule.grant, schedule.subscription);
    book.schedules.sort_by_key(place);
    book.applications.sort_by_key(|application| application.id);
}
