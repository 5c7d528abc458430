//! Requests as a client, and as an operator's script, would send them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::now;

/// What came back, whole.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: ureq::http::HeaderMap,
    pub(super) body: String,
    /// From sending to the answer's last byte.
    pub(super) took: Duration,
}

impl Answer {
    /// A header as text; empty if absent.
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as JSON; null if it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// A client of one server, with headers that go with every request.
#[derive(Clone)]
pub(super) struct Client {
    agent: ureq::Agent,
    base: String,
    authorization: Option<String>,
}

impl Client {
    pub(super) fn new(server: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            // Everything is on this machine, whatever proxy the environment names.
            .proxy(None)
            .build();
        Self {
            agent: config.into(),
            base: format!("http://{server}"),
            authorization: None,
        }
    }

    /// With `Authorization: Bearer KEY`.
    pub(super) fn bearer(self, key: &str) -> Self {
        Self {
            authorization: Some(format!("Bearer {key}")),
            ..self
        }
    }

    /// `http://ADDRESS`.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn get(&self, path: &str, key: Option<&str>) -> Result<Answer> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let sent = now();
        let answer = request.call().with_context(|| format!("GET {path}"))?;
        taken(answer, sent).with_context(|| format!("GET {path}"))
    }

    /// As an operator: reads, and insists on success.
    pub(super) fn read(&self, path: &str) -> Result<Value> {
        let answer = self.get(path, None)?;
        ensure!(
            answer.status < 300,
            "GET {path}: {} {}",
            answer.status,
            answer.body
        );
        Ok(answer.json())
    }

    /// As an operator: posts, and insists on success.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.write("POST", path, body)
    }

    /// As an operator: puts, and insists on success.
    pub(super) fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.write("PUT", path, body)
    }

    fn write(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let url = format!("{}{path}", self.base);
        let mut request = match method {
            "PUT" => self.agent.put(url),
            _ => self.agent.post(url),
        };
        request = request.header("content-type", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let sent = now();
        let answer = request
            .send(body.to_string())
            .with_context(|| format!("{method} {path}"))?;
        let answer = taken(answer, sent).with_context(|| format!("{method} {path}"))?;
        ensure!(
            answer.status < 300,
            "{method} {path}: {} {}",
            answer.status,
            answer.body
        );
        Ok(answer)
    }
}

fn taken(answer: ureq::http::Response<ureq::Body>, sent: std::time::Instant) -> Result<Answer> {
    let (head, mut body) = answer.into_parts();
    let body = body.read_to_string()?;
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
        took: now().duration_since(sent),
    })
}

/// A field that is text.
pub(super) fn text(value: &Value, field: &str) -> Result<String> {
    let found = value[field].as_str().map(str::to_owned);
    found.with_context(|| format!("no text {field:?} in {value}"))
}

/// Breaks JSON into lines, one field each, in the order in which it was sent.
pub(super) fn pretty(json: &str) -> String {
    let mut shown = String::new();
    let mut depth = 0_usize;
    let (mut in_text, mut escaped) = (false, false);
    let newline = |shown: &mut String, depth: usize| {
        shown.push('\n');
        shown.push_str(&"  ".repeat(depth));
    };
    for character in json.trim().chars() {
        if in_text {
            shown.push(character);
            in_text = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            '{' | '[' => {
                depth += 1;
                shown.push(character);
                newline(&mut shown, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                newline(&mut shown, depth);
                shown.push(character);
            }
            ',' => {
                shown.push(character);
                newline(&mut shown, depth);
            }
            ':' => shown.push_str(": "),
            character if character.is_whitespace() => {}
            character => {
                in_text = character == '"';
                shown.push(character);
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::pretty;

    #[test]
    fn json_is_broken_into_lines_in_its_own_order() {
        let shown = pretty(r#"{"b":"x, \"y\": {","a":{"c":1}}"#);
        let expected = "{\n  \"b\": \"x, \\\"y\\\": {\",\n  \"a\": {\n    \"c\": 1\n  }\n}";
        assert_eq!(shown, expected);
    }
}
