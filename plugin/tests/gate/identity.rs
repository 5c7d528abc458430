//! Who pays: every place that may name a customer, and what is refused.

use creditgate_core::key::{KeyKind, compose, customer_hash};
use serde_json::json;

use crate::world::{Fate, World, key};

/// Headers, or properties, each with its value.
type Named<'a> = &'a [(&'a str, &'a str)];

fn world(sources: &serde_json::Value, anonymous: &serde_json::Value) -> World {
    let identity = json!({ "sources": sources, "anonymous": anonymous });
    let mut world = World::with_config(1, 100, &format!(r#", "identity": {identity}"#));
    world.plane.name(1, customer_hash("ada"));
    world
}

fn deny() -> serde_json::Value {
    json!("deny")
}

/// What becomes of a request to a path with these headers and properties.
fn ask(world: &mut World, headers: Named<'_>, path: &str, properties: Named<'_>) -> String {
    let id = world.workers[0].next_id();
    for (path, value) in properties {
        world.workers[0].set_property(id, path, value.as_bytes());
    }
    assert_eq!(world.workers[0].begin(headers, path), id);
    world.settle();
    match world.workers[0].fate(id) {
        Fate::Passed => "passed".to_owned(),
        Fate::Held => "held".to_owned(),
        Fate::Answered(_, body) => body["code"].as_str().unwrap().to_owned(),
    }
}

#[test]
fn a_key_is_found_in_headers_cookies_and_the_query() {
    let sources = json!([
        { "from": { "header": "x-api-key" } },
        { "from": { "header": "authorization" }, "scheme": "Bearer" },
        { "from": { "query": "api_key" } },
        { "from": { "cookie": "session" } },
    ]);
    let mut world = world(&sources, &deny());
    let key = key(1);
    let bearer = format!("bearer {key}");
    let cookie = format!("theme=dark; session=\"{key}\"");
    let escaped = key.replace('_', "%5f");
    let query = format!("/one?x=1&api_key={escaped}");
    let twice = format!("/one?api_key={key}&api_key={key}");
    let both = [("cookie", cookie.as_str()), ("x-api-key", &key)];
    let cases: [(Named<'_>, &str, &str); 9] = [
        (&[("x-api-key", &key)], "/one", "passed"),
        (&[("authorization", &bearer)], "/one", "passed"),
        (
            &[("authorization", "Basic eHg=")],
            "/one",
            "credential_missing",
        ),
        (&[], &query, "passed"),
        (&[("cookie", &cookie)], "/one", "passed"),
        (&[], "/one", "credential_missing"),
        (&[], &twice, "credential_ambiguous"),
        (&both, "/one", "credential_ambiguous"),
        (
            &[("x-api-key", &key), ("x-api-key", &key)],
            "/one",
            "credential_ambiguous",
        ),
    ];
    for (headers, path, expected) in cases {
        assert_eq!(
            ask(&mut world, headers, path, &[]),
            expected,
            "{headers:?} {path}"
        );
    }
    let gateways = compose(KeyKind::Gateway, &[3; 32]);
    for bad in [&key[1..], &gateways, "a"] {
        let told = ask(&mut world, &[("x-api-key", bad)], "/one", &[]);
        assert_eq!(told, "credential_malformed");
    }
}

#[test]
fn a_customer_is_named_by_what_the_proxy_has_checked() {
    const JWT: &str = "metadata.filter_metadata.envoy.filters.http.jwt_authn.payload.org.id";
    const SAN: &str = "connection.uri_san_peer_certificate";
    let sources = json!([
        { "from": { "jwt_claim": { "payload": "payload", "claim": "org.id" } }, "lowercase": true },
        { "from": { "certificate": "uri_san" }, "strip_prefix": "spiffe://example.com/" },
        { "from": { "filter_state": "wasm.customer" } },
        { "from": { "header": "x-customer" }, "names": "customer" },
    ]);
    let mut world = world(&sources, &deny());
    let cases: [(Named<'_>, Named<'_>, &str); 7] = [
        (&[], &[(JWT, "ADA")], "passed"),
        (&[], &[(SAN, "spiffe://example.com/ada")], "passed"),
        (
            &[],
            &[(SAN, "spiffe://elsewhere/ada")],
            "credential_missing",
        ),
        (&[], &[("filter_state.wasm.customer", "ada")], "passed"),
        (&[("x-customer", "ada")], &[], "passed"),
        (&[("x-customer", "eve")], &[], "credential_unknown"),
        (
            &[("x-customer", "ada")],
            &[(JWT, "ada")],
            "credential_ambiguous",
        ),
    ];
    for (headers, properties, expected) in cases {
        let told = ask(&mut world, headers, "/one", properties);
        assert_eq!(told, expected, "{headers:?} {properties:?}");
    }
    world.pass(3_000);
    assert_eq!(world.plane.first().outstanding(), 4, "what still runs");
}

#[test]
fn a_prefix_is_taken_off_in_any_case_where_names_are_put_into_lower_case() {
    const SAN: &str = "connection.uri_san_peer_certificate";
    for (lowercase, name, expected) in [
        (true, "SPIFFE://Example.com/ADA", "passed"),
        (true, "spiffe://example.com/ada", "passed"),
        (true, "spiffe://example.org/ada", "credential_missing"),
        (true, "spiffe://EXAMPLE.com/", "credential_missing"),
        (true, "é", "credential_missing"),
        (false, "SPIFFE://Example.com/ada", "credential_missing"),
        (false, "spiffe://Example.com/ada", "passed"),
    ] {
        let sources = json!([{ "from": { "certificate": "uri_san" },
            "strip_prefix": "spiffe://Example.com/", "lowercase": lowercase }]);
        let mut world = world(&sources, &deny());
        let told = ask(&mut world, &[], "/one", &[(SAN, name)]);
        assert_eq!(told, expected, "{name}");
    }
}

#[test]
fn a_claim_whose_name_has_dots_is_named_by_a_list_of_keys() {
    const ASKED: &str = "metadata\0filter_metadata\0envoy.filters.http.jwt_authn\0payload";
    let by_list = json!(["https://example.com/org", "id"]);
    let by_text = json!("https://example.com/org.id");
    let whole = format!("{ASKED}\0https://example.com/org\0id");
    let parted = format!("{ASKED}\0https://example\0com/org\0id");
    for (claim, path, expected) in [
        (&by_list, &whole, "passed"),
        (&by_list, &parted, "credential_missing"),
        (&by_text, &parted, "passed"),
        (&by_text, &whole, "credential_missing"),
    ] {
        let from = json!({ "jwt_claim": { "payload": "payload", "claim": claim } });
        let mut world = world(&json!([{ "from": from }]), &deny());
        let told = ask(&mut world, &[], "/one", &[(path, "ada")]);
        assert_eq!(told, expected, "{claim} {path:?}");
    }
}

#[test]
fn a_claim_that_is_no_text_is_refused_and_never_nobody() {
    const JWT: &str = "metadata.filter_metadata.envoy.filters.http.jwt_authn.payload.org";
    // As the proxy gives them: a number as eight bytes; a list as counts, then its values.
    let number = 42_f64.to_le_bytes();
    let list = b"\x01\0\0\0\x03\0\0\0\0\0\0\0ada\0\0";
    for prefix in ["", "org-"] {
        let from = json!({ "jwt_claim": { "payload": "payload", "claim": "org" } });
        let source = json!({ "from": from, "strip_prefix": prefix });
        let mut world = world(&json!([source]), &json!("free"));
        let values = [&number[..], list, b"\0\0\0\0", b"\x01", b"\xff\xfe"];
        for value in values {
            let id = world.workers[0].next_id();
            world.workers[0].set_property(id, JWT, value);
            world.workers[0].begin(&[], "/one");
            let refusal = (401, "credential_malformed".to_owned());
            assert_eq!(world.workers[0].refusal(id), refusal, "{prefix} {value:?}");
        }
    }
}

#[test]
fn who_names_nobody_is_refused_free_or_paid_for_by_another() {
    let sources = json!([{ "from": { "header": "x-api-key" } }]);
    for (anonymous, expected) in [
        (deny(), "credential_missing"),
        (json!("free"), "passed"),
        (json!({ "customer": "ada" }), "passed"),
        (json!({ "customer": "nobody" }), "credential_unknown"),
    ] {
        let mut world = world(&sources, &anonymous);
        assert_eq!(ask(&mut world, &[], "/one", &[]), expected, "{anonymous}");
        let told = ask(&mut world, &[("x-api-key", "wrong")], "/one", &[]);
        assert_eq!(told, "credential_malformed", "a wrong key is not none");
    }
}
