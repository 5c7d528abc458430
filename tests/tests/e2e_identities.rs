//! Whatever names the customer or counts the units in a real Envoy, the right customer pays
//! the right sum: keys, tokens, certificates, what other filters wrote, trailers.

use anyhow::{Context, Result};
use bytes::Bytes;
use creditgate_tests::certificate::Authority;
use creditgate_tests::client::{Protocol, exchange, get_behaving, request};
use creditgate_tests::dues::{Stage, refused};
use creditgate_tests::envoy::Setup;
use creditgate_tests::jwt::{ISSUER, key_set, token};
use creditgate_tests::scene::Scene;
use creditgate_tests::secure::Secure;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};

/// With these sources in place of the one that there is.
fn sources(sources: &Value) -> Setup {
    let identity = json!({"identity": {"header": null, "sources": sources}});
    Setup::default().logging().filter(identity)
}

fn ping(headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    request("GET", "/v1/ping", headers, "")
}

/// Requests that carry two keys, or one of them twice.
fn ambiguous(ada: &str, bob: &str) -> Vec<Request<Full<Bytes>>> {
    let (key, other) = (("x-api-key", ada), ("x-api-key", bob));
    let session = format!("session={bob}");
    let (cookie, twice) = (
        ("cookie", session.as_str()),
        format!("{session}; {session}"),
    );
    let beside = request("GET", &format!("/v1/ping?api_key={bob}"), &[key], "");
    vec![
        ping(&[key, key]),
        ping(&[key, other]),
        ping(&[key, cookie]),
        ping(&[cookie, cookie]),
        ping(&[("cookie", &twice)]),
        by_query(&format!("api_key={ada}&api_key={ada}")),
        by_query(&format!("api_key={ada}&api%5Fkey={bob}")),
        beside,
    ]
}

fn by_query(query: &str) -> Request<Full<Bytes>> {
    request("GET", &format!("/v1/ping?{query}"), &[], "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_header_query_or_cookie_pays_and_two_of_them_are_refused() -> Result<()> {
    let mut stage = Stage::of(Scene::start().await?, &["ada", "bob", "eve"]).await?;
    let setup = sources(&json!([
        {"from": {"header": "x-api-key"}},
        {"from": {"query": "api_key"}},
        {"from": {"cookie": "session"}},
    ]));
    let mut envoy = stage.scene.envoy_with("edge", &setup).await?;
    let (ada, bob) = (stage.key("ada").to_owned(), stage.key("bob").to_owned());
    let escaped = ada.replace('_', "%5f");
    let (session, quoted) = (format!("session={bob}"), format!("session=\"{bob}\""));
    let among = format!("theme=dark; {session}; lang=en");

    for query in [format!("api_key={ada}"), format!("x=1&api%5Fkey={escaped}")] {
        stage.paid("ada", 1, &envoy.send(by_query(&query)).await?);
    }
    for cookie in [&session, &quoted, &among] {
        let answer = envoy.send(ping(&[("cookie", cookie)])).await?;
        stage.paid("bob", 1, &answer);
    }
    // HTTP/2 may send each cookie in a header of its own.
    let crumbs = ping(&[("cookie", "theme=dark"), ("cookie", &session)]);
    let (answer, _) = exchange(envoy.address(), Protocol::Http2, crumbs).await?;
    stage.paid("bob", 1, &answer);
    let eve = stage.key("eve").to_owned();
    let answer = envoy.send(ping(&[("x-api-key", &eve)])).await?;
    stage.paid("eve", 1, &answer);

    for request in ambiguous(&ada, &bob) {
        let what = format!("{request:?}");
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let (answer, _) = exchange(envoy.address(), protocol, request.clone()).await?;
            refused("credential_ambiguous", &what, &answer);
        }
    }
    refused("credential_missing", "none", &envoy.send(ping(&[])).await?);
    stage.ends(&mut envoy).await
}

/// Envoy's own filter, which checks tokens and puts their claims where ours reads them. It lets
/// requests without a token pass, and such whose token is bad, as if they had none.
fn checks_tokens() -> String {
    format!(
        r#"          - name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                issuer:
                  issuer: {ISSUER}
                  payload_in_metadata: jwt
                  local_jwks: {{ inline_string: '{}' }}
              rules:
              - match: {{ prefix: / }}
                requires: {{ requires_any: {{ requirements: [{{ provider_name: issuer }}, {{ allow_missing_or_failed: {{}} }}] }} }}
"#,
        key_set()
    )
}

/// Claims that name nobody, or not as text.
fn refused_claims() -> Vec<(Value, &'static str)> {
    let of = |code: &'static str, values: &[Value]| {
        let named = |value: &Value| (json!({"customer": value}), code);
        values.iter().map(named).collect::<Vec<_>>()
    };
    let absent = json!({"org.id": "bob", "teams": ["ada"]});
    let both = json!({"customer": "ada", "org": {"id": "ada"}});
    // Eight bytes that happen to be letters can't be told from a name.
    let letters = f64::from_le_bytes(*b"eightlet");
    [
        vec![
            (json!({}), "credential_missing"),
            (absent, "credential_missing"),
        ],
        vec![(both, "credential_ambiguous")],
        of("credential_missing", &[json!(null), json!("")]),
        of("credential_unknown", &[json!("nobody"), json!(letters)]),
        of(
            "credential_malformed",
            &[json!(0), json!(42), json!(1.5), json!(true), json!(false)],
        ),
        of(
            "credential_malformed",
            &[json!([]), json!(["ada"]), json!({}), json!({"id": "ada"})],
        ),
        of(
            "credential_malformed",
            &[json!("a\u{7}da"), json!("a".repeat(129))],
        ),
    ]
    .concat()
}

fn with_token(token: &str) -> Request<Full<Bytes>> {
    ping(&[("authorization", &format!("Bearer {token}"))])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_of_a_token_that_envoy_has_checked_names_who_pays() -> Result<()> {
    let names = ["ada", "bob", "eve", "dan", "fay"];
    let mut stage = Stage::of(Scene::start().await?, &names).await?;
    let claims = [
        json!("customer"),
        json!("org.id"),
        json!(["https://example.com/org"]),
        json!(["https://example.com/app", "tenant.id"]),
        json!("teams.1"),
    ];
    let from = |claim| json!({"from": {"jwt_claim": {"payload": "jwt", "claim": claim}}});
    let setup = sources(&json!(claims.map(from))).between(&checks_tokens(), "");
    let mut envoy = stage.scene.envoy_with("edge", &setup).await?;

    for (claims, name) in [
        (json!({"customer": "ada"}), "ada"),
        (json!({"org": {"id": "bob"}}), "bob"),
        (json!({"https://example.com/org": "eve"}), "eve"),
        (
            json!({"https://example.com/app": {"tenant.id": "dan"}}),
            "dan",
        ),
        (json!({"teams": ["ada", "fay"]}), "fay"),
    ] {
        let answer = envoy.send(with_token(&token(&claims)?)).await?;
        stage.paid(name, 1, &answer);
    }
    for (claims, code) in refused_claims() {
        let answer = envoy.send(with_token(&token(&claims)?)).await?;
        refused(code, &claims.to_string(), &answer);
    }
    let (ada, eve) = (json!({"customer": "ada"}), json!({"customer": "eve"}));
    let (ada, eve) = (token(&ada)?, token(&eve)?);
    let (_, signature) = ada.rsplit_once('.').context("a token has parts")?;
    let (signed, _) = eve.rsplit_once('.').context("a token has parts")?;
    let forged = with_token(&format!("{signed}.{signature}"));
    refused("credential_missing", "forged", &envoy.send(forged).await?);
    refused("credential_missing", "none", &envoy.send(ping(&[])).await?);
    stage.ends(&mut envoy).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_in_the_clients_certificate_pays() -> Result<()> {
    let names = ["ada", "bob.example", "eve"];
    let mut stage = Stage::of(Scene::start().await?, &names).await?;
    let from = json!([
        {"from": {"certificate": "uri_san"}, "strip_prefix": "spiffe://example.com/"},
        {"from": {"certificate": "dns_san"}},
    ]);
    let mut secure = Secure::start(&stage.scene, "edge", sources(&from), false).await?;
    let (ada, eve) = ("spiffe://example.com/ada", "spiffe://example.com/eve");
    for (dns, uris, name) in [
        (&[][..], &[ada][..], "ada"),
        (&["bob.example"], &[], "bob.example"),
        // Of several the first counts.
        (&[], &[eve, ada], "eve"),
        (&["bob.example", "ada"], &[], "bob.example"),
        (&["bob.example"], &["spiffe://elsewhere/ada"], "bob.example"),
    ] {
        let own = secure.authority.issue("client", dns, uris)?;
        stage.paid(name, 1, &secure.get("/v1/ping", Some(&own)).await?);
    }
    for (dns, uris, code) in [
        (&[][..], &[][..], "credential_missing"),
        (&[], &["spiffe://elsewhere/ada"], "credential_missing"),
        (&["nobody.example"], &[], "credential_unknown"),
        (&["bob.example"], &[ada], "credential_ambiguous"),
    ] {
        let own = secure.authority.issue("client", dns, uris)?;
        let answer = secure.get("/v1/ping", Some(&own)).await?;
        refused(code, &format!("{dns:?} {uris:?}"), &answer);
    }
    let without = secure.get("/v1/ping", None).await?;
    refused("credential_missing", "no certificate", &without);
    let stranger = Authority::new()?.issue("client", &[], &[ada])?;
    let refused = secure.get("/v1/ping", Some(&stranger)).await;
    assert!(refused.is_err(), "somebody else's authority: {refused:?}");
    stage.ends(&mut secure.envoy).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_certificates_are_required_nobody_without_one_gets_an_answer() -> Result<()> {
    let mut stage = Stage::of(Scene::start().await?, &["fay"]).await?;
    let from = json!([{"from": {"certificate": "subject"}, "strip_prefix": "CN="}]);
    let mut secure = Secure::start(&stage.scene, "edge", sources(&from), true).await?;
    let own = secure.authority.issue("fay", &[], &[])?;
    stage.paid("fay", 1, &secure.get("/v1/ping", Some(&own)).await?);
    let without = secure.get("/v1/ping", None).await;
    assert!(without.is_err(), "{without:?}");
    stage.ends(&mut secure.envoy).await
}

/// A filter of Envoy's that writes a request header into the stream's filter state.
fn writes(key: &str, header: &str) -> String {
    format!(
        r#"          - name: writes-{key}
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config
              on_request_headers:
              - object_key: {key}
                factory_key: envoy.string
                format_string: {{ text_format_source: {{ inline_string: "%REQ({header})%" }}, omit_empty_values: true }}
                skip_if_empty: true
"#
    )
}

/// A card with one rule, at 10 a unit, of which 3 are expected, and a customer may use more.
async fn by_units(path: &str, meter: &Value) -> Result<Scene> {
    let meter = json!({"meter": meter, "price": 10, "estimate": 3});
    let rule =
        json!({"id": "jobs", "path": {"exact": path}, "promise": "expected", "meters": [meter]});
    Scene::priced(json!([rule])).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filter_state_of_another_filter_names_who_pays_and_counts_units() -> Result<()> {
    let scene = by_units("/v1/jobs", &json!({"filter_state": "example.units"})).await?;
    let mut stage = Stage::of(scene, &["ada", "bob", "eve", "dan"]).await?;
    // Who pays is written before ours decides, the units behind it.
    let front = writes("example.tenant", "x-tenant");
    let behind = writes("example.units", "x-jobs");
    let from = json!([{"from": {"filter_state": "example.tenant"}, "lowercase": true}]);
    let setup = sources(&from).between(&front, &behind);
    let mut envoy = stage.scene.envoy_with("edge", &setup).await?;
    let jobs = |headers: &[(&str, &str)]| request("GET", "/v1/jobs", headers, "");

    for (tenant, units, name, cost) in [
        ("ada", "2", "ada", 20),
        ("Bob", "7", "bob", 70),
        ("eve", "many", "eve", 30),
        ("dan", "0", "dan", 0),
    ] {
        let request = jobs(&[("x-tenant", tenant), ("x-jobs", units)]);
        stage.paid(name, cost, &envoy.send(request).await?);
    }
    let uncounted = jobs(&[("x-tenant", "eve")]);
    stage.paid("eve", 30, &envoy.send(uncounted).await?);
    let nameless = envoy.send(jobs(&[("x-jobs", "2")])).await?;
    refused("credential_missing", "no state", &nameless);
    let unknown = envoy.send(jobs(&[("x-tenant", "nobody")])).await?;
    refused("credential_unknown", "nobody", &unknown);
    stage.ends(&mut envoy).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_in_the_trailers_of_a_grpc_answer_are_charged() -> Result<()> {
    let path = "/jobs.Service/Run";
    let scene = by_units(path, &json!({"response_trailer": "x-units"})).await?;
    let names = ["seven", "none", "alone", "untold", "failed"];
    let mut stage = Stage::of(scene, &names).await?;
    let setup = Setup::default().logging().http2_upstream();
    let mut envoy = stage.scene.envoy_with("edge", &setup).await?;
    for (name, behave, told, cost) in [
        ("seven", "units=7", Some("7"), 70),
        ("none", "units=0", Some("0"), 0),
        // Trailers without a message are headers.
        ("alone", "alone=5", None, 50),
        ("untold", "grpc=0", None, 30),
        ("failed", "grpc=13", None, 0),
    ] {
        let headers = [
            ("x-api-key", stage.key(name)),
            ("x-behave", behave),
            ("content-type", "application/grpc"),
        ];
        let call = request("POST", path, &headers, &b"\0\0\0\0\0"[..]);
        let (answer, trailers) = exchange(envoy.address(), Protocol::Http2, call).await?;
        let units = trailers.get("x-units").map(|value| value.to_str());
        assert_eq!(units.transpose()?, told, "a trailer goes on to the client");
        stage.paid(name, cost, &answer);
    }
    stage.ends(&mut envoy).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filter_state_of_a_wasm_filter_is_read_behind_its_prefix() -> Result<()> {
    // Ours is a Wasm filter, too, and leaves a 1 for those that come later.
    let meter = json!({"filter_state": "wasm.creditgate_decided"});
    let mut stage = Stage::of(by_units("/v1/jobs", &meter).await?, &["ada"]).await?;
    let setup = Setup::default().logging();
    let setup = setup.filter(json!({"charged_once": true}));
    let mut envoy = stage.scene.envoy_with("edge", &setup).await?;
    let answer = envoy.send(get_behaving("/v1/jobs", stage.key("ada"), ""));
    let answer = answer.await?;
    stage.paid("ada", 10, &answer);
    stage.ends(&mut envoy).await
}
