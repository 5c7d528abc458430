//! `creditgate verify`: does the database keep the invariants of ARCHITECTURE.md?
//!
//! Every customer is looked at in a snapshot of its own, so a service may go on writing.
//! The ledger judges what a book alone shows; here the rows are held against the journal:
//! balances, each lot's parts and each lease's use are worked out again from the entries.

use std::collections::{BTreeMap, HashMap};

use creditgate_core::amount::Amount;
use creditgate_ledger::id::{LeaseId, LotId};
use creditgate_ledger::verify::{Finding, verify as verify_book};
use creditgate_ledger::{Account, Book, Customer, Lease, LedgerAccount, Lot};

use crate::storage::{
    EntryFilter, LeaseFilter, LotFilter, Page, PageRequest, Reader, StorageError, Target,
};
use audit::Audit;

mod audit;

/// Most findings that are collected; a database that has so many needs no more.
pub const FINDINGS_MAX: usize = 1_000;

/// Rows of one look.
const PAGE: u32 = 500;

/// Checks the whole database. No findings: every invariant holds.
///
/// # Errors
/// [`StorageError::Unavailable`]. A row that can't be read is a finding.
pub fn verify(reader: &dyn Reader) -> Result<Vec<Finding>, StorageError> {
    let mut findings = reader.self_check()?;
    let mut page = PageRequest::first(PAGE);
    while findings.len() < FINDINGS_MAX {
        let customers = match reader.customers(page) {
            Ok(customers) => customers,
            Err(StorageError::Corrupt(problem)) => {
                findings.push(unreadable(
                    "the list of customers, from here on not checked".to_owned(),
                    problem,
                ));
                break;
            }
            Err(error) => return Err(error),
        };
        for customer in &customers.items {
            match verify_customer(reader.snapshot()?.as_ref(), customer) {
                Ok(found) => findings.extend(found),
                Err(StorageError::Corrupt(problem)) => {
                    findings.push(unreadable(customer.id.to_string(), problem))
                }
                Err(error) => return Err(error),
            }
        }
        let Some(next) = customers.next else { break };
        page.cursor = Some(next);
    }
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

fn unreadable(subject: String, problem: String) -> Finding {
    Finding {
        invariant: 9,
        subject,
        problem,
    }
}

/// Checks one customer; `reader` shows one moment.
fn verify_customer(reader: &dyn Reader, customer: &Customer) -> Result<Vec<Finding>, StorageError> {
    let Some(book) = reader.book(&Target::Customer(customer.id))? else {
        return Ok(Vec::new());
    };
    let mut findings = verify_book(&book);
    pins(&book, &mut findings);
    let mut audit = Audit::default();
    each(
        |page| reader.lots(LotFilter::Customer(customer.id), page),
        |lot| {
            audit.know(lot);
            true
        },
    )?;
    for account in &book.accounts {
        let mut sums = [0_i128; LedgerAccount::ALL.len()];
        each(
            |page| reader.entries(EntryFilter::Account(account.id), page),
            |entry| {
                audit.take(&entry, &mut sums, &mut findings);
                findings.len() < FINDINGS_MAX
            },
        )?;
        balances(account, &sums, &mut findings);
    }
    // Rows that are history are judged by the same rules as the live ones in the book.
    let history = |lots, leases| Book {
        lots,
        leases,
        ..Book::of(book.customer.clone())
    };
    each(
        |page| reader.lots(LotFilter::Customer(customer.id), page),
        |lot| {
            audit.compare_lot(&lot, &mut findings);
            wallet_of(&book, &lot, &mut findings);
            if !lot.is_live() {
                findings.extend(verify_book(&history(vec![lot], Vec::new())));
            }
            findings.len() < FINDINGS_MAX
        },
    )?;
    let of_customer = LeaseFilter {
        customer: Some(customer.id),
        ..LeaseFilter::default()
    };
    each(
        |page| reader.leases(of_customer, page),
        |(_, lease)| {
            audit.compare_lease(&lease, &mut findings);
            if book.leases.iter().all(|live| live.id != lease.id) {
                findings.extend(verify_book(&history(Vec::new(), vec![lease])));
            }
            findings.len() < FINDINGS_MAX
        },
    )?;
    if findings.len() < FINDINGS_MAX {
        audit.without_row(&mut findings);
    }
    Ok(findings)
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

/// Invariants 1 and 2: balances are what was posted, and none is on the wrong side of zero.
fn balances(account: &Account, sums: &[i128], findings: &mut Vec<Finding>) {
    for (ledger_account, sum) in LedgerAccount::ALL.into_iter().zip(sums) {
        let balance = account.balances.get(ledger_account);
        if i128::from(balance.get()) != *sum {
            let problem = format!(
                "its balance of {ledger_account} is {} but its postings sum to {sum}",
                balance.get()
            );
            findings.push(Finding {
                invariant: 1,
                subject: account.id.to_string(),
                problem,
            });
        }
        let below_zero = matches!(
            ledger_account,
            LedgerAccount::Funding | LedgerAccount::Debt | LedgerAccount::LeaseLoss
        );
        let wrong = if below_zero {
            balance > Amount::ZERO
        } else {
            balance < Amount::ZERO
        };
        if wrong {
            let problem = format!("its balance of {ledger_account} is {}", balance.get());
            findings.push(Finding {
                invariant: 2,
                subject: account.id.to_string(),
                problem,
            });
        }
    }
}

/// Invariants 5 and 7: what lots have out is what leases have pinned, and one lease is the newest.
fn pins(book: &Book, findings: &mut Vec<Finding>) {
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
            findings.push(Finding {
                invariant: 7,
                subject: lot.id.to_string(),
                problem,
            });
        }
    }
    for (lot, amount) in pinned {
        let problem = format!("leases have pinned {amount} of it, but it is used up or not there");
        findings.push(Finding {
            invariant: 7,
            subject: lot.to_string(),
            problem,
        });
    }
    let mut newest: HashMap<_, LeaseId> = HashMap::new();
    for lease in book.leases.iter().filter(|lease| lease.newest) {
        if let Some(other) = newest.insert((lease.account, lease.instance), lease.id) {
            let problem = format!(
                "it and {other} are both the newest lease of {}",
                lease.instance
            );
            findings.push(Finding {
                invariant: 5,
                subject: lease.id.to_string(),
                problem,
            });
        }
    }
}

/// Invariant 2: a lot is counted in the account of its wallet.
fn wallet_of(book: &Book, lot: &Lot, findings: &mut Vec<Finding>) {
    let wallet = book.wallets.iter().find(|wallet| wallet.id == lot.wallet);
    if wallet.is_none_or(|wallet| wallet.account != lot.account) {
        let problem = format!(
            "it is counted in {} but {} is not a wallet of that account",
            lot.account, lot.wallet
        );
        findings.push(Finding {
            invariant: 2,
            subject: lot.id.to_string(),
            problem,
        });
    }
}

/// What a lease has out, and what was booked as spent of it, by its own row.
fn by_row(lease: &Lease) -> (Amount, Amount) {
    match &lease.resolution {
        None => (lease.counters.outstanding(), lease.counters.settled),
        // Decided over: later use moves money up to the amount that was decided.
        Some(resolution) => {
            let late = lease
                .counters
                .settled
                .saturating_sub(resolution.counters.settled);
            let late = late.max(Amount::ZERO).min(resolution.amount);
            (
                Amount::ZERO,
                resolution.counters.settled.saturating_add(late),
            )
        }
    }
}
