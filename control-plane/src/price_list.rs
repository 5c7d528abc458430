//! Public price lists of language models, turned into the `models` of a rate card.
//!
//! The list is an object by model, in the shape that LiteLLM publishes: prices in dollars a
//! token, as JSON numbers such as `1.5e-07`. They are read from their text, exactly; no float
//! comes between. What a rate card can't say is left out and told, never guessed: a price that
//! is missed must not become a model that is cheap.

mod decimal;
mod entry;
mod list;

pub use decimal::{Decimal, DecimalError};

use std::collections::BTreeMap;

use creditgate_core::rate_card::{Glob, MODELS_MAX, ModelDocument};
use thiserror::Error;

/// The largest list that is read, in bytes.
pub const LIST_MAX: u64 = 64 << 20;

/// What of a list is wanted, and how.
#[derive(Debug, Default)]
pub struct Options {
    /// Models whose names, as they are listed, fit one of these; all, if there are none.
    pub models: Vec<Glob>,
    /// Models of these providers; of all, if there are none.
    pub providers: Vec<String>,
    /// What is taken off the beginning of names: of each the first that fits.
    pub strip_prefixes: Vec<String>,
    /// What comes on top of each price, in percent; at least 0.
    pub markup_percent: Decimal,
}

/// What became of a list.
#[derive(Debug, Default)]
pub struct Imported {
    /// Rows for a rate card, by name.
    pub models: Vec<ModelDocument>,
    /// What was left out, and why: a line each, by the names in the list.
    pub reports: Vec<String>,
}

/// Why nothing was imported.
#[derive(Debug, Error)]
pub enum ListError {
    /// It is no object of objects.
    #[error("not a price list: {0}")]
    Unreadable(String),
    /// More than a rate card may have.
    #[error(
        "{0} models, and a rate card has at most {MODELS_MAX}: choose with --models or --provider"
    )]
    TooMany(usize),
}

/// Reads a list. The same list and options always give the same rows, in the same order.
///
/// # Errors
/// [`ListError`].
pub fn import(list: &[u8], options: &Options) -> Result<Imported, ListError> {
    let entries = list::read(list).map_err(|error| ListError::Unreadable(error.to_string()))?;
    let mut imported = Imported::default();
    let mut found: BTreeMap<String, Vec<(String, ModelDocument)>> = BTreeMap::new();
    for (listed, entry) in &entries {
        // How the list explains itself.
        if listed == "sample_spec" || !is_wanted(listed, entry, options) {
            continue;
        }
        let name = stripped(listed, &options.strip_prefixes);
        match entry::row(name, entry, options.markup_percent) {
            Ok(row) => {
                for (fields, why) in [
                    (row.unsayable, "which a rate card can't say"),
                    (row.zero, "0 in the list: as if it were not there"),
                ] {
                    if !fields.is_empty() {
                        let fields = fields.join(", ");
                        imported
                            .reports
                            .push(format!("{listed}: without {fields}, {why}"));
                    }
                }
                let same_name = found.entry(name.to_owned()).or_default();
                same_name.push((listed.clone(), row.model));
            }
            Err(reason) => imported
                .reports
                .push(format!("{listed}: left out: {reason}")),
        }
    }
    for (name, mut rows) in found {
        let (first, rest) = (rows.swap_remove(0), rows);
        if rest.iter().all(|(_, row)| *row == first.1) {
            imported.models.push(first.1);
            continue;
        }
        let listed = std::iter::once(&first).chain(&rest);
        let listed: Vec<&str> = listed.map(|(listed, _)| listed.as_str()).collect();
        let listed = listed.join(", ");
        let report =
            format!("{name}: left out: listed more than once, at different prices: {listed}");
        imported.reports.push(report);
    }
    imported.reports.sort();
    match imported.models.len() {
        count if count > MODELS_MAX => Err(ListError::TooMany(count)),
        _ => Ok(imported),
    }
}

fn is_wanted(listed: &str, entry: &list::Entry, options: &Options) -> bool {
    let Options {
        models, providers, ..
    } = options;
    let provider = entry.text("litellm_provider");
    let is_of = |wanted: &String| provider.as_ref() == Some(wanted);
    (models.is_empty() || models.iter().any(|glob| glob.fits(listed)))
        && (providers.is_empty() || providers.iter().any(is_of))
}

fn stripped<'n>(listed: &'n str, prefixes: &[String]) -> &'n str {
    let mut rests = prefixes
        .iter()
        .filter_map(|prefix| listed.strip_prefix(prefix.as_str()));
    rests.next().unwrap_or(listed)
}
