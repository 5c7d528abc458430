//! Writes the references under `docs/reference`, or checks that they are up to date.
//!
//! Whatever can be told by the code is told by the code: fields and defaults by the types
//! that are parsed, codes and metrics by the tables that are used, the API by its handlers.
//! `--check` writes nothing and fails if a page differs, or if a link in any document leads
//! nowhere; CI runs it.

mod filter;
mod links;
mod markdown;
mod pages;
mod plane;
mod plane_metrics;
mod schema;
mod webhooks;

use std::path::{Path, PathBuf};
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
    for page in pages::all(root())? {
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
    for page in pages::all(root())? {
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
    let broken = links::broken(root())?;
    if !broken.is_empty() {
        bail!("links that lead nowhere:\n  {}", broken.join("\n  "));
    }
    Ok(())
}

/// The workspace's top level.
fn root() -> &'static Path {
    // This package lies two folders below it.
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
}

fn folder() -> PathBuf {
    root().join("docs/reference")
}
