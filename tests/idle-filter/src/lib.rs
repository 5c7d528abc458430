//! A filter that does nothing, with every callback that the real one has.
//!
//! What a request costs through it is the price of proxy-wasm itself; what it costs through
//! Creditgate beyond that is Creditgate's.
#![cfg(target_arch = "wasm32")]

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

struct Idle;

impl Context for Idle {}

impl RootContext for Idle {
    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Idle))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Idle {
    fn on_http_request_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        Action::Continue
    }

    fn on_log(&mut self) {}
}

#[expect(
    unsafe_code,
    reason = "the SDK's macro exports the entry point under a fixed name"
)]
mod entry {
    use super::{Idle, LogLevel, RootContext};

    proxy_wasm::main! {{
        proxy_wasm::set_log_level(LogLevel::Warn);
        proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Idle) });
    }}
}
