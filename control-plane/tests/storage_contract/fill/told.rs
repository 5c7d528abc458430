//! Entries, events, endpoints, deliveries, and the log of who changed what.

use creditgate_core::amount::Amount;
use creditgate_ledger::audit::AuditRecord;
use creditgate_ledger::chain::ChainHash;
use creditgate_ledger::fact::LotTerms;
use creditgate_ledger::id::{AuditId, CustomerId, DeliveryId, EndpointId, EntryId, EventId};
use creditgate_ledger::webhook::{
    Attempt, Delivery, DeliveryState, Endpoint, EndpointSecret, EndpointStatus,
};
use creditgate_ledger::{
    Account, Draw, Entry, EntryKind, Event, EventKind, Fact, LedgerAccount, Lot, Posting,
    ReasonCode,
};
use serde_json::json;

use super::Fill;

impl Fill {
    fn kind(&mut self) -> EventKind {
        let place = usize::try_from(self.below(EventKind::ALL.len() as u64)).unwrap();
        EventKind::ALL[place].0
    }

    pub(crate) fn endpoint(&mut self) -> Endpoint {
        Endpoint {
            id: EndpointId(self.id()),
            external_id: self.maybe(Self::name),
            url: self.text(),
            description: self.maybe(Self::text),
            events: (0..self.below(4)).map(|_| self.kind()).collect(),
            secrets: (0..self.below(3))
                .map(|_| EndpointSecret {
                    secret: self.text(),
                    expires_at: self.maybe(Self::time),
                })
                .collect(),
            status: self.pick(&[EndpointStatus::Enabled, EndpointStatus::Disabled]),
            disabled_reason: self.maybe(Self::text),
            failing_since: self.maybe(Self::time),
            metadata: self.metadata(),
            created_at: self.time(),
            deleted_at: None,
        }
    }

    pub(crate) fn event(&mut self, customers: &[CustomerId]) -> Event {
        Event {
            id: EventId(self.id()),
            kind: self.pick(&[EventKind::WalletAlert, EventKind::Test, EventKind::LotPaid]),
            // Few instants, so that several share one.
            at: creditgate_ledger::Timestamp(i64::try_from(self.below(5)).unwrap() * 1_000),
            customer: self.maybe(|fill| fill.pick(customers)),
            data: json!({"amount": "1.50", "text": self.text(), "nested": {"b": [1, null]}}),
        }
    }

    pub(crate) fn delivery(&mut self, event: &Event, endpoint: EndpointId) -> Delivery {
        Delivery {
            id: DeliveryId(self.id()),
            event: event.id,
            kind: event.kind,
            endpoint,
            state: self.pick(&[
                DeliveryState::Pending,
                DeliveryState::Delivered,
                DeliveryState::Failed,
            ]),
            attempts: self.count(),
            next_at: self.maybe(Self::time),
            last_at: self.maybe(Self::time),
            last_status: self.maybe(|fill| u16::try_from(fill.below(600)).unwrap()),
            created_at: self.time(),
        }
    }

    pub(crate) fn attempt(&mut self, delivery: DeliveryId, number: u32) -> Attempt {
        Attempt {
            delivery,
            number,
            at: self.time(),
            status: self.maybe(|fill| u16::try_from(fill.below(600)).unwrap()),
            error: self.maybe(Self::text),
            response: self.maybe(Self::text),
            duration_ms: self.below(1 << 62),
        }
    }

    pub(crate) fn audit(&mut self, customers: &[CustomerId]) -> AuditRecord {
        AuditRecord {
            id: AuditId(self.id()),
            at: creditgate_ledger::Timestamp(i64::try_from(self.below(5)).unwrap() * 1_000),
            actor: self.pick(&["key_1".to_owned(), "key_2".to_owned()]),
            action: self.pick(&["top_up".to_owned(), "create_wallet".to_owned()]),
            customer: self.maybe(|fill| fill.pick(customers)),
            subject: self.maybe(|fill| fill.pick(&["wal_1".to_owned(), "lot_2".to_owned()])),
            reason: self.maybe(Self::text),
        }
    }

    /// The next entry of an account; `lot` is what it draws from and speaks of.
    pub(crate) fn entry(&mut self, account: &mut Account, lot: &Lot) -> Entry {
        let amount = self.amount();
        let kind = self.pick(&[
            EntryKind::Usage,
            EntryKind::Lending,
            EntryKind::TopUp,
            EntryKind::CreditLimit,
        ]);
        let reason = self.pick(&[
            ReasonCode::Usage,
            ReasonCode::LeaseLending,
            ReasonCode::CreditRolledOver,
            ReasonCode::PaymentLapsed,
        ]);
        let posting = |account, amount| Posting { account, amount };
        let mut entry = Entry {
            id: EntryId(self.id()),
            account: account.id,
            number: 0,
            kind,
            reason,
            booked_at: creditgate_ledger::Timestamp(
                i64::try_from(account.chain.entries / 3).unwrap() * 1_000,
            ),
            usage_from: self.maybe(Self::time),
            wallet: self.maybe(|_| lot.wallet),
            lease: None,
            actor: self.text(),
            note: self.maybe(Self::text),
            fact: self.maybe(|fill| {
                let made = Fact::LotMade(Box::new(LotTerms::of(lot)));
                fill.pick(&[made, Fact::LotVoided { lot: lot.id }])
            }),
            postings: vec![
                posting(LedgerAccount::CreditLine, Amount::new(-amount.get())),
                posting(LedgerAccount::Transferred, amount),
            ],
            draws: Vec::new(),
            hash: ChainHash::default(),
        };
        if self.is() {
            // The same lot twice is one entry of it.
            let draw = Draw {
                lot: lot.id,
                amount,
            };
            entry.draws = vec![draw, draw];
        }
        account.chain.add(&mut entry);
        entry
    }
}
