//! Creditgate's filter: it admits a request or refuses it, inside the proxy, from memory.
//!
//! The logic knows nothing of proxies: it is written against [`host::Host`] and tested
//! natively, with several virtual machines around one map of shared data. What speaks
//! proxy-wasm (`entry`, `proxy_wasm_host`, `throttle`) exists only in the .wasm module. Nothing in here may trap:
//! a trap takes every request in flight on its worker with it.
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

mod bounded;
pub mod config;
mod credential;
#[cfg(target_arch = "wasm32")]
mod entry;
mod gate;
pub mod host;
mod leader;
pub mod metrics;
pub mod pairs;
#[cfg(target_arch = "wasm32")]
mod proxy_wasm_host;
mod request;
mod root;
mod shared;
#[cfg(feature = "test-trap")]
mod spoil;
#[cfg(target_arch = "wasm32")]
mod throttle;

pub use gate::Gate;
pub use request::Action;
pub use request::refusal::Refusal;
