//! Whether what a cell says can be believed without asking.
//!
//! A cell only repeats what was last heard. Blocks and ceilings are pushed when they change,
//! so they hold as long as the long poll is answered; a balance is told with its age.

use creditgate_core::cell::Cell;

use crate::gate::Gate;

/// Between a poll's answer and the next poll, at most.
const POLL_MARGIN_MS: u64 = 250;

impl Gate {
    /// Whether the balance is so old that it is worth a question.
    pub(crate) fn is_stale(&self, now_ms: u64, cell: &Cell) -> bool {
        let learned_ms = u64::from(cell.balance_at_s)
            .saturating_add(1)
            .saturating_mul(1_000);
        cell.version == 0 || now_ms > learned_ms.saturating_add(self.timing().use_by_ms)
    }

    /// Whether what the cell says of blocks and ceiling can be believed without asking: the
    /// poll would have told of a change, or the account was asked for a short while ago.
    pub(crate) fn is_current(&self, now_ms: u64, cell: &Cell) -> bool {
        let timing = self.timing();
        // The next poll is sent at once, and answered by the end of its hold, news or none.
        // That one is under way proves nothing: the other side may be gone.
        let polled = self.watch.leader.polled_at_ms;
        let answer_ms = self.config.control_plane.timeout_ms;
        let fresh_ms = timing
            .poll_hold_ms()
            .saturating_add(answer_ms)
            .saturating_add(POLL_MARGIN_MS);
        if polled > 0 && now_ms < polled.saturating_add(fresh_ms) {
            return true;
        }
        // Spread by account, so that a silent control plane is not asked by all at once.
        let eighth = timing.use_by_ms / 8;
        let spread = u64::try_from(cell.account.0 % 1024).unwrap_or_default();
        let jitter = eighth.saturating_mul(spread) / 1024;
        cell.reported_at_ms > 0
            && now_ms
                < cell
                    .reported_at_ms
                    .saturating_add(eighth)
                    .saturating_add(jitter)
    }
}
