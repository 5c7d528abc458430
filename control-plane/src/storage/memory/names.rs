//! The operator's names of rows in books; each is unique among all rows of its kind.

use std::collections::HashMap;

use creditgate_ledger::Book;
use creditgate_ledger::grant::Grant;

use crate::storage::StorageError;
use crate::storage::unique::Unique;

/// What has names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Wallet,
    Lot,
    Subscription,
    Grant,
}

impl Kind {
    const fn unique(self) -> Unique {
        match self {
            Self::Wallet => Unique::WalletExternalId,
            Self::Lot => Unique::LotExternalId,
            Self::Subscription => Unique::SubscriptionExternalId,
            Self::Grant => Unique::GrantExternalId,
        }
    }
}

/// The names that are taken, and by which row.
#[derive(Clone, Default)]
pub(super) struct Names(HashMap<(Kind, String), u128>);

impl Names {
    pub(super) fn find(&self, kind: Kind, name: &str) -> Option<u128> {
        self.0.get(&(kind, name.to_owned())).copied()
    }

    /// Whether all these rows may have the names they have.
    pub(super) fn check<'a>(
        &self,
        named: impl Iterator<Item = (Kind, &'a str, u128)>,
    ) -> Result<(), StorageError> {
        let mut asked = HashMap::new();
        for (kind, name, id) in named {
            let known = self.find(kind, name).unwrap_or(id);
            let first = *asked.entry((kind, name)).or_insert(id);
            if known != id || first != id {
                return Err(kind.unique().into());
            }
        }
        Ok(())
    }

    /// Takes in rows as they were and as they are.
    pub(super) fn change<'a>(
        &mut self,
        before: impl Iterator<Item = (Kind, &'a str, u128)>,
        after: impl Iterator<Item = (Kind, &'a str, u128)>,
    ) {
        for (kind, name, _) in before {
            self.0.remove(&(kind, name.to_owned()));
        }
        let after = after.map(|(kind, name, id)| ((kind, name.to_owned()), id));
        self.0.extend(after);
    }
}

/// The rows of a book that have names.
pub(super) fn of_book(book: &Book) -> impl Iterator<Item = (Kind, &str, u128)> {
    let wallets = book.wallets.iter();
    let wallets = wallets.map(|row| (Kind::Wallet, &row.external_id, row.id.0));
    let lots = book.lots.iter();
    let lots = lots.map(|row| (Kind::Lot, &row.external_id, row.id.0));
    let subscriptions = book.subscriptions.iter();
    let subscriptions = subscriptions.map(|row| (Kind::Subscription, &row.external_id, row.id.0));
    wallets
        .chain(lots)
        .chain(subscriptions)
        .filter_map(|(kind, name, id)| Some((kind, name.as_deref()?, id)))
        .chain(of_grants(&book.grants))
}

/// Those of the grants that have names.
pub(super) fn of_grants(grants: &[Grant]) -> impl Iterator<Item = (Kind, &str, u128)> {
    grants
        .iter()
        .filter_map(|row| Some((Kind::Grant, row.external_id.as_deref()?, row.id.0)))
}
