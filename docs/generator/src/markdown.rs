//! Just enough Markdown.

use std::fmt::Write;

/// A table; the cells are Markdown already.
pub(crate) fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|", heads.join(" | "));
    text.push_str(&" --- |".repeat(heads.len()));
    text.push('\n');
    for row in rows {
        // Writing to a string can't fail.
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// Text that may stand in a cell.
pub(crate) fn cell(text: &str) -> String {
    text.trim().replace('|', "\\|").replace('\n', " ")
}
