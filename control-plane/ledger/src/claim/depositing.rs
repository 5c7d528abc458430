//! Credit that a transfer takes, on its way into the other wallet.
//!
//! Each lot it is taken of makes a lot there with the same terms and its share of the cost. What
//! of that lot comes back from gateways later goes into the same new lot.

use creditgate_core::amount::Amount;

use crate::book::Book;
use crate::burn_order::{Lot, LotSource};
use crate::context::Context;
use crate::cost;
use crate::fact::Fact;
use crate::id::WalletId;
use crate::journal::{About, Draw, EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::lot::{self, Origin};

/// Moves parts of lots into wallet `to`; answers the places of the accounts that got some.
pub(super) fn transfer(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    (claim, to): (usize, WalletId),
    parts: &[(usize, Amount)],
) -> Option<usize> {
    let account = book.wallet(to)?.account;
    let target = book.account_place(account)?;
    for (lot, part) in parts {
        let source = withdraw(book, journal, context, place, claim, *lot, *part);
        deposit(
            book,
            journal,
            context,
            target,
            (claim, to),
            (&source, *part),
        );
    }
    book.touch(target, context.now);
    Some(target)
}

/// Takes a part out of a lot; answers the lot as it was.
fn withdraw(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    claim: usize,
    lot: usize,
    part: Amount,
) -> Lot {
    let row = &mut book.lots[lot];
    let before = row.clone();
    row.free = row.free.saturating_sub(part);
    row.withdrawn = row.withdrawn.saturating_add(part);
    let claim = &book.claims[claim];
    let about = About {
        wallet: Some(claim.wallet),
        note: claim.note.clone(),
        fact: Some(Fact::ClaimTook { claim: claim.id }),
        ..About::default()
    };
    let draws = vec![Draw {
        lot: before.id,
        amount: part,
    }];
    let movement = (LedgerAccount::Available, LedgerAccount::Transferred, part);
    journal.transfer(
        context,
        &mut book.accounts[place],
        EntryKind::Transfer,
        claim.reason,
        movement,
        draws,
        about,
    );
    before
}

fn deposit(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    target: usize,
    (claim, to): (usize, WalletId),
    (source, part): (&Lot, Amount),
) {
    let cost = cost::share(source, source.withdrawn, part);
    let reason = book.claims[claim].reason;
    let since = book.claims[claim].created_at;
    let from = LotSource::Transfer {
        lot: source.id,
        granted_by: source.source.granted_by(),
    };
    let known = book.lots.iter().position(|lot| {
        lot.wallet == to
            && lot.source == from
            && lot.created_at >= since
            && lot.voided_at.is_none()
            && lot.is_live()
            && lot.expires_at == source.expires_at
    });
    let placed = match known {
        Some(known) => {
            grow(
                book,
                journal,
                context,
                target,
                reason,
                known,
                part,
                cost.as_ref(),
            );
            known
        }
        None => {
            let of = (to, book.accounts[target].id);
            let blank = lot::blank(context, of, source.kind, source.reason, from);
            let row = Lot {
                priority: source.priority,
                effective_at: source.effective_at,
                expires_at: source.expires_at,
                amount: part,
                free: part,
                cost,
                description: source.description.clone(),
                metadata: source.metadata.clone(),
                ..blank
            };
            let origin = Origin {
                from: LedgerAccount::Transferred,
                kind: EntryKind::Transfer,
                reason,
            };
            lot::make(book, journal, context, target, origin, row)
        }
    };
    lot::land(book, journal, context, target, placed);
}

#[allow(
    clippy::too_many_arguments,
    reason = "what comes, into which lot, and why"
)]
fn grow(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    target: usize,
    reason: ReasonCode,
    lot: usize,
    part: Amount,
    cost: Option<&crate::burn_order::CostBasis>,
) {
    let row = &mut book.lots[lot];
    row.amount = row.amount.saturating_add(part);
    row.free = row.free.saturating_add(part);
    row.cost = cost::sum(row.cost.as_ref(), cost);
    let about = About {
        wallet: Some(row.wallet),
        fact: Some(Fact::LotGrew {
            lot: row.id,
            cost: row.cost.clone(),
        }),
        ..About::default()
    };
    let draws = vec![Draw {
        lot: row.id,
        amount: part,
    }];
    journal.transfer(
        context,
        &mut book.accounts[target],
        EntryKind::Transfer,
        reason,
        (LedgerAccount::Transferred, LedgerAccount::Available, part),
        draws,
        about,
    );
}
