//! The HTTP side, over the real router, writer, jobs and SQLite.

mod access;
mod alerts;
mod auto_top_ups;
mod audit;
mod bad_input;
mod busy;
mod document;
mod drain;
mod edge;
mod examples;
mod first_credit;
mod grant_time;
mod grants;
mod hooks;
mod limited;
mod journal;
mod messages;
mod plane;
mod pushes;
mod quarantine;
mod questions;
mod repeats;
mod restored;
mod retention;
mod settings;
mod time;
