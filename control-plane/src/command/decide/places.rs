//! Which book of the batch a command is about.

use creditgate_ledger::credential::ConsumerKey;
use creditgate_ledger::{Book, Refusal};

use super::{Work, in_field, not_found};
use crate::storage::Target;
use crate::storage::live::is_live_key;

impl Work<'_> {
    /// The place of a target's book: as it was loaded, or as this batch has made or named it
    /// since. So it makes no difference whether two commands come in one batch or in two.
    pub(super) fn place(&self, target: &Target) -> Result<usize, Refusal> {
        let loaded = self.places.get(target).copied();
        let still_has = |place: &usize| {
            let book = self.books.get(*place);
            !may_move(target) || book.is_some_and(|(_, book)| has(book, target))
        };
        if let Some(place) = loaded.filter(still_has) {
            return Ok(place);
        }
        let made = self.books.iter().position(|(_, book)| has(book, target));
        // A book need not hold what is over, so where storage found it counts; but what it
        // found by a live key is nobody's once the key is revoked.
        let ended = loaded.filter(|_| !goes_by_live_key(target));
        made.or(ended).ok_or_else(|| not_found(target))
    }

    /// As [`Self::place`], of a target that a field of the body names.
    pub(super) fn place_in(&self, target: &Target, field: &'static str) -> Result<usize, Refusal> {
        self.place(target)
            .map_err(|refusal| in_field(refusal, field))
    }
}

/// A name can be given to another object, and a key to another customer.
const fn may_move(target: &Target) -> bool {
    match target {
        Target::ExternalId(_)
        | Target::WalletName(_)
        | Target::LotName(_)
        | Target::SubscriptionName(_)
        | Target::GrantName(_)
        | Target::Credential(_)
        | Target::Key(_) => true,
        Target::Customer(_)
        | Target::Account(_)
        | Target::Wallet(_)
        | Target::Lot(_)
        | Target::Lease(_)
        | Target::Claim(_)
        | Target::Subscription(_)
        | Target::Grant(_)
        | Target::Application(_) => false,
    }
}

const fn goes_by_live_key(target: &Target) -> bool {
    matches!(target, Target::Credential(_) | Target::Key(_))
}

fn live_keys(book: &Book) -> impl Iterator<Item = &ConsumerKey> {
    book.keys.iter().filter(|key| is_live_key(key))
}

fn has(book: &Book, target: &Target) -> bool {
    let is = |known: &Option<String>, name: &String| known.as_ref() == Some(name);
    match target {
        Target::Customer(id) => book.customer.id == *id,
        Target::ExternalId(name) => book.customer.external_id == *name,
        Target::Account(id) => book.accounts.iter().any(|row| row.id == *id),
        Target::Wallet(id) => book.wallets.iter().any(|row| row.id == *id),
        Target::WalletName(name) => book.wallets.iter().any(|row| is(&row.external_id, name)),
        Target::Lot(id) => book.lots.iter().any(|row| row.id == *id),
        Target::LotName(name) => book.lots.iter().any(|row| is(&row.external_id, name)),
        Target::Lease(id) => book.leases.iter().any(|row| row.id == *id),
        Target::Credential(hash) => live_keys(book).any(|row| row.hash == *hash),
        Target::Key(id) => live_keys(book).any(|row| row.id == *id),
        Target::Claim(id) => book.claims.iter().any(|row| row.id == *id),
        Target::Subscription(id) => book.subscriptions.iter().any(|row| row.id == *id),
        Target::SubscriptionName(name) => {
            let mut rows = book.subscriptions.iter();
            rows.any(|row| is(&row.external_id, name))
        }
        Target::Grant(id) => book.grants.iter().any(|row| row.id == *id),
        Target::GrantName(name) => book.grants.iter().any(|row| is(&row.external_id, name)),
        Target::Application(id) => book.applications.iter().any(|row| row.id == *id),
    }
}
