//! Making, changing, rotating, enabling, disabling and deleting endpoints.
//!
//! Endpoints are few and belong to the installation, so these are functions of all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::retry::Disabled;
use super::{ENDPOINTS_MAX, Endpoint, EndpointSecret, EndpointStatus};
use crate::event::EventKind;
use crate::id::EndpointId;
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// How long a replaced secret may stay valid, in milliseconds: seven days.
pub const OVERLAP_MAX_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

/// Most secrets that are valid at once: each signs every message.
pub const SECRETS_MAX: usize = 4;

/// What makes an endpoint. The address was checked by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEndpoint {
    /// The operator's name.
    pub external_id: Option<String>,
    /// The address.
    pub url: String,
    /// What the operator says of it.
    pub description: Option<String>,
    /// Which events it gets; all if empty.
    pub events: BTreeSet<EventKind>,
    /// The operator's own data.
    pub metadata: BTreeMap<String, String>,
    /// What messages are signed with.
    pub secret: EndpointSecret,
}

/// What may be changed of an endpoint; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointChange {
    /// The operator's name; some of none takes it away.
    pub external_id: Option<Option<String>>,
    /// The address, checked by the caller.
    pub url: Option<String>,
    /// What the operator says of it; some of none takes it away.
    pub description: Option<Option<String>>,
    /// Which events it gets.
    pub events: Option<BTreeSet<EventKind>>,
    /// The operator's own data, replaced as a whole.
    pub metadata: Option<BTreeMap<String, String>>,
}

impl EndpointSecret {
    /// A secret that is valid until another takes its place.
    #[must_use]
    pub const fn lasting(secret: String) -> Self {
        Self {
            secret,
            expires_at: None,
        }
    }

    /// Whether messages are signed with it.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|until| now < until)
    }
}

/// An endpoint that is there, by id or by the operator's name.
///
/// # Errors
/// [`Refusal::NotFound`].
pub fn find<'e>(endpoints: &'e [Endpoint], named: &str) -> Result<&'e Endpoint, Refusal> {
    place(endpoints, named).map(|place| &endpoints[place])
}

fn place(endpoints: &[Endpoint], named: &str) -> Result<usize, Refusal> {
    let id = named.parse::<EndpointId>().ok();
    let fits = |endpoint: &Endpoint| {
        let is_named = id == Some(endpoint.id) || endpoint.external_id.as_deref() == Some(named);
        is_named && endpoint.deleted_at.is_none()
    };
    endpoints
        .iter()
        .position(fits)
        .ok_or_else(|| Refusal::NotFound {
            what: "webhook endpoint",
            id: named.to_owned(),
        })
}

fn name_is_free(endpoints: &[Endpoint], name: Option<&str>) -> Result<(), Refusal> {
    match name.filter(|name| place(endpoints, name).is_ok()) {
        None => Ok(()),
        Some(name) => Err(Refusal::Exists {
            field: "/external_id",
            what: "webhook endpoint",
            id: name.to_owned(),
        }),
    }
}

/// Makes an endpoint; it gets what happens from then on.
///
/// # Errors
/// Its name is taken, or there are too many.
pub fn create(
    endpoints: &mut Vec<Endpoint>,
    id: EndpointId,
    new: NewEndpoint,
    now: Timestamp,
) -> Result<Endpoint, Refusal> {
    name_is_free(endpoints, new.external_id.as_deref())?;
    let there = |endpoint: &&Endpoint| endpoint.deleted_at.is_none();
    if endpoints.iter().filter(there).count() >= ENDPOINTS_MAX {
        return Err(Refusal::Conflict {
            code: "webhook_endpoints_max",
            problem: format!("there are {ENDPOINTS_MAX} endpoints; delete one that is not used"),
        });
    }
    let endpoint = Endpoint {
        id,
        external_id: new.external_id,
        url: new.url,
        description: new.description,
        events: new.events,
        secrets: vec![new.secret],
        status: EndpointStatus::Enabled,
        disabled_reason: None,
        failing_since: None,
        metadata: new.metadata,
        created_at: now,
        deleted_at: None,
    };
    endpoints.push(endpoint.clone());
    Ok(endpoint)
}

/// Changes an endpoint. Deliveries under way go to the new address from their next attempt on.
///
/// # Errors
/// There is none, or the new name is taken.
pub fn change(
    endpoints: &mut [Endpoint],
    named: &str,
    change: EndpointChange,
) -> Result<Endpoint, Refusal> {
    let place = place(endpoints, named)?;
    if let Some(name) = change.external_id {
        if name != endpoints[place].external_id {
            name_is_free(endpoints, name.as_deref())?;
        }
        endpoints[place].external_id = name;
    }
    let endpoint = &mut endpoints[place];
    if let Some(url) = change.url {
        endpoint.url = url;
    }
    if let Some(description) = change.description {
        endpoint.description = description;
    }
    if let Some(events) = change.events {
        endpoint.events = events;
    }
    if let Some(metadata) = change.metadata {
        endpoint.metadata = metadata;
    }
    Ok(endpoint.clone())
}

/// Puts a new secret in place of the present one, which stays valid a while beside it.
///
/// # Errors
/// There is no such endpoint, or too many secrets would be valid at once.
pub fn rotate(
    endpoints: &mut [Endpoint],
    named: &str,
    secret: EndpointSecret,
    overlap_ms: u64,
    now: Timestamp,
) -> Result<Endpoint, Refusal> {
    let place = place(endpoints, named)?;
    let endpoint = &mut endpoints[place];
    let until = now.plus_ms(overlap_ms.min(OVERLAP_MAX_MS));
    let mut secrets = vec![secret];
    for old in &endpoint.secrets {
        // One that was to end sooner still does.
        let expires_at = old.expires_at.map_or(until, |at| at.min(until));
        secrets.push(EndpointSecret {
            expires_at: Some(expires_at),
            ..old.clone()
        });
    }
    secrets.retain(|secret| secret.is_valid(now));
    if secrets.len() > SECRETS_MAX {
        return Err(Refusal::Conflict {
            code: "webhook_secrets_max",
            problem: format!(
                "{SECRETS_MAX} secrets are valid; wait until one ends, or rotate with overlap_ms 0"
            ),
        });
    }
    endpoint.secrets = secrets;
    Ok(endpoint.clone())
}

/// Lets an endpoint get events again, from now on. What it missed can be replayed.
///
/// # Errors
/// There is no such endpoint.
pub fn enable(endpoints: &mut [Endpoint], named: &str) -> Result<Endpoint, Refusal> {
    let place = place(endpoints, named)?;
    let endpoint = &mut endpoints[place];
    endpoint.status = EndpointStatus::Enabled;
    endpoint.disabled_reason = None;
    endpoint.failing_since = None;
    Ok(endpoint.clone())
}

/// Lets an endpoint get nothing any more.
///
/// # Errors
/// There is no such endpoint.
pub fn disable(endpoints: &mut [Endpoint], named: &str) -> Result<Endpoint, Refusal> {
    let place = place(endpoints, named)?;
    let endpoint = &mut endpoints[place];
    if endpoint.status == EndpointStatus::Enabled {
        endpoint.status = EndpointStatus::Disabled;
        endpoint.disabled_reason = Some(Disabled::ByOperator.as_str().to_owned());
    }
    Ok(endpoint.clone())
}

/// Deletes an endpoint, its secrets with it. Its deliveries stay to be looked at, and its name
/// is free.
///
/// # Errors
/// There is no such endpoint.
pub fn delete(
    endpoints: &mut [Endpoint],
    named: &str,
    now: Timestamp,
) -> Result<Endpoint, Refusal> {
    let place = place(endpoints, named)?;
    let endpoint = &mut endpoints[place];
    endpoint.deleted_at = Some(now);
    endpoint.status = EndpointStatus::Disabled;
    endpoint.secrets.clear();
    Ok(endpoint.clone())
}
