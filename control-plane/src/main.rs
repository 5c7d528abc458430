//! The `creditgate` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    match creditgate::cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("creditgate: {error:#}");
            ExitCode::FAILURE
        }
    }
}
