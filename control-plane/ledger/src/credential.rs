//! Consumer keys: who a request belongs to. Only hashes are kept.

use creditgate_core::key::CredentialHash;
use serde::{Deserialize, Serialize};

use crate::book::Book;
use crate::context::Context;
use crate::id::{CustomerId, KeyId};
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// Most live keys of a customer.
pub const KEYS_MAX: usize = 1_000;

/// A key that a customer's requests carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerKey {
    /// The id.
    pub id: KeyId,
    /// Whose.
    pub customer: CustomerId,
    /// For people.
    pub name: Option<String>,
    /// SHA-256 of the key.
    pub hash: CredentialHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// It is unknown from then on.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl ConsumerKey {
    /// Whether requests with it are this customer's at `now`.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

/// Adds a key.
///
/// # Errors
/// [`Refusal::Conflict`] `keys_max` at [`KEYS_MAX`] keys.
pub fn add(
    book: &mut Book,
    context: &mut Context<'_>,
    name: Option<String>,
    hash: CredentialHash,
) -> Result<ConsumerKey, Refusal> {
    if book.keys.len() >= KEYS_MAX {
        return Err(Refusal::Conflict {
            code: "keys_max",
            problem: format!("the customer has {KEYS_MAX} keys; revoke one first"),
        });
    }
    let key = ConsumerKey {
        id: KeyId(context.ids.next()),
        customer: book.customer.id,
        name,
        hash,
        created_at: context.now,
        expires_at: None,
        revoked_at: None,
    };
    book.keys.push(key.clone());
    Ok(key)
}

/// Revokes a key, at once or from `at` on. Gateways ask again for every key of the customer.
///
/// # Errors
/// [`Refusal::NotFound`] if the customer has no such live key.
pub fn revoke(
    book: &mut Book,
    context: &mut Context<'_>,
    id: KeyId,
    at: Timestamp,
) -> Result<ConsumerKey, Refusal> {
    let now = context.now;
    let key = find(book, id)?;
    if at <= now {
        key.revoked_at = Some(now);
    } else {
        key.expires_at = Some(key.expires_at.map_or(at, |expires_at| expires_at.min(at)));
    }
    let key = key.clone();
    forget(book, now);
    Ok(key)
}

/// Takes a key out of this customer's book, to be adopted by another's.
///
/// # Errors
/// [`Refusal::NotFound`] if the customer has no such live key.
pub fn release(
    book: &mut Book,
    context: &mut Context<'_>,
    id: KeyId,
) -> Result<ConsumerKey, Refusal> {
    let key = find(book, id)?.clone();
    book.keys.retain(|kept| kept.id != id);
    forget(book, context.now);
    Ok(key)
}

/// Takes over a key that another customer released.
///
/// # Errors
/// [`Refusal::Conflict`] `keys_max` at [`KEYS_MAX`] keys.
pub fn adopt(
    book: &mut Book,
    context: &mut Context<'_>,
    mut key: ConsumerKey,
) -> Result<ConsumerKey, Refusal> {
    if book.keys.len() >= KEYS_MAX {
        return Err(Refusal::Conflict {
            code: "keys_max",
            problem: format!("the customer has {KEYS_MAX} keys; revoke one first"),
        });
    }
    key.customer = book.customer.id;
    book.keys.push(key.clone());
    forget(book, context.now);
    Ok(key)
}

/// Drops keys whose time has come, and tells gateways to ask again. Returns whether any was.
pub fn expire(book: &mut Book, now: Timestamp) -> bool {
    let mut any = false;
    for key in book
        .keys
        .iter_mut()
        .filter(|key| key.revoked_at.is_none() && !key.is_valid(now))
    {
        key.revoked_at = key.expires_at;
        any = true;
    }
    if any {
        forget(book, now);
    }
    any
}

fn find(book: &mut Book, id: KeyId) -> Result<&mut ConsumerKey, Refusal> {
    book.keys
        .iter_mut()
        .find(|key| key.id == id && key.revoked_at.is_none())
        .ok_or_else(|| Refusal::NotFound {
            what: "key",
            id: id.to_string(),
        })
}

/// Makes every gateway resolve the customer's credentials again.
pub(crate) fn forget(book: &mut Book, now: Timestamp) {
    book.customer.credential_version = book.customer.credential_version.wrapping_add(1);
    for place in 0..book.accounts.len() {
        book.touch(place, now);
        let id = book.accounts[place].id;
        book.push(id);
    }
}
