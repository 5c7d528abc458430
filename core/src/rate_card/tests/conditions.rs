//! Which rule is taken where rules have conditions.

use super::*;
use std::borrow::Cow;

/// What a request is like besides method and path.
#[derive(Debug, Default)]
struct Given {
    host: &'static str,
    route: &'static str,
    headers: &'static [(&'static str, &'static str)],
}

impl Facts for Given {
    fn host(&self) -> Option<Cow<'_, [u8]>> {
        Some(self.host.as_bytes().into())
    }

    fn route(&self) -> Option<Cow<'_, [u8]>> {
        Some(self.route.as_bytes().into())
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        for (own, value) in self.headers {
            if own.eq_ignore_ascii_case(name) {
                each(value.as_bytes());
            }
        }
    }
}

fn decide(card: &RateCard, path: &str, facts: &Given, model: AskedModel<'_>) -> String {
    let decision = card.price(Request {
        method: b"GET",
        path: path.as_bytes(),
        facts,
        model,
        ..Request::default()
    });
    match decision {
        Decision::UnknownRule => "UNKNOWN".to_owned(),
        Decision::Rule(rule) => rule.id().to_owned(),
        Decision::Free => "FREE".to_owned(),
        Decision::Deny => "DENY".to_owned(),
        Decision::Ambiguous(reason) => reason.code().to_owned(),
        Decision::NeedsBody { bytes_max } => format!("BODY {bytes_max}"),
    }
}

/// A card of one path: a rule with these conditions, and one for all else.
fn conditional(conditions: Value) -> RateCard {
    card(
        json!("deny"),
        json!([
            {"id": "else", "path": {"prefix": "/"}, "price": 1},
            {"id": "when", "path": {"prefix": "/"}, "price": 2, "match": conditions},
        ]),
    )
}

#[test]
fn hosts_are_compared_without_case_port_and_final_point() {
    let card = conditional(json!({"hosts": ["API.example.com", "*.example.org", "[::1]"]}));
    for (host, rule) in [
        ("api.example.com", "when"),
        ("Api.Example.Com:8443", "when"),
        ("api.example.com.", "when"),
        ("api.example.com.:80", "when"),
        ("x.example.org", "when"),
        ("x.y.EXAMPLE.org:1", "when"),
        ("example.org", "else"),
        (".example.org", "else"),
        ("xexample.org", "else"),
        ("api.example.com.evil.net", "else"),
        ("[::1]:80", "when"),
        ("::1", "else"),
        ("", "else"),
    ] {
        let facts = Given {
            host,
            ..Given::default()
        };
        assert_eq!(
            decide(&card, "/", &facts, AskedModel::Unread),
            rule,
            "{host}"
        );
    }
    assert_eq!(word(&card, "GET", "/"), "else", "a request without host");
}

#[test]
fn a_header_must_be_as_the_condition_says() {
    let headers = |headers| Given {
        headers,
        ..Given::default()
    };
    let is = |condition: Value, given| {
        let card = conditional(json!({"headers": [condition]}));
        decide(&card, "/", &headers(given), AskedModel::Unread)
    };
    let tier = || json!({"name": "X-Tier", "equals": "gold"});
    assert_eq!(is(tier(), &[("x-tier", "gold")]), "when");
    assert_eq!(
        is(tier(), &[("X-TIER", "gold"), ("x-tier", "gold")]),
        "when"
    );
    assert_eq!(is(tier(), &[("x-tier", "Gold")]), "else");
    assert_eq!(is(tier(), &[("x-tier", "gold, gold")]), "else");
    assert_eq!(is(tier(), &[]), "else");
    assert_eq!(
        is(tier(), &[("x-tier", "gold"), ("x-tier", "")]),
        "ambiguous_header"
    );
    assert_eq!(is(tier(), &[("x-tier", "lead"), ("x-tier", "tin")]), "else");

    let prefix = || json!({"name": "accept", "prefix": "text/"});
    assert_eq!(is(prefix(), &[("accept", "text/html")]), "when");
    assert_eq!(is(prefix(), &[("accept", "text")]), "else");

    let present = |is: bool| json!({"name": "x-batch", "present": is});
    assert_eq!(
        is(present(true), &[("x-batch", "a"), ("x-batch", "b")]),
        "when"
    );
    assert_eq!(is(present(true), &[]), "else");
    assert_eq!(is(present(false), &[("x-batch", "")]), "else");
    assert_eq!(is(present(false), &[]), "when");
}

#[test]
fn a_parameter_must_be_so_to_all_who_read_the_query() {
    let card = conditional(json!({"query": [{"name": "size", "equals": "big one"}]}));
    for (path, rule) in [
        ("/?size=big+one", "when"),
        ("/?a&size=big%20one&&b=2", "when"),
        ("/?%73ize=%62ig%20one", "when"),
        ("/?size=big+one&size=big%20one", "when"),
        ("/", "else"),
        ("/?size", "else"),
        ("/?size=Big+one", "else"),
        ("/?sized=big+one", "else"),
        ("/?other=size=big+one", "else"),
        ("/?size=big%2Bone", "else"),
        ("/?size=small&size=tiny", "else"),
        ("/?size=big+one&size=small", "ambiguous_query"),
        ("/?size=small&size=big+one", "ambiguous_query"),
        ("/?SIZE=big+one", "ambiguous_query"),
        ("/?size=big+one&Size=small", "ambiguous_query"),
        ("/?a=b;size=big+one", "ambiguous_query"),
        ("/?size=big+one;a=b", "ambiguous_query"),
        ("/?size=big+one#x", "ambiguous_query"),
    ] {
        let decision = decide(&card, path, &Given::default(), AskedModel::Unread);
        assert_eq!(decision, rule, "{path}");
    }
    let card = conditional(json!({"query": [{"name": "size", "present": false}]}));
    assert_eq!(word(&card, "GET", "/?sizes=1"), "when");
    assert_eq!(word(&card, "GET", "/?size"), "else");
    assert_eq!(word(&card, "GET", "/?SIZE"), "AMBIGUOUS");
}

#[test]
fn the_model_is_asked_for_only_where_it_decides() {
    let card = card(
        json!("deny"),
        json!([
            {"id": "else", "path": {"prefix": "/"}, "price": 1},
            {"id": "mini", "path": {"exact": "/v1/chat"}, "price": 2, "match": {"model": "*-mini"}},
            {"id": "gold", "path": {"exact": "/v1/chat"}, "price": 3, "match": {
                "model": "gpt*", "headers": [{"name": "x-tier", "equals": "gold"}]}},
            {"id": "route", "path": {"exact": "/v1/chat"}, "price": 3, "match": {
                "route": "r", "hosts": ["h"]}},
        ]),
    );
    let gold = Given {
        headers: &[("x-tier", "gold")],
        ..Given::default()
    };
    let both = Given {
        headers: &[("x-tier", "gold"), ("x-tier", "tin")],
        ..Given::default()
    };
    let routed = Given {
        host: "h",
        route: "r",
        ..Given::default()
    };
    let plain = Given::default();
    let named = AskedModel::Named;
    for (path, facts, model, rule) in [
        ("/v1/other", &plain, AskedModel::Unread, "else"),
        ("/v1/chat", &plain, AskedModel::Unread, "BODY 131072"),
        ("/v1/chat", &plain, AskedModel::None, "else"),
        ("/v1/chat", &plain, named("gpt-4o-mini"), "mini"),
        ("/v1/chat", &plain, named("gpt-4o"), "else"),
        ("/v1/chat", &gold, AskedModel::Unread, "BODY 131072"),
        ("/v1/chat", &gold, named("gpt-4o-mini"), "gold"),
        ("/v1/chat", &gold, named("o4-mini"), "mini"),
        // The header matters only if the model fits.
        ("/v1/chat", &both, AskedModel::Unread, "BODY 131072"),
        ("/v1/chat", &both, named("gpt-4o-mini"), "ambiguous_header"),
        ("/v1/chat", &both, named("o4-mini"), "mini"),
        // Two conditions hold already; one that is in doubt would not be taken.
        ("/v1/chat", &routed, AskedModel::Unread, "route"),
    ] {
        assert_eq!(
            decide(&card, path, facts, model),
            rule,
            "{path} {facts:?} {model:?}"
        );
    }
}

#[test]
fn more_conditions_come_before_fewer_but_after_path_and_method() {
    let tier = json!({"headers": [{"name": "x-tier", "equals": "gold"}]});
    let both = json!({"hosts": ["h"], "headers": [{"name": "x-tier", "equals": "gold"}]});
    let card = card(
        json!("deny"),
        json!([
            {"id": "one", "path": {"prefix": "/v1"}, "price": 1, "match": tier},
            {"id": "two", "path": {"prefix": "/v1"}, "price": 1, "match": both},
            {"id": "path", "path": {"exact": "/v1/x"}, "price": 1},
            {"id": "method", "path": {"prefix": "/v1/y"}, "methods": ["GET"], "price": 1},
            {"id": "any", "path": {"prefix": "/v1/y"}, "price": 1, "match": both},
        ]),
    );
    let facts = Given {
        host: "h",
        headers: &[("x-tier", "gold")],
        ..Given::default()
    };
    for (path, rule) in [("/v1", "two"), ("/v1/x", "path"), ("/v1/y", "method")] {
        assert_eq!(
            decide(&card, path, &facts, AskedModel::Unread),
            rule,
            "{path}"
        );
    }
}

#[test]
fn only_the_same_conditions_make_a_rule_unreachable() {
    let rules = |first: Value, second: Value| {
        let rule = |id: &str, conditions: Value| json!({"id": id, "path": {"exact": "/x"}, "price": 1, "match": conditions});
        try_card(json!({
            "name": "n", "currency": "usd", "default": "deny",
            "rules": [rule("a", first), rule("b", second)],
        }))
        .map_err(|error| error.code())
        .map(drop)
    };
    let a = || json!({"name": "A", "equals": "1"});
    let b = || json!({"name": "b", "present": true});
    assert_eq!(rules(json!({}), json!({"headers": [a()]})), Ok(()));
    assert_eq!(rules(json!({"headers": [a()]}), json!({})), Ok(()));
    assert_eq!(
        rules(json!({"headers": [a()]}), json!({"query": [a()]})),
        Ok(())
    );
    assert_eq!(
        rules(json!({"hosts": ["h"]}), json!({"hosts": ["h", "i"]})),
        Ok(())
    );
    for (first, second) in [
        (json!({}), json!({"hosts": [], "headers": []})),
        (
            json!({"headers": [a(), b()]}),
            json!({"headers": [b(), {"name": "a", "equals": "1"}]}),
        ),
        (
            json!({"hosts": ["h", "i"]}),
            json!({"hosts": ["I", "H", "h"]}),
        ),
        (
            json!({"model": "m*", "route": "r"}),
            json!({"route": "r", "model": "m*"}),
        ),
    ] {
        assert_eq!(
            rules(first.clone(), second),
            Err("rule_unreachable"),
            "{first}"
        );
    }
}

#[test]
fn a_grpc_service_or_method_is_a_path() {
    let grpc = |method: Value| json!({"grpc": {"service": "shop.v1.Orders", "method": method}});
    let card = card(
        json!("deny"),
        json!([
            {"id": "service", "path": {"grpc": {"service": "shop.v1.Orders"}}, "price": 1},
            {"id": "method", "path": grpc(json!("Place")), "price": 1},
        ]),
    );
    for (path, rule) in [
        ("/shop.v1.Orders/Place", "method"),
        ("/shop.v1.Orders/List", "service"),
        ("/shop.v1.OrdersX/List", "DENY"),
    ] {
        assert_eq!(word(&card, "POST", path), rule, "{path}");
    }
}
