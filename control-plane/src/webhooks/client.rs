//! The connections that messages go over: no redirects, no proxies, no second tries of their
//! own, little read of what comes back, and a bound on the time.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use creditgate_ledger::webhook::AttemptError;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, redirect, retry};
use tokio::time::{Instant, timeout};

use super::Message;
use super::guard::{Denied, Guard};
use super::resolver::{Guarded, Lookup, NoAddress};

/// How long an attempt may take until the answer's status is there: fifteen seconds.
pub const SENT_MAX_MS: u64 = 15_000;

/// How long the beginning of an answer's body is waited for once its status is there.
const RESPONSE_MAX_MS: u64 = 2_000;

/// How much of an answer's body is kept, in bytes.
const RESPONSE_MAX: usize = 1_024;

/// How many idle connections are kept to an endpoint, and for how long.
const IDLE_MAX: usize = 4;
const IDLE_MAX_MS: u64 = 30_000;

/// Sends messages.
#[derive(Clone)]
pub struct Client {
    guard: Arc<Guard>,
    secure: reqwest::Client,
    plain: reqwest::Client,
    sent_max: Duration,
}

/// How sending went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What went wrong, if something did.
    pub error: Option<AttemptError>,
    /// The beginning of the answer's body, as text.
    pub response: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

impl Client {
    pub(super) fn new(guard: Arc<Guard>, lookup: Arc<dyn Lookup>) -> Result<Self, reqwest::Error> {
        let client = |is_secure| {
            reqwest::Client::builder()
                .user_agent(concat!("creditgate/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Guarded {
                    guard: Arc::clone(&guard),
                    lookup: Arc::clone(&lookup),
                    is_secure,
                })
                .https_only(is_secure)
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .no_proxy()
                .referer(false)
                .pool_max_idle_per_host(IDLE_MAX)
                .pool_idle_timeout(Duration::from_millis(IDLE_MAX_MS))
                .build()
        };
        Ok(Self {
            secure: client(true)?,
            plain: client(false)?,
            guard,
            sent_max: Duration::from_millis(SENT_MAX_MS),
        })
    }

    /// With another bound on an attempt's time.
    #[must_use]
    pub const fn within(mut self, sent_max: Duration) -> Self {
        self.sent_max = sent_max;
        self
    }

    /// Sends a message once.
    pub async fn send(&self, url: &str, message: Message) -> Sent {
        let started = Instant::now();
        let answered = timeout(self.sent_max, self.post(url, message)).await;
        let (status, error, response) = match answered {
            Err(_) => (None, Some(AttemptError::TimedOut), None),
            Ok(Err(error)) => (None, Some(error), None),
            Ok(Ok(answer)) => {
                let status = answer.status().as_u16();
                (Some(status), judge(status), beginning(answer).await)
            }
        };
        let taken = started.elapsed().as_millis();
        Sent {
            status,
            error,
            response,
            duration_ms: u64::try_from(taken).unwrap_or(u64::MAX),
        }
    }

    async fn post(&self, url: &str, message: Message) -> Result<Response, AttemptError> {
        // An address instead of a name is dialled without a look-up, so it is judged here.
        let checked = self.guard.check(url);
        let url = checked.map_err(|_| AttemptError::AddressNotAllowed)?;
        let client = if url.scheme() == "https" {
            &self.secure
        } else {
            &self.plain
        };
        let request = client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp_s.to_string())
            .header("webhook-signature", message.signatures)
            .body(message.body);
        request.send().await.map_err(|error| cause(&error))
    }
}

const fn judge(status: u16) -> Option<AttemptError> {
    match status {
        200..=299 => None,
        300..=399 => Some(AttemptError::Redirect),
        _ => Some(AttemptError::Status),
    }
}

/// What lies behind an error, as a word that operators can act on.
fn cause(error: &reqwest::Error) -> AttemptError {
    let mut inner: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = inner {
        if error.is::<Denied>() {
            return AttemptError::AddressNotAllowed;
        }
        if error.is::<NoAddress>() {
            return AttemptError::NameUnknown;
        }
        inner = error.source();
    }
    if error.is_timeout() {
        AttemptError::TimedOut
    } else if error.is_connect() {
        AttemptError::NotConnected
    } else {
        AttemptError::Broken
    }
}

/// The beginning of an answer's body, as far as it comes soon. The rest is not read.
async fn beginning(mut answer: Response) -> Option<String> {
    let mut bytes = Vec::new();
    let reading = async {
        while bytes.len() < RESPONSE_MAX
            && let Ok(Some(chunk)) = answer.chunk().await
        {
            let room = RESPONSE_MAX.saturating_sub(bytes.len());
            bytes.extend(chunk.iter().copied().take(room));
        }
    };
    drop(timeout(Duration::from_millis(RESPONSE_MAX_MS), reading).await);
    let text = String::from_utf8_lossy(&bytes);
    let printable = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    let text: String = text.chars().filter(printable).collect();
    (!text.is_empty()).then_some(text)
}
