//! Lots, wallets, claims and pins, held against what the journal comes to.

use std::collections::BTreeMap;

use creditgate_ledger::replay::{Replay, claim_difference, lot_differences};
use creditgate_ledger::verify::{Finding, invariant};
use creditgate_ledger::{Account, Book, Entry, Lot};

use super::{Findings, PAGE, each};
use crate::storage::{ClaimFilter, LotFilter, Reader, StorageError};

/// Replays the journal of an account, a page in memory at a time, and compares what it comes to
/// with the rows. `look` sees each entry, too.
pub(super) fn replay_account(
    reader: &dyn Reader,
    (book, account): (&Book, &Account),
    look: &mut dyn FnMut(&Entry),
    findings: &mut Findings,
) -> Result<(), StorageError> {
    let mut replay = Replay::of(account.id);
    let mut after = 0;
    loop {
        let entries = reader.chain(account.id, after, PAGE)?;
        for entry in &entries {
            replay.take(entry);
            look(entry);
        }
        used_up(reader, &mut replay, findings)?;
        findings.extend(replay.findings());
        match entries.last() {
            Some(last) if last.number > after && !findings.are_many() => after = last.number,
            _ => break,
        }
    }
    live(reader, book, account, &mut replay, findings)?;
    claims(reader, book, account, &mut replay, findings)?;
    findings.extend(replay.findings());
    counts(reader, account, &replay, findings)
}

/// What has become history is compared at once, and forgotten.
fn used_up(
    reader: &dyn Reader,
    replay: &mut Replay,
    findings: &mut Findings,
) -> Result<(), StorageError> {
    for lot in replay.used_up() {
        compare_lot(reader, &lot, findings)?;
    }
    for (id, claim) in replay.closed_claims() {
        let problem = match reader.claim(id)? {
            Some(row) => claim_difference(&claim, &row),
            None => Some("the journal opens it, but there is no such claim".to_owned()),
        };
        let problem = problem.map(|problem| Finding {
            invariant: invariant::FUNDED,
            subject: id.to_string(),
            problem,
        });
        findings.extend(problem);
    }
    Ok(())
}

/// A lot by the journal, and its row.
fn compare_lot(
    reader: &dyn Reader,
    replayed: &Lot,
    findings: &mut Findings,
) -> Result<(), StorageError> {
    let problems = match reader.lot(replayed.id)? {
        Some((_, row)) => lot_differences(replayed, &row),
        None => vec!["the journal makes it, but the customer has no such lot".to_owned()],
    };
    for problem in problems {
        findings.add(invariant::LOTS, replayed.id, problem);
    }
    Ok(())
}

/// Everything that is not history.
fn live(
    reader: &dyn Reader,
    book: &Book,
    account: &Account,
    replay: &mut Replay,
    findings: &mut Findings,
) -> Result<(), StorageError> {
    replay.compare_account(account);
    for wallet in book.wallets.iter().filter(|row| row.account == account.id) {
        replay.compare_wallet(wallet);
    }
    for wallet in replay.wallets() {
        if book.wallet(wallet.id).is_none() {
            let problem = "the journal opens it, but the customer has no such wallet";
            findings.add(invariant::FACTS, wallet.id, problem);
        }
    }
    let rows: BTreeMap<_, _> = book.lots.iter().map(|lot| (lot.id, lot)).collect();
    for lot in replay.lots().filter(|lot| !rows.contains_key(&lot.id)) {
        compare_lot(reader, lot, findings)?;
    }
    for lot in book.lots.iter().filter(|row| row.account == account.id) {
        replay.compare_lot(lot);
    }
    for lease in book.leases.iter().filter(|row| row.account == account.id) {
        replay.compare_lease(lease);
    }
    let known = |id| book.leases.iter().any(|lease| lease.id == id);
    for (lease, pins) in replay.pins().filter(|(lease, _)| !known(*lease)) {
        let problem = format!("by the journal it has {pins:?} out, but it is not live");
        findings.add(invariant::LOTS, lease, problem);
    }
    Ok(())
}

fn claims(
    reader: &dyn Reader,
    book: &Book,
    account: &Account,
    replay: &mut Replay,
    findings: &mut Findings,
) -> Result<(), StorageError> {
    for claim in book.claims.iter().filter(|row| row.account == account.id) {
        replay.compare_claim(claim);
    }
    for (id, claim) in replay.claims() {
        if book.claims.iter().any(|row| row.id == id) {
            continue;
        }
        let problem = match reader.claim(id)? {
            Some(row) => claim_difference(claim, &row)
                .unwrap_or_else(|| "it is closed, but by the journal it is open".to_owned()),
            None => "the journal opens it, but there is no such claim".to_owned(),
        };
        findings.add(invariant::FUNDED, id, problem);
    }
    Ok(())
}

/// Rows that no entry made: those that are made by one were all compared, so there are as many.
fn counts(
    reader: &dyn Reader,
    account: &Account,
    replay: &Replay,
    findings: &mut Findings,
) -> Result<(), StorageError> {
    let (mut lots, mut claims) = (0_u64, 0_u64);
    each(
        |page| reader.lots(LotFilter::Customer(account.customer), page),
        |lot| {
            lots = lots.saturating_add(u64::from(lot.account == account.id));
            true
        },
    )?;
    for wallet in replay.wallets() {
        let of_wallet = ClaimFilter {
            wallet: Some(wallet.id),
            open_only: false,
        };
        each(
            |page| reader.claims(of_wallet, page),
            |_| {
                claims = claims.saturating_add(1);
                true
            },
        )?;
    }
    for (what, rows, made) in [
        ("lots", lots, replay.lots_made()),
        ("claims", claims, replay.claims_opened()),
    ] {
        if rows != made {
            let problem = format!("it has {rows} {what}, but its journal makes {made}");
            findings.add(invariant::FACTS, account.id, problem);
        }
    }
    Ok(())
}
