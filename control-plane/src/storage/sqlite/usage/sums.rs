//! Sums of usage detail.

use std::collections::HashMap;

use creditgate_core::detail::{Counts, Units};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::{ROW, sums};
use crate::storage::sqlite::columns::{Columns, list};
use crate::storage::sqlite::party::read_scale;
use crate::storage::{
    Dimension, Part, StorageError, UsageFilter, UsageGroup, UsagePage, UsageQuery,
};

/// The columns by which rows of a dimension are told apart.
const fn columns_of(dimension: Dimension) -> &'static [&'static str] {
    match dimension {
        Dimension::Customer => &["usage_detail.customer"],
        Dimension::Day => &["day"],
        Dimension::Rule => &["rule"],
        Dimension::Model => &["model"],
        Dimension::Key => &["key"],
        Dimension::StatusClass => &["status"],
        Dimension::SettledBy => &["settled_by"],
        Dimension::RateCardVersion => &["rate_card", "card_version"],
    }
}

fn value_of(part: &Part) -> Value {
    match part {
        Part::None => Value::Blob(Vec::new()),
        Part::Id(id) => Value::Blob(id.to_be_bytes().to_vec()),
        Part::Number(number) => Value::Integer(*number),
        Part::Text(text) => Value::Text(text.clone()),
    }
}

fn read_part(columns: &mut Columns<'_, '_>) -> Result<Part, StorageError> {
    Ok(match columns.value()? {
        Value::Blob(bytes) => match <[u8; 16]>::try_from(bytes) {
            Ok(id) => Part::Id(u128::from_be_bytes(id)),
            Err(_) => Part::None,
        },
        Value::Integer(number) => Part::Number(number),
        Value::Text(text) => Part::Text(text),
        Value::Null | Value::Real(_) => Part::None,
    })
}

/// By what groups are told apart, in the order in which they are sorted.
fn columns(by: &[Dimension]) -> String {
    let mut columns = vec!["account.currency", "account.scale"];
    columns.extend(by.iter().flat_map(|dimension| columns_of(*dimension)));
    columns.join(", ")
}

/// In two parts, so that no sum of them leaves 64 bits.
fn summed(column: &str) -> String {
    format!("sum({column} >> 31), sum({column} & 0x7fffffff)")
}

/// A statement in the making.
struct Statement {
    sql: String,
    values: Vec<Value>,
}

impl Statement {
    fn value(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("?{}", self.values.len())
    }

    fn values(&mut self, values: impl Iterator<Item = Value>) -> String {
        let places: Vec<String> = values.map(|value| self.value(value)).collect();
        places.join(", ")
    }

    /// Rows that are asked for, with what each `more` adds to them.
    fn of(filter: &UsageFilter, what: &str, more: &str) -> Self {
        // CROSS JOIN: the rows that are asked for lead to their accounts, never the other way round.
        let sql = format!(
            "SELECT {what} FROM usage_detail CROSS JOIN account ON account.id = usage_detail.account {more}
             WHERE day >= ?1 AND day < ?2"
        );
        let values = vec![
            i64::from(filter.from.0).into(),
            i64::from(filter.before.0).into(),
        ];
        let mut statement = Self { sql, values };
        let id = |id: u128| Value::Blob(id.to_be_bytes().to_vec());
        let settled_by = filter.settled_by.map(|by| by.as_str().to_owned());
        // Without an index: there are few of them.
        let settled_by = settled_by.map(Value::Text);
        let conditions = [
            ("usage_detail.customer", filter.customer.map(|of| id(of.0))),
            ("key", filter.key.map(|of| id(of.0))),
            ("rule", filter.rule.clone().map(Value::Text)),
            ("model", filter.model.clone().map(Value::Text)),
            ("settled_by", settled_by),
        ];
        let wanted = conditions.into_iter();
        let wanted = wanted.filter_map(|(column, value)| Some((column, value?)));
        // The first has the fewest rows; a sign before a column keeps its index out of it.
        for (place, (column, value)) in wanted.enumerate() {
            let value = statement.value(value);
            let sign = if place == 0 { "" } else { "+" };
            let condition = format!(" AND {sign}{column} = {value}");
            statement.sql.push_str(&condition);
        }
        statement
    }
}

/// Sums of a page of groups.
pub(in crate::storage::sqlite) fn page(
    connection: &Connection,
    query: &UsageQuery,
) -> Result<UsagePage, StorageError> {
    let by = columns(&query.by);
    let all: Vec<String> = sums().map(summed).collect();
    let what = format!("{by}, {}", all.join(", "));
    let mut statement = Statement::of(&query.filter, &what, "");
    if let Some(after) = &query.after {
        let place = statement.values(after.iter().map(value_of));
        statement.sql.push_str(&format!(" AND ({by}) > ({place})"));
    }
    let limit = statement.value(i64::from(query.limit).saturating_add(1).into());
    let order = format!(" GROUP BY {by} ORDER BY {by} LIMIT {limit}");
    statement.sql.push_str(&order);
    let width = query.by.iter().map(|dimension| dimension.width()).sum();
    let values = params_from_iter(statement.values);
    let groups = list(connection, &statement.sql, values, |columns| {
        read_group(columns, width)
    })?;
    let mut page = UsagePage::cut(groups, query.limit);
    add_units(connection, query, &mut page.groups)?;
    Ok(page)
}

/// Adds units by meter to groups that have units.
pub(in crate::storage::sqlite) fn add_units(
    connection: &Connection,
    query: &UsageQuery,
    groups: &mut [UsageGroup],
) -> Result<(), StorageError> {
    let has_units = groups.iter().any(|group| group.counts.units() > 0);
    let ends = groups.first().zip(groups.last());
    let Some((first, last)) = ends.filter(|_| has_units) else {
        return Ok(());
    };
    let by = columns(&query.by);
    let (what, meters) = (
        format!("{by}, meter, {}", summed("metered")),
        format!("CROSS JOIN usage_meter USING ({ROW})"),
    );
    let mut statement = Statement::of(&query.filter, &what, &meters);
    let from = statement.values(first.place().iter().map(value_of));
    let to = statement.values(last.place().iter().map(value_of));
    let rest = format!(
        " AND +units > 0 AND ({by}) >= ({from}) AND ({by}) <= ({to}) GROUP BY {by}, meter ORDER BY {by}, meter"
    );
    statement.sql.push_str(&rest);
    let places = groups.iter().enumerate();
    let places: HashMap<Vec<Part>, usize> = places
        .map(|(place, group)| (group.place(), place))
        .collect();
    let width: usize = query.by.iter().map(|dimension| dimension.width()).sum();
    let values = params_from_iter(statement.values);
    let found = list(connection, &statement.sql, values, |columns| {
        let place: Result<Vec<Part>, _> = (0..width.saturating_add(2))
            .map(|_| read_part(columns))
            .collect();
        let meter: String = columns.value()?;
        let units = u64::try_from(read_sum(columns)?).unwrap_or(u64::MAX);
        Ok((place?, meter, units))
    })?;
    for (place, meter, units) in found {
        let place = places.get(&place);
        if let Some(group) = place.and_then(|place| groups.get_mut(*place)) {
            group.add_units(&meter, units);
        }
    }
    Ok(())
}

fn read_group(columns: &mut Columns<'_, '_>, width: usize) -> Result<UsageGroup, StorageError> {
    let (currency, scale) = (columns.parsed()?, read_scale(columns)?);
    let parts: Result<Vec<Part>, _> = (0..width).map(|_| read_part(columns)).collect();
    let parts = parts?;
    let cost = read_sum(columns)?;
    let mut counts = [0_u64; Counts::KINDS];
    for place in &mut counts {
        *place = u64::try_from(read_sum(columns)?).unwrap_or(u64::MAX);
    }
    Ok(UsageGroup {
        currency,
        scale,
        parts,
        cost,
        counts: Counts::new(counts),
        units: Units::new(),
    })
}

pub(super) fn read_sum(columns: &mut Columns<'_, '_>) -> Result<i128, StorageError> {
    let (high, low): (i64, i64) = (columns.value()?, columns.value()?);
    Ok((i128::from(high) << 31).saturating_add(i128::from(low)))
}
