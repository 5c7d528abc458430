//! `creditgate export`: journals as text that anyone can check, and the check itself.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use creditgate_ledger::id::CustomerId;

use crate::export::{ExportError, account, check, check_against, heads};
use crate::storage::{Reader, Target, sqlite};

/// Writes the journal, an entry a line, with its hashes; or checks what was written so.
#[derive(Args)]
pub(super) struct Export {
    /// The database: sqlite:PATH. A service may be running on it.
    #[arg(long, env = "CREDITGATE_DATABASE", value_parser = super::serve::database, required_unless_present = "check")]
    database: Option<PathBuf>,
    /// Only what is this customer's: an id or an external id.
    #[arg(long)]
    customer: Option<String>,
    /// Only how far the chain of each account has come, to be kept elsewhere for `verify --heads
    /// FILE`. With `--check`: the file of heads that the journal is held against.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    heads: Option<Option<PathBuf>>,
    /// Checks an exported file (`-`: standard input) by itself, without a database. Only with
    /// `--heads FILE` is it seen that the end of a journal was cut off.
    #[arg(long, value_name = "FILE", conflicts_with = "customer")]
    check: Option<PathBuf>,
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match (&self.check, &self.heads) {
            (Some(file), None) => return check_file(file, None),
            (Some(file), Some(Some(heads))) => return check_file(file, Some(heads)),
            (Some(_), Some(None)) => bail!("--check holds the file against --heads FILE; name it"),
            (None, Some(Some(_))) => bail!("--heads takes a file only together with --check"),
            (None, _) => {}
        }
        let path = self.database.as_deref().context("give --database")?;
        let reader = sqlite::open_reader(path)
            .with_context(|| format!("can't open the database {}", path.display()))?;
        let customer = self.customer.as_deref().map(|named| {
            let id = named.parse::<CustomerId>().map(Target::Customer);
            id.unwrap_or_else(|_| Target::ExternalId(named.to_owned()))
        });
        if let Some(named) = &customer {
            let found = reader.customer(named).context("can't read the database")?;
            found.with_context(|| format!("there is no customer {:?}", self.customer))?;
        }
        let mut out = BufWriter::new(io::stdout().lock());
        let written = self
            .write(&reader, customer.as_ref(), &mut out)
            .and_then(|()| Ok(out.flush()?));
        match written {
            // Whoever reads has seen enough.
            Err(ExportError::File(error)) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written.context("the export is not whole")?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn write(
        &self,
        reader: &dyn Reader,
        customer: Option<&Target>,
        out: &mut dyn Write,
    ) -> Result<(), ExportError> {
        heads(reader, customer, |head| {
            if self.heads.is_some() {
                let line = serde_json::to_string(&head).map_err(io::Error::from)?;
                Ok(writeln!(out, "{line}")?)
            } else {
                account(reader, head.account, out)
            }
        })
    }
}

/// A file, or standard input.
pub(super) fn open(path: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path).with_context(|| format!("can't open {}", path.display()))?;
    Ok(Box::new(BufReader::new(file)))
}

fn check_file(path: &Path, heads: Option<&Path>) -> anyhow::Result<ExitCode> {
    let checked = match heads {
        None => check(open(path)?).with_context(|| format!("can't read {}", path.display())),
        Some(heads) => check_against(open(path)?, open(heads)?)
            .with_context(|| format!("can't read {} or {}", path.display(), heads.display())),
    }?;
    for problem in &checked.problems {
        println!("{problem}");
    }
    if !checked.problems.is_empty() {
        println!("{} problems", checked.problems.len());
        return Ok(ExitCode::FAILURE);
    }
    for (account, chain) in &checked.chains {
        println!("{account}: {} entries up to {}", chain.entries, chain.head);
    }
    match heads {
        None => println!("clean: every entry follows the one before it"),
        Some(_) => println!(
            "clean: every entry follows the one before it, and those of {} heads are there",
            checked.heads
        ),
    }
    Ok(ExitCode::SUCCESS)
}
