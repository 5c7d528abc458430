//! Which configuration an Envoy of a test runs, and what of it is changed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::template::{fill_in, patch_filter};
use crate::tools;

/// What is run, and how.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The configuration, below the workspace's top level.
    pub template: &'static str,
    /// Worker threads.
    pub workers: u32,
    /// Merged into the filter's configuration.
    pub filter: Value,
    /// Texts of the configuration that are replaced by others; each must occur.
    pub edits: Vec<(String, String)>,
    /// More variables of the template.
    pub variables: Vec<(&'static str, String)>,
    /// The filter's module.
    pub module: Option<PathBuf>,
    /// Divides the configuration into one without listener and the listener, which goes to
    /// `listener.yaml`, whose path it is given: so that it can be updated.
    pub split_listener: Option<SplitListener>,
}

/// See [`Setup::split_listener`].
pub type SplitListener = fn(&str, &str) -> Result<(String, String)>;

impl Default for Setup {
    fn default() -> Self {
        Self {
            template: "envoy/minimal.yaml",
            workers: 2,
            filter: json!({}),
            edits: Vec::new(),
            variables: Vec::new(),
            module: None,
            split_listener: None,
        }
    }
}

impl Setup {
    /// With so many worker threads.
    #[must_use]
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers;
        self
    }

    /// With this merged into the filter's configuration.
    #[must_use]
    pub fn filter(mut self, patch: Value) -> Self {
        self.filter = patch;
        self
    }

    /// With a text of the configuration replaced.
    #[must_use]
    pub fn edit(mut self, from: &str, to: &str) -> Self {
        self.edits.push((from.into(), to.into()));
        self
    }

    /// Set up to read request bodies, in both the places that takes.
    #[must_use]
    pub fn reading_bodies(mut self) -> Self {
        let flag = "root_id: creditgate\n                allow_on_headers_stop_iteration: true";
        self.filter["reads_bodies"] = json!(true);
        self.edit("root_id: creditgate", flag)
    }

    /// With other filters in front of ours, and behind it: YAML, in lines as deep as the list is.
    #[must_use]
    pub fn between(self, front: &str, behind: &str) -> Self {
        let (list, router) = (
            "          http_filters:\n",
            "          - name: envoy.filters.http.router",
        );
        self.edit(list, &format!("{list}{front}"))
            .edit(router, &format!("{behind}{router}"))
    }

    /// With an upstream that is spoken to in HTTP/2 where the client speaks it.
    #[must_use]
    pub fn http2_upstream(self) -> Self {
        let as_client = "- name: upstream
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        use_downstream_protocol_config:
          http2_protocol_options: { initial_stream_window_size: 1048576, initial_connection_window_size: 1048576 }
    type: STRICT_DNS";
        self.edit("- name: upstream\n    type: STRICT_DNS", as_client)
    }

    /// With another module than the one that is shipped.
    #[must_use]
    pub fn module(mut self, module: PathBuf) -> Self {
        self.module = Some(module);
        self
    }

    /// With the listener in a file of its own.
    #[must_use]
    pub fn split_listener(mut self, split: SplitListener) -> Self {
        self.split_listener = Some(split);
        self
    }

    /// With a variable.
    #[must_use]
    pub fn variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// The configuration, and nothing left to fill in.
    pub(super) fn render(
        &self,
        folder: &Path,
        plane: SocketAddr,
        upstream: SocketAddr,
    ) -> Result<String> {
        let module = match &self.module {
            Some(module) => module.clone(),
            None => tools::filter()?,
        };
        let mut variables = BTreeMap::from([
            ("LISTEN_ADDRESS", "127.0.0.1".to_owned()),
            ("LISTEN_PORT", "0".to_owned()),
            ("ADMIN_PORT", "0".to_owned()),
            ("CREDITGATE_WASM", module.display().to_string()),
            ("CONTROL_PLANE_HOST", plane.ip().to_string()),
            ("CONTROL_PLANE_PORT", plane.port().to_string()),
            ("UPSTREAM_HOST", upstream.ip().to_string()),
            ("UPSTREAM_PORT", upstream.port().to_string()),
            (
                "ACCESS_LOG",
                folder.join("access.log").display().to_string(),
            ),
        ]);
        variables.extend(self.variables.iter().cloned());
        let file = tools::top().join(self.template);
        let mut text = std::fs::read_to_string(&file)
            .with_context(|| format!("could not read {}", file.display()))?;
        for (from, to) in &self.edits {
            anyhow::ensure!(text.contains(from), "{} has no {from:?}", self.template);
            text = text.replace(from, to);
        }
        patch_filter(&fill_in(&text, &variables)?, &self.filter)
    }
}
