//! The configurations that people copy, run as they are: paid, 402, settled, aborted.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use creditgate_tests::client::{get, get_behaving};
use creditgate_tests::clock::{ms, pause};
use creditgate_tests::envoy::{Envoy, Setup};
use creditgate_tests::scene::{Scene, card, fast_settings};
use creditgate_tests::tools;
use creditgate_tests::wasm_module::Module;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// `envoy/production.yaml`, as its README says to fill it in.
fn production(scene: &Scene) -> Setup {
    let authority = scene.folder.path().join("ca.pem");
    Setup {
        template: "envoy/production.yaml",
        ..Setup::default()
    }
    .variable("CONTROL_PLANE_HOST", "localhost")
    .variable("CONTROL_PLANE_CA", authority.display().to_string())
    .variable("UPSTREAM_HEALTH_PATH", "/healthz")
    // As max_stream_ms of the settings.
    .variable("MAX_STREAM_DURATION", "10s")
}

async fn pays_refuses_settles_and_survives_aborts(scene: &Scene, envoy: &Envoy) -> Result<()> {
    let ada = scene.customer("ada", "3").await?;
    let paid = envoy.send(get("/v1/ping", &ada.key)).await?;
    assert_eq!(paid.status, 200, "{paid:?}\n{}", envoy.log());
    let failed = envoy
        .send(get_behaving("/v1/ping", &ada.key, "status=503"))
        .await?;
    assert_eq!(failed.status, 503, "{failed:?}");

    let mut stream = TcpStream::connect(envoy.address()).await?;
    let head = format!(
        "GET /v1/ping HTTP/1.1\r\nhost: api.example\r\nx-api-key: {}\r\nx-behave: stream=100,20\r\n\r\n",
        ada.key
    );
    stream.write_all(head.as_bytes()).await?;
    let mut piece = [0; 256];
    assert!(stream.read(&mut piece).await? > 0);
    drop(stream);
    pause(ms(200)).await;

    let last = envoy.send(get("/v1/ping", &ada.key)).await?;
    assert_eq!(last.status, 200, "{last:?}");
    let refused = envoy.send(get("/v1/ping", &ada.key)).await?;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (402, "credit_exhausted")
    );
    let balance = scene.at_rest(&ada).await?;
    assert_eq!(
        (balance.spent, balance.available),
        (3, 0),
        "one paid, one aborted, one paid; the 503 is free"
    );
    envoy.never_trapped()
}

/// Nothing of the gateway's key is on Envoy's admin pages.
async fn key_is_not_shown(envoy: &Envoy, key: &str) -> Result<()> {
    for page in [
        "/config_dump?include_eds",
        "/server_info",
        "/clusters",
        "/stats",
        "/listeners",
    ] {
        let shown = envoy.admin("GET", page).await?;
        let text = String::from_utf8_lossy(&shown.body).into_owned();
        assert_eq!(shown.status, 200, "{page}");
        assert!(!text.contains(key), "{page} shows the gateway's key");
        assert!(
            page != "/config_dump?include_eds" || text.contains("CREDITGATE_GATEWAY_KEY"),
            "{text}"
        );
    }
    assert!(
        !envoy.log().contains(key),
        "the log shows the gateway's key"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_minimal_configuration_runs_and_hides_the_gateways_key() -> Result<()> {
    let scene = Scene::start().await?;
    let key = scene.gateway("edge").await?;
    let (plane, upstream) = (scene.proxy.address(), scene.upstream.address());
    let setup = Setup::default().logging();
    let envoy = Envoy::start(&setup, scene.folder.path(), plane, upstream, &key).await?;
    pays_refuses_settles_and_survives_aborts(&scene, &envoy).await?;
    key_is_not_shown(&envoy, &key).await?;
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_production_configuration_runs_with_tls_and_hides_the_gateways_key() -> Result<()> {
    let scene = Scene::with(&fast_settings(), &card(), true).await?;
    let key = scene.gateway("edge").await?;
    let (plane, upstream) = (scene.proxy.address(), scene.upstream.address());
    let setup = production(&scene);
    let envoy = Envoy::start(&setup, scene.folder.path(), plane, upstream, &key).await?;
    pays_refuses_settles_and_survives_aborts(&scene, &envoy).await?;
    key_is_not_shown(&envoy, &key).await?;
    let ssl = envoy.metric("cluster.creditgate.ssl.handshake").await?;
    assert!(ssl > 0, "the control plane was not reached by TLS");
    scene.adds_up([envoy]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn production_believes_no_control_plane_without_the_right_certificate() -> Result<()> {
    let scene = Scene::with(&fast_settings(), &card(), true).await?;
    let ada = scene.customer("ada", "3").await?;
    // Another authority than the one that signed the control plane's certificate.
    let other = tempfile::tempdir()?;
    let (authority, _) = creditgate_tests::certificate::authority(other.path())?;
    let key = scene.gateway("edge").await?;
    let setup = production(&scene).variable("CONTROL_PLANE_CA", authority.display().to_string());
    let (plane, upstream) = (scene.proxy.address(), scene.upstream.address());
    let envoy = Envoy::start_unready(&setup, scene.folder.path(), plane, upstream, &key).await?;
    let answer = envoy.send(get("/v1/ping", &ada.key)).await?;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(scene.upstream.requests(), 0);
    envoy.never_trapped()
}

/// What the SDK could do and this filter never does.
const NOT_ALLOWED: [&str; 13] = [
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_done",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_set_buffer_bytes",
    "proxy_set_header_map_pairs",
];

/// Callbacks for TCP, gRPC calls and foreign functions.
const NOT_CALLED: [&str; 10] = [
    "proxy_on_downstream_connection_close",
    "proxy_on_downstream_data",
    "proxy_on_foreign_function",
    "proxy_on_grpc_close",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_new_connection",
    "proxy_on_upstream_connection_close",
    "proxy_on_upstream_data",
];

#[test]
fn the_capability_list_is_what_the_module_calls_and_is_called_by() -> Result<()> {
    let module = Module::read(&std::fs::read(tools::filter()?)?)?;
    let text = std::fs::read_to_string(tools::top().join("envoy/production.yaml"))?;
    let (_, list) = text
        .split_once("allowed_capabilities:")
        .context("no list")?;
    let (list, _) = list
        .split_once("configuration:")
        .context("no end of the list")?;
    let allowed: BTreeSet<&str> = list
        .lines()
        .filter_map(|line| line.trim().strip_suffix(": {}"))
        .collect();

    let known: BTreeSet<&str> = module
        .imports
        .union(&module.exports)
        .map(String::as_str)
        .collect();
    let unknown: Vec<_> = allowed.difference(&known).collect();
    assert!(
        unknown.is_empty(),
        "allowed, but the module has no use for it: {unknown:?}"
    );
    // A callback that is left out is a free pass; a call that is left out fails.
    let abi = |name: &&str| !name.starts_with("proxy_abi_version");
    let missing: Vec<_> = known
        .difference(&allowed)
        .filter(|name| !NOT_ALLOWED.contains(name) && !NOT_CALLED.contains(name))
        .filter(|name| abi(name))
        .collect();
    assert!(
        missing.is_empty(),
        "neither allowed nor known to be unused: {missing:?}"
    );
    Ok(())
}
