//! What the filter sees of the response, and what it says in it.
//!
//! Only the status is read, and the end of the stream noted: bodies pass untouched. What
//! else settling may need is read at the end, and only where something went wrong.

use creditgate_core::amount::format;
use creditgate_core::rate_card::{Ending, OnEmpty, Promise, Verdict};

use super::{Action, Stage, meter, rate_limit};
use crate::config::Mode;
use crate::gate::Gate;
use crate::host::Host;

/// What was seen of a response.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    /// 0: no response headers came by.
    pub(crate) status: u16,
    /// The response came to its end.
    pub(crate) is_complete: bool,
    /// The proxy answered, or another filter of it, not the upstream. Only looked at where it
    /// could matter: an answer that is plainly a good one is the upstream's.
    pub(crate) is_local: bool,
    /// Of a gRPC call, if it told one.
    pub(crate) grpc_status: Option<u32>,
}

/// gRPC statuses by which a server says that it failed: unknown, deadline exceeded,
/// unimplemented, internal, unavailable, data loss.
const GRPC_FAILED: [u32; 6] = [2, 4, 12, 13, 14, 15];

const REMAINING: &str = "x-credit-remaining";
const COST: &str = "x-credit-cost";
const WARNING: &str = "x-credit-warning";

impl Seen {
    /// Whether the upstream said that it failed.
    pub(crate) fn has_failed(self) -> bool {
        let grpc_failed = self
            .grpc_status
            .is_some_and(|status| GRPC_FAILED.contains(&status));
        self.status >= 500 || grpc_failed
    }

    /// Whether the upstream began to answer.
    pub(crate) const fn is_answer(self) -> bool {
        self.status > 0 && !self.is_local
    }

    /// How it looks to rules that settle by that.
    pub(crate) fn ending(self) -> Ending {
        Ending {
            status: (self.status > 0).then_some(self.status),
            grpc_status: self.grpc_status,
            ..Ending::default()
        }
    }
}

impl Gate {
    /// Response headers come by.
    pub fn on_response_headers(&mut self, host: &dyn Host, id: u32, is_end: bool) {
        let admitted = match self.requests.get_mut(&id) {
            Some(Stage::Admitted(admitted)) => admitted,
            None | Some(Stage::Shadowed(_)) if self.config.mode != Mode::Off => {
                // Nobody but the filter speaks of credit.
                for name in [REMAINING, COST, WARNING] {
                    host.remove_response_header(name);
                }
                return;
            }
            _ => return,
        };
        let seen = &mut admitted.response;
        seen.status = number(host.response_header(":status")).unwrap_or_default();
        seen.is_complete |= is_end;
        let rule = &admitted.terms.rule;
        // Without a message, gRPC has its trailers here.
        let has_trailers = admitted.is_grpc && is_end;
        if has_trailers {
            seen.grpc_status = number(host.response_header("grpc-status"));
        }
        if has_trailers || !(200..300).contains(&seen.status) || rule.settles_by_ending() {
            // Later it says how the answer broke off, if it does.
            let details = host.property(&["response", "code_details"]);
            seen.is_local = details.as_deref() != Some(b"via_upstream");
        }
        let seen = *seen;
        // A failure that shows already costs nothing; one that comes later can't be told here.
        let verdict = rule.verdict(|| seen.ending(), || !seen.has_failed() && !seen.is_local);
        let scale = admitted.credential.scale;
        let price = admitted.terms.cost();
        if let Some(meter) = &mut admitted.meter {
            if has_trailers {
                meter.end_answer(rule, || host.response_headers());
            }
            meter.begin_answer(host, rule, seen.status);
            if rule.promise() == Promise::Metered && verdict == Verdict::Charge {
                if meter::is_timed(rule) {
                    self.timed.insert(id);
                }
                if meter.is_stream() && rule.on_empty() == OnEmpty::End {
                    // It may end earlier, with an event more.
                    host.remove_response_header("content-length");
                }
                admitted.begin_burning(host);
            }
        }
        let rule = &admitted.terms.rule;
        let (cost, remaining) = match verdict == Verdict::Release {
            true => ("0", admitted.remaining.saturating_add(price)),
            false => (admitted.cost_text.as_str(), admitted.remaining),
        };
        host.set_response_header(REMAINING, &format(remaining, scale).to_string());
        if rule.is_fixed() && !rule.settles_by_ending() {
            host.set_response_header(COST, cost);
        } else {
            // It is known when the answer has passed.
            host.remove_response_header(COST);
        }
        if self.config.rate_limit_headers {
            let left = rate_limit::Left {
                remaining,
                issued: admitted.issued,
                price,
            };
            for (name, value) in rate_limit::fields(rule, left) {
                host.set_response_header(name, &value);
            }
        }
        let settings = self.settings.as_ref();
        if settings.is_some_and(|settings| remaining < settings.warn_below) {
            host.set_response_header(WARNING, "low");
        }
    }

    /// Response trailers come by.
    pub fn on_response_trailers(&mut self, host: &dyn Host, id: u32) -> Action {
        let Some(Stage::Admitted(admitted)) = self.requests.get_mut(&id) else {
            return Action::Continue;
        };
        admitted.response.is_complete = true;
        if let Some(meter) = &mut admitted.meter {
            meter.end_answer(&admitted.terms.rule, || host.response_trailers());
        }
        if admitted.is_grpc {
            admitted.response.grpc_status = number(host.response_trailer("grpc-status"));
        }
        if admitted.burning.is_none() {
            return Action::Continue;
        }
        self.pass_trailers(host, id)
    }
}

fn number<T: std::str::FromStr>(value: Option<Vec<u8>>) -> Option<T> {
    std::str::from_utf8(&value?).ok()?.parse().ok()
}
