//! What the filter counts.
//!
//! Counting is a host call, and host calls are what a request costs: counts are gathered in
//! memory and handed to the host by the tick. No customer is ever part of a name.

use crate::host::Host;

macro_rules! metrics {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal,)*) => {
        /// A counter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric {
            $($(#[doc = $doc])* $name,)*
        }

        impl Metric {
            /// Every counter.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name; the proxy may put a prefix before it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("creditgate_", $text),)*
                }
            }

            /// What it counts, for the reference.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),*),)*
                }
            }
        }
    };
}

metrics! {
    /// Requests that reserved their price.
    Admitted = "admitted_total",
    /// Requests that needed no credit: free by the rate card, or the filter is off.
    Passed = "passed_total",
    /// Requests whose cost was booked.
    Settled = "settled_total",
    /// Requests whose reservation was given back.
    Released = "released_total",
    /// Requests that were settled at an estimate, in whole or for one of their meters, since the
    /// answer didn't tell what it used.
    SettledAtEstimate = "settled_at_estimate_total",
    /// Answers that didn't tell what they are charged by, in whole or for one of their meters.
    UsageUnreadable = "usage_unreadable_total",
    /// Answers that named no model, or one that the card doesn't list, though they should be charged as
    /// the model that answered: they are charged as the one that was asked for.
    ModelPassedOver = "model_passed_over_total",
    /// Prices of a customer without effect: the rate card has no rule that they are for.
    PricesIgnored = "prices_ignored_total",
    /// Requests that cost more than was reserved for them.
    Overruns = "overruns_total",
    /// How much more was charged for them, in smallest units of the currency: with strict rules
    /// out of credit that was lent, with others the most that can have been spent beyond what
    /// was funded.
    OverrunUnits = "overrun_units_total",
    /// Requests that cost more than may be charged for them: the rest is the operator's loss.
    Waived = "waived_total",
    /// How much that was, in smallest units of the currency.
    WaivedUnits = "waived_units_total",
    /// What passed of metered answers that end when the credit does, and was not paid for, in
    /// smallest units of the currency: of each at most the rest of an event, and its last moment.
    OvershootUnits = "overshoot_units_total",
    /// Requests that passed on the offline allowance of their account.
    AdmittedOffline = "admitted_offline_total",
    /// What they reserved of it, in smallest units of the currency. What one account can spend
    /// so in one outage is at most the setting `offline_allowance`.
    OfflineUnits = "offline_units_total",
    /// Requests that passed unpaid because the control plane did not answer and rule or customer
    /// say `shadow`; among the would-be refusals, too.
    PassedUnavailable = "passed_unavailable_total",
    /// Settlements whose lease the cell no longer knew; the control plane accounts for them.
    SettledGone = "settled_gone_total",
    /// Settlements that lost every race and were left to the tick.
    SettledLater = "settled_later_total",
    /// Settlements dropped because too many were waiting; their reservation stays held.
    SettlementsDropped = "settlements_dropped_total",
    /// Requests that were held until something was known.
    Held = "held_total",
    /// Requests that another filter of the process had decided.
    DecidedElsewhere = "decided_elsewhere_total",
    /// Answers that were held back until they were paid for.
    StreamsHeld = "streams_held_total",
    /// Answers that were ended because the credit was used up.
    StreamsEnded = "streams_ended_total",
    /// Requests that would have been refused, were it not for the shadow mode.
    WouldRefuse = "would_refuse_total",
    /// 401: no credential.
    RefusedCredentialMissing = "refused_credential_missing_total",
    /// 401: more than one credential.
    RefusedCredentialAmbiguous = "refused_credential_ambiguous_total",
    /// 401: a credential that can't be one.
    RefusedCredentialMalformed = "refused_credential_malformed_total",
    /// 401: a credential the control plane does not know.
    RefusedCredentialUnknown = "refused_credential_unknown_total",
    /// 402: no credit left.
    RefusedCreditExhausted = "refused_credit_exhausted_total",
    /// 402: running requests hold the credit.
    RefusedCreditHeld = "refused_credit_held_total",
    /// 403: customer suspended.
    RefusedCustomerSuspended = "refused_customer_suspended_total",
    /// 403: wallet frozen.
    RefusedWalletFrozen = "refused_wallet_frozen_total",
    /// 403: wallet closed.
    RefusedWalletClosed = "refused_wallet_closed_total",
    /// 403: no rule allows the route.
    RefusedRouteDenied = "refused_route_denied_total",
    /// 403: a route that names a rule which the rate card doesn't have.
    RefusedRuleUnknown = "refused_rule_unknown_total",
    /// 400: a path that could mean several.
    RefusedPathAmbiguous = "refused_path_ambiguous_total",
    /// 400: a header or parameter that the price depends on could mean several.
    RefusedRequestAmbiguous = "refused_request_ambiguous_total",
    /// 400: a model that the rate card does not list.
    RefusedModelUnknown = "refused_model_unknown_total",
    /// 400: more output asked for than the rule allows.
    RefusedOutputOverMax = "refused_output_over_max_total",
    /// 400: a body from which the price can't be read.
    RefusedBodyUnreadable = "refused_body_unreadable_total",
    /// 413: a body longer than is read.
    RefusedBodyTooLarge = "refused_body_too_large_total",
    /// 411: a request that doesn't say how long its body is.
    RefusedLengthRequired = "refused_length_required_total",
    /// 400: a request that would cost more than any balance.
    RefusedCostAbsurd = "refused_cost_absurd_total",
    /// 503: a body was needed that this filter is not set up to read.
    RefusedBodiesOff = "refused_bodies_off_total",
    /// 503: the control plane did not answer in time.
    RefusedControlPlaneUnreachable = "refused_control_plane_unreachable_total",
    /// 503: credit is here, but must not be spent without asking.
    RefusedLeasePastUseBy = "refused_lease_past_use_by_total",
    /// 503: a bound of the filter was reached.
    RefusedCapacity = "refused_capacity_total",
    /// 503: too many lost races for one cell.
    RefusedContention = "refused_contention_total",
    /// 503: the instance is being drained.
    RefusedDraining = "refused_draining_total",
    /// 503: the instance was frozen by the control plane.
    RefusedInstanceFrozen = "refused_instance_frozen_total",
    /// 503: no rate card yet.
    RefusedNotReady = "refused_not_ready_total",
    /// Questions who a credential belongs to.
    CallsResolve = "calls_resolve_total",
    /// Reports of cells.
    CallsSync = "calls_sync_total",
    /// Long polls.
    CallsPoll = "calls_poll_total",
    /// Batches of usage detail, repetitions included.
    CallsUsage = "calls_usage_total",
    /// Requests whose usage detail was added to their account's row for all other things,
    /// because there were too many rows.
    UsageMerged = "usage_merged_total",
    /// Requests whose usage detail found no room; what they cost is unattributed.
    UsageDropped = "usage_dropped_total",
    /// Questions without an answer.
    CallsFailed = "calls_failed_total",
    /// Compare-and-sets that came second.
    CasLost = "cas_lost_total",
    /// Cells made.
    CellsMade = "cells_made_total",
    /// Cells that were not where they should be; their leases are the control plane's to resolve.
    CellsLost = "cells_lost_total",
    /// Cells that found no place.
    CellsRefused = "cells_refused_total",
    /// Leases that fit no cell and whose return could not be kept in mind; the control plane
    /// sets them aside.
    OrphansDropped = "orphans_dropped_total",
    /// Leases turned.
    LeasesTurned = "leases_turned_total",
    /// Credentials that were not looked up because too many were being looked up.
    LookupsRefused = "lookups_refused_total",
    /// Credentials forgotten to make room for others.
    CredentialsEvicted = "credentials_evicted_total",
    /// Times this virtual machine became the one that keeps the long poll.
    Elections = "elections_total",
}

/// Counts not yet handed to the host.
#[derive(Debug)]
pub struct Counts([u64; Metric::ALL.len()]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; Metric::ALL.len()])
    }
}

impl Counts {
    /// Counts so many.
    pub fn add(&mut self, metric: Metric, by: u64) {
        if let Some(count) = self.0.get_mut(metric as usize) {
            *count = count.saturating_add(by);
        }
    }

    /// Hands over what has come together.
    pub fn flush(&mut self, host: &dyn Host) {
        for (metric, count) in Metric::ALL.iter().zip(&mut self.0) {
            if *count > 0 {
                host.count(*metric, *count);
                *count = 0;
            }
        }
    }
}
