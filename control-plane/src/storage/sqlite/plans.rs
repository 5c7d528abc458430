//! Tests: every list and every look for what is due walks an index, however many rows there are.

mod pricing;
mod usage;

use std::cell::RefCell;

use creditgate_core::amount::Currency;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::EnforcementMode;
use creditgate_ledger::grant::{ApplicationState, GrantScope};
use creditgate_ledger::id::{
    AccountId, CustomerId, EndpointId, EventId, GrantId, InstanceId, LeaseId, LotId, PlanId,
    SubscriptionId, WalletId,
};
use creditgate_ledger::subscription::SubscriptionStatus;
use creditgate_ledger::webhook::DeliveryState;
use creditgate_ledger::{
    CustomerStatus, EntryKind, EventKind, LotKind, LotStatus, ReasonCode, Timestamp, WalletStatus,
};
use rusqlite::Connection;

use super::{
    audit, books, claim, connection, due, grant, journal, lot, party, reads, subscription, wallet,
    webhook,
};
use crate::storage::{
    ApplicationFilter, AuditFilter, ClaimFilter, Cursor, CustomerFilter, DeliveryFilter,
    EntryFilter, EventFilter, GrantFilter, LeaseFilter, LotFilter, PageRequest, StorageError,
    SubscriptionFilter, WalletFilter,
};

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Remembers a statement.
pub(super) fn note(sql: &str) {
    SEEN.with_borrow_mut(|seen| seen.push(sql.to_owned()));
}

const PAGE: PageRequest = PageRequest {
    cursor: Some(Cursor(7)),
    limit: 9,
};

fn database() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let connection = connection::open_writer(&folder.path().join("books.db"), 1).unwrap();
    (folder, connection)
}

/// The plans of the statements that a look makes.
fn plans<T>(
    connection: &Connection,
    look: impl FnOnce(&Connection) -> Result<T, StorageError>,
) -> Vec<String> {
    SEEN.with_borrow_mut(Vec::clear);
    assert!(look(connection).is_ok());
    let seen = SEEN.with_borrow_mut(std::mem::take);
    let plan = |sql: String| {
        let mut explained = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        for place in 1..=explained.parameter_count() {
            explained.raw_bind_parameter(place, 1).unwrap();
        }
        let mut rows = explained.raw_query();
        let mut lines = String::new();
        while let Some(row) = rows.next().unwrap() {
            let line: String = row.get(3).unwrap();
            lines.push_str(&line);
            lines.push('\n');
        }
        (sql, lines)
    };
    let plans = seen.into_iter().map(plan);
    plans
        .map(|(sql, plan)| {
            let scans = plan.lines().filter(|line| {
                let what = line.strip_prefix("SCAN ");
                let is_small = |what: &str| {
                    what.starts_with('(')
                        || what.starts_with("known")
                        || what.contains("VIRTUAL TABLE")
                };
                what.is_some_and(|what| !is_small(what))
            });
            assert_eq!(scans.count(), 0, "{sql}\n{plan}");
            plan
        })
        .collect()
}

/// Whether the last statement of a look is answered in the order of an index that begins so.
fn walks<T>(
    connection: &Connection,
    index: &str,
    look: impl FnOnce(&Connection) -> Result<T, StorageError>,
) {
    let plans = plans(connection, look);
    let plan = plans.last().unwrap();
    assert!(plan.contains(index), "not by {index}: {plan}");
    assert!(!plan.contains("ORDER BY"), "{plan}");
}

#[test]
fn lists_of_wallets_lots_and_claims_walk_indexes() {
    let (_folder, connection) = database();
    let wallets = |filter| move |connection: &Connection| wallet::page(connection, filter, PAGE);
    let all = WalletFilter::default();
    let (currency, status) = (
        Some(Currency::new("USD").unwrap()),
        Some(WalletStatus::Active),
    );
    walks(&connection, "(id>?)", wallets(all));
    walks(
        &connection,
        "(currency=? AND id>?)",
        wallets(WalletFilter { currency, ..all }),
    );
    walks(
        &connection,
        "(status=? AND id>?)",
        wallets(WalletFilter { status, ..all }),
    );
    // A customer has few wallets, which are sorted.
    let customer = Some(CustomerId(1));
    let of_customer = WalletFilter {
        customer,
        currency,
        status,
    };
    assert!(plans(&connection, wallets(of_customer))[0].contains("(customer=?)"));
    let lots = |filter| move |connection: &Connection| lot::page(connection, filter, PAGE);
    let wallet = WalletId(1);
    let some = |kind, status: Option<LotStatus>| LotFilter::Some {
        wallet,
        kind,
        status: status.map(|status| (status, Timestamp(1))),
    };
    walks(
        &connection,
        "(customer=? AND id>?)",
        lots(LotFilter::Customer(CustomerId(1))),
    );
    walks(
        &connection,
        "lot_wallet (wallet=? AND id>?)",
        lots(some(Some(LotKind::Bonus), None)),
    );
    walks(
        &connection,
        "lot_wallet (wallet=? AND id>?)",
        lots(some(None, Some(LotStatus::Expired))),
    );
    for status in [LotStatus::Active, LotStatus::Pending] {
        walks(
            &connection,
            "lot_wallet_live (wallet=? AND id>?)",
            lots(some(None, Some(status))),
        );
    }
    for (wallet, open_only, index) in [
        (None, false, "(id>?)"),
        (None, true, "claim_all_open (id>?)"),
        (Some(wallet), false, "claim_wallet (wallet=? AND id>?)"),
        (Some(wallet), true, "claim_wallet_open (wallet=? AND id>?)"),
    ] {
        let filter = ClaimFilter { wallet, open_only };
        walks(&connection, index, |connection| {
            claim::page(connection, filter, PAGE)
        });
    }
}

#[test]
fn lists_of_customers_walk_indexes() {
    let (_folder, connection) = database();
    let (status, mode) = (Some(CustomerStatus::Suspended), Some(EnforcementMode::Off));
    for (status, mode, index) in [
        (None, None, "(id>?)"),
        (status, None, "customer_status (status=? AND id>?)"),
        (None, mode, "customer_mode (mode=? AND id>?)"),
        (
            status,
            mode,
            "customer_status_mode (status=? AND mode=? AND id>?)",
        ),
    ] {
        let filter = CustomerFilter { status, mode };
        walks(&connection, index, |connection| {
            party::page(connection, filter, PAGE)
        });
    }
}

#[test]
fn a_lease_that_an_access_log_names_is_found_by_an_index() {
    let (_folder, connection) = database();
    for (account, index) in [
        (None, "lease_number (instance=? AND number=?)"),
        (
            Some(AccountId(1)),
            "(account=? AND instance=? AND number=?)",
        ),
    ] {
        let filter = LeaseFilter {
            account,
            instance: Some(InstanceId(1)),
            number: Some(LeaseNumber(1)),
            ..LeaseFilter::default()
        };
        let plans = plans(&connection, |connection| {
            reads::leases(connection, filter, PAGE)
        });
        assert!(plans[0].contains(index), "not by {index}: {}", plans[0]);
    }
}

#[test]
fn lists_of_entries_walk_indexes() {
    let (_folder, connection) = database();
    let entries =
        |filter| move |connection: &Connection| journal::entries(connection, filter, PAGE);
    let by_number = "PRIMARY KEY (account=? AND number<?)";
    walks(
        &connection,
        by_number,
        entries(EntryFilter::Account(AccountId(1))),
    );
    let wallet = WalletId(1);
    let of_wallet = plans(&connection, entries(EntryFilter::Wallet(wallet)));
    assert!(of_wallet[0].contains(by_number));
    // From an entry's few draws to their lots, not from all lots of the wallet to their draws.
    assert!(of_wallet[0].contains("SEARCH draw USING PRIMARY KEY (account=? AND entry=?)"));
    let of_lot = plans(&connection, entries(EntryFilter::Lot(LotId(1))));
    for index in [
        "draw_lot (lot=? AND entry<?)",
        "entry_fact_lot (fact_lot=? AND number<?)",
    ] {
        assert!(of_lot[0].contains(index), "{}", of_lot[0]);
    }
    let of_lease = EntryFilter::Lease {
        lease: LeaseId(1),
        kind: Some(EntryKind::Usage),
        from: Some(Timestamp(1)),
        before: None,
    };
    let index = "entry_lease (lease=? AND number<?)";
    walks(&connection, index, entries(of_lease));
    let some = |kind, reason| EntryFilter::Some {
        wallet,
        kind,
        reason,
        from: Some(Timestamp(1)),
        before: Some(Timestamp(9)),
    };
    for (kind, reason, index) in [
        (
            Some(EntryKind::TopUp),
            None,
            "entry_seldom_kind (account=? AND kind=? AND number<?)",
        ),
        (
            None,
            Some(ReasonCode::CreditVoided),
            "entry_seldom_reason (account=? AND reason=? AND number<?)",
        ),
        (Some(EntryKind::Usage), Some(ReasonCode::Usage), by_number),
    ] {
        walks(&connection, index, entries(some(kind, reason)));
    }
    walks(&connection, "(account=? AND number>?)", |connection| {
        journal::chain(connection, AccountId(1), 7, 9)
    });
}

#[test]
fn lists_of_terms_walk_indexes() {
    let (_folder, connection) = database();
    let (customer, plan) = (Some(CustomerId(1)), Some(PlanId(1)));
    let status = Some(SubscriptionStatus::Cancelled);
    for (customer, plan, status, index) in [
        (None, None, None, "(id>?)"),
        (customer, plan, status, "(customer=? AND id>?)"),
        (None, plan, None, "(plan=? AND id>?)"),
        (None, plan, status, "(plan=? AND status=? AND id>?)"),
        (None, None, status, "(status=? AND id>?)"),
    ] {
        let filter = SubscriptionFilter {
            customer,
            plan,
            status,
        };
        walks(&connection, index, |connection| {
            subscription::page(connection, filter, PAGE)
        });
    }
    for (scope, index) in [
        (None, "(id>?)"),
        (Some(GrantScope::Plan(PlanId(1))), "(owner=? AND id>?)"),
    ] {
        let filter = GrantFilter {
            scope,
            with_archived: false,
        };
        walks(&connection, index, |connection| {
            grant::page(connection, filter, PAGE)
        });
    }
    let (subscription, grant) = (Some(SubscriptionId(1)), Some(GrantId(1)));
    let state = Some(ApplicationState::Failed);
    for (customer, subscription, grant, state, index) in [
        (None, None, None, None, "(id<?)"),
        (
            customer,
            subscription,
            grant,
            state,
            "(subscription=? AND id<?)",
        ),
        (customer, None, grant, state, "(customer=? AND id<?)"),
        (None, None, grant, None, "(grant_id=? AND id<?)"),
        (
            None,
            None,
            grant,
            state,
            "(grant_id=? AND state=? AND id<?)",
        ),
        (None, None, None, state, "(state=? AND id<?)"),
    ] {
        let filter = ApplicationFilter {
            customer,
            subscription,
            grant,
            state,
        };
        walks(&connection, index, |connection| {
            grant::applications(connection, filter, PAGE)
        });
    }
}

#[test]
fn lists_of_what_was_told_walk_indexes() {
    let (_folder, connection) = database();
    let first = PageRequest::first(9);
    let (from, before) = (Some(Timestamp(1)), Some(Timestamp(9)));
    let customer = Some(CustomerId(1));
    for (customer, kind, index) in [
        (None, None, "event_at"),
        (
            customer,
            None,
            "event_customer (customer=? AND at>? AND at<?)",
        ),
        (
            None,
            Some(EventKind::Test),
            "event_kind (kind=? AND at>? AND at<?)",
        ),
        (customer, Some(EventKind::Test), "event_"),
    ] {
        let filter = EventFilter {
            customer,
            kind,
            from,
            before,
        };
        walks(&connection, index, |connection| {
            webhook::events(connection, filter, first)
        });
    }
    let (endpoint, event) = (Some(EndpointId(1)), Some(EventId(1)));
    let state = Some(DeliveryState::Failed);
    for (endpoint, event, state, index) in [
        (None, None, None, "(id<?)"),
        (endpoint, event, state, "(event=? AND id<?)"),
        (endpoint, None, None, "(endpoint=? AND id<?)"),
        (endpoint, None, state, "(endpoint=? AND state=? AND id<?)"),
        (None, None, state, "(state=? AND id<?)"),
    ] {
        let filter = DeliveryFilter {
            endpoint,
            event,
            state,
        };
        walks(&connection, index, |connection| {
            webhook::deliveries(connection, filter, PAGE)
        });
    }
    let word = || Some("word".to_owned());
    let all = AuditFilter {
        from,
        before,
        ..AuditFilter::default()
    };
    for (filter, index) in [
        (all.clone(), "audit_at"),
        (
            AuditFilter {
                customer,
                ..all.clone()
            },
            "(customer=? AND at>? AND at<?)",
        ),
        (
            AuditFilter {
                actor: word(),
                ..all.clone()
            },
            "(actor=? AND at>? AND at<?)",
        ),
        (
            AuditFilter {
                action: word(),
                ..all.clone()
            },
            "(action=? AND at>? AND at<?)",
        ),
        (
            AuditFilter {
                subjects: word().map(|word| vec![word]),
                ..all.clone()
            },
            "(subject=? AND at>? AND at<?)",
        ),
    ] {
        walks(&connection, index, |connection| {
            audit::page(connection, &filter, first)
        });
    }
    // Lines of several objects are found by theirs, and sorted.
    let of_two = AuditFilter {
        subjects: Some(vec!["one".to_owned(), "two".to_owned()]),
        ..all
    };
    let of_two = plans(&connection, |connection| {
        audit::page(connection, &of_two, first)
    });
    assert!(of_two[0].contains("(subject=?"), "{}", of_two[0]);
}

#[test]
fn looks_for_what_is_due_walk_indexes() {
    let (_folder, connection) = database();
    let after = (Timestamp(1), CustomerId(1));
    let instants = plans(&connection, |connection| {
        due::next_instants(connection, after, 9)
    });
    for index in [
        "lot_effective ((effective_at,customer)>(?,?))",
        "lot_expiry ((expires_at,customer)>(?,?))",
        "lot_lapse ((lapses_at,customer)>(?,?))",
        "consumer_key_expiry ((expires_at,customer)>(?,?))",
        "grant_schedule_next ((next_at,customer)>(?,?))",
        "grant_application_retry ((retry_at,customer)>(?,?))",
        "subscription_end ((ends_at,customer)>(?,?))",
        "wallet_retry ((auto_topup_retry_at,customer)>(?,?))",
    ] {
        assert!(
            instants[0].contains(index),
            "not by {index}: {}",
            instants[0]
        );
    }
    // Those of one customer and instant are passed over as they come.
    assert!(!instants[0].contains("DISTINCT"), "{}", instants[0]);
    let due = |connection: &Connection| {
        webhook::due(connection, EndpointId(1), Timestamp(1), &[CustomerId(1)], 9)
    };
    walks(&connection, "delivery_due (endpoint=?", due);
    walks(&connection, "delivery_due", webhook::next);
    plans(&connection, |connection| {
        webhook::forget_events(connection, Timestamp(1))
    });
    plans(&connection, |connection| {
        books::read(connection, &[CustomerId(1)])
    });
}
