//! Who changed what, when, with which key, and why: one line for each write of a client.

use serde::{Deserialize, Serialize};

use crate::id::{AuditId, CustomerId};
use crate::time::Timestamp;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// The id; later lines have larger ids.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// With which key, or which part of the service.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// Of which customer, if it was about one.
    pub customer: Option<CustomerId>,
    /// The id or name of what it was done to.
    pub subject: Option<String>,
    /// Why, if the actor said so.
    pub reason: Option<String>,
}
