//! What stands against an auto top-up: who may have none now, and how many there were.

use super::calendar::Day;
use super::{AutoTopUp, AutoTopUpRefusal, AutoTopUpState};
use crate::book::{Book, CustomerStatus};
use crate::context::Context;
use crate::time::Timestamp;
use crate::wallet::{Wallet, WalletStatus};

/// Why not, and when it is tried again by itself.
pub(super) type Refused = (AutoTopUpRefusal, Option<Timestamp>);

/// Whether another may be made now; if so, on which day it counts.
pub(super) fn allowed(
    book: &Book,
    context: &Context<'_>,
    place: usize,
    terms: &AutoTopUp,
) -> Result<Day, Refused> {
    let (wallet, settings) = (&book.wallets[place], &context.registry.settings);
    let state = &wallet.auto_topup_state;
    let day = Day::of(context.now, &book.customer.time_zone);
    let (in_day, in_month) = counts(state, day);
    let per_day = terms
        .per_day_max
        .unwrap_or(settings.auto_topups_per_day_max);
    let per_month = terms
        .per_month_max
        .unwrap_or(settings.auto_topups_per_month_max);
    let cooldown_ms = terms.cooldown_ms.unwrap_or(settings.auto_topup_cooldown_ms);
    let last = state.last_at.max(state.unpaid_at);
    let cool_at = last.map(|last| last.plus_ms(cooldown_ms));
    if book.customer.status == CustomerStatus::Suspended {
        Err((AutoTopUpRefusal::CustomerSuspended, None))
    } else if wallet.status == WalletStatus::Closed {
        Err((AutoTopUpRefusal::WalletClosed, None))
    } else if wallet.status == WalletStatus::Frozen {
        Err((AutoTopUpRefusal::WalletFrozen, None))
    } else if state.pending.is_some() {
        Err((AutoTopUpRefusal::PaymentPending, None))
    } else if in_month >= per_month {
        Err((AutoTopUpRefusal::MonthlyCap, day.next_month()))
    } else if in_day >= per_day {
        Err((AutoTopUpRefusal::DailyCap, day.next()))
    } else if cool_at.is_some_and(|cool_at| cool_at > context.now) {
        Err((AutoTopUpRefusal::Cooldown, cool_at))
    } else {
        Ok(day)
    }
}

/// How many were made on a day, and in its month.
pub(super) fn counts(state: &AutoTopUpState, day: Day) -> (u32, u32) {
    let in_day = if state.day == day.name() {
        state.in_day
    } else {
        0
    };
    let is_month = day.is_in_month_of(&state.day);
    (in_day, if is_month { state.in_month } else { 0 })
}

/// How many auto top-ups a wallet had today and this month, as the customer's zone has them.
#[must_use]
pub fn made_by_now(wallet: &Wallet, zone: &str, now: Timestamp) -> (u32, u32) {
    counts(&wallet.auto_topup_state, Day::of(now, zone))
}
