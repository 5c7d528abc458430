//! Requests through the gateway: one connection, used again and again.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::client::conn::http2;
use hyper::header::HeaderMap;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clock::now;

/// What came back, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its header.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// From the request's first byte to the answer's last.
    pub took: Duration,
}

impl Answer {
    /// The `code` of a problem document; empty if it is none.
    #[must_use]
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header as text; empty if absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// One connection to a gateway; opened anew when it broke.
pub struct Client {
    address: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// For the gateway at `address`. Connects when needed.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            sender: None,
        }
    }

    /// Sends one request and takes its answer.
    ///
    /// # Errors
    /// If the connection breaks before the answer is whole.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer> {
        let started = now();
        if self.sender.as_ref().is_none_or(SendRequest::is_closed) {
            self.sender = Some(self.connect().await?);
        }
        let sender = self.sender.as_mut().context("not connected")?;
        sender.ready().await?;
        let sent = sender.send_request(request).await;
        let taken = async {
            let (head, body) = sent?.into_parts();
            let body = body.collect().await?.to_bytes();
            anyhow::Ok(Answer {
                status: head.status,
                headers: head.headers,
                body,
                took: started.elapsed(),
            })
        }
        .await;
        if taken.is_err() {
            self.sender = None;
        }
        taken
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// How a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, from the first byte on.
    Http2,
}

/// Sends one request on a connection of its own, and takes the head of its answer; the body comes as it
/// is read. Whoever drops the answer goes away. Envoy 1.36 gives no error as the reason for a reset over
/// HTTP/2, and then the body ends as if it were whole.
///
/// # Errors
/// If the connection breaks before.
pub async fn begin<B>(
    address: SocketAddr,
    protocol: Protocol,
    request: Request<B>,
) -> Result<Response<Incoming>>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let stream = TokioIo::new(stream);
    Ok(match protocol {
        Protocol::Http1 => {
            let (mut sender, connection) = handshake(stream).await?;
            tokio::spawn(connection);
            sender.send_request(request).await?
        }
        Protocol::Http2 => {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
            tokio::spawn(connection);
            sender.send_request(in_http2(request)?).await?
        }
    })
}

/// Sends one request on a connection of its own, and takes its answer and what follows as trailers.
///
/// # Errors
/// If the connection breaks before the answer is whole.
pub async fn exchange(
    address: SocketAddr,
    protocol: Protocol,
    request: Request<Full<Bytes>>,
) -> Result<(Answer, HeaderMap)> {
    let started = now();
    let (head, body) = begin(address, protocol, request).await?.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let answer = Answer {
        status: head.status,
        headers: head.headers,
        body: body.to_bytes(),
        took: started.elapsed(),
    };
    Ok((answer, trailers))
}

/// HTTP/2 names the host in the request's address.
fn in_http2<B>(mut request: Request<B>) -> Result<Request<B>> {
    let host = request.headers_mut().remove("host");
    let host = host.context("a request names its host")?;
    *request.uri_mut() = format!("http://{}{}", host.to_str()?, request.uri()).parse()?;
    Ok(request)
}

/// A request with a key, and no body.
#[must_use]
pub fn get(path: &str, key: &str) -> Request<Full<Bytes>> {
    request("GET", path, &[("x-api-key", key)], Bytes::new())
}

/// As [`get`], and it tells the upstream how to behave.
#[must_use]
pub fn get_behaving(path: &str, key: &str, behave: &str) -> Request<Full<Bytes>> {
    let headers = [("x-api-key", key), ("x-behave", behave)];
    request("GET", path, &headers, Bytes::new())
}

/// Any request.
///
/// # Panics
/// If a part of it can't be sent: a fault of the test.
#[must_use]
pub fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "api.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match request.body(Full::new(body.into())) {
        Ok(request) => request,
        Err(error) => panic!("{method} {path}: {error}"),
    }
}

/// Sends bytes as they are, and takes what comes until the connection closes: for requests
/// that a client library would refuse to send. Returns the status and the text.
///
/// # Errors
/// If no status line came within five seconds.
pub async fn send_raw(address: SocketAddr, bytes: &[u8]) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(bytes).await?;
    let mut taken = Vec::new();
    let mut piece = [0; 4096];
    // A connection that stays open ends the reading by time.
    let mut patience = Duration::from_secs(5);
    while let Ok(length) = tokio::time::timeout(patience, stream.read(&mut piece)).await {
        match length? {
            0 => break,
            length => taken.extend_from_slice(piece.get(..length).unwrap_or_default()),
        }
        patience = Duration::from_millis(100);
    }
    let text = String::from_utf8_lossy(&taken).into_owned();
    let status = text
        .split_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok())
        .with_context(|| format!("no status line in {text:?}"))?;
    Ok((status, text))
}
