//! A child process whose output goes to a file, and which does not outlive its owner.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock::until;

/// A running (or ended) child.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; both its outputs are appended to `log`.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("could not start {name}"))?;
        Ok(Self {
            name: name.into(),
            child,
            log: log.into(),
        })
    }

    /// All it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The CPU time it has used so far, in its own code and in the kernel's on its behalf.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn cpu_time(&self) -> Result<Duration> {
        // The kernel counts in hundredths of a second (USER_HZ), on every Linux.
        const TICK: Duration = Duration::from_millis(10);
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field is the name in parentheses and may hold anything.
        let (_, fields) = stat.rsplit_once(')').context("not a stat line")?;
        let ticks = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(str::parse::<u32>);
        let ticks: u32 = ticks.sum::<Result<u32, _>>()?;
        Ok(TICK * ticks)
    }

    /// The most memory it has had so far, in bytes.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        let kilobytes: u64 = kilobytes.context("no VmHWM line")?.parse()?;
        Ok(kilobytes * 1024)
    }

    /// Forgets the most memory it has had: from now on counts what it has from now on.
    ///
    /// # Errors
    /// If the system does not let.
    pub fn forget_peak_memory(&self) -> Result<()> {
        // To Linux, 5 says: the peak is what is resident now.
        let file = format!("/proc/{}/clear_refs", self.child.id());
        std::fs::write(&file, "5").with_context(|| file)
    }

    /// Waits for a line of its log that `pick` makes something of. `from` bytes are skipped.
    ///
    /// # Errors
    /// If it ends before, or takes too long; with the end of its log.
    pub async fn says<T>(
        &mut self,
        what: &str,
        from: usize,
        within: Duration,
        pick: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        let found = until(what, within, async || {
            let log = self.log();
            if let Some(found) = log.get(from..).unwrap_or_default().lines().find_map(&pick) {
                return Ok(Some(found));
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}) before {what}", self.name);
            }
            Ok(None)
        })
        .await;
        found.with_context(|| self.last_words())
    }

    /// The end of its log, for error messages.
    #[must_use]
    pub fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.len().saturating_sub(30);
        format!(
            "{} said last:\n{}",
            self.name,
            lines.get(tail..).unwrap_or_default().join("\n")
        )
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        // Both fail only if it ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM; does not wait.
    ///
    /// # Errors
    /// If there is no such process any more.
    pub fn terminate(&self) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        let pid = Pid::from_raw(pid).context("no process id")?;
        kill_process(pid, Signal::TERM)
            .with_context(|| format!("could not send SIGTERM to {}", self.name))
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// If it does not in time.
    pub async fn ended(&mut self, within: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        until(&format!("{name} ends"), within, async || {
            Ok(self.child.try_wait()?)
        })
        .await
        .with_context(|| self.last_words())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
