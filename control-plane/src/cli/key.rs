//! `creditgate key`: keys made without the service.

use std::process::ExitCode;

use clap::Subcommand;
use creditgate_core::key::{KeyKind, compose};

use crate::clock::random_bytes;

/// Keys.
#[derive(Subcommand)]
pub(super) enum KeyVerb {
    /// Makes an administrator's key, for `CREDITGATE_ADMIN_KEY`, and prints it.
    New,
}

impl KeyVerb {
    pub(super) fn run(&self) -> ExitCode {
        let Self::New = self;
        println!("{}", compose(KeyKind::Admin, &random_bytes()));
        ExitCode::SUCCESS
    }
}
