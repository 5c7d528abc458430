//! What belongs to the installation rather than to a customer: settings, currencies,
//! gateways and their keys, rate cards, instances. Small, and read by every decision.

use creditgate_core::amount::{Amount, Currency, Scale};
use creditgate_core::key::CredentialHash;
use creditgate_core::protocol::{Barred, GatewayConfig, Timing};
use serde::{Deserialize, Serialize};

use crate::alert::AlertSettings;
use crate::bonus::BonusSlab;
use crate::grant::Grant;
use crate::id::{GatewayId, GrantId, InstanceId, KeyId, PlanId};
use crate::lease::ResolutionKind;
use crate::plan::Plan;
use crate::rate_card::RateCardVersion;
use crate::time::Timestamp;
use crate::webhook::Endpoint;

/// Settings of the installation. Durations in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Durations that gateways share.
    #[serde(flatten)]
    pub timing: Timing,
    /// An instance that did not speak this long is silent: its leases are quarantined.
    pub silent_after_ms: u64,
    /// What becomes of quarantined credit without an operator's word.
    pub quarantine_policy: QuarantinePolicy,
    /// When the policy acts.
    pub quarantine_policy_after_ms: u64,
    /// How many seconds of use a lease is filled for.
    pub refill_seconds: u32,
    /// How far a lease's use may exceed what was lent before its instance is frozen.
    pub overrun_max: Amount,
    /// How much an instance may spend of each account while the control plane does not answer,
    /// beyond what it was lent.
    pub offline_allowance: Amount,
    /// The largest allowance that was ever in force: a gateway that is cut off may not have
    /// heard of a smaller one.
    pub offline_allowance_ever: Amount,
    /// Customers that have less left are told so in responses; zero for nobody.
    pub warn_below: Amount,
    /// How long a gateway may believe that a key is unknown.
    pub unknown_key_ttl_ms: u64,
    /// Where customers buy credit.
    pub top_up_url: Option<String>,
    /// Purchases by invoice can be spent at once: payment is authorised before.
    pub auto_complete_purchased_credit_transaction: bool,
    /// A lot that is not paid for so long is voided.
    pub unpaid_lot_ttl_ms: u64,
    /// Alerts of wallets that have none of their own.
    pub default_alerts: Option<AlertSettings>,
    /// What comes on top of purchases, by rising size.
    pub bonus_slabs: Vec<BonusSlab>,
    /// Between two auto top-ups of a wallet, unless it says otherwise.
    pub auto_topup_cooldown_ms: u64,
    /// Most auto top-ups of a wallet in a day, unless it says otherwise.
    pub auto_topups_per_day_max: u32,
    /// Most auto top-ups of a wallet in a month, unless it says otherwise.
    pub auto_topups_per_month_max: u32,
}

/// What becomes of quarantined credit without an operator's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuarantinePolicy {
    /// It stays aside until someone decides.
    Hold,
    /// It goes back to the customer; later reports of its use are the operator's loss.
    Release,
    /// It is charged to the customer.
    Consume,
}

impl QuarantinePolicy {
    /// What the policy does, if anything.
    #[must_use]
    pub const fn resolution(self) -> Option<ResolutionKind> {
        match self {
            Self::Hold => None,
            Self::Release => Some(ResolutionKind::Release),
            Self::Consume => Some(ResolutionKind::Consume),
        }
    }
}

impl Settings {
    /// How far the use of a lease may exceed what was lent: whoever reports more is broken.
    #[must_use]
    pub fn overrun_bound(&self) -> Amount {
        self.overrun_max.saturating_add(self.offline_allowance_ever)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timing: Timing::default(),
            silent_after_ms: 120_000,
            quarantine_policy: QuarantinePolicy::Release,
            quarantine_policy_after_ms: 24 * 60 * 60 * 1_000,
            refill_seconds: 3,
            overrun_max: Amount::ZERO,
            offline_allowance: Amount::ZERO,
            offline_allowance_ever: Amount::ZERO,
            warn_below: Amount::ZERO,
            unknown_key_ttl_ms: 2_000,
            top_up_url: None,
            auto_complete_purchased_credit_transaction: false,
            unpaid_lot_ttl_ms: 7 * 24 * 60 * 60 * 1_000,
            default_alerts: None,
            bonus_slabs: Vec::new(),
            auto_topup_cooldown_ms: 60_000,
            auto_topups_per_day_max: 10,
            auto_topups_per_month_max: 100,
        }
    }
}

/// A unit that value is counted in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrencyDefinition {
    /// Its code.
    pub code: Currency,
    /// Digits after the point; fixed once made.
    pub scale: Scale,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A named installation of the filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gateway {
    /// The id.
    pub id: GatewayId,
    /// The operator's name; unique.
    pub external_id: String,
    /// For people.
    pub name: Option<String>,
    /// The name of its rate card.
    pub rate_card: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A key of a gateway. Several may be valid at once, for rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayKey {
    /// The id.
    pub id: KeyId,
    /// Whose.
    pub gateway: GatewayId,
    /// SHA-256 of the key.
    pub hash: CredentialHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// An operator's key for the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorKey {
    /// The id.
    pub id: KeyId,
    /// For people.
    pub name: Option<String>,
    /// What it may do.
    pub role: OperatorRole,
    /// SHA-256 of the key.
    pub hash: CredentialHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// What an operator's key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorRole {
    /// Everything.
    Admin,
    /// Look, and change nothing.
    Read,
}

/// One process of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Drawn by the process.
    pub id: InstanceId,
    /// Of which gateway.
    pub gateway: GatewayId,
    /// Whether it gets credit.
    pub state: InstanceState,
    /// Why, if an operator or a report changed the state.
    pub reason: Option<String>,
    /// When it first spoke.
    pub first_seen_at: Timestamp,
}

/// Whether an instance gets credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Yes.
    Active,
    /// No: an operator drains it.
    Draining,
    /// No: it reported counters that contradict one another.
    Frozen,
}

impl InstanceState {
    /// As gateways are told.
    #[must_use]
    pub const fn barred(self) -> Option<Barred> {
        match self {
            Self::Active => None,
            Self::Draining => Some(Barred::Draining),
            Self::Frozen => Some(Barred::Frozen),
        }
    }
}

/// Everything about the installation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Registry {
    /// Drawn at random when the database was made or restored.
    pub epoch: u64,
    /// Grows whenever gateways must reload rate card or timing.
    pub config_version: u64,
    /// Settings.
    pub settings: Settings,
    /// Currencies in use or defined.
    pub currencies: Vec<CurrencyDefinition>,
    /// Gateways.
    pub gateways: Vec<Gateway>,
    /// Their keys, revoked ones too.
    pub gateway_keys: Vec<GatewayKey>,
    /// Operators' keys, revoked ones too.
    pub operator_keys: Vec<OperatorKey>,
    /// Versions of rate cards that are in force or to come, and the newest of each card.
    pub rate_cards: Vec<RateCardVersion>,
    /// Instances.
    pub instances: Vec<Instance>,
    /// Plans.
    pub plans: Vec<Plan>,
    /// The plans' credit grants, archived ones too, by rising id.
    pub plan_grants: Vec<Grant>,
    /// Where webhooks are sent.
    pub endpoints: Vec<Endpoint>,
}

impl Registry {
    /// The gateway whose valid key has this hash.
    #[must_use]
    pub fn gateway_by_key(&self, hash: &CredentialHash) -> Option<&Gateway> {
        let key = self
            .gateway_keys
            .iter()
            .find(|key| key.hash == *hash && key.revoked_at.is_none())?;
        self.gateways
            .iter()
            .find(|gateway| gateway.id == key.gateway)
    }

    /// The valid operator's key of this hash.
    #[must_use]
    pub fn operator_key(&self, hash: &CredentialHash) -> Option<&OperatorKey> {
        self.operator_keys
            .iter()
            .find(|key| key.hash == *hash && key.revoked_at.is_none())
    }

    /// A plan by its id or the operator's name.
    #[must_use]
    pub fn plan_named(&self, named: &str) -> Option<&Plan> {
        match named.parse::<PlanId>() {
            Ok(id) => self.plan(id),
            Err(_) => self.plans.iter().find(|plan| plan.external_id == named),
        }
    }

    /// A plan.
    #[must_use]
    pub fn plan(&self, id: PlanId) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.id == id)
    }

    /// A plan's credit grant.
    #[must_use]
    pub fn plan_grant(&self, id: GrantId) -> Option<&Grant> {
        let place = self.plan_grants.binary_search_by_key(&id, |grant| grant.id);
        place.ok().and_then(|place| self.plan_grants.get(place))
    }

    /// An instance.
    #[must_use]
    pub fn instance(&self, id: InstanceId) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.id == id)
    }

    /// The digits of a currency: as defined, or the default.
    #[must_use]
    pub fn scale(&self, currency: &Currency) -> Scale {
        self.currencies
            .iter()
            .find(|defined| defined.code == *currency)
            .map_or_else(
                || creditgate_core::amount::default_scale(currency),
                |defined| defined.scale,
            )
    }

    /// What a gateway needs to know at an instant, if it has a rate card then.
    #[must_use]
    pub fn gateway_config(&self, gateway: &Gateway, at: Timestamp) -> Option<GatewayConfig> {
        let card = self.rate_card(&gateway.rate_card, at)?;
        Some(GatewayConfig {
            version: self.config_version,
            rate_card_name: card.head.name.clone(),
            rate_card_version: card.head.version,
            scale: self.scale(&card.document.currency),
            rate_card: card.document.clone(),
            top_up_url: self.settings.top_up_url.clone(),
            timing: self.settings.timing,
            offline_allowance: self.settings.offline_allowance,
            overrun_max: self.settings.overrun_max,
            warn_below: self.settings.warn_below,
        })
    }
}
