//! Figures: what a test measured, for people. Printed, and kept in `target/e2e-figures.txt`.

use std::fmt::Display;
use std::io::Write;

/// Prints one line, and adds it to the file.
pub fn figure(test: &str, text: impl Display) {
    let line = format!("{test}: {text}");
    eprintln!("    {line}");
    let file = crate::tools::top().join("target").join("e2e-figures.txt");
    let opened = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file);
    if let Ok(mut file) = opened {
        // A figure that could not be kept was still printed.
        let _ = writeln!(file, "{line}");
    }
}
