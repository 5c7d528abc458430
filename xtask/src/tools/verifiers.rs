//! Other people's verifiers of webhooks, which our messages are held against: the packages of Standard Webhooks for
//! Node (npm) and for Python (PyPI). The one for Rust is a dependency of the tests.
//!
//! Both are pinned with checksums: npm's in the lock file beside the tests, PyPI's here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::node::npm;
use super::pypi::{self, Wheel};
use crate::{command, workspace};

const PYTHON: Wheel = Wheel {
    package: "standardwebhooks",
    version: "1.1.0",
    sha256: &["9a88d48a1f198be61517fc7ad328cf58ba02b73f0fbd8941d4213e9c0b6c2a61"],
    member: "standardwebhooks",
};

/// As `package-lock.json` pins it; another version goes to another folder.
const NODE: &str = "1.1.1";

/// The folder of both: `node_modules`, and `python` for `PYTHONPATH`.
pub(super) fn get(node: &Path) -> Result<PathBuf> {
    let folder = format!("webhook-verifiers-npm-{NODE}-pypi-{}", PYTHON.version);
    let folder = workspace::tools().join(folder);
    let modules = folder.join("node_modules");
    let of_node = modules.join("standardwebhooks").join("package.json");
    if !of_node.is_file() {
        // Before the lock that `once` takes: npm may have to be got, too.
        let npm = npm(node)?;
        super::once(&of_node, "the webhook verifier for Node", || {
            install(&folder, npm)
        })?;
    }
    let of_python = folder.join("python").join("standardwebhooks");
    let file = of_python.join("webhooks.py");
    super::once(&file, "the webhook verifier for Python", || {
        pypi::fetch_folder(&PYTHON, &of_python)
    })?;
    Ok(folder)
}

/// Installs what the lock file says, and runs none of its scripts.
fn install(folder: &Path, mut npm: Command) -> Result<()> {
    let pinned = workspace::root().join("control-plane/tests/http/hooks/verifiers");
    let partial = workspace::tools().join("partial-webhook-verifiers");
    // What a killed run left behind.
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial)
        .with_context(|| format!("could not make {}", partial.display()))?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(pinned.join(file), partial.join(file))
            .with_context(|| format!("could not copy {file}"))?;
    }
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    npm.args(["--loglevel", "error"]);
    command::run(npm.current_dir(&partial))?;
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    fs::rename(partial.join("node_modules"), folder.join("node_modules"))
        .context("could not put node_modules in its place")?;
    fs::remove_dir_all(&partial).with_context(|| format!("could not remove {}", partial.display()))
}
