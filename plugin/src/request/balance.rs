//! A customer reads its own balance through the gateway, with its key, at no cost, and also
//! while it may not spend.

use std::borrow::Cow;
use std::rc::Rc;

use creditgate_core::amount::format;
use creditgate_core::cell::Cell;
use serde::Serialize;

use super::refusal::Refusal;
use super::{Refused, Verdict};
use crate::gate::{Credential, Gate};
use crate::host::Reply;

#[derive(Serialize)]
struct Balance<'a> {
    customer: &'a str,
    currency: &'a str,
    balance: String,
    spendable: String,
    balance_age_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked: Option<&'a str>,
}

impl Gate {
    pub(crate) fn tell_balance(
        &self,
        now_ms: u64,
        credential: &Rc<Credential>,
        cell: &Cell,
    ) -> Verdict {
        let balance = Balance {
            customer: &credential.customer,
            currency: credential.currency.as_str(),
            balance: format(cell.balance(), credential.scale).to_string(),
            spendable: format(cell.spendable(), credential.scale).to_string(),
            balance_age_seconds: (now_ms / 1000).saturating_sub(u64::from(cell.balance_at_s)),
            blocked: cell.block.map(|block| Refusal::blocked(block).code()),
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
