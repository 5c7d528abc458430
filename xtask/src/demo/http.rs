//! Requests as a client, and as an operator's script, would send them.
//!
//! Plain HTTP/1.1 on a connection that is kept: a library's pools and time-outs would cost
//! more than what the demo measures.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::now;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The largest body that is taken, in bytes.
const BODY_BYTES_MAX: u64 = 4 << 20;

/// What came back, whole.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: String,
    /// From sending to the answer's last byte.
    pub(super) took: Duration,
}

impl Answer {
    /// A header; empty if absent.
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// The body as JSON; null if it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// A client of one server.
pub(super) struct Client {
    server: SocketAddr,
    base: String,
    authorization: Option<String>,
    connection: Mutex<Option<BufReader<TcpStream>>>,
}

impl Client {
    pub(super) fn new(server: SocketAddr) -> Self {
        Self {
            server,
            base: format!("http://{server}"),
            authorization: None,
            connection: Mutex::default(),
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
        let key = key.map(|key| ("x-api-key", key));
        self.send("GET", path, key, "")
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

    /// As an operator: `POST`, `PUT` or `PATCH`, and insists on success.
    pub(super) fn write(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let json = Some(("content-type", "application/json"));
        let answer = self.send(method, path, json, &body.to_string())?;
        ensure!(
            answer.status < 300,
            "{method} {path}: {} {}",
            answer.status,
            answer.body
        );
        Ok(answer)
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        header: Option<(&str, &str)>,
        body: &str,
    ) -> Result<Answer> {
        let authorization = self
            .authorization
            .as_deref()
            .map(|value| ("authorization", value));
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n",
            self.server,
            body.len()
        );
        for (name, value) in header.into_iter().chain(authorization) {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);

        let mut kept = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut connection = match kept.take() {
            Some(connection) if is_open(&connection) => connection,
            _ => self.connect()?,
        };
        let sent = now();
        let written = connection.get_mut().write_all(request.as_bytes());
        let answer = written
            .map_err(Into::into)
            .and_then(|()| read_answer(&mut connection));
        let mut answer = answer.with_context(|| format!("{method} {path}"))?;
        answer.took = now().duration_since(sent);
        if !answer.header("connection").eq_ignore_ascii_case("close") {
            *kept = Some(connection);
        }
        Ok(answer)
    }

    fn connect(&self) -> Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect_timeout(&self.server, TIMEOUT)
            .with_context(|| format!("no connection to {}", self.server))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(BufReader::new(stream))
    }
}

/// Whether a kept connection can be used again: the other side may have closed it.
fn is_open(connection: &BufReader<TcpStream>) -> bool {
    let stream = connection.get_ref();
    let looked = stream.set_nonblocking(true).and_then(|()| {
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false)?;
        peeked
    });
    // Nothing to read is how an open and idle connection looks.
    matches!(looked, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

fn read_answer(connection: &mut BufReader<TcpStream>) -> Result<Answer> {
    let status = read_line(connection)?;
    let status = status
        .split_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok());
    let mut answer = Answer {
        status: status.context("the answer has no status")?,
        headers: Vec::new(),
        body: String::new(),
        took: Duration::ZERO,
    };
    loop {
        let line = read_line(connection)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        answer
            .headers
            .push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let mut body = Vec::new();
    if answer
        .header("transfer-encoding")
        .eq_ignore_ascii_case("chunked")
    {
        loop {
            let size = read_line(connection)?;
            let size = u64::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)?;
            read_exactly(connection, size, &mut body)?;
            // The line's end after a chunk, or the empty line after the last one.
            read_line(connection)?;
            if size == 0 {
                break;
            }
        }
    } else {
        let size = answer.header("content-length").parse().unwrap_or(0);
        read_exactly(connection, size, &mut body)?;
    }
    answer.body = String::from_utf8_lossy(&body).into_owned();
    Ok(answer)
}

fn read_line(connection: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        bail!("the connection was closed");
    }
    Ok(line.trim_end().to_owned())
}

fn read_exactly(
    connection: &mut BufReader<TcpStream>,
    bytes: u64,
    body: &mut Vec<u8>,
) -> Result<()> {
    ensure!(bytes <= BODY_BYTES_MAX, "an answer of {bytes} bytes");
    let taken = connection.take(bytes).read_to_end(body)?;
    ensure!(u64::try_from(taken)? == bytes, "the connection was closed");
    Ok(())
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
