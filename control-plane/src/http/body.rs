//! Reading what clients send: bounded, strict, and with errors that point at the field.
//!
//! An unknown field is refused: a misspelt `expires_at` must not make credit that never
//! expires. An empty body counts as `{}`. Every write may carry an `Idempotency-Key`; what
//! it was sent with is remembered as the SHA-256 of method, path and body.

use axum::body::{Body, Bytes};
use axum::extract::{self, FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::Shared;
use super::auth::Caller;
use crate::problem::Problem;
use crate::storage::IdempotencyKey;
use crate::writer::Idempotency;

/// The largest body of most writes of the admin API, in bytes.
const BODY_MAX: usize = 64 * 1024;

/// The largest rate card, in bytes. As many models as there may be, each with every price and
/// a context tier with every price too, indented for people, take 1.4 MB.
const RATE_CARD_MAX: usize = 4 * 1024 * 1024;

/// The largest pricing of one customer, in bytes. As many models as it may name, each with every
/// price and a context tier with every price too, indented for people, take 180 kB.
pub(super) const PRICING_MAX: usize = 512 * 1024;

/// The longest idempotency key, in characters.
pub(super) const IDEMPOTENCY_KEY_MAX: usize = 255;

/// A write with its body as it came.
pub(crate) struct RawWrite {
    /// Who.
    pub(crate) caller: Caller,
    /// The body.
    pub(crate) body: Bytes,
    fingerprint: String,
    key: Option<String>,
}

/// A write with its body read, which may have `MAX` bytes.
pub(crate) struct Write<T, const MAX: usize = BODY_MAX> {
    /// The body.
    pub(crate) body: T,
    /// Everything else.
    pub(crate) raw: RawWrite,
}

impl RawWrite {
    async fn read(request: Request, limit: usize) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| Problem::new("internal", "the route lacks its guard"))?;
        let key = idempotency_key(&parts.headers)?;
        let body = bytes(body, limit).await?;
        let fingerprint = fingerprint(&parts.method, &parts.uri, &body);
        Ok(Self {
            caller,
            body,
            fingerprint,
            key,
        })
    }

    /// The idempotency key with what it was sent with, if there is one.
    pub(crate) fn idempotency(&self) -> Option<Idempotency> {
        let key = self.key.clone()?;
        let principal = self.caller.principal.clone();
        Some(Idempotency {
            key: IdempotencyKey { principal, key },
            fingerprint: self.fingerprint.clone(),
        })
    }

    /// Takes the idempotency key of the body, if the header gave none.
    pub(crate) fn key_from_body(&mut self, key: Option<String>) -> Result<(), Problem> {
        let Some(key) = key else { return Ok(()) };
        check_key(&key).map_err(|problem| problem.at("/idempotency_key"))?;
        self.key.get_or_insert(key);
        Ok(())
    }
}

impl FromRequest<Shared> for RawWrite {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, Problem> {
        Self::read(request, RATE_CARD_MAX).await
    }
}

impl<T: DeserializeOwned, const MAX: usize> FromRequest<Shared> for Write<T, MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, Problem> {
        let raw = RawWrite::read(request, MAX).await?;
        let body = object(if raw.body.is_empty() {
            b"{}"
        } else {
            &raw.body
        })?;
        Ok(Self { body, raw })
    }
}

/// The variable part of a path. Bytes that are no text name nothing.
pub(crate) struct Path(pub(crate) String);

impl FromRequestParts<Shared> for Path {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        let path = extract::Path::<String>::from_request_parts(parts, app).await;
        path.map(|extract::Path(text)| Self(text))
            .map_err(|error| Problem::new("not_found", error.body_text()))
    }
}

/// The parameters of a query.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Shared> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query
            .map(|Query(params)| Self(params))
            .map_err(|error| Problem::new("query_invalid", error.body_text()))
    }
}

/// Reads a whole body of at most `limit` bytes.
pub(super) async fn bytes(body: Body, limit: usize) -> Result<Bytes, Problem> {
    // The other way this fails is that the client went away; it won't read the answer.
    let too_large = |_| Problem::new("body_too_large", format!("the body may have {limit} bytes"));
    axum::body::to_bytes(body, limit).await.map_err(too_large)
}

/// Reads a JSON document as a whole.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| fault(error.path(), error.inner()))?;
    reader
        .end()
        .map_err(|error| Problem::new("json_invalid", error.to_string()))?;
    Ok(value)
}

/// Reads a JSON object. What an object is read into would take an array too, by position.
pub(super) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        json::<serde::de::IgnoredAny>(body)?;
        return Err(Problem::new("body_invalid", "the body must be a JSON object").at(""));
    }
    json(body)
}

fn fault(path: &serde_path_to_error::Path, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    if !error.is_data() {
        return Problem::new("json_invalid", text);
    }
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(text, _)| text);
    let mut pointer = pointer(path);
    // An input type that has a code of its own puts it before its words.
    if let Some((code, words)) = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
    {
        return Problem::new(code, words).at(pointer);
    }
    let named = |prefix: &str| {
        text.strip_prefix(prefix)
            .and_then(|rest| rest.split('`').next())
    };
    let (code, field) = match (named("unknown field `"), named("missing field `")) {
        (Some(field), _) => ("unknown_field", Some(field)),
        (None, Some(field)) => ("field_missing", Some(field)),
        (None, None) => ("body_invalid", None),
    };
    if let Some(field) = field {
        let step = format!("/{}", escape(field));
        if !pointer.ends_with(&step) {
            pointer.push_str(&step);
        }
    }
    Problem::new(code, text).at(pointer)
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } | Segment::Enum { variant: key } => format!("/{}", escape(key)),
            Segment::Unknown => "/?".to_owned(),
        })
        .collect()
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn fingerprint(method: &Method, uri: &Uri, body: &[u8]) -> String {
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let digest = Sha256::new()
        .chain_update(method.as_str())
        .chain_update(b" ")
        .chain_update(path)
        .chain_update(b"\n")
        .chain_update(body)
        .finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let once = values.next().is_none();
    let key = value.to_str().ok().filter(|_| once);
    let key = key.ok_or_else(|| {
        Problem::new(
            "idempotency_key_invalid",
            "send the header once, of visible ASCII characters",
        )
    })?;
    check_key(key)?;
    Ok(Some(key.to_owned()))
}

fn check_key(key: &str) -> Result<(), Problem> {
    let fine = !key.is_empty()
        && key.len() <= IDEMPOTENCY_KEY_MAX
        && key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let problem = || {
        Problem::new(
            "idempotency_key_invalid",
            format!("must be 1 to {IDEMPOTENCY_KEY_MAX} visible ASCII characters"),
        )
    };
    fine.then_some(()).ok_or_else(problem)
}
