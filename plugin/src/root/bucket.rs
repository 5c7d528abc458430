//! A budget that fills with time: so many a second, at most so many at once.
//!
//! What a question costs is known only by its answer, so several may be under way when the
//! last of the budget goes. What they take beyond it is debt, repaid before anything is left
//! again: otherwise each drop that comes in would be spent as often as questions run at once.

/// A token bucket that counts thousandths.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: i64,
    level_milli: i64,
    at_ms: u64,
}

impl Bucket {
    /// A full bucket that holds the budget of one second.
    pub(crate) fn new(per_second: u32, now_ms: u64) -> Self {
        let per_second = i64::from(per_second);
        Self {
            per_second,
            level_milli: per_second.saturating_mul(1_000),
            at_ms: now_ms,
        }
    }

    /// Whether anything is left.
    pub(crate) fn has_left(&mut self, now_ms: u64) -> bool {
        self.fill(now_ms);
        self.level_milli >= 1_000
    }

    /// Takes one, on credit if there is none.
    pub(crate) fn take(&mut self, now_ms: u64) {
        self.fill(now_ms);
        self.level_milli = self.level_milli.saturating_sub(1_000);
    }

    fn fill(&mut self, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        let passed_ms = i64::try_from(passed_ms).unwrap_or(i64::MAX);
        let gained_milli = passed_ms.saturating_mul(self.per_second);
        let full_milli = self.per_second.saturating_mul(1_000);
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
        bucket.take(0);
        bucket.take(0);
        assert!(!bucket.has_left(0));
        assert!(!bucket.has_left(499));
        assert!(bucket.has_left(500));
        for _ in 0..2 {
            bucket.take(1_000_000);
        }
        assert!(!bucket.has_left(1_000_000));
    }

    #[test]
    fn what_was_taken_beyond_the_budget_is_repaid_first() {
        let mut bucket = Bucket::new(1, 0);
        for _ in 0..4 {
            bucket.take(0);
        }
        assert!(!bucket.has_left(3_999));
        assert!(bucket.has_left(4_000));
    }
}
