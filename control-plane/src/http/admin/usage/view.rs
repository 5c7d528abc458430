//! A sum of usage detail, as clients read it.

use std::collections::BTreeMap;

use creditgate_core::detail::Counts;
use creditgate_ledger::id::{CustomerId, KeyId};
use creditgate_ledger::usage::Day;
use serde::Serialize;
use utoipa::ToSchema;

use super::invalid;
use crate::http::money::wide_decimal;
use crate::problem::Problem;
use crate::storage::{Dimension, Part, UsageGroup};

/// What `group_by` names: each once, in the order in which groups are sorted.
pub(super) fn dimensions(text: Option<&str>) -> Result<Vec<Dimension>, Problem> {
    let mut named = Vec::new();
    for word in text.into_iter().flat_map(|text| text.split(',')) {
        let known = Dimension::ALL
            .into_iter()
            .find(|known| known.as_str() == word);
        let known = known.ok_or_else(|| {
            let words = Dimension::ALL.map(Dimension::as_str).join(", ");
            invalid("group_by", format!("{word:?} is none of {words}"))
        })?;
        if named.contains(&known) {
            return Err(invalid("group_by", format!("{word} is there twice")));
        }
        named.push(known);
    }
    named.sort_unstable();
    Ok(named)
}

/// A sum of usage detail. Of `customer_id` to `rate_card_version` it has those that `group_by`
/// names.
#[derive(Serialize, ToSchema, Default)]
#[schema(as = Usage)]
pub(super) struct UsageView {
    /// Whose.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<String>,
    /// On which day of UTC it was booked, `2026-01-31`.
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    /// The id of the rule; `all other` for what gateways did not tell apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// The model that answered, else the one that the rule fixes or that was asked for; null for rules that are not about models;
    /// `all other` beyond 256 models of an account and day.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Option<String>>,
    /// The consumer key; null if the customer was known without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<Option<String>>,
    /// The first digit of the answers' statuses: `2xx`, `4xx`; `none` if there was no answer,
    /// `mixed` for what gateways did not tell apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_class: Option<String>,
    /// What the charges went by: `price`, `usage`, `passed`, `ended`, `estimate`, `minimum`,
    /// `nothing`; `mixed` for what gateways did not tell apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_by: Option<String>,
    /// The name of the rate card.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_card: Option<String>,
    /// Its version; 0 for what gateways did not tell apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_card_version: Option<i64>,
    /// What cost counts in.
    currency: String,
    /// What was charged.
    cost: String,
    /// How many requests were settled, released ones too.
    requests: u64,
    /// Bytes of their bodies, where the price depends on what passes.
    request_bytes: u64,
    /// Bytes of their answers' bodies, where the price depends on what passes.
    response_bytes: u64,
    /// How long they took, where the price depends on it, in milliseconds.
    duration_ms: u64,
    /// What headers, trailers and filter state told that meters read, of all meters together.
    units: u64,
    /// The same by meter: `request_header:`, `response_header:`, `response_trailer:` or
    /// `filter_state:` and the name there. `all other` beyond 64 meters. What gateways did not
    /// tell apart is in `units` alone.
    meters: BTreeMap<String, u64>,
    /// Tokens, as answers told them.
    tokens: TokensView,
}

/// Tokens by kind. A token is of one kind.
#[derive(Serialize, ToSchema, Default)]
#[schema(as = UsageTokens)]
struct TokensView {
    /// Read, and of none of the other kinds that are read.
    input: u64,
    /// Read from a prompt cache.
    cached_input: u64,
    /// Read, and written to a prompt cache.
    cache_write: u64,
    /// Read, and written to a prompt cache that is kept for an hour.
    cache_write_1h: u64,
    /// Written, and of none of the other kinds that are written.
    output: u64,
    /// Written by the model to itself.
    reasoning: u64,
    /// Sound that was read.
    audio_input: u64,
    /// Sound that was made.
    audio_output: u64,
    /// Images that were read.
    image: u64,
    /// Images that were made.
    image_output: u64,
}

impl UsageView {
    pub(super) fn of(group: &UsageGroup, by: &[Dimension]) -> Self {
        let mut view = Self::counted(&group.counts);
        view.currency = group.currency.to_string();
        view.cost = wide_decimal(group.cost, group.scale);
        let meters = group.units.iter();
        view.meters = meters
            .map(|(meter, units)| (meter.to_owned(), units))
            .collect();
        let mut parts = group.parts.iter();
        for dimension in by {
            let Some(part) = parts.next() else { break };
            match dimension {
                Dimension::Customer => view.customer_id = id(part, CustomerId),
                Dimension::Day => view.day = number(part).map(|day| day_of(day).to_string()),
                Dimension::Rule => view.rule = text(part),
                Dimension::Model => view.model = Some(text(part).filter(|name| !name.is_empty())),
                Dimension::Key => view.key_id = Some(id(part, KeyId)),
                Dimension::SettledBy => view.settled_by = text(part),
                Dimension::StatusClass => view.status_class = text(part),
                Dimension::RateCardVersion => {
                    view.rate_card = text(part);
                    view.rate_card_version = parts.next().and_then(number);
                }
            }
        }
        view
    }

    fn counted(counts: &Counts) -> Self {
        let [
            requests,
            request_bytes,
            response_bytes,
            duration_ms,
            units,
            input,
            cached_input,
            cache_write,
            cache_write_1h,
            output,
            reasoning,
            audio_input,
            audio_output,
            image,
            image_output,
        ] = *counts.get();
        Self {
            requests,
            request_bytes,
            response_bytes,
            duration_ms,
            units,
            tokens: TokensView {
                input,
                cached_input,
                cache_write,
                cache_write_1h,
                output,
                reasoning,
                audio_input,
                audio_output,
                image,
                image_output,
            },
            ..Self::default()
        }
    }
}

fn id<T: ToString>(part: &Part, of: impl FnOnce(u128) -> T) -> Option<String> {
    match part {
        Part::Id(id) => Some(of(*id).to_string()),
        Part::None | Part::Number(_) | Part::Text(_) => None,
    }
}

fn text(part: &Part) -> Option<String> {
    match part {
        Part::Text(text) => Some(text.clone()),
        Part::None | Part::Number(_) | Part::Id(_) => None,
    }
}

const fn number(part: &Part) -> Option<i64> {
    match part {
        Part::Number(number) => Some(*number),
        Part::None | Part::Text(_) | Part::Id(_) => None,
    }
}

fn day_of(number: i64) -> Day {
    Day(i32::try_from(number).unwrap_or_default())
}
