//! Random histories of commands, through the real decisions and a storage.

mod batches;
mod credit;
mod history;
mod reasons;
mod terms;
