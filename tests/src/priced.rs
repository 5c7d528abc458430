//! A stage on which prices depend on what requests carry and answers tell.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};

use crate::access_log::{costs, entries};
use crate::client::request;
use crate::envoy::{Envoy, Setup};
use crate::scene::{CARD, Customer, Scene, fast_settings};
use crate::sums::{Torn, agree};

/// Digits of what is paid with: a token of the model `small` costs 150 units read, 75 from the
/// cache, 600 written.
pub const SCALE: usize = 9;

/// Where OpenAI's shape is spoken.
pub const CHAT: &str = "/v1/chat/completions";
/// Where Anthropic's is.
pub const MESSAGES: &str = "/v1/messages";

/// Models by tokens, jobs by their units, bulk by its bytes.
#[must_use]
pub fn card() -> Value {
    json!({
        "name": CARD, "currency": "usd", "scale": SCALE, "default": "deny",
        "models": [
            {"model": "small", "input": "0.15", "cached_input": "0.075", "output": "0.60"},
            {"model": "large-*", "input": "3", "cached_input": "0.30", "output": "15"},
        ],
        "rules": [
            {"id": "chat", "methods": ["POST"], "path": {"exact": CHAT},
                "tokens": {"format": "openai_chat", "output_tokens_max": 1000}},
            {"id": "messages", "methods": ["POST"], "path": {"exact": MESSAGES},
                "tokens": {"format": "anthropic_messages", "output_tokens_max": 1000}},
            {"id": "jobs", "path": {"exact": "/v1/jobs"}, "price": "0.001",
                "meters": [{"meter": {"response_header": "x-units"}, "price": "0.01", "estimate": 5}]},
            {"id": "bulk", "path": {"exact": "/v1/bulk"},
                "meters": [{"meter": "response_bytes", "price": "0.09", "per": 1_000_000_000, "estimate": 200_000_000}]},
            {"id": "ping", "path": {"exact": "/v1/ping"}, "price": "0.002"},
        ],
    })
}

/// What tokens of the model `small` cost, in smallest units.
#[must_use]
pub fn small(input: usize, cached: usize, output: usize) -> i128 {
    let units = (input - cached) * 150 + cached * 75 + output * 600;
    i128::try_from(units).unwrap_or(i128::MAX)
}

/// A control plane, an upstream, and an Envoy that reads bodies.
pub struct Priced {
    /// All but the Envoy.
    pub scene: Scene,
    /// The Envoy.
    pub envoy: Envoy,
    customers: Vec<Customer>,
}

impl Priced {
    /// With [`card`].
    ///
    /// # Errors
    /// If something does not come up.
    pub async fn start() -> Result<Self> {
        Self::with(&card()).await
    }

    /// With another card in dollars.
    ///
    /// # Errors
    /// If something does not come up.
    pub async fn with(card: &Value) -> Result<Self> {
        let mut settings = fast_settings();
        settings["overrun_max"] = json!("1000000000");
        Self::set_up(&settings, card, &setup()).await
    }

    /// With other settings and another Envoy, too.
    ///
    /// # Errors
    /// If something does not come up.
    pub async fn set_up(settings: &Value, card: &Value, setup: &Setup) -> Result<Self> {
        let scene = Scene::with(settings, card, false).await?;
        let envoy = scene.envoy_with("edge", setup).await?;
        Ok(Self {
            scene,
            envoy,
            customers: Vec::new(),
        })
    }

    /// A customer with so many dollars.
    ///
    /// # Errors
    /// If the control plane refuses.
    pub async fn customer(&mut self, name: &str, dollars: &str) -> Result<Customer> {
        let customer = self.scene.customer_in(name, "usd", dollars).await?;
        self.customers.push(customer.clone());
        Ok(customer)
    }

    /// Waits until nothing is lent, ends the Envoy, and holds its log against the ledger:
    /// lease by lease and customer by customer the same to the last unit. Returns what was logged, and what each
    /// customer has spent.
    ///
    /// # Errors
    /// If they differ, the ledger is not sound, or a VM has trapped.
    pub async fn books(mut self) -> Result<(Vec<Value>, BTreeMap<String, i128>)> {
        let mut spent = BTreeMap::new();
        for customer in &self.customers {
            let balance = self.scene.at_rest(customer).await?;
            if balance.spent > 0 {
                spent.insert(customer.name.clone(), balance.spent);
            }
        }
        agree(
            &self.scene,
            std::slice::from_mut(&mut self.envoy),
            &Torn::Nothing,
        )
        .await?;
        let entries = entries(&mut self.envoy).await?;
        let mut logged = costs(&entries, SCALE)?;
        logged.retain(|_, cost| *cost > 0);
        ensure!(logged == spent, "logged {logged:?}, spent {spent:?}");
        Ok((entries, spent))
    }
}

/// An Envoy that reads bodies, and logs.
#[must_use]
pub fn setup() -> Setup {
    Setup::default().logging().reading_bodies()
}

/// A request to a model; `id` is how the upstream remembers it.
#[must_use]
pub fn ask(path: &str, key: &str, behave: &str, id: &str, body: &Value) -> Request<Full<Bytes>> {
    let headers = [
        ("x-api-key", key),
        ("x-behave", behave),
        ("x-test-id", id),
        ("content-type", "application/json"),
        ("accept-encoding", "gzip, br"),
    ];
    request("POST", path, &headers, body.to_string())
}
