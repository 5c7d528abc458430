//! An answer to the proxy that the SDK has no word for: hold back what has come of a response's body,
//! and take no more from the upstream than the proxy's buffer has room for.
//!
//! The proxy asks `proxy_on_response_body`, which the SDK defines, and whose answers are "go on" and
//! "hold": held that way, the proxy reads on until its buffer is full, and then gives the response
//! up. So the shipped module exports the function below under that name, and it asks the SDK's.
//! `cargo xtask` sees to that once the module is linked; one that cargo alone has built never
//! throttles.

#![expect(unsafe_code, reason = "it is called by name, and calls by name")]

use std::cell::Cell;

/// `StopIterationAndWatermark` of the proxy's filters.
const HOLD_AND_THROTTLE: u32 = 2;

/// How the callback that is running was called, and what it has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// By the SDK's name; no such answer can be given.
    Never,
    Not,
    Throttle,
}

thread_local! {
    static ASKED: Cell<Asked> = const { Cell::new(Asked::Never) };
}

unsafe extern "C" {
    safe fn proxy_on_response_body(context: u32, bytes: usize, is_end: bool) -> u32;
}

/// A piece of a response's body comes by.
#[unsafe(no_mangle)]
extern "C" fn creditgate_on_response_body(context: u32, bytes: usize, is_end: bool) -> u32 {
    ASKED.set(Asked::Not);
    let answer = proxy_on_response_body(context, bytes, is_end);
    match ASKED.get() {
        Asked::Throttle => HOLD_AND_THROTTLE,
        Asked::Never | Asked::Not => answer,
    }
}

/// Whether the answer can be given: from the first piece on that came by the filter's own name.
pub(crate) fn is_possible() -> bool {
    ASKED.get() != Asked::Never
}

/// Has the callback that is running answer so.
pub(crate) fn ask() {
    if is_possible() {
        ASKED.set(Asked::Throttle);
    }
}
