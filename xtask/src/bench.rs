//! What Creditgate costs: figures for people, never a test.

use anyhow::Result;

use crate::stages::Stages;
use crate::tools::Tools;
use crate::{command, control_plane, wasm};

/// Prints the CPU time of Envoy a request: without a filter, with an idle one, with Creditgate.
pub(crate) fn run(stages: &mut Stages) -> Result<()> {
    let tools = Tools::get(stages)?;
    let filter = stages.run("build the filter", || wasm::build(wasm::Variant::Shipped))?;
    let idle = stages.run("build a filter that does nothing", wasm::build_idle)?;
    let plane = stages.run("build the control plane", control_plane::for_tests)?;
    stages.run("measure", || {
        let arguments = ["--package", "creditgate-tests", "--bin", "overhead"];
        let mut cargo = command::cargo("run");
        cargo.args(arguments);
        cargo.env("ENVOY_BIN", &tools.envoy);
        cargo.env("CREDITGATE_WASM", &filter);
        cargo.env("CREDITGATE_IDLE_WASM", &idle);
        cargo.env("CREDITGATE_BIN", &plane);
        command::run(&mut cargo)
    })
}
