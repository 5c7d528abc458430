//! Lists whose statement has only the conditions that are asked for, so that each finds
//! its index.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::columns::{Columns, above, below, limit, list};
use crate::storage::{PageRequest, StorageError};

/// A statement in the making.
pub(super) struct Listing {
    sql: String,
    values: Vec<Value>,
}

impl Listing {
    /// Of all rows; `select` ends with the table.
    pub(super) fn new(select: &str) -> Self {
        Self {
            sql: format!("{select} WHERE true"),
            values: Vec::new(),
        }
    }

    /// Only those of which the condition, which has no value, holds.
    pub(super) fn only(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    /// Only those of which the condition holds; its value comes after it.
    pub(super) fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        let place = self.values.len();
        self.only(&format!("{condition} ?{place}"));
    }

    /// As [`Self::and`], with an id.
    pub(super) fn id(&mut self, condition: &str, id: u128) {
        self.and(condition, id.to_be_bytes().to_vec());
    }

    /// Only those whose column has one of the values.
    pub(super) fn among<T: Into<Value>>(&mut self, column: &str, values: impl Iterator<Item = T>) {
        let mut places = Vec::new();
        for value in values {
            self.values.push(value.into());
            places.push(format!("?{}", self.values.len()));
        }
        self.only(&format!("{column} IN ({})", places.join(", ")));
    }

    /// Only those of which the condition holds; its value is where it says `?{n}`.
    pub(super) fn that(&mut self, condition: &str, value: impl Into<Value>) {
        self.these(condition, [("n", value.into())]);
    }

    /// Only those of which the condition holds; each value is where it says `?{name}`.
    pub(super) fn these<const N: usize>(&mut self, condition: &str, values: [(&str, Value); N]) {
        let mut condition = condition.to_owned();
        for (name, value) in values {
            self.values.push(value);
            let place = self.values.len().to_string();
            condition = condition.replace(&format!("{{{name}}}"), &place);
        }
        self.only(&condition);
    }

    /// A page by rising ids.
    pub(super) fn rising<T>(
        mut self,
        connection: &Connection,
        page: PageRequest,
        read: impl FnMut(&mut Columns<'_, '_>) -> Result<T, StorageError>,
    ) -> Result<Vec<T>, StorageError> {
        self.and("id >", above(page));
        self.page(connection, page, "id", read)
    }

    /// A page by falling ids.
    pub(super) fn falling<T>(
        mut self,
        connection: &Connection,
        page: PageRequest,
        read: impl FnMut(&mut Columns<'_, '_>) -> Result<T, StorageError>,
    ) -> Result<Vec<T>, StorageError> {
        self.and("id <", below(page));
        self.page(connection, page, "id DESC", read)
    }

    /// A page of rows that have an instant: newest first, those of one instant by falling ids.
    /// `table` is where the row that the cursor names is found.
    pub(super) fn newest<T>(
        mut self,
        connection: &Connection,
        table: &str,
        page: PageRequest,
        read: impl FnMut(&mut Columns<'_, '_>) -> Result<T, StorageError>,
    ) -> Result<Vec<T>, StorageError> {
        if let Some(cursor) = page.cursor {
            let sql = format!("SELECT at FROM {table} WHERE id = ?1");
            let id = cursor.0.to_be_bytes();
            let at = super::columns::first(connection, &sql, [id], |columns| columns.time())?;
            // What the page before ended with was forgotten, so what is older was, too.
            let Some(at) = at else { return Ok(Vec::new()) };
            self.values.push(at.0.into());
            self.values.push(id.to_vec().into());
            let last = self.values.len();
            self.only(&format!(
                "(at, id) < (?{}, ?{last})",
                last.saturating_sub(1)
            ));
        }
        self.page(connection, page, "at DESC, id DESC", read)
    }

    /// A page in an order of its own.
    pub(super) fn page<T>(
        mut self,
        connection: &Connection,
        page: PageRequest,
        order: &str,
        read: impl FnMut(&mut Columns<'_, '_>) -> Result<T, StorageError>,
    ) -> Result<Vec<T>, StorageError> {
        self.values.push(limit(page).into());
        let place = self.values.len();
        let sql = format!("{} ORDER BY {order} LIMIT ?{place}", self.sql);
        list(connection, &sql, params_from_iter(self.values), read)
    }
}
