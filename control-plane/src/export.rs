//! The journal as text that anyone can check: one line for each entry, with its hash.
//!
//! A line is `{"entry":ENTRY,"hash":"HASH"}`. ENTRY, byte for byte, is the entry's canonical
//! text: it begins at byte 9 of the line and ends 75 bytes before the line does. HASH is the
//! SHA-256 of the 32 bytes of the hash before it (zeros before the first) and of that text, in
//! 64 hexadecimal digits. Entries of an account are numbered from 1; lines of several accounts
//! may be mixed. What an account's chain ended with, kept elsewhere, is a [`Head`].

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use creditgate_ledger::chain::{Chain, ChainHash};
use creditgate_ledger::id::{AccountId, CustomerId};
use creditgate_ledger::verify::{Finding, invariant};
use creditgate_ledger::{Customer, Entry};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::storage::{CustomerFilter, PageRequest, Reader, StorageError, Target};

/// Entries of one look.
pub const ENTRIES_PER_PAGE: u32 = 256;

/// Customers of one look.
const CUSTOMERS_PER_PAGE: u32 = 200;

/// Most problems that are collected.
const PROBLEMS_MAX: usize = 1_000;

/// The longest line that is read, in bytes.
const LINE_MAX: u64 = 4 * 1024 * 1024;

const BEFORE_ENTRY: &[u8] = br#"{"entry":"#;
const BEFORE_HASH: &[u8] = br#","hash":""#;
const AFTER_HASH: &[u8] = br#""}"#;

/// Why something was not exported or checked.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The database can't be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The file can't be read or written.
    #[error(transparent)]
    File(#[from] io::Error),
}

/// How far the chain of an account had come when someone looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The account.
    pub account: AccountId,
    /// Whose.
    pub customer: CustomerId,
    /// How many entries it had.
    pub entries: u64,
    /// The hash of the last; zeros if there was none.
    pub head: ChainHash,
}

/// An entry's line, with its end.
#[must_use]
pub fn line(entry: &Entry) -> Vec<u8> {
    let hash = entry.hash.to_string();
    [
        BEFORE_ENTRY,
        &entry.canonical(),
        BEFORE_HASH,
        hash.as_bytes(),
        AFTER_HASH,
        b"\n",
    ]
    .concat()
}

/// Writes the lines of an account's journal, a page in memory at a time.
///
/// # Errors
/// [`ExportError`].
pub fn account(
    reader: &dyn Reader,
    account: AccountId,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    let mut after = 0;
    loop {
        let entries = reader.chain(account, after, ENTRIES_PER_PAGE)?;
        for entry in &entries {
            out.write_all(&line(entry))?;
        }
        match entries.last() {
            Some(last) if last.number > after => after = last.number,
            _ => return Ok(()),
        }
    }
}

/// Goes through the heads of all accounts, or of a customer's.
///
/// # Errors
/// [`ExportError`], also from `take`.
pub fn heads(
    reader: &dyn Reader,
    customer: Option<&Target>,
    mut take: impl FnMut(Head) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let mut of = |customer: &Target| -> Result<(), ExportError> {
        let book = reader.book(customer)?;
        for account in book.iter().flat_map(|book| &book.accounts) {
            take(Head {
                account: account.id,
                customer: account.customer,
                entries: account.chain.entries,
                head: account.chain.head,
            })?;
        }
        Ok(())
    };
    if let Some(customer) = customer {
        return of(customer);
    }
    let mut page = PageRequest::first(CUSTOMERS_PER_PAGE);
    loop {
        let customers = reader.customers(CustomerFilter::default(), page)?;
        for Customer { id, .. } in &customers.items {
            of(&Target::Customer(*id))?;
        }
        page.cursor = customers.next;
        if page.cursor.is_none() {
            return Ok(());
        }
    }
}

/// What a file of lines came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Where each account's chain ends in the file.
    pub chains: BTreeMap<AccountId, Chain>,
    /// Against how many heads it was held.
    pub heads: u64,
    /// What is wrong, each with the number of its line if it is a line's.
    pub problems: Vec<String>,
}

/// What must be known of an entry to check its place.
#[derive(Deserialize)]
struct Place {
    account: AccountId,
    number: u64,
}

/// Heads that were kept elsewhere: for each account, numbers of entries and their hashes.
type Kept = BTreeMap<AccountId, Vec<(u64, ChainHash)>>;

/// Checks the chains in a file of lines by themselves. That the end of one was cut off between
/// two lines can't be seen so; see [`check_against`].
///
/// # Errors
/// The file can't be read.
pub fn check(lines: impl BufRead) -> Result<Checked, io::Error> {
    check_with(lines, &Kept::new())
}

/// As [`check`], and each chain must have the entries of which heads were kept elsewhere.
///
/// # Errors
/// One of the files can't be read; a line of `heads` is no head.
pub fn check_against(lines: impl BufRead, mut heads: impl BufRead) -> Result<Checked, io::Error> {
    let (mut kept, mut text, mut count) = (Kept::new(), Vec::new(), 0_u64);
    while let Some(head) = next_head(&mut heads, &mut text)? {
        let of_account = kept.entry(head.account).or_default();
        of_account.push((head.entries, head.head));
        count = count.saturating_add(1);
    }
    let mut checked = check_with(lines, &kept)?;
    checked.heads = count;
    if count == 0 {
        let problem = "the file of heads is empty; nothing was held against it";
        checked.problems.push(problem.to_owned());
    }
    Ok(checked)
}

fn check_with(mut lines: impl BufRead, kept: &Kept) -> Result<Checked, io::Error> {
    let mut checked = Checked::default();
    let mut number = 0_u64;
    let mut text = Vec::new();
    while checked.problems.len() < PROBLEMS_MAX {
        text.clear();
        let mut one_line = io::Read::take(&mut lines, LINE_MAX);
        if one_line.read_until(b'\n', &mut text)? == 0 {
            break;
        }
        number = number.saturating_add(1);
        if let Err(problem) = check_line(&text, &mut checked.chains, kept) {
            checked.problems.push(format!("line {number}: {problem}"));
        }
    }
    if number == 0 {
        let problem = "the file has no lines; the export failed, or all of it was cut off";
        checked.problems.push(problem.to_owned());
    }
    let missing = missing(&checked.chains, kept);
    let room = PROBLEMS_MAX.saturating_sub(checked.problems.len());
    checked.problems.extend(missing.take(room));
    Ok(checked)
}

/// What heads say of entries after the end of a chain.
fn missing(chains: &BTreeMap<AccountId, Chain>, kept: &Kept) -> impl Iterator<Item = String> {
    kept.iter().filter_map(|(account, heads)| {
        let had = heads.iter().map(|(entries, _)| *entries).max()?;
        let has = chains.get(account).map_or(0, |chain| chain.entries);
        match has {
            has if has >= had => None,
            0 => Some(format!("{account} had {had} entries and has no lines here")),
            has => Some(format!(
                "{account} had {had} entries and ends with entry {has} here; its end was cut off"
            )),
        }
    })
}

fn check_line(
    text: &[u8],
    chains: &mut BTreeMap<AccountId, Chain>,
    kept: &Kept,
) -> Result<(), String> {
    let Some((entry, hash)) = parts(text) else {
        return Err(r#"is not {"entry":…,"hash":"64 digits"} and its end"#.to_owned());
    };
    let place: Place =
        serde_json::from_slice(entry).map_err(|error| format!("is no entry: {error}"))?;
    let Place { account, number } = place;
    let chain = chains.entry(account).or_default();
    let (due, head) = (chain.entries.saturating_add(1), chain.head.then(entry));
    // After a break the chain goes on from here, so that each is told once.
    *chain = Chain {
        entries: number,
        head: hash,
    };
    if number != due {
        return Err(format!(
            "{account} goes on with entry {number} where {due} was to come; lines were removed, added or moved"
        ));
    }
    if head != hash {
        return Err(format!(
            "the hash of entry {number} of {account} is not that of its text after the entry before it; one of them was changed"
        ));
    }
    let heads = kept.get(&account).into_iter().flatten();
    let mut of_entry = heads.filter(|(entries, _)| *entries == number);
    match of_entry.find(|(_, kept)| *kept != hash) {
        None => Ok(()),
        Some((_, kept)) => Err(format!(
            "entry {number} of {account} had the hash {kept} and has {hash} here; the journal was changed and chained anew"
        )),
    }
}

/// The canonical text of a line, and its hash.
fn parts(text: &[u8]) -> Option<(&[u8], ChainHash)> {
    let rest = text.strip_suffix(b"\n")?.strip_prefix(BEFORE_ENTRY)?;
    let rest = rest.strip_suffix(AFTER_HASH)?;
    let (rest, hash) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    let hash = std::str::from_utf8(hash).ok()?.parse().ok()?;
    Some((rest.strip_suffix(BEFORE_HASH)?, hash))
}

fn next_head(lines: &mut impl BufRead, text: &mut Vec<u8>) -> Result<Option<Head>, io::Error> {
    text.clear();
    let mut one_line = io::Read::take(lines, LINE_MAX);
    if one_line.read_until(b'\n', text)? == 0 {
        return Ok(None);
    }
    serde_json::from_slice(text)
        .map(Some)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Holds the chains of a database against heads that were kept elsewhere, one line of JSON each:
/// what was written up to then must still be there, unchanged. This alone finds a journal whose
/// end was cut off, or that was made anew, together with the account's own row.
///
/// # Errors
/// [`ExportError`].
pub fn verify_heads(
    reader: &dyn Reader,
    mut lines: impl BufRead,
) -> Result<Vec<Finding>, ExportError> {
    let mut findings = Vec::new();
    let mut text = Vec::new();
    while findings.len() < PROBLEMS_MAX {
        let Some(kept) = next_head(&mut lines, &mut text)? else {
            break;
        };
        let Some(before) = kept.entries.checked_sub(1) else {
            continue;
        };
        let entries = reader.chain(kept.account, before, 1)?;
        let found = entries.first().filter(|entry| entry.number == kept.entries);
        let problem = match found {
            Some(entry) if entry.hash == kept.head => continue,
            Some(entry) => format!(
                "its entry {} had the hash {} and has {} now; the journal was changed and chained anew",
                kept.entries, kept.head, entry.hash
            ),
            None => format!(
                "it had {} entries, and the last of them is not there; the end of its journal was cut off",
                kept.entries
            ),
        };
        findings.push(Finding {
            invariant: invariant::CHAIN,
            subject: kept.account.to_string(),
            problem,
        });
    }
    Ok(findings)
}
