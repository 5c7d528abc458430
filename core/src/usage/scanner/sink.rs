//! What the scanner tells of, and to whom.

use super::PathSet;
use std::ops::Range;

/// Who watches a document. Paths are numbered from 0 to 63, and begin at the document.
pub(in crate::usage) trait Sink {
    /// Whether step `level` of the path is this key.
    fn fits_key(&mut self, path: u32, level: usize, key: &[u8]) -> bool;
    /// Whether step `level` of the path is this element of a list.
    fn fits_element(&mut self, path: u32, level: usize, index: u32) -> bool;
    /// Whether the path has no more than `level` steps.
    fn ends(&self, path: u32, level: usize) -> bool;
    /// A value begins to which the paths lead, after `level` steps of each. Whatever was
    /// told from there on these paths is void: the last of equal keys wins.
    fn enter(&mut self, paths: PathSet, level: usize);
    /// The value at the path's end, once it has passed, and which bytes it took.
    fn value(&mut self, path: u32, value: Value<'_>, span: Range<usize>);
    /// So many more bytes of a text at the end of a path whose texts are counted.
    fn text(&mut self, bytes: u64);
    /// A document is complete.
    fn document(&mut self);
}

/// A value at a watched path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::usage) enum Value<'a> {
    Null,
    Bool(bool),
    /// A whole number that isn't negative; the largest `u64` stands for larger ones too.
    Count(u64),
    /// Any other number.
    OddNumber,
    Text(&'a str),
    /// A text too long to be kept, or no UTF-8.
    OddText,
    Object,
    List,
}
