//! `creditgate restored`: a database that came from a backup begins a new epoch.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::clock::{Clock, RandomIds, SystemClock, random_bytes};
use crate::restored::begin_epoch;
use crate::storage::sqlite;

/// Prepares a database that came from a backup.
#[derive(Args)]
pub(super) struct Restored {
    /// The database: sqlite:PATH. No service may be running on it.
    #[arg(long, env = "CREDITGATE_DATABASE", value_parser = super::serve::database)]
    database: PathBuf,
}

impl Restored {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let path = self.database.display();
        // Only what exists can have been restored: the other way to open it would make it.
        drop(
            sqlite::open_reader(&self.database)
                .with_context(|| format!("can't open the database {path}"))?,
        );
        let (mut storage, reader) = sqlite::open(&self.database, random_epoch())
            .with_context(|| format!("can't open the database {path}"))?;
        let mut ids = RandomIds::new(SystemClock);
        let done = begin_epoch(
            &mut storage,
            &reader,
            SystemClock.now(),
            &mut ids,
            random_epoch,
        )
        .context("the database is not ready to be served; run this again")?;
        println!(
            "restored: epoch {} follows {}; {} customers, {} leases quarantined",
            done.epoch, done.old_epoch, done.customers, done.quarantined
        );
        Ok(ExitCode::SUCCESS)
    }
}

/// The number of a new ledger.
pub(super) fn random_epoch() -> u64 {
    u64::from_be_bytes(random_bytes()) >> 1 | 1
}
