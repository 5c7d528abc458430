//! A server of the test's own that takes messages and answers as it is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A message as it came: raw bytes, so that nothing is mended on the way.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1);
        lines.find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    connections: usize,
    answers: VecDeque<String>,
}

/// Takes messages until it is dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

/// An answer with this status line and body.
pub(crate) fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}")
}

impl Receiver {
    /// On a free port of this address. Gives `answers` one after the other, then 200.
    pub(crate) async fn at(address: &str, answers: &[String]) -> Self {
        let address = SocketAddr::new(address.parse().unwrap(), 0);
        Self::on(address, answers).await
    }

    /// On this very port.
    pub(crate) async fn on(address: SocketAddr, answers: &[String]) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            answers: answers.iter().cloned().collect(),
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { serve(connection, &shared).await });
            }
        });
        Self {
            address,
            state,
            task,
        }
    }

    pub(crate) fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/hooks", self.address.port())
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves one connection as long as it holds. An answer of no bytes hangs up.
async fn serve(mut connection: TcpStream, state: &Mutex<State>) {
    let mut bytes = Vec::new();
    loop {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            let ended = connection.read_buf(&mut bytes).await.unwrap_or(0) == 0;
            // It speaks plainly: who begins a secure connection is hung up on.
            if ended || !bytes[0].is_ascii_uppercase() {
                return;
            }
            continue;
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut message = Received {
            head,
            body: Vec::new(),
        };
        let length: usize = message.header("content-length").unwrap().parse().unwrap();
        while bytes.len() < end + 4 + length {
            if connection.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        }
        message.body = bytes[end + 4..end + 4 + length].to_vec();
        bytes.drain(..end + 4 + length);
        let answer = {
            let mut state = state.lock().unwrap();
            state.received.push(message);
            state.answers.pop_front()
        };
        let answer = answer.unwrap_or_else(|| self::answer("200 OK", ""));
        if answer.is_empty() || connection.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
