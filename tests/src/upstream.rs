//! A real upstream that counts what reaches it and behaves as a request asks.
//!
//! The header `x-behave` says how: `status=503`, `status=404,50` (the same, in 100 chunks, ms between),
//! `slow=200` (ms before the answer), `hang`,
//! `reset` (no answer), `reset-after=1000` (bytes of the body, then the connection breaks), `cut=3` (chunks, then
//! it breaks),
//! `stream=20,50` (chunks, ms between), `echo`, `fail-first` (503 for the first request of
//! an `x-test-id`), `redirect-first` (302 to the same place for it). Without it: 200. Paths that begin with `/healthz` are not counted. At the
//! paths of language models it answers like one, see [`llm`]; to gRPC calls by gRPC. It speaks HTTP/1.1,
//! and HTTP/2 with those who begin with it.

mod grpc;
pub mod llm;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::{ms, pause};

type Body = BoxBody<Bytes, std::io::Error>;

/// Of a body no more than that is remembered.
const NOTED_BYTES: usize = 1 << 20;

/// What the upstream saw of one request that had an `x-test-id`.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Its path and query, as they came.
    pub path: String,
    /// Its header.
    pub headers: HeaderMap,
    /// How many bytes of its body came so far.
    pub body_bytes: u64,
    /// The body, once it was whole; at most its first MiB.
    pub body: Bytes,
    /// What was sent of the answer's body so far; at most its first MiB.
    pub sent: Vec<u8>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    by_path: Mutex<BTreeMap<String, u64>>,
    seen: Mutex<HashMap<String, Vec<Seen>>>,
}

impl Counts {
    /// Notes something of one of the requests with this `x-test-id`.
    fn note(&self, test_id: &str, attempt: usize, what: impl FnOnce(&mut Seen)) {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let of_this = all.get_mut(test_id).map(Vec::as_mut_slice);
        if let Some(seen) = of_this.and_then(|seen| seen.get_mut(attempt.saturating_sub(1))) {
            what(seen);
        }
    }
}

/// The server; it stops when dropped.
pub struct Upstream {
    address: SocketAddr,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// If there is none.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Without it small answers wait for acknowledgements.
                let _ = stream.set_nodelay(true);
                let counts = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&counts), request));
                    // An error is a client that went, or a reset on purpose.
                    let mut server = Builder::new(TokioExecutor::new());
                    server.http1().max_buf_size(1 << 20);
                    let served = server.serve_connection(TokioIo::new(stream), service);
                    let _ = served.await;
                });
            }
        });
        Ok(Self {
            address,
            counts,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests reached it.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// How many requests reached a path, query aside.
    #[must_use]
    pub fn requests_to(&self, path: &str) -> u64 {
        let by_path = self.counts.by_path.lock();
        let by_path = by_path.unwrap_or_else(PoisonError::into_inner);
        by_path.get(path).copied().unwrap_or_default()
    }

    /// What it saw of the requests with this `x-test-id`.
    #[must_use]
    pub fn seen(&self, test_id: &str) -> Vec<Seen> {
        let seen = self.counts.seen.lock();
        let seen = seen.unwrap_or_else(PoisonError::into_inner);
        seen.get(test_id).cloned().unwrap_or_default()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    counts: Arc<Counts>,
    request: Request<Incoming>,
) -> Result<Response<Body>, std::io::Error> {
    let is_call = grpc::is_call(&request);
    let (head, body) = request.into_parts();
    if head.uri.path().starts_with("/healthz") {
        return Ok(Response::new(full("healthy\n")));
    }
    counts.requests.fetch_add(1, Ordering::SeqCst);
    let text = |name: &str| {
        let value = head.headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    {
        let mut by_path = counts
            .by_path
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *by_path.entry(head.uri.path().to_owned()).or_default() += 1;
    }
    let test_id = text("x-test-id");
    let attempt = test_id.as_ref().map_or(0, |id| {
        let seen = Seen {
            method: head.method.to_string(),
            path: head.uri.to_string(),
            headers: head.headers.clone(),
            body_bytes: 0,
            body: Bytes::new(),
            sent: Vec::new(),
        };
        let mut all = counts.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let of_this = all.entry(id.clone()).or_default();
        of_this.push(seen);
        of_this.len()
    });

    let behave = text("x-behave").unwrap_or_default();
    let (verb, argument) = behave.split_once('=').unwrap_or((&behave, ""));
    let mut numbers = argument.split(',').map(|n| n.parse().unwrap_or_default());
    let (first, second) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if verb == "reset" {
        return Err(std::io::Error::other("reset on purpose"));
    }
    if verb == "hang" {
        std::future::pending::<()>().await;
    }
    let received = receive(&counts, test_id.as_deref(), attempt, body).await?;
    let first_answer = first_answer(&head, &behave).filter(|_| attempt <= 1);
    let response = match first_answer {
        Some(response) => response,
        None if is_call => grpc::answer(verb, first, second),
        None => match llm::Answer::to(head.uri.path(), &received, &behave) {
            Some(answer) => model_answer(answer),
            None => plain_answer(verb, first, second, received).await,
        },
    };
    Ok(match test_id {
        Some(id) => response.map(|body| noting(body, counts, id, attempt)),
        None => response,
    })
}

/// The answer of one that is no model, and not called by gRPC.
async fn plain_answer(verb: &str, first: u64, second: u64, received: Bytes) -> Response<Body> {
    let status = match verb {
        "status" => u16::try_from(first).unwrap_or(500),
        _ => 200,
    };
    let body = match verb {
        "slow" => {
            pause(ms(first)).await;
            full("slow\n")
        }
        "echo" => full(received),
        "stream" => chunks(first, ms(second), false),
        "status" if second > 0 => chunks(100, ms(second), false),
        "cut" => chunks(first, Duration::ZERO, true),
        "reset-after" => chunks(first.div_ceil(100), Duration::ZERO, true),
        _ => full("hello\n"),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    response
}

/// A body of which what is sent is noted before it goes.
fn noting(body: Body, counts: Arc<Counts>, test_id: String, attempt: usize) -> Body {
    let note = move |frame: &Frame<Bytes>| {
        let data = frame.data_ref().map_or(&[][..], |data| &data[..]);
        counts.note(&test_id, attempt, |seen| {
            if seen.sent.len() < NOTED_BYTES {
                seen.sent.extend_from_slice(data);
            }
        });
    };
    body.inspect_frame(note).boxed()
}

/// Takes the body in, counting as it comes.
async fn receive(
    counts: &Counts,
    test_id: Option<&str>,
    attempt: usize,
    mut body: Incoming,
) -> Result<Bytes, std::io::Error> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(std::io::Error::other)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if let Some(id) = test_id {
            let bytes = data.len() as u64;
            counts.note(id, attempt, |seen| seen.body_bytes += bytes);
        }
        if whole.len() < NOTED_BYTES {
            whole.extend_from_slice(&data);
        }
    }
    let whole = Bytes::from(whole);
    if let Some(id) = test_id {
        counts.note(id, attempt, |seen| seen.body = whole.clone());
    }
    Ok(whole)
}

/// The answer to a request that is to be sent once more.
fn first_answer(head: &Parts, behave: &str) -> Option<Response<Body>> {
    let mut response = Response::new(full("once more\n"));
    match behave.split_whitespace().next()? {
        "fail-first" => *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
        "redirect-first" => {
            *response.status_mut() = StatusCode::FOUND;
            let host = head.headers.get("host").and_then(|host| host.to_str().ok());
            let host = host.or_else(|| Some(head.uri.authority()?.as_str()))?;
            let place = format!("http://{host}{}", head.uri.path());
            let place = HeaderValue::from_str(&place).ok()?;
            response.headers_mut().insert("location", place);
        }
        _ => return None,
    }
    Some(response)
}

/// What a language model says, piece by piece.
fn model_answer(answer: llm::Answer) -> Response<Body> {
    let (status, headers, gap) = (answer.status, answer.headers.clone(), answer.gap);
    let cut = answer.cut;
    let mut response = Response::new(pieces(answer.into_pieces(), gap, cut));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn full(body: impl Into<Bytes>) -> Body {
    let never = |error: Infallible| match error {};
    Full::new(body.into()).map_err(never).boxed()
}

/// These chunks, with a `gap` before each but the first. The connection breaks after `cut` of them.
fn pieces(
    pieces: impl Iterator<Item = Bytes> + Send + 'static,
    gap: Duration,
    cut: Option<usize>,
) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for (number, piece) in pieces.enumerate() {
            if cut == Some(number) {
                // What was sent shall leave before.
                pause(ms(20)).await;
                let broken = Err(std::io::Error::other("reset on purpose"));
                let _ = sender.send(broken).await;
                return;
            }
            if number > 0 && !gap.is_zero() {
                pause(gap).await;
            }
            if sender.send(Ok(Frame::data(piece))).await.is_err() {
                return;
            }
        }
    });
    Chunks(receiver).boxed()
}

/// `count` chunks of 100 bytes, a `gap` before each but the first; then the end, or a broken connection.
fn chunks(count: u64, gap: Duration, broken: bool) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for number in 0..count {
            if number > 0 && !gap.is_zero() {
                pause(gap).await;
            }
            let chunk = Frame::data(Bytes::from(format!("{number:099}\n")));
            if sender.send(Ok(chunk)).await.is_err() {
                return;
            }
        }
        if broken {
            // What was sent shall leave before the connection breaks.
            pause(ms(20)).await;
            let _ = sender
                .send(Err(std::io::Error::other("reset on purpose")))
                .await;
        }
    });
    Chunks(receiver).boxed()
}

/// A body that is sent as it comes.
struct Chunks(mpsc::Receiver<Result<Frame<Bytes>, std::io::Error>>);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(context)
    }
}
