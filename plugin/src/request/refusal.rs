//! Every way the filter says no: a stable code, its statuses, and the words for people.

use creditgate_core::protocol::{Barred, Block};
use creditgate_core::rate_card::{Ambiguity, EstimateError};

use crate::metrics::Metric;

/// Why a request does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No credential.
    CredentialMissing,
    /// More than one credential.
    CredentialAmbiguous,
    /// A credential that can't be one.
    CredentialMalformed,
    /// A credential the control plane does not know.
    CredentialUnknown,
    /// Not enough credit.
    CreditExhausted,
    /// Enough credit, but running requests hold it.
    CreditHeld,
    /// The customer is suspended.
    CustomerSuspended,
    /// The wallet is frozen.
    WalletFrozen,
    /// The wallet is closed.
    WalletClosed,
    /// The rate card denies the route.
    RouteDenied,
    /// The proxy's route names a rule that the rate card doesn't have.
    RuleUnknown,
    /// The path could mean several.
    PathAmbiguous,
    /// A header or parameter that the price depends on could mean several.
    RequestAmbiguous,
    /// A model that the rate card does not list.
    ModelUnknown,
    /// More output is asked for than the rule allows.
    OutputOverMax,
    /// The price can't be read from the body.
    BodyUnreadable,
    /// The body is longer than is read.
    BodyTooLarge,
    /// The request doesn't say how long its body is.
    LengthRequired,
    /// It would cost more than any balance.
    CostAbsurd,
    /// The body was needed, and the filter is not set up to read bodies.
    BodiesOff,
    /// The control plane did not answer in time.
    ControlPlaneUnreachable,
    /// Credit is here but must not be spent without asking.
    LeasePastUseBy,
    /// A bound was reached.
    Capacity,
    /// Too many lost races.
    Contention,
    /// The instance is being drained.
    Draining,
    /// The control plane froze the instance.
    InstanceFrozen,
    /// No rate card yet.
    NotReady,
}

pub(super) struct Terms {
    pub(super) code: &'static str,
    pub(super) details: &'static str,
    pub(super) status: u32,
    pub(super) grpc_status: i32,
    pub(super) title: &'static str,
    pub(super) detail: &'static str,
    pub(super) metric: Metric,
}

macro_rules! terms {
    ($code:literal, $status:literal, $grpc:literal, $metric:ident, $title:literal, $detail:literal) => {
        Terms {
            code: $code,
            details: concat!("creditgate_", $code),
            status: $status,
            grpc_status: $grpc,
            title: $title,
            detail: $detail,
            metric: Metric::$metric,
        }
    };
}

impl Refusal {
    /// Every refusal, for the reference.
    pub const ALL: &[Self] = &[
        Self::CredentialMissing,
        Self::CredentialAmbiguous,
        Self::CredentialMalformed,
        Self::CredentialUnknown,
        Self::CreditExhausted,
        Self::CreditHeld,
        Self::CustomerSuspended,
        Self::WalletFrozen,
        Self::WalletClosed,
        Self::RouteDenied,
        Self::RuleUnknown,
        Self::PathAmbiguous,
        Self::RequestAmbiguous,
        Self::ModelUnknown,
        Self::OutputOverMax,
        Self::BodyUnreadable,
        Self::BodyTooLarge,
        Self::LengthRequired,
        Self::CostAbsurd,
        Self::BodiesOff,
        Self::ControlPlaneUnreachable,
        Self::LeasePastUseBy,
        Self::Capacity,
        Self::Contention,
        Self::Draining,
        Self::InstanceFrozen,
        Self::NotReady,
    ];

    pub(super) const fn terms(self) -> Terms {
        match self {
            Self::CredentialMissing => terms!(
                "credential_missing",
                401,
                16,
                RefusedCredentialMissing,
                "A key is needed",
                "The request carries no API key. Send yours with it."
            ),
            Self::CredentialAmbiguous => terms!(
                "credential_ambiguous",
                401,
                16,
                RefusedCredentialAmbiguous,
                "More than one key",
                "The request carries more than one API key. Send exactly one."
            ),
            Self::CredentialMalformed => terms!(
                "credential_malformed",
                401,
                16,
                RefusedCredentialMalformed,
                "Not a key",
                "What was sent as API key is none: it was mistyped, cut or made up. Copy it whole."
            ),
            Self::CredentialUnknown => terms!(
                "credential_unknown",
                401,
                16,
                RefusedCredentialUnknown,
                "Unknown key",
                "The API key is unknown or was revoked. Ask for a new one."
            ),
            Self::CreditExhausted => terms!(
                "credit_exhausted",
                402,
                8,
                RefusedCreditExhausted,
                "Not enough credit",
                "The credit that is left does not pay for this request. Top up, then try again."
            ),
            Self::CreditHeld => terms!(
                "credit_held",
                402,
                8,
                RefusedCreditHeld,
                "Credit is in use",
                "Running requests hold the credit this one needs. Try again shortly."
            ),
            Self::CustomerSuspended => terms!(
                "customer_suspended",
                403,
                7,
                RefusedCustomerSuspended,
                "Customer suspended",
                "This customer may not spend at present. Ask whoever runs the service."
            ),
            Self::WalletFrozen => terms!(
                "wallet_frozen",
                403,
                7,
                RefusedWalletFrozen,
                "Wallet frozen",
                "This customer's wallet is frozen. Ask whoever runs the service."
            ),
            Self::WalletClosed => terms!(
                "wallet_closed",
                403,
                7,
                RefusedWalletClosed,
                "Wallet closed",
                "This customer's wallet was closed. Ask whoever runs the service."
            ),
            Self::RouteDenied => terms!(
                "route_denied",
                403,
                7,
                RefusedRouteDenied,
                "No price for this",
                "No rule of the rate card is for this method and path."
            ),
            Self::RuleUnknown => terms!(
                "rule_unknown",
                403,
                7,
                RefusedRuleUnknown,
                "No price for this",
                "The proxy's route names a rule that the rate card does not have. Ask whoever runs the service."
            ),
            Self::PathAmbiguous => terms!(
                "path_ambiguous",
                400,
                3,
                RefusedPathAmbiguous,
                "Ambiguous path",
                "The path can be read in more than one way. Send it in its plain form."
            ),
            Self::RequestAmbiguous => terms!(
                "request_ambiguous",
                400,
                3,
                RefusedRequestAmbiguous,
                "Ambiguous request",
                "A header or query parameter that the price depends on can be read in more than one way. Send it once, and a count as a whole number in digits."
            ),
            Self::ModelUnknown => terms!(
                "model_unknown",
                400,
                3,
                RefusedModelUnknown,
                "Unknown model",
                "The request names a model that has no price here, or none. Ask for one that is offered."
            ),
            Self::OutputOverMax => terms!(
                "output_over_max",
                400,
                3,
                RefusedOutputOverMax,
                "Too much output",
                "The request asks for more output tokens than are allowed. Lower its limit."
            ),
            Self::BodyUnreadable => terms!(
                "body_unreadable",
                400,
                3,
                RefusedBodyUnreadable,
                "Unreadable body",
                "The price could not be read from the body. Send one JSON object, each field once."
            ),
            Self::BodyTooLarge => terms!(
                "body_too_large",
                413,
                8,
                RefusedBodyTooLarge,
                "Body too large",
                "The body is longer than may be read to price it. Send less."
            ),
            Self::LengthRequired => terms!(
                "length_required",
                411,
                3,
                RefusedLengthRequired,
                "Length required",
                "The price depends on the body's length. Send it with a content-length."
            ),
            Self::CostAbsurd => terms!(
                "cost_absurd",
                400,
                3,
                RefusedCostAbsurd,
                "Absurd cost",
                "No balance could pay what this request may cost. Ask for less."
            ),
            Self::BodiesOff => terms!(
                "bodies_off",
                503,
                14,
                RefusedBodiesOff,
                "Gateway not set up",
                "The price is in the body, and this gateway does not read bodies. Its operator must set reads_bodies."
            ),
            Self::ControlPlaneUnreachable => terms!(
                "control_plane_unreachable",
                503,
                14,
                RefusedControlPlaneUnreachable,
                "Cannot decide",
                "Whether this request can be paid could not be found out in time. Try again."
            ),
            Self::LeasePastUseBy => terms!(
                "lease_past_use_by",
                503,
                14,
                RefusedLeasePastUseBy,
                "Cannot decide",
                "The credit at hand may not be spent before it is confirmed again. Try again."
            ),
            Self::Capacity => terms!(
                "capacity",
                503,
                14,
                RefusedCapacity,
                "Too much at once",
                "The gateway holds as much as it may. Try again."
            ),
            Self::Contention => terms!(
                "contention",
                503,
                14,
                RefusedContention,
                "Too much at once",
                "Too many requests of this customer came at the same instant. Try again."
            ),
            Self::Draining => terms!(
                "draining",
                503,
                14,
                RefusedDraining,
                "Gateway is leaving",
                "This gateway is being drained. Try again; another one will answer."
            ),
            Self::InstanceFrozen => terms!(
                "instance_frozen",
                503,
                14,
                RefusedInstanceFrozen,
                "Gateway is frozen",
                "This gateway may not admit requests until its operator looked at it."
            ),
            Self::NotReady => terms!(
                "not_ready",
                503,
                14,
                RefusedNotReady,
                "Not ready",
                "The gateway has no rate card yet. Try again."
            ),
        }
    }

    /// The stable word for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.terms().code
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u32 {
        self.terms().status
    }

    /// The gRPC status.
    #[must_use]
    pub const fn grpc_status(self) -> i32 {
        self.terms().grpc_status
    }

    /// What happened and what to do next.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        self.terms().detail
    }

    pub(crate) const fn metric(self) -> Metric {
        self.terms().metric
    }

    pub(crate) const fn blocked(block: Block) -> Self {
        match block {
            Block::CustomerSuspended => Self::CustomerSuspended,
            Block::WalletFrozen => Self::WalletFrozen,
            Block::WalletClosed => Self::WalletClosed,
        }
    }

    pub(crate) const fn barred(barred: Barred) -> Self {
        match barred {
            Barred::Draining => Self::Draining,
            Barred::Frozen => Self::InstanceFrozen,
        }
    }

    pub(crate) const fn estimate(error: EstimateError) -> Self {
        match error {
            EstimateError::OverMax { .. } => Self::OutputOverMax,
            EstimateError::UnknownModel => Self::ModelUnknown,
            EstimateError::LengthUnknown => Self::LengthRequired,
            EstimateError::Absurd => Self::CostAbsurd,
        }
    }

    pub(crate) const fn ambiguous(ambiguity: Ambiguity) -> Self {
        match ambiguity {
            Ambiguity::Path(_) => Self::PathAmbiguous,
            _ => Self::RequestAmbiguous,
        }
    }

    /// Whether trying again soon makes sense.
    pub(super) const fn is_passing(self) -> bool {
        matches!(self, Self::CreditHeld)
            || (self.status() == 503 && !matches!(self, Self::BodiesOff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_match_their_metric() {
        let mut codes: Vec<_> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Refusal::ALL.len());
        for refusal in Refusal::ALL {
            let name = ["creditgate_refused_", refusal.code(), "_total"].concat();
            assert_eq!(refusal.metric().name(), name);
        }
    }
}
