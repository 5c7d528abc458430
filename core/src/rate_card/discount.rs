//! What a customer pays less than the price.

use serde::{Deserialize, Serialize};

/// What a customer pays less than the price, in parts per million of it: 0 to 1,000,000.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "u32", into = "u32")]
pub struct Discount(u32);

/// A discount above 1,000,000 parts per million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a discount is 0 to 1000000 parts per million")]
pub struct DiscountOutOfRange;

impl Discount {
    /// The full price is paid.
    pub const NONE: Self = Self(0);
    /// Nothing is paid.
    pub const ALL: Self = Self(1_000_000);

    /// So many parts per million off.
    ///
    /// # Errors
    /// If they are more than the whole.
    pub const fn new(parts_per_million: u32) -> Result<Self, DiscountOutOfRange> {
        if parts_per_million > Self::ALL.0 {
            return Err(DiscountOutOfRange);
        }
        Ok(Self(parts_per_million))
    }

    /// Parts per million off.
    #[must_use]
    pub const fn parts_per_million(self) -> u32 {
        self.0
    }

    /// Whether the full price is paid.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Discount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Discount".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "What is taken off, in parts per million: 100000 is a tenth, 1000000 all of it",
            "type": "integer",
            "minimum": 0,
            "maximum": Self::ALL.0,
        })
    }
}

impl TryFrom<u32> for Discount {
    type Error = DiscountOutOfRange;

    fn try_from(parts_per_million: u32) -> Result<Self, DiscountOutOfRange> {
        Self::new(parts_per_million)
    }
}

impl From<Discount> for u32 {
    fn from(discount: Discount) -> Self {
        discount.0
    }
}
