//! What of usage detail is asked for, and how it is summed up.

use core::fmt;

use creditgate_core::amount::{Currency, Scale};
use creditgate_core::detail::{Counts, OTHER, SettledBy, Units};
use creditgate_ledger::Timestamp;
use creditgate_ledger::id::{CustomerId, KeyId};
use creditgate_ledger::usage::{Day, UsageKey};

/// What rows are put together by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The customer.
    Customer,
    /// The day.
    Day,
    /// The rule.
    Rule,
    /// The model.
    Model,
    /// The consumer key.
    Key,
    /// The class of the answers' statuses.
    StatusClass,
    /// What the charge went by.
    SettledBy,
    /// The rate card and its version.
    RateCardVersion,
}

impl Dimension {
    /// All of them, in the order in which groups are sorted.
    pub const ALL: [Self; 8] = [
        Self::Customer,
        Self::Day,
        Self::Rule,
        Self::Model,
        Self::Key,
        Self::StatusClass,
        Self::SettledBy,
        Self::RateCardVersion,
    ];

    /// Its name on the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Day => "day",
            Self::Rule => "rule",
            Self::Model => "model",
            Self::Key => "key",
            Self::StatusClass => "status_class",
            Self::SettledBy => "settled_by",
            Self::RateCardVersion => "rate_card_version",
        }
    }

    /// The values by which a row belongs to a group.
    pub(crate) fn parts(self, key: &UsageKey, customer: CustomerId) -> Vec<Part> {
        let text = |text: &str| Part::Text(text.to_owned());
        match self {
            Self::Customer => vec![Part::Id(customer.0)],
            Self::Day => vec![Part::Number(key.day.0.into())],
            Self::Rule => vec![text(&key.rule)],
            Self::Model => vec![text(key.model.as_deref().unwrap_or_default())],
            Self::Key => vec![key.key.map_or(Part::None, |id| Part::Id(id.0))],
            Self::StatusClass => vec![text(key.status.as_str())],
            Self::SettledBy => vec![text(key.settled_by.as_str())],
            Self::RateCardVersion => vec![
                text(&key.rate_card),
                Part::Number(key.card_version.cast_signed()),
            ],
        }
    }

    /// How many values that are.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::RateCardVersion => 2,
            _ => 1,
        }
    }
}

/// A value that groups are told apart and sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// No id.
    None,
    /// An id.
    Id(u128),
    /// A number.
    Number(i64),
    /// A text; by its bytes.
    Text(String),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("-"),
            Self::Id(id) => write!(f, "{id:032x}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Which rows; what is none does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageFilter {
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// Of this rule.
    pub rule: Option<String>,
    /// Of this model.
    pub model: Option<String>,
    /// Of this consumer key.
    pub key: Option<KeyId>,
    /// Of requests whose charge went by this.
    pub settled_by: Option<SettledBy>,
    /// Of this day and later ones.
    pub from: Day,
    /// Of days before this one.
    pub before: Day,
}

/// Sums of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageQuery {
    /// Of which rows.
    pub filter: UsageFilter,
    /// One sum for each currency and each of these; sorted, each once.
    pub by: Vec<Dimension>,
    /// Groups after this one, which ended the page before.
    pub after: Option<Vec<Part>>,
    /// Most groups.
    pub limit: u32,
}

/// A sum of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageGroup {
    /// What cost counts in.
    pub currency: Currency,
    /// Its digits after the point.
    pub scale: Scale,
    /// The values of the query's dimensions, in their order.
    pub parts: Vec<Part>,
    /// What was charged, in smallest units.
    pub cost: i128,
    /// What was counted.
    pub counts: Counts,
    /// Units by meter: of at most [`METERS_MAX`], the rest under [`OTHER`].
    pub units: Units,
}

/// Most meters that a sum tells apart.
pub const METERS_MAX: usize = 64;

impl UsageGroup {
    /// Adds units of a meter. In the order of their names: which are told apart must not depend
    /// on the storage.
    pub(crate) fn add_units(&mut self, meter: &str, units: u64) {
        let is_apart = self.units.len() < METERS_MAX;
        let name = if is_apart { meter } else { OTHER };
        self.units.add(name.to_owned(), units);
    }

    /// The group's place in the order of groups.
    #[must_use]
    pub fn place(&self) -> Vec<Part> {
        let currency = Part::Text(self.currency.as_str().to_owned());
        let scale = Part::Number(self.scale.digits().into());
        [currency, scale]
            .into_iter()
            .chain(self.parts.iter().cloned())
            .collect()
    }
}

/// A part of the groups, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsagePage {
    /// The groups.
    pub groups: Vec<UsageGroup>,
    /// Whether there are more.
    pub has_more: bool,
}

impl UsagePage {
    /// Makes a page of one group more than it may have.
    pub(crate) fn cut(mut groups: Vec<UsageGroup>, limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = groups.len() > limit;
        groups.truncate(limit);
        Self { groups, has_more }
    }
}

/// What is forgotten of usage detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForgetUsage {
    /// Rows of days before this one, oldest first.
    pub rows_before: Day,
    /// Sources that told nothing since this instant.
    pub sources_before: Timestamp,
}
