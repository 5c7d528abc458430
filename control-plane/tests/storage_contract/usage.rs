//! Usage detail: each batch is added once, and sums are those of its rows, however they are cut.

use std::collections::BTreeMap;
use std::sync::Arc;

use creditgate::storage::{
    ChangeSet, Dimension, ForgetUsage, LoadPlan, Part, Reader, Storage, UsageFilter, UsageGroup,
    UsageQuery,
};
use creditgate::verify::verify;
use creditgate_core::amount::Amount;
use creditgate_core::detail::{Counts, OTHER, Row, SettledBy, StatusClass, Units};
use creditgate_core::key::{CredentialHash, credential_hash};
use creditgate_ledger::id::{AccountId, InstanceId};
use creditgate_ledger::usage::{Batch, Day, MODELS_A_DAY_MAX, SUM_MAX, Source, UsageRow};
use creditgate_ledger::verify::invariant;
use creditgate_ledger::{Timestamp, credential};

use crate::desk::{Backend, Desk, Sqlite, unknown_account};
use crate::tampering::tamper;

crate::on_every_backend!(
    a_batch_is_added_once,
    sources_are_told_apart,
    groups_are_the_sums_of_their_rows_and_come_in_pages,
    a_credential_becomes_its_key_also_a_revoked_one,
    detail_of_accounts_that_are_not_here_is_left_out,
    further_models_of_a_day_are_counted_as_others,
    sums_stop_at_the_largest_number,
    old_detail_is_forgotten_but_its_total_is_kept,
);

pub(crate) const PAGES: &str = "response_header:x-pages";
pub(crate) const TODAY: Day = Day(20_000);

pub(crate) fn batch(worker: u64, number: u64, rows: Vec<Row>) -> Batch {
    let instance = InstanceId(7);
    Batch {
        source: Source { instance, worker },
        number,
        rate_card: "standard".to_owned(),
        day: TODAY,
        rows,
    }
}

pub(crate) fn row(account: AccountId, rule: &str, cost: i64) -> Row {
    Row {
        account,
        credential: None,
        rule: rule.to_owned(),
        card_version: 3,
        model: None,
        status: StatusClass::of(200),
        settled_by: SettledBy::Price,
        cost: Amount::new(cost),
        counts: Counts::new(std::array::from_fn(|place| 1 + place as u64)),
        units: Units::new(),
    }
}

/// Books batches in one transaction, as the writer does; answers how many were new.
pub(crate) fn book<B: Backend>(desk: &mut Desk<B>, batches: Vec<Batch>) -> usize {
    let batches: Vec<_> = batches.into_iter().map(Arc::new).collect();
    let plan = LoadPlan {
        usage: batches.clone(),
        ..LoadPlan::default()
    };
    let storage = desk.backend.writer();
    let mut known = storage.load(&plan).unwrap().usage;
    let at = Timestamp(5_000);
    let usage: Vec<_> = batches
        .iter()
        .filter_map(|batch| known.book(batch, at))
        .collect();
    let new = usage.len();
    let changes = ChangeSet {
        usage,
        ..ChangeSet::default()
    };
    assert_eq!(changes.is_empty(), new == 0);
    storage.commit(&changes).unwrap();
    new
}

pub(crate) fn all() -> UsageFilter {
    UsageFilter {
        customer: None,
        rule: None,
        model: None,
        key: None,
        settled_by: None,
        from: TODAY.plus(-99),
        before: TODAY.plus(99),
    }
}

pub(crate) fn groups<B: Backend>(
    desk: &Desk<B>,
    filter: UsageFilter,
    by: &[Dimension],
    limit: u32,
) -> Vec<UsageGroup> {
    let mut query = UsageQuery {
        filter,
        by: by.to_vec(),
        after: None,
        limit,
    };
    let mut groups = Vec::new();
    loop {
        let page = desk.reader().usage(&query).unwrap();
        assert!(page.groups.len() <= limit as usize);
        groups.extend(page.groups);
        if !page.has_more {
            return groups;
        }
        query.after = groups.last().map(UsageGroup::place);
    }
}

/// Requests and cost of all there is.
fn sum<B: Backend>(desk: &Desk<B>) -> (u64, i128) {
    let groups = groups(desk, all(), &[], 9);
    let requests = groups.iter().map(|group| group.counts.requests()).sum();
    (requests, groups.iter().map(|group| group.cost).sum())
}

fn a_batch_is_added_once<B: Backend>(mut desk: Desk<B>) {
    let account = desk.funded("ada").account;
    let first = batch(
        1,
        1,
        vec![row(account, "ping", 5), row(account, "report", 7)],
    );
    assert_eq!(book(&mut desk, vec![first.clone()]), 1);
    assert_eq!(sum(&desk), (2, 12));
    assert_eq!(book(&mut desk, vec![first.clone()]), 0);
    let mut desk = desk.reopen();
    assert_eq!(book(&mut desk, vec![first.clone()]), 0);
    // Also twice in one transaction, and what came before a number is older than it.
    let third = batch(1, 3, vec![row(account, "ping", 1)]);
    let second = batch(1, 2, vec![row(account, "ping", 100)]);
    assert_eq!(
        book(&mut desk, vec![third.clone(), third, first, second]),
        1
    );
    assert_eq!(sum(&desk), (3, 13));
    assert_eq!(desk.reader().usage_total(account).unwrap().cost.get(), 13);
    assert_eq!(desk.reader().usage_kept(account).unwrap(), 13);
}

fn sources_are_told_apart<B: Backend>(mut desk: Desk<B>) {
    let account = desk.funded("ada").account;
    let one = batch(u64::MAX, 1, vec![row(account, "ping", 1)]);
    let other = batch(2, 1, vec![row(account, "ping", 1)]);
    let mut process = batch(2, 1, vec![row(account, "ping", 1)]);
    process.source.instance = InstanceId(8);
    assert_eq!(book(&mut desk, vec![one.clone(), other, process]), 3);
    assert_eq!(book(&mut desk, vec![one]), 0);
    assert_eq!(sum(&desk), (3, 3));
}

/// Detail of every kind, in three accounts of two currencies, on four days.
fn fill<B: Backend>(desk: &mut Desk<B>) -> Vec<UsageRow> {
    let ada = desk.funded("ada");
    let bob = desk.funded("bob");
    let tokens = desk.wallet_in(bob.customer, "tokens");
    let accounts = [ada.account, bob.account, tokens.account];
    let key = desk.decide(ada.customer, |book, _, context| {
        credential::add(book, context, None, credential_hash("one")).unwrap()
    });
    let mut rows = Vec::new();
    for number in 0..60_usize {
        let mut row = row(
            accounts[number % 3],
            ["chat", "ping"][number % 2],
            number as i64,
        );
        row.model = [None, Some("large"), Some("small")][number / 2 % 3].map(str::to_owned);
        row.credential = (number % 4 == 0).then_some(key.hash);
        row.card_version = 1 + (number as u64 / 20);
        row.status = StatusClass::of([200, 404, 503, 0][number / 3 % 4]);
        row.settled_by = [SettledBy::Price, SettledBy::Usage][number / 7 % 2];
        if number % 5 < 2 {
            let meters = [PAGES, "filter_state:wasm.n", "request_header:x"];
            row.units.add(meters[number % 3].to_owned(), number as u64);
            row.units.add(meters[(number + 1) % 3].to_owned(), u64::MAX);
        }
        rows.push(row);
    }
    let mut booked = Vec::new();
    for (number, chunk) in rows.chunks(15).enumerate() {
        let mut batch = batch(1, 1 + number as u64, chunk.to_vec());
        batch.day = TODAY.plus(number as i32);
        batch.rate_card = ["standard", "other"][number % 2].to_owned();
        let plan = LoadPlan {
            usage: vec![Arc::new(batch.clone())],
            ..LoadPlan::default()
        };
        let mut known = desk.backend.writer().load(&plan).unwrap().usage;
        booked.extend(known.book(&batch, Timestamp(1)).unwrap().rows);
        assert_eq!(book(desk, vec![batch]), 1);
    }
    booked
}

fn parts(row: &UsageRow, by: &[Dimension]) -> Vec<Part> {
    let text = |text: &str| Part::Text(text.to_owned());
    let of = |dimension: &Dimension| match dimension {
        Dimension::Customer => vec![Part::Id(row.customer.0)],
        Dimension::Day => vec![Part::Number(row.key.day.0.into())],
        Dimension::Rule => vec![text(&row.key.rule)],
        Dimension::Model => vec![text(row.key.model.as_deref().unwrap_or(""))],
        Dimension::Key => vec![row.key.key.map_or(Part::None, |key| Part::Id(key.0))],
        Dimension::StatusClass => vec![text(row.key.status.as_str())],
        Dimension::SettledBy => vec![text(row.key.settled_by.as_str())],
        Dimension::RateCardVersion => {
            let version = i64::try_from(row.key.card_version).unwrap();
            vec![text(&row.key.rate_card), Part::Number(version)]
        }
    };
    by.iter().flat_map(of).collect()
}

fn groups_are_the_sums_of_their_rows_and_come_in_pages<B: Backend>(mut desk: Desk<B>) {
    let rows = fill(&mut desk);
    let reader = desk.reader();
    let account = |row: &UsageRow| {
        let book = reader
            .book(&creditgate::storage::Target::Account(row.key.account))
            .unwrap()
            .unwrap();
        book.account(row.key.account).unwrap().clone()
    };
    let known = rows.iter().find_map(|row| row.key.key);
    let subsets = (0..1_u32 << Dimension::ALL.len()).step_by(3);
    for (subset, place) in subsets.zip(0_usize..) {
        let named = Dimension::ALL.into_iter().enumerate();
        let by: Vec<Dimension> = named
            .filter(|(bit, _)| subset >> bit & 1 == 1)
            .map(|(_, by)| by)
            .collect();
        let filter = UsageFilter {
            customer: (place % 2 == 0).then_some(rows[place % 3].customer),
            rule: (place % 3 == 0).then(|| "chat".to_owned()),
            model: (place % 5 == 0).then(|| "small".to_owned()),
            key: known.filter(|_| place % 4 == 3),
            settled_by: (place % 7 == 2).then_some(SettledBy::Usage),
            from: TODAY.plus((place % 2) as i32),
            before: TODAY.plus(3),
        };
        let mut expected: BTreeMap<(String, Vec<Part>), (i128, Counts, Units)> = BTreeMap::new();
        for row in &rows {
            let fits = filter.customer.is_none_or(|of| of == row.customer)
                && filter.rule.as_ref().is_none_or(|of| *of == row.key.rule)
                && (filter.model.is_none() || filter.model == row.key.model)
                && filter.key.is_none_or(|of| row.key.key == Some(of))
                && filter.settled_by.is_none_or(|of| row.key.settled_by == of)
                && row.key.day >= filter.from
                && row.key.day < filter.before;
            if fits {
                let place = (account(row).currency.to_string(), parts(row, &by));
                let (cost, counts, units) = expected.entry(place).or_default();
                *cost += i128::from(row.cost.get());
                counts.add(&row.counts);
                units.add_all(&row.units);
            }
        }
        let expected: Vec<_> = expected.into_iter().collect();
        for limit in [1, 4, 500] {
            let got = groups(&desk, filter.clone(), &by, limit);
            let got: Vec<_> = got
                .into_iter()
                .map(|group| {
                    (
                        (group.currency.to_string(), group.parts),
                        (group.cost, group.counts, group.units),
                    )
                })
                .collect();
            assert_eq!(got, expected, "{by:?} of {filter:?}");
        }
    }
}

fn a_credential_becomes_its_key_also_a_revoked_one<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("ada");
    let hash = credential_hash("one");
    let key = desk.decide(wallet.customer, |book, _, context| {
        credential::add(book, context, None, hash).unwrap()
    });
    desk.decide(wallet.customer, |book, _, context| {
        credential::revoke(book, context, key.id, context.now).unwrap()
    });
    let with = |credential: Option<CredentialHash>| Row {
        credential,
        ..row(wallet.account, "ping", 1)
    };
    let rows = vec![
        with(Some(hash)),
        with(Some(credential_hash("a name"))),
        with(None),
    ];
    book(&mut desk, vec![batch(1, 1, rows)]);
    let groups = groups(&desk, all(), &[Dimension::Key], 9);
    let found = groups.iter().map(|group| (group.parts.clone(), group.cost));
    let found: Vec<_> = found.collect();
    assert_eq!(
        found,
        [(vec![Part::None], 2), (vec![Part::Id(key.id.0)], 1)]
    );
}

fn detail_of_accounts_that_are_not_here_is_left_out<B: Backend>(mut desk: Desk<B>) {
    let account = desk.funded("ada").account;
    let rows = vec![row(unknown_account(), "ping", 5), row(account, "ping", 1)];
    assert_eq!(book(&mut desk, vec![batch(1, 1, rows.clone())]), 1);
    assert_eq!(book(&mut desk, vec![batch(1, 1, rows)]), 0);
    assert_eq!(sum(&desk), (1, 1));
}

fn further_models_of_a_day_are_counted_as_others<B: Backend>(mut desk: Desk<B>) {
    let account = desk.funded("ada").account;
    let of = |name: String| Row {
        model: Some(name),
        ..row(account, "chat", 1)
    };
    for number in 0..10_u64 {
        let names = (0..50).map(|n| format!("model-{:04}", number * 50 + n));
        book(
            &mut desk,
            vec![batch(1, 1 + number, names.map(of).collect())],
        );
    }
    // One that is known keeps its row.
    book(
        &mut desk,
        vec![batch(1, 11, vec![of("model-0000".to_owned())])],
    );
    let groups = groups(&desk, all(), &[Dimension::Model], 500);
    assert_eq!(groups.len(), MODELS_A_DAY_MAX + 1);
    let cost = |name: &str| {
        let part = [Part::Text(name.to_owned())];
        groups
            .iter()
            .find(|group| group.parts == part)
            .map(|group| group.cost)
    };
    let others = 500 - i128::try_from(MODELS_A_DAY_MAX).unwrap();
    assert_eq!((cost("model-0000"), cost(OTHER)), (Some(2), Some(others)));
    // The next day begins anew.
    let mut next = batch(1, 12, vec![of("model-9999".to_owned())]);
    next.day = TODAY.plus(1);
    book(&mut desk, vec![next]);
    let tomorrow = UsageFilter {
        from: TODAY.plus(1),
        ..all()
    };
    let found = self::groups(&desk, tomorrow, &[Dimension::Model], 9);
    assert_eq!(found[0].parts, [Part::Text("model-9999".to_owned())]);
}

fn sums_stop_at_the_largest_number<B: Backend>(mut desk: Desk<B>) {
    let account = desk.funded("ada").account;
    let huge = Row {
        counts: Counts::new([u64::MAX; Counts::KINDS]),
        ..row(account, "ping", i64::MAX)
    };
    let other = Row {
        rule: "report".to_owned(),
        ..huge.clone()
    };
    for number in 1..4 {
        book(
            &mut desk,
            vec![batch(1, number, vec![huge.clone(), other.clone()])],
        );
    }
    let groups = groups(&desk, all(), &[], 9);
    assert_eq!(groups[0].cost, 2 * i128::from(i64::MAX));
    assert_eq!(groups[0].counts.get(), &[2 * SUM_MAX; Counts::KINDS]);
    assert_eq!(
        desk.reader().usage_total(account).unwrap().cost.get(),
        i64::MAX
    );
}

fn old_detail_is_forgotten_but_its_total_is_kept<B: Backend>(mut desk: Desk<B>) {
    let account = desk.funded("ada").account;
    let mut old = batch(
        1,
        1,
        vec![row(account, "ping", 5), row(account, "report", 2)],
    );
    old.day = TODAY.plus(-2);
    let new = batch(2, 1, vec![row(account, "ping", 1)]);
    book(&mut desk, vec![old.clone(), new]);
    let forget = |rows_before, sources_before| ChangeSet {
        forget_usage: Some(ForgetUsage {
            rows_before,
            sources_before,
        }),
        ..ChangeSet::default()
    };
    let changes = forget(TODAY.plus(-1), Timestamp(5_000));
    assert!(!changes.is_empty());
    desk.load(&[]);
    desk.backend.writer().commit(&changes).unwrap();
    assert_eq!(sum(&desk), (1, 1));
    let total = desk.reader().usage_total(account).unwrap();
    assert_eq!((total.cost.get(), total.forgotten.get()), (8, 7));
    assert_eq!(desk.reader().usage_kept(account).unwrap(), 1);
    assert_eq!(
        book(&mut desk, vec![old.clone()]),
        0,
        "its source is still known"
    );
    desk.load(&[]);
    desk.backend
        .writer()
        .commit(&forget(TODAY, Timestamp(5_001)))
        .unwrap();
    assert_eq!(book(&mut desk, vec![old]), 1);
}

#[test]
fn detail_that_someone_changed_is_found() {
    for (sql, is_found) in [
        ("UPDATE usage_detail SET requests = requests", false),
        (
            "UPDATE usage_detail SET cost = cost + 1 WHERE rule = 'ping'",
            true,
        ),
        ("DELETE FROM usage_detail WHERE rule = 'ping'", true),
        ("UPDATE usage_total SET cost = 0", true),
    ] {
        let mut desk = Desk::<Sqlite>::new();
        let account = desk.funded("ada").account;
        let rows = vec![row(account, "ping", 5), row(account, "report", 2)];
        book(&mut desk, vec![batch(1, 1, rows)]);
        tamper(&desk, sql);
        let findings = verify(desk.reader()).unwrap();
        let named = findings.iter().any(|finding| {
            finding.invariant == invariant::USAGE && finding.problem.contains("7 were told")
                || finding.problem.contains("comes to 7")
        });
        assert_eq!(named, is_found, "{sql}: {findings:?}");
    }
}
