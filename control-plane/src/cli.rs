//! The command line: the service itself, and the verbs of operators.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod client;
mod drain;
mod export;
mod import_prices;
mod key;
mod lease;
mod plugin;
mod restored;
mod serve;
mod verify;

/// Prepaid credit for APIs: refuses a request the moment its customer has no credit left.
#[derive(Parser)]
#[command(name = "creditgate", version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Runs the control plane.
    Serve(serve::Serve),
    /// Checks a database against the invariants and says what is wrong where.
    Verify(verify::Verify),
    /// Writes the journal as text that anyone can check, or checks such a file.
    Export(export::Export),
    /// Prepares a database that came from a backup; before it is served again.
    Restored(restored::Restored),
    /// Makes an instance give back all its credit, and waits until it has; for pre-stop hooks.
    Drain(drain::Drain),
    /// Leases: credit lent to instances.
    #[command(subcommand)]
    Lease(lease::LeaseVerb),
    /// Keys.
    #[command(subcommand)]
    Key(key::KeyVerb),
    /// The filter's configuration.
    #[command(subcommand)]
    Plugin(plugin::PluginVerb),
    /// Turns a public price list of language models into the `models` of a rate card.
    ImportPrices(import_prices::ImportPrices),
}

/// Runs the verb of the process's arguments.
///
/// # Errors
/// What went wrong, for people.
pub fn run() -> anyhow::Result<ExitCode> {
    match Arguments::parse().verb {
        Verb::Serve(serve) => serve.run(),
        Verb::Verify(verify) => verify.run(),
        Verb::Export(export) => export.run(),
        Verb::Restored(restored) => restored.run(),
        Verb::Drain(drain) => drain.run(),
        Verb::Lease(lease) => lease.run(),
        Verb::Key(key) => Ok(key.run()),
        Verb::Plugin(plugin) => plugin.run(),
        Verb::ImportPrices(import) => import.run(),
    }
}

/// How lists and objects are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum Output {
    /// Aligned text.
    #[default]
    Table,
    /// JSON, as the API answers it.
    Json,
}
