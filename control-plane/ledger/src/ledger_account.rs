//! The books' own accounts.
//!
//! An entry moves credit from one account to another, and its draws say of which lots. So a
//! draw moves a part of its lot likewise, and the journal alone gives every lot's parts: see
//! [`replay`](crate::replay).

use core::fmt;

use serde::{Deserialize, Serialize};

/// One of the books' own accounts, for each customer account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerAccount {
    /// Where credit comes from; its balance is the negative of all that was funded.
    Funding,
    /// Free to be lent.
    Available,
    /// Lent to gateways: remaining there or held by requests in flight.
    Lent,
    /// Lent to gateways that fell silent or lost their memory of it.
    Quarantined,
    /// Used and reported.
    Spent,
    /// Charged without a report of use: holds that outlived their stream, consumed quarantine.
    Unattributed,
    /// Unused at its expiry.
    Expired,
    /// Voided or withdrawn.
    Withdrawn,
    /// Used beyond what was funded; its balance is the negative of what is owed.
    Debt,
    /// Used after its quarantine was released to the customer: the operator's loss, negative.
    LeaseLoss,
    /// Where the credit of a post-paid wallet's limit comes from: the negative of the limit.
    CreditLine,
    /// Between accounts of one customer; all of these together are zero.
    Transferred,
}

impl LedgerAccount {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Funding,
        Self::Available,
        Self::Lent,
        Self::Quarantined,
        Self::Spent,
        Self::Unattributed,
        Self::Expired,
        Self::Withdrawn,
        Self::Debt,
        Self::LeaseLoss,
        Self::CreditLine,
        Self::Transferred,
    ];

    /// The name in storage and on the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Funding => "funding",
            Self::Available => "available",
            Self::Lent => "lent",
            Self::Quarantined => "quarantined",
            Self::Spent => "spent",
            Self::Unattributed => "unattributed",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Debt => "debt",
            Self::LeaseLoss => "lease_loss",
            Self::CreditLine => "credit_line",
            Self::Transferred => "transferred",
        }
    }
}

impl fmt::Display for LedgerAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
