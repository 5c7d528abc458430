//! Writes the references under `docs/reference`, or checks that they are up to date.
//!
//! Whatever can be told by the code is told by the code: fields and defaults by the types
//! that are parsed, codes and metrics by the tables that are used, the API by its handlers.
//! `--check` writes nothing and fails if a page differs; CI runs it.

mod filter;
mod markdown;
mod pages;
mod schema;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [] => write(),
        [flag] if flag == "--check" => check(),
        _ => Err(anyhow::anyhow!("usage: creditgate-docs [--check]")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn write() -> Result<()> {
    for page in pages::all()? {
        let file = folder().join(page.file);
        if std::fs::read_to_string(&file).ok().as_deref() != Some(&page.text) {
            std::fs::write(&file, &page.text)
                .with_context(|| format!("could not write {}", file.display()))?;
            println!("wrote {}", file.display());
        }
    }
    Ok(())
}

fn check() -> Result<()> {
    let mut drifted = Vec::new();
    for page in pages::all()? {
        let file = folder().join(page.file);
        if std::fs::read_to_string(&file).ok().as_deref() != Some(&page.text) {
            drifted.push(page.file);
        }
    }
    if !drifted.is_empty() {
        bail!(
            "docs/reference/{} no longer say what the code does: cargo xtask docs",
            drifted.join(", ")
        );
    }
    Ok(())
}

/// `docs/reference`, beside this package.
fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("reference")
}
