//! Creditgate's ledger: what may happen to money, and what then must be written.
//!
//! Everything here is a function of a customer's [`Book`], a command, an instant and
//! ids that the caller brings. A decision changes a copy of the book and notes entries
//! in a [`Journal`]; storage applies both in one transaction or neither. There is no
//! SQL, no clock and no randomness in this crate, and none of its dependencies has any.

pub mod balance;
pub mod book;
pub mod burn_order;
pub mod context;
pub mod credential;
pub mod customer;
pub mod expiry;
pub mod id;
pub mod journal;
pub mod lease;
pub mod lend;
pub mod quarantine;
pub mod refusal;
pub mod registry;
pub mod report;
pub mod time;
pub mod top_up;
pub mod verify;
pub mod wallet;

pub use book::{Account, Book, Customer, CustomerStatus, Waiter, Wallet, WalletStatus, WalletType};
pub use burn_order::{Lot, LotKind, LotStatus};
pub use context::{Context, Ids};
pub use credential::ConsumerKey;
pub use journal::{Draw, Entry, EntryKind, Journal, LedgerAccount, Posting, ReasonCode};
pub use lease::{Lease, LeaseState, Pin, QuarantineCause, Resolution, ResolutionKind};
pub use refusal::Refusal;
pub use registry::{Registry, Settings};
pub use time::Timestamp;
