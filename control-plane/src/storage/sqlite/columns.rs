//! Between Rust's types and columns. A column that can't be understood says which row.

use std::rc::Rc;
use std::str::FromStr;

use creditgate_core::amount::Amount;
use creditgate_ledger::Timestamp;
use rusqlite::types::{FromSql, Value, ValueRef};
use rusqlite::{Connection, Params, Row};
use serde::Serialize;
use serde::de::value::{Error as WordError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};

use crate::storage::{PageRequest, StorageError};

/// Reads a row's columns from left to right.
pub(super) struct Columns<'r, 's> {
    row: &'r Row<'s>,
    next: usize,
}

impl Columns<'_, '_> {
    fn bad(&self, error: impl std::fmt::Display) -> StorageError {
        let column = self
            .row
            .as_ref()
            .column_name(self.next.saturating_sub(1))
            .unwrap_or("?");
        let id = match self.row.get_ref(0) {
            Ok(ValueRef::Blob(bytes)) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            Ok(ValueRef::Integer(number)) => number.to_string(),
            _ => "?".to_owned(),
        };
        StorageError::Corrupt(format!("{column} of row {id}: {error}"))
    }

    pub(super) fn value<T: FromSql>(&mut self) -> Result<T, StorageError> {
        let place = self.next;
        self.next = place.saturating_add(1);
        self.row.get(place).map_err(|error| self.bad(error))
    }

    pub(super) fn id(&mut self) -> Result<u128, StorageError> {
        self.value().map(u128::from_be_bytes)
    }

    pub(super) fn id_or_none(&mut self) -> Result<Option<u128>, StorageError> {
        let bytes: Option<[u8; 16]> = self.value()?;
        Ok(bytes.map(u128::from_be_bytes))
    }

    pub(super) fn amount(&mut self) -> Result<Amount, StorageError> {
        self.value().map(Amount::new)
    }

    pub(super) fn amount_or_none(&mut self) -> Result<Option<Amount>, StorageError> {
        let units: Option<i64> = self.value()?;
        Ok(units.map(Amount::new))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, StorageError> {
        self.value().map(Timestamp)
    }

    pub(super) fn time_or_none(&mut self) -> Result<Option<Timestamp>, StorageError> {
        let ms: Option<i64> = self.value()?;
        Ok(ms.map(Timestamp))
    }

    /// An unsigned number, kept by its bit pattern.
    pub(super) fn bits(&mut self) -> Result<u64, StorageError> {
        self.value().map(i64::cast_unsigned)
    }

    pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(&mut self) -> Result<T, StorageError> {
        let text: String = self.value()?;
        text.parse().map_err(|error| self.bad(error))
    }

    /// A word of an enum, as the API spells it.
    pub(super) fn word<T: DeserializeOwned>(&mut self) -> Result<T, StorageError> {
        let text: String = self.value()?;
        read_word(&text).map_err(|error| self.bad(error))
    }

    pub(super) fn word_or_none<T: DeserializeOwned>(&mut self) -> Result<Option<T>, StorageError> {
        let text: Option<String> = self.value()?;
        text.map(|text| read_word(&text))
            .transpose()
            .map_err(|error| self.bad(error))
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Result<T, StorageError> {
        let text: String = self.value()?;
        serde_json::from_str(&text).map_err(|error| self.bad(error))
    }

    pub(super) fn json_or_none<T: DeserializeOwned>(&mut self) -> Result<Option<T>, StorageError> {
        let text: Option<String> = self.value()?;
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| self.bad(error))
    }
}

/// All rows of a query.
pub(super) fn list<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&mut Columns<'_, '_>) -> Result<T, StorageError>,
) -> Result<Vec<T>, StorageError> {
    #[cfg(test)]
    super::plans::note(sql);
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(read(&mut Columns { row, next: 0 })?);
    }
    Ok(items)
}

/// The first row of a query.
pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&mut Columns<'_, '_>) -> Result<T, StorageError>,
) -> Result<Option<T>, StorageError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?
        .map(|row| read(&mut Columns { row, next: 0 }))
        .transpose()
}

/// Writes one row; that none was there to be written is an error.
pub(super) fn write_one(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<(), StorageError> {
    let rows = connection.prepare_cached(sql)?.execute(params)?;
    if rows == 1 {
        Ok(())
    } else {
        Err(StorageError::Corrupt(format!(
            "{rows} rows instead of one: {sql}"
        )))
    }
}

/// Ids as the parameter of `IN rarray(?)`.
pub(super) fn ids(ids: impl Iterator<Item = u128>) -> Rc<Vec<Value>> {
    Rc::new(
        ids.map(|id| Value::Blob(id.to_be_bytes().to_vec()))
            .collect(),
    )
}

fn read_word<T: DeserializeOwned>(text: &str) -> Result<T, WordError> {
    let reader: StrDeserializer<'_, WordError> = text.into_deserializer();
    T::deserialize(reader)
}

/// An enum's word.
pub(super) fn word(value: &impl Serialize) -> Result<String, StorageError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        Ok(other) => Err(StorageError::Corrupt(format!("{other} is not a word"))),
        Err(error) => Err(StorageError::Corrupt(error.to_string())),
    }
}

pub(super) fn json(value: &impl Serialize) -> Result<String, StorageError> {
    serde_json::to_string(value).map_err(|error| StorageError::Corrupt(error.to_string()))
}

/// Below every id of a list by rising ids that is still wanted.
pub(super) fn above(page: PageRequest) -> Vec<u8> {
    page.cursor
        .map_or_else(Vec::new, |cursor| cursor.0.to_be_bytes().to_vec())
}

/// Above every id of a list by falling ids that is still wanted: on the first page a value
/// longer than any id.
pub(super) fn below(page: PageRequest) -> Vec<u8> {
    page.cursor
        .map_or_else(|| vec![0xff; 17], |cursor| cursor.0.to_be_bytes().to_vec())
}

/// One more row than the page has, which tells whether there is a next.
pub(super) fn limit(page: PageRequest) -> i64 {
    i64::from(page.limit).saturating_add(1)
}
