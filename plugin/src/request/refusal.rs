//! Every way the filter says no, and how it says it.
//!
//! HTTP clients get `application/problem+json` with a stable `code`; gRPC clients get a
//! gRPC status. A browser may read a refusal: the page's origin is named in it, without
//! allowing credentials, since the page itself sent the key.

use std::borrow::Cow;

use creditgate_core::amount::{Amount, Currency, Scale, format};
use creditgate_core::protocol::{Barred, Block};
use serde::Serialize;

use super::identify::Client;
use crate::host::Reply;
use crate::metrics::Metric;

/// Why a request does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No credential.
    CredentialMissing,
    /// More than one credential.
    CredentialAmbiguous,
    /// A credential that can't be one.
    CredentialMalformed,
    /// A credential the control plane does not know.
    CredentialUnknown,
    /// Not enough credit.
    CreditExhausted,
    /// Enough credit, but running requests hold it.
    CreditHeld,
    /// The customer is suspended.
    CustomerSuspended,
    /// The wallet is frozen.
    WalletFrozen,
    /// The wallet is closed.
    WalletClosed,
    /// The rate card denies the route.
    RouteDenied,
    /// The path could mean several.
    PathAmbiguous,
    /// The control plane did not answer in time.
    ControlPlaneUnreachable,
    /// Credit is here but must not be spent without asking.
    LeasePastUseBy,
    /// A bound was reached.
    Capacity,
    /// Too many lost races.
    Contention,
    /// The instance is being drained.
    Draining,
    /// The control plane froze the instance.
    InstanceFrozen,
    /// No rate card yet.
    NotReady,
}

struct Terms {
    code: &'static str,
    details: &'static str,
    status: u32,
    grpc_status: i32,
    title: &'static str,
    detail: &'static str,
    metric: Metric,
}

macro_rules! terms {
    ($code:literal, $status:literal, $grpc:literal, $metric:ident, $title:literal, $detail:literal) => {
        Terms {
            code: $code,
            details: concat!("creditgate_", $code),
            status: $status,
            grpc_status: $grpc,
            title: $title,
            detail: $detail,
            metric: Metric::$metric,
        }
    };
}

impl Refusal {
    /// Every refusal, for the reference.
    pub const ALL: &[Self] = &[
        Self::CredentialMissing,
        Self::CredentialAmbiguous,
        Self::CredentialMalformed,
        Self::CredentialUnknown,
        Self::CreditExhausted,
        Self::CreditHeld,
        Self::CustomerSuspended,
        Self::WalletFrozen,
        Self::WalletClosed,
        Self::RouteDenied,
        Self::PathAmbiguous,
        Self::ControlPlaneUnreachable,
        Self::LeasePastUseBy,
        Self::Capacity,
        Self::Contention,
        Self::Draining,
        Self::InstanceFrozen,
        Self::NotReady,
    ];

    const fn terms(self) -> Terms {
        match self {
            Self::CredentialMissing => terms!(
                "credential_missing",
                401,
                16,
                RefusedCredentialMissing,
                "A key is needed",
                "The request carries no API key. Send yours with it."
            ),
            Self::CredentialAmbiguous => terms!(
                "credential_ambiguous",
                401,
                16,
                RefusedCredentialAmbiguous,
                "More than one key",
                "The request carries more than one API key. Send exactly one."
            ),
            Self::CredentialMalformed => terms!(
                "credential_malformed",
                401,
                16,
                RefusedCredentialMalformed,
                "Not a key",
                "What was sent as API key is none: it was mistyped, cut or made up. Copy it whole."
            ),
            Self::CredentialUnknown => terms!(
                "credential_unknown",
                401,
                16,
                RefusedCredentialUnknown,
                "Unknown key",
                "The API key is unknown or was revoked. Ask for a new one."
            ),
            Self::CreditExhausted => terms!(
                "credit_exhausted",
                402,
                8,
                RefusedCreditExhausted,
                "Not enough credit",
                "The credit that is left does not pay for this request. Top up, then try again."
            ),
            Self::CreditHeld => terms!(
                "credit_held",
                402,
                8,
                RefusedCreditHeld,
                "Credit is in use",
                "Running requests hold the credit this one needs. Try again shortly."
            ),
            Self::CustomerSuspended => terms!(
                "customer_suspended",
                403,
                7,
                RefusedCustomerSuspended,
                "Customer suspended",
                "This customer may not spend at present. Ask whoever runs the service."
            ),
            Self::WalletFrozen => terms!(
                "wallet_frozen",
                403,
                7,
                RefusedWalletFrozen,
                "Wallet frozen",
                "This customer's wallet is frozen. Ask whoever runs the service."
            ),
            Self::WalletClosed => terms!(
                "wallet_closed",
                403,
                7,
                RefusedWalletClosed,
                "Wallet closed",
                "This customer's wallet is closed. Ask whoever runs the service."
            ),
            Self::RouteDenied => terms!(
                "route_denied",
                403,
                7,
                RefusedRouteDenied,
                "No price for this",
                "No rule of the rate card is for this method and path."
            ),
            Self::PathAmbiguous => terms!(
                "path_ambiguous",
                400,
                3,
                RefusedPathAmbiguous,
                "Ambiguous path",
                "The path can be read in more than one way. Send it in its plain form."
            ),
            Self::ControlPlaneUnreachable => terms!(
                "control_plane_unreachable",
                503,
                14,
                RefusedControlPlaneUnreachable,
                "Cannot decide",
                "Whether this request can be paid could not be found out in time. Try again."
            ),
            Self::LeasePastUseBy => terms!(
                "lease_past_use_by",
                503,
                14,
                RefusedLeasePastUseBy,
                "Cannot decide",
                "The credit at hand may not be spent before it is confirmed again. Try again."
            ),
            Self::Capacity => terms!(
                "capacity",
                503,
                14,
                RefusedCapacity,
                "Too much at once",
                "The gateway holds as much as it may. Try again."
            ),
            Self::Contention => terms!(
                "contention",
                503,
                14,
                RefusedContention,
                "Too much at once",
                "Too many requests of this customer came at the same instant. Try again."
            ),
            Self::Draining => terms!(
                "draining",
                503,
                14,
                RefusedDraining,
                "Gateway is leaving",
                "This gateway is being drained. Try again; another one will answer."
            ),
            Self::InstanceFrozen => terms!(
                "instance_frozen",
                503,
                14,
                RefusedInstanceFrozen,
                "Gateway is frozen",
                "This gateway may not admit requests until its operator looked at it."
            ),
            Self::NotReady => terms!(
                "not_ready",
                503,
                14,
                RefusedNotReady,
                "Not ready",
                "The gateway has no rate card yet. Try again."
            ),
        }
    }

    /// The stable word for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.terms().code
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u32 {
        self.terms().status
    }

    /// The gRPC status.
    #[must_use]
    pub const fn grpc_status(self) -> i32 {
        self.terms().grpc_status
    }

    /// What happened and what to do next.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        self.terms().detail
    }

    pub(crate) const fn metric(self) -> Metric {
        self.terms().metric
    }

    pub(crate) const fn blocked(block: Block) -> Self {
        match block {
            Block::CustomerSuspended => Self::CustomerSuspended,
            Block::WalletFrozen => Self::WalletFrozen,
            Block::WalletClosed => Self::WalletClosed,
        }
    }

    pub(crate) const fn barred(barred: Barred) -> Self {
        match barred {
            Barred::Draining => Self::Draining,
            Barred::Frozen => Self::InstanceFrozen,
        }
    }

    /// Whether trying again soon makes sense.
    const fn is_passing(self) -> bool {
        matches!(self, Self::CreditHeld) || self.status() == 503
    }
}

/// What a customer is told of its money.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Money {
    pub(crate) balance: Amount,
    pub(crate) age_seconds: u64,
    pub(crate) required: Amount,
    pub(crate) currency: Currency,
    pub(crate) scale: Scale,
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u32,
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    balance_age_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    required: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_up_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

/// The answer for a refused request.
pub(crate) fn reply(
    refusal: Refusal,
    client: &Client,
    money: Option<Money>,
    top_up_url: Option<&str>,
) -> Reply {
    let terms = refusal.terms();
    let mut headers = headers_for(client);
    if refusal.is_passing() {
        headers.push(("retry-after", Cow::Borrowed("1")));
    }
    if terms.status == 401 {
        headers.push(("www-authenticate", Cow::Borrowed("ApiKey")));
    }
    if client.is_grpc {
        return Reply {
            status: terms.status,
            grpc_status: Some(terms.grpc_status),
            details: terms.details,
            headers,
            body: [terms.code, ": ", terms.detail].concat().into_bytes(),
        };
    }
    let amount = |amount, money: &Money| format(amount, money.scale).to_string();
    let problem = Problem {
        r#type: &["urn:creditgate:problem:", terms.code].concat(),
        title: terms.title,
        status: terms.status,
        code: terms.code,
        detail: terms.detail,
        balance: money.as_ref().map(|money| amount(money.balance, money)),
        balance_age_seconds: money.as_ref().map(|money| money.age_seconds),
        required: money.as_ref().map(|money| amount(money.required, money)),
        currency: money.as_ref().map(|money| money.currency.as_str()),
        top_up_url: top_up_url.filter(|_| terms.status == 402),
        request_id: client.request_id.as_deref(),
    };
    headers.push(("content-type", Cow::Borrowed("application/problem+json")));
    Reply {
        status: terms.status,
        grpc_status: None,
        details: terms.details,
        headers,
        body: serde_json::to_vec(&problem).unwrap_or_default(),
    }
}

/// Headers that every answer of the filter's own carries.
pub(crate) fn headers_for(client: &Client) -> Vec<(&'static str, Cow<'static, str>)> {
    let mut headers = vec![("cache-control", Cow::Borrowed("no-store"))];
    if let Some(origin) = &client.origin {
        headers.push(("access-control-allow-origin", Cow::Owned(origin.clone())));
        headers.push((
            "access-control-expose-headers",
            Cow::Borrowed("retry-after"),
        ));
        headers.push(("vary", Cow::Borrowed("origin")));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_match_their_metric() {
        let mut codes: Vec<_> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Refusal::ALL.len());
        for refusal in Refusal::ALL {
            let name = ["creditgate_refused_", refusal.code(), "_total"].concat();
            assert_eq!(refusal.metric().name(), name);
        }
    }

    #[test]
    fn a_402_says_what_is_left_what_is_needed_and_where_to_top_up() {
        let money = Money {
            balance: Amount::new(1_500_000_000),
            age_seconds: 3,
            required: Amount::new(2_000_000_000),
            currency: Currency::new("usd").unwrap(),
            scale: Scale::MAX,
        };
        let client = Client {
            origin: Some("https://app.example".into()),
            ..Client::default()
        };
        let reply = reply(
            Refusal::CreditExhausted,
            &client,
            Some(money),
            Some("https://pay.example"),
        );
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((reply.status, reply.grpc_status), (402, None));
        assert_eq!(body["code"], "credit_exhausted");
        assert_eq!(
            (&body["balance"], &body["required"]),
            (&"1.5".into(), &"2".into())
        );
        assert_eq!(body["top_up_url"], "https://pay.example");
        assert!(
            reply
                .headers
                .contains(&("access-control-allow-origin", "https://app.example".into()))
        );
    }

    #[test]
    fn a_grpc_client_gets_resource_exhausted() {
        let client = Client {
            is_grpc: true,
            ..Client::default()
        };
        let reply = reply(Refusal::CreditHeld, &client, None, None);
        assert_eq!(reply.grpc_status, Some(8));
        assert!(reply.headers.contains(&("retry-after", "1".into())));
    }
}
