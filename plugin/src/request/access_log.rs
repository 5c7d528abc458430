//! What the proxy's access log can say of a request: filter state `wasm.creditgate`, JSON, or by
//! another name ([`log_as`](crate::config::Config::log_as)).
//!
//! Summed up, the costs in the log are the costs in the ledger. Amounts are decimals of the
//! currency, in text, as people read them. Only a customer's name can hold characters that
//! JSON escapes; it is escaped once, when its credential is looked up, not for each request.

use std::fmt::{Display, Write};
use std::rc::Rc;

use creditgate_core::amount::{Amount, Currency, Scale, format};
use creditgate_core::id::{AccountId, InstanceId};
use creditgate_core::lease::LeaseNumber;

use super::refusal::Refusal;
use super::settle::{By, Due};
use super::{Admitted, Refused, Shadowed, Terms};
use crate::credential::Credential;
use crate::host::Host;

/// Longer than most lines are.
const LINE_BYTES: usize = 384;

/// What became of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Settled,
    Released,
    /// The cell no longer knew the lease; the control plane accounts for it.
    Gone,
}

/// One JSON object, field by field.
struct Line(String);

impl Line {
    fn of(outcome: &str, terms: Option<&Terms>, credential: Option<&Rc<Credential>>) -> Self {
        let mut line = Self(String::with_capacity(LINE_BYTES));
        line.0.push_str("{\"outcome\":\"");
        line.0.push_str(outcome);
        line.0.push('"');
        if let Some(credential) = credential {
            line.0.push_str(&credential.log_fields);
        }
        if let Some(terms) = terms {
            line.text("rule", terms.rule.id());
            // Writing to a string can't fail.
            let _ = write!(line.0, ",\"card_version\":{}", terms.card_version);
            if terms.pricing_version > 0 {
                let _ = write!(line.0, ",\"pricing_version\":{}", terms.pricing_version);
            }
        }
        line
    }

    /// A field whose value needs no escapes.
    fn text(&mut self, name: &str, value: impl Display) {
        let _ = write!(self.0, ",\"{name}\":\"{value}\"");
    }

    /// What a cost that is not fixed was made of.
    fn measured(&mut self, admitted: &Admitted, due: &Due) {
        self.text("settled_by", due.by.as_str());
        let models = admitted.models(due.model.as_ref());
        for (name, model) in [("model", models.asked), ("answered_by", models.answered)] {
            if let Some(model) = model {
                let model = serde_json::to_string(model).unwrap_or_else(|_| "\"\"".into());
                let _ = write!(self.0, ",\"{name}\":{model}");
            }
        }
        for (kind, count) in due.measures.tokens.iter().filter(|(_, count)| *count > 0) {
            let _ = write!(self.0, ",\"{}_tokens\":{count}", kind.as_str());
        }
    }

    /// What was booked under each lease, in place of all under one.
    fn shares(&mut self, shares: &[(LeaseNumber, Amount)], scale: Scale) {
        for (place, (lease, cost)) in shares.iter().enumerate() {
            let before = if place == 0 { ",\"shares\":[" } else { "," };
            let cost = format(*cost, scale);
            let _ = write!(
                self.0,
                "{before}{{\"lease\":\"{lease}\",\"cost\":\"{cost}\"}}"
            );
        }
        self.0.push(']');
    }

    fn write(mut self, host: &dyn Host, log_as: &str) {
        self.0.push('}');
        host.set_filter_state(log_as, self.0.as_bytes());
    }
}

/// The part of a line that is the same for all requests of a credential.
pub(crate) fn fields_of(
    customer: &str,
    account: AccountId,
    currency: Currency,
    instance: InstanceId,
) -> String {
    let customer = serde_json::to_string(customer).unwrap_or_else(|_| "\"\"".into());
    format!(
        ",\"customer\":{customer},\"account\":\"{account}\",\"currency\":\"{currency}\",\"instance\":\"{instance}\""
    )
}

pub(crate) fn admitted(
    host: &dyn Host,
    log_as: &str,
    admitted: &Admitted,
    fate: Fate,
    due: &Due,
    shares: &[(LeaseNumber, Amount)],
) {
    let outcome = match fate {
        Fate::Settled => "settled",
        Fate::Released => "released",
        Fate::Gone => "gone",
    };
    let mut line = Line::of(outcome, Some(&admitted.terms), Some(&admitted.credential));
    line.text("lease", admitted.lease);
    line.text("estimate", &admitted.cost_text);
    if due.by == By::Price {
        line.text("cost", &admitted.cost_text);
    } else {
        line.text("cost", format(due.amount, admitted.credential.scale));
    }
    if !shares.is_empty() {
        line.shares(shares, admitted.credential.scale);
    }
    if admitted.is_offline {
        line.0.push_str(",\"offline\":true");
    }
    if !admitted.terms.rule.is_fixed() {
        line.measured(admitted, due);
    }
    line.write(host, log_as);
}

pub(crate) fn shadowed(host: &dyn Host, log_as: &str, shadowed: &Shadowed) {
    let outcome = match shadowed.refusal {
        Some(_) => "would_refuse",
        None if shadowed.credential.is_some() => "would_admit",
        None => "undecided",
    };
    let (terms, credential) = (shadowed.terms.as_ref(), shadowed.credential.as_ref());
    undone(host, log_as, outcome, terms, credential, shadowed.refusal);
}

pub(crate) fn refused(host: &dyn Host, log_as: &str, refused: &Refused) {
    let outcome = match refused.refusal {
        Some(_) => "refused",
        None => "answered",
    };
    let (terms, credential) = (refused.terms.as_ref(), refused.credential.as_ref());
    undone(host, log_as, outcome, terms, credential, refused.refusal);
}

/// The line of a request that moved no money.
fn undone(
    host: &dyn Host,
    log_as: &str,
    outcome: &str,
    terms: Option<&Terms>,
    credential: Option<&Rc<Credential>>,
    refusal: Option<Refusal>,
) {
    let mut line = Line::of(outcome, terms, credential);
    if let Some(refusal) = refusal {
        line.text("code", refusal.code());
    }
    if let (Some(terms), Some(credential)) = (terms, credential) {
        line.text("estimate", format(terms.cost(), credential.scale));
    }
    line.write(host, log_as);
}
