//! A process in memory: workers around one map of shared data, a clock that stands until it
//! is moved, and a small control plane that lends from one purse.

mod host;
mod plane;
mod worker;

pub(crate) use host::{AGAIN, MARK};
pub(crate) use plane::{Account, Plane, account};
pub(crate) use worker::{Fate, Worker};

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use creditgate_core::cell::Cell as AccountCell;
use creditgate_core::id::AccountId;
use creditgate_core::key::{KeyKind, compose};

/// What all workers of a process share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) now_ms: Cell<u64>,
    pub(crate) data: RefCell<HashMap<String, (Vec<u8>, u32)>>,
    cas: Cell<u32>,
    seed: Cell<u64>,
    /// So many writes to cells fail as if someone else came first.
    pub(crate) lost_races: Cell<u32>,
    /// The proxy takes all that comes of an answer, however much it holds.
    pub(crate) never_throttles: Cell<bool>,
    /// Calls to the host, those aside that are of marks.
    pub(crate) host_calls: Cell<u64>,
    /// Marks of other filters that were looked for, and own ones that were left.
    pub(crate) mark_calls: Cell<u64>,
}

impl Shared {
    fn next_cas(&self) -> u32 {
        self.cas.set(self.cas.get() + 1);
        self.cas.get()
    }

    fn random(&self) -> u64 {
        // SplitMix64: the same numbers in every run.
        self.seed
            .set(self.seed.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.seed.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Every cell that belongs to somebody.
    pub(crate) fn cells(&self) -> Vec<AccountCell> {
        let data = self.data.borrow();
        let cells = data.iter().filter(|(key, _)| key.starts_with('c'));
        cells
            .filter_map(|(_, (value, _))| AccountCell::from_bytes(value).ok())
            .filter(|cell| cell.account.0 != 0)
            .collect()
    }

    /// The one cell there is.
    pub(crate) fn cell(&self) -> AccountCell {
        let mut cells = self.cells();
        assert_eq!(cells.len(), 1);
        cells.remove(0)
    }

    /// The cells of an account.
    pub(crate) fn cells_of(&self, account: AccountId) -> Vec<AccountCell> {
        let mut cells = self.cells();
        cells.retain(|cell| cell.account == account);
        cells
    }

    /// Empties every cell's slot, as an eviction would.
    pub(crate) fn erase_cells(&self) {
        self.data
            .borrow_mut()
            .retain(|key, _| !key.starts_with('c'));
    }
}

/// A process with its workers, and a control plane.
pub(crate) struct World {
    pub(crate) shared: Rc<Shared>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) plane: Plane,
}

impl World {
    /// So many workers, and so much in the purse of customer 1.
    pub(crate) fn new(workers: u32, purse: i64) -> Self {
        Self::with_config(workers, purse, "")
    }

    pub(crate) fn with_config(workers: u32, purse: i64, config: &str) -> Self {
        let shared = Rc::new(Shared::default());
        shared.now_ms.set(1_000_000);
        let document = format!(r#"{{"control_plane": {{"cluster": "creditgate"}}{config}}}"#);
        let workers = (0..workers)
            .map(|_| Worker::new(&shared, &document))
            .collect();
        let mut world = Self {
            shared,
            workers,
            plane: Plane::new(purse),
        };
        world.pass(40);
        world
    }

    /// A world whose rate card has these rules, and two models, in tokens.
    pub(crate) fn with_rules(purse: i64, config: &str, rules: serde_json::Value) -> Self {
        let mut world = Self::with_config(1, purse, config);
        world.plane.card = serde_json::json!({
            "name": "test", "currency": "tokens", "scale": 0, "default": "deny",
            "models": [{ "model": "small", "per": 1, "input": 1, "output": 2 },
                { "model": "large*", "per": 1, "input": 10, "output": 20 }],
            "rules": rules,
        });
        world.plane.config_version += 1;
        world.pass(40);
        world
    }

    /// Lets every call be answered and every wake-up happen, without time passing.
    pub(crate) fn settle(&mut self) {
        for _ in 0..1_000 {
            let mut moved = false;
            for worker in &mut self.workers {
                moved |= worker.wake_up();
                for call in worker.take_calls() {
                    match self.plane.answer(&call, worker.now_ms()) {
                        Some(answer) => {
                            worker.deliver(call.token, &answer);
                            moved = true;
                        }
                        None => worker.put_back(call),
                    }
                }
            }
            if !moved {
                return;
            }
        }
        panic!("the workers never come to rest");
    }

    /// Time passes in ticks of 20 ms.
    pub(crate) fn pass(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(20) {
            self.shared.now_ms.set(self.shared.now_ms.get() + 20);
            for worker in &mut self.workers {
                worker.time_out_calls();
                worker.tick();
            }
            self.settle();
        }
    }

    /// One request, and all that follows at once.
    pub(crate) fn get(&mut self, worker: usize, path: &str) -> u32 {
        let id = self.workers[worker].begin(&[("x-api-key", &key(1))], path);
        self.settle();
        id
    }

    /// A request that is answered with `status`.
    pub(crate) fn get_and_end(&mut self, worker: usize, path: &str, status: u16) -> u32 {
        let id = self.get(worker, path);
        self.workers[worker].end(id, status);
        id
    }
}

/// A well-formed key that nobody was given.
pub(crate) fn invented_key(number: u32) -> String {
    let mut bytes = [0xee; 32];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    compose(KeyKind::Consumer, &bytes)
}

/// A customer's key.
pub(crate) fn key(customer: u8) -> String {
    compose(KeyKind::Consumer, &[customer; 32])
}
