//! The filter's own answers.
//!
//! HTTP clients get `application/problem+json` with a stable `code`; gRPC clients get a
//! gRPC status. A browser may read a refusal: the page's origin is named in it, without
//! allowing credentials, since the page itself sent the key.

use std::borrow::Cow;

use creditgate_core::amount::{Amount, Currency, Scale, format};
use serde::Serialize;

use super::identify::Client;
use super::refusal::Refusal;
use crate::host::Reply;

/// What a customer is told of its money.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Money {
    pub(crate) balance: Amount,
    pub(crate) issued: Amount,
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

/// The event that ends a stream of events whose credit is used up. Clients of every provider
/// find what they look for in it.
pub(crate) fn last_event(reason: Refusal) -> String {
    let terms = reason.terms();
    let code = terms.code;
    [
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"",
        code,
        "\",\"code\":\"",
        code,
        "\",\"message\":\"The answer ends here. ",
        terms.detail,
        "\"}}\n\n",
    ]
    .concat()
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
    fn a_402_says_what_is_left_what_is_needed_and_where_to_top_up() {
        let money = Money {
            balance: Amount::new(1_500_000_000),
            issued: Amount::new(2_000_000_000),
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
