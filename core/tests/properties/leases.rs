//! The five counters: merging is order-free, and what is derived from them adds up.

use creditgate_core::amount::Amount;
use creditgate_core::lease::{Counters, LeaseNumber};

use crate::generator::Generator;

/// Counters as a gateway could have them: each relation of invariant 4 holds.
pub(crate) fn counters(generator: &mut Generator) -> Counters {
    let granted = generator.below(1 << 40);
    let used = generator.below(granted + 1);
    let released = generator.below(1 << 20);
    let settled = generator.below(used + 1);
    let returned = generator.below(granted - used + 1);
    let amount = |value: u64| Amount::new(value as i64);
    Counters {
        granted: amount(granted),
        returned: amount(returned),
        reserved: amount(used + released),
        released: amount(released),
        settled: amount(settled),
    }
}

property! {
    fn merging_does_not_mind_order_or_repetition(generator) {
        let (a, b, c) = (counters(generator), counters(generator), counters(generator));
        assert_eq!(a.merged(&b), b.merged(&a));
        assert_eq!(a.merged(&b).merged(&c), a.merged(&b.merged(&c)));
        assert_eq!(a.merged(&b).merged(&b), a.merged(&b));
        assert_eq!(a.merged(&a), a);
    }
}

property! {
    fn what_is_out_is_what_remains_and_what_is_held(generator) {
        let counters = counters(generator);
        assert_eq!(counters.check(), Ok(()), "{counters:?}");
        assert_eq!(counters.outstanding(), counters.remaining().saturating_add(counters.held()), "{counters:?}");
        assert!(!counters.remaining().is_negative() && !counters.held().is_negative(), "{counters:?}");
        assert!(counters.overrun().is_zero(), "{counters:?}");
    }
}

property! {
    fn any_counters_are_judged_without_harm(generator) {
        let mut any = || Amount::new(generator.integer());
        let counters = Counters { granted: any(), returned: any(), reserved: any(), released: any(), settled: any() };
        if counters.check().is_ok() {
            assert!(!counters.held().is_negative() && counters.returned <= counters.granted, "{counters:?}");
        }
        let _ = (counters.overrun(), counters.mark(), counters.near_limit(), counters.is_balanced());
    }
}

property! {
    fn a_mark_grows_with_each_counter_of_the_gateway(generator) {
        let before = counters(generator);
        let more = Amount::new(generator.below(1 << 30) as i64 + 1);
        let mut after = before;
        let grown = match generator.below(4) {
            0 => &mut after.returned,
            1 => &mut after.reserved,
            2 => &mut after.released,
            _ => &mut after.settled,
        };
        *grown = grown.saturating_add(more);
        assert!(after.mark() > before.mark(), "{before:?} {after:?}");
    }
}

property! {
    fn a_drawn_number_is_larger_than_the_one_before(generator) {
        let now_ms = generator.below(1 << 42);
        let before = LeaseNumber(generator.bits() >> generator.below(64));
        let drawn = LeaseNumber::draw(now_ms, generator.bits() as u32, before);
        assert!(drawn > before || before.0 == u64::MAX, "{before} {drawn}");
        assert!(drawn.drawn_at_ms() >= now_ms);
        assert!(LeaseNumber::draw(now_ms, generator.bits() as u32, LeaseNumber::NONE).drawn_at_ms() == now_ms);
    }
}
