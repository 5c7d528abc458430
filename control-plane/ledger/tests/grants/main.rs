//! Plans, subscriptions, credit grants: when they are applied, once each, and what then stays.

#[path = "../common/mod.rs"]
mod common;

mod applying;
mod catching_up;
mod desk;
mod ending;
mod failing;
mod making;
mod rolling;
mod zones;
