//! A proxy between Envoy and the control plane that counts questions and can harm them.
//!
//! It speaks HTTP, so a fault can be for one kind of question: the long poll is down while
//! syncs work; an answer is held back until a later one has overtaken it. With a certificate
//! it is also what stands in front of a control plane that is reached by TLS.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::clock::pause;

/// What befalls the questions to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks, also for questions under way; the control plane may have seen them.
    Cut,
    /// The control plane answers, and the answer is lost.
    LoseAnswer,
    /// The question is delivered late.
    Delay(Duration),
    /// The answer is kept back until the fault is lifted, then delivered.
    HoldAnswer,
}

type Faults = BTreeMap<String, Fault>;

/// The proxy; it stops when dropped.
pub struct FaultProxy {
    address: SocketAddr,
    calls: Arc<Mutex<BTreeMap<String, u64>>>,
    faults: watch::Sender<Faults>,
    task: JoinHandle<()>,
}

/// The path of resolve questions.
pub const RESOLVE: &str = "/v1/gateway/resolve";
/// The path of sync questions.
pub const SYNC: &str = "/v1/gateway/sync";
/// The path of usage detail.
pub const USAGE: &str = "/v1/gateway/usage";
/// The path of long polls.
pub const POLL: &str = "/v1/gateway/poll";

impl FaultProxy {
    /// Starts one on a free port, in front of `target`; with TLS, if given.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(target: SocketAddr, tls: Option<TlsAcceptor>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let calls = Arc::default();
        let (faults, _) = watch::channel(Faults::new());
        let forward = Forward {
            target,
            client: Client::builder(TokioExecutor::new()).build_http(),
            calls: Arc::clone(&calls),
            faults: faults.clone(),
        };
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let (forward, tls) = (forward.clone(), tls.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let forward = forward.clone();
                        async move { forward.carry(request).await }
                    });
                    let server = hyper::server::conn::http1::Builder::new();
                    // Errors are connections that went away, many on purpose.
                    match tls {
                        None => drop(server.serve_connection(TokioIo::new(stream), service).await),
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                drop(server.serve_connection(TokioIo::new(stream), service).await);
                            }
                        }
                    }
                });
            }
        });
        Ok(Self {
            address,
            calls,
            faults,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many questions to a path have come.
    #[must_use]
    pub fn calls(&self, path: &str) -> u64 {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.get(path).copied().unwrap_or_default()
    }

    /// Harms the questions to a path from now on.
    pub fn harm(&self, path: &str, fault: Fault) {
        self.faults.send_modify(|faults| {
            faults.insert(path.into(), fault);
        });
    }

    /// Lifts the fault of a path.
    pub fn heal(&self, path: &str) {
        self.faults.send_modify(|faults| {
            faults.remove(path);
        });
    }

    /// Harms everything.
    pub fn harm_all(&self, fault: Fault) {
        for path in [RESOLVE, SYNC, POLL] {
            self.harm(path, fault);
        }
    }

    /// Lifts all faults.
    pub fn heal_all(&self) {
        self.faults.send_modify(Faults::clear);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Forward {
    target: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    calls: Arc<Mutex<BTreeMap<String, u64>>>,
    faults: watch::Sender<Faults>,
}

impl Forward {
    async fn carry(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let path = request.uri().path().to_owned();
        {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            *calls.entry(path.clone()).or_default() += 1;
        }
        let mut faults = self.faults.subscribe();
        let is = |faults: &Faults, fault: Fault| faults.get(&path) == Some(&fault);
        let cut = async {
            // The sender lives as long as `self`.
            let _ = faults.wait_for(|faults| is(faults, Fault::Cut)).await;
        };
        let answered = tokio::select! {
            biased;
            () = cut => return Err(std::io::Error::other("cut on purpose")),
            answered = self.ask(&path, request) => answered?,
        };
        let mut faults = self.faults.subscribe();
        if is(&faults.borrow(), Fault::LoseAnswer) {
            return Err(std::io::Error::other("answer lost on purpose"));
        }
        let _ = faults
            .wait_for(|faults| !is(faults, Fault::HoldAnswer))
            .await;
        Ok(answered)
    }

    async fn ask(
        &self,
        path: &str,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let delay = match self.faults.borrow().get(path) {
            Some(Fault::Delay(delay)) => Some(*delay),
            _ => None,
        };
        if let Some(delay) = delay {
            pause(delay).await;
        }
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?;
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = format!("http://{}{path}", self.target)
            .parse()
            .map_err(std::io::Error::other)?;
        let request = Request::from_parts(head, Full::new(body.to_bytes()));
        let response = self
            .client
            .request(request)
            .await
            .map_err(std::io::Error::other)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?;
        Ok(Response::from_parts(head, Full::new(body.to_bytes())))
    }
}
