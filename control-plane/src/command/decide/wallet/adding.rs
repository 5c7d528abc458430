//! Making wallets, and adding credit to them.

use creditgate_core::amount::{Amount, Currency, format, parse_decimal};
use creditgate_ledger::registry::Registry;
use creditgate_ledger::top_up::{self, TopUp};
use creditgate_ledger::wallet::{self, NewWallet};
use creditgate_ledger::{
    Book, CostBasis, LotKind, LotSource, Rate, ReasonCode, Refusal, Scope, Wallet, cost,
};

use super::{amount_of, at, scale_of, wallet_of};
use crate::command::decide::{Failure, Work};
use crate::command::wallet::{CreateWallet, HowMuch, LotNow, Paid, TopUpCommand, WalletOutcome};
use crate::storage::Target;

impl Work<'_> {
    pub(super) fn create_wallet(
        &mut self,
        actor: &str,
        new: CreateWallet,
    ) -> Result<WalletOutcome, Failure> {
        let name = new.external_id.clone().map(Target::WalletName);
        self.is_free("wallet", name.as_ref())?;
        let (currency, scale) = (new.currency, self.registry.scale(&new.currency));
        let customer = new.customer;
        self.place_in(&customer, "/customer_id")?;
        let id = self.on(actor, &customer, |book, journal, context, _| {
            let rate = Rate::parse(&new.conversion_rate, "/conversion_rate")?;
            let price = Rate::parse(&new.topup_conversion_rate, "/topup_conversion_rate")?;
            let limit = new.credit_limit.map(|credits| rate.times(&credits, scale));
            let limit = limit.unwrap_or(Ok(Amount::ZERO));
            let limit = limit.map_err(|refusal| at(refusal, "/credits_to_add", "/credit_limit"))?;
            let new = NewWallet {
                external_id: new.external_id,
                scope: Scope { rules: new.rules },
                name: new.name,
                priority: new.priority,
                wallet_type: new.wallet_type,
                credit_limit: limit,
                conversion_rate: rate,
                topup_conversion_rate: price,
                auto_topup: new.auto_topup,
                alert_settings: new.alert_settings,
                metadata: new.metadata,
                ..NewWallet::plain(currency, scale)
            };
            let made = wallet::create(book, journal, context, new);
            Ok(made.map_err(|refusal| at(refusal, "", "/credit_limit"))?.id)
        })?;
        self.use_currency(currency);
        self.take_name(&customer, name)?;
        Ok(WalletOutcome::Wallet(self.wallet_now(&customer, id)?))
    }

    pub(super) fn top_up(
        &mut self,
        actor: &str,
        command: TopUpCommand,
    ) -> Result<WalletOutcome, Failure> {
        let name = command.external_id.clone().map(Target::LotName);
        self.is_free("lot", name.as_ref())?;
        let target = command.wallet.clone();
        let id = self.on(actor, &target, |book, journal, context, registry| {
            let in_credits = matches!(command.value, HowMuch::Credits(_));
            let top_up = top_up_of(book, registry, command)?;
            let made = top_up::top_up(book, journal, context, top_up);
            let made = made.map_err(|refusal| match in_credits {
                true => at(refusal, "/amount", "/credits_to_add"),
                false => at(refusal, "/amount", "/amount"),
            });
            Ok(made?.id)
        })?;
        self.take_name(&target, name)?;
        // Only here: whether a later command finds the bonus depends on what is left of it.
        let of_it = LotSource::Bonus(id);
        let lots = &self.book(&target)?.lots;
        let bonus = lots.iter().find(|lot| lot.source == of_it).cloned();
        let lot = self.lot_now(&target, id)?;
        Ok(WalletOutcome::Lot(LotNow { bonus, ..lot }))
    }

    /// Adds credit, or takes some out.
    pub(super) fn adjust(
        &mut self,
        actor: &str,
        target: Target,
        value: HowMuch,
        reason: String,
    ) -> Result<WalletOutcome, Failure> {
        let book = self.book(&target)?;
        let amount = amount_of(book, wallet_of(book, &target)?, &value)?;
        let code = ReasonCode::CreditAdjustment;
        let text = |credits: String| match &value {
            HowMuch::Credits(_) => HowMuch::Credits(credits),
            HowMuch::Amount(_) => HowMuch::Amount(credits),
        };
        if amount > Amount::ZERO {
            let command = TopUpCommand {
                description: Some(reason),
                ..TopUpCommand::new(target, value, code)
            };
            let added = self.top_up(actor, command);
            return added.map_err(|failure| match failure {
                Failure::Refused(refusal) => at(refusal, "/credits_to_add", "/credits").into(),
                other => other,
            });
        }
        if amount.is_zero() {
            return Err(Refusal::Invalid {
                field: match value {
                    HowMuch::Credits(_) => "/credits",
                    HowMuch::Amount(_) => "/amount",
                },
                code: "amount_zero",
                problem: "must not be zero".to_owned(),
            }
            .into());
        }
        let (HowMuch::Credits(written) | HowMuch::Amount(written)) = &value;
        let positive = text(written.trim_start_matches('-').to_owned());
        self.debit(actor, &target, &positive, None, (code, reason))
    }

    /// Whether nobody has the operator's name that a new object is to have.
    fn is_free(&self, what: &'static str, name: Option<&Target>) -> Result<(), Failure> {
        match name {
            Some(name @ (Target::WalletName(id) | Target::LotName(id)))
                if self.places.contains_key(name) =>
            {
                let id = id.clone();
                Err(Refusal::Exists {
                    field: "/external_id",
                    what,
                    id,
                }
                .into())
            }
            _ => Ok(()),
        }
    }
}

fn top_up_of(book: &Book, registry: &Registry, command: TopUpCommand) -> Result<TopUp, Refusal> {
    let wallet = wallet_of(book, &command.wallet)?;
    let scale = scale_of(book, wallet)?;
    let amount = amount_of(book, wallet, &command.value);
    let amount = amount.map_err(|refusal| at(refusal, "/credits", "/credits_to_add"))?;
    let is_bought = LotKind::of(command.reason) == LotKind::Purchased;
    let bonus = command.bonus_credits.map(|credits| {
        if !is_bought {
            return Err(Refusal::Invalid {
                field: "/bonus_credits",
                code: "bonus_without_purchase",
                problem: "only a purchase has a bonus; leave it out".to_owned(),
            });
        }
        let bonus = wallet.conversion_rate.times(&credits, scale);
        bonus.map_err(|refusal| at(refusal, "/credits_to_add", "/bonus_credits"))
    });
    let cost = match (&command.paid, &command.value) {
        (Some(paid), _) => Some(cost_of(registry, wallet, paid)?),
        (None, HowMuch::Credits(credits)) if is_bought => {
            let cost = cost::of_credits(wallet, credits, scale);
            Some(cost.map_err(|refusal| at(refusal, "", "/credits_to_add"))?)
        }
        (None, _) => None,
    };
    Ok(TopUp {
        external_id: command.external_id,
        priority: command.priority,
        effective_at: command.effective_at,
        expires_at: command.expires_at,
        cost,
        awaits_payment: command.reason == ReasonCode::PurchasedCreditInvoiced,
        bonus: bonus.transpose()?,
        description: command.description,
        metadata: command.metadata,
        ..TopUp::new(wallet.id, amount, command.reason)
    })
}

/// What someone says was paid, rounded half-even to the scale of the money.
fn cost_of(registry: &Registry, wallet: &Wallet, paid: &Paid) -> Result<CostBasis, Refusal> {
    let currency: Currency = paid.currency.unwrap_or(wallet.currency);
    let scale = registry.scale(&currency);
    let money = |text: &str, field: &'static str| {
        let amount = parse_decimal(text, scale).map_err(|error| Refusal::amount(field, &error))?;
        if amount.is_negative() {
            return Err(Refusal::Invalid {
                field,
                code: "amount_negative",
                problem: "must not be less than zero".to_owned(),
            });
        }
        Ok(format(amount, scale).to_string())
    };
    let tax = paid.tax.as_deref().unwrap_or("0");
    Ok(CostBasis {
        currency,
        received: money(&paid.amount, "/paid/amount")?,
        tax: money(tax, "/paid/tax")?,
        reference: paid.reference.clone(),
    })
}
