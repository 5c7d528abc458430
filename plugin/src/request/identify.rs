//! What a request says of itself, read from one pass over its headers.
//!
//! The whole header map is read, never a single getter: layers disagree on which of two
//! equal headers counts, so more than one credential is refused. Values may be any bytes.

use creditgate_core::rate_card::reading;

use crate::pairs::Pairs;

/// Headers of ours that a client must not be able to send.
const OWN_PREFIX: &[u8] = b"x-credit-";

/// A request's headers, as far as they matter. Borrows from the header block.
#[derive(Debug, Default)]
pub(crate) struct Seen<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) authority: &'a [u8],
    /// The length of the body, as the request tells it.
    pub(crate) content_length: Option<u64>,
    pub(crate) is_cors_preflight: bool,
    pub(crate) client: ClientSeen<'a>,
    /// Names to be removed before the upstream sees them.
    pub(crate) forged: Vec<&'a str>,
    #[cfg(feature = "test-trap")]
    pub(crate) trap: bool,
    /// What is to befall every cell before this request is decided.
    #[cfg(feature = "test-trap")]
    pub(crate) spoil: Option<&'a [u8]>,
}

/// How the client is to be answered.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct ClientSeen<'a> {
    pub(crate) is_grpc: bool,
    pub(crate) origin: Option<&'a [u8]>,
    pub(crate) request_id: Option<&'a [u8]>,
}

/// [`ClientSeen`], kept while the request is held.
#[derive(Debug, Default, Clone)]
pub(crate) struct Client {
    pub(crate) is_grpc: bool,
    pub(crate) origin: Option<String>,
    pub(crate) request_id: Option<String>,
}

/// The longest origin or request id that is repeated to the client.
const ECHO_BYTES_MAX: usize = 256;

impl ClientSeen<'_> {
    pub(crate) fn to_owned(self) -> Client {
        let echo = |value: Option<&[u8]>| {
            let text = std::str::from_utf8(value?).ok()?;
            let fine = text.len() <= ECHO_BYTES_MAX
                && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            fine.then(|| text.to_owned())
        };
        Client {
            is_grpc: self.is_grpc,
            origin: echo(self.origin),
            request_id: echo(self.request_id),
        }
    }
}

impl<'a> Seen<'a> {
    pub(crate) fn read(pairs: &'a Pairs) -> Self {
        let mut seen = Self::default();
        let mut has_preflight_method = false;
        for (name, value) in pairs.iter() {
            match name {
                b":method" => seen.method = value,
                b":path" => seen.path = value,
                b":authority" => seen.authority = value,
                b"content-length" => seen.content_length = reading(value),
                b"origin" => seen.client.origin = Some(value),
                b"access-control-request-method" => has_preflight_method = true,
                b"content-type" => seen.client.is_grpc = is_grpc(value),
                b"x-request-id" => seen.client.request_id = Some(value),
                #[cfg(feature = "test-trap")]
                b"x-test-trap" => seen.trap = true,
                #[cfg(feature = "test-trap")]
                b"x-test-spoil" => seen.spoil = Some(value),
                _ if name.starts_with(OWN_PREFIX) => seen.forged.extend(std::str::from_utf8(name)),
                _ => {}
            }
        }
        seen.is_cors_preflight = has_preflight_method && seen.client.origin.is_some();
        seen
    }
}

fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+") || rest.starts_with(b";"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forged_headers_grpc_and_preflight_are_recognised() {
        let pairs = Pairs::of([
            (&b":path"[..], &b"/x"[..]),
            (b"x-credit-cost", b"0"),
            (b"origin", b"https://app.example"),
            (b"access-control-request-method", b"POST"),
            (b"content-type", b"application/grpc+proto"),
            (b"x-request-id", b"\xff"),
        ]);
        let seen = Seen::read(&pairs);
        assert_eq!(seen.forged, ["x-credit-cost"]);
        assert!(seen.is_cors_preflight && seen.client.is_grpc);
        assert_eq!(seen.client.to_owned().request_id, None);
        assert!(!is_grpc(b"application/grpc-web"));
    }
}
