//! The control plane's API, as an operator's script would use it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::clock::{ms, pause};

/// A client with the admin key.
#[derive(Clone)]
pub struct Admin {
    client: reqwest::Client,
    base: String,
    key: String,
}

/// Where a wallet's or a customer's money is, in smallest units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// Free to be lent or given back.
    pub available: i128,
    /// Lent to gateways and unused, as of their last reports.
    pub lent: i128,
    /// What running requests hold.
    pub held: i128,
    /// Set aside because a gateway was lost.
    pub quarantined: i128,
    /// Paid for requests.
    pub spent: i128,
    /// Expired.
    pub expired: i128,
    /// Still at gateways, though expired or voided.
    pub pending_recall: i128,
}

impl Admin {
    /// For the control plane at `address`.
    ///
    /// # Errors
    /// If the client can't be made.
    pub fn new(address: SocketAddr, key: &str) -> Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .no_proxy()
            .build()?;
        Ok(Self {
            client,
            base: format!("http://{address}"),
            key: key.into(),
        })
    }

    /// One call, with its status.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value)> {
        self.send(self.request(method, path, body)).await
    }

    /// The control plane's metrics, as Prometheus reads them.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn metrics(&self) -> Result<String> {
        let answer = self.client.get(format!("{}/metrics", self.base)).send();
        Ok(answer.await?.text().await?)
    }

    /// Posts under an idempotency key until an answer is had; returns it, and how often it
    /// was asked. For writes while the control plane is killed and comes back.
    ///
    /// # Errors
    /// If the answer is no success.
    pub async fn post_until_answered(
        &self,
        path: &str,
        body: &Value,
        idempotency_key: &str,
    ) -> Result<(Value, u32)> {
        for tries in 1.. {
            let request = self.request(Method::POST, path, Some(body));
            let request = request.header("idempotency-key", idempotency_key);
            match self.send(request).await {
                Ok((status, value)) if status.is_success() => return Ok((value, tries)),
                Ok((status, value)) => ensure!(
                    status == StatusCode::SERVICE_UNAVAILABLE,
                    "{path}: {status} {value}"
                ),
                Err(_) => {}
            }
            pause(ms(10)).await;
        }
        unreachable!("the numbers do not end")
    }

    fn request(&self, method: Method, path: &str, body: Option<&Value>) -> RequestBuilder {
        let url = format!("{}{path}", self.base);
        let request = self.client.request(method, url).bearer_auth(&self.key);
        match body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, Value)> {
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok((status, value))
    }

    async fn succeed(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let named = format!("{method} {path}");
        let (status, value) = self
            .call(method, path, body)
            .await
            .with_context(|| named.clone())?;
        ensure!(status.is_success(), "{named}: {status} {value}");
        Ok(value)
    }

    /// Reads.
    ///
    /// # Errors
    /// If the answer is no success; as of every method here.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.succeed(Method::GET, path, None).await
    }

    /// Posts.
    ///
    /// # Errors
    /// If the answer is no success.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.succeed(Method::POST, path, Some(body)).await
    }

    /// Puts.
    ///
    /// # Errors
    /// If the answer is no success.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.succeed(Method::PUT, path, Some(body)).await
    }

    /// Patches.
    ///
    /// # Errors
    /// If the answer is no success.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value> {
        self.succeed(Method::PATCH, path, Some(body)).await
    }

    /// All items of a list, page by page.
    ///
    /// # Errors
    /// If the answer is no success.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let page = match &cursor {
                None => format!("{path}{mark}limit=100"),
                Some(cursor) => format!("{path}{mark}limit=100&cursor={cursor}"),
            };
            let page = self.get(&page).await?;
            let data = page["data"].as_array().context("a list has `data`")?;
            items.extend(data.iter().cloned());
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return Ok(items);
            }
        }
    }

    /// Changes some of the settings.
    ///
    /// # Errors
    /// If the answer is no success.
    pub async fn settings(&self, changes: &Value) -> Result<()> {
        self.succeed(Method::PATCH, "/v1/settings", Some(changes))
            .await
            .map(drop)
    }

    /// Makes a gateway with a key; returns the key.
    ///
    /// # Errors
    /// If the answer is no success.
    pub async fn gateway(&self, external_id: &str, rate_card: &str) -> Result<String> {
        let body = json!({"external_id": external_id, "rate_card": rate_card});
        self.post("/v1/gateways", &body).await?;
        self.gateway_key(external_id).await
    }

    /// Adds a key to a gateway.
    ///
    /// # Errors
    /// If the answer is no success.
    pub async fn gateway_key(&self, gateway: &str) -> Result<String> {
        let path = format!("/v1/gateways/{gateway}/keys");
        text(&self.post(&path, &json!({})).await?, "key")
    }

    /// Replaces a rate card.
    ///
    /// # Errors
    /// If the answer is no success.
    pub async fn rate_card(&self, name: &str, document: &Value) -> Result<()> {
        self.put(&format!("/v1/rate-cards/{name}"), document)
            .await
            .map(drop)
    }

    /// Makes a customer with a wallet and a key; returns the wallet's id and the key.
    ///
    /// # Errors
    /// If the answer is no success.
    pub async fn customer(&self, external_id: &str, currency: &str) -> Result<(String, String)> {
        let body = json!({"external_id": external_id});
        self.post("/v1/customers", &body).await?;
        let body = json!({"customer_id": external_id, "currency": currency});
        let wallet = text(&self.post("/v1/wallets", &body).await?, "id")?;
        Ok((wallet, self.key(external_id).await?))
    }

    /// Adds a key to a customer.
    ///
    /// # Errors
    /// If the answer is no success.
    pub async fn key(&self, customer: &str) -> Result<String> {
        let path = format!("/v1/customers/{customer}/keys");
        text(&self.post(&path, &json!({})).await?, "key")
    }

    /// Adds credits to a wallet; returns the lot's id.
    ///
    /// # Errors
    /// If the answer is no success.
    pub async fn top_up(&self, wallet: &str, credits: &str) -> Result<String> {
        self.top_up_with(wallet, &json!({"credits_to_add": credits}))
            .await
    }

    /// Adds a lot of any kind; returns its id.
    ///
    /// # Errors
    /// If the answer is no success.
    pub async fn top_up_with(&self, wallet: &str, body: &Value) -> Result<String> {
        let path = format!("/v1/wallets/{wallet}/top-up");
        text(&self.post(&path, body).await?, "id")
    }

    /// A wallet's balance.
    ///
    /// # Errors
    /// If the answer is no success, or no balance.
    pub async fn balance(&self, wallet: &str) -> Result<Balance> {
        let value = self.get(&format!("/v1/wallets/{wallet}/balance")).await?;
        let scale = value["scale"].as_u64().context("scale")?;
        let of = |name: &str| -> Result<i128> {
            let text = value[name]
                .as_str()
                .with_context(|| format!("{name} in {value}"))?;
            smallest_units(text, usize::try_from(scale)?)
        };
        Ok(Balance {
            available: of("available")?,
            lent: of("lent")?,
            held: of("held")?,
            quarantined: of("quarantined")?,
            spent: of("spent")?,
            expired: of("expired")?,
            pending_recall: of("pending_recall")?,
        })
    }

    /// The leases in a state (`open`, `draining`, `quarantined`, `closed`).
    ///
    /// # Errors
    /// If the answer is no success.
    pub async fn leases(&self, state: &str) -> Result<Vec<Value>> {
        self.list(&format!("/v1/leases?state={state}")).await
    }
}

/// A field that is text.
///
/// # Errors
/// If it is not there.
pub fn text(value: &Value, field: &str) -> Result<String> {
    value[field]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("{field} in {value}"))
}

/// Reads a decimal exactly.
///
/// # Errors
/// If it is none, or has more than `scale` digits after the point.
pub fn smallest_units(text: &str, scale: usize) -> Result<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    ensure!(
        fraction.len() <= scale,
        "{text} has more than {scale} digits"
    );
    let digits = format!("{whole}{fraction:0<scale$}");
    digits
        .parse()
        .with_context(|| format!("{text} is no decimal"))
}

#[cfg(test)]
mod tests {
    use super::smallest_units;

    #[test]
    fn decimals_are_read_exactly() {
        assert_eq!(smallest_units("1.05", 3).ok(), Some(1050));
        assert_eq!(smallest_units("-0.5", 1).ok(), Some(-5));
        assert_eq!(smallest_units("7", 0).ok(), Some(7));
        assert!(smallest_units("0.001", 2).is_err());
    }
}
