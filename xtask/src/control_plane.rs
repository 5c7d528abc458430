//! The control plane's binary, built with the features it is shipped with.

use std::path::PathBuf;

use anyhow::Result;

use crate::{command, workspace};

/// For tests: built fast, with overflow checks and debug assertions.
///
/// The copy has a path of its own because `cargo nextest --workspace` builds the same binary with every feature that
/// any crate of the workspace asks of its libraries (the simulation asks for planted defects), to the same place.
pub(crate) fn for_tests() -> Result<PathBuf> {
    build(&[])?;
    let copy = workspace::target().join("e2e").join("creditgate");
    workspace::copy_whole(&workspace::target().join("debug").join("creditgate"), &copy)?;
    Ok(copy)
}

/// For people.
pub(crate) fn for_release() -> Result<PathBuf> {
    build(&["--release"])?;
    Ok(workspace::target().join("release").join("creditgate"))
}

fn build(profile: &[&str]) -> Result<()> {
    command::run(
        command::cargo("build")
            .args(["--package", "creditgate", "--bin", "creditgate"])
            .args(profile),
    )
}
