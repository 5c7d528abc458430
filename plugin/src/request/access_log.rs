//! What the proxy's access log can say of a request: filter state `wasm.creditgate`.
//!
//! Summed up, the costs in the log are the costs in the ledger. Amounts are decimals of the
//! currency, in text, as people read them.

use creditgate_core::amount::{Amount, format};
use serde::Serialize;

use super::{Admitted, Refused, Shadowed, Terms, account_of};
use crate::gate::Credential;
use crate::host::Host;

const KEY: &str = "creditgate";

/// What became of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Settled,
    Released,
    /// The cell no longer knew the lease; the control plane accounts for it.
    Gone,
}

#[derive(Serialize, Default)]
struct Line<'a> {
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    card_version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn of(
        outcome: &'a str,
        terms: Option<&'a Terms>,
        credential: Option<&'a std::rc::Rc<Credential>>,
    ) -> Self {
        let priced = terms.zip(credential);
        Self {
            outcome,
            customer: credential.map(|credential| credential.customer.as_str()),
            account: account_of(credential).map(|account| account.to_string()),
            rule: terms.map(|terms| terms.rule.id()),
            card_version: terms.map(|terms| terms.card_version),
            estimate: priced
                .map(|(terms, credential)| format(terms.cost(), credential.scale).to_string()),
            currency: credential.map(|credential| credential.currency.as_str()),
            ..Self::default()
        }
    }

    fn write(&self, host: &dyn Host) {
        if let Ok(text) = serde_json::to_vec(self) {
            host.set_filter_state(KEY, &text);
        }
    }
}

pub(crate) fn admitted(host: &dyn Host, admitted: &Admitted, cost: Amount, fate: Fate) {
    let outcome = match fate {
        Fate::Settled => "settled",
        Fate::Released => "released",
        Fate::Gone => "gone",
    };
    let line = Line::of(outcome, Some(&admitted.terms), Some(&admitted.credential));
    Line {
        lease: Some(admitted.lease.to_string()),
        cost: Some(format(cost, admitted.credential.scale).to_string()),
        ..line
    }
    .write(host);
}

pub(crate) fn shadowed(host: &dyn Host, shadowed: &Shadowed) {
    let outcome = match shadowed.refusal {
        Some(_) => "would_refuse",
        None if shadowed.credential.is_some() => "would_admit",
        None => "undecided",
    };
    let line = Line::of(
        outcome,
        shadowed.terms.as_ref(),
        shadowed.credential.as_ref(),
    );
    Line {
        code: shadowed.refusal.map(super::refusal::Refusal::code),
        ..line
    }
    .write(host);
}

pub(crate) fn refused(host: &dyn Host, refused: &Refused) {
    let outcome = if refused.refusal.is_some() {
        "refused"
    } else {
        "answered"
    };
    let line = Line::of(outcome, refused.terms.as_ref(), refused.credential.as_ref());
    Line {
        code: refused.refusal.map(super::refusal::Refusal::code),
        ..line
    }
    .write(host);
}
