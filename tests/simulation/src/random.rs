//! The only source of chance in a schedule: SplitMix64, seeded. Two runs of a seed are the
//! same to the last message.

/// A seeded generator.
#[derive(Debug, Clone)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    /// The generator of a seed. Neighbouring seeds have nothing in common.
    #[must_use]
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0xd134_2543_de82_ef95) ^ 0x5851_f42d_4c95_7f2d,
        }
    }

    /// 64 random bits.
    pub(super) const fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound` − 1; zero for a bound of zero.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        let bits = self.bits();
        if bound == 0 { 0 } else { bits % bound }
    }

    /// A number from `least` to `most`, both included.
    pub(super) const fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// True so many times in a thousand.
    pub(super) const fn per_mille(&mut self, times: u64) -> bool {
        self.below(1_000) < times
    }

    /// A place in a list of this length.
    pub(super) fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }

    /// A small positive amount; mostly few, sometimes many.
    pub(super) fn cost(&mut self) -> i64 {
        let most = if self.per_mille(100) { 60 } else { 8 };
        i64::try_from(self.between(1, most)).unwrap_or(1)
    }
}
