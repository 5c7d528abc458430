//! Whose a credential is, and which of the customer's accounts pay.
//!
//! A customer has a general account in the card's currency, and may have others that are
//! limited to some of the card's rules: these pay first for their rules. All of them come
//! with the answer to the question for the credential. For customers who have none, and
//! that is most, a request costs one look at an empty list.

use std::cell::Cell;
use std::rc::Rc;

use creditgate_core::amount::{Currency, Scale};
use creditgate_core::id::{AccountId, InstanceId};
use creditgate_core::key::CredentialHash;
use creditgate_core::protocol::{EnforcementMode, Resolved};

use crate::request::access_log;
use crate::shared;

/// Whose a credential is, and an account that pays for it.
#[derive(Debug)]
pub(crate) struct Credential {
    pub(crate) hash: CredentialHash,
    pub(crate) account: AccountId,
    pub(crate) customer: Rc<str>,
    /// What the access log says of it.
    pub(crate) log_fields: String,
    pub(crate) currency: Currency,
    pub(crate) scale: Scale,
    /// Where the account's cell was last; a guess while it has none.
    pub(crate) slot: Cell<u32>,
    /// The customer's credential version when this was learned.
    pub(crate) version: u32,
    /// Of which ledger it was learned.
    pub(crate) ledger: u32,
    /// Whether refusals were carried out for the customer then.
    pub(crate) mode: EnforcementMode,
    /// By rule, in order of their ids: which account pays first.
    limits: Box<[Limit]>,
}

#[derive(Debug)]
struct Limit {
    rule: Box<str>,
    payer: Rc<Credential>,
}

impl Credential {
    /// What an answer says of a credential whose general account's cell is at `slot`.
    pub(crate) fn of(
        hash: CredentialHash,
        resolved: &Resolved,
        slot: u32,
        ledger: u32,
        (instance, cells_max): (InstanceId, u32),
    ) -> Self {
        let customer = Rc::from(resolved.customer.as_str());
        let account = |account, slot, limits| {
            let currency = resolved.currency;
            Self {
                hash,
                account,
                customer: Rc::clone(&customer),
                log_fields: access_log::fields_of(&customer, account, currency, instance),
                currency,
                scale: resolved.scale,
                slot: Cell::new(slot),
                version: resolved.answer.state.credential_version,
                ledger,
                mode: resolved.answer.state.mode,
                limits,
            }
        };
        let mut limits: Vec<Limit> = Vec::new();
        for limited in &resolved.limited {
            let slot = shared::first_slot(limited.account, cells_max);
            let payer = Rc::new(account(limited.account, slot, Box::default()));
            for rule in &limited.rules {
                let limit = Limit {
                    rule: rule.as_str().into(),
                    payer: Rc::clone(&payer),
                };
                let place = limits.partition_point(|known| known.rule < limit.rule);
                limits.insert(place, limit);
            }
        }
        account(resolved.answer.account, slot, limits.into_boxed_slice())
    }

    /// The account that pays before this one for a rule.
    pub(crate) fn limited_to(&self, rule: &str) -> Option<&Rc<Self>> {
        let place = self
            .limits
            .binary_search_by(|limit| (*limit.rule).cmp(rule))
            .ok()?;
        self.limits.get(place).map(|limit| &limit.payer)
    }

    /// Every account that pays first for some rule, with its rules.
    pub(crate) fn limited(&self) -> Vec<(Rc<Self>, Vec<&str>)> {
        let mut accounts: Vec<(Rc<Self>, Vec<&str>)> = Vec::new();
        for limit in &self.limits {
            let known = accounts
                .iter_mut()
                .find(|(payer, _)| Rc::ptr_eq(payer, &limit.payer));
            match known {
                Some((_, rules)) => rules.push(&limit.rule),
                None => accounts.push((Rc::clone(&limit.payer), vec![&limit.rule])),
            }
        }
        accounts
    }

    /// The limited account of this id.
    pub(crate) fn limited_account(&self, account: AccountId) -> Option<&Rc<Self>> {
        let mut payers = self.limits.iter().map(|limit| &limit.payer);
        payers.find(|payer| payer.account == account)
    }
}
