//! What the end-to-end tests stand on: real processes, and ways to harm them.
//!
//! A [`scene::Scene`] is a control plane (the real binary, on a SQLite file), an upstream that
//! counts what reaches it, and a proxy between the two halves that counts questions and can
//! cut, delay or reorder them. Envoys are real too, and run the very files that people copy.
//! Everything a test starts ends with it; ports are the system's choice, folders temporary.

pub mod access_log;
pub mod admin;
pub mod auditor;
pub mod certificate;
pub mod client;
pub mod clock;
pub mod control_plane;
pub mod dues;
pub mod envoy;
pub mod fault_proxy;
pub mod figures;
pub mod jwt;
pub mod load;
pub mod priced;
pub mod process;
pub mod scene;
pub mod secure;
pub mod settlement;
pub mod sums;
pub mod template;
pub mod tools;
pub mod upstream;
pub mod usage;
pub mod wasm_module;
