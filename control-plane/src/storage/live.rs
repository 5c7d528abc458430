//! Which rows are live, that is in a book when it is loaded. The others are history.
//!
//! The ledger relies on these rules: a lot that pins refer to, a lease that may still move
//! money, and the newest lease of an instance are always there. SQLite's partial indexes
//! (`migrations/sqlite`) say the same.

use creditgate_ledger::{Book, ConsumerKey, Lease, LeaseState};

/// Not closed, or the newest of its instance and account.
pub(crate) fn is_live_lease(lease: &Lease) -> bool {
    lease.state != LeaseState::Closed || lease.newest
}

/// Not revoked.
pub(crate) fn is_live_key(key: &ConsumerKey) -> bool {
    key.revoked_at.is_none()
}

/// Brings rows into the order in which they are loaded.
pub(crate) fn sort(book: &mut Book) {
    book.wallets.sort_by_key(|wallet| wallet.id);
    book.accounts.sort_by_key(|account| account.id);
    book.lots.sort_by_key(|lot| lot.id);
    book.leases.sort_by_key(|lease| lease.id);
    book.keys.sort_by_key(|key| key.id);
}
