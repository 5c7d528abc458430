//! Versions of rate cards: which is in force, which is to come, which is over.
//!
//! A version is in force from its instant on, until another's instant comes. That is a matter of
//! the clock alone: whoever asks which card is in force says when. [`pass`] writes down what has
//! become so, and gives the configuration a new version, by which gateways hear of it. Until then
//! a gateway prices by what it has; what was admitted by a version settles by it.

use creditgate_core::amount::{Currency, Scale};
use creditgate_core::rate_card::RateCardDocument;
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;
use crate::registry::Registry;
use crate::time::Timestamp;

/// Most versions of a rate card that are to come.
pub const SCHEDULED_MAX: usize = 16;

/// A version of a rate card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateCardVersion {
    /// All but the rules.
    pub head: RateCardHead,
    /// The rules.
    pub document: RateCardDocument,
}

/// What is known of a version of a rate card, but for its rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateCardHead {
    /// The card's name.
    pub name: String,
    /// Grows by one with each version.
    pub version: u64,
    /// How it stands.
    pub state: RateCardState,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is in force.
    pub effective_at: Timestamp,
    /// When it was superseded or cancelled.
    pub ended_at: Option<Timestamp>,
}

/// How a version of a rate card stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateCardState {
    /// It is to come.
    Scheduled,
    /// It is in force.
    Active,
    /// Another came after it.
    Superseded,
    /// It never came to be in force.
    Cancelled,
}

impl RateCardVersion {
    /// Whether it is in force, or to come.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(
            self.head.state,
            RateCardState::Scheduled | RateCardState::Active
        )
    }

    const fn is_scheduled(&self) -> bool {
        matches!(self.head.state, RateCardState::Scheduled)
    }

    /// Of two that could be in force, the greater is.
    const fn precedence(&self) -> (Timestamp, u64) {
        (self.head.effective_at, self.head.version)
    }

    fn end(&mut self, state: RateCardState, at: Timestamp) {
        self.head.state = state;
        self.head.ended_at = Some(at);
    }
}

impl Registry {
    /// The version of a rate card that is in force at an instant. One that came into force stays
    /// so, also if the clock is put back.
    #[must_use]
    pub fn rate_card(&self, name: &str, at: Timestamp) -> Option<&RateCardVersion> {
        let versions = self.versions_of(name);
        let began = versions.filter(|card| match card.head.state {
            RateCardState::Active => true,
            RateCardState::Scheduled => card.head.effective_at <= at,
            RateCardState::Superseded | RateCardState::Cancelled => false,
        });
        began.max_by_key(|card| card.precedence())
    }

    /// The rate cards that are in force at an instant.
    pub fn rate_cards_at(&self, at: Timestamp) -> impl Iterator<Item = &RateCardVersion> {
        self.rate_cards.iter().filter(move |card| {
            let in_force = self.rate_card(&card.head.name, at);
            in_force.is_some_and(|in_force| in_force.head.version == card.head.version)
        })
    }

    /// What the prices of a rate card are in, in force or not.
    #[must_use]
    pub fn rate_card_currency(&self, name: &str) -> Option<Currency> {
        let known = self.versions_of(name).next();
        known.map(|card| card.document.currency)
    }

    /// When the next version of a rate card comes, or should have come.
    #[must_use]
    pub fn next_rate_card_at(&self) -> Option<Timestamp> {
        let scheduled = self.rate_cards.iter().filter(|card| card.is_scheduled());
        scheduled.map(|card| card.head.effective_at).min()
    }

    fn versions_of(&self, name: &str) -> impl Iterator<Item = &RateCardVersion> {
        self.rate_cards
            .iter()
            .filter(move |card| card.head.name == name)
    }
}

/// Makes a version of a rate card that is in force from now on, or from an instant to come.
///
/// # Errors
/// [`Refusal::Invalid`] `rate_card_scale`, `rate_card_currency`; [`Refusal::Conflict`]
/// `effective_at_past`, `rate_cards_scheduled_max`.
pub fn put(
    registry: &mut Registry,
    now: Timestamp,
    name: &str,
    mut document: RateCardDocument,
    effective_at: Option<Timestamp>,
) -> Result<RateCardVersion, Refusal> {
    pass(registry, now);
    // Gateways count prices in the digits of the card, so it says them.
    document.scale = Some(check(registry, name, &document)?);
    let newest = registry.versions_of(name).map(|card| card.head.version);
    let version = newest.max().unwrap_or_default().saturating_add(1);
    let (state, effective_at) = match effective_at {
        Some(at) => (RateCardState::Scheduled, to_come(registry, now, name, at)?),
        None => (RateCardState::Active, now),
    };
    let card = RateCardVersion {
        head: RateCardHead {
            name: name.to_owned(),
            version,
            state,
            created_at: now,
            effective_at,
            ended_at: None,
        },
        document,
    };
    registry.rate_cards.push(card.clone());
    if state == RateCardState::Active {
        supersede(registry, &card.head);
        registry.config_version = registry.config_version.saturating_add(1);
    }
    Ok(card)
}

/// Cancels a version that is to come.
///
/// # Errors
/// [`Refusal::NotFound`]; [`Refusal::Conflict`] `rate_card_not_scheduled`.
pub fn cancel(
    registry: &mut Registry,
    now: Timestamp,
    name: &str,
    version: u64,
) -> Result<RateCardHead, Refusal> {
    pass(registry, now);
    if registry.versions_of(name).next().is_none() {
        return Err(Refusal::NotFound {
            what: "rate card",
            id: name.to_owned(),
        });
    }
    let mut versions = registry.rate_cards.iter_mut();
    let found = versions.find(|card| card.head.name == name && card.head.version == version);
    let Some(card) = found.filter(|card| card.is_scheduled()) else {
        return Err(Refusal::Conflict {
            code: "rate_card_not_scheduled",
            problem: format!("version {version} of rate card {name:?} is not to come"),
        });
    };
    card.end(RateCardState::Cancelled, now);
    Ok(card.head.clone())
}

/// Brings into force what has become due, each version in its turn.
pub fn pass(registry: &mut Registry, now: Timestamp) {
    let due = registry.rate_cards.iter();
    let mut due: Vec<RateCardHead> = due
        .filter(|card| card.is_scheduled() && card.head.effective_at <= now)
        .map(|card| card.head.clone())
        .collect();
    if due.is_empty() {
        return;
    }
    due.sort_by_key(|head| (head.effective_at, head.version));
    for head in due {
        let mut versions = registry.rate_cards.iter_mut();
        let same = |card: &&mut RateCardVersion| {
            card.head.name == head.name && card.head.version == head.version
        };
        if let Some(card) = versions.find(same) {
            card.head.state = RateCardState::Active;
        }
        supersede(registry, &head);
    }
    registry.config_version = registry.config_version.saturating_add(1);
}

/// What was in force before a version came is over.
fn supersede(registry: &mut Registry, by: &RateCardHead) {
    let versions = registry.rate_cards.iter_mut();
    let others = versions.filter(|card| {
        let is_other = card.head.name == by.name && card.head.version != by.version;
        is_other && card.head.state == RateCardState::Active
    });
    for other in others {
        other.end(RateCardState::Superseded, by.effective_at);
    }
}

fn check(registry: &Registry, name: &str, document: &RateCardDocument) -> Result<Scale, Refusal> {
    let scale = registry.scale(&document.currency);
    if document.scale.is_some_and(|chosen| chosen != scale) {
        let problem = format!(
            "{} has {} digits after the point; leave the scale out",
            document.currency,
            scale.digits()
        );
        return Err(Refusal::Invalid {
            field: "/scale",
            code: "rate_card_scale",
            problem,
        });
    }
    let known = registry.rate_card_currency(name);
    if known.is_some_and(|known| known != document.currency) {
        return Err(Refusal::Invalid {
            field: "/currency",
            code: "rate_card_currency",
            problem: "the currency of a rate card can't change; make another card".to_owned(),
        });
    }
    Ok(scale)
}

fn to_come(
    registry: &Registry,
    now: Timestamp,
    name: &str,
    at: Timestamp,
) -> Result<Timestamp, Refusal> {
    let conflict = |code, problem| Err(Refusal::Conflict { code, problem });
    if at <= now {
        let problem = format!("{at} is not to come; leave effective_at out for a version from now");
        return conflict("effective_at_past", problem);
    }
    let versions = registry.versions_of(name);
    if versions.filter(|card| card.is_scheduled()).count() >= SCHEDULED_MAX {
        let problem = format!("{SCHEDULED_MAX} versions of the card are to come; cancel one first");
        return conflict("rate_cards_scheduled_max", problem);
    }
    Ok(at)
}
