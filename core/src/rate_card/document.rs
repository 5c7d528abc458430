//! The rate card as operators write it, in JSON.
//!
//! Unknown fields are refused, so that a misspelt `metods` can't make a rule cheaper than
//! it was meant. Prices keep the text they were written in; no float comes between.

mod conditions;
mod meters;
mod models;
mod price;
mod pricing;
mod settling;
mod tokens;

pub use conditions::{ConditionsDocument, FieldConditionDocument};
pub use meters::{MeterDocument, MeterSource};
pub(super) use models::TokenPrices;
pub use models::{ContextTierDocument, ModelDocument};
pub use price::{Per, Price};
pub use pricing::{
    CardPricingDocument, MeterPriceDocument, ModelDiscountDocument, PricingDocument,
    RulePricingDocument,
};
pub use settling::{Cause, EndingDocument, Flag, SettleDocument, Verdict};
pub use tokens::{
    EstimateDocument, OnEmpty, OverMax, PricedBy, Promise, TokensDocument, UnknownModel,
};

use super::RateCardError;
use super::sum::Rounding;
use crate::amount::{Currency, Scale};
use crate::outage::OnUnavailable;
use serde::{Deserialize, Deserializer, Serialize};

/// What requests cost. [`RateCard::compile`](super::RateCard::compile) checks it whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RateCardDocument {
    /// A name for people, 1 to 128 characters.
    pub name: String,
    /// What the prices are in.
    pub currency: Currency,
    /// The currency's digits after the point; if absent, the default for the currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// What befalls a request that no rule matches. Required: whatever the rules leave open,
    /// by oversight or because a client found an odd spelling of a path, ends here.
    pub default: Unmatched,
    /// Paths that are free for everyone, whatever the method, even without a credential:
    /// health checks. Exact paths, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub free_paths: Vec<String>,
    /// Whether routes of the proxy may name the rule of their requests, by the key `rule` in
    /// the namespace `creditgate` of their metadata. A name that no rule has is refused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rules_by_route: bool,
    /// What the tokens of language models cost: at most 2000 models. A model is looked up by
    /// its exact name; then the glob with the most characters spelled out is taken, and among
    /// those the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelDocument>,
    /// At most 1000 rules.
    #[serde(default)]
    pub rules: Vec<RuleDocument>,
}

/// What befalls a request that no rule matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// It is refused.
    Deny,
    /// It passes and costs nothing.
    Free,
    /// It costs so much, charged on success.
    Price(Price),
}

/// What the requests to one path, or to a family of paths, cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RuleDocument {
    /// Names the rule in logs, metrics and usage: 1 to 64 of letters, digits, `_`, `-`, `.`.
    /// `default` is taken.
    pub id: String,
    /// Methods it is for; any, if empty. `GET` is also for `HEAD`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Paths it is for.
    pub path: PathPattern,
    /// What else must hold for the rule to be taken.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub conditions: Option<ConditionsDocument>,
    /// The price of one request, at least 0. May be left out where meters or tokens are
    /// priced; it is 0 then.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub price: Option<Price>,
    /// What is measured and priced besides: at most 16 meters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meters: Vec<MeterDocument>,
    /// Charges the tokens that the answer says it used, at the prices of the card's models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokensDocument>,
    /// What must be sure when a request is admitted; `strict` if absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub promise: Promise,
    /// What becomes of an answer when the credit is used up; for the promise `metered` only.
    /// `end` if absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_empty: OnEmpty,
    /// How much the tokens of an answer are taken to be before it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<EstimateDocument>,
    /// No request costs less, before the customer's discount.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub minimum: Option<Price>,
    /// No request costs more.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Price"))]
    pub maximum: Option<Price>,
    /// How the whole cost, and nothing before it, is rounded to the currency's digits; `up` if
    /// absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rounding: Rounding,
    /// Whether a failure of the upstream is charged too.
    #[serde(default)]
    pub charge: Charge,
    /// What is charged by how a request ended: at most 16, the first that fits is taken. If
    /// none fits, `charge` decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settle: Vec<SettleDocument>,
    /// Whether the rule refuses, only watches, or rests.
    #[serde(default)]
    pub mode: Mode,
    /// What befalls a request that can't be decided because the control plane does not answer,
    /// unless the customer says otherwise; if absent, what the filter's configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_unavailable: Option<OnUnavailable>,
}

impl RuleDocument {
    /// A rule that says nothing yet but whom it is for. It needs a price, meters or tokens.
    #[must_use]
    pub fn new(id: impl Into<String>, path: PathPattern) -> Self {
        Self {
            id: id.into(),
            methods: Vec::new(),
            path,
            conditions: None,
            price: None,
            meters: Vec::new(),
            tokens: None,
            promise: Promise::default(),
            on_empty: OnEmpty::default(),
            estimate: None,
            minimum: None,
            maximum: None,
            rounding: Rounding::default(),
            charge: Charge::default(),
            settle: Vec::new(),
            mode: Mode::default(),
            on_unavailable: None,
        }
    }
}

/// Reads a field that may be left out, but not be null: it would be unclear what that costs.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// For `skip_serializing_if`.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Which paths a rule is for. Matched without the query, letter case and all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PathPattern {
    /// This path alone. A slash at the end makes no difference.
    Exact(String),
    /// This path and all below it: `/v1` is for `/v1` and `/v1/x`, not for `/v12`.
    Prefix(String),
    /// A path some of whose segments may be anything: `/v1/items/{id}`.
    Template(String),
    /// A gRPC service, or one method of it.
    Grpc(GrpcPath),
}

/// The path of gRPC calls: `/package.Service/Method`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GrpcPath {
    /// The service with its package: `package.Service`.
    pub service: String,
    /// The method; if absent, all of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

/// When the price is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Charge {
    /// Not if the upstream failed: 5xx, reset, or no response.
    #[default]
    OnSuccess,
    /// Once the request was admitted.
    Always,
}

/// How much a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It charges, and refuses who can't pay.
    #[default]
    Enforce,
    /// It moves no money; what it would have refused is counted and logged.
    Shadow,
    /// Its requests pass as if free.
    Off,
}

impl RateCardDocument {
    /// Reads a document. It is well-formed then; whether it makes sense, `compile` says.
    ///
    /// # Errors
    /// The first fault, with the place it was found at.
    pub fn from_json(json: &[u8]) -> Result<Self, RateCardError> {
        let mut json = serde_json::Deserializer::from_slice(json);
        let document: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let pointer = pointer_of(error.path());
            RateCardError::new(pointer, "rate_card_invalid", error.inner().to_string())
        })?;
        json.end()
            .map_err(|error| RateCardError::new("", "rate_card_invalid", error.to_string()))?;
        Ok(document)
    }
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    use std::fmt::Write;

    let mut pointer = String::new();
    for segment in path.iter() {
        // Writing to a string can't fail.
        let _ = match segment {
            Segment::Seq { index } => write!(pointer, "/{index}"),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                write!(pointer, "/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            Segment::Unknown => write!(pointer, "/?"),
        };
    }
    pointer
}
