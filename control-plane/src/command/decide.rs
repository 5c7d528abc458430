//! From loaded state and a command to changed state and an outcome.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use creditgate_core::amount::Amount;
use creditgate_ledger::audit::AuditRecord;
use creditgate_ledger::context::{Context, Ids};
use creditgate_ledger::grant as grants;
use creditgate_ledger::id::{AccountId, AuditId, LeaseId};
use creditgate_ledger::registry::Registry;
use creditgate_ledger::report::Impossible;
use creditgate_ledger::usage::{Batch, Booked, Known};
use creditgate_ledger::webhook::{Attempt, Delivery};
use creditgate_ledger::{
    Book, ConsumerKey, Entry, Event, Journal, Refusal, Timestamp, credential, customer, decision,
    expiry, lend, pricing, quarantine,
};

use super::{Command, Outcome};
use crate::storage::{BookChange, ChangeSet, ForgetUsage, Loaded, Target};

mod grant;
mod lease;
mod places;
mod registry;
mod restored;
mod settings;
mod wallet;
mod webhook;

/// Why a command came to nothing.
#[derive(Debug, Clone)]
pub enum Failure {
    /// The ledger refused; nothing changed.
    Refused(Refusal),
    /// The report can't be true; the instance was frozen and its lease set aside.
    Impossible(Impossible),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A batch under decision: the loaded books and registry, and what was decided so far.
pub struct Work<'a> {
    clock: Timestamp,
    ids: &'a mut dyn Ids,
    books: Vec<(Option<Book>, Book)>,
    places: HashMap<Target, usize>,
    registry_before: Arc<Registry>,
    /// The same as before until something of it changes.
    registry: Arc<Registry>,
    entries: Vec<Entry>,
    events: Vec<Event>,
    audit: Vec<AuditRecord>,
    touched: HashSet<usize>,
    forget_answers_before: Option<Timestamp>,
    deliveries: Vec<Delivery>,
    attempts: Vec<Attempt>,
    forget_events_before: Option<Timestamp>,
    usage_known: Known,
    usage: Vec<Booked>,
    forget_usage: Option<ForgetUsage>,
}

impl<'a> Work<'a> {
    /// Starts on what was loaded, at the clock's instant.
    pub fn new(loaded: Loaded, clock: Timestamp, ids: &'a mut dyn Ids) -> Self {
        Self {
            clock,
            ids,
            books: loaded
                .books
                .into_iter()
                .map(|book| (Some(book.clone()), book))
                .collect(),
            places: loaded.places,
            registry: Arc::clone(&loaded.registry),
            registry_before: loaded.registry,
            entries: Vec::new(),
            events: Vec::new(),
            audit: Vec::new(),
            touched: HashSet::new(),
            forget_answers_before: None,
            deliveries: Vec::new(),
            attempts: Vec::new(),
            forget_events_before: None,
            usage_known: loaded.usage,
            usage: Vec::new(),
            forget_usage: None,
        }
    }

    /// Decides one command. If it fails, nothing of it remains (but the freezing of an
    /// instance whose report is impossible).
    ///
    /// # Errors
    /// [`Failure`].
    pub fn decide(&mut self, actor: &str, command: Command) -> Result<Outcome, Failure> {
        let told = self.events.len();
        let outcome = self.decide_alone(actor, command);
        self.send_out(told);
        outcome
    }

    fn decide_alone(&mut self, actor: &str, command: Command) -> Result<Outcome, Failure> {
        match command {
            Command::CreateCustomer(new) => self.create_customer(actor, new),
            Command::Refuse(refusal) => Err(refusal.into()),
            Command::ChangeCustomer {
                customer, change, ..
            } => self.on(actor, &customer, |book, journal, context, _| {
                Ok(Outcome::Customer(customer::change(
                    book, journal, context, change,
                )))
            }),
            Command::SetPricing { customer, document } => {
                self.on(actor, &customer, |book, _, context, _| {
                    let pricing = pricing::set(book, context, *document)?;
                    Ok(Outcome::Pricing(book.customer.id, Box::new(pricing)))
                })
            }
            Command::AddKey {
                customer,
                name,
                hash,
            } => self.on(actor, &customer, |book, _, context, _| {
                Ok(Outcome::Key(credential::add(book, context, name, hash)?))
            }),
            Command::RevokeKey { key, at } => {
                self.on(actor, &Target::Key(key), |book, _, context, _| {
                    let at = at.unwrap_or(context.now);
                    Ok(Outcome::Key(credential::revoke(book, context, key, at)?))
                })
            }
            Command::RotateKey {
                key,
                hash,
                overlap_ms,
            } => self.on(actor, &Target::Key(key), |book, _, context, _| {
                let old = credential::revoke(book, context, key, context.now.plus_ms(overlap_ms))?;
                Ok(Outcome::Key(credential::add(
                    book, context, old.name, hash,
                )?))
            }),
            Command::MoveKey { key, customer } => self.move_key(actor, key, &customer),
            Command::Wallet(command) => self.decide_wallet(actor, command),
            Command::Resolve {
                instance,
                credential,
                customer,
                lease,
                need,
                rule,
                gateway,
            } => {
                let question = (lease, need, rule.as_deref());
                let who = (credential, customer);
                self.resolve(actor, gateway, instance, who, question)
            }
            Command::Report { instance, report } => self.report(actor, instance, &report),
            Command::ResolveLease {
                lease,
                kind,
                reason,
            } => self.on(actor, &Target::Lease(lease), |book, journal, context, _| {
                let amount = quarantine::resolve(book, journal, context, lease, kind, &reason)?;
                resolved(book, lease, amount)
            }),
            Command::HoldLease { lease, reason } => {
                self.on(actor, &Target::Lease(lease), |book, _, context, _| {
                    quarantine::hold(book, context, lease, &reason)?;
                    resolved(book, lease, Amount::ZERO)
                })
            }
            Command::ApplyPolicy { lease, kind } => {
                self.on(actor, &Target::Lease(lease), |book, journal, context, _| {
                    let amount =
                        quarantine::resolve_by_policy(book, journal, context, lease, kind)?;
                    resolved(book, lease, amount)
                })
            }
            Command::TurnLeases { customer, instance } => {
                self.on(actor, &customer, |book, journal, context, _| {
                    lease::turn_all(book, journal, context, instance);
                    Ok(Outcome::Done)
                })
            }
            Command::Quarantine {
                customer,
                instance,
                cause,
            } => self.on(actor, &customer, |book, journal, context, _| {
                lease::set_aside_all(book, journal, context, instance, cause);
                Ok(Outcome::Done)
            }),
            Command::BeginAnew { customer } => {
                self.on(actor, &customer, |book, journal, context, _| {
                    restored::begin_anew(book, journal, context);
                    Ok(Outcome::Done)
                })
            }
            Command::PassTime { customer } => {
                self.on(actor, &customer, |book, journal, context, _| {
                    credential::expire(book, context.now);
                    for place in 0..book.accounts.len() {
                        expiry::pass(book, journal, context, place);
                        lend::settle_waiters(book, journal, context, place);
                    }
                    let is_behind = grants::is_behind(book, context.now);
                    Ok(if is_behind {
                        Outcome::Unfinished
                    } else {
                        Outcome::Done
                    })
                })
            }
            Command::ForgetAnswers { before } => {
                self.forget_answers_before = Some(before);
                Ok(Outcome::Done)
            }
            Command::BookUsage(batch) => Ok(self.book_usage(&batch)),
            Command::ForgetUsage(forget) => {
                self.forget_usage = Some(forget);
                Ok(Outcome::Done)
            }
            Command::PutSettings(_)
            | Command::ChangeSettings { .. }
            | Command::BeginEpoch { .. }
            | Command::DefineCurrency { .. }
            | Command::CreateGateway { .. }
            | Command::ChangeGateway { .. }
            | Command::AddGatewayKey { .. }
            | Command::RevokeGatewayKey { .. }
            | Command::AddOperatorKey { .. }
            | Command::RevokeOperatorKey { .. }
            | Command::PutRateCard { .. }
            | Command::CancelRateCard { .. }
            | Command::PassRateCards
            | Command::SeeInstance { .. }
            | Command::ForgetInstance { .. }
            | Command::SetInstanceState { .. } => self.decide_registry(command),
            Command::Webhook(command) => self.decide_webhook(command),
            Command::Grant(command) => self.decide_grant(actor, command),
        }
    }

    /// Notes who did what to which object, and why: for each write of a client.
    pub fn audit(&mut self, actor: &str, command: &Command, outcome: &Outcome) {
        self.audit.push(AuditRecord {
            id: AuditId(self.ids.next()),
            at: self.clock,
            actor: actor.to_owned(),
            action: command.kind().to_owned(),
            customer: outcome.customer(),
            subject: outcome.subject(),
            reason: command.reason().map(str::to_owned),
        });
    }

    /// What is to be written.
    #[must_use]
    pub fn into_changes(self) -> ChangeSet {
        let touched = self.touched;
        let books = self
            .books
            .into_iter()
            .enumerate()
            .filter(|(place, _)| touched.contains(place))
            .map(|(_, (before, after))| BookChange { before, after })
            .collect();
        // A refused command may have had it copied without changing it.
        let is_registry_new = !Arc::ptr_eq(&self.registry_before, &self.registry)
            && self.registry_before != self.registry;
        ChangeSet {
            books,
            registry: is_registry_new
                .then(|| (self.registry_before, Arc::unwrap_or_clone(self.registry))),
            entries: self.entries,
            forget_answers_before: self.forget_answers_before,
            events: self.events,
            deliveries: self.deliveries,
            attempts: self.attempts,
            forget_events_before: self.forget_events_before,
            audit: self.audit,
            usage: self.usage,
            forget_usage: self.forget_usage,
            ..ChangeSet::default()
        }
    }

    fn book_usage(&mut self, batch: &Batch) -> Outcome {
        self.usage.extend(self.usage_known.book(batch, self.clock));
        let last = self.usage_known.last.get(&batch.source);
        Outcome::Usage(last.copied().unwrap_or_default())
    }

    /// The registry, to be changed; copied at the first change of the batch.
    fn registry_mut(&mut self) -> &mut Registry {
        Arc::make_mut(&mut self.registry)
    }

    /// From now on the name leads to the same book as `target` does.
    fn take_name(&mut self, target: &Target, name: Option<Target>) -> Result<(), Refusal> {
        let place = self.place(target)?;
        self.places.extend(name.map(|name| (name, place)));
        Ok(())
    }

    /// Runs a decision on a copy of the target's book; keeps the copy if it succeeds.
    fn on<T>(
        &mut self,
        actor: &str,
        target: &Target,
        decision: impl FnOnce(
            &mut Book,
            &mut Journal,
            &mut Context<'_>,
            &Registry,
        ) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let place = self.place(target)?;
        let mut book = self.books[place].1.clone();
        let mut journal = Journal::default();
        let mut context = Context {
            now: book.instant(self.clock),
            ids: self.ids,
            registry: &self.registry,
            actor,
        };
        decision::begin(&mut book, &mut journal, &mut context);
        let outcome = decision(&mut book, &mut journal, &mut context, &self.registry)?;
        decision::conclude(&mut book, &mut journal, &mut context);
        self.books[place].1 = book;
        self.entries.append(&mut journal.entries);
        self.events.append(&mut journal.events);
        self.touched.insert(place);
        Ok(outcome)
    }

    fn create_customer(
        &mut self,
        actor: &str,
        new: customer::NewCustomer,
    ) -> Result<Outcome, Failure> {
        let name = Target::ExternalId(new.external_id.clone());
        if self.places.contains_key(&name) {
            return Err(Refusal::Exists {
                field: "/external_id",
                what: "customer",
                id: new.external_id,
            }
            .into());
        }
        let mut context = Context {
            now: self.clock,
            ids: self.ids,
            registry: &self.registry,
            actor,
        };
        let book = customer::create(&mut context, new);
        let customer = book.customer.clone();
        let place = self.books.len();
        self.books.push((None, book));
        self.places.insert(name, place);
        self.places.insert(Target::Customer(customer.id), place);
        self.touched.insert(place);
        Ok(Outcome::Customer(customer))
    }

    fn move_key(
        &mut self,
        actor: &str,
        key: creditgate_ledger::id::KeyId,
        to: &Target,
    ) -> Result<Outcome, Failure> {
        let from = self.place(&Target::Key(key))?;
        if self.place_in(to, "/customer_id")? == from {
            return Err(Refusal::Invalid {
                field: "/customer_id",
                code: "key_is_there",
                problem: "the key belongs to that customer already".to_owned(),
            }
            .into());
        }
        let released: ConsumerKey = self.on(actor, &Target::Key(key), |book, _, context, _| {
            Ok(credential::release(book, context, key)?)
        })?;
        let back = released.clone();
        let moved = self.on(actor, to, |book, _, context, _| {
            Ok(credential::adopt(book, context, released)?)
        });
        if let Err(failure) = moved {
            self.on(actor, &Target::Key(key), |book, _, context, _| {
                Ok(credential::adopt(book, context, back)?)
            })?;
            return Err(failure);
        }
        let place = self.place(to)?;
        self.places.insert(Target::Key(key), place);
        moved.map(Outcome::Key)
    }
}

fn account_of(book: &Book, id: AccountId) -> Result<creditgate_ledger::Account, Refusal> {
    let account = book.account(id).cloned();
    account.ok_or_else(|| Refusal::NotFound {
        what: "account",
        id: id.to_string(),
    })
}

fn resolved(book: &Book, id: LeaseId, amount: Amount) -> Result<Outcome, Failure> {
    let row = book.leases.iter().find(|row| row.id == id).cloned();
    let row = row.ok_or_else(|| not_found(&Target::Lease(id)))?;
    let account = account_of(book, row.account)?;
    Ok(Outcome::LeaseResolved(Box::new((row, amount, account))))
}

/// Says which field of the body a refusal is about. A name in the path needs no pointer; one in
/// the body does, since the client can't tell the two apart by the code.
fn in_field(refusal: Refusal, field: &'static str) -> Refusal {
    match refusal {
        Refusal::NotFound { .. } | Refusal::Conflict { .. } | Refusal::Overflow => {
            Refusal::Invalid {
                field,
                code: refusal.code(),
                problem: refusal.to_string(),
            }
        }
        other => other,
    }
}

fn not_found(target: &Target) -> Refusal {
    let (what, id) = match target {
        Target::Customer(id) => ("customer", id.to_string()),
        Target::ExternalId(id) => ("customer", id.clone()),
        Target::Account(id) => ("account", id.to_string()),
        Target::Wallet(id) => ("wallet", id.to_string()),
        Target::Lot(id) => ("lot", id.to_string()),
        Target::Lease(id) => ("lease", id.to_string()),
        Target::Credential(_) => ("credential", String::new()),
        Target::Key(id) => ("key", id.to_string()),
        Target::WalletName(name) => ("wallet", name.clone()),
        Target::LotName(name) => ("lot", name.clone()),
        Target::Claim(id) => ("claim", id.to_string()),
        Target::Subscription(id) => ("subscription", id.to_string()),
        Target::SubscriptionName(name) => ("subscription", name.clone()),
        Target::Grant(id) => ("credit grant", id.to_string()),
        Target::GrantName(name) => ("credit grant", name.clone()),
        Target::Application(id) => ("application", id.to_string()),
    };
    Refusal::NotFound { what, id }
}
