//! What the tests run: told by the environment, as `cargo xtask test` sets it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Envoy itself.
///
/// # Errors
/// As all here: if the variable is not set, with the command that sets it.
pub fn envoy() -> Result<PathBuf> {
    file("ENVOY_BIN")
}

/// The filter as it is shipped.
///
/// # Errors
/// If the variable is not set.
pub fn filter() -> Result<PathBuf> {
    file("CREDITGATE_WASM")
}

/// The filter with the test-only actions: trapping, spoiling cells.
///
/// # Errors
/// If the variable is not set.
pub fn filter_with_test_actions() -> Result<PathBuf> {
    file("CREDITGATE_WASM_TRAP")
}

/// The control plane.
///
/// # Errors
/// If the variable is not set.
pub fn creditgate() -> Result<PathBuf> {
    file("CREDITGATE_BIN")
}

/// The workspace's top level.
#[must_use]
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

fn file(variable: &str) -> Result<PathBuf> {
    let value = std::env::var_os(variable).with_context(|| {
        format!("{variable} is not set: run the end-to-end tests with `cargo xtask e2e`, or all tests with `cargo xtask test`")
    })?;
    let path = PathBuf::from(value);
    ensure!(
        path.is_file(),
        "{variable}: there is no {}; `cargo xtask e2e` builds it",
        path.display()
    );
    Ok(path)
}
