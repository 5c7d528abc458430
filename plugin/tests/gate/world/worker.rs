//! One worker: a gate, and the streams that pass it.

use std::collections::HashSet;
use std::rc::Rc;

use creditgate_core::key::{KeyKind, compose};
use creditgate_plugin::config::Config;
use creditgate_plugin::host::{CallAnswer, Reply};
use creditgate_plugin::metrics::Metric;
use creditgate_plugin::pairs::Pairs;
use creditgate_plugin::{Action, Gate};

use super::Shared;
use super::host::{FakeHost, Memory, ROOT, Sent};

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fate {
    Passed,
    Held,
    Answered(u32, serde_json::Value),
}

pub(crate) struct Worker {
    pub(crate) gate: Gate,
    pub(crate) host: FakeHost,
    next_id: u32,
    passed: HashSet<u32>,
}

impl Worker {
    pub(crate) fn new(shared: &Rc<Shared>, document: &str) -> Self {
        Self::of_filter("creditgate", shared, document)
    }

    /// A worker of the filter of this name.
    pub(crate) fn of_filter(name: &str, shared: &Rc<Shared>, document: &str) -> Self {
        let host = FakeHost {
            shared: Rc::clone(shared),
            memory: Memory::default(),
        };
        let named = (ROOT, "plugin_name".to_owned());
        let mut properties = host.memory.properties.borrow_mut();
        properties.insert(named, name.into());
        drop(properties);
        host.memory.effective.set(ROOT);
        let config = Config::parse(document.as_bytes()).unwrap();
        let key = compose(KeyKind::Gateway, &[9; 32]);
        let key = config.gateway_key(|_| Some(key.clone())).unwrap();
        let gate = Gate::new(config, key, ROOT, &host);
        Self {
            gate,
            host,
            next_id: 10,
            passed: HashSet::new(),
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.host.shared.now_ms.get()
    }

    /// Request headers arrive.
    pub(crate) fn begin(&mut self, headers: &[(&str, &str)], path: &str) -> u32 {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        self.begin_with(&headers, "GET", path)
    }

    pub(crate) fn begin_with(
        &mut self,
        headers: &[(&str, &[u8])],
        method: &str,
        path: &str,
    ) -> u32 {
        self.begin_any(headers, method, path, false)
    }

    fn begin_any(
        &mut self,
        headers: &[(&str, &[u8])],
        method: &str,
        path: &str,
        is_end: bool,
    ) -> u32 {
        self.next_id += 1;
        let id = self.next_id;
        let mut all: Vec<(&[u8], &[u8])> =
            vec![(b":method", method.as_bytes()), (b":path", path.as_bytes())];
        all.extend(
            headers
                .iter()
                .map(|(name, value)| (name.as_bytes(), *value)),
        );
        self.host
            .memory
            .headers
            .borrow_mut()
            .insert(id, Pairs::of(all));
        self.host.memory.effective.set(id);
        match self.gate.on_request_headers(&self.host, id, is_end) {
            Action::Continue => {
                self.passed.insert(id);
            }
            Action::Throttle => panic!("a request is no answer"),
            Action::Pause if is_end => {}
            Action::Pause => {
                let held = self.gate.on_request_body(&self.host, id, 0, false);
                assert_eq!(held, Action::Pause);
            }
        }
        id
    }

    /// A piece of the request's body arrives.
    pub(crate) fn send(&mut self, id: u32, piece: &[u8], is_end: bool) {
        self.host.memory.effective.set(id);
        let mut bodies = self.host.memory.bodies.borrow_mut();
        bodies.entry(id).or_default().extend_from_slice(piece);
        drop(bodies);
        let mut waiting = self.host.memory.waiting.borrow_mut();
        let held = waiting.entry(id).or_default();
        *held += piece.len();
        let bytes = *held;
        drop(waiting);
        let decided = self.gate.on_request_body(&self.host, id, bytes, is_end);
        let replied = self.host.memory.replies.borrow().contains_key(&id);
        if decided == Action::Continue {
            assert!(!replied, "request {id} was answered and let through");
            self.passed.insert(id);
            self.host.memory.waiting.borrow_mut().remove(&id);
        }
    }

    /// How often a request was let go from the root, and how much of its body waits for that.
    pub(crate) fn let_go(&self, id: u32) -> (u32, usize) {
        let resumed = self.host.memory.resumed.borrow().get(&id).copied();
        let waiting = self.host.memory.waiting.borrow().get(&id).copied();
        (resumed.unwrap_or_default(), waiting.unwrap_or_default())
    }

    /// What the upstream gets of the body.
    pub(crate) fn body(&self, id: u32) -> String {
        let bodies = self.host.memory.bodies.borrow();
        String::from_utf8(bodies[&id].clone()).unwrap()
    }

    /// A piece of the answer passes.
    pub(crate) fn answer(&mut self, id: u32, piece: &[u8], is_end: bool) {
        self.host.memory.effective.set(id);
        let mut pieces = self.host.memory.pieces.borrow_mut();
        let held = pieces.entry(id).or_default();
        held.extend_from_slice(piece);
        let bytes = held.len();
        drop(pieces);
        match self.gate.on_response_body(&self.host, id, bytes, is_end) {
            Action::Continue => self.host.deliver_piece(id),
            Action::Throttle => self.host.hide_piece(id),
            Action::Pause => assert!(
                !self.host.hides(id) || self.is_cut(id),
                "what is held of {id} is partly in sight"
            ),
        }
    }

    /// What the client has got of an answer.
    pub(crate) fn delivered(&self, id: u32) -> String {
        let delivered = self.host.memory.delivered.borrow();
        String::from_utf8(delivered.get(&id).cloned().unwrap_or_default()).unwrap()
    }

    /// Whether the filter has cut an answer off.
    pub(crate) fn is_cut(&self, id: u32) -> bool {
        self.host.memory.reset.borrow().contains(&id)
    }

    /// A request without a body arrives.
    pub(crate) fn begin_alone(
        &mut self,
        headers: &[(&str, &[u8])],
        method: &str,
        path: &str,
    ) -> u32 {
        self.begin_any(headers, method, path, true)
    }

    /// The id of the next request.
    pub(crate) const fn next_id(&self) -> u32 {
        self.next_id + 1
    }

    pub(crate) fn fate(&self, id: u32) -> Fate {
        if let Some(reply) = self.host.memory.replies.borrow().get(&id) {
            let body = serde_json::from_slice(&reply.body).unwrap_or(serde_json::Value::Null);
            return Fate::Answered(reply.status, body);
        }
        let resumed = self.host.memory.resumed.borrow().contains_key(&id);
        if resumed || self.passed.contains(&id) {
            Fate::Passed
        } else {
            Fate::Held
        }
    }

    /// Status and code of the filter's answer.
    pub(crate) fn refusal(&self, id: u32) -> (u32, String) {
        match self.fate(id) {
            Fate::Answered(status, body) => {
                (status, body["code"].as_str().unwrap_or_default().to_owned())
            }
            other => panic!("request {id} is not refused but {other:?}"),
        }
    }

    pub(crate) fn reply(&self, id: u32) -> Reply {
        self.host.memory.replies.borrow()[&id].clone()
    }

    /// The upstream answers, and the stream ends well.
    pub(crate) fn end(&mut self, id: u32, status: u16) {
        self.respond(id, status, true);
        self.finish(id);
    }

    /// The upstream will say this of itself.
    pub(crate) fn set_upstream_header(&self, id: u32, name: &str, value: &str) {
        self.host.set_response_header_of(id, name, value);
    }

    pub(crate) fn respond(&mut self, id: u32, status: u16, is_end: bool) {
        self.host.memory.effective.set(id);
        let mut headers = self.host.memory.response_headers.borrow_mut();
        headers.insert((id, ":status".into()), status.to_string());
        drop(headers);
        let details = (id, "response.code_details".to_owned());
        let mut properties = self.host.memory.properties.borrow_mut();
        properties
            .entry(details)
            .or_insert_with(|| b"via_upstream".to_vec());
        drop(properties);
        self.gate.on_response_headers(&self.host, id, is_end);
    }

    /// Trailers end an answer. Answers whether they pass.
    pub(crate) fn trailer(&mut self, id: u32, name: &str, value: &str) -> bool {
        self.host.memory.effective.set(id);
        let mut headers = self.host.memory.response_headers.borrow_mut();
        headers.insert((id, format!("trailer:{name}")), value.to_owned());
        drop(headers);
        self.gate.on_response_trailers(&self.host, id) == Action::Continue
    }

    pub(crate) fn finish(&mut self, id: u32) {
        self.host.memory.effective.set(id);
        self.gate.finish(&self.host, id);
        self.host.memory.gone.borrow_mut().insert(id);
    }

    /// The stream breaks off, and the proxy says why: by flags, and in place of who answered.
    pub(crate) fn break_off(&self, id: u32, flags: u64) {
        self.set_property(id, "response.flags", &flags.to_le_bytes());
        self.set_property(id, "response.code_details", b"why_it_broke_off");
    }

    pub(crate) fn set_property(&self, id: u32, path: &str, value: &[u8]) {
        self.host
            .memory
            .properties
            .borrow_mut()
            .insert((id, path.into()), value.to_vec());
    }

    pub(crate) fn response_header(&self, id: u32, name: &str) -> Option<String> {
        self.host
            .memory
            .response_headers
            .borrow()
            .get(&(id, name.into()))
            .cloned()
    }

    /// A request header that the filter has set.
    pub(crate) fn set_header(&self, id: u32, name: &str) -> Option<String> {
        let set = self.host.memory.set.borrow();
        set.get(&(id, name.to_owned())).cloned()
    }

    pub(crate) fn removed_headers(&self) -> Vec<String> {
        self.host.memory.removed.borrow().clone()
    }

    pub(crate) fn access_log(&self, id: u32) -> serde_json::Value {
        self.filter_state(id, "creditgate")
            .map_or(serde_json::Value::Null, |text| {
                serde_json::from_slice(&text).unwrap()
            })
    }

    /// Filter state that the filter has set.
    pub(crate) fn filter_state(&self, id: u32, key: &str) -> Option<Vec<u8>> {
        let state = self.host.memory.filter_state.borrow();
        state.get(&(id, key.to_owned())).cloned()
    }

    pub(crate) fn tick(&mut self) {
        self.host.memory.effective.set(ROOT);
        self.gate.on_tick(&self.host);
        assert_eq!(self.host.memory.effective.get(), ROOT);
    }

    pub(crate) fn wake_up(&mut self) -> bool {
        if !self.host.memory.is_woken.replace(false) {
            return false;
        }
        self.host.memory.effective.set(ROOT);
        self.gate.on_wake(&self.host);
        true
    }

    /// A wake-up that was sent never comes. Answers whether one was.
    pub(crate) fn lose_wake_up(&self) -> bool {
        self.host.memory.is_woken.replace(false)
    }

    pub(crate) fn close(&mut self) {
        self.host.memory.effective.set(ROOT);
        self.gate.on_done(&self.host);
    }

    pub(crate) fn take_calls(&self) -> Vec<Sent> {
        std::mem::take(&mut self.host.memory.calls.borrow_mut())
    }

    pub(crate) fn put_back(&self, call: Sent) {
        self.host.memory.calls.borrow_mut().push(call);
    }

    pub(crate) fn deliver(&mut self, token: u32, answer: &CallAnswer) {
        self.host.memory.effective.set(ROOT);
        self.gate.on_call_answer(&self.host, token, answer);
        assert_eq!(self.host.memory.effective.get(), ROOT);
    }

    pub(crate) fn time_out_calls(&mut self) {
        let now_ms = self.now_ms();
        let (late, under_way): (Vec<_>, Vec<_>) = self
            .take_calls()
            .into_iter()
            .partition(|call| call.until_ms <= now_ms);
        for call in under_way {
            self.put_back(call);
        }
        for call in late {
            self.deliver(
                call.token,
                &CallAnswer {
                    status: None,
                    retry_after_s: None,
                    body: Vec::new(),
                },
            );
        }
    }

    /// A counter, as far as it was handed over.
    pub(crate) fn count(&self, metric: Metric) -> u64 {
        self.host
            .memory
            .counts
            .borrow()
            .get(metric.name())
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.host.memory.log.borrow().clone()
    }
}
