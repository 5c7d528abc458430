//! Usage detail: what this worker settled, told to the control plane in numbered batches.
//!
//! Rows are gathered while requests end. On the tick they become a batch, which is sent again,
//! as it is, until it is acknowledged; only then comes the next. So the control plane counts
//! each batch once by its number, whichever messages get lost. What a worker that dies had
//! gathered is not told: it was settled all the same, and is shown as unattributed.

use creditgate_core::amount::Amount;
use creditgate_core::detail::{Added, Counted, Gathered, Heading, Row, StatusClass};
use creditgate_core::protocol::{Barred, USAGE_ROWS_MAX, UsageAnswer, UsageRequest};
use creditgate_core::rate_card::TokenTerms;

use super::calls::{Question, Rest};
use crate::gate::Gate;
use crate::host::Host;
use crate::metrics::Metric;
use crate::request::Admitted;
use crate::request::settle::Due;

const PATH: &str = "/v1/gateway/usage";
/// A worker begins a round of batches once in so many intervals of reports.
const SYNCS_A_ROUND: u64 = 4;

/// What is to be told of usage.
#[derive(Debug)]
pub(crate) struct Usage {
    gathered: Gathered,
    /// Rows of this round that are in no batch yet.
    outgoing: Vec<Row>,
    /// The batch that is not acknowledged yet; no rows if there is none.
    batch: Vec<Row>,
    /// Its number.
    number: u64,
    is_under_way: bool,
    next_round_ms: u64,
    pub(crate) rest: Rest,
}

impl Usage {
    pub(crate) fn new(rows_max: usize) -> Self {
        Self {
            gathered: Gathered::new(rows_max),
            outgoing: Vec::new(),
            batch: Vec::new(),
            number: 0,
            is_under_way: false,
            next_round_ms: 0,
            rest: Rest::default(),
        }
    }

    /// Makes the next batch of what is outgoing.
    fn next_batch(&mut self) {
        self.batch = self.next_rows();
        self.number = self.number.saturating_add(1);
    }

    /// As many rows as fit a message, however long the names of their meters are.
    fn next_rows(&mut self) -> Vec<Row> {
        let mut room = USAGE_ROWS_MAX;
        let fits = |row: &&Row| {
            let left = room.checked_sub(row_weight(row));
            room = left.unwrap_or(room);
            left.is_some()
        };
        let rows = self.outgoing.iter().rev().take_while(fits).count();
        let after = self.outgoing.len().saturating_sub(rows);
        self.outgoing.split_off(after)
    }
}

/// How many plain rows are as long as this, at most.
fn row_weight(row: &Row) -> usize {
    row.units.len().div_ceil(3).saturating_add(1)
}

impl Admitted {
    /// What usage detail counts of this request.
    pub(crate) fn counted<'a>(&'a self, due: &'a Due) -> Counted<'a> {
        Counted::of_request(&self.terms.rule, &due.measures)
    }

    /// What usage detail says this request was.
    pub(crate) fn heading<'a>(&'a self, due: &'a Due) -> Heading<'a> {
        let models = self.models(due.model.as_ref());
        let fixed = self.terms.rule.tokens().and_then(TokenTerms::fixed_model);
        Heading {
            account: self.credential.account,
            credential: Some(self.credential.hash),
            rule: self.terms.rule.id(),
            card_version: self.terms.card_version,
            model: models.answered.or(fixed).or(models.asked),
            status: StatusClass::of(self.response.status),
            settled_by: due.by,
        }
    }
}

impl Gate {
    /// Adds a request whose settlement is booked to what is told.
    pub(crate) fn note_usage(
        &mut self,
        heading: &Heading<'_>,
        cost: Amount,
        counted: &Counted<'_>,
    ) {
        match self.usage.gathered.add(heading, cost, counted) {
            Added::Apart => {}
            Added::Merged => self.count(Metric::UsageMerged),
            Added::Dropped => self.count(Metric::UsageDropped),
        }
    }

    /// Sends the batch that is not acknowledged, or the next when it is time.
    pub(crate) fn tell_usage(&mut self, host: &dyn Host, now_ms: u64) {
        let sync_ms = self.timing().sync_ms.max(1);
        // The process is about to end: what was used is told at once.
        let is_draining = self.barred == Some(Barred::Draining);
        let usage = &mut self.usage;
        if usage.is_under_way || !usage.rest.is_over(now_ms) {
            return;
        }
        if usage.batch.is_empty() {
            if usage.outgoing.is_empty() {
                let is_time = now_ms >= usage.next_round_ms || is_draining;
                if !is_time || usage.gathered.is_empty() {
                    return;
                }
                usage.outgoing = usage.gathered.take();
                usage.next_round_ms = now_ms.saturating_add(sync_ms.saturating_mul(SYNCS_A_ROUND));
            }
            usage.next_batch();
        }
        self.send_batch(host, now_ms);
    }

    fn send_batch(&mut self, host: &dyn Host, now_ms: u64) {
        let (number, rows) = (self.usage.number, std::mem::take(&mut self.usage.batch));
        let (rows, is_sent) = self.send_rows(host, now_ms, (self.me, number), rows);
        self.usage.is_under_way = is_sent;
        self.usage.batch = rows;
    }

    /// Answers the rows, and whether they went out.
    fn send_rows(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        (source, number): (u64, u64),
        rows: Vec<Row>,
    ) -> (Vec<Row>, bool) {
        let request = UsageRequest {
            hello: self.hello(),
            source,
            number,
            rows,
        };
        let timeout_ms = self.config.control_plane.timeout_ms;
        // What another source tells acknowledges no batch of this one.
        let question = Question::Usage(if source == self.me { number } else { 0 });
        let sent = self.send(host, now_ms, PATH, &request, question, timeout_ms);
        (request.rows, sent.is_ok())
    }

    pub(crate) fn on_usage_told(
        &mut self,
        host: &dyn Host,
        now_ms: u64,
        number: u64,
        body: Option<&[u8]>,
    ) {
        self.usage.is_under_way = false;
        let Some(body) = body else { return };
        // An answer that can't be read acknowledges nothing.
        let told = serde_json::from_slice::<UsageAnswer>(body).map_or(0, |answer| answer.number);
        if told < number {
            self.count(Metric::CallsFailed);
            self.usage.rest.lengthen(host, now_ms);
            return;
        }
        self.usage.rest.end(now_ms);
        if number == self.usage.number {
            self.usage.batch.clear();
        }
    }

    /// Tells all there is, as far as it goes without an answer: the gate closes. What was in no
    /// batch yet goes out at once, in messages that may overtake each other; so each comes from
    /// a source of its own, and none is refused for the number of another.
    pub(crate) fn tell_last_usage(&mut self, host: &dyn Host, now_ms: u64) {
        if !self.usage.batch.is_empty() && !self.usage.is_under_way {
            self.send_batch(host, now_ms);
        }
        let gathered = self.usage.gathered.take();
        self.usage.outgoing.extend(gathered);
        while !self.usage.outgoing.is_empty() {
            let rows = self.usage.next_rows();
            let source = (host.random(), 1);
            if !self.send_rows(host, now_ms, source, rows).1 {
                return;
            }
        }
    }
}
