//! The proxy's response flags.

use serde::{Deserialize, Serialize};

/// A response flag of the proxy, by the short name that its access log has for it
/// (<https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage>,
/// `%RESPONSE_FLAGS%`). Its number is its bit in the property `response.flags`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
#[repr(u64)]
pub enum Flag {
    /// The proxy failed its own health check.
    Lh = 0x1,
    /// No healthy upstream.
    Uh = 0x2,
    /// The upstream took too long to answer.
    Ut = 0x4,
    /// The proxy reset the connection to the upstream.
    Lr = 0x8,
    /// The upstream reset the stream.
    Ur = 0x10,
    /// No connection to the upstream came about.
    Uf = 0x20,
    /// The upstream closed the connection.
    Uc = 0x40,
    /// Too much was going on at the upstream's cluster: a circuit breaker.
    Uo = 0x80,
    /// No route.
    Nr = 0x100,
    /// A delay was injected.
    Di = 0x200,
    /// A fault was injected.
    Fi = 0x400,
    /// Rate limited.
    Rl = 0x800,
    /// An external authorisation refused it.
    Uaex = 0x1000,
    /// The rate limit service failed.
    Rlse = 0x2000,
    /// The client closed the connection.
    Dc = 0x4000,
    /// The tries, or the attempts to connect, were used up.
    Urx = 0x8000,
    /// Nothing passed for too long.
    Si = 0x10000,
    /// A header of the proxy's own had an impossible value.
    Ih = 0x20000,
    /// The client broke the protocol.
    Dpe = 0x40000,
    /// The upstream stream reached its longest duration.
    Umsdr = 0x80000,
    /// The answer came from a cache filter.
    Rfcf = 0x100000,
    /// A filter had no configuration yet.
    Nfcf = 0x200000,
    /// The request or connection reached its longest duration.
    Dt = 0x400000,
    /// The upstream broke the protocol.
    Upe = 0x800000,
    /// No such cluster.
    Nc = 0x1000000,
    /// The overload manager refused it.
    Om = 0x2000000,
    /// No address was found for the upstream's name.
    Df = 0x4000000,
    /// Dropped for the cluster's drop overload.
    Do = 0x8000000,
    /// The client reset the stream.
    Dr = 0x10000000,
    /// Dropped for the cluster's unconditional drop overload.
    Udo = 0x20000000,
}

impl Flag {
    /// Its bit in the proxy's number.
    #[must_use]
    pub const fn bit(self) -> u64 {
        self as u64
    }
}
