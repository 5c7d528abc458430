//! The proxy, by way of proxy-wasm's binary interface: the only file that makes host calls.
//!
//! The SDK's wrappers panic on any status they do not expect, on names that are not UTF-8,
//! and on blocks they can't read; a panic costs every request in flight on the worker. So
//! the calls are made here directly, statuses are plain numbers, and whatever is not "ok"
//! means that there is nothing. Only what the SDK must know of, calls and their answers,
//! goes through it.

#![expect(unsafe_code, reason = "host calls are foreign functions")]

mod imports;

use std::cell::Cell;
use std::time::Duration;

use proxy_wasm::hostcalls;

use crate::host::{Call, CallAnswer, Expect, Host, Level, Lost, NotSent, Reply, Shared};
use crate::metrics::Metric;
use crate::pairs::Pairs;
use crate::throttle;
use imports::{
    OK, Status, clock_time_get, proxy_close_stream, proxy_continue_stream, proxy_define_metric,
    proxy_dequeue_shared_queue, proxy_enqueue_shared_queue, proxy_get_buffer_bytes,
    proxy_get_header_map_pairs, proxy_get_header_map_value, proxy_get_property,
    proxy_get_shared_data, proxy_increment_metric, proxy_log, proxy_register_shared_queue,
    proxy_remove_header_map_value, proxy_replace_header_map_value, proxy_send_local_response,
    proxy_set_buffer_bytes, proxy_set_effective_context, proxy_set_property, proxy_set_shared_data,
    proxy_set_tick_period_milliseconds, random_get,
};

const MAP_REQUEST_HEADERS: u32 = 0;
const MAP_RESPONSE_HEADERS: u32 = 2;
const MAP_RESPONSE_TRAILERS: u32 = 3;
const MAP_CALL_HEADERS: u32 = 6;
const BUFFER_REQUEST_BODY: u32 = 0;
const BUFFER_RESPONSE_BODY: u32 = 1;
const BUFFER_CALL_BODY: u32 = 4;
const BUFFER_CONFIGURATION: u32 = 7;
const STREAM_REQUEST: u32 = 0;
const STREAM_RESPONSE: u32 = 1;
const METRIC_COUNTER: u32 = 0;
const CLOCK_MONOTONIC: u32 = 1;
/// On an absent key any mark inserts; this one no key ever has.
const CAS_OF_ABSENT: u32 = u32::MAX;
const NANOSECONDS_PER_MS: u64 = 1_000_000;
/// Answers longer than this are not read.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The host of one root context.
#[derive(Debug)]
pub(crate) struct ProxyWasmHost {
    queue: Cell<Option<u32>>,
    /// What the host calls each counter; 0 is not defined yet, others are its number and one.
    metrics: [Cell<u32>; Metric::ALL.len()],
}

/// Takes what the host put into this module's memory.
///
/// The host asks `proxy_on_memory_allocate` for the memory, which makes it as a boxed slice
/// of exactly this length, so a vector may own and free it.
fn taken(call: impl FnOnce(*mut *mut u8, *mut usize) -> Status) -> Option<Vec<u8>> {
    let mut bytes: *mut u8 = std::ptr::null_mut();
    let mut length: usize = 0;
    let status = call(&raw mut bytes, &raw mut length);
    if status != OK {
        return None;
    }
    if bytes.is_null() {
        return Some(Vec::new());
    }
    // SAFETY: see above; the host gives every block once and keeps no pointer to it.
    Some(unsafe { Vec::from_raw_parts(bytes, length, length) })
}

fn path_of(parts: &[&str]) -> Vec<u8> {
    let mut path = Vec::with_capacity(32);
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            path.push(0);
        }
        path.extend_from_slice(part.as_bytes());
    }
    path
}

impl ProxyWasmHost {
    /// A host, with a queue of its own to wake the root by.
    pub(crate) fn new() -> Self {
        let host = Self {
            queue: Cell::new(None),
            metrics: [const { Cell::new(0) }; Metric::ALL.len()],
        };
        let name = format!("creditgate-{:016x}", host.random());
        let mut queue = 0;
        // SAFETY: pointers to live values, lengths theirs.
        let status =
            unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), &raw mut queue) };
        host.queue.set((status == OK).then_some(queue));
        host
    }

    /// The plugin's configuration.
    pub(crate) fn configuration(&self) -> Vec<u8> {
        // SAFETY: see `taken`.
        taken(|bytes, length| unsafe {
            proxy_get_buffer_bytes(BUFFER_CONFIGURATION, 0, usize::MAX, bytes, length)
        })
        .unwrap_or_default()
    }

    /// Asks for a tick every so often.
    pub(crate) fn tick_every(&self, period_ms: u64) {
        let period = u32::try_from(period_ms).unwrap_or(u32::MAX);
        // SAFETY: no pointers.
        unsafe { proxy_set_tick_period_milliseconds(period) };
    }

    /// Empties the queue by which the root was woken.
    pub(crate) fn drain_queue(&self) {
        let Some(queue) = self.queue.get() else {
            return;
        };
        // SAFETY: see `taken`.
        while taken(|bytes, length| unsafe { proxy_dequeue_shared_queue(queue, bytes, length) })
            .is_some()
        {}
    }

    /// The answer whose callback is running.
    pub(crate) fn call_answer(&self, headers: usize, body_bytes: usize) -> CallAnswer {
        if headers == 0 {
            return CallAnswer {
                status: None,
                retry_after_s: None,
                body: Vec::new(),
            };
        }
        let status = number(":status");
        let retry_after_s = match status {
            Some(200) => None,
            _ => number("retry-after"),
        };
        let most = body_bytes.min(ANSWER_BYTES_MAX);
        // SAFETY: see `taken`.
        let body = taken(|bytes, length| unsafe {
            proxy_get_buffer_bytes(BUFFER_CALL_BODY, 0, most, bytes, length)
        });
        CallAnswer {
            status,
            retry_after_s,
            body: body.unwrap_or_default(),
        }
    }
}

/// A number in a header of a call's answer.
fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    let value = header(MAP_CALL_HEADERS, name)?;
    std::str::from_utf8(&value).ok()?.parse().ok()
}

fn header(map: u32, name: &str) -> Option<Vec<u8>> {
    // SAFETY: see `taken`.
    taken(|bytes, length| unsafe {
        proxy_get_header_map_value(map, name.as_ptr(), name.len(), bytes, length)
    })
}

fn headers(map: u32) -> Option<Pairs> {
    // SAFETY: see `taken`.
    taken(|bytes, length| unsafe { proxy_get_header_map_pairs(map, bytes, length) })
        .map(Pairs::from_block)
}

fn set_header(map: u32, name: &str, value: &str) {
    // SAFETY: pointers to live slices, lengths theirs.
    unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    };
}

fn body(buffer: u32, start: usize, bytes: usize) -> Vec<u8> {
    if bytes == 0 {
        return Vec::new();
    }
    // SAFETY: see `taken`.
    let body = taken(|block, length| unsafe {
        proxy_get_buffer_bytes(buffer, start, bytes, block, length)
    });
    body.unwrap_or_default()
}

impl Host for ProxyWasmHost {
    fn now_ms(&self) -> u64 {
        let mut nanoseconds = 0;
        // SAFETY: a pointer to a live value.
        unsafe { clock_time_get(CLOCK_MONOTONIC, 0, &raw mut nanoseconds) };
        nanoseconds / NANOSECONDS_PER_MS
    }

    fn random(&self) -> u64 {
        let mut bytes = [0_u8; 8];
        // SAFETY: a pointer to a live array, its length.
        unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) };
        u64::from_le_bytes(bytes)
    }

    fn shared_get(&self, key: &str) -> Option<Shared> {
        let mut cas = 0;
        let cas_at = &raw mut cas;
        // SAFETY: see `taken`; the mark is a live value.
        let value = taken(|bytes, length| unsafe {
            proxy_get_shared_data(key.as_ptr(), key.len(), bytes, length, cas_at)
        })?;
        Some(Shared { value, cas })
    }

    fn shared_set(&self, key: &str, value: &[u8], expect: Expect) -> Result<(), Lost> {
        let cas = match expect {
            Expect::Absent => CAS_OF_ABSENT,
            Expect::Unchanged(cas) => cas,
            Expect::Anything => 0,
        };
        // SAFETY: pointers to live slices, lengths theirs.
        let status = unsafe {
            proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas)
        };
        if status == OK { Ok(()) } else { Err(Lost) }
    }

    fn request_headers(&self) -> Option<Pairs> {
        headers(MAP_REQUEST_HEADERS)
    }

    fn remove_request_header(&self, name: &str) {
        // SAFETY: a pointer to a live slice, its length.
        unsafe { proxy_remove_header_map_value(MAP_REQUEST_HEADERS, name.as_ptr(), name.len()) };
    }

    fn set_request_header(&self, name: &str, value: &str) {
        set_header(MAP_REQUEST_HEADERS, name, value);
    }

    fn request_body(&self, bytes_max: usize) -> Vec<u8> {
        body(BUFFER_REQUEST_BODY, 0, bytes_max)
    }

    fn replace_request_body(&self, bytes: usize, body: &[u8]) {
        // SAFETY: a pointer to a live slice, its length.
        unsafe { proxy_set_buffer_bytes(BUFFER_REQUEST_BODY, 0, bytes, body.as_ptr(), body.len()) };
    }

    fn response_body(&self, start: usize, bytes: usize) -> Vec<u8> {
        body(BUFFER_RESPONSE_BODY, start, bytes)
    }

    fn replace_response_body(&self, bytes: usize, body: &[u8]) {
        // SAFETY: a pointer to a live slice, its length.
        unsafe {
            proxy_set_buffer_bytes(BUFFER_RESPONSE_BODY, 0, bytes, body.as_ptr(), body.len())
        };
    }

    fn throttles(&self) -> bool {
        throttle::is_possible()
    }

    fn resume_response(&self) {
        // SAFETY: no pointers.
        unsafe { proxy_continue_stream(STREAM_RESPONSE) };
    }

    fn reset_response(&self) {
        // SAFETY: no pointers.
        unsafe { proxy_close_stream(STREAM_RESPONSE) };
    }

    fn response_header(&self, name: &str) -> Option<Vec<u8>> {
        header(MAP_RESPONSE_HEADERS, name)
    }

    fn set_response_header(&self, name: &str, value: &str) {
        set_header(MAP_RESPONSE_HEADERS, name, value);
    }

    fn remove_response_header(&self, name: &str) {
        // SAFETY: a pointer to a live slice, its length.
        unsafe { proxy_remove_header_map_value(MAP_RESPONSE_HEADERS, name.as_ptr(), name.len()) };
    }

    fn response_headers(&self) -> Option<Pairs> {
        headers(MAP_RESPONSE_HEADERS)
    }

    fn response_trailers(&self) -> Option<Pairs> {
        headers(MAP_RESPONSE_TRAILERS)
    }

    fn response_trailer(&self, name: &str) -> Option<Vec<u8>> {
        header(MAP_RESPONSE_TRAILERS, name)
    }

    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        let path = path_of(path);
        // SAFETY: see `taken`.
        taken(|bytes, length| unsafe {
            proxy_get_property(path.as_ptr(), path.len(), bytes, length)
        })
    }

    fn set_filter_state(&self, key: &str, value: &[u8]) {
        // SAFETY: pointers to live slices, lengths theirs.
        unsafe { proxy_set_property(key.as_ptr(), key.len(), value.as_ptr(), value.len()) };
    }

    fn reply(&self, reply: &Reply) {
        let headers = Pairs::of(
            reply
                .headers
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
        );
        let block = headers.block();
        // SAFETY: pointers to live slices, lengths theirs.
        unsafe {
            proxy_send_local_response(
                reply.status,
                reply.details.as_ptr(),
                reply.details.len(),
                reply.body.as_ptr(),
                reply.body.len(),
                block.as_ptr(),
                block.len(),
                reply.grpc_status.unwrap_or(-1),
            )
        };
    }

    fn resume(&self) {
        // SAFETY: no pointers.
        unsafe { proxy_continue_stream(STREAM_REQUEST) };
    }

    fn enter(&self, context: u32) -> bool {
        // SAFETY: no pointers.
        unsafe { proxy_set_effective_context(context) == OK }
    }

    fn call(&self, call: &Call<'_>) -> Result<u32, NotSent> {
        let timeout = Duration::from_millis(call.timeout_ms);
        hostcalls::dispatch_http_call(
            call.cluster,
            call.headers.to_vec(),
            Some(call.body),
            Vec::new(),
            timeout,
        )
        .map_err(|_| NotSent)
    }

    fn wake(&self) {
        if let Some(queue) = self.queue.get() {
            // SAFETY: an empty value.
            unsafe { proxy_enqueue_shared_queue(queue, std::ptr::null(), 0) };
        }
    }

    fn count(&self, metric: Metric, by: u64) {
        let Some(known) = self.metrics.get(metric as usize) else {
            return;
        };
        if known.get() == 0 {
            let name = metric.name();
            let mut defined = 0_u32;
            // SAFETY: pointers to live values, lengths theirs.
            let status = unsafe {
                proxy_define_metric(METRIC_COUNTER, name.as_ptr(), name.len(), &raw mut defined)
            };
            if status != OK {
                return;
            }
            known.set(defined.saturating_add(1));
        }
        let metric = known.get().saturating_sub(1);
        // SAFETY: no pointers.
        unsafe { proxy_increment_metric(metric, i64::try_from(by).unwrap_or(i64::MAX)) };
    }

    fn log(&self, level: Level, text: &str) {
        let level = match level {
            Level::Debug => 1,
            Level::Info => 2,
            Level::Warn => 3,
            Level::Error => 4,
        };
        // SAFETY: a pointer to a live slice, its length.
        unsafe { proxy_log(level, text.as_ptr(), text.len()) };
    }
}
