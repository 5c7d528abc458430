//! Several filters in one Envoy: what a request costs that crosses two of them.

use anyhow::Result;
use creditgate_tests::access_log::{costs, entries};
use creditgate_tests::client::get;
use creditgate_tests::envoy::{Envoy, Setup};
use creditgate_tests::scene::Scene;
use serde_json::json;

/// A second filter behind the first, with the same memory, that logs as `log_as`.
fn two_filters(charged_once: bool, log_as: &str) -> Setup {
    let router = "          - name: envoy.filters.http.router";
    let second = format!(
        r#"          - name: second
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: second
                root_id: creditgate
                failure_policy: FAIL_RELOAD
                vm_config:
                  vm_id: creditgate
                  runtime: envoy.wasm.runtime.v8
                  code: {{ local: {{ filename: "${{CREDITGATE_WASM}}" }} }}
                  environment_variables: {{ host_env_keys: [CREDITGATE_GATEWAY_KEY] }}
                configuration:
                  "@type": type.googleapis.com/google.protobuf.StringValue
                  value: '{{"control_plane": {{"cluster": "creditgate"}}, "charged_once": {charged_once}, "log_as": "{log_as}"}}'
{router}"#
    );
    Setup::default()
        .logging_as(&["creditgate", "second"])
        .filter(json!({"charged_once": charged_once}))
        .edit(router, &second)
}

/// Five requests across two filters, by a customer of this name: what each costs is known. Start-up says what
/// is to be said.
async fn crossed(
    name: &str,
    charged_once: bool,
    log_as: &str,
    cost: i128,
) -> Result<(Scene, Envoy)> {
    let scene = Scene::start().await?;
    let setup = two_filters(charged_once, log_as);
    let envoy = scene.envoy_with(name, &setup).await?;
    let customer = scene.customer(name, "100").await?;
    for _ in 0..5 {
        let answer = envoy.send(get("/v1/ping", &customer.key)).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        // One account, one cell: both filters spend the same lease.
        assert!(!answer.header("x-credit-remaining").is_empty());
    }
    assert_eq!(scene.at_rest(&customer).await?.spent, 5 * cost, "{name}");
    let says = |what| envoy.log().contains(what);
    assert_eq!(says("is charged by each"), !charged_once, "{name}");
    let are_alike = !charged_once && log_as == "creditgate";
    assert_eq!(says("overwrite each other"), are_alike, "{name}");
    Ok((scene, envoy))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_crosses_two_filters_is_charged_by_each_or_once_as_they_say() -> Result<()> {
    for (name, charged_once, log_as, cost) in [
        ("once", true, "creditgate", 1),
        ("twice", false, "second", 2),
    ] {
        let (scene, envoy) = crossed(name, charged_once, log_as, cost).await?;
        scene.adds_up([envoy]).await?;
    }
    Ok(())
}

/// The one case in which the log does not sum up to the ledger.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misconfigured_filters_that_log_under_one_name_are_told_of_and_half_their_lines_are_lost()
-> Result<()> {
    let (scene, mut envoy) = crossed("alike", false, "creditgate", 2).await?;
    envoy.never_trapped()?;
    assert_eq!(costs(&entries(&mut envoy).await?, 0)?["alike"], 5);
    scene.plane.verify().await
}
