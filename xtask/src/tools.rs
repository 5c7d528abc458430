//! The tools that building and testing need, and how each is got when it is missing.
//!
//! A tool that the machine has is used as it is. Everything else goes to `.tools`, under a name with its version, so
//! that a new pin fetches anew and an old one stays usable. Two runs at once are safe: one fetches while the other
//! waits at a lock file, and a file appears under its name only when it is whole.

pub(crate) mod envoy;
mod installed;
mod node;
mod pypi;
pub(crate) mod rust_target;
mod verifiers;

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command;
use crate::stages::Stages;
use crate::workspace;

/// Everything `cargo xtask test` needs.
pub(crate) struct Tools {
    pub(crate) envoy: PathBuf,
    /// The oldest one that is tested.
    pub(crate) oldest_envoy: PathBuf,
    pub(crate) node: PathBuf,
    pub(crate) nextest: PathBuf,
    pub(crate) wasm_bindgen_test_runner: PathBuf,
    /// Other people's verifiers of webhooks, for Node and Python.
    pub(crate) webhook_verifiers: PathBuf,
}

impl Tools {
    /// Gets what is missing.
    ///
    /// # Errors
    /// A prerequisite is missing (the text names the command that gets it), or a fetch failed.
    pub(crate) fn get(stages: &mut Stages) -> Result<Self> {
        stages.run("tools", || {
            c_compiler()?;
            rust_target::get(&[rust_target::FILTER, rust_target::CORE])?;
            let node = node::get()?;
            Ok(Self {
                envoy: envoy::get()?,
                oldest_envoy: envoy::oldest()?,
                webhook_verifiers: verifiers::get(&node)?,
                node,
                nextest: installed::nextest()?,
                wasm_bindgen_test_runner: installed::wasm_bindgen_test_runner()?,
            })
        })
    }
}

impl fmt::Display for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "envoy                     {}", self.envoy.display())?;
        writeln!(
            f,
            "the oldest envoy          {}",
            self.oldest_envoy.display()
        )?;
        writeln!(f, "node                      {}", self.node.display())?;
        writeln!(f, "cargo-nextest             {}", self.nextest.display())?;
        writeln!(
            f,
            "wasm-bindgen-test-runner  {}",
            self.wasm_bindgen_test_runner.display()
        )?;
        write!(
            f,
            "webhook verifiers         {}",
            self.webhook_verifiers.display()
        )
    }
}

/// SQLite is compiled into the control plane.
pub(crate) fn c_compiler() -> Result<()> {
    let named = std::env::var("CC").ok();
    if named.is_some()
        || ["cc", "gcc", "clang"]
            .iter()
            .any(|name| command::on_path(name).is_some())
    {
        return Ok(());
    }
    bail!(
        "no C compiler. Debian, Ubuntu: apt-get install build-essential; macOS: xcode-select --install"
    )
}

/// Makes sure that `file` exists, by `fetch` if it does not; `fetch` must make it appear whole.
fn once(file: &Path, what: &str, fetch: impl FnOnce() -> Result<()>) -> Result<()> {
    if file.is_file() {
        return Ok(());
    }
    let _lock = lock()?;
    // The run that held the lock before may have been after the same thing.
    if file.is_file() {
        return Ok(());
    }
    println!("    getting {what}");
    fetch().with_context(|| format!("could not get {what}"))?;
    if !file.is_file() {
        bail!("got {what}, but it did not bring {}", file.display());
    }
    Ok(())
}

/// The lock on `.tools`; free again when dropped, or when the process dies.
fn lock() -> Result<File> {
    let directory = workspace::tools();
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("could not make {}", directory.display()))?;
    let path = directory.join("lock");
    let file = File::create(&path).with_context(|| format!("could not open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            println!("    waiting for another xtask to finish getting tools");
            file.lock()
                .with_context(|| format!("could not lock {}", path.display()))?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("could not lock {}", path.display()));
        }
    }
    Ok(file)
}
