//! What a worker does beside requests: it asks, listens and keeps its cells in order.
//!
//! Everything that needs an answer from the control plane is sent from here, because a root
//! context outlives every request. [`Gate::run`] is the one place that looks at all there is
//! to do; the tick, a wake-up by a request and each answer end in it.

pub(crate) mod bucket;
pub(crate) mod calls;
mod cells;
pub(crate) mod epoch;
mod neighbours;
pub(crate) mod poll;
pub(crate) mod resolve;
pub(crate) mod sync;
pub(crate) mod usage;
pub(crate) mod watched;

use crate::gate::Gate;
use crate::host::Host;

/// Counts are handed to the host once in so many ticks.
const FLUSH_TICKS: u64 = 10;

impl Gate {
    /// Time passes.
    pub fn on_tick(&mut self, host: &dyn Host) {
        let now_ms = host.now_ms();
        self.ticks = self.ticks.wrapping_add(1);
        // Should a wake-up get lost, the next one is sent again.
        self.is_woken = false;
        self.keep_watch(host, now_ms);
        self.book_unsettled(host);
        self.cut_streams(host);
        self.burn_time(host);
        // Another worker, or a push that it received, may have changed a cell.
        for slot in self.line.credit_slots() {
            self.serve(host, slot);
        }
        self.run(host, now_ms);
        if self.ticks.checked_rem(FLUSH_TICKS) == Some(0) {
            self.counts.flush(host);
        }
    }

    /// A request left something to do.
    pub fn on_wake(&mut self, host: &dyn Host) {
        self.is_woken = false;
        let now_ms = host.now_ms();
        self.run(host, now_ms);
    }

    /// Does what is due.
    pub(crate) fn run(&mut self, host: &dyn Host, now_ms: u64) {
        self.watched.note_time(now_ms);
        self.let_drip(host);
        self.seek_awaited_cells(host, now_ms);
        self.end_overdue(host, now_ms);
        if !self.calls.is_resting(now_ms) {
            self.ask_who(host, now_ms);
            self.report(host, now_ms);
        }
        self.tell_usage(host, now_ms);
    }

    /// The gate closes: whatever remains unused goes back. Best effort, as no answer will
    /// come; what is lost on the way is quarantined, not spent.
    pub fn on_done(&mut self, host: &dyn Host) {
        let now_ms = host.now_ms();
        self.book_unsettled(host);
        self.give_everything_back(host, now_ms);
        self.tell_last_usage(host, now_ms);
        self.counts.flush(host);
    }
}
