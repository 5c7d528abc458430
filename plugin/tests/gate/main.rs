//! The gate as the proxy drives it: several workers, one map of shared data, a scripted
//! control plane, and time that passes only when a test says so.

mod booking;
mod burning;
mod deciding;
mod endings;
mod flooding;
mod identity;
mod leases;
mod limited;
mod metered;
mod mishaps;
mod neighbours;
mod outages;
mod overruns;
mod own_prices;
mod returning;
mod routes;
mod settling;
mod signals;
mod throttled;
mod tokens;
mod units;
mod unread;
mod usage;
mod usage_meters;
mod waiting;
mod watching;
mod world;
