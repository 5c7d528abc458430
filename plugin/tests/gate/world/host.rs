//! The proxy in memory, as one worker's filter sees it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use creditgate_plugin::host::{
    Call, Expect, Host, Level, Lost, NotSent, Reply, Shared as SharedValue,
};
use creditgate_plugin::metrics::Metric;
use creditgate_plugin::pairs::Pairs;

use super::Shared;

pub(crate) const ROOT: u32 = 1;
/// The filter state by which filters tell each other that a request is decided.
pub(crate) const MARK: &str = "creditgate_decided";

/// A call under way.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) token: u32,
    pub(crate) path: String,
    pub(crate) authorization: String,
    pub(crate) body: Vec<u8>,
    pub(crate) until_ms: u64,
}

/// What the proxy knows of the streams and calls of one worker.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) effective: Cell<u32>,
    pub(super) headers: RefCell<HashMap<u32, Pairs>>,
    /// What is held back of request bodies, and what of it was changed.
    pub(super) bodies: RefCell<HashMap<u32, Vec<u8>>>,
    /// How much of a request's body is held back.
    pub(super) waiting: RefCell<HashMap<u32, usize>>,
    pub(super) set: RefCell<HashMap<(u32, String), String>>,
    /// What of response bodies comes by or is held back, and what has passed.
    pub(super) pieces: RefCell<HashMap<u32, Vec<u8>>>,
    /// What is held back of them out of sight.
    pub(super) hidden: RefCell<HashMap<u32, Vec<u8>>>,
    pub(super) delivered: RefCell<HashMap<u32, Vec<u8>>>,
    pub(super) reset: RefCell<HashSet<u32>>,
    pub(super) removed: RefCell<Vec<String>>,
    pub(super) response_headers: RefCell<HashMap<(u32, String), String>>,
    pub(super) properties: RefCell<HashMap<(u32, String), Vec<u8>>>,
    pub(super) filter_state: RefCell<HashMap<(u32, String), Vec<u8>>>,
    pub(super) replies: RefCell<HashMap<u32, Reply>>,
    pub(super) resumed: RefCell<HashMap<u32, u32>>,
    pub(super) gone: RefCell<HashSet<u32>>,
    pub(super) calls: RefCell<Vec<Sent>>,
    pub(super) next_token: Cell<u32>,
    pub(super) is_woken: Cell<bool>,
    pub(super) counts: RefCell<BTreeMap<&'static str, u64>>,
    pub(super) log: RefCell<Vec<String>>,
}

#[derive(Debug)]
pub(crate) struct FakeHost {
    pub(super) shared: Rc<Shared>,
    pub(super) memory: Memory,
}

/// Between the values of a response header or trailer that is sent more than once.
pub(crate) const AGAIN: char = '\u{0}';

impl FakeHost {
    pub(super) fn set_response_header_of(&self, id: u32, name: &str, value: &str) {
        let mut headers = self.memory.response_headers.borrow_mut();
        headers.insert((id, name.to_owned()), value.to_owned());
    }

    pub(super) fn deliver_piece(&self, id: u32) {
        let hidden = self.memory.hidden.borrow_mut().remove(&id);
        let piece = self.memory.pieces.borrow_mut().remove(&id);
        let is_cut = self.memory.reset.borrow().contains(&id);
        assert!(!is_cut, "{id} was cut off");
        let mut delivered = self.memory.delivered.borrow_mut();
        let delivered = delivered.entry(id).or_default();
        delivered.extend(hidden.unwrap_or_default());
        delivered.extend(piece.unwrap_or_default());
    }

    /// What comes by is put behind what is held out of sight.
    pub(super) fn hide_piece(&self, id: u32) {
        let piece = self.memory.pieces.borrow_mut().remove(&id);
        let mut hidden = self.memory.hidden.borrow_mut();
        hidden
            .entry(id)
            .or_default()
            .extend(piece.unwrap_or_default());
    }

    pub(super) fn hides(&self, id: u32) -> bool {
        self.memory.hidden.borrow().contains_key(&id)
    }

    fn tally(&self) {
        self.shared.host_calls.set(self.shared.host_calls.get() + 1);
    }

    /// Only the first requests of a worker have to do with marks: the others' calls are counted
    /// without theirs, so that it does not matter to tests which come first.
    fn tally_of(&self, key: &str) {
        if key == MARK {
            self.shared.mark_calls.set(self.shared.mark_calls.get() + 1);
        } else {
            self.tally();
        }
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

    fn response_body(&self, start: usize, bytes: usize) -> Vec<u8> {
        self.tally();
        let pieces = self.memory.pieces.borrow();
        pieces[&self.memory.effective.get()][start..start + bytes].to_vec()
    }

    fn replace_response_body(&self, bytes: usize, body: &[u8]) {
        self.tally();
        let mut pieces = self.memory.pieces.borrow_mut();
        let held = pieces.entry(self.memory.effective.get()).or_default();
        assert_eq!(held.len(), bytes, "a part of what is held was replaced");
        *held = body.to_vec();
    }

    fn throttles(&self) -> bool {
        !self.shared.never_throttles.get()
    }

    fn resume_response(&self) {
        self.tally();
        self.deliver_piece(self.memory.effective.get());
    }

    fn reset_response(&self) {
        self.tally();
        let id = self.memory.effective.get();
        assert_ne!(id, ROOT);
        self.memory.reset.borrow_mut().insert(id);
    }

    fn response_header(&self, name: &str) -> Option<Vec<u8>> {
        self.tally();
        let headers = self.memory.response_headers.borrow();
        let values = headers.get(&(self.memory.effective.get(), name.to_owned()))?;
        // As the proxy does: the first of several.
        values.split(AGAIN).next().map(|value| value.into())
    }

    fn response_headers(&self) -> Option<Pairs> {
        self.tally();
        let headers = self.memory.response_headers.borrow();
        let own = headers
            .iter()
            .filter(|((id, _), _)| *id == self.memory.effective.get());
        let pairs = own.flat_map(|((_, name), values)| {
            let values = values.split(AGAIN);
            values.map(|value| (name.as_bytes(), value.as_bytes()))
        });
        Some(Pairs::of(pairs))
    }

    fn response_trailers(&self) -> Option<Pairs> {
        let all = self.response_headers()?;
        let trailers = all.iter().filter_map(|(name, value)| {
            let name = name.strip_prefix(b"trailer:")?;
            Some((name, value))
        });
        Some(Pairs::of(trailers))
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
        self.tally_of(path[0]);
        let properties = self.memory.properties.borrow();
        // What is said of the filter itself is known everywhere.
        let id = match path {
            ["plugin_name"] => ROOT,
            _ => self.memory.effective.get(),
        };
        // As the proxy is asked, or with dots where no key has one.
        let mut names = [path.join("\0"), path.join(".")].into_iter();
        names.find_map(|name| properties.get(&(id, name)).cloned())
    }

    fn set_filter_state(&self, key: &str, value: &[u8]) {
        self.tally_of(key);
        let key = (self.memory.effective.get(), key.to_owned());
        self.memory
            .filter_state
            .borrow_mut()
            .insert(key, value.to_vec());
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
        // What was held back has gone on.
        self.memory.waiting.borrow_mut().remove(&id);
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
