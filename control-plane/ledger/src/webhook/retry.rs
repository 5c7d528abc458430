//! What follows from an attempt: for its delivery, and for the endpoint.
//!
//! A failed attempt is followed by another after a wait of [`WAITS_MS`], which is made a little
//! shorter or longer at random so that what failed together does not come back together. An
//! endpoint that says it is gone, or of which every attempt failed for [`FAILING_MAX_MS`] and one
//! delivery's first [`FAILING_ATTEMPTS`], is disabled: whoever cares for it must look at it.

use super::{Attempt, Delivery, DeliveryState, Endpoint, EndpointStatus};

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// How long to wait after the first, second, … failed attempt: ten attempts in 75.6 hours, a
/// little over three days. After the last nothing more is tried.
pub const WAITS_MS: [u64; 9] = [
    5 * SECOND_MS,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    5 * HOUR_MS,
    10 * HOUR_MS,
    14 * HOUR_MS,
    20 * HOUR_MS,
    24 * HOUR_MS,
];

/// For how long every attempt must have failed before an endpoint is disabled: three days.
pub const FAILING_MAX_MS: u64 = 72 * HOUR_MS;

/// How often one delivery must have been tried besides: three days in which nothing was sent,
/// since this service was down or nothing happened, say nothing of the endpoint.
pub const FAILING_ATTEMPTS: u32 = 8;

/// By how much a wait may be longer or shorter, in thousandths: a fifth.
pub const JITTER_MAX_PER_MILLE: u64 = 200;

/// The status by which an endpoint says that it is gone for good.
const GONE: u16 = 410;

/// How much longer or shorter a wait is made; the randomness is the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter {
    /// A thousand and so much, in thousandths of the wait.
    per_mille: u64,
}

impl Jitter {
    /// None.
    pub const NONE: Self = Self { per_mille: 1_000 };

    /// From any number: evenly over a fifth less to a fifth more.
    #[must_use]
    pub const fn of(random: u32) -> Self {
        let within = random as u64 % (2 * JITTER_MAX_PER_MILLE + 1);
        Self {
            per_mille: 1_000 - JITTER_MAX_PER_MILLE + within,
        }
    }
}

/// Why an endpoint is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disabled {
    /// An operator wants it so.
    ByOperator,
    /// It answered 410.
    Gone,
    /// Every attempt failed for too long.
    Failing,
}

impl Disabled {
    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ByOperator => "operator",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// How long to wait after so many failed attempts; none: there were enough.
#[must_use]
pub fn wait_ms(failed: u32, jitter: Jitter) -> Option<u64> {
    let place = usize::try_from(failed).ok()?.checked_sub(1)?;
    let wait_ms = WAITS_MS.get(place)?;
    Some(wait_ms.saturating_mul(jitter.per_mille) / 1_000)
}

/// Books an attempt to its delivery and to the endpoint, if that is still there. Answers why
/// the endpoint was disabled by it, if it was.
pub fn book(
    delivery: &mut Delivery,
    endpoint: Option<&mut Endpoint>,
    attempt: &Attempt,
    jitter: Jitter,
) -> Option<Disabled> {
    let ended_at = attempt.at.plus_ms(attempt.duration_ms);
    delivery.attempts = attempt.number;
    delivery.last_at = Some(attempt.at);
    delivery.last_status = attempt.status;
    let delivered = attempt.is_delivered();
    let wait_ms = wait_ms(attempt.number, jitter).filter(|_| attempt.status != Some(GONE));
    (delivery.state, delivery.next_at) = match wait_ms {
        _ if delivered => (DeliveryState::Delivered, None),
        Some(wait_ms) => (DeliveryState::Pending, Some(ended_at.plus_ms(wait_ms))),
        None => (DeliveryState::Failed, None),
    };
    let endpoint = endpoint?;
    if delivered {
        endpoint.failing_since = None;
        return None;
    }
    let since = *endpoint.failing_since.get_or_insert(attempt.at);
    let why = if attempt.status == Some(GONE) {
        Disabled::Gone
    } else if ended_at.since_ms(since) >= FAILING_MAX_MS && attempt.number >= FAILING_ATTEMPTS {
        Disabled::Failing
    } else {
        return None;
    };
    let newly = endpoint.status == EndpointStatus::Enabled;
    endpoint.status = EndpointStatus::Disabled;
    if newly {
        endpoint.disabled_reason = Some(why.as_str().to_owned());
    }
    newly.then_some(why)
}

/// Books that a delivery is not tried any more; `attempt` says why.
pub fn give_up(delivery: &mut Delivery, attempt: &Attempt) {
    delivery.attempts = attempt.number;
    delivery.last_at = Some(attempt.at);
    delivery.state = DeliveryState::Failed;
    delivery.next_at = None;
}
