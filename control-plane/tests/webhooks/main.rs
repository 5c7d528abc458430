//! Sending webhooks: over real connections to servers of this machine.

mod client;
mod outbox;
mod process;
mod receiver;
