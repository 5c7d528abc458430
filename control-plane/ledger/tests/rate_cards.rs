//! Versions of rate cards: which is in force is a matter of the instant alone.

use creditgate_core::rate_card::RateCardDocument;
use creditgate_ledger::rate_card::{self, RateCardState, SCHEDULED_MAX};
use creditgate_ledger::{Refusal, Registry, Timestamp};

fn document() -> RateCardDocument {
    let text = br#"{"name": "n", "currency": "tokens", "default": "deny"}"#;
    RateCardDocument::from_json(text).unwrap()
}

fn in_force(registry: &Registry, at: Timestamp) -> Option<u64> {
    registry.rate_card("n", at).map(|card| card.head.version)
}

/// A history of puts, schedules and cancels, and the instants at which they happened.
fn history(seed: u64, mut each: impl FnMut(&mut Registry, Timestamp)) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = move |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        i64::try_from(state % bound).unwrap()
    };
    let mut registry = Registry::default();
    let mut now = Timestamp(1_000);
    for _ in 0..40 {
        now = Timestamp(now.0 + below(30));
        match below(4) {
            0 => drop(rate_card::put(&mut registry, now, "n", document(), None)),
            1 | 2 => {
                let at = Timestamp(now.0 + below(60));
                drop(rate_card::put(
                    &mut registry,
                    now,
                    "n",
                    document(),
                    Some(at),
                ));
            }
            _ => {
                let version = u64::try_from(below(20)).unwrap();
                drop(rate_card::cancel(&mut registry, now, "n", version));
            }
        }
        each(&mut registry, now);
    }
}

#[test]
fn writing_down_what_became_due_changes_nothing_of_what_is_in_force() {
    for seed in 0..150 {
        history(seed, |registry, now| {
            for later in 0..80 {
                let at = Timestamp(now.0 + later);
                let mut passed = registry.clone();
                rate_card::pass(&mut passed, at);
                assert_eq!(in_force(registry, at), in_force(&passed, at), "seed {seed}");
                let is_new = passed.rate_cards != registry.rate_cards;
                let is_told = passed.config_version > registry.config_version;
                assert_eq!(
                    is_new, is_told,
                    "gateways hear of every change, and of no other"
                );
                assert!(passed.next_rate_card_at().is_none_or(|next| next > at));
            }
        });
    }
}

#[test]
fn at_most_one_version_is_active_and_numbers_rise() {
    for seed in 0..150 {
        history(seed, |registry, now| {
            rate_card::pass(registry, now);
            let heads: Vec<_> = registry.rate_cards.iter().map(|card| &card.head).collect();
            let is_active = |state| state == RateCardState::Active;
            let active = heads.iter().filter(|head| is_active(head.state)).count();
            assert!(active <= 1, "seed {seed}");
            assert!(heads.windows(2).all(|two| two[0].version < two[1].version));
            for head in heads {
                let is_over = matches!(
                    head.state,
                    RateCardState::Superseded | RateCardState::Cancelled
                );
                assert_eq!(is_over, head.ended_at.is_some());
            }
        });
    }
}

#[test]
fn a_clock_that_is_put_back_takes_no_card_away() {
    let mut registry = Registry::default();
    let (early, late) = (Timestamp(1_000), Timestamp(2_000));
    rate_card::put(&mut registry, late, "n", document(), None).unwrap();
    assert_eq!(in_force(&registry, early), Some(1));
    rate_card::put(&mut registry, early, "n", document(), None).unwrap();
    assert_eq!(
        [early, late].map(|at| in_force(&registry, at)),
        [Some(2); 2]
    );
}

#[test]
fn only_so_many_versions_are_to_come() {
    let mut registry = Registry::default();
    let now = Timestamp(1_000);
    let later = Some(Timestamp(9_000));
    for _ in 0..SCHEDULED_MAX {
        rate_card::put(&mut registry, now, "n", document(), later).unwrap();
    }
    let refused = rate_card::put(&mut registry, now, "n", document(), later).unwrap_err();
    assert_eq!(refused.code(), "rate_cards_scheduled_max");
    rate_card::put(&mut registry, now, "other", document(), later).unwrap();
    let past = rate_card::put(&mut registry, now, "n", document(), Some(now)).unwrap_err();
    assert!(matches!(
        past,
        Refusal::Conflict {
            code: "effective_at_past",
            ..
        }
    ));
}
