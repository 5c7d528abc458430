//! `creditgate serve`: the writer, the jobs and the HTTP side around one database.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::serve::ListenerExt;
use clap::Args;
use creditgate_core::key::{self, CredentialHash, KeyKind};
use creditgate_ledger::registry::OperatorRole;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use super::restored::random_epoch;
use crate::clock::{RandomIds, SystemClock, random_bytes};
use crate::command::Command;
use crate::http::{App, Exposition, KeptSums, router};
use crate::jobs::{Jobs, Presence};
use crate::storage::sqlite;
use crate::webhooks::{Range, Webhooks};
use crate::writer::Writer;

/// The environment variable of the first administrator's key; `_FILE` names a file of it.
const ADMIN_KEY: &str = "CREDITGATE_ADMIN_KEY";

/// How long requests under way may take once the service is to end.
const ENDING: Duration = Duration::from_secs(10);

/// Runs the control plane.
#[derive(Args)]
pub(super) struct Serve {
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, env = "CREDITGATE_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The database: sqlite:PATH. It is made if there is none.
    #[arg(long, env = "CREDITGATE_DATABASE", value_parser = database)]
    database: PathBuf,
    /// How logs are written to standard error. `RUST_LOG` says which.
    #[arg(long, env = "CREDITGATE_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
    /// A range of addresses, such as 10.0.0.0/8, that webhooks may be sent to, also by http,
    /// although it is not on the public internet. May be given several times, or with commas.
    #[arg(
        long,
        env = "CREDITGATE_WEBHOOK_ALLOW",
        value_name = "RANGE",
        value_delimiter = ','
    )]
    webhook_allow: Vec<Range>,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The path of a database's name.
pub(super) fn database(name: &str) -> Result<PathBuf, String> {
    match name.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err("must be sqlite:PATH, such as sqlite:creditgate.db".to_owned()),
    }
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        log(self.log_format);
        let admin_key = admin_key()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.serve(admin_key))?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(self, admin_key: Option<CredentialHash>) -> anyhow::Result<()> {
        let exposition = Exposition::of_process();
        let webhooks =
            Webhooks::new(self.webhook_allow).context("can't secure connections of webhooks")?;
        let (storage, reader) = sqlite::open(&self.database, random_epoch())
            .with_context(|| format!("can't open the database {}", self.database.display()))?;
        let writer = Writer::start(storage, SystemClock, RandomIds::new(SystemClock))?;
        if admin_key.is_none() {
            first_key(&writer).await?;
        }
        let listener = TcpListener::bind(self.listen)
            .await
            .with_context(|| format!("can't listen on {}", self.listen))?;
        let (stop, stopping) = watch::channel(false);
        let app = Arc::new(App {
            writer,
            reader: Arc::new(reader),
            clock: Arc::new(SystemClock),
            admin_key,
            usage_sums: KeptSums::default(),
            presence: Presence::default(),
            guard: Arc::clone(&webhooks.guard),
            stopping: stopping.clone(),
            exposition,
        });
        let mut jobs = Jobs {
            writer: app.writer.clone(),
            reader: Arc::clone(&app.reader),
            clock: Arc::clone(&app.clock),
            presence: app.presence.clone(),
            webhooks,
            stopping: stopping.clone(),
        }
        .start();
        ask_to_stop(stop).context("can't catch signals")?;
        // The one line of standard output: whoever started this waits for it.
        let address = listener.local_addr()?;
        // Answers are small and awaited: none should sit in a buffer for more to join it.
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps its buffering");
            }
        });
        writeln!(std::io::stdout(), "listening on http://{address}")?;
        std::io::stdout().flush()?;
        let writer = app.writer.clone();
        let stopped = async |mut stopping: watch::Receiver<bool>| {
            drop(stopping.wait_for(|stopping| *stopping).await)
        };
        let serving =
            axum::serve(listener, router(app)).with_graceful_shutdown(stopped(stopping.clone()));
        tokio::select! {
            served = async { serving.await } => served?,
            () = writer.ended() => bail!("the ledger's writer ended by a defect; nothing was half written"),
            () = async { stopped(stopping).await; tokio::time::sleep(ENDING).await } => {
                tracing::warn!("requests were still under way at the end");
            }
        }
        while jobs.join_next().await.is_some() {}
        tracing::info!("ended");
        Ok(())
    }
}

/// Sends true at the first SIGTERM or SIGINT. Both are caught from when this returns.
#[cfg(unix)]
fn ask_to_stop(stop: watch::Sender<bool>) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ended = terminated.recv() => {}
            _ended = interrupted.recv() => {}
        }
        tracing::info!("asked to stop");
        stop.send_replace(true);
    });
    Ok(())
}

/// Sends true at the first Ctrl-C.
#[cfg(not(unix))]
fn ask_to_stop(stop: watch::Sender<bool>) -> std::io::Result<()> {
    tokio::spawn(async move {
        drop(tokio::signal::ctrl_c().await);
        tracing::info!("asked to stop");
        stop.send_replace(true);
    });
    Ok(())
}

fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// The administrator's key of the environment, hashed.
fn admin_key() -> anyhow::Result<Option<CredentialHash>> {
    let file = format!("{ADMIN_KEY}_FILE");
    let key = match (std::env::var(ADMIN_KEY).ok(), std::env::var(&file).ok()) {
        (Some(_), Some(_)) => bail!("{ADMIN_KEY} and {file} are both set; set one"),
        (Some(key), None) => key,
        (None, Some(path)) => {
            std::fs::read_to_string(&path).with_context(|| format!("can't read {file} {path}"))?
        }
        (None, None) => return Ok(None),
    };
    let key = key.trim();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!(
            "{ADMIN_KEY} must be visible ASCII characters without spaces; `creditgate key new` makes one"
        );
    }
    if key::check(key) != Ok(KeyKind::Admin) {
        tracing::warn!(
            "{ADMIN_KEY} is none that `creditgate key new` makes; fine for trying out, too easily guessed for more"
        );
    }
    Ok(Some(key::credential_hash(key)))
}

/// Makes the first administrator's key, if there is none.
async fn first_key(writer: &Writer) -> anyhow::Result<()> {
    let registry = writer.registry();
    if registry
        .operator_keys
        .iter()
        .any(|key| key.role == OperatorRole::Admin && key.revoked_at.is_none())
    {
        return Ok(());
    }
    let key = key::compose(KeyKind::Admin, &random_bytes());
    let command = Command::AddOperatorKey {
        name: Some("first".to_owned()),
        role: OperatorRole::Admin,
        hash: key::credential_hash(&key),
    };
    writer
        .execute("setup", command)
        .await
        .context("can't store the first key")?;
    eprintln!("first administrator's key, shown only now: {key}");
    Ok(())
}
