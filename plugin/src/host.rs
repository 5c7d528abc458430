//! What the filter needs of the proxy it runs in.
//!
//! All of the filter's logic is written against [`Host`]; one file implements it for real
//! proxies, and the tests implement it in memory, with several virtual machines around one
//! map of shared data. No method panics: a host that misbehaves looks like one that has
//! nothing to say, and the callers decide what is safe then.

use std::borrow::Cow;

use crate::metrics::Metric;
use crate::pairs::Pairs;

/// A value in shared data, and the mark that a compare-and-set of it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The bytes.
    pub value: Vec<u8>,
    /// Changes with every write of the key.
    pub cas: u32,
}

/// What must be true for a write to shared data to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// The key does not exist.
    Absent,
    /// The value is still the one that was read with this mark.
    Unchanged(u32),
    /// Nothing: the value is overwritten.
    Anything,
}

/// Someone else wrote first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

/// An answer that the filter gives in the upstream's stead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u32,
    /// gRPC status; set for gRPC requests, whose clients read no other.
    pub grpc_status: Option<i32>,
    /// What the proxy's access log shows as the reason.
    pub details: &'static str,
    /// Headers beyond those the proxy sets itself.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body, or the gRPC message.
    pub body: Vec<u8>,
}

/// A question to the control plane.
#[derive(Debug)]
pub struct Call<'a> {
    /// The proxy's name for the control plane.
    pub cluster: &'a str,
    /// Headers, pseudo-headers first.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
    /// After this the host answers that the call failed, in milliseconds.
    pub timeout_ms: u64,
}

/// The call could not even be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotSent;

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallAnswer {
    /// HTTP status; none if there was no answer.
    pub status: Option<u32>,
    /// What `retry-after` asks for, in seconds; of a date it says nothing.
    pub retry_after_s: Option<u64>,
    /// The body; empty if there was no answer.
    pub body: Vec<u8>,
}

/// How loud a line in the proxy's log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For whoever looks closely.
    Debug,
    /// Worth knowing.
    Info,
    /// Someone should look.
    Warn,
    /// It does not work.
    Error,
}

/// The proxy, as the filter sees it.
///
/// Methods that speak of a request mean the one whose callback is running, or the one that
/// [`Host::enter`] named last.
pub trait Host {
    /// The monotonic clock, in milliseconds; one epoch for the whole process.
    fn now_ms(&self) -> u64;
    /// 64 bits nobody can guess.
    fn random(&self) -> u64;
    /// Reads shared data.
    fn shared_get(&self, key: &str) -> Option<Shared>;
    /// Writes shared data.
    ///
    /// # Errors
    /// [`Lost`] if what is expected is not so.
    fn shared_set(&self, key: &str, value: &[u8], expect: Expect) -> Result<(), Lost>;

    /// All request headers, or `None` where the host has none to show.
    fn request_headers(&self) -> Option<Pairs>;
    /// Removes every request header of the name.
    fn remove_request_header(&self, name: &str);
    /// Sets a request header in place of any of that name.
    fn set_request_header(&self, name: &str, value: &str);
    /// The beginning of the request body that is held back, at most so many bytes of it.
    fn request_body(&self, bytes_max: usize) -> Vec<u8>;
    /// Puts another body in the place of the one that is held back, which has so many bytes.
    fn replace_request_body(&self, bytes: usize, body: &[u8]);
    /// So many bytes of the response body that comes by or is held back, from `start` on.
    fn response_body(&self, start: usize, bytes: usize) -> Vec<u8>;
    /// Puts other bytes in the place of what comes by or is held back, which has so many.
    fn replace_response_body(&self, bytes: usize, body: &[u8]);
    /// Whether it can be kept from taking more of an answer than it has room to hold back.
    fn throttles(&self) -> bool;
    /// Lets an answer go on that was held back.
    fn resume_response(&self);
    /// Cuts the stream off.
    fn reset_response(&self);
    /// One response header; the first, if there are several.
    fn response_header(&self, name: &str) -> Option<Vec<u8>>;
    /// Sets a response header in place of any of that name.
    fn set_response_header(&self, name: &str, value: &str);
    /// Removes every response header of the name.
    fn remove_response_header(&self, name: &str);
    /// Every response header.
    fn response_headers(&self) -> Option<Pairs>;
    /// Every response trailer.
    fn response_trailers(&self) -> Option<Pairs>;
    /// One response trailer.
    fn response_trailer(&self, name: &str) -> Option<Vec<u8>>;
    /// A property of the request.
    fn property(&self, path: &[&str]) -> Option<Vec<u8>>;
    /// Writes filter state, which access logs can print.
    fn set_filter_state(&self, key: &str, value: &[u8]);
    /// Answers the request.
    fn reply(&self, reply: &Reply);
    /// Lets a paused request go on.
    fn resume(&self);

    /// Makes a context the one that is spoken of. `false` if it is gone.
    fn enter(&self, context: u32) -> bool;
    /// Asks the control plane. From root contexts only: the answer to a call from a request
    /// is lost when the request ends.
    ///
    /// # Errors
    /// [`NotSent`] if there will be no answer.
    fn call(&self, call: &Call<'_>) -> Result<u32, NotSent>;
    /// Has the root context of this virtual machine run soon.
    fn wake(&self);
    /// Adds to a counter; never called with 0.
    fn count(&self, metric: Metric, by: u64);
    /// Writes to the proxy's log.
    fn log(&self, level: Level, text: &str);
}
