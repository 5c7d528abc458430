//! Credit in: every way of it makes a lot here.

use std::collections::BTreeMap;

use creditgate_core::amount::Amount;

use crate::bonus;
use crate::book::Book;
use crate::burn_order::{CostBasis, Lot, LotKind, LotSource};
use crate::context::Context;
use crate::cost;
use crate::id::WalletId;
use crate::journal::{EntryKind, Journal, LedgerAccount, ReasonCode};
use crate::lend;
use crate::lot::{self, Origin};
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::wallet;

pub use crate::lot::{FUNDED_MAX, LOTS_MAX};
pub use crate::void::{Voided, void};

/// What a top-up makes. [`TopUp::new`] fills in what most have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopUp {
    /// Into which wallet.
    pub wallet: WalletId,
    /// How much, in smallest units.
    pub amount: Amount,
    /// Why.
    pub reason: ReasonCode,
    /// What kind of credit.
    pub kind: LotKind,
    /// Who or what adds it.
    pub source: LotSource,
    /// The operator's name for the lot; unique, which the caller sees to.
    pub external_id: Option<String>,
    /// Smaller burns first.
    pub priority: Option<i32>,
    /// From when it can be spent; none: at once.
    pub effective_at: Option<Timestamp>,
    /// Until when.
    pub expires_at: Option<Timestamp>,
    /// What was, or is to be, paid; none: for a purchase, by the wallet's price of a credit.
    pub cost: Option<CostBasis>,
    /// It can be spent only once it is [paid](crate::payment::pay); unless the settings say
    /// that payment is authorised before.
    pub awaits_payment: bool,
    /// What comes on top; none: on a purchase, what the settings' slabs say.
    pub bonus: Option<Amount>,
    /// What the operator says of it.
    pub description: Option<String>,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
}

impl TopUp {
    /// Credit of the kind that the reason makes, at once and for ever.
    #[must_use]
    pub const fn new(wallet: WalletId, amount: Amount, reason: ReasonCode) -> Self {
        Self {
            wallet,
            amount,
            reason,
            kind: LotKind::of(reason),
            source: LotSource::TopUp,
            external_id: None,
            priority: None,
            effective_at: None,
            expires_at: None,
            cost: None,
            awaits_payment: false,
            bonus: None,
            description: None,
            metadata: BTreeMap::new(),
        }
    }
}

/// What comes on top of a purchase, as a lot of its own.
struct Extra {
    amount: Amount,
    priority: Option<i32>,
    expires_at: Option<Timestamp>,
}

/// Adds a lot; what is owed is repaid from it first.
///
/// # Errors
/// Unknown or closed wallet, an amount that is not above zero, an expiry that has passed or
/// comes before the lot is effective, too many lots, or a sum above [`FUNDED_MAX`].
pub fn top_up(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    command: TopUp,
) -> Result<Lot, Refusal> {
    let (_, place) = wallet::open_place(book, command.wallet)?;
    check(context, &command)?;
    let extra = extra(book, context, place, &command)?;
    let on_top = extra.as_ref().map_or(Amount::ZERO, |extra| extra.amount);
    let sum = command.amount.checked_add(on_top);
    let lots = 1 + usize::from(extra.is_some());
    lot::check_room(book, place, sum.ok_or(Refusal::Overflow)?, lots)?;
    let row = row(book, context, place, &command)?;
    let id = row.id;
    let bonus = extra.map(|extra| on_top_of(context, &row, &extra));
    let placed = add(book, journal, context, place, row);
    if let Some(bonus) = bonus {
        add(book, journal, context, place, bonus);
    }
    lend::settle_waiters(book, journal, context, place);
    let known = book.lots.get(placed).filter(|lot| lot.id == id);
    known.cloned().ok_or_else(|| Refusal::NotFound {
        what: "lot",
        id: id.to_string(),
    })
}

fn check(context: &Context<'_>, command: &TopUp) -> Result<(), Refusal> {
    let invalid = |field, code, problem: &str| {
        Err(Refusal::Invalid {
            field,
            code,
            problem: problem.to_owned(),
        })
    };
    if command.amount <= Amount::ZERO {
        return invalid(
            "/amount",
            "amount_not_positive",
            "must be more than zero of the currency's smallest unit",
        );
    }
    if command.bonus.is_some_and(Amount::is_negative) {
        return invalid(
            "/bonus_credits",
            "amount_negative",
            "must not be less than zero",
        );
    }
    let effective_at = command.effective_at.unwrap_or(context.now);
    match command.expires_at {
        Some(expires_at) if expires_at <= context.now => {
            invalid("/expires_at", "expiry_in_the_past", "must be after now")
        }
        Some(expires_at) if expires_at <= effective_at => invalid(
            "/expires_at",
            "expiry_before_effective",
            "must be after effective_at",
        ),
        _ => Ok(()),
    }
}

/// The bonus that comes with it: as the operator says, else as the settings' slabs do.
fn extra(
    book: &Book,
    context: &Context<'_>,
    place: usize,
    command: &TopUp,
) -> Result<Option<Extra>, Refusal> {
    if let Some(amount) = command.bonus {
        let extra = Extra {
            amount,
            priority: command.priority,
            expires_at: command.expires_at,
        };
        return Ok((!amount.is_zero()).then_some(extra));
    }
    let is_bought = command.kind == LotKind::Purchased
        && matches!(command.source, LotSource::TopUp | LotSource::AutoTopUp);
    let Some(wallet) = book.wallet(command.wallet).filter(|_| is_bought) else {
        return Ok(None);
    };
    let slabs = &context.settings().bonus_slabs;
    let scale = book.accounts[place].scale;
    let due = bonus::of_purchase(slabs, command.amount, &wallet.conversion_rate, scale)?;
    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
    Ok(due.map(|(slab, amount)| Extra {
        amount,
        priority: slab.priority,
        expires_at: slab.expire_in_days.map(|days| {
            let from = command.effective_at.unwrap_or(context.now);
            let from = from.max(context.now);
            from.plus_ms(u64::from(days).saturating_mul(DAY_MS))
        }),
    }))
}

fn row(
    book: &Book,
    context: &mut Context<'_>,
    place: usize,
    command: &TopUp,
) -> Result<Lot, Refusal> {
    let account = &book.accounts[place];
    let of = (command.wallet, account.id);
    let price = match (&command.cost, book.wallet(command.wallet)) {
        (None, Some(wallet)) if command.kind == LotKind::Purchased => {
            Some(cost::of_amount(wallet, command.amount, account.scale)?)
        }
        (cost, _) => cost.clone(),
    };
    let settings = context.settings();
    let waits = command.awaits_payment && !settings.auto_complete_purchased_credit_transaction;
    let ttl_ms = settings.unpaid_lot_ttl_ms;
    let blank = lot::blank(context, of, command.kind, command.reason, command.source);
    let lapses_at = context.now.plus_ms(ttl_ms);
    // A lot that was over before it was paid for would be paid for nothing.
    let lapses_at = command.expires_at.map_or(lapses_at, |at| at.min(lapses_at));
    let (unpaid, free) = if waits {
        (command.amount, Amount::ZERO)
    } else {
        (Amount::ZERO, command.amount)
    };
    Ok(Lot {
        external_id: command.external_id.clone(),
        priority: command.priority,
        effective_at: command.effective_at.unwrap_or(context.now),
        expires_at: command.expires_at,
        amount: command.amount,
        unpaid,
        lapses_at: waits.then_some(lapses_at),
        free,
        cost: price,
        description: command.description.clone(),
        metadata: command.metadata.clone(),
        ..blank
    })
}

/// The bonus lot of a purchase: it waits for the same payment.
fn on_top_of(context: &mut Context<'_>, purchase: &Lot, extra: &Extra) -> Lot {
    let blank = lot::blank(
        context,
        (purchase.wallet, purchase.account),
        LotKind::Bonus,
        ReasonCode::PurchasedCreditBonus,
        LotSource::Bonus(purchase.id),
    );
    let waits = !purchase.unpaid.is_zero();
    let (unpaid, free) = if waits {
        (extra.amount, Amount::ZERO)
    } else {
        (Amount::ZERO, extra.amount)
    };
    Lot {
        priority: extra.priority,
        effective_at: purchase.effective_at,
        expires_at: extra.expires_at,
        amount: extra.amount,
        unpaid,
        lapses_at: purchase.lapses_at,
        free,
        ..blank
    }
}

fn add(
    book: &mut Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    place: usize,
    row: Lot,
) -> usize {
    let origin = Origin {
        from: LedgerAccount::Funding,
        kind: EntryKind::TopUp,
        reason: row.reason,
    };
    let placed = lot::make(book, journal, context, place, origin, row);
    lot::land(book, journal, context, place, placed);
    placed
}
