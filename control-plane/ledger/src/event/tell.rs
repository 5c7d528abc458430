//! What events of wallets and lots say: ids, the operator's names, amounts as decimal strings
//! in the currency and in credits of the wallet, reason codes.

use creditgate_core::amount::{Amount, Scale, format};
use serde_json::{Map, Value};

use super::EventKind;
use crate::book::Book;
use crate::burn_order::Lot;
use crate::claim::{Claim, ClaimPurpose};
use crate::context::Context;
use crate::credits::Rate;
use crate::id::WalletId;
use crate::journal::Journal;

/// The data of an event that is being put together.
pub struct Tale {
    data: Map<String, Value>,
    rate: Rate,
    scale: Scale,
}

impl Tale {
    /// Of a customer.
    #[must_use]
    pub fn of_customer(book: &Book) -> Self {
        let mut tale = Self {
            data: Map::new(),
            rate: Rate::default(),
            scale: Scale::MAX,
        };
        tale.say("customer_id", book.customer.id.to_string());
        tale.say("customer_external_id", book.customer.external_id.as_str());
        tale
    }

    /// Of a wallet.
    #[must_use]
    pub fn of_wallet(book: &Book, id: WalletId) -> Self {
        let mut tale = Self::of_customer(book);
        tale.say("wallet_id", id.to_string());
        if let Some(wallet) = book.wallet(id) {
            tale.say("wallet_external_id", wallet.external_id.clone());
            tale.say("currency", wallet.currency.to_string());
            tale.rate = wallet.conversion_rate.clone();
            let account = book.account(wallet.account);
            tale.scale = account.map_or(Scale::MAX, |account| account.scale);
        }
        tale
    }

    /// Says something.
    pub fn say(&mut self, name: &str, value: impl Into<Value>) {
        self.data.insert(name.to_owned(), value.into());
    }

    /// Says an amount in the currency.
    pub fn say_amount(&mut self, name: &str, amount: Amount) {
        self.say(name, format(amount, self.scale).to_string());
    }

    /// Says the amount that it is about, in the currency and in credits of the wallet.
    pub fn say_value(&mut self, amount: Amount) {
        self.say_amount("amount", amount);
        self.say("credits", self.rate.credits(amount, self.scale));
    }

    /// Says what a wallet has, in the currency and in credits.
    pub fn say_balance(&mut self, balance: Amount) {
        self.say_amount("balance", balance);
        self.say("credit_balance", self.rate.credits(balance, self.scale));
    }

    /// What it says.
    #[must_use]
    pub fn data(self) -> Value {
        Value::Object(self.data)
    }

    /// Notes the event.
    pub fn tell(
        self,
        book: &Book,
        journal: &mut Journal,
        context: &mut Context<'_>,
        kind: EventKind,
    ) {
        journal.tell(context, book.customer.id, kind, self.data());
    }
}

/// Tells of a wallet.
pub(crate) fn wallet(
    book: &Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    kind: EventKind,
    id: WalletId,
    more: impl FnOnce(&mut Tale),
) {
    let mut tale = Tale::of_wallet(book, id);
    more(&mut tale);
    tale.tell(book, journal, context, kind);
}

/// Tells of a lot; its amount is the lot's, unless `more` says another.
pub(crate) fn lot(
    book: &Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    kind: EventKind,
    lot: &Lot,
    more: impl FnOnce(&mut Tale),
) {
    let mut tale = Tale::of_wallet(book, lot.wallet);
    tale.say("lot_id", lot.id.to_string());
    tale.say("lot_external_id", lot.external_id.clone());
    tale.say("kind", word(&lot.kind));
    tale.say("reason_code", lot.reason.as_str());
    tale.say("status", word(&lot.status(context.now)));
    tale.say("priority", lot.priority);
    tale.say("effective_at", lot.effective_at.to_string());
    tale.say("expires_at", lot.expires_at.map(|at| at.to_string()));
    tale.say_value(lot.amount);
    more(&mut tale);
    tale.tell(book, journal, context, kind);
}

/// Tells of a claim as it stands.
pub(crate) fn claim(
    book: &Book,
    journal: &mut Journal,
    context: &mut Context<'_>,
    kind: EventKind,
    claim: &Claim,
) {
    let mut tale = Tale::of_wallet(book, claim.wallet);
    tale.say("claim_id", claim.id.to_string());
    tale.say("reason_code", claim.reason.as_str());
    tale.say("reason", claim.note.clone());
    match claim.purpose {
        ClaimPurpose::Debit => tale.say("purpose", "debit"),
        ClaimPurpose::Transfer { to } => {
            tale.say("purpose", "transfer");
            tale.say("to_wallet_id", to.to_string());
            let to = book.wallet(to).and_then(|to| to.external_id.clone());
            tale.say("to_wallet_external_id", to);
        }
    }
    tale.say_value(claim.asked);
    tale.say_amount("done", claim.done);
    tale.say_amount("pending_recall", claim.pending());
    tale.say_amount("short", claim.short);
    tale.tell(book, journal, context, kind);
}

/// The word of an enumeration on the wire.
pub(crate) fn word(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
