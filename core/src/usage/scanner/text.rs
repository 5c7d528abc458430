//! A string, unescaped as it passes; its beginning kept if it is wanted.

use super::NotJson;

/// The longest text that is kept: a model's name.
pub(super) const KEPT_MAX: usize = crate::usage::MODEL_NAME_BYTES_MAX;

/// A string between its quotes.
#[derive(Debug, Clone)]
pub(super) struct Text {
    escape: Escape,
    /// The first half of a surrogate pair, until its other half comes.
    high: Option<u16>,
    /// Bytes of it, unescaped.
    length: u64,
    counts: bool,
    /// How many bytes may be kept. If it grows longer, none are.
    keep: usize,
    kept: [u8; KEPT_MAX],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    /// After `\`.
    Begun,
    /// After `\u` and so many digits of this unit.
    Unit(u8, u16),
}

impl Default for Text {
    fn default() -> Self {
        Self {
            escape: Escape::None,
            high: None,
            length: 0,
            counts: false,
            keep: 0,
            kept: [0; KEPT_MAX],
        }
    }
}

impl Text {
    /// After the opening quote.
    pub(super) fn begin(&mut self, keep: usize, counts: bool) {
        self.escape = Escape::None;
        self.high = None;
        self.length = 0;
        self.counts = counts;
        self.keep = keep;
    }

    /// Whether its bytes are counted.
    pub(super) const fn counts(&self) -> bool {
        self.counts
    }

    /// Bytes of it so far, unescaped.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// What may be taken as it stands, up to an escape, a quote or what no string may hold.
    pub(super) fn split_plain<'a>(&self, bytes: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        if self.escape != Escape::None {
            return (&[], bytes);
        }
        let is_special = |&byte: &u8| byte == b'"' || byte == b'\\' || byte < b' ';
        let plain = bytes.iter().position(is_special).unwrap_or(bytes.len());
        bytes.split_at_checked(plain).unwrap_or((bytes, &[]))
    }

    /// Whether this byte is the closing quote.
    pub(super) fn is_end(&self, byte: u8) -> bool {
        self.escape == Escape::None && byte == b'"'
    }

    /// At the closing quote.
    pub(super) fn end(&mut self) {
        self.push(&[]);
    }

    /// Takes bytes as they stand.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.high.take().is_some() {
            self.append(
                char::REPLACEMENT_CHARACTER
                    .encode_utf8(&mut [0; 4])
                    .as_bytes(),
            );
        }
        self.append(bytes);
    }

    /// Takes a byte that [`Text::split_plain`] left, but for the closing quote.
    pub(super) fn escape(&mut self, byte: u8) -> Result<(), NotJson> {
        self.escape = match self.escape {
            Escape::None if byte == b'\\' => Escape::Begun,
            Escape::None => return Err(NotJson),
            Escape::Begun if byte == b'u' => Escape::Unit(0, 0),
            Escape::Begun => {
                let character = match byte {
                    b'"' | b'\\' | b'/' => byte,
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    _ => return Err(NotJson),
                };
                self.push(&[character]);
                Escape::None
            }
            Escape::Unit(digits, unit) => {
                let digit = char::from(byte).to_digit(16).ok_or(NotJson)?;
                let unit = (unit << 4) | u16::try_from(digit).map_err(|_| NotJson)?;
                if digits < 3 {
                    Escape::Unit(digits.saturating_add(1), unit)
                } else {
                    self.push_unit(unit);
                    Escape::None
                }
            }
        };
        Ok(())
    }

    /// What it says, or `None` if it isn't wanted or too long.
    pub(super) fn kept(&self) -> Option<&[u8]> {
        let length = usize::try_from(self.length).ok()?;
        let is_kept = self.keep > 0 && length <= self.keep;
        self.kept.get(..length).filter(|_| is_kept)
    }

    fn push_unit(&mut self, unit: u16) {
        let units = [self.high.unwrap_or(unit), unit];
        let is_low = (0xdc00..0xe000).contains(&unit);
        if (0xd800..0xdc00).contains(&unit) {
            self.push(&[]);
            self.high = Some(unit);
        } else if self.high.is_some() && is_low {
            self.high = None;
            for character in char::decode_utf16(units).flatten() {
                self.append(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        } else {
            let character = char::from_u32(u32::from(unit));
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.push(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let start = usize::try_from(self.length).unwrap_or(usize::MAX);
        let end = start.saturating_add(bytes.len());
        if end <= self.keep
            && let Some(place) = self.kept.get_mut(start..end)
        {
            place.copy_from_slice(bytes);
        }
        self.length = self.length.saturating_add(bytes.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads what stands between the quotes, split wherever it can be.
    fn read(inside: &str) -> Result<(Option<String>, u64), NotJson> {
        let mut text = Text::default();
        text.begin(8, false);
        for byte in inside.as_bytes() {
            let bytes = [*byte];
            let (plain, rest) = text.split_plain(&bytes);
            let rest = rest.to_vec();
            if rest.is_empty() {
                text.push(plain);
            } else {
                text.escape(rest[0])?;
            }
        }
        text.end();
        let kept = text
            .kept()
            .map(|kept| String::from_utf8(kept.to_vec()).unwrap());
        Ok((kept, text.length()))
    }

    #[test]
    fn escapes_are_undone() {
        for (inside, said) in [
            ("", ""),
            ("plain é", "plain é"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"\u0041\u00e9\u20AC", "Aé€"),
            (r"\ud83d\ude00", "😀"),
            (r"\ud800\udc00\udbff\udfff", "\u{10000}\u{10ffff}"),
            (r"\ud83dx", "\u{fffd}x"),
            (r"\ud83d", "\u{fffd}"),
            (r"\ude00\n", "\u{fffd}\n"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
        ] {
            let length = said.len() as u64;
            assert_eq!(
                read(inside),
                Ok((Some(said.to_owned()), length)),
                "{inside}"
            );
        }
    }

    #[test]
    fn a_text_longer_than_is_kept_is_only_counted() {
        assert_eq!(read("123456789"), Ok((None, 9)));
        assert_eq!(read("1234567\\u00e9"), Ok((None, 9)));
    }

    #[test]
    fn what_no_string_holds_is_refused() {
        for inside in ["\n", "\u{0}", r"\x", r"\u00g0", r"\u+041"] {
            assert_eq!(read(inside), Err(NotJson), "{inside:?}");
        }
    }
}
