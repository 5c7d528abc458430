//! Server-sent events, cut into their data as they pass.
//!
//! Source: the HTML standard, "Server-sent events", section "Interpreting an event stream".
//! Only `data` matters here: names, ids and comments are skipped. Lines end with LF, CR or
//! both; the data lines of one event are joined by a line feed.

const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
const DATA: &[u8] = b"data";

/// What becomes of the data.
pub(super) trait Events {
    /// The next piece of the event's data.
    fn data(&mut self, piece: &[u8]);
    /// The event is complete; or, if it `broke_off`, the stream ended before it was.
    fn end(&mut self, broke_off: bool);
}

/// An event stream that is passing.
#[derive(Debug, Default)]
pub(super) struct Sse {
    place: Place,
    /// Whether the last byte was a CR, so that a LF now belongs to it.
    after_cr: bool,
    /// Whether the event has a data line.
    has_data: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the stream's beginning, after so many bytes of a byte order mark.
    Mark(usize),
    /// In a field's name, of which so many bytes are those of `data`.
    Name(usize),
    /// After the name's colon, where one space is no part of the value.
    Colon,
    Data,
    /// In a line that doesn't matter.
    Skipped,
}

impl Default for Place {
    fn default() -> Self {
        Self::Mark(0)
    }
}

impl Sse {
    /// Takes the next bytes of the stream.
    pub(super) fn push(&mut self, bytes: &[u8], events: &mut dyn Events) {
        let mut rest = bytes;
        loop {
            if matches!(self.place, Place::Data | Place::Skipped) {
                let ends = |&byte: &u8| byte == b'\n' || byte == b'\r';
                let length = rest.iter().position(ends).unwrap_or(rest.len());
                let (line, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                if self.place == Place::Data && !line.is_empty() {
                    events.data(line);
                }
                rest = after;
            }
            let Some((&byte, after)) = rest.split_first() else {
                return;
            };
            self.step(byte, events);
            rest = after;
        }
    }

    /// The stream is at its end.
    pub(super) fn finish(&mut self, events: &mut dyn Events) {
        if let Place::Name(matched) = self.place
            && matched == DATA.len()
        {
            self.begin_data(events);
        }
        if self.has_data {
            events.end(true);
        }
    }

    fn step(&mut self, byte: u8, events: &mut dyn Events) {
        if let Place::Mark(passed) = self.place {
            if BYTE_ORDER_MARK.get(passed) == Some(&byte) {
                let passed = passed.saturating_add(1);
                self.place = if passed < BYTE_ORDER_MARK.len() {
                    Place::Mark(passed)
                } else {
                    Place::Name(0)
                };
                return;
            }
            // What was taken for a mark begins a name that is none of ours.
            self.place = if passed == 0 {
                Place::Name(0)
            } else {
                Place::Skipped
            };
        }
        let is_second_of_crlf = self.after_cr && byte == b'\n';
        self.after_cr = byte == b'\r';
        if is_second_of_crlf {
            return;
        }
        if matches!(byte, b'\n' | b'\r') {
            self.end_line(events);
            return;
        }
        self.place = match self.place {
            Place::Name(matched) if byte == b':' && matched == DATA.len() => {
                self.begin_data(events);
                Place::Colon
            }
            Place::Name(matched) if DATA.get(matched) == Some(&byte) => {
                Place::Name(matched.saturating_add(1))
            }
            Place::Colon => {
                if byte != b' ' {
                    events.data(&[byte]);
                }
                Place::Data
            }
            _ => Place::Skipped,
        };
    }

    fn begin_data(&mut self, events: &mut dyn Events) {
        if self.has_data {
            events.data(b"\n");
        }
        self.has_data = true;
    }

    fn end_line(&mut self, events: &mut dyn Events) {
        match self.place {
            Place::Name(0) => {
                if self.has_data {
                    events.end(false);
                }
                self.has_data = false;
            }
            // A line of a name alone has an empty value.
            Place::Name(matched) if matched == DATA.len() => self.begin_data(events),
            _ => {}
        }
        self.place = Place::Name(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Log {
        data: Vec<u8>,
        events: Vec<String>,
    }

    impl Events for Log {
        fn data(&mut self, piece: &[u8]) {
            self.data.extend_from_slice(piece);
        }

        fn end(&mut self, broke_off: bool) {
            let mark = if broke_off { "…" } else { "" };
            let data = String::from_utf8(std::mem::take(&mut self.data)).unwrap();
            self.events.push(data + mark);
        }
    }

    fn events(stream: &[u8], piece: usize) -> Vec<String> {
        let (mut sse, mut log) = (Sse::default(), Log::default());
        for piece in stream.chunks(piece) {
            sse.push(piece, &mut log);
        }
        sse.finish(&mut log);
        log.events
    }

    #[test]
    fn events_are_their_data_however_lines_end() {
        let cases: [(&[u8], &[&str]); 16] = [
            (b"data: a\n\ndata: b\n\n", &["a", "b"]),
            (b"data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]),
            (b"data: a\r\rdata: b\r\r", &["a", "b"]),
            (b"data: a\n\r\ndata: b\r\n\n", &["a", "b"]),
            (b"data:a\n\n", &["a"]),
            (b"data:  a \n\n", &[" a "]),
            (b"data: a\ndata:b\ndata\n\n", &["a\nb\n"]),
            (
                b"event: x\nid: 1\nretry: 5\n: data: no\ndata: a\n\n",
                &["a"],
            ),
            (b":\n\n:\n\nevent: ping\n\n\n", &[]),
            (b"data\n\n", &[""]),
            (b"datax: no\ndat: no\n data: no\n\n", &[]),
            (b"\xef\xbb\xbfdata: a\n\n", &["a"]),
            (b"\xef\xbbdata: no\n\ndata: a\n\n", &["a"]),
            (b"data: \xef\xbb\xbf\n\n", &["\u{feff}"]),
            (b"data: a\n\ndata: b", &["a", "b…"]),
            (b"data: a\ndata", &["a\n…"]),
        ];
        for (stream, expected) in cases {
            for piece in 1..=stream.len() {
                let found = events(stream, piece);
                assert_eq!(found, expected, "{} by {piece}", stream.escape_ascii());
            }
        }
    }
}
