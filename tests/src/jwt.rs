//! Tokens as an issuer signs them, and the keys by which a proxy checks them.
//!
//! Signed by HMAC-SHA256 (`HS256`, RFC 7518) with a secret of the tests. They never expire.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// Who issues them.
pub const ISSUER: &str = "https://issuer.example";

const SECRET: [u8; 32] = *b"a secret of the end-to-end tests";

/// The issuer's keys, as a JSON Web Key Set.
#[must_use]
pub fn key_set() -> Value {
    let key = URL_SAFE_NO_PAD.encode(SECRET);
    json!({"keys": [{"kty": "oct", "alg": "HS256", "k": key}]})
}

/// A token of the issuer with these claims.
///
/// # Errors
/// If the secret is none.
pub fn token(claims: &Value) -> Result<String> {
    let mut claims = claims.clone();
    claims["iss"] = json!(ISSUER);
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let head = encoded(&json!({"alg": "HS256", "typ": "JWT"}));
    let signed = format!("{head}.{}", encoded(&claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(&SECRET)?;
    mac.update(signed.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    Ok(format!("{signed}.{signature}"))
}
