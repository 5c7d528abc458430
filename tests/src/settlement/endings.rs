//! The endings of the columns: what the upstream is told, what Envoy does, and what the client sees.
//!
//! `refused`: the upstream says 4xx, or NOT_FOUND by gRPC. `failed`: it says 500, or INTERNAL; `bare5` and
//! `bare13` are the same without a message, so that there are no trailers. `reset`: it breaks the connection
//! without an answer; `cut_off`: in the middle of one. `retried`: it says 503, and at the second try 200;
//! `used_up`: 503 (UNAVAILABLE) however often. `redirected`: it says 302, and Envoy goes there.
//!
//! `left`: the client goes away before there is an answer; `uploading`: before its own request is whole;
//! `aborted`: in the middle of an answer; `refused_aborted`: of one of 4xx.
//!
//! `timed_out`: Envoy gives up waiting; `late`: in the middle of an answer; `stalled`: nothing more comes in the
//! middle of one. `expired`: the upstream's stream may last no longer, and `overlong`: in the middle of an answer;
//! `capped` and `curtailed`: the same of the client's.
//!
//! `replied`: a route of Envoy's answers 403; `filtered`: a filter behind ours does; `unrouted`: there is no
//! route. `unreachable`: nobody listens at the upstream; `overflow`: there is no room for another request to it.

use super::Cell;
use crate::envoy::Setup;

impl Cell {
    /// What the upstream is told.
    pub(super) fn behaviour(&self) -> &'static str {
        let (calls, tokens, whole) = (self.is_call(), self.has_tokens(), self.is_whole());
        match self.ending.as_str() {
            "refused" if calls => "grpc=5",
            "refused" if tokens => "status=429",
            "refused" => "status=404",
            "failed" if calls => "grpc=13",
            "failed" => "status=500",
            "bare5" => "bare=5",
            "bare13" => "bare=13",
            "reset" => "reset",
            "used_up" if calls => "bare=14",
            "used_up" => "status=503",
            "cut_off" if whole => "split=9 cut=3",
            "cut_off" if tokens => "events=50 cut=3",
            "cut_off" => "cut=3",
            "retried" if tokens => "fail-first input=7 output=5",
            "retried" => "fail-first",
            "redirected" if tokens => "redirect-first input=7 output=5",
            "redirected" => "redirect-first",
            "refused_aborted" if tokens => "status=429 split=2 gap=50",
            "refused_aborted" => "status=404,50",
            "aborted" | "late" | "overlong" | "curtailed" if whole => "split=9 gap=500",
            "aborted" | "late" | "overlong" | "curtailed" if tokens => "events=100 gap=500",
            "aborted" | "late" | "overlong" | "curtailed" => "stream=100,50",
            "stalled" if whole => "split=9 gap=60000",
            "stalled" if tokens => "events=2 gap=60000",
            "stalled" => "stream=2,60000",
            "timed_out" | "expired" | "capped" | "left" => "hang",
            _ if tokens => "input=7 output=5",
            _ => "",
        }
    }

    /// The status that the client sees: a gRPC call's is always 200.
    pub(super) fn status(&self) -> u16 {
        match self.ending.as_str() {
            _ if self.is_call() => 200,
            "refused" | "refused_aborted" if self.has_tokens() => 429,
            "refused" | "refused_aborted" => 404,
            "failed" => 500,
            "unrouted" => 404,
            "reset" | "unreachable" | "overflow" | "used_up" => 503,
            "timed_out" | "expired" | "capped" => 504,
            "replied" | "filtered" => 403,
            _ => 200,
        }
    }

    /// Whether the answer breaks off.
    pub(super) fn breaks(&self) -> bool {
        matches!(
            self.ending.as_str(),
            "cut_off" | "late" | "stalled" | "overlong" | "curtailed"
        )
    }
}

/// A route for requests that are to end so.
fn route(ending: &str, action: &str) -> String {
    format!(
        "
              - match: {{ prefix: \"/\", headers: [{{ name: x-ending, string_match: {{ exact: {ending} }} }}] }}
                {action}"
    )
}

const RBAC: &str = "          - name: envoy.filters.http.rbac
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
              rules:
                action: DENY
                policies:
                  filtered:
                    permissions: [{ header: { name: x-ending, string_match: { exact: filtered } } }]
                    principals: [{ any: true }]
";

const NO_ROOM: &str =
    "    circuit_breakers: { thresholds: [{ max_requests: 0, max_pending_requests: 0 }] }
";

/// Time for the beginning of an answer.
const BRIEF: &str = "    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        common_http_protocol_options: { max_stream_duration: 1.5s }
        use_downstream_protocol_config: { http2_protocol_options: {} }
";

const BRIEF_STREAM: &str = "timeout: 0s, max_stream_duration: { max_stream_duration: 1.5s }";

/// An upstream at which nobody listens, one that has no room, and one whose streams must be brief.
fn clusters(nowhere: u16) -> String {
    let cluster = |name: &str, port: &str, more: &str| {
        format!(
            "  - name: {name}
    type: STATIC
    connect_timeout: 5s
{more}    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}

"
        )
    };
    let nowhere = nowhere.to_string();
    cluster("nowhere", &nowhere, "")
        + &cluster("full", &nowhere, NO_ROOM)
        + &cluster("brief", "${UPSTREAM_PORT}", BRIEF)
}

/// As many retries at the same time as there are requests: Envoy's own limit is 3.
const RETRIES: &str = "- name: upstream
    circuit_breakers: { thresholds: [{ max_retries: 1000 }] }
    typed";

/// An Envoy in which requests end as their `x-ending` says. At the port `nowhere` nobody listens.
pub(super) fn setup(nowhere: u16) -> Setup {
    let to_upstream = |more: &str| format!("route: {{ cluster: upstream, {more} }}");
    let retrying = to_upstream("retry_policy: { retry_on: \"5xx,unavailable\", num_retries: 2 }");
    let routes = [
        route("timed_out", &to_upstream("timeout: 0.3s")),
        route("late", &to_upstream("timeout: 1.5s")),
        route("stalled", &to_upstream("timeout: 0s, idle_timeout: 2s")),
        route("expired", "route: { cluster: brief }"),
        route("overlong", "route: { cluster: brief }"),
        route("capped", &to_upstream(BRIEF_STREAM)),
        route("curtailed", &to_upstream(BRIEF_STREAM)),
        route("retried", &retrying),
        route("used_up", &retrying),
        route("redirected", &to_upstream("internal_redirect_policy: {}")),
        route("unreachable", "route: { cluster: nowhere }"),
        route("overflow", "route: { cluster: full }"),
        route("replied", "direct_response: { status: 403 }"),
    ];
    let (any, routed) = (
        "{ prefix: \"/\" }",
        "{ prefix: \"/\", headers: [{ name: x-ending, string_match: { exact: unrouted }, invert_match: true }] }",
    );
    let plane = "  - name: creditgate\n    type: STRICT_DNS";
    Setup::default()
        .reading_bodies()
        .logging()
        .between("", RBAC)
        .edit(&format!("match: {any}"), &format!("match: {routed}"))
        .edit("routes:", &format!("routes:{}", routes.concat()))
        .edit(plane, &(clusters(nowhere) + plane))
        .http2_upstream()
        .edit("- name: upstream\n    typed", RETRIES)
}
