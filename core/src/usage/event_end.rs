//! Where events of a stream end, so that it can be ended between two of them.
//!
//! Source: the HTML standard, "Server-sent events": lines end with LF, CR or both, and an
//! empty line ends an event.

/// Follows a stream of events, in whatever pieces it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventEnd {
    /// The line at hand has bytes.
    in_line: bool,
    /// An event has begun that has not ended.
    in_event: bool,
    /// The last byte was a CR, so that a LF now belongs to it.
    after_cr: bool,
}

impl EventEnd {
    /// Whether every event that has begun has ended.
    #[must_use]
    pub const fn is_between(&self) -> bool {
        !self.in_event
    }

    /// Takes the next bytes.
    pub fn pass(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.step(*byte);
        }
    }

    /// How many of the next bytes belong to the event that has begun: up to its end. `None` if
    /// it does not end among them.
    #[must_use]
    pub fn rest(mut self, bytes: &[u8]) -> Option<usize> {
        if self.is_between() {
            return Some(0);
        }
        let end = bytes.iter().position(|byte| {
            self.step(*byte);
            self.is_between()
        })?;
        end.checked_add(1)
    }

    fn step(&mut self, byte: u8) {
        let is_second_of_crlf = self.after_cr && byte == b'\n';
        self.after_cr = byte == b'\r';
        match byte {
            b'\n' if is_second_of_crlf => {}
            b'\n' | b'\r' => {
                self.in_event &= self.in_line;
                self.in_line = false;
            }
            _ => {
                self.in_line = true;
                self.in_event = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_ends_at_its_empty_line_however_lines_end_and_pieces_are_cut() {
        let cases: [(&[u8], usize); 5] = [
            (b"data: a\n\ndata: b\n\n", 9),
            (b"data: a\r\n\r\ndata: b", 10),
            (b"data: a\r\rdata: b\r\r", 9),
            (b"event: x\ndata: a\n\n", 19),
            (b"\n\n: ping\n\ndata: b\n\n", 10),
        ];
        for (stream, end) in cases {
            let begun = stream.iter().position(|byte| !b"\r\n".contains(byte));
            for cut in begun.unwrap() + 1..end {
                let (before, rest) = stream.split_at(cut);
                let mut place = EventEnd::default();
                assert!(place.is_between());
                place.pass(before);
                // Behind a CR that ends the event, a LF may follow that belongs to it.
                let found = place.rest(rest).map(|rest| cut + rest);
                let ends = [end, end - 1];
                assert!(
                    found.is_some_and(|found| ends.contains(&found)),
                    "{} at {cut}: {found:?}",
                    stream.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn an_event_that_does_not_end_here_has_no_rest() {
        let mut place = EventEnd::default();
        place.pass(b"data: a");
        assert_eq!(place.rest(b"b\ndata: c\n"), None);
        assert_eq!(place.rest(b""), None);
        place.pass(b"\n");
        assert_eq!(place.rest(b"\ndata: c"), Some(1));
    }
}
