//! The gate as the proxy drives it: several workers, one map of shared data, a scripted
//! control plane, and time that passes only when a test says so.

mod deciding;
mod flooding;
mod identity;
mod leases;
mod limited;
mod metered;
mod mishaps;
mod outages;
mod returning;
mod routes;
mod settling;
mod signals;
mod waiting;
mod watching;
mod world;
