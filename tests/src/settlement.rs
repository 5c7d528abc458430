//! Tables of what is charged: a row is a rule and a protocol, a column a way in which a request ends.
//!
//! Every request costs 5, at least 2; those that stream tokens cost what they used, which is 17. In a cell
//! `E` is the estimate, `P` what had passed, more than nothing and no more than there was to pass, and `-`
//! an ending that the protocol does not have. `E+17`: both, of two requests.

mod endings;
mod rules;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use serde_json::json;
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::rules::{CALL, QUESTION, card, estimate, most};
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

    fn streams_tokens(&self) -> bool {
        self.protocol.starts_with("sse")
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
        if self.streams_tokens() {
            let headers = with(("content-type", "application/json"));
            request("POST", "/v1/chat/completions", &headers, QUESTION)
        } else if self.is_call() {
            let headers = with(("content-type", "application/grpc"));
            request("POST", &path, &headers, CALL)
        } else {
            request("GET", &path, &headers, "")
        }
    }

    /// Sends it, and takes its answer, which must end as it should; or goes away.
    async fn send(&self, envoy: SocketAddr, scene: &Scene, customer: &Customer) -> Result<()> {
        let protocol = match self.protocol.as_str() {
            "http1" | "sse" => Protocol::Http1,
            _ => Protocol::Http2,
        };
        let begun = begin(envoy, protocol, self.request(customer));
        if self.ending == "left" {
            let at_work = timeout(ms(20_000), at_work(scene, &customer.name));
            return tokio::select! {
                answer = begun => bail!("{answer:?}, though the upstream has not answered"),
                done = at_work => Ok(done?),
            };
        }
        let Ok(response) = begun.await else {
            ensure!(self.breaks(), "no answer");
            return Ok(());
        };
        let status = response.status().as_u16();
        ensure!(status == self.status(), "an answer of {status}");
        let mut body = response.into_body();
        if self.ending.ends_with("aborted") {
            let first = body.frame().await;
            ensure!(first.is_some_and(|frame| frame.is_ok()), "no beginning");
            return Ok(());
        }
        let broke = body.collect().await.is_err();
        // Over HTTP/2 a reset can look like an end: see `client::begin`.
        let is_told = broke || (self.breaks() && protocol == Protocol::Http2);
        ensure!(is_told == self.breaks(), "broken off: {broke}");
        Ok(())
    }

    fn fits(&self, charged: i128) -> Result<bool> {
        Ok(match self.charge.as_str() {
            "E" => charged == estimate(&self.rule),
            // Sent twice by Envoy, of which the first told no usage.
            "E+17" => charged == estimate(&self.rule) + 17,
            "P" => 0 < charged && charged <= most(&self.rule),
            number => charged == number.parse::<i128>().context("a number")?,
        })
    }
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
    let customers = send_all(&scene, envoy.address(), cells(table)).await?;
    let mut wrong = Vec::new();
    let mut spent = BTreeMap::new();
    for (cell, customer) in &customers {
        let charged = scene.at_rest(customer).await?.spent;
        spent.insert(customer.name.clone(), charged);
        if !cell.fits(charged)? {
            wrong.push(format!(
                "{} {} {}: {} was charged, not {}",
                cell.rule, cell.protocol, cell.ending, charged, cell.charge
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The log says the same, customer by customer.
    let entries = entries(&mut envoy).await?;
    let of_customers = entries.iter().filter(|entry| entry["customer"].is_string());
    let refused: Vec<_> = of_customers
        .filter(|entry| entry["outcome"] == "refused")
        .collect();
    assert!(refused.is_empty(), "nobody is without credit: {refused:?}");
    let logged = costs(&entries, 0)?;
    spent.retain(|_, cost| *cost > 0);
    let paid = logged.into_iter().filter(|(_, cost)| *cost > 0);
    assert_eq!(paid.collect::<BTreeMap<_, _>>(), spent);
    scene.adds_up([envoy]).await
}

/// Waits until the upstream has a customer's request.
async fn at_work(scene: &Scene, customer: &str) {
    while scene.upstream.seen(customer).is_empty() {
        pause(ms(10)).await;
    }
}

/// Sends the requests of all cells; returns who sent which.
async fn send_all(
    scene: &Arc<Scene>,
    envoy: SocketAddr,
    cells: Vec<Cell>,
) -> Result<Vec<(Cell, Customer)>> {
    let (turns, mut sent) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    let mut customers = Vec::new();
    for (number, cell) in cells.into_iter().enumerate() {
        let customer = scene.customer(&format!("c{number}"), "20000").await?;
        customers.push((cell.clone(), customer.clone()));
        let (scene, turns) = (Arc::clone(scene), Arc::clone(&turns));
        sent.spawn(async move {
            let _turn = turns.acquire_owned().await?;
            let done = cell.send(envoy, &scene, &customer).await;
            done.with_context(|| format!("{cell:?}"))
        });
    }
    let failed = sent.join_all().await.into_iter().filter_map(Result::err);
    let failed: Vec<String> = failed.map(|error| format!("{error:#}")).collect();
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(customers)
}
