//! `creditgate plugin`: the filter's configuration, checked before a proxy sees it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use creditgate_plugin::config::Config;

/// The filter's configuration.
#[derive(Subcommand)]
pub(super) enum PluginVerb {
    /// Checks a configuration as the filter does when the proxy loads it.
    Check {
        /// The JSON document.
        file: PathBuf,
    },
    /// Prints the JSON Schema of the configuration.
    Schema,
}

impl PluginVerb {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Check { file } => {
                let document = std::fs::read(&file)
                    .with_context(|| format!("can't read {}", file.display()))?;
                match Config::parse(&document) {
                    Ok(_) => println!("{}: fine", file.display()),
                    Err(error) => {
                        eprintln!("{}: {error}", file.display());
                        return Ok(ExitCode::FAILURE);
                    }
                }
            }
            Self::Schema => println!(
                "{}",
                serde_json::to_string_pretty(&schemars::schema_for!(Config))?
            ),
        }
        Ok(ExitCode::SUCCESS)
    }
}
