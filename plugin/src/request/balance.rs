//! A customer reads its own balance through the gateway, with its key, at no cost, and also
//! while it may not spend: that of its general account, and beside it those of the accounts
//! that are limited to rules.

use std::borrow::Cow;
use std::rc::Rc;

use creditgate_core::amount::format;
use creditgate_core::cell::Cell;
use serde::Serialize;

use super::line::Place;
use super::refusal::Refusal;
use super::{Demand, Refused, Verdict};
use crate::credential::Credential;
use crate::gate::Gate;
use crate::host::{Host, Reply};
use crate::shared::{self, Found};

/// What is known of one account; of the general one with all that is the customer's.
#[derive(Serialize)]
struct Balance<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'a str>,
    /// Those that the account is limited to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<&'a str>,
    balance: String,
    spendable: String,
    balance_age_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked: Option<&'a str>,
    /// The accounts that are limited to rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    limited: Vec<Self>,
}

impl Gate {
    /// Tells the balance, once that of each account is young enough.
    pub(crate) fn judge_balance(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        demand: &Demand,
        credential: &Rc<Credential>,
        found: &Found,
    ) -> Verdict {
        let mut limited = Vec::new();
        let mut stale = self.is_stale(now_ms, &found.cell).then_some(found.slot);
        let mut account = credential.account;
        for (payer, rules) in credential.limited() {
            // An account without room for a cell is not told of.
            let Some(found) = self.limited_cell(host, now_ms, &payer) else {
                continue;
            };
            if stale.is_none() && self.is_stale(now_ms, &found.cell) {
                (stale, account) = (Some(found.slot), payer.account);
            }
            limited.push((rules, found.cell));
        }
        match stale {
            Some(slot) => Verdict::Wait(Place::Credit { slot, account }, Some(demand.clone())),
            None => self.tell_balance(now_ms, credential, &found.cell, limited),
        }
    }

    /// Tells the balance as far as it is known, however old.
    pub(crate) fn tell_known_balance(
        &self,
        host: &dyn Host,
        now_ms: u64,
        credential: &Rc<Credential>,
    ) -> Option<Verdict> {
        let cell_of = |payer: &Credential| {
            let found = shared::read(host, payer.slot.get(), payer.account)?;
            (found.cell.version > 0).then_some(found.cell)
        };
        let general = cell_of(credential)?;
        let limited = credential.limited().into_iter();
        let limited = limited.filter_map(|(payer, rules)| Some((rules, cell_of(&payer)?)));
        Some(self.tell_balance(now_ms, credential, &general, limited.collect()))
    }

    fn tell_balance(
        &self,
        now_ms: u64,
        credential: &Rc<Credential>,
        general: &Cell,
        limited: Vec<(Vec<&str>, Cell)>,
    ) -> Verdict {
        let standing = |rules, cell: &Cell| Balance {
            customer: None,
            currency: None,
            rules,
            balance: format(cell.balance(), credential.scale).to_string(),
            spendable: format(cell.spendable(), credential.scale).to_string(),
            balance_age_seconds: (now_ms / 1000).saturating_sub(u64::from(cell.balance_at_s)),
            blocked: cell.block.map(|block| Refusal::blocked(block).code()),
            limited: Vec::new(),
        };
        let limited = limited.into_iter();
        let balance = Balance {
            customer: Some(&credential.customer),
            currency: Some(credential.currency.as_str()),
            limited: limited
                .map(|(rules, cell)| standing(rules, &cell))
                .collect(),
            ..standing(Vec::new(), general)
        };
        let reply = Reply {
            status: 200,
            grpc_status: None,
            details: "creditgate_balance",
            headers: vec![("content-type", Cow::Borrowed("application/json"))],
            body: serde_json::to_vec(&balance).unwrap_or_default(),
        };
        let refused = Refused {
            terms: None,
            credential: Some(Rc::clone(credential)),
            refusal: None,
        };
        Verdict::Answer(Box::new(refused), Box::new(reply))
    }
}
