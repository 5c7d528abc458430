//! The terms of a credit grant as clients write them: one flat object, of which some fields
//! belong to others.

use creditgate_ledger::grant::{
    Cadence, GrantCadence, GrantExpiry, NewGrant, NewRollover, PERIODS_MAX, Period,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::command::GrantOwner;
use crate::http::admin::customer;
use crate::http::admin::subscriptions::subscription;
use crate::http::input::{
    CurrencyName, DecimalText, ExternalId, Lower, Metadata, Name, Upper, When,
};
use crate::problem::Problem;

/// The longest a lot may last, in its unit.
const DURATION_MAX: u32 = 10_000;

/// What makes a credit grant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Starter Plan Monthly Grant", "scope": "PLAN", "plan_id": "plan_starter",
    "credit_amount": 50000, "currency": "USD", "cadence": "RECURRING", "period": "monthly",
    "expire_in_days": 30, "priority": 1,
}))]
pub(super) struct CreateCreditGrant {
    /// For people.
    #[schema(value_type = String, max_length = 200)]
    name: Name,
    /// The operator's name, unique; 1 to 128 printable characters.
    #[schema(value_type = Option<String>, max_length = 128)]
    external_id: Option<ExternalId>,
    /// `PLAN`: whoever subscribes to the plan from now on; `SUBSCRIPTION`; `CUSTOMER`.
    #[schema(value_type = String)]
    scope: Upper<Scope>,
    /// The plan of scope `PLAN`: id or external id.
    plan_id: Option<String>,
    /// The subscription of scope `SUBSCRIPTION`: id or external id.
    subscription_id: Option<String>,
    /// The customer of scope `CUSTOMER`: id or external id.
    customer_id: Option<String>,
    /// How much, in credits of the wallet; counted to nine places.
    #[schema(value_type = String)]
    credit_amount: DecimalText,
    /// Of which wallet: the customer's active general one of this currency with the smallest
    /// priority, made if there is none.
    #[schema(value_type = String)]
    currency: CurrencyName,
    /// `ONETIME`: when the subscription, or the grant, begins; `RECURRING`: then, and whenever
    /// a period has passed.
    #[schema(value_type = String)]
    cadence: Upper<CadenceWord>,
    /// Of `RECURRING`: `DAILY`, `WEEKLY`, `MONTHLY`, `QUARTERLY`, `HALF_YEARLY` or `ANNUAL`, by
    /// the clocks of the customer's zone.
    #[schema(value_type = Option<String>)]
    period: Option<Upper<Period>>,
    /// How many of it lie between two applications, 1 to 1,000; 1 if absent.
    #[schema(minimum = 1, maximum = 1000)]
    period_count: Option<u32>,
    /// Recurrences are counted from here; if absent from the start of the subscription, or
    /// from when the grant is made. If it has passed, the period that runs is applied at once.
    #[schema(value_type = Option<String>, format = DateTime)]
    anchor: Option<When>,
    /// Until when a lot can be spent: `NEVER`, `DURATION`, or `BILLING_CYCLE` (the end of the
    /// subscription's cycle in which it was made); never if nothing is said.
    #[schema(value_type = Option<String>)]
    expiration_type: Option<Upper<ExpirationType>>,
    /// Of `DURATION`: how long from the application, 1 to 10,000.
    #[schema(minimum = 1, maximum = 10000)]
    expiration_duration: Option<u32>,
    /// `DAY`, `WEEK`, `MONTH` or `YEAR`; days if absent.
    #[schema(value_type = Option<String>)]
    expiration_duration_unit: Option<Upper<DurationUnit>>,
    /// The same as `DURATION` of so many days.
    #[schema(minimum = 1, maximum = 10000)]
    expire_in_days: Option<u32>,
    /// What is carried on to the next application of `RECURRING`.
    rollover: Option<RolloverTerms>,
    /// Of its lots: smaller burns first; none burns last.
    priority: Option<i32>,
    /// What kind of credit its lots are: `granted` or `promotional`; granted if absent.
    #[schema(value_type = Option<String>)]
    credit_kind: Option<Lower<CreditKind>>,
    /// The operator's own data: at most 50 entries, keys to 40 and values to 500 characters.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
}

/// What is carried on: min(maximum, max(what remains, minimum)), in credits. Credit must not
/// expire before the next application.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RolloverTerms {
    /// At least; 0 if absent. If less remains, the rest is given anew.
    #[schema(value_type = Option<String>)]
    minimum: Option<DecimalText>,
    /// At most. What is above expires.
    #[schema(value_type = String)]
    maximum: DecimalText,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Scope {
    Plan,
    Subscription,
    Customer,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum CadenceWord {
    Onetime,
    Recurring,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ExpirationType {
    Never,
    Duration,
    BillingCycle,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum CreditKind {
    Granted,
    Promotional,
}

/// What a duration is counted in.
#[derive(Deserialize, Serialize, Clone, Copy)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum DurationUnit {
    Day,
    Week,
    Month,
    Quarter,
    HalfYear,
    Year,
}

impl DurationUnit {
    pub(super) const fn of(period: Period) -> Self {
        match period {
            Period::Daily => Self::Day,
            Period::Weekly => Self::Week,
            Period::Monthly => Self::Month,
            Period::Quarterly => Self::Quarter,
            Period::HalfYearly => Self::HalfYear,
            Period::Annual => Self::Year,
        }
    }

    const fn period(self) -> Period {
        match self {
            Self::Day => Period::Daily,
            Self::Week => Period::Weekly,
            Self::Month => Period::Monthly,
            Self::Quarter => Period::Quarterly,
            Self::HalfYear => Period::HalfYearly,
            Self::Year => Period::Annual,
        }
    }
}

impl CreateCreditGrant {
    /// What it asks for, if its fields go together.
    pub(super) fn read(self) -> Result<(GrantOwner, NewGrant), Problem> {
        let owner = self.owner()?;
        let (cadence, expiry) = (self.cadence()?, self.expiry()?);
        let rollover = self.rollover.map(|rollover| NewRollover {
            minimum: rollover.minimum.map(|text| text.0),
            maximum: rollover.maximum.0,
        });
        let new = NewGrant {
            external_id: self.external_id.map(|name| name.0),
            name: self.name.0,
            credits: self.credit_amount.0,
            currency: self.currency.0,
            cadence,
            anchor: self.anchor.map(|at| at.0),
            expiry,
            rollover,
            priority: self.priority,
            is_promotional: matches!(self.credit_kind, Some(Lower(CreditKind::Promotional))),
            metadata: self.metadata.unwrap_or_default().0,
        };
        Ok((owner, new))
    }

    fn owner(&self) -> Result<GrantOwner, Problem> {
        let fields = [
            ("/plan_id", &self.plan_id),
            ("/subscription_id", &self.subscription_id),
            ("/customer_id", &self.customer_id),
        ];
        let wanted = match self.scope.0 {
            Scope::Plan => 0,
            Scope::Subscription => 1,
            Scope::Customer => 2,
        };
        let mut named = None;
        for (place, (field, value)) in fields.into_iter().enumerate() {
            match value {
                Some(value) if place == wanted => named = Some(value.as_str()),
                Some(_) => {
                    let words = "belongs to another scope; leave it out";
                    return Err(Problem::new("scope_mismatch", words).at(field));
                }
                None if place == wanted => {
                    let words = "the scope needs it: an id or an external id";
                    return Err(Problem::new("field_missing", words).at(field));
                }
                None => {}
            }
        }
        let named = named.unwrap_or_default();
        Ok(match self.scope.0 {
            Scope::Plan => GrantOwner::Plan(named.to_owned()),
            Scope::Subscription => GrantOwner::Subscription(subscription(named)),
            Scope::Customer => GrantOwner::Customer(customer(named)),
        })
    }

    fn cadence(&self) -> Result<GrantCadence, Problem> {
        let period = self.period.as_ref().map(|period| period.0);
        match (&self.cadence.0, period) {
            (CadenceWord::Recurring, Some(period)) => {
                cadence(period, self.period_count, "/period_count").map(GrantCadence::Recurring)
            }
            (CadenceWord::Recurring, None) => {
                let words = "a RECURRING grant needs a period, such as MONTHLY";
                Err(Problem::new("period_missing", words).at("/period"))
            }
            (CadenceWord::Onetime, None) if self.period_count.is_none() => {
                Ok(GrantCadence::Onetime)
            }
            (CadenceWord::Onetime, period) => {
                let field = period.map_or("/period_count", |_| "/period");
                let words = "a ONETIME grant has no period; leave it out, or make it RECURRING";
                Err(Problem::new("only_for_recurring", words).at(field))
            }
        }
    }

    fn expiry(&self) -> Result<GrantExpiry, Problem> {
        let asked = self.expiration_type.as_ref().map(|word| word.0);
        let unit = self.expiration_duration_unit.as_ref().map(|unit| unit.0);
        if let Some(days) = self.expire_in_days {
            let says_more = self.expiration_duration.is_some() || unit.is_some();
            if says_more || asked.is_some_and(|asked| asked != ExpirationType::Duration) {
                return Err(ambiguous("/expire_in_days"));
            }
            return duration(days, Period::Daily, "/expire_in_days");
        }
        let length = self.expiration_duration;
        match asked {
            Some(ExpirationType::Duration) if length.is_none() => {
                let words = "DURATION needs a length: this, or expire_in_days";
                let field = "/expiration_duration";
                Err(Problem::new("expiration_duration_missing", words).at(field))
            }
            Some(ExpirationType::Duration) | None if length.is_some() => {
                let unit = unit.unwrap_or(DurationUnit::Day);
                let length = length.unwrap_or_default();
                duration(length, unit.period(), "/expiration_duration")
            }
            _ if length.is_some() => Err(ambiguous("/expiration_duration")),
            _ if unit.is_some() => Err(ambiguous("/expiration_duration_unit")),
            Some(ExpirationType::BillingCycle) => Ok(GrantExpiry::BillingCycle),
            _ => Ok(GrantExpiry::Never),
        }
    }
}

fn ambiguous(field: &str) -> Problem {
    let words = "says another expiry than expiration_type; keep one of them";
    Problem::new("expiry_ambiguous", words).at(field)
}

fn duration(count: u32, period: Period, field: &'static str) -> Result<GrantExpiry, Problem> {
    counted(period, count, DURATION_MAX, field).map(GrantExpiry::Duration)
}

/// So many of a period, one if nothing is said.
pub(in crate::http::admin) fn cadence(
    period: Period,
    count: Option<u32>,
    field: &'static str,
) -> Result<Cadence, Problem> {
    counted(period, count.unwrap_or(1), PERIODS_MAX, field)
}

fn counted(period: Period, count: u32, max: u32, field: &str) -> Result<Cadence, Problem> {
    if !(1..=max).contains(&count) {
        let words = format!("must be 1 to {max}");
        return Err(Problem::new("period_count_invalid", words).at(field));
    }
    Ok(Cadence { period, count })
}
