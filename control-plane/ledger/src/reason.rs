//! Reason codes: why a lot or an entry exists, for revenue recognition.
//!
//! One table, from which documentation is made as well: [`ReasonCode::ALL`].

use core::fmt;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $code:ident = $name:literal,)*) => {
        /// Why a lot or an entry exists.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ReasonCode {
            $($(#[doc = $doc])* #[serde(rename = $name)] $code,)*
        }

        impl ReasonCode {
            /// All of them, with their names and what they mean.
            pub const ALL: &'static [(Self, &'static str, &'static str)] =
                &[$((Self::$code, $name, concat!($($doc),*)),)*];

            /// The name on the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }
        }
    };
}

codes! {
    /// Credit bought, paid by an invoice. The lot is pending until it is paid.
    PurchasedCreditInvoiced = "PURCHASED_CREDIT_INVOICED",
    /// Credit bought, paid directly.
    PurchasedCreditDirect = "PURCHASED_CREDIT_DIRECT",
    /// Extra credit that came with a purchase.
    PurchasedCreditBonus = "PURCHASED_CREDIT_BONUS",
    /// Credit given without payment.
    FreeCreditGrant = "FREE_CREDIT_GRANT",
    /// Credit that belongs to a subscription.
    SubscriptionCreditGrant = "SUBSCRIPTION_CREDIT_GRANT",
    /// Credit given back for an invoice.
    CreditNote = "CREDIT_NOTE",
    /// Credit given back for a voided invoice.
    InvoiceVoidRefund = "INVOICE_VOID_REFUND",
    /// A correction by an operator: a lot if it adds credit, a debit if it takes some.
    CreditAdjustment = "CREDIT_ADJUSTMENT",
    /// An invoice paid from the wallet.
    InvoicePayment = "INVOICE_PAYMENT",
    /// Credit unused at its expiry.
    CreditExpired = "CREDIT_EXPIRED",
    /// A lot voided by an operator.
    CreditVoided = "CREDIT_VOIDED",
    /// A wallet was closed: credit that was not paid for is voided, what was paid for may go
    /// to another wallet.
    WalletTermination = "WALLET_TERMINATION",
    /// An operator took credit out.
    ManualBalanceDebit = "MANUAL_BALANCE_DEBIT",
    /// Requests paid at a gateway.
    Usage = "USAGE",
    /// Credit lent to or returned by a gateway.
    LeaseLending = "LEASE_LENDING",
    /// A lease fell silent or was lost.
    LeaseQuarantined = "LEASE_QUARANTINED",
    /// Quarantined credit given back to the customer.
    LeaseReleased = "LEASE_RELEASED",
    /// Quarantined credit charged to the customer.
    LeaseConsumed = "LEASE_CONSUMED",
    /// Use reported after its quarantine had been released: the operator's loss.
    LeaseLoss = "LEASE_LOSS",
    /// A reservation that outlived the longest stream, charged.
    UnsettledHold = "UNSETTLED_HOLD",
    /// Use beyond what was funded.
    Overrun = "OVERRUN",
    /// Debt repaid by new credit.
    DebtRepaid = "DEBT_REPAID",
    /// Credit moved to another wallet of the customer.
    WalletTransfer = "WALLET_TRANSFER",
    /// Credit of a post-paid wallet's limit: set, changed, or free again after its repayment.
    CreditLimit = "CREDIT_LIMIT",
    /// What was used of a post-paid wallet's limit, repaid by new credit.
    CreditLimitRepaid = "CREDIT_LIMIT_REPAID",
    /// Unused credit of a grant carried on to the next application.
    CreditRolledOver = "CREDIT_ROLLED_OVER",
    /// What a grant's rollover does not carry on.
    RolloverCapped = "ROLLOVER_CAPPED",
    /// Credit that waited for its payment too long.
    PaymentLapsed = "PAYMENT_LAPSED",
    /// A wallet was opened.
    WalletOpened = "WALLET_OPENED",
    /// A wallet was frozen, thawed or closed.
    WalletStatusChanged = "WALLET_STATUS_CHANGED",
    /// The order in which credit burns was changed.
    PriorityChanged = "PRIORITY_CHANGED",
    /// How a wallet fills itself, or when its balance is told, was changed.
    WalletTermsChanged = "WALLET_TERMS_CHANGED",
    /// A lot's effective instant came.
    CreditEffective = "CREDIT_EFFECTIVE",
    /// Credit is wanted for something else than requests; gateways are to give it back.
    ClaimPending = "CLAIM_PENDING",
    /// A wallet's alert state changed.
    AlertStateChanged = "ALERT_STATE_CHANGED",
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
