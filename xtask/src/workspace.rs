//! Where things lie: the workspace, its build directory, and the folder of fetched tools.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The workspace's top level.
pub(crate) fn root() -> &'static Path {
    // xtask lies directly below it.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Cargo's build directory.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root().join(directory),
        None => root().join("target"),
    }
}

/// The folder of fetched tools, which git ignores. Every entry carries its version, and appears whole or not at all.
pub(crate) fn tools() -> PathBuf {
    root().join(".tools")
}

/// The version of `package` in Cargo.lock.
pub(crate) fn locked_version(package: &str) -> Result<String> {
    let path = root().join("Cargo.lock");
    let lock = std::fs::read_to_string(&path)
        .with_context(|| format!("could not read {}", path.display()))?;
    let wanted = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != wanted).skip(1);
    lines
        .next()
        .and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .with_context(|| format!("{} names no version of {package}", path.display()))
}

/// Copies a file so that whoever looks sees the old one or the new one, never half of it.
pub(crate) fn copy_whole(from: &Path, to: &Path) -> Result<()> {
    let directory = to
        .parent()
        .with_context(|| format!("{} has no parent", to.display()))?;
    std::fs::create_dir_all(directory)
        .with_context(|| format!("could not make {}", directory.display()))?;
    let partial = to.with_extension(format!("partial-{}", std::process::id()));
    std::fs::copy(from, &partial)
        .with_context(|| format!("could not copy {} to {}", from.display(), partial.display()))?;
    std::fs::rename(&partial, to)
        .with_context(|| format!("could not put {} in its place", to.display()))
}
