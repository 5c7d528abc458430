//! What a demo runs: got and built as far as it is not there yet.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::screen::Screen;
use super::{now, seconds};
use crate::tools::{self, envoy};
use crate::{command, control_plane, wasm};

/// The programs.
pub(super) struct Built {
    pub(super) envoy: PathBuf,
    pub(super) envoy_version: String,
    pub(super) filter: PathBuf,
    pub(super) control_plane: PathBuf,
}

impl Built {
    /// Gets and builds what is missing; cargo shows its own progress meanwhile.
    ///
    /// # Errors
    /// A prerequisite is missing (the text names the command that gets it), or does not build.
    pub(super) fn build(screen: &Screen) -> Result<Self> {
        tools::c_compiler()?;
        let envoy = timed(screen, "Envoy", envoy::get)?;
        let said = command::answer(&envoy, &["--version"]).unwrap_or_default();
        let filter = timed(screen, "filter", || wasm::build(wasm::Variant::Shipped))?;
        let control_plane = timed(screen, "control plane", control_plane::for_tests)?;
        Ok(Self {
            envoy_version: version(&said).context("this Envoy does not tell its version")?,
            envoy,
            filter,
            control_plane,
        })
    }
}

fn timed(screen: &Screen, name: &str, work: impl FnOnce() -> Result<PathBuf>) -> Result<PathBuf> {
    let started = now();
    let made = work().with_context(|| format!("could not get or build the {name}"))?;
    let bytes = made.metadata().map_or(0, |file| file.len());
    let size = match bytes {
        0..1_000_000 => format!("{} KB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    };
    let took = seconds(now().duration_since(started));
    screen.pair(name, &format!("ready after {took}, {size}"));
    Ok(made)
}

/// `PATH  version: HASH/1.40.0/Clean/RELEASE/BoringSSL` → `1.40.0`.
fn version(said: &str) -> Option<String> {
    let (_, version) = said.split_once("version:")?;
    version.split('/').nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn envoys_version_is_read_from_its_answer() {
        let said = "/usr/bin/envoy  version: 6b9d/1.40.0/Clean/RELEASE/BoringSSL";
        assert_eq!(version(said).as_deref(), Some("1.40.0"));
        assert_eq!(version("something else"), None);
    }
}
