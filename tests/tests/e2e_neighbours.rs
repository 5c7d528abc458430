//! Several filters in one Envoy: what a request costs that crosses two of them, and who says so.

use anyhow::{Context, Result};
use creditgate_tests::access_log::{costs, entries};
use creditgate_tests::client::{get, request};
use creditgate_tests::clock::{ms, until};
use creditgate_tests::envoy::{Envoy, Setup};
use creditgate_tests::scene::Scene;
use creditgate_tests::tools;
use serde_json::{Value, json};

/// The document of the filter in `envoy/minimal.yaml`, with more in it.
fn document(patch: &Value) -> Value {
    let mut document = json!({
        "control_plane": {"cluster": "creditgate"},
        "identity": {"header": "x-api-key"},
    });
    for (name, value) in patch.as_object().into_iter().flatten() {
        document[name] = value.clone();
    }
    document
}

/// A filter behind that of `envoy/minimal.yaml`, of this name, memory and document; all else is
/// as the first has it.
fn behind(name: &str, vm_id: &str, document: &Value) -> String {
    format!(
        r#"          - name: {name}
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: {name}
                root_id: creditgate
                failure_policy: FAIL_RELOAD
                reload_config: {{ backoff: {{ base_interval: 0.1s, max_interval: 10s }} }}
                vm_config:
                  vm_id: {vm_id}
                  runtime: envoy.wasm.runtime.v8
                  code: {{ local: {{ filename: "${{CREDITGATE_WASM}}" }} }}
                  environment_variables: {{ host_env_keys: [CREDITGATE_GATEWAY_KEY] }}
                configuration:
                  "@type": type.googleapis.com/google.protobuf.StringValue
                  value: |
                    {document}
"#
    )
}

/// What start-up and the first requests say.
#[derive(Debug, PartialEq)]
struct Said {
    neighbours: bool,
    overwriting: bool,
    crossings: usize,
}

impl Said {
    fn by(envoy: &Envoy) -> Self {
        let log = envoy.log();
        Self {
            neighbours: log.contains("is charged by each"),
            overwriting: log.contains("overwrite each other"),
            crossings: log
                .matches("requests cross several Creditgate filters")
                .count(),
        }
    }
}

/// Two filters of one chain, and what comes of five requests that cross both.
struct Pair {
    name: &'static str,
    patch: Value,
    behind: String,
    cost: i128,
    said: Said,
}

fn pairs() -> [Pair; 6] {
    let once = json!({"charged_once": true});
    let second = json!({"log_as": "second"});
    let said = |neighbours, overwriting, crossings| Said {
        neighbours,
        overwriting,
        crossings,
    };
    let pair = |name, patch: &Value, behind, cost, said| Pair {
        name,
        patch: patch.clone(),
        behind,
        cost,
        said,
    };
    let (none, own) = (&json!({}), "creditgate");
    let (plain, other) = (document(none), document(&second));
    let once_behind = behind("second", own, &document(&once));
    let elsewhere = behind(own, "elsewhere", &document(&once));
    [
        pair("once", &once, once_behind, 1, said(false, false, 0)),
        pair(
            "twice",
            none,
            behind("second", own, &other),
            2,
            said(true, false, 1),
        ),
        pair(
            "alike",
            none,
            behind("second", own, &plain),
            2,
            said(true, true, 1),
        ),
        // Nobody can tell at start-up: a filter copied whole, and one of another memory.
        pair(
            "copied",
            none,
            behind(own, own, &plain),
            2,
            said(false, false, 1),
        ),
        pair(
            "apart",
            none,
            behind(own, "elsewhere", &other),
            2,
            said(false, false, 1),
        ),
        pair("apart-once", &once, elsewhere, 1, said(false, false, 0)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_crosses_two_filters_is_charged_once_or_it_is_said_that_each_charges()
-> Result<()> {
    for pair in pairs() {
        let name = pair.name;
        let scene = Scene::start().await?;
        let setup = Setup::default()
            .logging_as(&["creditgate", "second"])
            .filter(pair.patch)
            .between("", &pair.behind);
        let mut envoy = scene.envoy_with(name, &setup).await?;
        ready_behind(&envoy).await?;
        let customer = scene.customer(name, "100").await?;
        for _ in 0..5 {
            let answer = envoy.send(get("/v1/ping", &customer.key)).await?;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(!answer.header("x-credit-remaining").is_empty());
        }
        assert_eq!(
            scene.at_rest(&customer).await?.spent,
            5 * pair.cost,
            "{name}"
        );
        assert_eq!(Said::by(&envoy), pair.said, "{name}");
        if pair.cost == 2 && !matches!(name, "twice" | "apart") {
            // Under one name the log has one line of the two.
            envoy.never_trapped()?;
            assert_eq!(costs(&entries(&mut envoy).await?, 0)?[name], 5);
            scene.plane.verify().await?;
        } else {
            scene.adds_up([envoy]).await?;
        }
    }
    Ok(())
}

/// Waits until the filter behind the first has its rate card, too.
async fn ready_behind(envoy: &Envoy) -> Result<()> {
    until(
        "the filter behind has its rate card",
        ms(10_000),
        async || {
            let answer = envoy.send(get("/v1/free", "")).await?;
            Ok((answer.status == 200).then_some(()))
        },
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_that_envoy_follows_takes_no_mark_along() -> Result<()> {
    for charged_once in [false, true] {
        let scene = Scene::start().await?;
        let setup = Setup::default()
            .logging()
            .filter(json!({"charged_once": charged_once}))
            .edit(
                "route: { cluster: upstream }",
                "route: { cluster: upstream, internal_redirect_policy: {} }",
            );
        let envoy = scene.envoy_with("edge", &setup).await?;
        let ada = scene.customer("ada", "10").await?;
        let headers = [
            ("x-api-key", ada.key.as_str()),
            ("x-behave", "redirect-first"),
            ("x-test-id", "moved"),
        ];
        let moved = request("GET", "/v1/always", &headers, "");
        assert_eq!(envoy.send(moved).await?.status, 200);
        assert_eq!(scene.upstream.seen("moved").len(), 2);
        // Of one filter each is a request of its own, and no other filter's.
        assert_eq!(scene.at_rest(&ada).await?.spent, 2, "{charged_once}");
        assert_eq!(Said::by(&envoy).crossings, 0);
        scene.adds_up([envoy]).await?;
    }
    Ok(())
}

/// The listener of `envoy/minimal.yaml` in front of an internal one with the same filter under
/// another name; both charge once.
fn internal_listener() -> Result<Setup> {
    let text = std::fs::read_to_string(tools::top().join("envoy/minimal.yaml"))?;
    let (top, rest) = text.split_once("  listeners:\n").context("listeners")?;
    anyhow::ensure!(top.contains("static_resources:"), "{top}");
    let (listener, _) = rest.split_once("\n  clusters:\n").context("clusters")?;
    let (_, chains) = listener
        .split_once("    filter_chains:\n")
        .context("chains")?;
    let inner = chains
        .replace("name: creditgate\n", "name: inner\n")
        .replace(
            r#""identity": {"#,
            r#""charged_once": true, "log_as": "inner", "identity": {"#,
        );
    anyhow::ensure!(inner.contains("charged_once"), "{inner}");
    let listeners = format!(
        "\n  - name: inner\n    internal_listener: {{}}\n    filter_chains:\n{inner}\n  clusters:\n"
    );
    let extension = r#"bootstrap_extensions:
- name: envoy.bootstrap.internal_listener
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener
static_resources:
"#;
    let cluster = r#"
  clusters:
  - name: inner
    load_assignment:
      cluster_name: inner
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { envoy_internal_address: { server_listener_name: inner } } }
    transport_socket:
      name: envoy.transport_sockets.internal_upstream
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport
        transport_socket:
          name: envoy.transport_sockets.raw_buffer
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer
"#;
    Ok(Setup::default()
        .filter(json!({"charged_once": true}))
        .edit("route: { cluster: upstream }", "route: { cluster: inner }")
        .edit("\n  clusters:\n", cluster)
        .edit("\n  clusters:\n", &listeners)
        .edit("static_resources:\n", extension)
        .logging_as(&["creditgate", "inner"]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_does_not_cross_an_internal_listener_so_each_side_charges() -> Result<()> {
    let scene = Scene::start().await?;
    let envoy = scene.envoy_with("edge", &internal_listener()?).await?;
    ready_behind(&envoy).await?;
    let ada = scene.customer("ada", "100").await?;
    for _ in 0..5 {
        let answer = envoy.send(get("/v1/ping", &ada.key)).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(scene.at_rest(&ada).await?.spent, 10);
    assert_eq!(envoy.metric("creditgate_decided_elsewhere").await?, 0);
    scene.adds_up([envoy]).await
}
