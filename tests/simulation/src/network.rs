//! Questions and answers between gateways and the control plane, and what befalls them.
//!
//! A question may arrive never, once or twice, and late; so may its answer. Even answers
//! that come after their call was given up are applied, as a stricter test than any proxy
//! would make; only the answer to a lookup counts at most once, as for a real callback.

use creditgate::command::{Command, Outcome};
use creditgate_core::amount::Amount;
use creditgate_core::id::InstanceId;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::{LeaseAnswer, Report, Resolved};

use super::auditor::Broken;
use super::control_plane::News;
use super::options::Fault;
use super::world::{Event, World, note};

/// How long a gateway waits for an answer other than a poll's.
pub(super) const CALL_TIMEOUT_MS: u64 = 150;

/// The rule that accounts may be limited to.
pub(super) const RULE: &str = "image";

/// What is asked.
#[derive(Debug, Clone)]
pub(super) enum Question {
    Lookup {
        payer: usize,
        generation: u32,
        lease: LeaseNumber,
        need: Amount,
        is_limited: bool,
        is_repeat: bool,
    },
    /// Reports, and the marks they were made with; none for credit that is in no cell.
    Sync {
        reports: Vec<Report>,
        marks: Vec<Option<u64>>,
    },
    Poll {
        cursor: u64,
    },
}

/// What is answered.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Unknown,
    Resolved(Box<Resolved>),
    Synced(Vec<LeaseAnswer>),
    News(News),
}

/// A question under way.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) gateway: usize,
    pub(super) gateway_life: u32,
    pub(super) instance: InstanceId,
    pub(super) worker: usize,
    pub(super) worker_life: u32,
    pub(super) sent_at_ms: u64,
    pub(super) question: Question,
    pub(super) answers: Vec<Answer>,
    /// Its worker expects nothing any more.
    pub(super) is_over: bool,
    /// A poll that the control plane holds.
    pub(super) is_held: bool,
}

impl World {
    /// Sends a question of a worker.
    pub(super) fn send(&mut self, gateway: usize, worker: usize, question: Question) -> usize {
        self.tally.calls += 1;
        let place = &self.gateways[gateway];
        let timeout_ms = match question {
            Question::Poll { .. } => self.timing().poll_hold_ms() + CALL_TIMEOUT_MS,
            _ => CALL_TIMEOUT_MS,
        };
        let call = self.calls.len();
        self.calls.push(Call {
            gateway,
            gateway_life: place.life,
            instance: place.id,
            worker,
            worker_life: place.workers[worker].life,
            sent_at_ms: self.now_ms,
            question,
            answers: Vec::new(),
            is_over: false,
            is_held: false,
        });
        let cut_off = self.now_ms < self.gateways[gateway].cut_off_until_ms;
        let life = self.control_plane.life;
        for delay_ms in self.fates(cut_off) {
            self.after(delay_ms, Event::Asked { call, life });
        }
        self.after(timeout_ms, Event::TimedOut(call));
        note!(
            self,
            "g{gateway}.{worker} call {call}: {:?}",
            self.calls[call].question
        );
        call
    }

    /// When the copies of a message arrive: none, one or two of them.
    fn fates(&mut self, cut_off: bool) -> Vec<u64> {
        let lost = self.random.per_mille(60) && self.options.allows(Fault::Loss);
        let doubled = self.random.per_mille(60) && self.options.allows(Fault::Duplication);
        let late = self.random.per_mille(80) && self.options.allows(Fault::Delay);
        let short_ms = self.random.between(1, 12);
        let long_ms = self.random.between(20, 400);
        let second_ms = self.random.between(1, 1_500);
        let is_calm = self.is_calm();
        if cut_off || (lost && !is_calm) {
            return Vec::new();
        }
        let first_ms = if late && !is_calm { long_ms } else { short_ms };
        if doubled && !is_calm {
            vec![first_ms, second_ms]
        } else {
            vec![first_ms]
        }
    }

    /// A question reaches the control plane.
    pub(super) fn asked(&mut self, call: usize, life: u32) -> Result<(), Broken> {
        if life != self.control_plane.life || self.now_ms < self.control_plane.down_until_ms {
            return Ok(());
        }
        let instance = self.calls[call].instance;
        self.control_plane.hear(self.now_ms, instance);
        match self.calls[call].question.clone() {
            Question::Lookup {
                payer,
                generation,
                lease,
                need,
                is_limited,
                ..
            } => {
                let gateway = self.control_plane.gateway;
                let known = &self.payers[payer];
                let credential = if generation == known.generation {
                    known.hash
                } else {
                    super::gateway::hash(payer, generation)
                };
                let command = Command::Resolve {
                    gateway,
                    instance,
                    credential,
                    customer: None,
                    lease,
                    need,
                    rule: is_limited.then(|| RULE.to_owned()),
                };
                match self.execute("gateway", command)? {
                    Outcome::Resolved(Some(resolved)) => {
                        self.answer(call, Answer::Resolved(resolved))
                    }
                    _ => self.answer(call, Answer::Unknown),
                }
            }
            Question::Sync { reports, .. } => {
                let mut answers = Vec::with_capacity(reports.len());
                for report in reports {
                    let command = Command::Report {
                        instance,
                        report: report.clone(),
                    };
                    let Outcome::Answer(answer) = self.execute("gateway", command)? else {
                        continue;
                    };
                    answers.push(*answer);
                    self.repeat(instance, report)?;
                }
                self.answer(call, Answer::Synced(answers));
            }
            Question::Poll { .. } => {
                self.calls[call].is_held = true;
                self.hold(call)?;
            }
        }
        Ok(())
    }

    /// Now and then a report is applied once more at once, asking for nothing: it must not
    /// move anything but lending.
    fn repeat(&mut self, instance: InstanceId, report: Report) -> Result<(), Broken> {
        if !self.random.per_mille(100) || self.options.defect.is_some() {
            return Ok(());
        }
        let again = Report {
            need: Amount::ZERO,
            wanted: Amount::ZERO,
            ..report
        };
        let executed = self.control_plane.execute(
            self.now_ms,
            "repeat",
            Command::Report {
                instance,
                report: again,
            },
        );
        let executed = executed.map_err(|error| format!("storage: {error}"))?;
        if let Some(entry) = executed.changes.entries.first() {
            return Err(format!(
                "invariant 5: a report that was repeated at once moved something: {entry:?}"
            ));
        }
        self.committed(executed).map(|_| ())
    }

    fn answer(&mut self, call: usize, answer: Answer) {
        let cut_off = self.now_ms < self.gateways[self.calls[call].gateway].cut_off_until_ms;
        let place = self.calls[call].answers.len();
        self.calls[call].answers.push(answer);
        for delay_ms in self.fates(cut_off) {
            self.after(
                delay_ms,
                Event::Answered {
                    call,
                    answer: place,
                },
            );
        }
    }

    /// Answers a held poll if there is anything to say.
    fn hold(&mut self, call: usize) -> Result<(), Broken> {
        let Question::Poll { cursor } = self.calls[call].question else {
            return Ok(());
        };
        let (instance, sent_at_ms) = (self.calls[call].instance, self.calls[call].sent_at_ms);
        let news = self
            .control_plane
            .news(self.now_ms, instance, cursor)
            .map_err(|error| error.to_string())?;
        let barred = news.barred != self.gateways[self.calls[call].gateway].barred;
        let over = self.now_ms >= sent_at_ms + self.timing().poll_hold_ms();
        if !news.changes.is_empty() || barred || over || news.cursor != cursor {
            self.calls[call].is_held = false;
            self.answer(call, Answer::News(news));
        }
        Ok(())
    }

    /// Something was committed: held polls look again.
    pub(super) fn wake_polls(&mut self) -> Result<(), Broken> {
        for gateway in 0..self.gateways.len() {
            let Some(call) = self.gateways[gateway].poll else {
                continue;
            };
            if self.calls[call].is_held {
                self.hold(call)?;
            }
        }
        Ok(())
    }

    /// The control plane forgets the polls it holds.
    pub(super) fn drop_polls(&mut self) {
        for call in &mut self.calls {
            call.is_held = false;
        }
    }

    /// Whether the worker that sent a call still is.
    fn is_there(&self, call: usize) -> bool {
        let call = &self.calls[call];
        let gateway = &self.gateways[call.gateway];
        let worker = gateway.workers.get(call.worker);
        gateway.is_up
            && gateway.life == call.gateway_life
            && worker.is_some_and(|worker| worker.life == call.worker_life)
    }

    /// An answer reaches its worker.
    pub(super) fn answered(&mut self, call: usize, answer: usize) -> Result<(), Broken> {
        if !self.is_there(call) {
            return Ok(());
        }
        let was_over = std::mem::replace(&mut self.calls[call].is_over, true);
        let answer = self.calls[call].answers[answer].clone();
        note!(
            self,
            "answer to call {call}{}: {answer:?}",
            if was_over { " (given up before)" } else { "" }
        );
        if !was_over && !matches!(answer, Answer::News(_)) {
            let (gateway, worker) = (self.calls[call].gateway, self.calls[call].worker);
            self.gateways[gateway].workers[worker].is_alone_until_ms = 0;
        }
        match answer {
            Answer::Unknown if !was_over => self.on_unknown(call),
            Answer::Resolved(resolved) if !was_over => self.on_resolved(call, &resolved),
            Answer::Synced(answers) => self.on_synced(call, &answers, was_over),
            Answer::News(news) => self.on_polled(call, &news, was_over),
            Answer::Unknown | Answer::Resolved(_) => Ok(()),
        }
    }

    /// A worker gives a call up.
    pub(super) fn timed_out(&mut self, call: usize) -> Result<(), Broken> {
        if !self.is_there(call) || std::mem::replace(&mut self.calls[call].is_over, true) {
            return Ok(());
        }
        note!(self, "call {call} timed out");
        self.on_failed(call)
    }
}
