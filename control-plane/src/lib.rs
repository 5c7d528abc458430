//! Creditgate's control plane.
//!
//! The ledger decides (`creditgate-ledger`, pure), the writer commits, storage remembers,
//! HTTP and the command line are the ways in. See ARCHITECTURE.md for the map.

pub mod cli;
pub mod clock;
pub mod command;
pub mod export;
pub mod http;
pub mod jobs;
pub mod notify;
pub mod price_list;
pub mod problem;
pub mod restored;
pub mod storage;
pub mod verify;
pub mod webhooks;
pub mod writer;
