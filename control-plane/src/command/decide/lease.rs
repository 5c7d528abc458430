//! What gateways ask, and what is done about their leases.

use creditgate_core::amount::Amount;
use creditgate_core::key::{CredentialHash, customer_hash};
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::{AccountState, Report, Resolved};
use creditgate_ledger::context::Context;
use creditgate_ledger::id::{GatewayId, InstanceId};
use creditgate_ledger::registry::InstanceState;
use creditgate_ledger::report::{self, Reporter};
use creditgate_ledger::{
    Book, Journal, LeaseState, QuarantineCause, Refusal, expiry, lend, limits, pricing, quarantine,
};

use super::{Failure, Work, restored};
use crate::command::Outcome;
use crate::storage::Target;

impl Work<'_> {
    pub(super) fn resolve(
        &mut self,
        actor: &str,
        gateway: GatewayId,
        instance: InstanceId,
        (credential, customer): (CredentialHash, Option<String>),
        (number, need, rule): (LeaseNumber, Amount, Option<&str>),
    ) -> Result<Outcome, Failure> {
        let is_named = customer.is_some();
        let target = match customer {
            // The gateway keeps what it learns under the hash; it must be this customer's.
            Some(name) if customer_hash(&name) != credential => return Ok(Outcome::Resolved(None)),
            Some(name) => Target::ExternalId(name),
            None => Target::Credential(credential),
        };
        if self.place(&target).is_err() {
            return Ok(Outcome::Resolved(None));
        }
        let known = self
            .registry
            .gateways
            .iter()
            .find(|known| known.id == gateway);
        let known = known.ok_or_else(|| Refusal::NotFound {
            what: "gateway",
            id: gateway.to_string(),
        })?;
        let currency = self.registry.rate_card_currency(&known.rate_card);
        let currency = currency.ok_or_else(|| Refusal::NotFound {
            what: "rate card",
            id: known.rate_card.clone(),
        })?;
        let scale = self.registry.scale(&currency);
        let reporter = self.reporter(instance);
        let epoch = self.registry.epoch;
        self.on(actor, &target, |book, journal, context, _| {
            let now = context.now;
            let mut keys = book.keys.iter();
            if !is_named && !keys.any(|key| key.hash == credential && key.is_valid(now)) {
                return Ok(Outcome::Resolved(None));
            }
            let need = pricing::need_at_lookup(book, &currency, need, now);
            let need = limits::need_of_general(book, &currency, rule, need, now);
            let (opened, answer) = report::resolve(
                book,
                journal,
                context,
                reporter,
                (currency, scale),
                (number, need),
            );
            Ok(Outcome::Resolved(Some(Box::new(Resolved {
                epoch,
                customer: book.customer.external_id.clone(),
                currency,
                scale,
                opened,
                answer,
                limited: limits::told(book, &currency),
                pricing: pricing::told(book),
            }))))
        })
    }

    pub(super) fn report(
        &mut self,
        actor: &str,
        instance: InstanceId,
        report: &Report,
    ) -> Result<Outcome, Failure> {
        let target = Target::Account(report.account);
        if self.place(&target).is_err() {
            let unknown = AccountState::unknown();
            return Ok(Outcome::Answer(Box::new(report::closed(report, unknown))));
        }
        let reporter = self.reporter(instance);
        let answered = self.on(actor, &target, |book, journal, context, _| {
            restored::report(book, journal, context, reporter, report).map_err(Failure::Impossible)
        });
        if let Err(Failure::Impossible(impossible)) = &answered {
            self.freeze(instance, impossible.to_string());
            self.on(actor, &target, |book, journal, context, _| {
                set_aside_all(
                    book,
                    journal,
                    context,
                    instance,
                    QuarantineCause::ImpossibleReport,
                );
                Ok(())
            })?;
        }
        answered.map(|answer| Outcome::Answer(Box::new(answer)))
    }

    fn reporter(&self, instance: InstanceId) -> Reporter {
        let known = self.registry.instance(instance);
        Reporter {
            instance,
            barred: known.and_then(|known| known.state.barred()),
        }
    }

    fn freeze(&mut self, instance: InstanceId, reason: String) {
        if let Some(known) = self
            .registry_mut()
            .instances
            .iter_mut()
            .find(|known| known.id == instance)
        {
            known.state = InstanceState::Frozen;
            known.reason = Some(reason);
        }
    }
}

/// Recalls all that an instance has of a customer's.
pub(super) fn turn_all(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    instance: InstanceId,
) {
    for place in 0..book.accounts.len() {
        expiry::pass(book, journal, context, place);
        book.touch(place, context.now);
    }
    for lease in book
        .leases
        .iter_mut()
        .filter(|lease| lease.instance == instance)
    {
        expiry::turn(lease);
    }
}

/// Sets aside all that an instance has of a customer's.
pub(super) fn set_aside_all(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    instance: InstanceId,
    cause: QuarantineCause,
) {
    for lease in 0..book.leases.len() {
        let row = &book.leases[lease];
        if row.instance != instance || !matches!(row.state, LeaseState::Open | LeaseState::Draining)
        {
            continue;
        }
        if let Some(place) = book.account_place(row.account) {
            quarantine::set_aside(book, journal, context, place, lease, cause);
        }
    }
    for place in 0..book.accounts.len() {
        lend::settle_waiters(book, journal, context, place);
    }
}
