//! Sums of usage detail read only rows that are asked for, and what a batch needs is looked up.

use creditgate_core::amount::{Currency, Scale};
use creditgate_core::detail::{Counts, SettledBy, Units};
use creditgate_ledger::Timestamp;
use creditgate_ledger::id::{AccountId, CustomerId, KeyId};
use creditgate_ledger::usage::Day;
use rusqlite::Connection;

use super::super::usage;
use super::{database, plans};
use crate::storage::{Dimension, ForgetUsage, Part, UsageFilter, UsageGroup, UsageQuery};

#[test]
fn sums_of_usage_walk_the_index_of_what_is_asked_for() {
    let (_folder, connection) = database();
    let all = UsageFilter {
        customer: None,
        rule: None,
        model: None,
        key: None,
        settled_by: None,
        from: Day(1),
        before: Day(9),
    };
    let customer = Some(CustomerId(7));
    let (rule, model) = (Some("chat".to_owned()), Some("small".to_owned()));
    let key = Some(KeyId(7));
    let filters = [
        ("usage_detail_day (day>? AND day<?)", all.clone()),
        (
            "usage_detail_rule (rule=? AND day>? AND day<?)",
            UsageFilter {
                rule: rule.clone(),
                ..all.clone()
            },
        ),
        (
            "usage_detail_model (model=? AND day>? AND day<?)",
            UsageFilter {
                model: model.clone(),
                ..all.clone()
            },
        ),
        (
            "usage_detail_key (key=? AND day>? AND day<?)",
            UsageFilter {
                key,
                rule: rule.clone(),
                ..all.clone()
            },
        ),
        (
            "usage_detail_customer (customer=? AND day>? AND day<?)",
            UsageFilter {
                customer,
                rule,
                model,
                key,
                settled_by: Some(SettledBy::Usage),
                ..all
            },
        ),
    ];
    for (index, filter) in filters {
        for (by, after) in [
            (vec![], None),
            (vec![Dimension::Rule], Some(Part::Text("chat".to_owned()))),
        ] {
            let place = |part| vec![Part::Text("usd".to_owned()), Part::Number(9), part];
            let query = UsageQuery {
                filter: filter.clone(),
                by,
                after: after.map(place),
                limit: 9,
            };
            let plans = plans(&connection, |connection| usage::page(connection, &query));
            assert!(plans[0].contains(index), "not by {index}: {}", plans[0]);
            assert_eq!(plans.len(), 1, "there are no units");
            let groups = &mut [any_group(&query)];
            let look = |connection: &_| usage::add_units(connection, &query, groups);
            let plans = self::plans(&connection, look);
            assert!(plans[0].contains(index), "not by {index}: {}", plans[0]);
            let lookup = "SEARCH usage_meter USING PRIMARY KEY (account=? AND day=? AND model=?";
            assert!(plans[0].contains(lookup), "{}", plans[0]);
        }
    }
}

fn any_group(query: &UsageQuery) -> UsageGroup {
    let parts = query.by.iter().map(|_| Part::Text(String::new()));
    UsageGroup {
        currency: Currency::new("usd").unwrap(),
        scale: Scale::new(2).unwrap(),
        parts: parts.collect(),
        cost: 0,
        counts: Counts::new([1; Counts::KINDS]),
        units: Units::new(),
    }
}

#[test]
fn totals_of_usage_and_what_is_forgotten_walk_indexes() {
    let (_folder, connection) = database();
    let look = |connection: &Connection| usage::kept(connection, AccountId(7));
    plans(&connection, look);
    let forget = ForgetUsage {
        rows_before: Day(9),
        sources_before: Timestamp(9),
    };
    let plans = plans(&connection, |connection| usage::forget(connection, forget));
    assert!(
        plans[0].contains("usage_detail_day (day<?)"),
        "{}",
        plans[0]
    );
}
