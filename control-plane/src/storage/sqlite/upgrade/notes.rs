//! What the first version made no entry of, and its rows tell: that wallets were opened, that
//! lots were voided of which nothing was free, and that wallets are frozen.

use std::collections::{HashSet, VecDeque};

use creditgate_ledger::chain::ChainHash;
use creditgate_ledger::id::{AccountId, EntryId, LotId, WalletId};
use creditgate_ledger::{Entry, EntryKind, Fact, ReasonCode, Timestamp, WalletStatus};
use rusqlite::{Connection, params};

use crate::storage::StorageError;
use crate::storage::sqlite::columns::list;
use crate::storage::sqlite::wallet::{read_wallet, wallet_columns};

/// Who writes these entries.
const ACTOR: &str = "upgrade";

/// Entries that are to be put between those of an account.
pub(super) struct Notes {
    account: AccountId,
    /// Before the entries of their instant, by time.
    opened: VecDeque<(Timestamp, WalletId, Fact)>,
    /// After the entries of their instant, by time.
    voided: VecDeque<(Timestamp, WalletId, Fact)>,
    /// After all: the instant is not known.
    frozen: Vec<(WalletId, Fact)>,
    last: (EntryId, Timestamp),
}

impl Notes {
    pub(super) fn of(connection: &Connection, account: AccountId) -> Result<Self, StorageError> {
        let mut notes = Self {
            account,
            opened: VecDeque::new(),
            voided: VecDeque::new(),
            frozen: Vec::new(),
            last: (EntryId(account.0), Timestamp(i64::MIN)),
        };
        notes.look_at_wallets(connection)?;
        notes.look_at_lots(connection)?;
        Ok(notes)
    }

    fn look_at_wallets(&mut self, connection: &Connection) -> Result<(), StorageError> {
        let sql = concat!(
            "SELECT ",
            wallet_columns!(),
            " FROM wallet WHERE account = ?1 ORDER BY created_at, id"
        );
        let account = params![self.account.0.to_be_bytes()];
        for row in list(connection, sql, account, read_wallet)? {
            let wallet = row.id;
            let opened = Fact::WalletOpened {
                wallet,
                wallet_type: row.wallet_type,
                priority: row.priority,
                conversion_rate: row.conversion_rate,
                topup_conversion_rate: row.topup_conversion_rate,
                auto_topup: row.auto_topup.map(Box::new),
                alert_settings: row.alert_settings.map(Box::new),
            };
            self.opened.push_back((row.created_at, wallet, opened));
            if row.status != WalletStatus::Active {
                let from = WalletStatus::Active;
                let to = row.status;
                self.frozen
                    .push((wallet, Fact::WalletStatus { wallet, from, to }));
            }
        }
        Ok(())
    }

    fn look_at_lots(&mut self, connection: &Connection) -> Result<(), StorageError> {
        let account = params![self.account.0.to_be_bytes()];
        let sql = "SELECT DISTINCT draw.lot FROM entry
             JOIN draw ON draw.account = entry.account AND draw.entry = entry.id
             WHERE entry.account = ?1 AND entry.kind = 'void' AND entry.lease IS NULL";
        let told = list(connection, sql, account, |columns| columns.id().map(LotId))?;
        let told: HashSet<LotId> = told.into_iter().collect();
        let sql = "SELECT lot.id, wallet.id, lot.voided_at FROM wallet JOIN lot ON lot.wallet = wallet.id
             WHERE wallet.account = ?1 AND lot.voided_at IS NOT NULL ORDER BY lot.voided_at, lot.id";
        let voided = list(connection, sql, account, |columns| {
            let (lot, wallet) = (LotId(columns.id()?), WalletId(columns.id()?));
            Ok((lot, wallet, columns.time()?))
        })?;
        let untold = voided.into_iter().filter(|(lot, ..)| !told.contains(lot));
        self.voided
            .extend(untold.map(|(lot, wallet, at)| (at, wallet, Fact::LotVoided { lot })));
        Ok(())
    }

    /// What comes before an entry.
    pub(super) fn before(&mut self, next: &Entry) -> Vec<Entry> {
        let at = next.booked_at;
        let mut due = Vec::new();
        while let Some(note) = self.opened.pop_front_if(|(opened, ..)| *opened <= at) {
            due.push(note);
        }
        while let Some(note) = self.voided.pop_front_if(|(voided, ..)| *voided < at) {
            due.push(note);
        }
        due.sort_by_key(|(at, ..)| *at);
        let due = due.into_iter().map(|note| self.entry(note)).collect();
        self.last = (next.id, at.max(self.last.1));
        due
    }

    /// What comes after all entries.
    pub(super) fn rest(mut self) -> Vec<Entry> {
        let mut due: Vec<_> = self.opened.drain(..).chain(self.voided.drain(..)).collect();
        due.sort_by_key(|(at, ..)| *at);
        let frozen = std::mem::take(&mut self.frozen);
        let frozen = frozen
            .into_iter()
            .map(|(wallet, fact)| (Timestamp(i64::MIN), wallet, fact));
        due.extend(frozen);
        due.into_iter().map(|note| self.entry(note)).collect()
    }

    /// An entry after the last: its id is the next, its instant not before the last one's.
    fn entry(&mut self, (at, wallet, fact): (Timestamp, WalletId, Fact)) -> Entry {
        let reason = match &fact {
            Fact::WalletOpened { .. } => ReasonCode::WalletOpened,
            Fact::LotVoided { .. } => ReasonCode::CreditVoided,
            _ => ReasonCode::WalletStatusChanged,
        };
        let id = EntryId(self.last.0.0.saturating_add(1));
        let booked_at = at.max(self.last.1);
        self.last = (id, booked_at);
        Entry {
            id,
            account: self.account,
            number: 0,
            kind: EntryKind::Note,
            reason,
            booked_at,
            usage_from: None,
            wallet: Some(wallet),
            lease: None,
            actor: ACTOR.to_owned(),
            note: None,
            fact: Some(fact),
            postings: Vec::new(),
            draws: Vec::new(),
            hash: ChainHash::default(),
        }
    }
}
