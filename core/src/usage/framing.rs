//! How an answer's documents are wrapped, by its content type.

/// How a body is cut into JSON documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// One document. Of Gemini's also a list of documents, which is how it streams unless
    /// asked for events.
    Json,
    /// Server-sent events, a document each.
    Sse,
    /// Compressed: not read.
    Encoded,
    /// Anything else: not read.
    Unsupported,
}

impl Framing {
    /// By the `content-type` header: `application/json` and other JSON types, or
    /// `text/event-stream`. Letter case and parameters make no difference.
    #[must_use]
    pub fn of(content_type: &[u8]) -> Self {
        let essence = content_type.split(|&byte| byte == b';').next();
        let essence = essence.unwrap_or_default().trim_ascii();
        let ends_with_json = essence
            .last_chunk::<5>()
            .is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"));
        if essence.eq_ignore_ascii_case(b"text/event-stream") {
            Self::Sse
        } else if ends_with_json || essence.eq_ignore_ascii_case(b"application/json") {
            Self::Json
        } else {
            Self::Unsupported
        }
    }

    /// The same, but [`Framing::Encoded`] if the `content-encoding` header names any.
    #[must_use]
    pub fn encoded(self, content_encoding: &[u8]) -> Self {
        match content_encoding.trim_ascii() {
            [] => self,
            identity if identity.eq_ignore_ascii_case(b"identity") => self,
            _ => Self::Encoded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_says_the_framing() {
        for (content_type, framing) in [
            ("application/json", Framing::Json),
            ("Application/JSON; charset=utf-8", Framing::Json),
            ("application/problem+json", Framing::Json),
            ("text/event-stream;charset=UTF-8", Framing::Sse),
            (" text/event-stream ", Framing::Sse),
            ("application/x-ndjson", Framing::Unsupported),
            ("application/vnd.amazon.eventstream", Framing::Unsupported),
            ("json", Framing::Unsupported),
            ("", Framing::Unsupported),
        ] {
            assert_eq!(
                Framing::of(content_type.as_bytes()),
                framing,
                "{content_type}"
            );
        }
    }

    #[test]
    fn what_is_compressed_is_not_read() {
        assert_eq!(Framing::Sse.encoded(b""), Framing::Sse);
        assert_eq!(Framing::Json.encoded(b"Identity"), Framing::Json);
        assert_eq!(Framing::Json.encoded(b"gzip"), Framing::Encoded);
    }
}
