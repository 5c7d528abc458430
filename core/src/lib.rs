//! Creditgate's pure core: what the filter and the control plane must agree on.
//!
//! No clock, no randomness, no I/O, no floats for money. Both halves compile this
//! crate, so that they agree is true by construction.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::float_arithmetic
    )
)]

#[cfg(all(feature = "defects", not(debug_assertions)))]
compile_error!("the feature `defects` is for tests: nothing that is shipped may be built with it");

pub mod amount;
pub mod cell;
#[cfg(feature = "defects")]
pub mod defects;
pub mod detail;
pub mod id;
pub mod key;
pub mod lease;
pub mod outage;
pub mod protocol;
pub mod rate_card;
pub mod usage;
