//! A small source of varied inputs: SplitMix64, with a liking for the edges.

/// How many cases each property is tried with.
pub(crate) const SEEDS: u64 = 2_000;

pub(crate) struct Generator {
    state: u64,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        let state = seed.wrapping_mul(0xd134_2543_de82_ef95);
        Self { state }
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound` - 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound.max(1)
    }

    /// True once in so many times.
    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Any number; often one of few bits, or one at an end of the range.
    pub(crate) fn integer(&mut self) -> i64 {
        let bits = self.bits() as i64;
        match self.below(4) {
            0 => bits,
            1 => bits >> self.below(64),
            2 => (bits >> 60).wrapping_add(i64::MAX),
            _ => bits % 1000,
        }
    }

    pub(crate) fn bytes(&mut self, length_max: u64) -> Vec<u8> {
        let length = self.below(length_max + 1);
        (0..length).map(|_| self.bits() as u8).collect()
    }

    /// A text of these pieces.
    pub(crate) fn text(&mut self, pieces: &[&str], pieces_max: u64) -> String {
        let count = self.below(pieces_max + 1);
        (0..count).map(|_| self.pick(pieces)).collect()
    }
}
