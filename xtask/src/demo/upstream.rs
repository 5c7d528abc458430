//! A small real upstream: what the filter stands before. It says hello and counts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

/// The longest body that is read, in bytes; a longer one ends the connection.
const BODY_BYTES_MAX: u64 = 1 << 20;

/// The server; it ends with the process.
pub(super) struct Upstream {
    address: SocketAddr,
    requests: Arc<AtomicU64>,
}

impl Upstream {
    /// Starts it on a free port.
    pub(super) fn start() -> Result<Self> {
        let listener =
            TcpListener::bind("127.0.0.1:0").context("could not open a port for the upstream")?;
        let address = listener.local_addr()?;
        let requests = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                // An error is a connection that went away.
                std::thread::spawn(move || serve(&stream, &counter).ok());
            }
        });
        Ok(Self { address, requests })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests have reached it.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

/// One connection: requests of HTTP/1.1 with a Content-Length or without a body, one by one.
fn serve(stream: &TcpStream, requests: &AtomicU64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split_whitespace().nth(1).unwrap_or("/").to_owned();
        let mut body_bytes = 0;
        let mut chunked = false;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
                break;
            }
            let (name, value) = header.split_once(':').unwrap_or((&header, ""));
            if name.eq_ignore_ascii_case("content-length") {
                body_bytes = value.trim().parse().unwrap_or(0);
            }
            chunked |= name.eq_ignore_ascii_case("transfer-encoding");
        }
        let last = chunked || body_bytes > BODY_BYTES_MAX;
        if !last {
            std::io::copy(&mut (&mut reader).take(body_bytes), &mut std::io::sink())?;
        }
        let number = requests.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let path: String = path.chars().filter(|c| !matches!(c, '"' | '\\')).collect();
        let body = format!(
            "{{\"hello\":\"from the upstream\",\"path\":\"{path}\",\"request\":{number}}}\n"
        );
        let connection = if last { "close" } else { "keep-alive" };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: {connection}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        writer.write_all(answer.as_bytes())?;
        if last {
            return Ok(());
        }
    }
}
