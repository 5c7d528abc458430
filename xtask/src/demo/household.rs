//! The processes of a demo and the folder they write to. Whatever ends the demo — its last
//! line, an error, a panic, Ctrl-C — ends them first, in the reverse order of their start.
//!
//! They run in process groups of their own, so that a Ctrl-C at the terminal reaches xtask
//! alone, which then stops Envoy before the control plane that Envoy gives its credit back
//! to. Where the system can, each also dies with xtask, should that be killed outright.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tempfile::TempDir;

use super::{now, until};

/// How long a process may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// The exit status of what Ctrl-C ended before its time: 128 and the signal's number.
const INTERRUPTED: i32 = 130;

/// All that must be gone when the demo is.
pub(super) struct Household {
    inner: Arc<Mutex<Inner>>,
    folder: PathBuf,
    is_complete: Arc<AtomicBool>,
}

struct Inner {
    members: Vec<Member>,
    folder: Option<TempDir>,
}

struct Member {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Household {
    /// Makes the folder and listens for signals.
    pub(super) fn new() -> Result<Self> {
        let folder = TempDir::with_prefix("creditgate-demo-").context("no temporary folder")?;
        let household = Self {
            folder: folder.path().into(),
            inner: Arc::new(Mutex::new(Inner {
                members: Vec::new(),
                folder: Some(folder),
            })),
            is_complete: Arc::default(),
        };
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("no signals")?;
        let inner = Arc::clone(&household.inner);
        let is_complete = Arc::clone(&household.is_complete);
        std::thread::spawn(move || {
            if signals.forever().next().is_some() {
                // Held until the process is gone: nothing is started any more.
                let mut inner = lock(&inner);
                // The terminal itself may be gone.
                let _ = writeln!(std::io::stdout(), "\nstopping");
                inner.end();
                let status = if is_complete.load(Ordering::SeqCst) {
                    0
                } else {
                    INTERRUPTED
                };
                std::process::exit(status);
            }
        });
        Ok(household)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The story is told: Ctrl-C is the proper end from now on.
    pub(super) fn stays_up(&self) {
        self.is_complete.store(true, Ordering::SeqCst);
    }

    /// Starts a process whose output goes to `NAME.log`.
    pub(super) fn start(&self, name: &'static str, command: &Command) -> Result<()> {
        let mut inner = lock(&self.inner);
        let log = self.folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log)?;
        let child = tied(command)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .current_dir(&self.folder)
            .spawn()
            .with_context(|| format!("could not start {name}"))?;
        inner.members.push(Member { name, child, log });
        Ok(())
    }

    /// Waits for a line of a process's log that `pick` makes something of.
    pub(super) fn says<T>(&self, name: &str, pick: impl Fn(&str) -> Option<T>) -> Result<T> {
        until(&format!("{name} starts"), Duration::from_secs(30), || {
            self.ensure_running()?;
            let log = self.log(name);
            Ok(log.lines().find_map(&pick))
        })
    }

    /// All that a process has said.
    pub(super) fn log(&self, name: &str) -> String {
        let inner = lock(&self.inner);
        let member = inner.members.iter().find(|member| member.name == name);
        member.map(Member::said).unwrap_or_default()
    }

    /// Fails if one of the processes has ended.
    pub(super) fn ensure_running(&self) -> Result<()> {
        for member in &mut lock(&self.inner).members {
            if let Some(status) = member.child.try_wait()? {
                bail!("{} has ended by itself ({status})", member.name);
            }
        }
        Ok(())
    }

    /// What the processes said last, for whoever has to find out why the demo failed.
    pub(super) fn print_last_words(&self) {
        for member in &lock(&self.inner).members {
            let said = member.said();
            let lines: Vec<&str> = said.lines().collect();
            let tail = lines.len().saturating_sub(20);
            eprintln!("\n{} said last:", member.name);
            for line in lines.get(tail..).unwrap_or_default() {
                eprintln!("  {line}");
            }
        }
        eprintln!();
    }
}

impl Drop for Household {
    fn drop(&mut self) {
        lock(&self.inner).end();
    }
}

impl Inner {
    fn end(&mut self) {
        while let Some(mut member) = self.members.pop() {
            member.end();
        }
        // Whoever deletes it from outside was faster.
        drop(self.folder.take());
    }
}

impl Member {
    fn said(&self) -> String {
        let mut bytes = Vec::new();
        let read = File::open(&self.log).and_then(|mut file| file.read_to_end(&mut bytes));
        read.map(|_| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// SIGTERM; SIGKILL, if that does not do.
    fn end(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid
            && matches!(self.child.try_wait(), Ok(None))
        {
            let _ = kill_process(pid, Signal::TERM);
        }
        let asked = now();
        while matches!(self.child.try_wait(), Ok(None)) && now().duration_since(asked) < GRACE {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Both fail only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is in a poisoned lock is still what must be ended.
fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The verb by which xtask becomes a process that dies with another one.
pub(crate) const TIED: &str = "run-tied";

/// The command, run so that it does not outlive this process. On Linux it takes the detour
/// through [`run_tied`], since a child can ask for this only by itself.
fn tied(command: &Command) -> Command {
    let mut tied = if cfg!(target_os = "linux") {
        // Not `current_exe`: a build may have replaced the file since.
        let mut tied = Command::new("/proc/self/exe");
        tied.arg(TIED).arg(std::process::id().to_string());
        tied.arg(command.get_program());
        tied
    } else {
        Command::new(command.get_program())
    };
    tied.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => tied.env(name, value),
            None => tied.env_remove(name),
        };
    }
    tied
}

/// Becomes `program`, which the system kills when the process `parent` ends.
///
/// # Errors
/// The program can't be run. Does not return otherwise.
pub(crate) fn run_tied(parent: &str, program: &str, arguments: &[String]) -> Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before this was asked for.
    let above = rustix::process::getppid().map(|pid| pid.as_raw_pid().to_string());
    if above.as_deref() != Some(parent) {
        bail!("the demo has ended");
    }
    Err(Command::new(program).args(arguments).exec())
        .with_context(|| format!("could not run {program}"))
}
