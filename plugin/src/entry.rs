//! What the proxy calls: thin handles around one [`Gate`] a root context.
//!
//! The gate is borrowed for the length of a callback. No host call comes back into the
//! module before it returns (replies, resumptions and answers are all deferred by the
//! host), so the borrow can't fail; should it, the request is refused rather than passed.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action as WasmAction, ContextType};

use crate::config::Config;
use crate::gate::Gate;
use crate::host::{Host, Level};
use crate::proxy_wasm_host::ProxyWasmHost;
use crate::request::Action;
use crate::request::identify::Client;
use crate::request::refusal::Refusal;
use crate::request::reply::reply;
use crate::throttle;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|id| Box::new(Root { id, shared: None }));
}}

type Handle = (Rc<ProxyWasmHost>, Rc<RefCell<Gate>>);

struct Root {
    id: u32,
    shared: Option<Handle>,
}

struct Stream {
    id: u32,
    shared: Option<Handle>,
}

fn with(shared: Option<&Handle>, act: impl FnOnce(&mut Gate, &ProxyWasmHost)) -> bool {
    let Some((host, gate)) = shared else {
        return false;
    };
    match gate.try_borrow_mut() {
        Ok(mut gate) => {
            act(&mut gate, host);
            true
        }
        Err(_) => false,
    }
}

fn action(action: Action) -> WasmAction {
    match action {
        Action::Continue => WasmAction::Continue,
        Action::Pause => WasmAction::Pause,
        Action::Throttle => {
            throttle::ask();
            WasmAction::Pause
        }
    }
}

impl Context for Root {
    fn on_http_call_response(
        &mut self,
        token: u32,
        headers: usize,
        body_bytes: usize,
        _trailers: usize,
    ) {
        with(self.shared.as_ref(), |gate, host| {
            let answer = host.call_answer(headers, body_bytes);
            gate.on_call_answer(host, token, &answer);
        });
    }

    fn on_done(&mut self) -> bool {
        with(self.shared.as_ref(), |gate, host| gate.on_done(host));
        true
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _bytes: usize) -> bool {
        let host = ProxyWasmHost::new();
        let config = Config::parse(&host.configuration());
        let configured = config.and_then(|config| {
            let key = config.gateway_key(|name| std::env::var(name).ok())?;
            Ok((config, key))
        });
        match configured {
            Ok((config, key)) => {
                host.tick_every(config.tick_ms);
                let gate = Gate::new(config, key, self.id, &host);
                self.shared = Some((Rc::new(host), Rc::new(RefCell::new(gate))));
                true
            }
            Err(error) => {
                host.log(Level::Error, &format!("creditgate: {error}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        with(self.shared.as_ref(), |gate, host| gate.on_tick(host));
    }

    fn on_queue_ready(&mut self, _queue: u32) {
        with(self.shared.as_ref(), |gate, host| {
            host.drain_queue();
            gate.on_wake(host);
        });
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            id,
            shared: self.shared.clone(),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Stream {
    fn finish(&self) {
        with(self.shared.as_ref(), |gate, host| {
            gate.finish(host, self.id)
        });
    }
}

impl Context for Stream {
    // Settles also where the host was not allowed to call `on_log`.
    fn on_done(&mut self) -> bool {
        self.finish();
        true
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, is_end: bool) -> WasmAction {
        let mut decided = Action::Pause;
        let shared = self.shared.as_ref();
        if with(shared, |gate, host| {
            decided = gate.on_request_headers(host, self.id, is_end)
        }) {
            return action(decided);
        }
        match shared {
            Some((host, _)) => {
                host.reply(&reply(Refusal::NotReady, &Client::default(), None, None))
            }
            None => ProxyWasmHost::new().reply(&reply(
                Refusal::NotReady,
                &Client::default(),
                None,
                None,
            )),
        }
        WasmAction::Pause
    }

    fn on_http_request_body(&mut self, bytes: usize, is_end: bool) -> WasmAction {
        let mut decided = Action::Pause;
        with(self.shared.as_ref(), |gate, host| {
            decided = gate.on_request_body(host, self.id, bytes, is_end)
        });
        action(decided)
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> WasmAction {
        let mut decided = Action::Pause;
        with(self.shared.as_ref(), |gate, host| {
            decided = gate.on_request_trailers(host, self.id)
        });
        action(decided)
    }

    fn on_http_response_headers(&mut self, _count: usize, is_end: bool) -> WasmAction {
        with(self.shared.as_ref(), |gate, host| {
            gate.on_response_headers(host, self.id, is_end)
        });
        WasmAction::Continue
    }

    fn on_http_response_body(&mut self, bytes: usize, is_end: bool) -> WasmAction {
        let mut decided = Action::Continue;
        with(self.shared.as_ref(), |gate, host| {
            decided = gate.on_response_body(host, self.id, bytes, is_end)
        });
        action(decided)
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> WasmAction {
        let mut decided = Action::Continue;
        with(self.shared.as_ref(), |gate, host| {
            decided = gate.on_response_trailers(host, self.id)
        });
        action(decided)
    }

    fn on_log(&mut self) {
        self.finish();
    }
}
