//! The shell's clock and its source of ids: the only places that read either.

use creditgate_ledger::{Ids, Timestamp};

/// Tells the instant; a test may drive it.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the shell's one reading of the wall clock"
        )]
        let now = std::time::SystemTime::now();
        let since = now
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Ids of UUID version 7: milliseconds first, then randomness; always larger than the one before.
pub struct RandomIds<C> {
    clock: C,
    last: u128,
}

impl<C: Clock> RandomIds<C> {
    /// A source that takes its milliseconds from `clock`.
    pub const fn new(clock: C) -> Self {
        Self { clock, last: 0 }
    }
}

impl<C: Clock> Ids for RandomIds<C> {
    fn next(&mut self) -> u128 {
        const VERSION_AND_VARIANT: u128 = (0xf << 76) | (0b11 << 62);
        let ms = u128::from(self.clock.now().0.unsigned_abs()) & 0xffff_ffff_ffff;
        let random = u128::from_be_bytes(random_bytes()) & ((1 << 80) - 1);
        let drawn = ((ms << 80) | random) & !VERSION_AND_VARIANT | (7 << 76) | (0b10 << 62);
        self.last = drawn.max(self.last.saturating_add(1));
        self.last
    }
}

/// Random bytes of the operating system.
///
/// # Panics
/// If the operating system has none: nothing safe can be done without.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}
