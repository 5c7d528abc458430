//! Signatures as Standard Webhooks writes them: HMAC-SHA256 over `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What every secret starts with.
const PREFIX: &str = "whsec_";

/// The text of a secret.
#[must_use]
pub fn secret_of(bytes: &[u8; 32]) -> String {
    format!("{PREFIX}{}", STANDARD.encode(bytes))
}

/// One signature, `v1,…`; none if the text is no secret.
#[must_use]
pub fn signature(secret: &str, id: &str, timestamp_s: i64, body: &[u8]) -> Option<String> {
    let key = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{timestamp_s}.").as_bytes());
    mac.update(body);
    Some(format!(
        "v1,{}",
        STANDARD.encode(mac.finalize().into_bytes())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn the_known_message_has_the_known_signature() {
        let signed = signature(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        let known = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed.as_deref(), Some(known));
    }

    #[test]
    fn a_secret_is_written_as_the_standard_says() {
        let secret = secret_of(&[0xff; 32]);
        assert_eq!(secret, "whsec_//////////////////////////////////////////8=");
        assert!(signature(&secret, "a", 1, b"{}").is_some());
        assert_eq!(signature("secret", "a", 1, b"{}"), None);
        assert_eq!(signature("whsec_?", "a", 1, b"{}"), None);
    }
}
