//! `creditgate verify`: does the database keep the invariants of ARCHITECTURE.md?
//!
//! Every customer is looked at in a snapshot of its own, so a service may go on writing.
//! The ledger judges what a book alone shows, and what the journal contradicts itself in; here
//! the rows are held against the journal: its chain, and all that it comes to when it is
//! replayed. Memory is bounded by what of a customer is live, however long the history.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

use creditgate_core::amount::Amount;
use creditgate_ledger::id::{LeaseId, LotId};
use creditgate_ledger::verify::{Finding, invariant, verify as verify_book};
use creditgate_ledger::{Account, Book, Customer, LedgerAccount, Lot};

use crate::storage::{CustomerFilter, LotFilter, Page, PageRequest, Reader, StorageError, Target};
use leases::Leases;

mod leases;
mod lots;

/// Most findings that are collected; a database that has so many needs no more.
pub const FINDINGS_MAX: usize = 1_000;

/// Rows of one look.
const PAGE: u32 = 500;

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, invariant: u8, subject: impl Display, problem: impl Into<String>) {
        self.0.push(Finding {
            invariant,
            subject: subject.to_string(),
            problem: problem.into(),
        });
    }

    fn extend(&mut self, found: impl IntoIterator<Item = Finding>) {
        self.0.extend(found);
    }

    fn are_many(&self) -> bool {
        self.0.len() >= FINDINGS_MAX
    }
}

/// Checks the whole database. No findings: every invariant holds.
///
/// # Errors
/// [`StorageError::Unavailable`]. A row that can't be read is a finding.
pub fn verify(reader: &dyn Reader) -> Result<Vec<Finding>, StorageError> {
    let mut findings = Findings(reader.self_check()?);
    let mut page = PageRequest::first(PAGE);
    while !findings.are_many() {
        let customers = match reader.customers(CustomerFilter::default(), page) {
            Ok(customers) => customers,
            Err(StorageError::Corrupt(problem)) => {
                let subject = "the list of customers, from here on not checked";
                findings.add(invariant::DURABLE, subject, problem);
                break;
            }
            Err(error) => return Err(error),
        };
        for customer in &customers.items {
            match verify_customer(reader.snapshot()?.as_ref(), customer, &mut findings) {
                Ok(()) => {}
                Err(StorageError::Corrupt(problem)) => {
                    findings.add(invariant::DURABLE, customer.id, problem);
                }
                Err(error) => return Err(error),
            }
        }
        let Some(next) = customers.next else { break };
        page.cursor = Some(next);
    }
    findings.0.truncate(FINDINGS_MAX);
    Ok(findings.0)
}

/// Checks one customer; `reader` shows one moment.
fn verify_customer(
    reader: &dyn Reader,
    customer: &Customer,
    findings: &mut Findings,
) -> Result<(), StorageError> {
    let Some(book) = reader.book(&Target::Customer(customer.id))? else {
        return Ok(());
    };
    findings.extend(verify_book(&book));
    pins(&book, findings);
    newest(&book, findings);
    let mut leases = Leases::newest(reader, &book, findings)?;
    for account in &book.accounts {
        signs(account, findings);
        usage(reader, account, findings)?;
        let mut look = |entry: &_| leases.take(entry);
        lots::replay_account(reader, (&book, account), &mut look, findings)?;
    }
    each(
        |page| reader.lots(LotFilter::Customer(customer.id), page),
        |lot| {
            wallet_of(&book, &lot, findings);
            // Rows that are history are judged by the same rules as the live ones in the book.
            if !lot.is_live() {
                let history = Book {
                    lots: vec![lot],
                    ..Book::of(customer.clone())
                };
                findings.extend(verify_book(&history));
            }
            !findings.are_many()
        },
    )?;
    leases.compare(findings);
    while let Some(mut older) = leases.older(reader, &book, findings)? {
        leases::pass(reader, &book, &mut older)?;
        older.compare(findings);
        leases = older;
    }
    Ok(())
}

/// Goes through all pages of a list, until `take` has enough.
fn each<T>(
    mut look: impl FnMut(PageRequest) -> Result<Page<T>, StorageError>,
    mut take: impl FnMut(T) -> bool,
) -> Result<(), StorageError> {
    let mut page = PageRequest::first(PAGE);
    loop {
        let found = look(page)?;
        if !found.items.into_iter().all(&mut take) {
            return Ok(());
        }
        let Some(next) = found.next else {
            return Ok(());
        };
        page.cursor = Some(next);
    }
}

/// Invariant 2: no balance is on the wrong side of zero.
fn signs(account: &Account, findings: &mut Findings) {
    for ledger_account in LedgerAccount::ALL {
        let balance = account.balances.get(ledger_account);
        let is_wrong = match ledger_account {
            LedgerAccount::Funding
            | LedgerAccount::Debt
            | LedgerAccount::LeaseLoss
            | LedgerAccount::CreditLine => balance > Amount::ZERO,
            // What went to other accounts of the customer, less what came from them.
            LedgerAccount::Transferred => false,
            _ => balance < Amount::ZERO,
        };
        if is_wrong {
            let problem = format!("its balance of {ledger_account} is {}", balance.get());
            findings.add(invariant::FUNDED, account.id, problem);
        }
    }
}

/// Invariant 11: the rows of usage detail, with those forgotten, come to its total.
fn usage(
    reader: &dyn Reader,
    account: &Account,
    findings: &mut Findings,
) -> Result<(), StorageError> {
    let (total, kept) = (
        reader.usage_total(account.id)?,
        reader.usage_kept(account.id)?,
    );
    let told = i128::from(total.cost.get());
    let rows = kept.saturating_add(i128::from(total.forgotten.get()));
    if rows != told {
        let problem = format!("its usage detail comes to {rows}, but {told} were told");
        findings.add(invariant::USAGE, account.id, problem);
    }
    Ok(())
}

/// Invariant 7: what lots have out is what leases have pinned.
fn pins(book: &Book, findings: &mut Findings) {
    let mut pinned: BTreeMap<LotId, i128> = BTreeMap::new();
    for pin in book.leases.iter().flat_map(|lease| &lease.pins) {
        if let Some(lot) = pin.lot {
            let sum = pinned.entry(lot).or_default();
            *sum = sum.saturating_add(i128::from(pin.amount.get()));
        }
    }
    for lot in &book.lots {
        let by_leases = pinned.remove(&lot.id).unwrap_or_default();
        if i128::from(lot.pinned.get()) != by_leases {
            let problem = format!(
                "it has {} pinned but leases have pinned {by_leases} of it",
                lot.pinned.get()
            );
            findings.add(invariant::LOTS, lot.id, problem);
        }
    }
    for (lot, amount) in pinned {
        let problem = format!("leases have pinned {amount} of it, but it is used up or not there");
        findings.add(invariant::LOTS, lot, problem);
    }
}

/// Invariant 5: one lease of an instance is the newest.
fn newest(book: &Book, findings: &mut Findings) {
    let mut newest: HashMap<_, LeaseId> = HashMap::new();
    for lease in book.leases.iter().filter(|lease| lease.newest) {
        if let Some(other) = newest.insert((lease.account, lease.instance), lease.id) {
            let problem = format!(
                "it and {other} are both the newest lease of {}",
                lease.instance
            );
            findings.add(invariant::ONCE, lease.id, problem);
        }
    }
}

/// Invariant 2: a lot is counted in the account of its wallet.
fn wallet_of(book: &Book, lot: &Lot, findings: &mut Findings) {
    let wallet = book.wallets.iter().find(|wallet| wallet.id == lot.wallet);
    if wallet.is_none_or(|wallet| wallet.account != lot.account) {
        let problem = format!(
            "it is counted in {} but {} is not a wallet of that account",
            lot.account, lot.wallet
        );
        findings.add(invariant::FUNDED, lot.id, problem);
    }
}
