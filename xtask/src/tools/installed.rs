//! Tools that come as crates. They are compiled here, once, and cheaply: they run for seconds.

use std::path::PathBuf;

use anyhow::Result;

use crate::{command, workspace};

/// The version of cargo-nextest that is compiled when the machine has none.
const NEXTEST: &str = "0.9.143";

struct Tool<'a> {
    package: &'a str,
    version: &'a str,
    program: &'a str,
    /// How much the compiler should care: the runner digests megabytes of wasm, nextest only starts processes.
    opt_level: &'a str,
}

/// cargo-nextest: the machine's own, else the pinned one.
pub(super) fn nextest() -> Result<PathBuf> {
    if let Some(found) = command::on_path("cargo-nextest")
        && command::answer(&found, &["nextest", "--version"]).is_some()
    {
        return Ok(found);
    }
    Tool {
        package: "cargo-nextest",
        version: NEXTEST,
        program: "cargo-nextest",
        opt_level: "0",
    }
    .get()
}

/// The runner speaks the exact format of the wasm-bindgen that the tests link, so Cargo.lock names its version.
pub(super) fn wasm_bindgen_test_runner() -> Result<PathBuf> {
    let version = workspace::locked_version("wasm-bindgen")?;
    let program = "wasm-bindgen-test-runner";
    Tool {
        package: "wasm-bindgen-cli",
        version: &version,
        program,
        opt_level: "1",
    }
    .get()
}

impl Tool<'_> {
    fn get(&self) -> Result<PathBuf> {
        let Self {
            package,
            version,
            program,
            ..
        } = self;
        let root = workspace::tools().join(format!("{package}-{version}"));
        let place = root.join("bin").join(program);
        super::once(
            &place,
            &format!("{program} {version} (compiling it takes a minute or two)"),
            || {
                // The lock file of a package may name a dependency newer than a registry mirror has. Then the newest
                // that the mirror has, and that this compiler can build, will do.
                let outcome = self.install(&root, true).or_else(|error| {
                    println!("    {error:#}; once more without the package's own lock file");
                    self.install(&root, false)
                });
                // Hundreds of megabytes, of no further use.
                let _ = std::fs::remove_dir_all(build_directory());
                outcome
            },
        )?;
        Ok(place)
    }

    fn install(&self, root: &std::path::Path, locked: bool) -> Result<()> {
        let mut cargo = command::cargo("install");
        cargo.args([
            self.package,
            "--version",
            self.version,
            "--bin",
            self.program,
        ]);
        // No TLS and no self-update: neither is used, and both are long to compile.
        cargo.args(["--no-default-features", "--quiet"]);
        cargo
            .arg("--root")
            .arg(root)
            .arg("--target-dir")
            .arg(build_directory());
        if locked {
            cargo.arg("--locked");
        }
        for (setting, value) in [
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", self.opt_level),
            ("CARGO_PROFILE_RELEASE_LTO", "off"),
            ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
            ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
            ("CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS", "fallback"),
        ] {
            cargo.env(setting, value);
        }
        command::run(&mut cargo)
    }
}

fn build_directory() -> PathBuf {
    workspace::tools().join("build")
}
