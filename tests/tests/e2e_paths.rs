//! Disguised paths: none is cheaper than the plain one.

use anyhow::Result;
use creditgate_tests::envoy::{Envoy, Setup};
use creditgate_tests::figures::figure;
use creditgate_tests::scene::{Customer, Scene, card, fast_settings};
use serde_json::json;

/// Ways to write `/v1/dear/thing`, and neighbours that an upstream might take for it.
const DISGUISES: &[&str] = &[
    "/v1/dear/thing?x=/v1/cheap",
    "/v1/dear/thing#x",
    "/v1/dear/thing/",
    "/v1//dear/thing",
    "//v1/dear/thing",
    "/v1/./dear/thing",
    "/./v1/dear/thing",
    "/v1/cheap/../dear/thing",
    "/v1/cheap/..//dear/thing",
    "/v1/cheap/%2e%2e/dear/thing",
    "/v1/cheap/.%2E/dear/thing",
    "/v1/%64ear/thing",
    "/v1/dear/%74hing",
    "/%76%31/dear/thing",
    "/v1/dear%2fthing",
    "/v1/dear%2Fthing",
    "/v1/dear%5cthing",
    "/v1%2fdear/thing",
    "/v1/dear\\thing",
    "/v1\\dear\\thing",
    "/v1/cheap\\..\\dear/thing",
    "/v1/dear;x=1/thing",
    "/v1/dear/thing;jsessionid=1",
    "/v1/cheap/..;/dear/thing",
    "/v1/dear/thing%3Bx",
    "/v1/dear/thing%00",
    "/v1/dear/thing%20",
    "/v1/dear/thing%09",
    "/v1/dear%252fthing",
    "/v1/cheap/%252e%252e/dear/thing",
    "/v1/DEAR/thing",
    "/V1/dear/thing",
    "/v1/dear/thing.",
    "/v1/dear/thing/.",
    "/v1/dear/thing/x/..",
    "/v1/dear/thing%3f",
    "/v1/dear/thing%23",
    "/v1/dear/%c0%af",
    "/v1/d%C3%A9ar/../dear/thing",
    "http://api.example/v1/dear/thing",
    "http://other.example/v1/cheap/../dear/thing",
    "*",
    "v1/dear/thing",
    "",
];

/// What a credulous upstream makes of a path: decoded, with parameters, dots and empty
/// segments taken away.
fn credulous_reading(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut decoded = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digits = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match value {
            Some(value) if *byte == b'%' => {
                decoded.push(value);
                rest = &after[2..];
            }
            _ => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    let text = String::from_utf8_lossy(&decoded).replace('\\', "/");
    let mut segments = Vec::new();
    for segment in text.split('/') {
        let segment = segment.split(';').next().unwrap_or_default();
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

struct Outcome {
    status: u16,
    cost: u64,
    /// The path as the upstream saw it, if it did.
    seen: Option<String>,
}

async fn send(
    scene: &Scene,
    envoy: &Envoy,
    customer: &Customer,
    id: &str,
    path: &str,
) -> Result<Outcome> {
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: api.example\r\nx-api-key: {}\r\nx-test-id: {id}\r\nconnection: close\r\n\r\n",
        customer.key
    );
    let (status, text) = envoy.send_raw(head.as_bytes()).await?;
    let cost = text
        .lines()
        .find_map(|line| line.strip_prefix("x-credit-cost: "))
        .map_or(Ok(0), |cost| cost.trim().parse())?;
    let seen = scene.upstream.seen(id).last().map(|seen| seen.path.clone());
    Ok(Outcome { status, cost, seen })
}

async fn no_disguise_is_cheaper(default: &str, envoy_normalises: bool) -> Result<()> {
    let mut card = card();
    card["default"] = json!(default);
    card["rules"] = json!([
        {"id": "cheap", "path": {"prefix": "/v1/cheap"}, "price": 1},
        {"id": "dear", "path": {"prefix": "/v1/dear"}, "price": 100},
    ]);
    let scene = Scene::with(&fast_settings(), &card, false).await?;
    let setup = match envoy_normalises {
        true => Setup::default().logging(),
        false => Setup::default()
            .logging()
            .edit("normalize_path: true", "normalize_path: false")
            .edit("merge_slashes: true", "merge_slashes: false")
            .edit("REJECT_REQUEST", "KEEP_UNCHANGED"),
    };
    let envoy = scene.envoy_with("edge", &setup).await?;
    let ada = scene.customer("ada", "100000").await?;
    let plain = send(&scene, &envoy, &ada, "plain", "/v1/dear/thing").await?;
    assert_eq!((plain.status, plain.cost), (200, 100));

    let (mut paid, mut refused, mut faults) = (0, 0, Vec::new());
    for (number, path) in DISGUISES.iter().enumerate() {
        let outcome = send(&scene, &envoy, &ada, &format!("path-{number}"), path).await?;
        let Some(seen) = outcome.seen else {
            assert_ne!(outcome.status, 200, "{path:?}");
            refused += 1;
            continue;
        };
        let mut reading = credulous_reading(&seen);
        if default == "deny" {
            // Then not even an upstream that ignores case gives anything away.
            reading = reading.to_lowercase();
        }
        paid += u32::from(outcome.cost == 100);
        if reading.starts_with("/v1/dear") && outcome.cost < 100 {
            faults.push(format!(
                "{path:?} reached the upstream as {seen:?} for {}",
                outcome.cost
            ));
        }
    }
    figure(
        "paths",
        format!(
            "default {default}, Envoy normalises {envoy_normalises}: {} disguises, {paid} at the full price, {refused} refused",
            DISGUISES.len()
        ),
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_disguised_path_is_cheaper_where_unpriced_paths_are_denied() -> Result<()> {
    no_disguise_is_cheaper("deny", true).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_disguised_path_is_cheaper_where_unpriced_paths_are_free() -> Result<()> {
    no_disguise_is_cheaper("free", true).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_disguised_path_is_cheaper_where_envoy_does_not_normalise() -> Result<()> {
    no_disguise_is_cheaper("deny", false).await?;
    no_disguise_is_cheaper("free", false).await
}
