//! Bonus slabs on the wire.

use creditgate_ledger::bonus::{Bonus, BonusSlab};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::input::CreditsText;
use crate::problem::Problem;

/// What comes on top of a purchase of this size, up to the next slab.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBonusSlab)]
pub(super) struct BonusSlabBody {
    /// The smallest purchase, in credits; more than that of the slab before.
    #[schema(value_type = String, example = "100")]
    from: CreditsText,
    /// So many credits. Either this or `bonus_percent`.
    #[schema(value_type = Option<String>)]
    bonus_credits: Option<CreditsText>,
    /// So many hundredths of the purchase, to 1000.
    #[schema(value_type = Option<String>, example = "10")]
    bonus_percent: Option<CreditsText>,
    /// After how many days the bonus expires; never if absent.
    #[schema(minimum = 1, maximum = 36_600)]
    expire_in_days: Option<u32>,
    /// Smaller burns first; none burns last.
    priority: Option<i32>,
}

/// The slabs as the ledger has them; not checked any further.
pub(super) fn slabs(bodies: Vec<BonusSlabBody>) -> Result<Vec<BonusSlab>, Problem> {
    let mut slabs = Vec::new();
    for (place, body) in bodies.into_iter().enumerate() {
        let bonus = match (body.bonus_credits, body.bonus_percent) {
            (Some(credits), None) => Bonus::Credits(credits.0),
            (None, Some(percent)) => Bonus::Percent(percent.0),
            _ => {
                let problem = "must have either bonus_credits or bonus_percent";
                let problem = Problem::new("settings_invalid", problem);
                return Err(problem.at(format!("/bonus_slabs/{place}")));
            }
        };
        slabs.push(BonusSlab {
            from: body.from.0,
            bonus,
            expire_in_days: body.expire_in_days,
            priority: body.priority,
        });
    }
    Ok(slabs)
}

/// What comes on top of a purchase of this size, up to the next slab.
#[derive(Serialize, ToSchema)]
#[schema(as = BonusSlab)]
pub(super) struct BonusSlabView {
    /// The smallest purchase, in credits.
    from: String,
    /// So many credits.
    bonus_credits: Option<String>,
    /// So many hundredths of the purchase.
    bonus_percent: Option<String>,
    /// After how many days the bonus expires.
    expire_in_days: Option<u32>,
    /// Smaller burns first; none burns last.
    priority: Option<i32>,
}

impl BonusSlabView {
    pub(super) fn of(slab: &BonusSlab) -> Self {
        let (bonus_credits, bonus_percent) = match &slab.bonus {
            Bonus::Credits(credits) => (Some(credits.to_string()), None),
            Bonus::Percent(percent) => (None, Some(percent.to_string())),
        };
        Self {
            from: slab.from.to_string(),
            bonus_credits,
            bonus_percent,
            expire_in_days: slab.expire_in_days,
            priority: slab.priority,
        }
    }
}
