//! What is charged by how a request ended.

use super::document::{Cause, SettleDocument, Verdict};
use super::{Charge, RateCardError, Rule};

/// The most rules of settling that a rule has.
pub const SETTLE_RULES_MAX: usize = 16;
/// The most statuses, causes or flags in one of them, each.
pub const ENDINGS_MAX: usize = 16;
/// The most retries that a rule can ask for.
const RETRIES_MAX: u32 = 100;
/// The largest gRPC status.
const GRPC_STATUS_MAX: u32 = 16;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ending {
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The gRPC status, if the answer told one.
    pub grpc_status: Option<u32>,
    /// What went wrong.
    pub causes: Causes,
    /// The proxy's response flags, each at its [bit](Flag::bit).
    pub flags: u64,
    /// How often the upstream was tried again.
    pub retries: u32,
}

/// What went wrong with a request; several things may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Causes(u8);

impl Causes {
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// These and that one.
    #[must_use]
    pub const fn with(self, cause: Cause) -> Self {
        Self(self.0 | Self::bit(cause))
    }

    /// Whether that one is among them.
    #[must_use]
    pub const fn has(self, cause: Cause) -> bool {
        self.0 & Self::bit(cause) != 0
    }

    const fn bit(cause: Cause) -> u8 {
        match cause {
            Cause::ClientAbort => 1,
            Cause::UpstreamReset => 2,
            Cause::Timeout => 4,
            Cause::NoResponse => 8,
            Cause::LocalReply => 16,
            Cause::Retries => 32,
        }
    }
}

/// A verdict and when it is spoken.
#[derive(Debug)]
pub(super) struct SettleRule {
    statuses: Vec<(u16, u16)>,
    grpc_statuses: Vec<u32>,
    causes: Vec<Cause>,
    /// Any of these; 0 for no matter.
    flags: u64,
    retries_min: u32,
    then: Verdict,
}

impl SettleRule {
    pub(super) fn compile(
        document: &SettleDocument,
        has_minimum: bool,
        pointer: &str,
    ) -> Result<Self, RateCardError> {
        let when = &document.when;
        let lengths = [
            ("status", when.status.len()),
            ("grpc_status", when.grpc_status.len()),
            ("cause", when.cause.len()),
            ("flag", when.flag.len()),
        ];
        if when.retries_min.is_none() && lengths.iter().all(|(_, length)| *length == 0) {
            let message = "say when: a status, a grpc_status, a cause, a flag or retries_min";
            let pointer = format!("{pointer}/when");
            return Err(RateCardError::new(pointer, "ending_missing", message));
        }
        let fits = |retries| (1..=RETRIES_MAX).contains(&retries);
        if !when.retries_min.is_none_or(fits) {
            let message = format!("1 to {RETRIES_MAX}");
            let pointer = format!("{pointer}/when/retries_min");
            return Err(RateCardError::new(pointer, "retries_invalid", message));
        }
        for (field, length) in lengths {
            if length > ENDINGS_MAX {
                let message = format!("at most {ENDINGS_MAX}");
                let pointer = format!("{pointer}/when/{field}");
                return Err(RateCardError::new(pointer, "too_many_endings", message));
            }
        }
        if document.then == Verdict::Minimum && !has_minimum {
            let message = "the rule has no minimum";
            let pointer = format!("{pointer}/then");
            return Err(RateCardError::new(pointer, "minimum_missing", message));
        }
        for (index, status) in when.grpc_status.iter().enumerate() {
            if *status > GRPC_STATUS_MAX {
                let message = format!("a gRPC status is 0 to {GRPC_STATUS_MAX}");
                let pointer = format!("{pointer}/when/grpc_status/{index}");
                return Err(RateCardError::new(pointer, "grpc_status_invalid", message));
            }
        }
        let statuses = when.status.iter().enumerate().map(|(index, text)| {
            statuses(text).ok_or_else(|| {
                let message = "an HTTP status, such as 404, or a class of them, such as 5xx";
                let pointer = format!("{pointer}/when/status/{index}");
                RateCardError::new(pointer, "status_invalid", message)
            })
        });
        Ok(Self {
            statuses: statuses.collect::<Result<_, _>>()?,
            grpc_statuses: when.grpc_status.clone(),
            causes: when.cause.clone(),
            flags: when.flag.iter().fold(0, |flags, flag| flags | flag.bit()),
            retries_min: when.retries_min.unwrap_or_default(),
            then: document.then,
        })
    }

    fn fits(&self, ending: &Ending) -> bool {
        let status = || {
            let within = |status| {
                self.statuses
                    .iter()
                    .any(|(first, last)| (*first..=*last).contains(&status))
            };
            ending.status.is_some_and(within)
        };
        let grpc_status = || {
            ending
                .grpc_status
                .is_some_and(|status| self.grpc_statuses.contains(&status))
        };
        (self.statuses.is_empty() || status())
            && (self.grpc_statuses.is_empty() || grpc_status())
            && (self.causes.is_empty() || self.causes.iter().any(|cause| ending.causes.has(*cause)))
            && (self.flags == 0 || self.flags & ending.flags != 0)
            && ending.retries >= self.retries_min
    }
}

/// The first and the last status that are meant.
fn statuses(text: &str) -> Option<(u16, u16)> {
    let (digit, rest) = text.split_at_checked(1)?;
    let class: u16 = digit.parse().ok().filter(|class| (1..=5).contains(class))?;
    let first = class.saturating_mul(100);
    if rest == "xx" {
        return Some((first, first.saturating_add(99)));
    }
    let is_number = rest.len() == 2 && rest.bytes().all(|byte| byte.is_ascii_digit());
    let status = first.saturating_add(rest.parse().ok().filter(|_| is_number)?);
    Some((status, status))
}

impl Rule {
    /// What is charged for a request that ended: as the first of the rule's `settle` says that
    /// fits, else as its `charge` says.
    ///
    /// Neither question is put unless the answer matters: how it ended only if there is
    /// something to settle by, whether it was served only if a failure is not charged.
    pub fn verdict(
        &self,
        ending: impl FnOnce() -> Ending,
        was_served: impl FnOnce() -> bool,
    ) -> Verdict {
        let rules = self.settle_rules();
        if !rules.is_empty() {
            let ending = ending();
            if let Some(rule) = rules.iter().find(|rule| rule.fits(&ending)) {
                return rule.then;
            }
        }
        if self.charge == Charge::Always || was_served() {
            Verdict::Charge
        } else {
            Verdict::Release
        }
    }

    /// Whether what is charged depends on how a request ended beyond what `charge` says.
    #[must_use]
    pub fn settles_by_ending(&self) -> bool {
        !self.settle_rules().is_empty()
    }

    /// Whether its cost is certain as soon as a request is admitted: nothing that happens
    /// later changes it.
    #[must_use]
    pub fn is_settled_at_once(&self) -> bool {
        self.charge == Charge::Always && self.is_fixed() && !self.settles_by_ending()
    }
}
