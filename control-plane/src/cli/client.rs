//! The verbs that ask a running service, through its API.

use anyhow::{Context, bail};
use clap::Args;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

/// Which service, and as whom.
#[derive(Args)]
pub(super) struct Service {
    /// The service's address.
    #[arg(long, env = "CREDITGATE_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// An administrator's key.
    #[arg(long, env = "CREDITGATE_ADMIN_KEY", hide_env_values = true)]
    key: String,
}

/// A connection to the service.
pub(super) struct Client {
    http: reqwest::Client,
    service: Service,
}

impl Client {
    pub(super) fn new(service: Service) -> anyhow::Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().build()?,
            service,
        })
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.request(Method::GET, path)).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.service.url.trim_end_matches('/'));
        self.http
            .request(method, url)
            .bearer_auth(&self.service.key)
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let response = request
            .send()
            .await
            .with_context(|| format!("can't reach {}", self.service.url))?;
        let status = response.status();
        let body = response.bytes().await?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if !status.is_success() {
            let word = |field: &str| {
                body.get(field)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            bail!("{status}: {} ({})", word("detail"), word("code"));
        }
        Ok(body)
    }
}

/// Runs what asks a service.
pub(super) fn block_on<T>(asking: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(asking)
}

/// A field as people read it.
pub(super) fn shown(value: &Value, field: &str) -> String {
    match value.get(field) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Rows in aligned columns.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|title| title.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(header.to_vec())];
    lines.extend(
        rows.iter()
            .map(|row| line(row.iter().map(String::as_str).collect())),
    );
    lines.join("\n")
}
