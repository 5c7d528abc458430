//! What webhooks tell, and what becomes of those that are not taken.

use creditgate_ledger::EventKind;
use creditgate_ledger::webhook::AttemptError;
use creditgate_ledger::webhook::retry::{JITTER_MAX_PER_MILLE, WAITS_MS};

use crate::markdown::table;

/// Every type of event.
pub(crate) fn events() -> String {
    let rows = EventKind::ALL
        .iter()
        .map(|(_, name, meaning)| row(name, meaning));
    table(&["type", "what happened"], rows)
}

/// Every word of a failed attempt.
pub(crate) fn errors() -> String {
    let rows = AttemptError::ALL
        .iter()
        .map(|(_, word, meaning)| row(word, meaning));
    table(&["word", "what went wrong"], rows)
}

fn row(word: &str, meaning: &str) -> Vec<String> {
    vec![format!("`{word}`"), meaning.trim().to_owned()]
}

/// How long is waited between attempts.
pub(crate) fn waits() -> String {
    let waits: Vec<String> = WAITS_MS.iter().map(|wait_ms| told(*wait_ms)).collect();
    format!(
        "The waits between attempts are {}, each up to {} % shorter or longer at random; then the delivery has failed.",
        waits.join(", "),
        JITTER_MAX_PER_MILLE / 10
    )
}

fn told(wait_ms: u64) -> String {
    let seconds = wait_ms / 1_000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}
