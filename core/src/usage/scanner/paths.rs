//! Sets of watched paths.

/// A set of numbers from 0 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::usage) struct PathSet(u64);

impl PathSet {
    pub(in crate::usage) const NONE: Self = Self(0);

    /// The numbers from 0 to `count` - 1. More than 64 are 64.
    pub(in crate::usage) fn first(count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        // Shifted out altogether, all 64 are in.
        Self(!u64::MAX.checked_shl(count).unwrap_or_default())
    }

    pub(in crate::usage) const fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(in crate::usage) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(in crate::usage) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(in crate::usage) fn filter(self, mut fits: impl FnMut(u32) -> bool) -> Self {
        let mut kept = self;
        for path in self.iter() {
            if !fits(path) {
                kept = kept.without(Self::of(path));
            }
        }
        kept
    }

    pub(in crate::usage) fn iter(self) -> impl Iterator<Item = u32> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let next = (rest != 0).then(|| rest.trailing_zeros())?;
            // Without its lowest bit.
            rest &= rest.wrapping_sub(1);
            Some(next)
        })
    }

    fn of(path: u32) -> Self {
        Self(1_u64.checked_shl(path).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        assert!(PathSet::first(0).is_none());
        assert_eq!(PathSet::first(64), PathSet(u64::MAX));
        assert_eq!(PathSet::first(1000), PathSet(u64::MAX));
        let odd = PathSet::first(9).filter(|path| path % 2 == 1);
        assert!(odd.iter().eq([1, 3, 5, 7]));
        assert!(PathSet::first(4).without(odd).iter().eq([0, 2]));
        assert!(PathSet::first(4).and(odd).iter().eq([1, 3]));
    }
}
