//! One spelling for each path, so that no other spelling of it is cheaper.
//!
//! The filter matches what Envoy hands it and the upstream may read the same bytes in its
//! own way. Where all readers agree on what a spelling means, it is normalised; where they
//! differ, the request is refused. Only the matching sees the normal form; the upstream
//! gets the request as it came.
//!
//! | in the request target | here | Envoy, if its connection manager is told to |
//! | --- | --- | --- |
//! | query | not part of the path | the same |
//! | fragment (`#`) | refused: it never belongs in a request | refused (400) by default |
//! | escaped unreserved characters (`%61`) | unescaped | `normalize_path` |
//! | escaped `!$&'()*+,=:@` | unescaped: servers do, and so `%40` can't hide an `@` | kept |
//! | other escapes (`%c3%a9`, `%20`) | kept, hex digits in upper case; raw characters of their kind are escaped | kept; `normalize_path` escapes |
//! | `//` | one slash | `merge_slashes` |
//! | `//` at the beginning | refused: to some readers what follows is a host | `merge_slashes` |
//! | `.` and `..` segments, escaped or not | refused: clients resolve them, and an upstream that doesn't would serve what is before them at the price of what is after | `normalize_path` resolves them, before any filter |
//! | `%2F`, `%5C` | refused | `path_with_escaped_slashes_action: REJECT_REQUEST` |
//! | `\` | refused | `normalize_path` makes it a slash |
//! | `;`, escaped or not | refused: parameters to some servers, part of the name to others | kept |
//! | `%25` before two hex digits, escaped or not | refused: escaped twice | kept |
//! | control characters and NUL, escaped or not | refused | refused mostly |
//! | not UTF-8, escaped or not | refused | kept |
//! | `%` without two hex digits | refused | refused by `normalize_path` |
//! | a slash at the end | dropped: `/v1/items/` is `/v1/items` | kept |
//!
//! Letter case is kept: `/V1` is another path than `/v1`. To an upstream that ignores case
//! they are one, and there the card's default must not be cheaper than its rules. The same
//! goes for suffixes (`.json`) and method-override headers that only the upstream knows.

mod reader;

use reader::{Reader, Step};
use std::borrow::Cow;

/// Why a request's path has no one meaning. Such a request is refused, whatever the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum AmbiguousPath {
    /// It doesn't begin with a slash: an absolute URL, or nothing at all.
    #[error("the request target is not a path")]
    NotAPath,
    /// It begins with two slashes, as a URL without a scheme does.
    #[error("the request target begins with two slashes")]
    NetworkPath,
    /// `%2F` or `%5C`.
    #[error("the path has an escaped slash or backslash")]
    EscapedSlash,
    /// `\`
    #[error("the path has a backslash")]
    Backslash,
    /// `.` or `..` as a whole segment.
    #[error("the path has a . or .. segment")]
    DotSegment,
    /// `;` or `%3B`
    #[error("the path has a semicolon")]
    Parameters,
    /// NUL or another control character.
    #[error("the path has a control character")]
    Control,
    /// Bytes that are no UTF-8.
    #[error("the path is not UTF-8")]
    NotUtf8,
    /// `%` without two hexadecimal digits.
    #[error("the path has a % that escapes nothing")]
    BrokenEscape,
    /// An escape within an escape, such as `%2561`.
    #[error("the path is escaped twice")]
    EscapedTwice,
    /// `#`
    #[error("the request target has a fragment")]
    Fragment,
}

impl AmbiguousPath {
    /// A stable word for this reason, for logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAPath => "not_a_path",
            Self::NetworkPath => "network_path",
            Self::EscapedSlash => "escaped_slash",
            Self::Backslash => "backslash",
            Self::DotSegment => "dot_segment",
            Self::Parameters => "path_parameters",
            Self::Control => "control_character",
            Self::NotUtf8 => "not_utf8",
            Self::BrokenEscape => "broken_escape",
            Self::EscapedTwice => "escaped_twice",
            Self::Fragment => "fragment",
        }
    }
}

/// The normal form of a request target's path, without query. Allocates only if the path
/// isn't in normal form (but for a slash at its end).
///
/// # Errors
/// If the path could mean different things to different readers.
pub fn normalize(target: &[u8]) -> Result<Cow<'_, str>, AmbiguousPath> {
    match target {
        [b'/', b'/', ..] => return Err(AmbiguousPath::NetworkPath),
        [b'/', ..] => {}
        _ => return Err(AmbiguousPath::NotAPath),
    }
    let mut normal = true;
    let mut reader = Reader::new(target);
    let mut segment = Segment::default();
    let mut first = true;
    loop {
        match reader.next()? {
            Step::Slash => {
                segment.end()?;
                normal &= first || segment.length > 0;
                first = false;
                segment = Segment::default();
            }
            Step::Character {
                byte, as_written, ..
            } => {
                normal &= as_written;
                segment.push(byte);
            }
            Step::End => {
                segment.end()?;
                break;
            }
        }
    }
    if !normal {
        return rewrite(target).map(Cow::Owned);
    }
    let length = target.len().saturating_sub(reader.unread());
    let path = target.get(..length).unwrap_or_default();
    let path = match path.strip_suffix(b"/") {
        Some(shorter) if !shorter.is_empty() => shorter,
        _ => path,
    };
    std::str::from_utf8(path)
        .map(Cow::Borrowed)
        .map_err(|_| AmbiguousPath::NotUtf8)
}

fn rewrite(target: &[u8]) -> Result<String, AmbiguousPath> {
    let mut path = String::with_capacity(target.len());
    let mut reader = Reader::new(target);
    loop {
        match reader.next()? {
            Step::Slash if path.ends_with('/') => {}
            Step::Slash => path.push('/'),
            Step::Character {
                byte,
                escape: false,
                ..
            } => path.push(char::from(byte)),
            Step::Character {
                byte, escape: true, ..
            } => {
                path.push('%');
                path.push(hex_digit(byte >> 4));
                path.push(hex_digit(byte & 15));
            }
            Step::End => break,
        }
    }
    if path.len() > 1 && path.ends_with('/') {
        path.pop();
    }
    Ok(path)
}

/// What is remembered of the segment being read.
#[derive(Default)]
struct Segment {
    length: usize,
    dots: usize,
}

impl Segment {
    fn push(&mut self, byte: u8) {
        self.length = self.length.saturating_add(1);
        self.dots = self.dots.saturating_add(usize::from(byte == b'.'));
    }

    fn end(&self) -> Result<(), AmbiguousPath> {
        if self.length == self.dots && (1..=2).contains(&self.dots) {
            return Err(AmbiguousPath::DotSegment);
        }
        Ok(())
    }
}

fn hex_digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16)
        .unwrap_or('0')
        .to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normal_path_is_borrowed() {
        for path in [
            "/",
            "/v1/items",
            "/v1/a%20b/%C3%A9%25/5%25a",
            "/a...b/..c/:@!$&'()*+,=~",
        ] {
            assert!(matches!(normalize(path.as_bytes()), Ok(Cow::Borrowed(same)) if same == path));
        }
        for (target, path) in [
            ("/v1/?a=/../b", "/v1"),
            ("/?", "/"),
            ("/v1/items?x#y", "/v1/items"),
        ] {
            assert!(
                matches!(normalize(target.as_bytes()), Ok(Cow::Borrowed(short)) if short == path)
            );
        }
    }

    #[test]
    fn other_spellings_become_the_normal_one() {
        for (target, path) in [
            ("/v1//items///", "/v1/items"),
            ("/v1//?a//b", "/v1"),
            ("/%76%31/items", "/v1/items"),
            ("/v1/a%40b", "/v1/a@b"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/café", "/caf%C3%A9"),
            ("/a b|{c}", "/a%20b%7C%7Bc%7D"),
            ("/%3f%23", "/%3F%23"),
            ("/100%25", "/100%25"),
            ("/%7Euser/?q", "/~user"),
        ] {
            assert_eq!(
                normalize(target.as_bytes()).as_deref(),
                Ok(path),
                "{target}"
            );
        }
    }

    #[test]
    fn what_readers_disagree_on_is_refused() {
        use AmbiguousPath::*;
        let cases: [(&[u8], AmbiguousPath); 34] = [
            (b"", NotAPath),
            (b"*", NotAPath),
            (b"v1", NotAPath),
            (b"http://host/v1", NotAPath),
            (b"//", NetworkPath),
            (b"//host/v1", NetworkPath),
            (b"/v1%2fitems", EscapedSlash),
            (b"/v1%2Fitems", EscapedSlash),
            (b"/v1%5citems", EscapedSlash),
            (b"/v1\\items", Backslash),
            (b"/v1/../items", DotSegment),
            (b"/v1/..", DotSegment),
            (b"/v1/..?q", DotSegment),
            (b"/./v1", DotSegment),
            (b"/v1/.", DotSegment),
            (b"/v1/%2e%2E/x", DotSegment),
            (b"/v1/.%2e/x", DotSegment),
            (b"/v1/items;a=b", Parameters),
            (b"/v1/items%3ba", Parameters),
            (b"/v1/..;/items", Parameters),
            (b"/v1/items%00", Control),
            (b"/v1/items\0", Control),
            (b"/v1/%0d%0a", Control),
            (b"/v1/\x7f", Control),
            (b"/v1/\xff", NotUtf8),
            (b"/v1/%C0%AFitems", NotUtf8),
            (b"/v1/%ED%A0%80", NotUtf8),
            (b"/v1/%C3", NotUtf8),
            (b"/v1/%C3/%A9", NotUtf8),
            (b"/v1/%zz", BrokenEscape),
            (b"/v1/%4", BrokenEscape),
            (b"/v1/%2561", EscapedTwice),
            (b"/v1/%25%36%31", EscapedTwice),
            (b"/v1/items#/x", Fragment),
        ];
        for (target, reason) in cases {
            assert_eq!(normalize(target), Err(reason), "{}", target.escape_ascii());
        }
    }
}
