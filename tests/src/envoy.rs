//! A real Envoy with the filter, from one of the configurations that people copy.

mod setup;

pub use setup::{Setup, SplitListener};

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::client::{Answer, Client, request, send_raw};
use crate::clock::until;
use crate::process::Process;
use crate::tools;

static NUMBER: AtomicU32 = AtomicU32::new(1);

/// A running (or ended) Envoy.
pub struct Envoy {
    process: Process,
    folder: PathBuf,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Envoy {
    /// Starts one, without waiting until it is ready.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn spawn(
        setup: &Setup,
        scene: &Path,
        plane: SocketAddr,
        upstream: SocketAddr,
        gateway_key: &str,
    ) -> Result<(Process, PathBuf)> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = scene.join(format!("envoy-{number}"));
        std::fs::create_dir(&folder)?;
        let configuration = folder.join("envoy.yaml");
        let mut text = setup.render(&folder, plane, upstream)?;
        if let Some(split) = setup.split_listener {
            let file = folder.join("listener.yaml");
            let (rest, listener) = split(&text, &file.display().to_string())?;
            std::fs::write(&file, listener)?;
            text = rest;
        }
        std::fs::write(&configuration, text)?;
        let mut command = Command::new(tools::envoy()?);
        command
            .arg("-c")
            .arg(&configuration)
            .args(["--concurrency", &setup.workers.to_string()])
            .arg("--admin-address-path")
            .arg(folder.join("admin-address"))
            .args(["--file-flush-interval-msec", "50"])
            .args(["--log-level", "info", "--component-log-level", "wasm:debug"])
            // No shared memory that would outlive the test; so no base id that must be unique.
            .arg("--disable-hot-restart")
            .env("CREDITGATE_GATEWAY_KEY", gateway_key)
            .current_dir(&folder);
        let process = Process::start("Envoy", &mut command, &folder.join("envoy.log"))?;
        Ok((process, folder))
    }

    /// Starts one and waits until it listens and has its rate card.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn start(
        setup: &Setup,
        scene: &Path,
        plane: SocketAddr,
        upstream: SocketAddr,
        gateway_key: &str,
    ) -> Result<Self> {
        let (process, folder) = Self::spawn(setup, scene, plane, upstream, gateway_key)?;
        Self::ready(process, folder).await
    }

    /// Starts one and waits until it listens; it may never get a rate card.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn start_unready(
        setup: &Setup,
        scene: &Path,
        plane: SocketAddr,
        upstream: SocketAddr,
        gateway_key: &str,
    ) -> Result<Self> {
        let (process, folder) = Self::spawn(setup, scene, plane, upstream, gateway_key)?;
        Self::listening(process, folder).await
    }

    async fn ready(process: Process, folder: PathBuf) -> Result<Self> {
        let envoy = Self::listening(process, folder).await?;
        // Without a rate card everything is `not_ready`; with it, a request without a key is refused otherwise.
        let within = Duration::from_secs(30);
        let known = until("the filter has its rate card", within, async || {
            let answer = envoy.send(request("GET", "/", &[], "")).await?;
            Ok((answer.code() != "not_ready").then_some(()))
        });
        if let Err(error) = known.await {
            let path = "/stats?usedonly&filter=cluster.creditgate";
            let stats = envoy.admin("GET", path).await?;
            let stats = String::from_utf8_lossy(&stats.body).into_owned();
            let words = envoy.process.last_words();
            return Err(error.context(format!("{stats}\n{words}")));
        }
        Ok(envoy)
    }

    async fn listening(mut process: Process, folder: PathBuf) -> Result<Self> {
        let within = Duration::from_secs(30);
        let file = folder.join("admin-address");
        let admin = until("Envoy's admin address", within, async || {
            anyhow::ensure!(process.runs(), "Envoy ended: {}", process.last_words());
            Ok(std::fs::read_to_string(&file)
                .ok()
                .and_then(|text| text.trim().parse().ok()))
        })
        .await?;
        let mut envoy = Self {
            process,
            folder,
            address: admin,
            admin,
        };
        until("Envoy is live", within, async || {
            anyhow::ensure!(
                envoy.process.runs(),
                "Envoy ended: {}",
                envoy.process.last_words()
            );
            let answer = envoy.admin("GET", "/ready").await;
            Ok(answer.ok().filter(|answer| answer.status == 200))
        })
        .await?;
        let listeners = envoy.admin("GET", "/listeners?format=json").await?.json();
        let address = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
        let port = address["port_value"].as_u64().context("no listener")?;
        envoy.address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port)?));
        Ok(envoy)
    }

    /// Where requests go.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new connection to it.
    #[must_use]
    pub const fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// One request, on a connection of its own.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn send(
        &self,
        request: hyper::Request<http_body_util::Full<bytes::Bytes>>,
    ) -> Result<Answer> {
        self.client().send(request).await
    }

    /// Bytes as they are.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn send_raw(&self, bytes: &[u8]) -> Result<(u16, String)> {
        send_raw(self.address, bytes).await
    }

    /// A call to Envoy's admin interface.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn admin(&self, method: &str, path: &str) -> Result<Answer> {
        Client::new(self.admin)
            .send(request(method, path, &[], ""))
            .await
    }

    /// The sum of all of Envoy's counters and gauges whose name contains `name`.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn metric(&self, name: &str) -> Result<u64> {
        let stats = self.admin("GET", "/stats?usedonly").await?;
        let text = String::from_utf8_lossy(&stats.body).into_owned();
        let values = text.lines().filter_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.contains(name).then(|| value.parse::<u64>().ok())?
        });
        Ok(values.sum())
    }

    /// The CPU time of the process so far.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn cpu_time(&self) -> Result<Duration> {
        self.process.cpu_time()
    }

    /// The most memory the process has had so far, in bytes.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn peak_memory(&self) -> Result<u64> {
        self.process.peak_memory()
    }

    /// What memory it has now, in bytes; the peak before is forgotten. While it starts it has far more than
    /// it needs later, and that would hide what a test measures.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn memory_from_now_on(&self) -> Result<u64> {
        self.process.forget_peak_memory()?;
        self.process.peak_memory()
    }

    /// Everything it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its access log, line by line.
    #[must_use]
    pub fn access_log(&self) -> Vec<String> {
        std::fs::read_to_string(self.folder.join("access.log"))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// `kill -9`, once its access log names the instance that it is: by that it is known whose leases are torn.
    ///
    /// # Errors
    /// If nothing is logged within five seconds.
    pub async fn kill_known(&mut self) -> Result<()> {
        until(
            "its access log names it",
            Duration::from_secs(5),
            async || {
                let mut lines = self.access_log().into_iter();
                let is_named = lines.any(|line| line.contains(r#""instance":"ins_"#));
                Ok(is_named.then_some(()))
            },
        )
        .await?;
        self.kill();
        Ok(())
    }

    /// SIGTERM, and waits until it has ended. One that has is left alone.
    ///
    /// # Errors
    /// If it does not.
    pub async fn terminate(&mut self) -> Result<()> {
        if !self.runs() {
            return Ok(());
        }
        self.process.terminate()?;
        self.process.ended(Duration::from_secs(20)).await.map(drop)
    }

    /// Whether the process still runs.
    pub fn runs(&mut self) -> bool {
        self.process.runs()
    }

    /// Fails if a VM of it has trapped.
    ///
    /// # Errors
    /// With the lines that say so.
    pub fn never_trapped(&self) -> Result<()> {
        let log = self.log();
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| {
                [
                    "Function: proxy_",
                    "Uncaught RuntimeError",
                    "panicked at",
                    "Proxy-Wasm VM",
                ]
                .iter()
                .any(|sign| line.contains(sign))
            })
            .collect();
        anyhow::ensure!(lines.is_empty(), "a VM trapped:\n{}", lines.join("\n"));
        Ok(())
    }
}
