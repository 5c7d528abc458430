//! A budget that fills with time: so many a second, at most so many at once.
//!
//! What a lookup costs is known only when it is answered: strangers cost, customers do not.
//! So a lookup under way holds its share of the budget, and gives it back or uses it up.

/// A token bucket that counts thousandths.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: u64,
    level_milli: u64,
    /// What is under way may yet use up.
    held_milli: u64,
    at_ms: u64,
}

const ONE_MILLI: u64 = 1_000;

impl Bucket {
    /// A full bucket that holds the budget of one second.
    pub(crate) fn new(per_second: u32, now_ms: u64) -> Self {
        let per_second = u64::from(per_second);
        Self {
            per_second,
            level_milli: per_second.saturating_mul(ONE_MILLI),
            held_milli: 0,
            at_ms: now_ms,
        }
    }

    /// Whether it was used up: nothing under way could give anything back.
    pub(crate) fn is_empty(&mut self, now_ms: u64) -> bool {
        self.fill(now_ms);
        self.level_milli < ONE_MILLI
    }

    /// Holds one, if one is left that nobody holds.
    pub(crate) fn hold(&mut self, now_ms: u64) -> bool {
        self.fill(now_ms);
        let is_left = self.level_milli.saturating_sub(self.held_milli) >= ONE_MILLI;
        if is_left {
            self.held_milli = self.held_milli.saturating_add(ONE_MILLI);
        }
        is_left
    }

    /// Gives one back that was held.
    pub(crate) fn give_back(&mut self) {
        self.held_milli = self.held_milli.saturating_sub(ONE_MILLI);
    }

    /// Takes one.
    pub(crate) fn take(&mut self) {
        self.level_milli = self.level_milli.saturating_sub(ONE_MILLI);
    }

    fn fill(&mut self, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        let gained_milli = passed_ms.saturating_mul(self.per_second);
        let full_milli = self.per_second.saturating_mul(ONE_MILLI);
        self.level_milli = self
            .level_milli
            .saturating_add(gained_milli)
            .min(full_milli);
        self.at_ms = now_ms.max(self.at_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emptied_budget_comes_back_with_time_and_never_beyond_a_second() {
        let mut bucket = Bucket::new(2, 0);
        for _ in 0..2 {
            bucket.take();
        }
        assert!(bucket.is_empty(0));
        assert!(bucket.is_empty(499));
        assert!(!bucket.is_empty(500));
        assert!(!bucket.is_empty(1_000_000));
        for _ in 0..2 {
            bucket.take();
        }
        assert!(bucket.is_empty(1_000_000));
    }

    #[test]
    fn what_is_held_is_neither_left_nor_used_up() {
        let mut bucket = Bucket::new(1, 0);
        assert!(bucket.hold(0));
        assert!(!bucket.hold(0));
        assert!(!bucket.is_empty(0));
        bucket.give_back();
        assert!(bucket.hold(0));
    }
}
