//! Where in a document the scanner is: a stack of bounded depth.

use super::{DEPTH_MAX, NotJson, PathSet, STEPS_MAX, Sink};

/// A watched path's end may itself be a container.
const LEVELS_MAX: usize = STEPS_MAX + 1;

/// The containers around the value at hand.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// How many of them there are.
    depth: u8,
    /// How many of them are around the document: 1 in a list of documents.
    base: u8,
    /// A bit for each, the innermost lowest: set if it is a list.
    lists: u128,
    /// The document's outermost few.
    levels: [Level; LEVELS_MAX],
}

/// A container, from within.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Level {
    /// The watched paths that lead to it.
    pub(super) paths: PathSet,
    /// Where it began.
    pub(super) start: usize,
    /// Elements begun, if it is a list.
    elements: u32,
}

impl Place {
    /// Whether no container is around.
    pub(super) const fn is_top(&self) -> bool {
        self.depth == 0
    }

    /// Whether the value at hand is a document.
    pub(super) const fn is_document(&self) -> bool {
        self.depth == self.base
    }

    /// Whether a list of documents has begun.
    pub(super) const fn has_documents(&self) -> bool {
        self.base > 0
    }

    pub(super) const fn is_in_list(&self) -> bool {
        self.lists & 1 == 1
    }

    /// How many steps lead from the document to the value at hand.
    pub(super) fn level(&self) -> usize {
        usize::from(self.depth.saturating_sub(self.base))
    }

    /// The innermost container's level; 0 if there is none.
    pub(super) fn level_around(&self) -> usize {
        self.level().saturating_sub(1)
    }

    /// The innermost container. Nothing leads to it if it isn't one of the outermost few.
    pub(super) fn around(&self) -> Level {
        let level = self.level().checked_sub(1);
        let level = level.and_then(|level| self.levels.get(level));
        level.copied().unwrap_or_default()
    }

    /// Enters a list of documents.
    pub(super) fn open_documents(&mut self) -> Result<(), NotJson> {
        self.base = 1;
        self.push(true)
    }

    /// Enters a container that begins at `start` and to which the paths lead.
    pub(super) fn open(
        &mut self,
        is_list: bool,
        paths: PathSet,
        start: usize,
    ) -> Result<(), NotJson> {
        let level = self.level();
        if let Some(own) = self.levels.get_mut(level) {
            *own = Level {
                paths,
                start,
                elements: 0,
            };
        }
        self.push(is_list)
    }

    fn push(&mut self, is_list: bool) -> Result<(), NotJson> {
        if self.depth >= DEPTH_MAX {
            return Err(NotJson);
        }
        self.depth = self.depth.saturating_add(1);
        self.lists = (self.lists << 1) | u128::from(is_list);
        Ok(())
    }

    /// Leaves the innermost container, or `None` if it was the list of documents.
    pub(super) fn close(&mut self) -> Option<Level> {
        let left = self.around();
        self.depth = self.depth.saturating_sub(1);
        self.lists >>= 1;
        (self.depth >= self.base).then_some(left)
    }

    /// The paths that lead to the next element of the list around, which is the document
    /// or in it.
    pub(super) fn next_element(&mut self, sink: &mut dyn Sink) -> PathSet {
        let level = self.level_around();
        match self.levels.get_mut(level) {
            Some(own) if !own.paths.is_none() => {
                let index = own.elements;
                own.elements = index.saturating_add(1);
                own.paths
                    .filter(|path| sink.fits_element(path, level, index))
            }
            _ => PathSet::NONE,
        }
    }
}
