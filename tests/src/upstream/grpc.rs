//! Answers to gRPC calls: messages, and a status in the trailers.
//!
//! `x-behave` says how: `grpc=13` (the status, without it 0), `units=7` (0, and a trailer
//! `x-units` beside it), `alone=7` (the same, but no message, so that both are headers), `bare=13` (a status without a message),
//! `stream=20,50` (messages, ms between), `cut=3` (messages, then the stream breaks).

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Request, Response};
use tokio::sync::mpsc;

use super::{Body, Chunks, full};
use crate::clock::{ms, pause};

/// One message of five letters, with the five bytes that say so.
const MESSAGE: &[u8] = b"\x00\x00\x00\x00\x05hello";

/// How a call ends.
enum End {
    Status(u64),
    Units(u64),
    Broken,
}

/// Whether it is a call.
pub(super) fn is_call<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get("content-type");
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// The answer to a call.
pub(super) fn answer(verb: &str, first: u64, second: u64) -> Response<Body> {
    let alone: &[(&'static str, u64)] = match verb {
        "alone" => &[("grpc-status", 0), ("x-units", first)],
        "bare" => &[("grpc-status", first)],
        _ => &[],
    };
    if !alone.is_empty() {
        let mut response = Response::new(full(Bytes::new()));
        *response.headers_mut() = numbers(alone);
        return as_grpc(response);
    }
    let (messages, gap, end) = match verb {
        "grpc" => (1, Duration::ZERO, End::Status(first)),
        "units" => (1, Duration::ZERO, End::Units(first)),
        "stream" => (first, ms(second), End::Status(0)),
        "cut" => (first, Duration::ZERO, End::Broken),
        _ => (1, Duration::ZERO, End::Status(0)),
    };
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for number in 0..messages {
            if number > 0 {
                pause(gap).await;
            }
            let message = Frame::data(Bytes::from_static(MESSAGE));
            if sender.send(Ok(message)).await.is_err() {
                return;
            }
        }
        let last = match end {
            End::Status(status) => Ok(trailers(&[("grpc-status", status)])),
            End::Units(units) => Ok(trailers(&[("grpc-status", 0), ("x-units", units)])),
            End::Broken => {
                // What was sent shall leave before the stream breaks.
                pause(ms(20)).await;
                Err(std::io::Error::other("reset on purpose"))
            }
        };
        let _ = sender.send(last).await;
    });
    as_grpc(Response::new(Chunks(receiver).boxed()))
}

fn as_grpc(mut response: Response<Body>) -> Response<Body> {
    let content_type = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", content_type);
    response
}

fn trailers(of: &[(&'static str, u64)]) -> Frame<Bytes> {
    Frame::trailers(numbers(of))
}

fn numbers(of: &[(&'static str, u64)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, number) in of {
        map.insert(*name, HeaderValue::from(*number));
    }
    map
}
