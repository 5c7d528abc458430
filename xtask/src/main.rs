//! The one entry point for people and CI: `cargo xtask <verb>`.
//!
//! A verb gets what it needs by itself (into `.tools`, which git ignores) or says which command gets it. CI runs the
//! same verbs that the README tells people to run. Nothing here is shipped, so errors are plain text for whoever
//! typed the command.

mod bench;
mod command;
mod control_plane;
mod demo;
mod dist;
mod docs;
mod lint;
mod stages;
mod test;
mod tools;
mod wasm;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use stages::Stages;

const USAGE: &str = "\
cargo xtask <verb>

  demo [--once]    Creditgate on this machine, shown step by step; --once: ends then, non-zero if anything was wrong
  test [-- ARGS]   everything that is tested, real Envoy included; ARGS go to cargo-nextest
  e2e [-- ARGS]    only the tests with real Envoy (package creditgate-tests) and the simulation
  e2e --oldest-envoy [-- ARGS]
                   those of them that hang on the proxy, with the oldest Envoy that is tested
  bench            what the filter costs the proxy a request, against no filter and one that does nothing
  ci               formatting, lints, drift of the references, and `test`: what .ci/run calls
  fmt              check the formatting
  lint             clippy for the workspace, and for the filter on its own target
  wasm [--traps]   build the filter; --traps: the variant for the trap test
  docs [--check]   write the references under docs/reference from the code; --check: fail if one has drifted
  dist             dist/: the filter, the control plane and their checksums
  tools            get what is missing: wasm targets, two Envoys, Node, wasm-bindgen-test-runner, cargo-nextest,
                   verifiers of webhooks";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((verb, rest)) = arguments.split_first() else {
        bail!("which verb?\n\n{USAGE}");
    };
    match (verb.as_str(), rest) {
        ("help" | "--help" | "-h", _) => {
            println!("{USAGE}");
            Ok(())
        }
        ("demo", []) => demo::run(false),
        ("demo", [flag]) if flag == "--once" => demo::run(true),
        (demo::TIED, [parent, program, arguments @ ..]) => {
            demo::run_tied(parent, program, arguments)
        }
        ("test", rest) => {
            let for_nextest = after_dashes(rest)?;
            Stages::report(|stages| test::everything(stages, for_nextest))
        }
        ("e2e", [flag, rest @ ..]) if flag == "--oldest-envoy" => {
            let for_nextest = after_dashes(rest)?;
            Stages::report(|stages| test::oldest_envoy(stages, for_nextest))
        }
        ("e2e", rest) => {
            let for_nextest = after_dashes(rest)?;
            Stages::report(|stages| test::end_to_end(stages, for_nextest))
        }
        ("bench", []) => Stages::report(bench::run),
        ("ci", []) => Stages::report(|stages| {
            stages.run("formatting", lint::formatting)?;
            lint::clippy(stages)?;
            stages.run("references", docs::check)?;
            test::everything(stages, &[])
        }),
        ("fmt", []) => lint::formatting(),
        ("lint", []) => Stages::report(lint::clippy),
        ("wasm", []) => wasm::build(wasm::Variant::Shipped).map(drop),
        ("wasm", [flag]) if flag == "--traps" => wasm::build(wasm::Variant::Trapping).map(drop),
        ("docs", []) => docs::write(),
        ("docs", [flag]) if flag == "--check" => docs::check(),
        ("dist", []) => dist::make(),
        ("tools", []) => {
            Stages::report(|stages| tools::Tools::get(stages).map(|tools| println!("{tools}")))
        }
        (verb, _) => {
            bail!("cargo xtask {verb}: no such verb, or not with these arguments\n\n{USAGE}")
        }
    }
}

/// What follows `--`. Anything before it would be silently ignored, so it is refused.
fn after_dashes(rest: &[String]) -> Result<&[String]> {
    match rest.split_first() {
        None => Ok(&[]),
        Some((dashes, arguments)) if dashes == "--" => Ok(arguments),
        Some((argument, _)) => bail!("{argument}: arguments for cargo-nextest follow `--`"),
    }
}
