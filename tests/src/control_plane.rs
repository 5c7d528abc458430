//! A real control plane in a folder of its own; it can be killed and started again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use creditgate_core::key::{KeyKind, compose};

use crate::process::Process;
use crate::tools;

/// `creditgate serve` on a SQLite file.
pub struct ControlPlane {
    process: Option<Process>,
    folder: PathBuf,
    admin_key: String,
    address: SocketAddr,
}

impl ControlPlane {
    /// Starts one on a free port, with an empty database in `folder`.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn start(folder: &Path) -> Result<Self> {
        let mut plane = Self {
            process: None,
            folder: folder.into(),
            admin_key: compose(KeyKind::Admin, &[7; 32]),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        plane.restart().await?;
        Ok(plane)
    }

    /// Starts it again, on the same port and database.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill();
        let log = self.folder.join("control-plane.log");
        let said = std::fs::metadata(&log).map_or(0, |file| file.len());
        let mut command = Command::new(tools::creditgate()?);
        command
            .args(["serve", "--listen", &self.address.to_string()])
            .args(["--database", &self.database()])
            .env("CREDITGATE_ADMIN_KEY", &self.admin_key)
            .current_dir(&self.folder);
        let mut process = Process::start("the control plane", &mut command, &log)?;
        self.address = process
            .says(
                "listening",
                usize::try_from(said)?,
                Duration::from_secs(20),
                |line| {
                    let (_, rest) = line.split_once("listening on http://")?;
                    rest.split_whitespace().next()?.parse().ok()
                },
            )
            .await?;
        self.process = Some(process);
        Ok(())
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first admin key.
    #[must_use]
    pub fn admin_key(&self) -> &str {
        &self.admin_key
    }

    /// Its database, as the command line names it.
    #[must_use]
    pub fn database(&self) -> String {
        format!("sqlite:{}", self.folder.join("creditgate.db").display())
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("control-plane.log")).unwrap_or_default()
    }

    /// Runs another verb of the binary to its end.
    ///
    /// # Errors
    /// If it can't be started; a failure is in the output's status.
    pub async fn command(&self, arguments: &[&str]) -> Result<Output> {
        tokio::process::Command::new(tools::creditgate()?)
            .args(arguments)
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("creditgate {arguments:?}"))
    }

    /// `creditgate verify`: every invariant of the ledger, on the database as it is.
    ///
    /// # Errors
    /// If it finds anything, with what.
    pub async fn verify(&self) -> Result<()> {
        let output = self
            .command(&["verify", "--database", &self.database()])
            .await?;
        ensure!(
            output.status.success(),
            "creditgate verify: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}
