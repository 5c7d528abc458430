//! What must hold for every input, on every machine that counts money.
//!
//! Each property is a plain function of its inputs. A small seeded generator feeds them
//! alike here and, by wasm-bindgen-test, on wasm32: the same cases on the very instruction
//! set that the filter runs on. Natively proptest feeds them too, since it shrinks what it
//! finds (`shrinking.rs`).
//!
//! On wasm32: `cargo test -p creditgate-core --test properties --target wasm32-unknown-unknown`
//! with wasm-bindgen-test-runner as the target's runner.

/// Declares a test that runs its body for many seeds, each with a generator of its own.
/// A failed assertion should name its inputs; the seeds are the same in every run.
macro_rules! property {
    ($(#[$meta:meta])* fn $name:ident($generator:ident) $body:block) => {
        $(#[$meta])*
        #[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
        #[cfg_attr(not(target_arch = "wasm32"), test)]
        fn $name() {
            for seed in 0..crate::generator::SEEDS {
                let $generator = &mut crate::generator::Generator::new(seed);
                $body
            }
        }
    };
}

mod amounts;
mod answers;
mod cards;
mod cells;
mod conditions;
mod detail;
mod generator;
mod keys;
mod leases;
mod offline;
mod paths;
mod pricing;
mod requests;
#[cfg(not(target_arch = "wasm32"))]
mod shrinking;
mod usage;
