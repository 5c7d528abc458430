//! One worker: a gate, and the host as it sees it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use creditgate_core::key::{KeyKind, compose};
use creditgate_plugin::config::Config;
use creditgate_plugin::host::{
    Call, CallAnswer, Expect, Host, Level, Lost, NotSent, Reply, Shared as SharedValue,
};
use creditgate_plugin::metrics::Metric;
use creditgate_plugin::pairs::Pairs;
use creditgate_plugin::{Action, Gate};

use super::Shared;

pub(crate) const ROOT: u32 = 1;

/// A call under way.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) token: u32,
    pub(crate) path: String,
    pub(crate) authorization: String,
    pub(crate) body: Vec<u8>,
    pub(crate) until_ms: u64,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fate {
    Passed,
    Held,
    Answered(u32, serde_json::Value),
}

#[derive(Debug, Default)]
struct Memory {
    effective: Cell<u32>,
    headers: RefCell<HashMap<u32, Pairs>>,
    /// What is held back of request bodies, and what of it was changed.
    bodies: RefCell<HashMap<u32, Vec<u8>>>,
    set: RefCell<HashMap<(u32, String), String>>,
    /// What of response bodies comes by or is held back, and what has passed.
    pieces: RefCell<HashMap<u32, Vec<u8>>>,
    delivered: RefCell<HashMap<u32, Vec<u8>>>,
    reset: RefCell<HashSet<u32>>,
    removed: RefCell<Vec<String>>,
    response_headers: RefCell<HashMap<(u32, String), String>>,
    properties: RefCell<HashMap<(u32, String), Vec<u8>>>,
    filter_state: RefCell<HashMap<u32, Vec<u8>>>,
    replies: RefCell<HashMap<u32, Reply>>,
    resumed: RefCell<HashMap<u32, u32>>,
    gone: RefCell<HashSet<u32>>,
    calls: RefCell<Vec<Sent>>,
    next_token: Cell<u32>,
    is_woken: Cell<bool>,
    counts: RefCell<BTreeMap<&'static str, u64>>,
    log: RefCell<Vec<String>>,
}

#[derive(Debug)]
pub(crate) struct FakeHost {
    shared: Rc<Shared>,
    memory: Memory,
}

pub(crate) struct Worker {
    pub(crate) gate: Gate,
    pub(crate) host: FakeHost,
    next_id: u32,
    passed: HashSet<u32>,
}

impl Worker {
    pub(crate) fn new(shared: &Rc<Shared>, document: &str) -> Self {
        let host = FakeHost {
            shared: Rc::clone(shared),
            memory: Memory::default(),
        };
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
        let body = bodies.entry(id).or_default();
        body.extend_from_slice(piece);
        let buffered = body.len();
        drop(bodies);
        let bytes = match self.fate(id) {
            Fate::Passed => piece.len(),
            _ => buffered,
        };
        let decided = self.gate.on_request_body(&self.host, id, bytes, is_end);
        let replied = self.host.memory.replies.borrow().contains_key(&id);
        if decided == Action::Continue {
            assert!(!replied, "request {id} was answered and let through");
            self.passed.insert(id);
        }
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
        let passed = self.gate.on_response_body(&self.host, id, bytes, is_end);
        if passed == Action::Continue {
            self.host.deliver_piece(id);
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

    /// How often a request was let go.
    pub(crate) fn resumed(&self, id: u32) -> u32 {
        let resumed = self.host.memory.resumed.borrow();
        resumed.get(&id).copied().unwrap_or_default()
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
        self.gate.on_response_headers(&self.host, id, is_end);
    }

    pub(crate) fn trailer(&mut self, id: u32, name: &str, value: &str) {
        self.host.memory.effective.set(id);
        let mut headers = self.host.memory.response_headers.borrow_mut();
        headers.insert((id, format!("trailer:{name}")), value.to_owned());
        drop(headers);
        self.gate.on_response_trailers(&self.host, id);
    }

    pub(crate) fn finish(&mut self, id: u32) {
        self.host.memory.effective.set(id);
        self.gate.finish(&self.host, id);
        self.host.memory.gone.borrow_mut().insert(id);
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
        self.host
            .memory
            .filter_state
            .borrow()
            .get(&id)
            .map_or(serde_json::Value::Null, |text| {
                serde_json::from_slice(text).unwrap()
            })
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

impl FakeHost {
    fn set_response_header_of(&self, id: u32, name: &str, value: &str) {
        let mut headers = self.memory.response_headers.borrow_mut();
        headers.insert((id, name.to_owned()), value.to_owned());
    }

    fn deliver_piece(&self, id: u32) {
        let piece = self.memory.pieces.borrow_mut().remove(&id);
        let mut delivered = self.memory.delivered.borrow_mut();
        let delivered = delivered.entry(id).or_default();
        assert!(
            !self.memory.reset.borrow().contains(&id),
            "{id} was cut off"
        );
        delivered.extend(piece.unwrap_or_default());
    }

    fn tally(&self) {
        self.shared.host_calls.set(self.shared.host_calls.get() + 1);
    }
}

impl Host for FakeHost {
    fn now_ms(&self) -> u64 {
        self.tally();
        self.shared.now_ms.get()
    }

    fn random(&self) -> u64 {
        self.tally();
        self.shared.random()
    }

    fn shared_get(&self, key: &str) -> Option<SharedValue> {
        self.tally();
        let data = self.shared.data.borrow();
        data.get(key).map(|(value, cas)| SharedValue {
            value: value.clone(),
            cas: *cas,
        })
    }

    fn shared_set(&self, key: &str, value: &[u8], expect: Expect) -> Result<(), Lost> {
        self.tally();
        let mut data = self.shared.data.borrow_mut();
        let known = data.get(key).map(|(_, cas)| *cas);
        // As the proxy has it: on an absent key any mark inserts.
        let allowed = match (expect, known) {
            (Expect::Anything, _) | (_, None) => true,
            (Expect::Unchanged(cas), Some(known)) => cas == known,
            (Expect::Absent, Some(_)) => false,
        };
        let lost = self.shared.lost_races.get();
        if !allowed {
            return Err(Lost);
        }
        if key.starts_with('c') && lost > 0 {
            self.shared.lost_races.set(lost - 1);
            return Err(Lost);
        }
        data.insert(key.to_owned(), (value.to_vec(), self.shared.next_cas()));
        Ok(())
    }

    fn request_headers(&self) -> Option<Pairs> {
        self.tally();
        self.memory
            .headers
            .borrow()
            .get(&self.memory.effective.get())
            .cloned()
    }

    fn remove_request_header(&self, name: &str) {
        self.tally();
        self.memory.removed.borrow_mut().push(name.to_owned());
    }

    fn set_request_header(&self, name: &str, value: &str) {
        self.tally();
        let key = (self.memory.effective.get(), name.to_owned());
        self.memory.set.borrow_mut().insert(key, value.to_owned());
    }

    fn request_body(&self, bytes_max: usize) -> Vec<u8> {
        self.tally();
        let bodies = self.memory.bodies.borrow();
        let body = bodies.get(&self.memory.effective.get());
        let mut body = body.cloned().unwrap_or_default();
        body.truncate(bytes_max);
        body
    }

    fn replace_request_body(&self, bytes: usize, body: &[u8]) {
        self.tally();
        let mut bodies = self.memory.bodies.borrow_mut();
        let held = bodies.entry(self.memory.effective.get()).or_default();
        assert_eq!(held.len(), bytes, "a part of the body was replaced");
        *held = body.to_vec();
    }

    fn response_body(&self, bytes: usize) -> Vec<u8> {
        self.tally();
        let pieces = self.memory.pieces.borrow();
        let held = pieces.get(&self.memory.effective.get());
        let held = held.cloned().unwrap_or_default();
        assert_eq!(held.len(), bytes);
        held
    }

    fn replace_response_body(&self, bytes: usize, body: &[u8]) {
        self.tally();
        let mut pieces = self.memory.pieces.borrow_mut();
        let held = pieces.entry(self.memory.effective.get()).or_default();
        assert_eq!(held.len(), bytes, "a part of the piece was replaced");
        *held = body.to_vec();
    }

    fn resume_response(&self) {
        self.tally();
        self.deliver_piece(self.memory.effective.get());
    }

    fn reset_response(&self) {
        self.tally();
        self.memory
            .reset
            .borrow_mut()
            .insert(self.memory.effective.get());
    }

    fn response_header(&self, name: &str) -> Option<Vec<u8>> {
        self.tally();
        let headers = self.memory.response_headers.borrow();
        headers
            .get(&(self.memory.effective.get(), name.to_owned()))
            .map(|value| value.clone().into_bytes())
    }

    fn set_response_header(&self, name: &str, value: &str) {
        self.tally();
        let mut headers = self.memory.response_headers.borrow_mut();
        headers.insert(
            (self.memory.effective.get(), name.to_owned()),
            value.to_owned(),
        );
    }

    fn remove_response_header(&self, name: &str) {
        self.tally();
        let mut headers = self.memory.response_headers.borrow_mut();
        headers.remove(&(self.memory.effective.get(), name.to_owned()));
    }

    fn response_trailer(&self, name: &str) -> Option<Vec<u8>> {
        self.response_header(&format!("trailer:{name}"))
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        self.tally();
        let key = (self.memory.effective.get(), path.join("."));
        self.memory.properties.borrow().get(&key).cloned()
    }

    fn set_filter_state(&self, _key: &str, value: &[u8]) {
        self.tally();
        self.memory
            .filter_state
            .borrow_mut()
            .insert(self.memory.effective.get(), value.to_vec());
    }

    fn reply(&self, reply: &Reply) {
        self.tally();
        let id = self.memory.effective.get();
        assert_ne!(id, ROOT);
        assert!(
            !self.memory.resumed.borrow().contains_key(&id),
            "request {id} was let through already"
        );
        let before = self.memory.replies.borrow_mut().insert(id, reply.clone());
        assert_eq!(before, None, "request {id} is answered twice");
    }

    fn resume(&self) {
        self.tally();
        let id = self.memory.effective.get();
        assert_ne!(id, ROOT);
        assert!(
            !self.memory.replies.borrow().contains_key(&id),
            "request {id} was answered already"
        );
        *self.memory.resumed.borrow_mut().entry(id).or_default() += 1;
    }

    fn enter(&self, context: u32) -> bool {
        if self.memory.gone.borrow().contains(&context) {
            return false;
        }
        self.memory.effective.set(context);
        true
    }

    fn call(&self, call: &Call<'_>) -> Result<u32, NotSent> {
        assert_eq!(
            self.memory.effective.get(),
            ROOT,
            "a call from a request would lose its answer"
        );
        let token = self.memory.next_token.get() + 1;
        self.memory.next_token.set(token);
        let header = |name: &str| {
            let found = call.headers.iter().find(|(known, _)| *known == name);
            found.map_or_else(String::new, |(_, value)| (*value).to_owned())
        };
        self.memory.calls.borrow_mut().push(Sent {
            token,
            path: header(":path"),
            authorization: header("authorization"),
            body: call.body.to_vec(),
            until_ms: self.shared.now_ms.get() + call.timeout_ms,
        });
        Ok(token)
    }

    fn wake(&self) {
        self.memory.is_woken.set(true);
    }

    fn count(&self, metric: Metric, by: u64) {
        assert_ne!(by, 0);
        *self
            .memory
            .counts
            .borrow_mut()
            .entry(metric.name())
            .or_default() += by;
    }

    fn log(&self, _level: Level, text: &str) {
        self.memory.log.borrow_mut().push(text.to_owned());
    }
}
