//! Reads a request target as all servers read it, or not at all.

use super::AmbiguousPath;

pub(super) enum Step {
    Slash,
    Character {
        /// What it is, unescaped.
        byte: u8,
        /// Whether the normal form has it escaped.
        escape: bool,
        /// Whether it is written in its normal form.
        as_written: bool,
    },
    End,
}

/// Reads a target byte by byte, unescaping, up to its query.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    utf8: Utf8Check,
    /// After an unescaped `%`: how many hex digits came since.
    digits_of_escape: Option<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(target: &'a [u8]) -> Self {
        Self {
            rest: target,
            utf8: Utf8Check::default(),
            digits_of_escape: None,
        }
    }

    /// How many bytes are left: at the end, those of the query and its question mark.
    pub(super) fn unread(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn next(&mut self) -> Result<Step, AmbiguousPath> {
        match self.rest {
            [] | [b'?', ..] => {
                self.utf8.end()?;
                Ok(Step::End)
            }
            [b'/', rest @ ..] => {
                self.rest = rest;
                self.utf8.end()?;
                self.digits_of_escape = None;
                Ok(Step::Slash)
            }
            [b'#', ..] => Err(AmbiguousPath::Fragment),
            [b'%', high, low, rest @ ..] => {
                let value = |digit: &u8| char::from(*digit).to_digit(16);
                let (Some(above), Some(below)) = (value(high), value(low)) else {
                    return Err(AmbiguousPath::BrokenEscape);
                };
                let byte = u8::try_from((above << 4) | below).unwrap_or_default();
                let escape = match byte {
                    b'/' | b'\\' => return Err(AmbiguousPath::EscapedSlash),
                    _ => is_escaped(byte)?,
                };
                let lower_case = high.is_ascii_lowercase() || low.is_ascii_lowercase();
                self.rest = rest;
                self.character(byte, escape, escape && !lower_case)
            }
            [b'%', ..] => Err(AmbiguousPath::BrokenEscape),
            [b'\\', ..] => Err(AmbiguousPath::Backslash),
            [byte, rest @ ..] => {
                let escape = is_escaped(*byte)?;
                self.rest = rest;
                self.character(*byte, escape, !escape)
            }
        }
    }

    fn character(
        &mut self,
        byte: u8,
        escape: bool,
        as_written: bool,
    ) -> Result<Step, AmbiguousPath> {
        self.utf8.push(byte)?;
        // Once unescaped, would this be an escape again?
        self.digits_of_escape = match self.digits_of_escape {
            _ if byte == b'%' => Some(0),
            Some(0) if byte.is_ascii_hexdigit() => Some(1),
            Some(1) if byte.is_ascii_hexdigit() => return Err(AmbiguousPath::EscapedTwice),
            _ => None,
        };
        Ok(Step::Character {
            byte,
            escape,
            as_written,
        })
    }
}

/// Whether the normal form has this character escaped.
fn is_escaped(byte: u8) -> Result<bool, AmbiguousPath> {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => Ok(false),
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' => {
            Ok(false)
        }
        b';' => Err(AmbiguousPath::Parameters),
        0..=0x1f | 0x7f => Err(AmbiguousPath::Control),
        _ => Ok(true),
    }
}

/// Follows the well-formed byte sequences of UTF-8 (Unicode, table 3-7).
struct Utf8Check {
    missing: u8,
    lowest: u8,
    highest: u8,
}

impl Default for Utf8Check {
    fn default() -> Self {
        Self {
            missing: 0,
            lowest: 0x80,
            highest: 0xbf,
        }
    }
}

impl Utf8Check {
    fn push(&mut self, byte: u8) -> Result<(), AmbiguousPath> {
        let (missing, lowest, highest) = if self.missing > 0 {
            if byte < self.lowest || byte > self.highest {
                return Err(AmbiguousPath::NotUtf8);
            }
            (self.missing.saturating_sub(1), 0x80, 0xbf)
        } else {
            match byte {
                0..=0x7f => return Ok(()),
                0xc2..=0xdf => (1, 0x80, 0xbf),
                0xe0 => (2, 0xa0, 0xbf),
                0xed => (2, 0x80, 0x9f),
                0xe1..=0xef => (2, 0x80, 0xbf),
                0xf0 => (3, 0x90, 0xbf),
                0xf1..=0xf3 => (3, 0x80, 0xbf),
                0xf4 => (3, 0x80, 0x8f),
                _ => return Err(AmbiguousPath::NotUtf8),
            }
        };
        *self = Self {
            missing,
            lowest,
            highest,
        };
        Ok(())
    }

    fn end(&self) -> Result<(), AmbiguousPath> {
        if self.missing > 0 {
            return Err(AmbiguousPath::NotUtf8);
        }
        Ok(())
    }
}
