//! Customers: making, suspending, resuming.

use std::collections::BTreeMap;

use creditgate_core::outage::OnUnavailable;
use creditgate_core::protocol::EnforcementMode;

use crate::book::{Book, Customer, CustomerStatus};
use crate::context::Context;
use crate::event::EventKind;
use crate::event::tell::Tale;
use crate::grant;
use crate::id::CustomerId;
use crate::journal::Journal;
use crate::lend;

/// What makes a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCustomer {
    /// The operator's name.
    pub external_id: String,
    /// For people.
    pub name: Option<String>,
    /// IANA time zone, checked by the caller.
    pub time_zone: String,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
}

/// What may be changed of a customer; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CustomerChange {
    /// For people.
    pub name: Option<String>,
    /// IANA time zone, checked by the caller.
    pub time_zone: Option<String>,
    /// Whether the customer may spend.
    pub status: Option<CustomerStatus>,
    /// Whether refusals are carried out.
    pub mode: Option<EnforcementMode>,
    /// What befalls its requests when the control plane does not answer; some of none leaves
    /// it to rule and filter.
    pub on_unavailable: Option<Option<OnUnavailable>>,
    /// The operator's own data, replaced as a whole.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// A new customer's book.
#[must_use]
pub fn create(context: &mut Context<'_>, new: NewCustomer) -> Book {
    Book::of(Customer {
        id: CustomerId(context.ids.next()),
        external_id: new.external_id,
        name: new.name,
        time_zone: new.time_zone,
        status: CustomerStatus::Active,
        mode: EnforcementMode::Enforce,
        on_unavailable: None,
        credential_version: 1,
        metadata: new.metadata,
        created_at: context.now,
    })
}

/// Changes a customer; gateways hear of a new status or mode, and of what is new for outages.
pub fn change(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    change: CustomerChange,
) -> Customer {
    let customer = &mut book.customer;
    let told = |customer: &Customer| (customer.status, customer.mode, customer.on_unavailable);
    let told_before = told(customer);
    if change.name.is_some() {
        customer.name = change.name;
    }
    let is_zone_new = change
        .time_zone
        .as_ref()
        .is_some_and(|zone| *zone != customer.time_zone);
    if let Some(time_zone) = change.time_zone {
        customer.time_zone = time_zone;
    }
    if let Some(status) = change.status {
        customer.status = status;
    }
    if let Some(mode) = change.mode {
        customer.mode = mode;
    }
    if let Some(on_unavailable) = change.on_unavailable {
        customer.on_unavailable = on_unavailable;
    }
    if let Some(metadata) = change.metadata {
        customer.metadata = metadata;
    }
    let customer = customer.clone();
    if customer.status != told_before.0 {
        let kind = match customer.status {
            CustomerStatus::Suspended => EventKind::CustomerSuspended,
            CustomerStatus::Active => EventKind::CustomerResumed,
        };
        Tale::of_customer(book).tell(book, journal, context, kind);
    }
    if is_zone_new {
        grant::reschedule(book, journal, context);
        grant::pass(book, journal, context);
    }
    if told(&customer) != told_before {
        for place in 0..book.accounts.len() {
            book.touch(place, context.now);
            let account = book.accounts[place].id;
            book.push(account);
            lend::settle_waiters(book, journal, context, place);
        }
    }
    customer
}
