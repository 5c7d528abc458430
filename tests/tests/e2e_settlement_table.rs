//! What is charged for every way in which a request can end, by rule and protocol, as a table.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use creditgate_tests::access_log::{costs, entries};
use creditgate_tests::client::{Protocol, begin, request};
use creditgate_tests::envoy::Setup;
use creditgate_tests::scene::{CARD, Customer, Scene, fast_settings};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use serde_json::json;
use tokio::task::JoinSet;

/// Every request costs 5, at least 2; those that stream tokens cost what they used, which is 17.
/// `E`: the estimate. `P`: what had passed, more than nothing and no more than the estimate.
///
/// `refused`: the upstream says 4xx, or NOT_FOUND by gRPC. `failed`: it says 500, or INTERNAL. `reset`: it breaks
/// the connection without an answer; `cut_off`: in the middle of one. `aborted`: the client goes away in the
/// middle. `timed_out`: Envoy gives up waiting. `replied`: Envoy answers 403 by itself.
const TABLE: &str = "
rule        protocol   ok  refused  failed  reset  cut_off  aborted  timed_out  replied

on_success  http1       5        5       0      0        0        5          0        0
on_success  http2       5        5       0      0        0        5          0        0
on_success  grpc        5        5       0      0        0        5          0        0
on_success  sse        17        E       0      0        0        P          0        0

always      http1       5        5       5      5        5        5          5        5
always      http2       5        5       5      5        5        5          5        5
always      grpc        5        5       5      5        5        5          5        5
always      sse        17        E       E      E        P        P          E        E

lenient     http1       5        0       0      5        5        2          2        0
lenient     http2       5        0       0      5        5        2          2        0
lenient     grpc        5        0       0      5        5        2          2        0
lenient     sse        17        0       0      E        P        2          2        0
";

/// What the upstream is told.
fn behaviour(ending: &str, protocol: &str) -> &'static str {
    match (ending, protocol) {
        ("refused", "grpc") => "grpc=5",
        ("failed", "grpc") => "grpc=13",
        ("refused", "sse") => "status=429",
        ("refused", _) => "status=404",
        ("failed", _) => "status=500",
        ("reset", _) => "reset",
        ("cut_off", "sse") => "events=50 cut=3",
        ("cut_off", _) => "cut=3",
        ("aborted", "sse") => "events=100 gap=50",
        ("aborted", _) => "stream=100,50",
        ("timed_out", _) => "hang",
        (_, "sse") => "input=7 output=5",
        _ => "",
    }
}

fn card() -> serde_json::Value {
    let settle = json!([
        {"when": {"status": ["4xx"]}, "then": "release"},
        {"when": {"grpc_status": [5]}, "then": "release"},
        {"when": {"cause": ["client_abort", "timeout"]}, "then": "minimum"},
        {"when": {"cause": ["upstream_reset"]}, "then": "charge"},
    ]);
    let of = |id: &str, more: serde_json::Value| {
        let mut fixed = json!({"id": id, "path": {"exact": format!("/{id}.Service/Method")}, "price": 5, "minimum": 2});
        let mut tokens = json!({"id": format!("{id}-sse"), "path": {"exact": "/v1/chat/completions"}, "minimum": 2,
            "match": {"headers": [{"name": "x-rule", "equals": id}]},
            "tokens": {"format": "openai_chat", "output_tokens_max": 100}});
        for rule in [&mut fixed, &mut tokens] {
            for (name, value) in more.as_object().into_iter().flatten() {
                rule[name] = value.clone();
            }
        }
        [fixed, tokens]
    };
    let rules = [
        of("on_success", json!({"charge": "on_success"})),
        of("always", json!({"charge": "always"})),
        of("lenient", json!({"charge": "on_success", "settle": settle})),
    ];
    json!({
        "name": CARD, "currency": "tokens", "scale": 0, "default": "deny",
        "models": [{"model": "m", "per": 1, "input": 1, "output": 2}],
        "rules": rules.concat(),
    })
}

/// One cell of the table.
#[derive(Debug, Clone)]
struct Cell {
    rule: String,
    protocol: String,
    ending: String,
    charge: String,
}

fn cells() -> Vec<Cell> {
    let mut lines = TABLE.lines().filter(|line| !line.is_empty());
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    let head: Vec<String> = lines.next().map(words).unwrap_or_default();
    lines
        .flat_map(|line| {
            let row: Vec<String> = words(line);
            assert_eq!(row.len(), head.len(), "{line}");
            let cell = |(ending, charge): (&String, &String)| Cell {
                rule: row[0].clone(),
                protocol: row[1].clone(),
                ending: ending.clone(),
                charge: charge.clone(),
            };
            head.iter().zip(&row).skip(2).map(cell).collect::<Vec<_>>()
        })
        .collect()
}

const QUESTION: &str = r#"{"model":"m","stream":true,"max_tokens":50,"messages":[]}"#;
/// Each byte of the question may be a token, and the answer may have as many as it is allowed.
const ESTIMATE: i128 = QUESTION.len() as i128 + 2 * 50;

impl Cell {
    fn request(&self, customer: &Customer) -> Request<Full<Bytes>> {
        let headers = [
            ("x-api-key", customer.key.as_str()),
            ("x-behave", behaviour(&self.ending, &self.protocol)),
            ("x-ending", &self.ending),
            ("x-rule", &self.rule),
        ];
        let path = format!("/{}.Service/Method", self.rule);
        let with = |more: (&'static str, &'static str)| [&headers[..], &[more]].concat();
        match self.protocol.as_str() {
            "sse" => {
                let headers = with(("content-type", "application/json"));
                request("POST", "/v1/chat/completions", &headers, QUESTION)
            }
            "grpc" => {
                let headers = with(("content-type", "application/grpc"));
                request("POST", &path, &headers, &b"\0\0\0\0\0"[..])
            }
            _ => request("GET", &path, &headers, ""),
        }
    }

    /// Sends it, and takes its answer, or goes away in the middle.
    async fn send(&self, envoy: std::net::SocketAddr, customer: &Customer) -> Result<()> {
        let protocol = match self.protocol.as_str() {
            "http1" | "sse" => Protocol::Http1,
            _ => Protocol::Http2,
        };
        // A connection that breaks is an ending, too.
        let Ok(response) = begin(envoy, protocol, self.request(customer)).await else {
            ensure!(self.ending != "ok", "no answer");
            return Ok(());
        };
        let mut body = response.into_body();
        if self.ending == "aborted" {
            let first = body.frame().await;
            ensure!(first.is_some_and(|frame| frame.is_ok()), "no beginning");
            return Ok(());
        }
        let _ = body.collect().await;
        Ok(())
    }

    fn fits(&self, charged: i128) -> Result<bool> {
        Ok(match self.charge.as_str() {
            "E" => charged == ESTIMATE,
            "P" => 0 < charged && charged <= ESTIMATE,
            number => charged == number.parse::<i128>().context("a number")?,
        })
    }
}

/// Requests that are to time out or to be answered by Envoy have routes of their own.
fn setup() -> Setup {
    let routes = "routes:
              - match: { prefix: \"/\", headers: [{ name: x-ending, string_match: { exact: timed_out } }] }
                route: { cluster: upstream, timeout: 0.3s }
              - match: { prefix: \"/\", headers: [{ name: x-ending, string_match: { exact: replied } }] }
                direct_response: { status: 403 }";
    Setup::default()
        .reading_bodies()
        .logging()
        .edit("routes:", routes)
        .http2_upstream()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_charge_is_what_the_rule_says_for_every_ending_and_protocol() -> Result<()> {
    let scene = Scene::with(&fast_settings(), &card(), false).await?;
    let mut envoy = scene.envoy_with("edge", &setup()).await?;
    let mut sent = JoinSet::new();
    let mut customers = BTreeMap::new();
    for (number, cell) in cells().into_iter().enumerate() {
        let customer = scene.customer(&format!("c{number}"), "1000").await?;
        customers.insert(number, (cell.clone(), customer.clone()));
        let address = envoy.address();
        sent.spawn(async move {
            let done = cell.send(address, &customer).await;
            done.with_context(|| format!("{cell:?}"))
        });
    }
    for done in sent.join_all().await {
        done?;
    }
    let mut wrong = Vec::new();
    let mut spent = BTreeMap::new();
    for (cell, customer) in customers.values() {
        let charged = scene.at_rest(customer).await?.spent;
        spent.insert(customer.name.clone(), charged);
        if !cell.fits(charged)? {
            wrong.push(format!(
                "{} {} {}: {} was charged, not {}",
                cell.rule, cell.protocol, cell.ending, charged, cell.charge
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    scene.plane.verify().await?;
    envoy.never_trapped()?;
    // The log says the same, customer by customer.
    let logged = costs(&entries(&mut envoy).await?, 0)?;
    spent.retain(|_, cost| *cost > 0);
    let paid = logged.into_iter().filter(|(_, cost)| *cost > 0);
    assert_eq!(paid.collect::<BTreeMap<_, _>>(), spent);
    Ok(())
}
