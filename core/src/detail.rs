//! Usage detail: what was used, summed up by whom, for what, and how it was settled.
//!
//! Detail explains what was spent and moves no money: the counters of leases do that. A worker
//! gathers it in memory, in a bounded number of rows, and sends it as a numbered [batch]; what
//! finds no row of its own is added to the account's row for [`OTHER`] things, so that costs
//! still add up.
//!
//! [batch]: crate::protocol::UsageRequest

mod counts;
mod gathered;
mod units;

pub use counts::Counts;
pub use gathered::{Added, Gathered};
pub use units::{Counted, METER_NAME_BYTES_MAX, Units};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::amount::Amount;
use crate::id::AccountId;
use crate::key::CredentialHash;
use crate::rate_card::RULE_ID_LENGTH_MAX;
use crate::usage::MODEL_NAME_BYTES_MAX;

/// Stands for rules, and for models, that are not told apart. It has a space, which neither
/// the id of a rule nor the name of a model can have.
pub const OTHER: &str = "all other";

/// What a charge goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettledBy {
    /// The rule's price, which is fixed.
    Price,
    /// What was measured, and what the answer says it used.
    Usage,
    /// What had passed of an answer that broke off.
    Passed,
    /// What had passed of an answer that the filter ended.
    Ended,
    /// What was reserved: the answer didn't tell.
    Estimate,
    /// The rule's minimum.
    Minimum,
    /// It is released.
    Nothing,
    /// Several of these, in a row for [`OTHER`] things.
    Mixed,
}

impl SettledBy {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Price,
        Self::Usage,
        Self::Passed,
        Self::Ended,
        Self::Estimate,
        Self::Minimum,
        Self::Nothing,
        Self::Mixed,
    ];

    /// The word for it in logs, messages and on the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::Usage => "usage",
            Self::Passed => "passed",
            Self::Ended => "ended",
            Self::Estimate => "estimate",
            Self::Minimum => "minimum",
            Self::Nothing => "nothing",
            Self::Mixed => "mixed",
        }
    }
}

/// The first digit of an HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusClass(u8);

impl StatusClass {
    /// There was no answer.
    pub const NONE: Self = Self(0);
    /// Several classes, in a row for [`OTHER`] things.
    pub const MIXED: Self = Self(6);

    const WORDS: [&'static str; 7] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx", "mixed"];

    /// The class of a status; of 0 and of what is no status, [`Self::NONE`].
    #[must_use]
    pub const fn of(status: u16) -> Self {
        match status {
            100..200 => Self(1),
            200..300 => Self(2),
            300..400 => Self(3),
            400..500 => Self(4),
            500..600 => Self(5),
            _ => Self::NONE,
        }
    }

    /// The class of this word: `none`, `1xx` to `5xx`, `mixed`.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        let place = Self::WORDS.iter().position(|known| *known == word)?;
        u8::try_from(place).ok().map(Self)
    }

    /// The word for it in messages and on the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS
            .get(usize::from(self.0))
            .copied()
            .unwrap_or("none")
    }
}

impl Serialize for StatusClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for StatusClass {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Self::named(&word).ok_or_else(|| de::Error::custom("no class of statuses"))
    }
}

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Heading<'a> {
    /// Which account paid.
    pub account: AccountId,
    /// SHA-256 of the credential; none in a row for [`OTHER`] things.
    pub credential: Option<CredentialHash>,
    /// The id of the rule.
    pub rule: &'a str,
    /// The version of the rate card; 0 in a row for [`OTHER`] things.
    pub card_version: u64,
    /// The model that answered, or was asked for; none if the rule is not about models.
    pub model: Option<&'a str>,
    /// The class of the answer's status.
    pub status: StatusClass,
    /// What the charge went by.
    pub settled_by: SettledBy,
}

impl Heading<'_> {
    /// The heading of the account's row for what is not told apart.
    #[must_use]
    pub const fn other(account: AccountId) -> Self {
        Self {
            account,
            credential: None,
            rule: OTHER,
            card_version: 0,
            model: None,
            status: StatusClass::MIXED,
            settled_by: SettledBy::Mixed,
        }
    }
}

/// Requests that are alike, summed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Which account paid.
    pub account: AccountId,
    /// SHA-256 of the credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialHash>,
    /// The id of the rule, or [`OTHER`].
    pub rule: String,
    /// The version of the rate card.
    #[serde(with = "crate::protocol::text_u64")]
    pub card_version: u64,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The class of the answer's status.
    pub status: StatusClass,
    /// What the charge went by.
    pub settled_by: SettledBy,
    /// What was charged for them, in smallest units; never negative.
    pub cost: Amount,
    /// What was counted of them.
    pub counts: Counts,
    /// Their units by meter; none in a row for [`OTHER`] things.
    #[serde(default, rename = "meters", skip_serializing_if = "Units::is_empty")]
    pub units: Units,
}

impl Row {
    fn new(heading: &Heading<'_>) -> Self {
        Self {
            account: heading.account,
            credential: heading.credential,
            rule: heading.rule.to_owned(),
            card_version: heading.card_version,
            model: heading.model.map(str::to_owned),
            status: heading.status,
            settled_by: heading.settled_by,
            cost: Amount::ZERO,
            counts: Counts::default(),
            units: Units::new(),
        }
    }

    /// The row of one request.
    #[must_use]
    pub fn of(heading: &Heading<'_>, cost: Amount, counted: &Counted<'_>) -> Self {
        let mut row = Self::new(heading);
        row.add(cost, counted);
        row
    }

    /// What it is about.
    #[must_use]
    pub fn heading(&self) -> Heading<'_> {
        Heading {
            account: self.account,
            credential: self.credential,
            rule: &self.rule,
            card_version: self.card_version,
            model: self.model.as_deref(),
            status: self.status,
            settled_by: self.settled_by,
        }
    }

    /// What was counted of its requests.
    #[must_use]
    pub const fn counted(&self) -> Counted<'_> {
        Counted::of_row(self.counts, &self.units)
    }

    /// Whether a filter can have made it: names of bounded length, and nothing negative.
    #[must_use]
    pub fn is_sane(&self) -> bool {
        let rule = (1..=RULE_ID_LENGTH_MAX).contains(&self.rule.len());
        let model = self.model.as_ref().is_none_or(|model| {
            (1..=MODEL_NAME_BYTES_MAX).contains(&model.len()) && model.is_ascii()
        });
        rule && self.rule.is_ascii() && model && self.units.are_sane() && !self.cost.is_negative()
    }

    fn add(&mut self, cost: Amount, counted: &Counted<'_>) {
        self.cost = self.cost.saturating_add(cost);
        self.counts.add(&counted.counts);
        if self.rule != OTHER {
            self.units.add_counted(counted);
        }
    }
}
