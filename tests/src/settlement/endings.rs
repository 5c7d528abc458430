//! The endings of the columns: what the upstream is told, what Envoy does, and what the client sees.
//!
//! `refused`: the upstream says 4xx, or NOT_FOUND by gRPC. `failed`: it says 500, or INTERNAL; `bare5` and
//! `bare13` are the same without a message, so that there are no trailers. `reset`: it breaks the connection
//! without an answer; `cut_off`: in the middle of one. `retried`: it says 503, and at the second try 200.
//! `redirected`: it says 302, and Envoy goes there.
//!
//! `left`: the client goes away before there is an answer; `aborted`: in the middle of one; `refused_aborted`:
//! of one of 4xx.
//!
//! `timed_out`: Envoy gives up waiting; `late`: in the middle of an answer; `stalled`: nothing more comes in the
//! middle of one. `replied`: a route of Envoy's answers 403; `filtered`: a filter behind ours does.
//! `unreachable`: nobody listens at the upstream; `overflow`: there is no room for another request to it.

use super::Cell;
use crate::envoy::Setup;

impl Cell {
    /// What the upstream is told.
    pub(super) fn behaviour(&self) -> &'static str {
        let (calls, streams) = (self.is_call(), self.streams_tokens());
        match self.ending.as_str() {
            "refused" if calls => "grpc=5",
            "refused" if streams => "status=429",
            "refused" => "status=404",
            "failed" if calls => "grpc=13",
            "failed" => "status=500",
            "bare5" => "bare=5",
            "bare13" => "bare=13",
            "reset" => "reset",
            "cut_off" if streams => "events=50 cut=3",
            "cut_off" => "cut=3",
            "retried" if streams => "fail-first input=7 output=5",
            "retried" => "fail-first",
            "redirected" if streams => "redirect-first input=7 output=5",
            "redirected" => "redirect-first",
            "refused_aborted" if streams => "status=429 split=2 gap=50",
            "refused_aborted" => "status=404,50",
            "aborted" | "late" if streams => "events=100 gap=500",
            "aborted" | "late" => "stream=100,50",
            "stalled" if streams => "events=2 gap=60000",
            "stalled" => "stream=2,60000",
            "timed_out" | "left" => "hang",
            _ if streams => "input=7 output=5",
            _ => "",
        }
    }

    /// The status that the client sees: a gRPC call's is always 200.
    pub(super) fn status(&self) -> u16 {
        match self.ending.as_str() {
            _ if self.is_call() => 200,
            "refused" | "refused_aborted" if self.streams_tokens() => 429,
            "refused" | "refused_aborted" => 404,
            "failed" => 500,
            "reset" | "unreachable" | "overflow" => 503,
            "timed_out" => 504,
            "replied" | "filtered" => 403,
            _ => 200,
        }
    }

    /// Whether the answer breaks off.
    pub(super) fn breaks(&self) -> bool {
        matches!(self.ending.as_str(), "cut_off" | "late" | "stalled")
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

/// An upstream at which nobody listens, and one that has no room.
fn clusters(nowhere: u16) -> String {
    let cluster = |name: &str, more: &str| {
        format!(
            "  - name: {name}
    type: STATIC
    connect_timeout: 5s
{more}    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {nowhere} }} }} }}

"
        )
    };
    let no_room =
        "    circuit_breakers: { thresholds: [{ max_requests: 0, max_pending_requests: 0 }] }\n";
    cluster("nowhere", "") + &cluster("full", no_room)
}

/// As many retries at the same time as there are requests: Envoy's own limit is 3.
const RETRIES: &str = "- name: upstream
    circuit_breakers: { thresholds: [{ max_retries: 1000 }] }
    typed";

/// An Envoy in which requests end as their `x-ending` says. At the port `nowhere` nobody listens.
pub(super) fn setup(nowhere: u16) -> Setup {
    let to_upstream = |more: &str| format!("route: {{ cluster: upstream, {more} }}");
    let retrying = "retry_policy: { retry_on: 5xx, num_retries: 2 }";
    let routes = [
        route("timed_out", &to_upstream("timeout: 0.3s")),
        route("late", &to_upstream("timeout: 1.5s")),
        route("stalled", &to_upstream("timeout: 0s, idle_timeout: 2s")),
        route("retried", &to_upstream(retrying)),
        route("redirected", &to_upstream("internal_redirect_policy: {}")),
        route("unreachable", "route: { cluster: nowhere }"),
        route("overflow", "route: { cluster: full }"),
        route("replied", "direct_response: { status: 403 }"),
    ];
    let plane = "  - name: creditgate\n    type: STRICT_DNS";
    Setup::default()
        .reading_bodies()
        .logging()
        .between("", RBAC)
        .edit("routes:", &format!("routes:{}", routes.concat()))
        .edit(plane, &(clusters(nowhere) + plane))
        .http2_upstream()
        .edit("- name: upstream\n    typed", RETRIES)
}
