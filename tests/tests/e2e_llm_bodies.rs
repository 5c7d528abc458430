//! Requests whose price is in their body: nothing of them reaches the upstream before the
//! decision, and what does is what the rule allows.

use anyhow::Result;
use creditgate_tests::client::send_raw;
use creditgate_tests::clock::ms;
use creditgate_tests::envoy::Setup;
use creditgate_tests::fault_proxy::{Fault, RESOLVE};
use creditgate_tests::priced::{CHAT, MESSAGES, Priced, ask, card, small};
use creditgate_tests::scene::{Scene, fast_settings};
use serde_json::{Value, json};

/// A request whose body has a little more than so many bytes.
fn long(bytes: usize) -> Value {
    let text = "x".repeat(bytes);
    json!({"model": "small", "max_tokens": 100, "messages": [{"role": "user", "content": text}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_can_not_be_paid_never_reaches_the_upstream() -> Result<()> {
    let mut stage = Priced::start().await?;
    // A body of 100 KB may be as many tokens: 0.0150 dollars.
    let asked = long(100_000);
    let eve = stage.customer("eve", "0.0149").await?;
    let ada = stage.customer("ada", "0.0152").await?;
    // Also while the key is being looked up, which takes longer than the body.
    stage.scene.proxy.harm(RESOLVE, Fault::Delay(ms(300)));
    for _ in 0..3 {
        let refused = ask(CHAT, &eve.key, "", "refused", &asked);
        let refused = stage.envoy.send(refused).await?;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (402, "credit_exhausted".into())
        );
        let told = refused.json();
        assert!(
            told["required"].is_string() && told["balance"].is_string(),
            "{told}"
        );
    }
    assert!(stage.scene.upstream.seen("refused").is_empty());
    assert_eq!(stage.scene.upstream.requests_to(CHAT), 0);

    let paid = ask(CHAT, &ada.key, "input=25000 output=10", "paid", &asked);
    assert_eq!(stage.envoy.send(paid).await?.status, 200);
    let seen = stage.scene.upstream.seen("paid");
    assert_eq!(
        (seen.len(), &seen[0].body[..]),
        (1, asked.to_string().as_bytes())
    );
    let (_, spent) = stage.books().await?;
    assert_eq!(
        (spent.get("eve"), spent["ada"]),
        (None, small(25_000, 0, 10))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_above_the_bound_gets_our_413_and_not_the_proxys() -> Result<()> {
    let mut stage = Priced::start().await?;
    let ada = stage.customer("ada", "10").await?;
    // 128 KiB are read; Envoy would buffer 1 MiB.
    for bytes in [131_072, 400_000] {
        let refused = ask(CHAT, &ada.key, "", "long", &long(bytes));
        let refused = stage.envoy.send(refused).await?;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (413, "body_too_large".into())
        );
        // It does not say how long it is, either.
        let body = long(bytes).to_string();
        let raw = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\nx-test-id: long\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            ada.key,
            body.len()
        );
        let (status, text) = send_raw(stage.envoy.address(), raw.as_bytes()).await?;
        assert!(status == 413 && text.contains("body_too_large"), "{text}");
    }
    assert!(stage.scene.upstream.seen("long").is_empty());
    // One byte less than the bound passes, chunked too.
    let mut fits = long(131_072);
    let over = fits.to_string().len() - 131_072;
    fits["messages"][0]["content"] = json!("x".repeat(131_072 - over));
    let body = fits.to_string();
    assert_eq!(body.len(), 131_072);
    let raw = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\nx-test-id: fits\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        ada.key,
        body.len()
    );
    let (status, text) = send_raw(stage.envoy.address(), raw.as_bytes()).await?;
    assert_eq!(status, 200, "{text}");
    assert_eq!(stage.scene.upstream.seen("fits")[0].body, body);
    stage.books().await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_a_limit_gets_one_on_its_way() -> Result<()> {
    let mut stage = Priced::start().await?;
    let asked = json!({ "stream": true, "model": "small", "messages": [{"role": "user", "content": "ä\u{1f600}"}]});
    // The first request of a key is held until it is looked up, the second isn't.
    for (number, path, name) in [(0, CHAT, "ada"), (1, MESSAGES, "bob"), (2, CHAT, "eve")] {
        let customer = stage.customer(name, "1").await?;
        for round in 0..2 {
            let id = format!("limit-{number}-{round}");
            let mut asked = asked.clone();
            if number == 2 {
                asked["stream"] = json!(false);
            }
            let answer = ask(path, &customer.key, "output=2000", &id, &asked);
            let answer = stage.envoy.send(answer).await?;
            assert_eq!(answer.status, 200, "{answer:?}");
            let seen = stage.scene.upstream.seen(&id);
            let length = seen[0].headers.get("content-length").cloned();
            assert_eq!(length, Some(seen[0].body.len().into()));
            let body: Value = serde_json::from_slice(&seen[0].body)?;
            let limit = ["max_tokens", "max_completion_tokens"].map(|name| body[name].as_u64());
            assert_eq!(limit.into_iter().flatten().sum::<u64>(), 1_000, "{body}");
            let includes = &body["stream_options"]["include_usage"];
            let silent = path == MESSAGES || number == 2;
            assert_eq!(*includes, if silent { Value::Null } else { json!(true) });
            assert_eq!(body["messages"], asked["messages"]);
        }
    }
    let (_, spent) = stage.books().await?;
    // The upstream kept to it.
    for name in ["ada", "bob", "eve"] {
        assert_eq!(spent[name], 2 * small(7, 0, 1_000), "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_priced_is_refused_before_the_upstream() -> Result<()> {
    let mut stage = Priced::start().await?;
    let ada = stage.customer("ada", "10").await?;
    for (body, status, code) in [
        (json!({"model": "unheard-of"}), 400, "model_unknown"),
        (
            json!({"model": "small", "max_tokens": 1_001}),
            400,
            "output_over_max",
        ),
        (json!(["small"]), 400, "body_unreadable"),
        (json!("model"), 400, "body_unreadable"),
    ] {
        let refused = ask(CHAT, &ada.key, "", "odd", &body);
        let refused = stage.envoy.send(refused).await?;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (status, code.into()),
            "{body}"
        );
    }
    let twice = r#"{"model": "small", "model": "large-1"}"#;
    let raw = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: a\r\nx-api-key: {}\r\nx-test-id: odd\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{twice}",
        ada.key,
        twice.len()
    );
    let (status, text) = send_raw(stage.envoy.address(), raw.as_bytes()).await?;
    assert!(status == 400 && text.contains("body_unreadable"), "{text}");
    assert!(stage.scene.upstream.seen("odd").is_empty());
    stage.books().await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_both_settings_no_request_with_its_price_in_the_body_passes() -> Result<()> {
    let scene = Scene::with(&fast_settings(), &card(), false).await?;
    let ada = scene.customer_in("ada", "usd", "1").await?;
    let body = json!({"model": "small"});
    // Envoy would hand bodies over, but the filter doesn't know.
    let setup = Setup::default().logging().reading_bodies();
    let setup = setup.filter(json!({"reads_bodies": false}));
    let told = scene.envoy_with("told", &setup).await?;
    let refused = told.send(ask(CHAT, &ada.key, "", "off", &body)).await?;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (503, "bodies_off".into())
    );
    // The filter waits for a body that Envoy never hands over.
    let setup = Setup::default().logging();
    let setup = setup.filter(json!({"reads_bodies": true}));
    let deaf = scene.envoy_with("deaf", &setup).await?;
    let hangs = deaf.send(ask(CHAT, &ada.key, "", "off", &body));
    assert!(tokio::time::timeout(ms(1_500), hangs).await.is_err());
    // Other requests don't mind.
    let ping = creditgate_tests::client::get("/v1/ping", &ada.key);
    assert_eq!(deaf.send(ping).await?.status, 200);
    assert!(scene.upstream.seen("off").is_empty());
    assert_eq!(scene.at_rest(&ada).await?.spent, 2_000_000);
    scene.adds_up([told, deaf]).await
}
