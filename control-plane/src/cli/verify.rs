//! `creditgate verify`: are the books right?

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::Output;
use crate::export::verify_heads;
use crate::storage::sqlite;
use crate::verify::verify;

/// Checks a database.
#[derive(Args)]
pub(super) struct Verify {
    /// The database: sqlite:PATH. A service may be running on it.
    #[arg(long, env = "CREDITGATE_DATABASE", value_parser = super::serve::database)]
    database: PathBuf,
    /// Heads of chains that were kept elsewhere (`creditgate export --heads`; `-`: standard
    /// input): what was written up to then must still be there.
    #[arg(long, value_name = "FILE")]
    heads: Option<PathBuf>,
    /// How findings are printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Verify {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let reader = sqlite::open_reader(&self.database)
            .with_context(|| format!("can't open the database {}", self.database.display()))?;
        let mut findings = verify(&reader).context("can't read the database")?;
        if let Some(kept) = &self.heads {
            let lines = super::export::open(kept)?;
            let found = verify_heads(&reader, lines);
            findings.extend(found.with_context(|| format!("can't compare {}", kept.display()))?);
        }
        if self.output == Output::Json {
            let findings: Vec<_> = findings
                .iter()
                .map(|finding| serde_json::json!({ "invariant": finding.invariant, "subject": finding.subject, "problem": finding.problem }))
                .collect();
            println!("{}", serde_json::json!({ "findings": findings }));
        } else {
            for finding in &findings {
                println!(
                    "invariant {}: {}: {}",
                    finding.invariant, finding.subject, finding.problem
                );
            }
            match findings.len() {
                0 => println!("clean: every invariant holds"),
                count => println!("{count} findings"),
            }
        }
        Ok(if findings.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
