//! Creditgate's ledger: what may happen to money, and what then must be written.
//!
//! Everything here is a function of a customer's [`Book`], a command, an instant and
//! ids that the caller brings. A decision changes a copy of the book and notes entries
//! in a [`Journal`]; storage applies both in one transaction or neither. There is no
//! SQL, no clock and no randomness in this crate, and none of its dependencies has any.

pub mod alert;
pub mod audit;
pub mod auto_top_up;
pub mod balance;
pub mod bonus;
pub mod book;
pub mod burn_order;
pub mod chain;
pub mod claim;
pub mod context;
pub mod cost;
pub mod credential;
pub mod credit_limit;
pub mod credits;
pub mod customer;
pub mod debt;
pub mod decision;
pub mod event;
pub mod expiry;
pub mod fact;
pub mod grant;
pub mod id;
pub mod journal;
pub mod lease;
pub mod ledger_account;
pub mod lend;
pub mod limits;
pub mod lot;
pub mod payment;
pub mod plan;
pub mod pricing;
pub mod quarantine;
pub mod rate_card;
pub mod reason;
pub mod refusal;
pub mod registry;
pub mod replay;
pub mod report;
pub mod subscription;
pub mod time;
pub mod top_up;
pub mod usage;
pub mod verify;
pub mod void;
pub mod wallet;
pub mod webhook;

pub use book::{Account, Book, Customer, CustomerStatus, Scope, Waiter};
pub use burn_order::{CostBasis, GrantedBy, Lot, LotKind, LotSource, LotStatus};
pub use context::{Context, Ids};
pub use credential::ConsumerKey;
pub use credits::{Credits, Rate};
pub use event::{Event, EventKind};
pub use fact::Fact;
pub use journal::{Draw, Entry, EntryKind, Journal, LedgerAccount, Posting, ReasonCode};
pub use lease::{Lease, LeaseState, Pin, QuarantineCause, Resolution, ResolutionKind};
pub use refusal::Refusal;
pub use registry::{Registry, Settings};
pub use time::Timestamp;
pub use wallet::{Wallet, WalletStatus, WalletType};
