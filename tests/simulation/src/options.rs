//! What a schedule may contain.

use creditgate_core::defects::Defect;

/// A kind of adversity, each of which can be left out of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Fault {
    /// Questions and answers are lost.
    Loss = 1,
    /// Questions and answers arrive twice, the second time long after.
    Duplication = 1 << 1,
    /// Some messages take much longer than others, and so overtake one another.
    Delay = 1 << 2,
    /// A gateway process ends at once.
    Crash = 1 << 3,
    /// One cell is erased.
    LostCell = 1 << 4,
    /// A worker traps: its requests never settle.
    Trap = 1 << 5,
    /// The control plane restarts.
    Restart = 1 << 6,
    /// A gateway is cut off for longer than the silence that quarantines it.
    Partition = 1 << 7,
    /// Lots expire.
    Expiry = 1 << 8,
    /// Lots are voided.
    Void = 1 << 9,
    /// Customers are suspended and resumed.
    Suspension = 1 << 10,
    /// Wallets are frozen and thawed.
    Freeze = 1 << 11,
    /// Gateways are drained and replaced.
    Drain = 1 << 12,
    /// Credentials are rotated.
    Rotation = 1 << 13,
    /// An operator decides over quarantined credit before the policy does.
    Operator = 1 << 14,
    /// Cells that hold nothing are given to others.
    Reuse = 1 << 15,
    /// Customers get wallets that are limited to a rule.
    Limit = 1 << 16,
    /// Who can't reach the control plane spends from an allowance.
    Offline = 1 << 17,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Loss,
        Self::Duplication,
        Self::Delay,
        Self::Crash,
        Self::LostCell,
        Self::Trap,
        Self::Restart,
        Self::Partition,
        Self::Expiry,
        Self::Void,
        Self::Suspension,
        Self::Freeze,
        Self::Drain,
        Self::Rotation,
        Self::Operator,
        Self::Reuse,
        Self::Limit,
        Self::Offline,
    ];
}

/// Which schedule, with what in it.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Everything follows from it.
    pub seed: u64,
    /// The faults that may happen, as bits of [`Fault`].
    pub faults: u32,
    /// Whether to keep a trace.
    pub trace: bool,
    /// A defect to plant.
    pub defect: Option<Defect>,
}

impl Options {
    /// A seed's schedule with every fault.
    #[must_use]
    pub const fn seed(seed: u64) -> Self {
        Self {
            seed,
            faults: 0x3_ffff,
            trace: false,
            defect: None,
        }
    }

    /// Every fault but those that make a process forget, or keep it from speaking, or from
    /// learning what became of its own question (one that arrives after its repeat was answered,
    /// a key revoked before the repeat).
    #[must_use]
    pub const fn gentle(seed: u64) -> Self {
        let forgets = Fault::Crash as u32 | Fault::LostCell as u32 | Fault::Trap as u32;
        let late = Fault::Duplication as u32 | Fault::Delay as u32;
        let misses = Fault::Partition as u32 | Fault::Rotation as u32 | late;
        let all = Self::seed(seed);
        Self {
            faults: all.faults & !(forgets | misses),
            ..all
        }
    }

    /// Whether nothing can be lost: then nothing is ever set aside.
    #[must_use]
    pub const fn is_gentle(&self) -> bool {
        self.faults & !Self::gentle(0).faults == 0
    }

    /// Whether a fault may happen.
    #[must_use]
    pub const fn allows(&self, fault: Fault) -> bool {
        self.faults & fault as u32 != 0
    }
}
