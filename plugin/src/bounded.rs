//! A map that never grows beyond its bound: the oldest entry makes room.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// A bounded map. What was put in first goes first.
#[derive(Debug)]
pub(crate) struct Bounded<K, V> {
    entries: HashMap<K, (u64, V)>,
    order: VecDeque<(u64, K)>,
    stamp: u64,
    bound: usize,
}

impl<K: Copy + Eq + Hash, V> Bounded<K, V> {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            stamp: 0,
            bound,
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// Returns whether another entry had to go.
    pub(crate) fn insert(&mut self, key: K, value: V) -> bool {
        if self.bound == 0 {
            return false;
        }
        self.stamp = self.stamp.wrapping_add(1);
        self.entries.insert(key, (self.stamp, value));
        self.order.push_back((self.stamp, key));
        let mut evicted = false;
        // The order also holds entries that were removed or put in again since.
        while self.entries.len() > self.bound || self.order.len() > self.bound.saturating_mul(2) {
            let Some((stamp, key)) = self.order.pop_front() else {
                break;
            };
            if self
                .entries
                .get(&key)
                .is_some_and(|(current, _)| *current == stamp)
            {
                self.entries.remove(&key);
                evicted = true;
            }
        }
        evicted
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_makes_room() {
        let mut map = Bounded::new(2);
        assert!(!map.insert(1, 'a'));
        assert!(!map.insert(2, 'b'));
        assert!(map.insert(3, 'c'));
        assert_eq!(
            (map.get(&1), map.get(&2), map.get(&3)),
            (None, Some(&'b'), Some(&'c'))
        );
    }

    #[test]
    fn replacing_one_key_over_and_over_stays_bounded() {
        let mut map = Bounded::new(4);
        for round in 0..1_000 {
            map.insert(7, round);
        }
        assert_eq!(map.get(&7), Some(&999));
        assert!(map.order.len() <= 8);
    }
}
