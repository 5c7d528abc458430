//! The story: paid, drained, refused, topped up, paid. Each answer is checked before it is
//! told, so that what people read is what happened.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use serde_json::json;

use super::http::{Answer, pretty};
use super::screen::Screen;
use super::site::{Customer, Site};
use super::{now, seconds, until};

const PATH: &str = "/v1/hello";

/// How long a top-up may take to arrive before that is a fault. It takes milliseconds; a
/// machine that is busy building something else may be slow.
const ARRIVAL_MAX: Duration = Duration::from_secs(5);

/// Tells it.
///
/// # Errors
/// Something was not as it should be; the text says what.
pub(super) fn tell(screen: &Screen, site: &Site) -> Result<()> {
    screen.heading("1  A request is paid");
    screen.sends("acme: GET /v1/hello, which costs 0.25 usd; the wallet has 1 usd");
    paid(screen, site, &site.acme, "0.75")?;
    screen.aside("The first request of a customer asks the control plane who it is and borrows credit; later ones do not.");

    screen.heading("2  The wallet is drained");
    screen.sends("acme: three more");
    for remaining in ["0.5", "0.25", "0"] {
        paid(screen, site, &site.acme, remaining)?;
    }

    screen.heading("3  The next request is refused inside the proxy");
    screen.sends("acme: GET /v1/hello");
    refused(screen, site)?;
    screen.sends("globex, at the same gateway");
    paid(screen, site, &site.globex, "49.75")?;

    screen.heading("4  A top-up");
    top_up(screen, site)?;

    screen.heading("5  The books");
    books(screen, site)
}

/// One request that passes and leaves so much.
fn paid(screen: &Screen, site: &Site, customer: &Customer, remaining: &str) -> Result<()> {
    let seen_before = site.upstream.requests();
    let answer = site.gateway.get(PATH, Some(&customer.key))?;
    check_paid(&answer, customer, remaining)?;
    let reached = site.upstream.requests().saturating_sub(seen_before);
    ensure!(
        reached == 1,
        "one paid request reached the upstream {reached} times"
    );
    screen.count_check();
    screen.gets(answer.status, &told(&answer));
    Ok(())
}

fn check_paid(answer: &Answer, customer: &Customer, remaining: &str) -> Result<()> {
    ensure!(
        answer.status == 200,
        "a request of {} should have been paid, but the answer was {} {}",
        customer.name,
        answer.status,
        answer.body
    );
    let (left, cost) = (
        answer.header("x-credit-remaining"),
        answer.header("x-credit-cost"),
    );
    ensure!(
        left == remaining,
        "x-credit-remaining is {left:?}; it should be {remaining}"
    );
    ensure!(
        cost == "0.25",
        "x-credit-cost is {cost:?}; it should be 0.25"
    );
    Ok(())
}

fn told(answer: &Answer) -> String {
    format!(
        "x-credit-cost: {}   x-credit-remaining: {:<6} {}",
        answer.header("x-credit-cost"),
        answer.header("x-credit-remaining"),
        seconds(answer.took)
    )
}

fn refused(screen: &Screen, site: &Site) -> Result<()> {
    let seen_before = site.upstream.requests();
    let answer = site.gateway.get(PATH, Some(&site.acme.key))?;
    ensure!(
        answer.status == 402,
        "it should be 402, but is {} {}",
        answer.status,
        answer.body
    );
    let content_type = answer.header("content-type");
    screen.gets(
        answer.status,
        &format!("{content_type}   {}", seconds(answer.took)),
    );
    screen.block(&pretty(&answer.body));
    let body = answer.json();
    for (field, expected) in [
        ("code", "credit_exhausted"),
        ("balance", "0"),
        ("required", "0.25"),
        ("currency", "usd"),
    ] {
        ensure!(
            body[field] == expected,
            "the field {field:?} of the 402 should be {expected:?}, but is {}",
            body[field]
        );
        screen.count_check();
    }
    ensure!(
        content_type == "application/problem+json",
        "the 402 is {content_type:?}"
    );
    ensure!(
        site.upstream.requests() == seen_before,
        "the refused request reached the upstream"
    );
    screen.checked("the upstream has not seen it");
    Ok(())
}

/// While acme keeps trying, so that the time it takes is seen from where it matters.
fn top_up(screen: &Screen, site: &Site) -> Result<()> {
    let path = format!("/v1/wallets/{}/top-up", site.acme.wallet);
    let body = json!({"credits_to_add": "5", "reason_code": "PURCHASED_CREDIT_DIRECT"});
    screen.sends("acme keeps trying: 402, 402, …");
    screen.sends("operator: POST /v1/wallets/{wallet}/top-up {\"credits_to_add\": \"5\"}");
    let (topped_up, tried) = std::thread::scope(|scope| {
        let trying = scope.spawn(|| keep_trying(site));
        std::thread::sleep(Duration::from_millis(50));
        let sent = now();
        let topped_up = site
            .api
            .write("POST", &path, &body)
            .map(|answer| (sent, answer));
        let tried = trying
            .join()
            .unwrap_or_else(|_| Err(anyhow!("the client of acme panicked")));
        (topped_up, tried)
    });
    let (sent, acknowledged) = topped_up?;
    let tried = tried?;
    check_paid(&tried.answer, &site.acme, "4.75")?;
    ensure!(
        tried.refusals_since(sent) < tried.refusals.len(),
        "acme was not refused before the top-up was sent"
    );
    let took = seconds(acknowledged.took);
    screen.gets(acknowledged.status, &format!("written to disk   {took}"));
    screen.gets(tried.answer.status, &told(&tried.answer));
    let refusals = match tried.refusals_since(sent) {
        0 => "acme was not refused any more".to_owned(),
        1 => "acme was refused once more meanwhile".to_owned(),
        many => format!("acme was refused {many} times meanwhile"),
    };
    screen.checked(&format!(
        "acme's first paid answer was there {} after the top-up was sent; {refusals}",
        seconds(tried.paid.saturating_duration_since(sent)),
    ));
    Ok(())
}

/// What came of trying until it was paid.
struct Tried {
    /// When each refusal came.
    refusals: Vec<Instant>,
    /// When the paid answer came.
    paid: Instant,
    answer: Answer,
}

impl Tried {
    fn refusals_since(&self, instant: Instant) -> usize {
        self.refusals
            .iter()
            .filter(|refused| **refused > instant)
            .count()
    }
}

fn keep_trying(site: &Site) -> Result<Tried> {
    let mut refusals = Vec::new();
    let answer = until("the top-up arrives at the gateway", ARRIVAL_MAX, || {
        let answer = site.gateway.get(PATH, Some(&site.acme.key))?;
        if answer.status == 402 {
            refusals.push(now());
            return Ok(None);
        }
        Ok(Some(answer))
    })?;
    Ok(Tried {
        refusals,
        paid: now(),
        answer,
    })
}

fn books(screen: &Screen, site: &Site) -> Result<()> {
    screen.aside("acme pauses. After 3 s of that the gateway gives back what it did not use.");
    // Gateways report what was spent a few times a second, and give back what lies unused.
    let path = format!("/v1/wallets/{}/balance", site.acme.wallet);
    let balance = until(
        "the gateway reports what acme has spent",
        Duration::from_secs(10),
        || {
            let balance = site.api.read(&path)?;
            let is_reported = balance["spent"] == "1.25" && balance["lent"] == "0";
            Ok(is_reported.then_some(balance))
        },
    )?;
    ensure!(
        balance["available"] == "4.75",
        "available should be 4.75, but: {balance}"
    );
    screen
        .checked("the ledger says of acme: funded 6, spent 1.25, available 4.75 usd, nothing lent");
    let verify = Command::new(&site.control_plane)
        .args(["verify", "--database", &site.database])
        .output()?;
    ensure!(
        verify.status.success(),
        "creditgate verify: {}\n{}{}",
        verify.status,
        String::from_utf8_lossy(&verify.stdout),
        String::from_utf8_lossy(&verify.stderr)
    );
    screen.checked("creditgate verify finds every invariant of the books intact");
    Ok(())
}
