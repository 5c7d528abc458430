//! Commands on wallets and lots: texts and names become amounts and ids, then the ledger decides.
//!
//! What is shown is read from the book when all that the command set off is done: a wallet may
//! have topped itself up, a lot may have repaid what was owed.

use creditgate_core::amount::{Amount, Scale, parse_decimal};
use creditgate_ledger::claim::{ClaimLots, ClaimPurpose, NewClaim};
use creditgate_ledger::id::{ClaimId, LotId, WalletId};
use creditgate_ledger::wallet::{PaidCredit, WalletChange};
use creditgate_ledger::{
    Book, ReasonCode, Refusal, Wallet, balance, claim, credit_limit, lot, payment, void, wallet,
};

use super::{Failure, Work, account_of, in_field, not_found};
use crate::command::Outcome;
use crate::command::wallet::{
    ChangeWallet, HowMuch, LotNow, WalletCommand, WalletNow, WalletOutcome,
};
use crate::storage::Target;

mod adding;

impl Work<'_> {
    pub(super) fn decide_wallet(
        &mut self,
        actor: &str,
        command: WalletCommand,
    ) -> Result<Outcome, Failure> {
        let outcome = match command {
            WalletCommand::Create(new) => self.create_wallet(actor, *new)?,
            WalletCommand::Change(change) => self.change_wallet(actor, *change)?,
            WalletCommand::SetStatus {
                wallet,
                status,
                reason,
            } => {
                let id = self.on(actor, &wallet, |book, journal, context, _| {
                    let (id, why) = (wallet_of(book, &wallet)?.id, reason.as_deref());
                    wallet::set_status(book, journal, context, id, status, why)?;
                    Ok(id)
                })?;
                WalletOutcome::Wallet(self.wallet_now(&wallet, id)?)
            }
            WalletCommand::Close {
                wallet,
                transfer_to,
                reason,
            } => self.close_wallet(actor, &wallet, transfer_to.as_ref(), &reason)?,
            WalletCommand::TopUp(top_up) => self.top_up(actor, *top_up)?,
            WalletCommand::PayLot {
                lot,
                reference,
                reason,
            } => {
                let id = self.on(actor, &lot, |book, journal, context, _| {
                    let (id, why) = (lot_of(book, &lot)?, reason.as_deref());
                    payment::pay(book, journal, context, id, reference, why)?;
                    Ok(id)
                })?;
                WalletOutcome::Lot(self.lot_now(&lot, id)?)
            }
            WalletCommand::RankLot {
                lot,
                priority,
                reason,
            } => {
                let id = self.on(actor, &lot, |book, journal, context, _| {
                    let (id, why) = (lot_of(book, &lot)?, reason.as_deref());
                    lot::set_priority(book, journal, context, id, priority, why)?;
                    Ok(id)
                })?;
                WalletOutcome::Lot(self.lot_now(&lot, id)?)
            }
            WalletCommand::VoidLot { lot, reason } => {
                let (id, voided) = self.on(actor, &lot, |book, journal, context, _| {
                    let id = lot_of(book, &lot)?;
                    let (_, voided) = void::void(book, journal, context, id, &reason)?;
                    Ok((id, voided))
                })?;
                WalletOutcome::Voided(self.lot_now(&lot, id)?, voided)
            }
            WalletCommand::Debit {
                wallet,
                value,
                lot,
                reason_code,
                reason,
            } => self.debit(actor, &wallet, &value, lot.as_ref(), (reason_code, reason))?,
            WalletCommand::Adjust {
                wallet,
                value,
                reason,
            } => self.adjust(actor, wallet, value, reason)?,
            WalletCommand::Transfer {
                wallet,
                to,
                value,
                reason,
            } => self.transfer(actor, &wallet, &to, &value, reason)?,
        };
        Ok(Outcome::Wallet(Box::new(outcome)))
    }

    fn change_wallet(&mut self, actor: &str, new: ChangeWallet) -> Result<WalletOutcome, Failure> {
        let target = new.wallet;
        let id = self.on(actor, &target, |book, journal, context, _| {
            let wallet = wallet_of(book, &target)?;
            let (id, scale) = (wallet.id, account_of(book, wallet.account)?.scale);
            let limit = new.credit_limit.map(|credits| {
                let limit = wallet.conversion_rate.times(&credits, scale);
                limit.map_err(|refusal| at(refusal, "/credits_to_add", "/credit_limit"))
            });
            let change = WalletChange {
                name: new.name,
                priority: new.priority,
                credit_limit: limit.transpose()?,
                auto_topup: new.auto_topup,
                alert_settings: new.alert_settings,
                metadata: new.metadata,
                reason: new.reason,
            };
            let changed = wallet::change(book, journal, context, id, change);
            changed.map_err(|refusal| at(refusal, "", "/credit_limit"))?;
            Ok(id)
        })?;
        Ok(WalletOutcome::Wallet(self.wallet_now(&target, id)?))
    }

    fn close_wallet(
        &mut self,
        actor: &str,
        target: &Target,
        transfer_to: Option<&Target>,
        reason: &str,
    ) -> Result<WalletOutcome, Failure> {
        let closing = self.on(actor, target, |book, journal, context, _| {
            let id = wallet_of(book, target)?.id;
            let to = transfer_to.map(|to| wallet_in(book, to, "/transfer_to"));
            let paid = match to.transpose()?.map(|to| to.id) {
                Some(to) => PaidCredit::Transfer(to),
                None => PaidCredit::Keep,
            };
            let closing = wallet::close(book, journal, context, id, paid, reason);
            Ok(closing.map_err(|refusal| at(refusal, "/to", "/transfer_to"))?)
        })?;
        let now = self.wallet_now(target, closing.wallet.id)?;
        Ok(WalletOutcome::Closed(now, closing))
    }

    fn debit(
        &mut self,
        actor: &str,
        target: &Target,
        value: &HowMuch,
        lot: Option<&Target>,
        (reason, note): (ReasonCode, String),
    ) -> Result<WalletOutcome, Failure> {
        let (wallet, claim) = self.on(actor, target, |book, journal, context, _| {
            let wallet = wallet_of(book, target)?;
            let asked = amount_of(book, wallet, value)?;
            let id = wallet.id;
            let lots = match lot {
                Some(lot) => {
                    let found = named_lot(book, lot);
                    ClaimLots::One(found.ok_or_else(|| in_field(not_found(lot), "/lot_id"))?)
                }
                None => ClaimLots::Any,
            };
            let new = NewClaim {
                wallet: id,
                purpose: ClaimPurpose::Debit,
                lots,
                reason,
                note: Some(note),
                asked,
            };
            let claim = claim::open(book, journal, context, new);
            let claim = claim.map_err(|refusal| match refusal {
                // The wallet was found just now.
                Refusal::NotFound { .. } => in_field(refusal, "/lot_id"),
                other => in_unit(other, value),
            });
            Ok((id, claim?.id))
        })?;
        self.claim_now(target, wallet, claim)
    }

    fn transfer(
        &mut self,
        actor: &str,
        target: &Target,
        to: &Target,
        value: &HowMuch,
        note: String,
    ) -> Result<WalletOutcome, Failure> {
        let (wallet, claim) = self.on(actor, target, |book, journal, context, _| {
            let wallet = wallet_of(book, target)?;
            let new = NewClaim {
                wallet: wallet.id,
                purpose: ClaimPurpose::Transfer {
                    to: wallet_in(book, to, "/to")?.id,
                },
                lots: ClaimLots::Any,
                reason: ReasonCode::WalletTransfer,
                note: Some(note),
                asked: amount_of(book, wallet, value)?,
            };
            let id = wallet.id;
            let claim = claim::open(book, journal, context, new);
            Ok((id, claim.map_err(|refusal| in_unit(refusal, value))?.id))
        })?;
        self.claim_now(target, wallet, claim)
    }

    /// The book behind a target, as it was decided so far.
    fn book(&self, target: &Target) -> Result<&Book, Refusal> {
        let place = self.place(target)?;
        let book = self.books.get(place).map(|(_, book)| book);
        book.ok_or_else(|| not_found(target))
    }

    fn wallet_now(&self, target: &Target, id: WalletId) -> Result<WalletNow, Failure> {
        let book = self.book(target)?;
        let at = book.instant(self.clock);
        let wallet = wallet_of(book, &Target::Wallet(id))?.clone();
        let parts = balance::parts(book, wallet.account, Some(id), at);
        Ok(WalletNow {
            account: account_of(book, wallet.account)?,
            balance: parts.balance(),
            owed: credit_limit::owed(book, id),
            time_zone: book.customer.time_zone.clone(),
            at,
            wallet,
        })
    }

    fn lot_now(&self, target: &Target, id: LotId) -> Result<LotNow, Failure> {
        let book = self.book(target)?;
        let lot = book.lot(id).cloned();
        let lot = lot.ok_or_else(|| not_found(&Target::Lot(id)))?;
        Ok(LotNow {
            wallet: wallet_of(book, &Target::Wallet(lot.wallet))?.clone(),
            account: account_of(book, lot.account)?,
            bonus: None,
            at: book.instant(self.clock),
            lot,
        })
    }

    fn claim_now(
        &self,
        target: &Target,
        wallet: WalletId,
        id: ClaimId,
    ) -> Result<WalletOutcome, Failure> {
        let claim = claim::of(self.book(target)?, id).cloned();
        let claim = claim.ok_or_else(|| not_found(&Target::Claim(id)))?;
        Ok(WalletOutcome::Claim(
            self.wallet_now(target, wallet)?,
            claim,
        ))
    }
}

/// A wallet of a book, by id or by the operator's name.
pub(super) fn wallet_of<'b>(book: &'b Book, target: &Target) -> Result<&'b Wallet, Refusal> {
    let is_meant = |wallet: &&Wallet| match target {
        Target::Wallet(id) => wallet.id == *id,
        Target::WalletName(name) => wallet.external_id.as_ref() == Some(name),
        _ => false,
    };
    let wallet = book.wallets.iter().find(is_meant);
    wallet.ok_or_else(|| not_found(target))
}

/// As [`wallet_of`], of a wallet that a field of the body names.
fn wallet_in<'b>(
    book: &'b Book,
    target: &Target,
    field: &'static str,
) -> Result<&'b Wallet, Refusal> {
    wallet_of(book, target).map_err(|refusal| in_field(refusal, field))
}

/// A lot by id or by the operator's name, whose book the name led to.
fn lot_of(book: &Book, target: &Target) -> Result<LotId, Refusal> {
    // There is such a lot; if it is not in the book it is history.
    named_lot(book, target).ok_or_else(|| Refusal::Conflict {
        code: "lot_not_live",
        problem: match not_found(target) {
            Refusal::NotFound { id, .. } => format!("nothing of lot {id:?} is left"),
            other => other.to_string(),
        },
    })
}

/// A name leads to a lot that is live; the book need not hold others.
fn named_lot(book: &Book, target: &Target) -> Option<LotId> {
    match target {
        Target::Lot(id) => Some(*id),
        Target::LotName(name) => {
            let mut lots = book.lots.iter().filter(|lot| lot.is_live());
            let lot = lots.find(|lot| lot.external_id.as_ref() == Some(name))?;
            Some(lot.id)
        }
        _ => None,
    }
}

fn scale_of(book: &Book, wallet: &Wallet) -> Result<Scale, Refusal> {
    Ok(account_of(book, wallet.account)?.scale)
}

fn amount_of(book: &Book, wallet: &Wallet, value: &HowMuch) -> Result<Amount, Refusal> {
    let scale = scale_of(book, wallet)?;
    match value {
        HowMuch::Credits(credits) => wallet
            .conversion_rate
            .times(credits, scale)
            .map_err(|refusal| at(refusal, "/credits_to_add", "/credits")),
        HowMuch::Amount(amount) => {
            parse_decimal(amount, scale).map_err(|error| Refusal::amount("/amount", &error))
        }
    }
}

/// Names the field of the credits where the amount was at fault.
fn in_unit(refusal: Refusal, value: &HowMuch) -> Refusal {
    match value {
        HowMuch::Credits(_) => at(refusal, "/amount", "/credits"),
        HowMuch::Amount(_) => at(refusal, "/amount", "/amount"),
    }
}

/// Names another field, also where the sum became too large by it.
fn at(refusal: Refusal, known: &str, field: &'static str) -> Refusal {
    match refusal {
        Refusal::Overflow => in_field(refusal, field),
        Refusal::Invalid {
            field: named,
            code,
            problem,
        } if named == known => Refusal::Invalid {
            field,
            code,
            problem,
        },
        other => other,
    }
}
