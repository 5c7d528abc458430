//! Credit as a rate limit, in the fields of draft-ietf-httpapi-ratelimit-headers-11.
//!
//! The quota policy is the rule, its unit requests: `q` is how many of them the credit that is
//! left came to when it was issued, `r` how many it pays now. There is no window: credit does not
//! come back by itself. A policy stays the same over responses; so it is told only where each
//! request of the rule has the same price.

use creditgate_core::amount::Amount;
use creditgate_core::rate_card::Rule;

const LIMIT: &str = "ratelimit";
const POLICY: &str = "ratelimit-policy";
/// The largest integer of a structured field (RFC 9651).
const INTEGER_MAX: i64 = 999_999_999_999_999;

/// What is left of an account's credit, and what a request like this one takes of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    pub(crate) remaining: Amount,
    pub(crate) issued: Amount,
    pub(crate) price: Amount,
}

/// The fields and their values; none where nothing is limited, since requests cost nothing. The
/// ids of rules need no escapes.
pub(crate) fn fields(rule: &Rule, left: Left) -> impl Iterator<Item = (&'static str, String)> {
    let requests = |credit: Amount| {
        let count = credit.get().checked_div(left.price.get());
        count.map(|count| count.clamp(0, INTEGER_MAX))
    };
    let limit = requests(left.remaining).map(|r| (LIMIT, format!("\"{}\";r={r}", rule.id())));
    let quota = requests(left.issued.max(left.remaining)).filter(|_| rule.is_fixed());
    let policy = quota.map(|q| (POLICY, format!("\"{}\";q={q}", rule.id())));
    limit.into_iter().chain(policy)
}
