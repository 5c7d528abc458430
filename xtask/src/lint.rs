//! Formatting and lints. A warning is an error here, and nowhere else: people may compile unfinished work.

use anyhow::Result;

use crate::command;
use crate::stages::Stages;
use crate::tools::rust_target;

/// rustfmt, without changing anything.
pub(crate) fn formatting() -> Result<()> {
    component("fmt", "rustfmt")?;
    command::run(command::cargo("fmt").args(["--all", "--check"]))
}

/// clippy for the workspace and for the filter on its own target, and cargo-deny where it is installed.
pub(crate) fn clippy(stages: &mut Stages) -> Result<()> {
    stages.run("clippy", || {
        component("clippy", "clippy")?;
        let everything = ["--workspace", "--all-targets", "--", "-D", "warnings"];
        command::run(command::cargo("clippy").args(everything))
    })?;
    stages.run("clippy, filter", || {
        rust_target::get(&[rust_target::FILTER])?;
        let filter = [
            "--package",
            "creditgate-plugin",
            "--target",
            rust_target::FILTER,
            "--",
            "-D",
            "warnings",
        ];
        command::run(command::cargo("clippy").args(filter))
    })?;
    if command::on_path("cargo-deny").is_none() {
        println!(
            "    cargo-deny is not installed, deny.toml is not checked: cargo install --locked cargo-deny"
        );
        return Ok(());
    }
    stages.run("cargo-deny", || {
        command::run(command::cargo("deny").args(["check", "bans", "licenses", "sources"]))
    })
}

fn component(verb: &str, name: &str) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    match command::answer(cargo, &[verb, "--version"]) {
        Some(_) => Ok(()),
        None => anyhow::bail!("`cargo {verb}` does not run: rustup component add {name}"),
    }
}
