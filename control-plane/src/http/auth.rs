//! Who calls: a bearer key, known by its hash.
//!
//! Operators' keys open the API, gateways' keys the three gateway endpoints, and neither
//! opens the other. A key is checked for its form first: what is mistyped costs no look-up.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use creditgate_core::key::{self, CredentialHash, KeyKind};
use creditgate_ledger::id::GatewayId;
use creditgate_ledger::registry::OperatorRole;
use sha2::{Digest, Sha256};

use super::Shared;
use crate::problem::Problem;

/// The operator behind a request.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Whose idempotency keys these are.
    pub(crate) principal: String,
    /// As the journal names who asked.
    pub(crate) actor: String,
    /// What the key may do.
    pub(crate) role: OperatorRole,
    /// A secret only the caller's key can make; see [`super::admin::issued`].
    pub(crate) seed: [u8; 32],
}

/// The gateway behind a request.
#[derive(Clone, Copy)]
pub(crate) struct Speaker {
    /// Which.
    pub(crate) gateway: GatewayId,
}

pub(super) async fn operators(
    State(app): State<Shared>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let bearer = bearer(request.headers())?;
    let hash = key::credential_hash(bearer);
    let seed = Sha256::new()
        .chain_update(b"creditgate issued keys\0")
        .chain_update(bearer)
        .finalize()
        .into();
    let (role, caller) = if app.admin_key.is_some_and(|admin| same(&admin, &hash)) {
        // Another key in the environment is another principal: it can't make the same seed.
        let digits: String = hash.to_string().chars().take(16).collect();
        (
            OperatorRole::Admin,
            Caller {
                principal: format!("admin:{digits}"),
                actor: "admin".to_owned(),
                role: OperatorRole::Admin,
                seed,
            },
        )
    } else {
        match key::check(bearer)
            .map_err(|error| Problem::new("credential_malformed", error.to_string()))?
        {
            KeyKind::Admin => {}
            KeyKind::Gateway | KeyKind::Consumer => {
                return Err(insufficient("an operator's key (cga_…)"));
            }
        }
        let registry = app.writer.registry();
        let known = registry.operator_key(&hash).ok_or_else(unknown)?;
        let id = known.id.to_string();
        (
            known.role,
            Caller {
                principal: id.clone(),
                actor: id,
                role: known.role,
                seed,
            },
        )
    };
    if role == OperatorRole::Read && !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(insufficient("a key of the role admin"));
    }
    let actor = caller.actor.clone();
    request.extensions_mut().insert(caller);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    if !method.is_safe() {
        let status = response.status().as_u16();
        tracing::info!(actor, %method, path, status, "write");
    }
    // Answers are about money, and some hold a key.
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    Ok(response)
}

pub(super) async fn gateways(
    State(app): State<Shared>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let bearer = bearer(request.headers())?;
    let kind = key::check(bearer)
        .map_err(|error| Problem::new("credential_malformed", error.to_string()))?;
    if kind != KeyKind::Gateway {
        return Err(insufficient("a gateway's key (cgg_…)"));
    }
    let registry = app.writer.registry();
    let gateway = registry
        .gateway_by_key(&key::credential_hash(bearer))
        .ok_or_else(unknown)?
        .id;
    request.extensions_mut().insert(Speaker { gateway });
    Ok(next.run(request).await)
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let missing = || {
        Problem::new(
            "credential_missing",
            "send the header Authorization: Bearer KEY, once",
        )
    };
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(missing());
    };
    let (scheme, key) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") || key.trim().is_empty() {
        return Err(missing());
    }
    Ok(key.trim())
}

/// Compares without telling by its duration where two hashes differ.
fn same(one: &CredentialHash, other: &CredentialHash) -> bool {
    let differences = one
        .as_bytes()
        .iter()
        .zip(other.as_bytes())
        .fold(0, |all, (a, b)| all | (a ^ b));
    differences == 0
}

impl Caller {
    /// For what a reading key must not see although it is only read.
    pub(crate) fn must_be_admin(&self) -> Result<(), Problem> {
        match self.role {
            OperatorRole::Admin => Ok(()),
            OperatorRole::Read => Err(insufficient("a key of the role admin")),
        }
    }
}

fn unknown() -> Problem {
    Problem::new(
        "credential_unknown",
        "the key is not known here, or was revoked",
    )
}

fn insufficient(needed: &str) -> Problem {
    Problem::new("role_insufficient", format!("this needs {needed}"))
}
