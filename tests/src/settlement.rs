//! Tables of what is charged: a row is a rule and a protocol, a column a way in which a request ends.
//!
//! Every request costs 5, at least 2; those for tokens cost what they used, which is 17. Their answers are
//! streams (`sse`) or whole (`json`), and over HTTP/2 (`sse2`, `json2`). A cell says what is charged, and with it
//! what the access log says that the charge went by: `0` nothing, it is released; `M` the minimum; `E` the
//! estimate; a number the price, or what was used. `P` is what had passed of the text, and `B` of the bytes: no
//! less than the client got, and no more than the upstream sent. `E+17`: both, of two requests. `-` is an ending
//! that the protocol does not have.

mod charge;
mod endings;
mod rules;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::rules::{CALL, card};
use crate::access_log::{costs, entries};
use crate::client::{Protocol, begin, request};
use crate::clock::{ms, pause};
use crate::scene::{Customer, Scene, fast_settings};

/// Requests at the same time: more would measure the machine.
const AT_ONCE: usize = 32;

/// One cell of a table.
#[derive(Debug, Clone)]
struct Cell {
    rule: String,
    protocol: String,
    ending: String,
    charge: String,
}

/// The cells of a table, but for those that can't be.
fn cells(table: &str) -> Vec<Cell> {
    let mut lines = table.lines().filter(|line| !line.is_empty());
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    let head: Vec<String> = lines.next().map(words).unwrap_or_default();
    let of_row = |line: &str| {
        let row: Vec<String> = words(line);
        assert_eq!(row.len(), head.len(), "{line}");
        let cell = |(ending, charge): (&String, &String)| Cell {
            rule: row[0].clone(),
            protocol: row[1].clone(),
            ending: ending.clone(),
            charge: charge.clone(),
        };
        let cells = head.iter().zip(&row).skip(2).map(cell);
        cells.filter(|cell| cell.charge != "-").collect::<Vec<_>>()
    };
    lines.flat_map(of_row).collect()
}

impl Cell {
    fn is_call(&self) -> bool {
        self.protocol == "grpc"
    }

    /// Whether it is priced by tokens.
    fn has_tokens(&self) -> bool {
        self.protocol.starts_with("sse") || self.is_whole()
    }

    /// Whether its answer is JSON, and no stream.
    fn is_whole(&self) -> bool {
        self.protocol.starts_with("json")
    }

    /// Whether its price depends on nothing.
    fn is_fixed(&self) -> bool {
        !self.has_tokens() && self.rule != "bytes"
    }

    fn request(&self, customer: &Customer) -> Request<Full<Bytes>> {
        let headers = [
            ("x-api-key", customer.key.as_str()),
            ("x-behave", self.behaviour()),
            ("x-ending", &self.ending),
            ("x-rule", &self.rule),
            ("x-test-id", &customer.name),
        ];
        let path = format!("/{}.Service/Method", self.rule);
        let with = |more: (&'static str, &'static str)| [&headers[..], &[more]].concat();
        if self.has_tokens() {
            let headers = with(("content-type", "application/json"));
            request("POST", "/v1/chat/completions", &headers, self.question())
        } else if self.is_call() {
            let headers = with(("content-type", "application/grpc"));
            request("POST", &path, &headers, CALL)
        } else {
            let method = if self.ending == "uploading" {
                "PUT"
            } else {
                "GET"
            };
            request(method, &path, &headers, "")
        }
    }

    /// Sends it, and takes its answer, which must end as it should; or goes away. Returns what it got of the
    /// answer's body.
    async fn send(&self, envoy: SocketAddr, scene: &Scene, customer: &Customer) -> Result<Vec<u8>> {
        let protocol = match self.protocol.as_str() {
            "http1" | "sse" | "json" => Protocol::Http1,
            _ => Protocol::Http2,
        };
        let request = self.request(customer).map(|body| Upload {
            body,
            stalls: self.ending == "uploading",
        });
        let begun = begin(envoy, protocol, request);
        if matches!(self.ending.as_str(), "left" | "uploading") {
            let at_work = timeout(ms(20_000), at_work(scene, &customer.name));
            return tokio::select! {
                answer = begun => bail!("{answer:?}, though the upstream has not answered"),
                done = at_work => Ok(done.map(|()| Vec::new())?),
            };
        }
        let Ok(response) = begun.await else {
            ensure!(self.breaks(), "no answer");
            return Ok(Vec::new());
        };
        let status = response.status().as_u16();
        ensure!(status == self.status(), "an answer of {status}");
        let (got, broke) = self.take(response.into_body()).await?;
        // Over HTTP/2 a reset can look like an end: see `client::begin`.
        let is_told = broke || (self.breaks() && protocol == Protocol::Http2);
        ensure!(is_told == self.breaks(), "broken off: {broke}");
        Ok(got)
    }

    /// What comes of a body until it ends, or this client goes away; and whether it broke off.
    async fn take(&self, mut body: Incoming) -> Result<(Vec<u8>, bool)> {
        let goes_away = self.ending.ends_with("aborted");
        let mut got = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return Ok((got, true));
            };
            got.extend(frame.into_data().unwrap_or_default());
            if goes_away {
                return Ok((got, false));
            }
        }
        ensure!(!goes_away, "no beginning");
        Ok((got, false))
    }
}

/// The body of a request, after which more may have to come.
struct Upload {
    body: Full<Bytes>,
    stalls: bool,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(None) if self.stalls => Poll::Pending,
            polled => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.stalls && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.stalls {
            true => SizeHint::new(),
            false => self.body.size_hint(),
        }
    }
}

/// A request that was sent, and what its client got.
struct Done {
    cell: Cell,
    customer: Customer,
    got: Vec<u8>,
}

/// Lets requests end in all the ways of a table, each by a customer of its own, and holds what they are
/// charged against the table, and the log against the ledger.
///
/// # Errors
/// If a request does not end as it should, or something does not come up.
///
/// # Panics
/// If something else was charged than the table says.
pub async fn is_charged(table: &str) -> Result<()> {
    let mut settings = fast_settings();
    settings["overrun_max"] = json!("100000");
    // Many customers come at once.
    settings["wait_ms"] = json!(5_000);
    settings["use_by_ms"] = json!(6_000);
    settings["silent_after_ms"] = json!(10_000);
    let scene = Arc::new(Scene::with(&settings, &card(), false).await?);
    // Nobody listens there, and nobody else can.
    let nowhere = TcpSocket::new_v4()?;
    nowhere.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let setup = endings::setup(nowhere.local_addr()?.port());
    let mut envoy = scene.envoy_with("edge", &setup).await?;
    let all_done = send_all(&scene, envoy.address(), cells(table)).await?;
    let mut spent = BTreeMap::new();
    for done in &all_done {
        let charged = scene.at_rest(&done.customer).await?.spent;
        spent.insert(done.customer.name.clone(), charged);
    }
    // What the log says is as the table has it, line by line.
    let entries = entries(&mut envoy).await?;
    let mut by_customer = HashMap::<&str, Vec<&Value>>::new();
    for entry in &entries {
        let customer = entry["customer"].as_str().unwrap_or_default();
        by_customer.entry(customer).or_default().push(entry);
    }
    let mut wrong = Vec::new();
    for Done {
        cell,
        customer,
        got,
    } in &all_done
    {
        let sent = scene.upstream.seen(&customer.name).pop();
        let sent = sent.map(|seen| seen.sent).unwrap_or_default();
        let own = by_customer.get(customer.name.as_str());
        wrong.extend(cell.differs(got, &sent, own.map_or(&[], Vec::as_slice))?);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The ledger says the same, customer by customer.
    spent.retain(|_, cost| *cost > 0);
    let mut logged = costs(&entries, 0)?;
    logged.retain(|_, cost| *cost > 0);
    assert_eq!(logged, spent);
    scene.adds_up([envoy]).await
}

/// Waits until the upstream has a customer's request.
async fn at_work(scene: &Scene, customer: &str) {
    while scene.upstream.seen(customer).is_empty() {
        pause(ms(10)).await;
    }
}

/// Sends the requests of all cells.
async fn send_all(scene: &Arc<Scene>, envoy: SocketAddr, cells: Vec<Cell>) -> Result<Vec<Done>> {
    let (turns, mut sent) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for (number, cell) in cells.into_iter().enumerate() {
        let customer = scene.customer(&format!("c{number}"), "20000").await?;
        let (scene, turns) = (Arc::clone(scene), Arc::clone(&turns));
        sent.spawn(async move {
            let _turn = turns.acquire_owned().await?;
            let got = cell.send(envoy, &scene, &customer).await;
            let got = got.with_context(|| format!("{cell:?}"))?;
            anyhow::Ok(Done {
                cell,
                customer,
                got,
            })
        });
    }
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for one in sent.join_all().await {
        match one {
            Ok(one) => done.push(one),
            Err(error) => failed.push(format!("{error:#}")),
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(done)
}
