//! Something for each model, or family of models, and how a model is found in it.
//!
//! Exact names are sorted and searched by halves; after them the globs are tried, those that
//! spell out most first. A lookup allocates nothing.

use super::RateCardError;
use super::glob::Glob;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What is known by models.
#[derive(Debug)]
pub(super) struct ByModel<T> {
    /// By name.
    exact: Vec<(Glob, T)>,
    /// In the order in which they are tried.
    globs: Vec<(Glob, T)>,
}

/// A table on its way; no name may come twice.
pub(super) struct Collecting<T> {
    table: ByModel<T>,
    seen: BTreeMap<Box<str>, Box<str>>,
}

impl<T> Default for ByModel<T> {
    fn default() -> Self {
        Self {
            exact: Vec::new(),
            globs: Vec::new(),
        }
    }
}

impl<T> Default for Collecting<T> {
    fn default() -> Self {
        Self {
            table: ByModel::default(),
            seen: BTreeMap::new(),
        }
    }
}

impl<T> Collecting<T> {
    /// Adds what is so for a model, whose name stands at `pointer`.
    pub(super) fn add(
        &mut self,
        model: &str,
        of_it: T,
        pointer: &str,
    ) -> Result<(), RateCardError> {
        let glob = Glob::compile(model, pointer)?;
        if let Some(first) = self.seen.insert(model.into(), pointer.into()) {
            let message = format!("{first} has this name already");
            return Err(RateCardError::new(pointer, "model_taken", message));
        }
        let place = match glob.is_exact() {
            true => &mut self.table.exact,
            false => &mut self.table.globs,
        };
        place.push((glob, of_it));
        Ok(())
    }

    pub(super) fn end(self) -> ByModel<T> {
        let mut table = self.table;
        table.exact.sort_by(|one, other| one.0.cmp(&other.0));
        // Stable, so that the document decides between equals.
        table
            .globs
            .sort_by_key(|(glob, _)| Reverse(glob.literals()));
        table
    }
}

impl<T> ByModel<T> {
    /// What is so for a model, and the name that it stands under.
    pub(super) fn find(&self, model: &str) -> Option<(&str, &T)> {
        let place = self
            .exact
            .binary_search_by(|(name, _)| name.as_str().cmp(model));
        let found = match place {
            Ok(place) => self.exact.get(place),
            Err(_) => self.globs.iter().find(|(glob, _)| glob.fits(model)),
        };
        found.map(|(name, of_it)| (name.as_str(), of_it))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.globs.is_empty()
    }

    /// Whether any name here could be meant by this one too.
    pub(super) fn meets(&self, name: &Glob) -> bool {
        if name.is_exact() {
            return self.find(name.as_str()).is_some();
        }
        let mut all = self.exact.iter().chain(&self.globs);
        all.any(|(glob, _)| glob.meets(name))
    }
}
