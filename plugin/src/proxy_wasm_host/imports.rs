//! The functions of proxy-wasm's binary interface, version 0.2.1, that the filter calls. What is not
//! [`OK`] means that there is nothing.

pub(super) type Status = u32;
pub(super) const OK: Status = 0;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    pub(super) fn proxy_log(level: u32, text: *const u8, length: usize) -> Status;
    pub(super) fn proxy_set_tick_period_milliseconds(period: u32) -> Status;
    pub(super) fn proxy_get_shared_data(
        key: *const u8,
        key_length: usize,
        value: *mut *mut u8,
        length: *mut usize,
        cas: *mut u32,
    ) -> Status;
    pub(super) fn proxy_set_shared_data(
        key: *const u8,
        key_length: usize,
        value: *const u8,
        length: usize,
        cas: u32,
    ) -> Status;
    pub(super) fn proxy_register_shared_queue(
        name: *const u8,
        length: usize,
        queue: *mut u32,
    ) -> Status;
    pub(super) fn proxy_enqueue_shared_queue(queue: u32, value: *const u8, length: usize)
    -> Status;
    pub(super) fn proxy_dequeue_shared_queue(
        queue: u32,
        value: *mut *mut u8,
        length: *mut usize,
    ) -> Status;
    pub(super) fn proxy_get_header_map_pairs(
        map: u32,
        block: *mut *mut u8,
        length: *mut usize,
    ) -> Status;
    pub(super) fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_length: usize,
        value: *mut *mut u8,
        length: *mut usize,
    ) -> Status;
    pub(super) fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_length: usize,
        value: *const u8,
        length: usize,
    ) -> Status;
    pub(super) fn proxy_remove_header_map_value(
        map: u32,
        name: *const u8,
        name_length: usize,
    ) -> Status;
    pub(super) fn proxy_get_property(
        path: *const u8,
        path_length: usize,
        value: *mut *mut u8,
        length: *mut usize,
    ) -> Status;
    pub(super) fn proxy_set_property(
        path: *const u8,
        path_length: usize,
        value: *const u8,
        length: usize,
    ) -> Status;
    pub(super) fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        most: usize,
        bytes: *mut *mut u8,
        length: *mut usize,
    ) -> Status;
    pub(super) fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        replaced: usize,
        bytes: *const u8,
        length: usize,
    ) -> Status;
    pub(super) fn proxy_continue_stream(stream: u32) -> Status;
    pub(super) fn proxy_close_stream(stream: u32) -> Status;
    pub(super) fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_length: usize,
        body: *const u8,
        body_length: usize,
        headers: *const u8,
        headers_length: usize,
        grpc_status: i32,
    ) -> Status;
    pub(super) fn proxy_set_effective_context(context: u32) -> Status;
    pub(super) fn proxy_define_metric(
        kind: u32,
        name: *const u8,
        length: usize,
        metric: *mut u32,
    ) -> Status;
    pub(super) fn proxy_increment_metric(metric: u32, by: i64) -> Status;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    pub(super) fn clock_time_get(clock: u32, precision: u64, nanoseconds: *mut u64) -> u32;
    pub(super) fn random_get(bytes: *mut u8, length: usize) -> u32;
}
