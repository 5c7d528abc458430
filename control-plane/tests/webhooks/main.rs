//! Sending webhooks: over real connections to servers of this machine.

mod client;
mod receiver;
