//! The site of a demo: everything that runs, and the sample customers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::built::Built;
use super::household::Household;
use super::http::{Client, text};
use super::screen::Screen;
use super::upstream::Upstream;
use super::{now, seconds, until};
use crate::workspace;

/// What is copied to be put before one's own upstream; the demo runs it as it is.
const CONFIGURATION: &str = "envoy/minimal.yaml";

/// Where the sample customers are sent to buy credit.
const TOP_UP_URL: &str = "https://example.com/buy-credit";

/// All that runs.
pub(super) struct Site {
    /// The control plane's API, as its administrator.
    pub(super) api: Client,
    /// The gateway: Envoy with the filter.
    pub(super) gateway: Client,
    pub(super) upstream: Upstream,
    /// A customer with 1 usd.
    pub(super) acme: Customer,
    /// A customer with 50 usd.
    pub(super) globex: Customer,
    /// For `creditgate verify`.
    pub(super) database: String,
    pub(super) control_plane: std::path::PathBuf,
    admin_key: String,
    envoy_admin: SocketAddr,
}

/// A sample customer with one wallet and one key.
pub(super) struct Customer {
    pub(super) name: &'static str,
    pub(super) wallet: String,
    pub(super) key: String,
}

impl Site {
    /// Starts control plane, upstream and Envoy, and makes the customers.
    ///
    /// # Errors
    /// Something does not come up, or the control plane refuses.
    pub(super) fn start(screen: &Screen, household: &Household, built: &Built) -> Result<Self> {
        let database = format!(
            "sqlite:{}",
            household.folder().join("creditgate.db").display()
        );
        let started = now();
        let (plane, admin_key) = start_control_plane(household, built, &database)?;
        let took = seconds(now().duration_since(started));
        screen.pair(
            "control plane",
            &format!("http://{plane}   SQLite, ready after {took}"),
        );

        let upstream = Upstream::start()?;
        screen.pair("upstream", &format!("http://{}", upstream.address()));

        let api = Client::new(plane).bearer(&admin_key);
        let gateway_key = set_up(&api)?;
        let acme = Customer::create(&api, "acme", "1")?;
        let globex = Customer::create(&api, "globex", "50")?;

        let started = now();
        let (gateway, envoy_admin) =
            start_envoy(household, built, plane, upstream.address(), &gateway_key)?;
        let took = seconds(now().duration_since(started));
        let version = &built.envoy_version;
        screen.pair(
            "gateway",
            &format!(
                "http://{gateway}   Envoy {version} with the filter, 2 workers, ready after {took}"
            ),
        );
        screen.pair(
            "rate card",
            "GET /v1/hello 0.25 usd, /v1/reports/{id} 1.50 usd, all else denied",
        );
        screen.pair("customers", "acme with 1 usd, globex with 50 usd");
        Ok(Self {
            api,
            gateway: Client::new(gateway),
            upstream,
            acme,
            globex,
            database,
            control_plane: built.control_plane.clone(),
            admin_key,
            envoy_admin,
        })
    }

    /// What a curious person can do while the demo stays up.
    pub(super) fn print_what_to_try(&self, screen: &Screen, folder: &Path) {
        let (gateway, api) = (self.gateway.base(), self.api.base());
        screen.heading("It stays up until Ctrl-C. To try it yourself, in another terminal:");
        screen.line("");
        screen.line(&format!("GATEWAY={gateway}  API={api}"));
        screen.line(&format!("KEY={}", self.acme.key));
        screen.line(&format!("ADMIN={}", self.admin_key));
        screen.line(&format!("WALLET={}", self.acme.wallet));
        let lines = [
            (
                "a request of acme, paid",
                "curl -i $GATEWAY/v1/hello -H \"x-api-key: $KEY\"",
            ),
            (
                "a dearer one",
                "curl -i $GATEWAY/v1/reports/7 -H \"x-api-key: $KEY\"",
            ),
            (
                "thirty of them, until 402",
                "for i in $(seq 30); do curl -s -o /dev/null -w '%{http_code} ' $GATEWAY/v1/hello -H \"x-api-key: $KEY\"; done; echo",
            ),
            (
                "its balance, as acme sees it, for free",
                "curl $GATEWAY/.well-known/credit-balance -H \"x-api-key: $KEY\"",
            ),
            ("no key: 401", "curl -i $GATEWAY/v1/hello"),
            (
                "a top-up",
                "curl -X POST $API/v1/wallets/$WALLET/top-up -H \"authorization: Bearer $ADMIN\" -H 'content-type: application/json' -d '{\"credits_to_add\": \"5\"}'",
            ),
            (
                "suspend acme; with /resume it may go on",
                "curl -X POST $API/v1/customers/acme/suspend -H \"authorization: Bearer $ADMIN\"",
            ),
            (
                "where its money is",
                "curl $API/v1/wallets/$WALLET/balance -H \"authorization: Bearer $ADMIN\"",
            ),
            (
                "what is lent to whom",
                "curl $API/v1/leases -H \"authorization: Bearer $ADMIN\"",
            ),
        ];
        for (what, line) in lines {
            screen.line("");
            screen.aside(&format!("# {what}"));
            screen.line(line);
        }
        screen.line("");
        screen.pair("API document", &format!("{api}/openapi.json"));
        screen.pair("metrics", &format!("{api}/metrics"));
        screen.pair(
            "Envoy's counters",
            &format!("http://{}/stats?filter=creditgate", self.envoy_admin),
        );
        screen.pair("logs, database", &folder.display().to_string());
    }
}

impl Customer {
    fn create(api: &Client, name: &'static str, credits: &str) -> Result<Self> {
        api.write("POST", "/v1/customers", &json!({"external_id": name}))?;
        let wallet = json!({"customer_id": name, "currency": "usd"});
        let wallet = text(&api.write("POST", "/v1/wallets", &wallet)?.json(), "id")?;
        let top_up = json!({"credits_to_add": credits, "reason_code": "PURCHASED_CREDIT_DIRECT"});
        api.write("POST", &format!("/v1/wallets/{wallet}/top-up"), &top_up)?;
        let key = api.write("POST", &format!("/v1/customers/{name}/keys"), &json!({}))?;
        Ok(Self {
            name,
            wallet,
            key: text(&key.json(), "key")?,
        })
    }
}

fn start_control_plane(
    household: &Household,
    built: &Built,
    database: &str,
) -> Result<(SocketAddr, String)> {
    let mut serve = Command::new(&built.control_plane);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--database", database]);
    serve.env_remove("CREDITGATE_ADMIN_KEY");
    household.start("control-plane", &serve)?;
    let address = household.says("control-plane", |line| {
        let (_, rest) = line.split_once("listening on http://")?;
        rest.split_whitespace().next()?.parse().ok()
    })?;
    // Printed once, when the database is new.
    let key = household.says("control-plane", |line| {
        let (_, rest) = line.split_once("cga_")?;
        let rest: String = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
            .collect();
        Some(format!("cga_{rest}"))
    })?;
    Ok((address, key))
}

/// Settings, rate card and gateway; returns the gateway's key.
fn set_up(api: &Client) -> Result<String> {
    api.write("PATCH", "/v1/settings", &json!({"top_up_url": TOP_UP_URL}))?;
    api.write("PUT", "/v1/rate-cards/demo", &rate_card())?;
    let gateway = json!({"external_id": "demo", "rate_card": "demo"});
    api.write("POST", "/v1/gateways", &gateway)?;
    text(
        &api.write("POST", "/v1/gateways/demo/keys", &json!({}))?
            .json(),
        "key",
    )
}

fn rate_card() -> Value {
    json!({
        "name": "demo",
        "currency": "usd",
        "default": "deny",
        "free_paths": ["/healthz"],
        "rules": [
            {"id": "hello", "methods": ["GET"], "path": {"exact": "/v1/hello"}, "price": "0.25"},
            {"id": "report", "path": {"template": "/v1/reports/{id}"}, "price": "1.50"},
        ],
    })
}

/// Starts Envoy; returns where it takes requests, and its admin address.
fn start_envoy(
    household: &Household,
    built: &Built,
    plane: SocketAddr,
    upstream: SocketAddr,
    gateway_key: &str,
) -> Result<(SocketAddr, SocketAddr)> {
    let folder = household.folder();
    let template = workspace::root().join(CONFIGURATION);
    let template = std::fs::read_to_string(&template)
        .with_context(|| format!("could not read {}", template.display()))?;
    let configuration = folder.join("envoy.yaml");
    let values = BTreeMap::from([
        ("LISTEN_ADDRESS", "127.0.0.1".to_owned()),
        ("LISTEN_PORT", "0".to_owned()),
        ("ADMIN_PORT", "0".to_owned()),
        ("CREDITGATE_WASM", built.filter.display().to_string()),
        ("CONTROL_PLANE_HOST", plane.ip().to_string()),
        ("CONTROL_PLANE_PORT", plane.port().to_string()),
        ("UPSTREAM_HOST", upstream.ip().to_string()),
        ("UPSTREAM_PORT", upstream.port().to_string()),
        (
            "ACCESS_LOG",
            folder.join("access.log").display().to_string(),
        ),
    ]);
    std::fs::write(&configuration, fill_in(&template, &values)?)?;
    let address_file = folder.join("envoy-admin-address");
    let mut envoy = Command::new(&built.envoy);
    envoy.arg("-c").arg(&configuration);
    envoy.arg("--admin-address-path").arg(&address_file);
    // Without hot restart there is no base id, which two demos would have to keep apart.
    envoy.args([
        "--concurrency",
        "2",
        "--log-level",
        "warning",
        "--disable-hot-restart",
    ]);
    envoy.env("CREDITGATE_GATEWAY_KEY", gateway_key);
    household.start("envoy", &envoy)?;

    let within = Duration::from_secs(30);
    let admin: SocketAddr = until("Envoy tells its admin address", within, || {
        household.ensure_running()?;
        let written = std::fs::read_to_string(&address_file).ok();
        Ok(written.and_then(|text| text.trim().parse().ok()))
    })?;
    let client = Client::new(admin);
    until("Envoy is live", within, || {
        household.ensure_running()?;
        let ready = client.get("/ready", None).ok();
        Ok(ready.filter(|answer| answer.status == 200))
    })?;
    let listeners = client.get("/listeners?format=json", None)?.json();
    let port = &listeners["listener_statuses"][0]["local_address"]["socket_address"]["port_value"];
    let port = port.as_u64().and_then(|port| u16::try_from(port).ok());
    let gateway = SocketAddr::from(([127, 0, 0, 1], port.context("Envoy has no listener")?));
    // Until the filter has its rate card it can't decide anything: 503 `not_ready`.
    let client = Client::new(gateway);
    until("the filter has its rate card", within, || {
        household.ensure_running()?;
        let answer = client.get("/v1/hello", None)?;
        Ok((answer.status != 503).then_some(()))
    })?;
    Ok((gateway, admin))
}

/// Fills in every `${NAME}`, as the head of the configuration documents them.
fn fill_in(template: &str, values: &BTreeMap<&str, String>) -> Result<String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, from)) = rest.split_once("${") {
        let (name, after) = from.split_once('}').context("a ${ without }")?;
        let value = values.get(name);
        ensure!(
            value.is_some(),
            "{CONFIGURATION} has a variable ${{{name}}} that the demo does not know"
        );
        filled.push_str(before);
        filled.push_str(value.map_or("", String::as_str));
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::fill_in;

    #[test]
    fn variables_are_filled_in_and_unknown_ones_are_errors() {
        let values = BTreeMap::from([("PORT", "80".to_owned())]);
        assert_eq!(
            fill_in("a ${PORT} b", &values).ok().as_deref(),
            Some("a 80 b")
        );
        assert!(fill_in("${HOST}", &values).is_err());
    }
}
