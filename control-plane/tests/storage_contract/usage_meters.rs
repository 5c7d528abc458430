//! Units of usage detail by meter.

use creditgate::storage::{ChangeSet, Dimension, ForgetUsage, METERS_MAX, Storage, UsageGroup};
use creditgate::verify::verify;
use creditgate_core::detail::{OTHER, Row};
use creditgate_ledger::Timestamp;
use creditgate_ledger::usage::SUM_MAX;

use crate::desk::{Backend, Desk};
use crate::usage::{PAGES, TODAY, all, batch, book, groups, row};

crate::on_every_backend!(
    units_are_kept_by_meter_and_forgotten_with_their_rows,
    a_sum_tells_a_bounded_number_of_meters_apart,
);

fn with_units(row: Row, units: &[(&str, u64)]) -> Row {
    let mut row = row;
    for (meter, count) in units {
        row.units.add((*meter).to_owned(), *count);
    }
    row
}

fn told(group: &UsageGroup) -> Vec<(&str, u64)> {
    group.units.iter().collect()
}

fn units_are_kept_by_meter_and_forgotten_with_their_rows<B: Backend>(mut desk: Desk<B>) {
    let account = desk.funded("ada").account;
    let pages = |units| with_units(row(account, "job", 1), &[(PAGES, units)]);
    let other = with_units(row(account, "job", 1), &[("request_header:x", 5)]);
    let mut old = batch(2, 1, vec![pages(7)]);
    old.day = TODAY.plus(-2);
    let rows = vec![pages(3), pages(u64::MAX), other, row(account, "ping", 1)];
    book(&mut desk, vec![old, batch(1, 1, rows)]);
    let desk = desk.reopen();
    let by_rule = groups(&desk, all(), &[Dimension::Day, Dimension::Rule], 9);
    let found: Vec<_> = by_rule.iter().map(told).collect();
    let today = vec![("request_header:x", 5), (PAGES, SUM_MAX)];
    assert_eq!(found, [vec![(PAGES, 7)], today.clone(), vec![]]);
    let mut desk = desk;
    let forget = ForgetUsage {
        rows_before: TODAY,
        sources_before: Timestamp(1),
    };
    desk.load(&[]);
    let changes = ChangeSet {
        forget_usage: Some(forget),
        ..ChangeSet::default()
    };
    desk.backend.writer().commit(&changes).unwrap();
    let left = groups(&desk, all(), &[], 9);
    assert_eq!(told(&left[0]), today);
    assert_eq!(verify(desk.reader()).unwrap(), []);
}

fn a_sum_tells_a_bounded_number_of_meters_apart<B: Backend>(mut desk: Desk<B>) {
    let account = desk.funded("ada").account;
    let of = |number: usize| {
        let meter = format!("request_header:x-{number:03}");
        let rule = format!("rule-{number}");
        with_units(row(account, &rule, 1), &[(&meter, 2)])
    };
    let rows = (0..METERS_MAX + 6).map(of).collect();
    book(&mut desk, vec![batch(1, 1, rows)]);
    let groups = groups(&desk, all(), &[], 9);
    let units = &groups[0].units;
    assert_eq!(units.len(), METERS_MAX + 1);
    let others = units.iter().find(|(meter, _)| *meter == OTHER);
    assert_eq!(others, Some((OTHER, 12)));
    assert_eq!(told(&groups[0])[1], ("request_header:x-000", 2));
}
