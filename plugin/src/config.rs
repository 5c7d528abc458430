//! The filter's configuration: one JSON document, checked as a whole.
//!
//! A document with an unknown field, a value out of range or a missing secret is refused,
//! so the proxy keeps the configuration it had. Prices and time limits are not in here: they
//! come from the control plane, with versions. Nor are secrets: proxies print configurations
//! on admin pages, so the gateway's key comes from the environment by name.

mod claim;
mod gateway_key;
mod identity;
mod limits;
mod place;

pub use claim::Claim;
pub use gateway_key::GatewayKey;
pub use identity::{
    Anonymous, CUSTOMER_BYTES_MAX, Certificate, From, Identity, JwtClaim, Names, SOURCES_MAX,
    Source,
};
pub use limits::Limits;

use creditgate_core::outage::OnUnavailable;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What the filter is told by whoever runs the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How the control plane is reached.
    pub control_plane: ControlPlane,
    /// Who pays for a request.
    #[serde(default)]
    pub identity: Identity,
    /// Whether refusals are carried out.
    #[serde(default)]
    pub mode: Mode,
    /// What befalls a request that can't be decided because the control plane does not answer,
    /// where neither customer nor rule says so.
    #[serde(default)]
    pub on_unavailable: OnUnavailable,
    /// Where a customer reads its own balance with its key, at no cost; null for nowhere.
    #[serde(default = "default_balance_path")]
    pub balance_path: Option<String>,
    /// Bounds of what the filter keeps in memory.
    #[serde(default)]
    pub limits: Limits,
    /// How often background work is looked at, in milliseconds: 5 to 1000.
    #[serde(default = "default_tick_ms")]
    pub tick_ms: u64,
    /// Whether the proxy is set up so that request bodies can be held back and read:
    /// `allow_on_headers_stop_iteration` of the plugin's configuration must be true then.
    /// Without it, requests whose price is in their body are refused.
    #[serde(default)]
    pub reads_bodies: bool,
    /// Whether each priced request writes a line for access logs: the filter state `wasm.` and `log_as`.
    #[serde(default = "default_true")]
    pub access_log: bool,
    /// The name of its line: a lower-case letter, and up to 31 more, digits or hyphens. Filters that
    /// each charge a request need a name each, or the log has the line of one of them alone.
    #[serde(default = "default_log_as")]
    pub log_as: String,
    /// Whether a request is charged by the first filter that decides it alone. Set it in all filters
    /// that a request may cross; each of them asks the proxy then whether another has decided. What
    /// a request does not take along, over an internal listener say, they do not see.
    #[serde(default)]
    pub charged_once: bool,
    /// Whether allowed responses, and refusals for want of credit, also carry the fields
    /// `RateLimit` and `RateLimit-Policy`: how many more requests like this one can be paid, and
    /// how many the credit was issued for.
    #[serde(default)]
    pub rate_limit_headers: bool,
}

/// How the control plane is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ControlPlane {
    /// The proxy's name for the control plane: a cluster of its configuration.
    pub cluster: String,
    /// The `:authority` of calls; if absent, the cluster's name.
    #[serde(default)]
    pub authority: Option<String>,
    /// How long a call may take, in milliseconds: 10 to 60000.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// The environment variable that holds the gateway's key.
    #[serde(default = "default_gateway_key_env")]
    pub gateway_key_env: String,
}

/// Whether refusals are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Reserve, settle and refuse.
    #[default]
    Enforce,
    /// Refuse nothing and move no money; count and log what would be refused.
    Shadow,
    /// Let everything through without a look.
    Off,
}

fn default_balance_path() -> Option<String> {
    Some("/.well-known/credit-balance".into())
}

const fn default_tick_ms() -> u64 {
    20
}

const fn default_true() -> bool {
    true
}

fn default_log_as() -> String {
    "creditgate".into()
}

const fn default_timeout_ms() -> u64 {
    1_000
}

fn default_gateway_key_env() -> String {
    "CREDITGATE_GATEWAY_KEY".into()
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("configuration field `{field}`: {reason}")]
pub struct ConfigError {
    /// The field, as a path with dots; `.` is the document itself.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl ConfigError {
    fn of(field: &str, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

impl Config {
    /// Reads and checks a document.
    ///
    /// # Errors
    /// [`ConfigError`] names the first field that is wrong.
    pub fn parse(document: &[u8]) -> Result<Self, ConfigError> {
        let mut config: Self = serde_json::from_slice(document).map_err(|error| {
            let field = place::field_at(document, error.line(), error.column());
            ConfigError::of(&field, error.to_string())
        })?;
        config.identity.complete()?;
        config.check()?;
        Ok(config)
    }

    /// The `:authority` of calls.
    #[must_use]
    pub fn authority(&self) -> &str {
        let cluster = &self.control_plane.cluster;
        self.control_plane.authority.as_ref().unwrap_or(cluster)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let plane = &self.control_plane;
        check(
            !plane.cluster.is_empty(),
            "control_plane.cluster",
            "must not be empty",
        )?;
        let authority = plane.authority.as_deref().unwrap_or("x");
        check(
            is_visible(authority),
            "control_plane.authority",
            "must be a host name, without spaces",
        )?;
        within(plane.timeout_ms, 10, 60_000, "control_plane.timeout_ms")?;
        let variable = &plane.gateway_key_env;
        check(
            is_visible(variable),
            "control_plane.gateway_key_env",
            "must be the name of an environment variable",
        )?;
        let balance = self.balance_path.as_deref().unwrap_or("/x");
        let plain =
            balance.starts_with('/') && is_visible(balance) && !balance.contains(['?', '#', '%']);
        check(
            plain,
            "balance_path",
            "must be a plain path that begins with /",
        )?;
        check(
            is_log_name(&self.log_as),
            "log_as",
            "must be 1 to 32 lower-case letters, digits and hyphens, and begin with a letter",
        )?;
        within(self.tick_ms, 5, 1_000, "tick_ms")?;
        self.limits.check()
    }
}

fn check(fine: bool, field: &str, reason: &str) -> Result<(), ConfigError> {
    if fine {
        Ok(())
    } else {
        Err(ConfigError::of(field, reason))
    }
}

fn within(value: u64, least: u64, most: u64, field: &str) -> Result<(), ConfigError> {
    check(
        (least..=most).contains(&value),
        field,
        &format!("must be {least} to {most}, is {value}"),
    )
}

fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_header_name(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

/// None has an underscore, as the mark of [`Config::charged_once`] does.
fn is_log_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.len() <= 32
        && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused_field(document: &str) -> String {
        Config::parse(document.as_bytes()).unwrap_err().field
    }

    #[test]
    fn the_smallest_document_gets_every_default() {
        let config = Config::parse(br#"{"control_plane": {"cluster": "creditgate"}}"#).unwrap();
        assert_eq!(config.identity, Identity::default());
        assert_eq!(config.authority(), "creditgate");
        assert_eq!(config.limits, Limits::default());
        assert_eq!(
            (config.mode, config.tick_ms, config.access_log),
            (Mode::Enforce, 20, true)
        );
        assert_eq!(config.log_as, "creditgate");
    }

    #[test]
    fn a_faulty_document_is_refused_by_the_name_of_its_field() {
        let with = |rest: &str| format!(r#"{{"control_plane": {{"cluster": "c"}}, {rest}}}"#);
        assert_eq!(refused_field("{}"), ".");
        assert_eq!(
            refused_field(r#"{"control_plane": {"cluster": ""}}"#),
            "control_plane.cluster"
        );
        assert_eq!(refused_field(&with(r#""tick_ms": "20""#)), "tick_ms");
        assert_eq!(refused_field(&with(r#""tick_ms": 0"#)), "tick_ms");
        assert_eq!(
            refused_field(&with(r#""limits": {"cells_max": 3}"#)),
            "limits.cells_max"
        );
        assert_eq!(
            refused_field(&with(r#""identity": {"header": "X-Key"}"#)),
            "identity.header"
        );
        assert_eq!(
            refused_field(&with(r#""identity": {"header": "x-credit-key"}"#)),
            "identity.header"
        );
        for (identity, field) in [
            (r#"{"scheme": "Bearer"}"#, "identity.scheme"),
            (r#"{"sources": []}"#, "identity.sources"),
            (
                r#"{"sources": [{"from": {"header": "X"}}]}"#,
                "identity.sources[0].from.header",
            ),
            (
                r#"{"sources": [{"from": {"query": ""}}]}"#,
                "identity.sources[0].from.query",
            ),
            (
                r#"{"sources": [{"from": {"query": "k"}, "lowercase": true}]}"#,
                "identity.sources[0].lowercase",
            ),
            (
                r#"{"sources": [{"from": {"query": "k"}, "strip_prefix": "a", "lowercase": true}]}"#,
                "identity.sources[0].strip_prefix",
            ),
            (
                r#"{"header": "a", "sources": [{"from": {"header": "b"}}]}"#,
                "identity.header",
            ),
            (
                r#"{"sources": [{"from": {"jwt_claim": {"payload": "p", "claim": "a.b.c.d.e.f.g.h.i"}}}]}"#,
                "identity.sources[0].from.jwt_claim.claim",
            ),
            (
                r#"{"sources": [{"from": {"jwt_claim": {"payload": "", "claim": "org"}}}]}"#,
                "identity.sources[0].from.jwt_claim.payload",
            ),
            (
                r#"{"sources": [{"from": {"jwt_claim": {"payload": "p", "claim": "org..id"}}}]}"#,
                "identity.sources[0].from.jwt_claim.claim",
            ),
            (
                r#"{"sources": [{"from": {"jwt_claim": {"payload": "p", "claim": []}}}]}"#,
                "identity.sources[0].from.jwt_claim.claim",
            ),
            (
                r#"{"sources": [{"from": {"jwt_claim": {"payload": "p", "claim": ["org", ""]}}}]}"#,
                "identity.sources[0].from.jwt_claim.claim",
            ),
            (
                r#"{"sources": [{"from": {"jwt_claim": {"payload": "p", "claim": 7}}}]}"#,
                "identity.sources.from.jwt_claim.claim",
            ),
            (
                r#"{"anonymous": {"customer": ""}}"#,
                "identity.anonymous.customer",
            ),
        ] {
            let document = with(&format!(r#""identity": {identity}"#));
            assert_eq!(refused_field(&document), field, "{identity}");
        }
        assert_eq!(refused_field(&with(r#""mode": "open""#)), "mode");
        assert_eq!(
            refused_field(&with(r#""on_unavailable": "pass""#)),
            "on_unavailable"
        );
        assert_eq!(
            refused_field(&with(r#""balance_path": "balance""#)),
            "balance_path"
        );
        for name in [
            "",
            "Admin",
            "7",
            "-a",
            "a b",
            "creditgate_decided",
            &"a".repeat(33),
        ] {
            assert_eq!(
                refused_field(&with(&format!(r#""log_as": "{name}""#))),
                "log_as"
            );
        }
        assert!(refused_field(&with(r#""limits": {"cels_max": 3}"#)).starts_with("limits"));
    }
}
