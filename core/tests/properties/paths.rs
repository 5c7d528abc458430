//! Paths: one normal form, reached from each harmless spelling, and from no other.

use crate::generator::Generator;
use creditgate_core::rate_card::{AmbiguousPath, normalize};
use std::borrow::Cow;

const PIECES: [&str; 28] = [
    "/", "/", "//", "a", "B", "7", "~", "é", "%41", "%7e", "%C3%A9", "%c3", "%A9", "%2f", "%5C",
    "\\", "..", ".", "%2e", ";", "%3B", "%25", "%", "?", "#", "\0", " ", "@",
];

property! {
    fn a_normal_form_is_its_own_normal_form(generator) {
        let target = format!("/{}", generator.text(&PIECES, 12));
        normal_form_is_stable(target.as_bytes());
        let mut target = generator.bytes(40);
        target.insert(0, b'/');
        normal_form_is_stable(&target);
    }
}

property! {
    fn harmless_spellings_have_one_normal_form(generator) {
        let plain = plain_path(generator);
        let spelling = respell(&plain, generator);
        let normal = normalize(spelling.as_bytes());
        assert_eq!(normal.as_deref(), Ok(plain.as_str()), "{spelling}");
    }
}

property! {
    fn one_dangerous_piece_is_enough_to_be_refused(generator) {
        let plain = plain_path(generator);
        let dangers = [
            "%2f", "%2F", "%5c", "\\", ";", "%3b", "#", "%00", "\0", "%0A", "%7f", "\r", "%ff", "%c0%af",
            "%2541", "%252f", "%zz", "/../", "/./", "/%2e%2e/", "/.%2e/",
        ];
        let danger = generator.pick(&dangers);
        let place = generator.below(plain.len() as u64) as usize + 1;
        let target = format!("{}{danger}{}", &plain[..place], &plain[place..]);
        // Between the two halves of an escape the danger breaks that escape instead.
        assert!(normalize(target.as_bytes()).is_err(), "{target:?}");
    }
}

/// A path in normal form.
pub(crate) fn plain_path(generator: &mut Generator) -> String {
    let pieces = [
        "a", "b", "Z", "0", "-", "_", "~", "@", ":", "a.b", "x..", "%C3%A9", "%20",
    ];
    let segments = generator.below(5);
    let path: String = (0..segments)
        .map(|_| {
            let (first, more) = (generator.pick(&pieces), generator.text(&pieces, 4));
            format!("/{first}{more}")
        })
        .collect();
    if path.is_empty() {
        "/".to_owned()
    } else {
        path
    }
}

/// Another spelling that every server reads as this normal path.
pub(crate) fn respell(plain: &str, generator: &mut Generator) -> String {
    let mut spelling = String::new();
    let mut escape_left = 0;
    for character in plain.chars() {
        match character {
            '/' => {
                let doubled = !spelling.is_empty() && generator.one_in(3);
                spelling.push_str(if doubled { "//" } else { "/" });
            }
            '%' => {
                escape_left = 2;
                spelling.push('%');
            }
            digit if escape_left > 0 => {
                escape_left -= 1;
                let lower = generator.one_in(2);
                spelling.push(if lower {
                    digit.to_ascii_lowercase()
                } else {
                    digit
                });
            }
            other if generator.one_in(3) => {
                let byte = u32::from(other);
                let escaped = if generator.one_in(2) {
                    format!("%{byte:02x}")
                } else {
                    format!("%{byte:02X}")
                };
                spelling.push_str(&escaped);
            }
            other => spelling.push(other),
        }
    }
    if plain != "/" && generator.one_in(3) {
        spelling.push('/');
    }
    if generator.one_in(3) {
        spelling.push_str("?q=/../%2f;#");
    }
    spelling
}

pub(crate) fn normal_form_is_stable(target: &[u8]) {
    let shown = target.escape_ascii();
    let normal = match normalize(target) {
        Ok(normal) => normal,
        Err(reason) => {
            assert_ne!(reason, AmbiguousPath::NotAPath, "{shown}");
            return;
        }
    };
    let again = normalize(normal.as_bytes());
    assert!(
        matches!(&again, Ok(Cow::Borrowed(same)) if *same == normal),
        "{shown}: {again:?}"
    );
    assert!(normal.is_ascii() && normal.starts_with('/'), "{shown}");
    assert!(normal == "/" || !normal.ends_with('/'), "{shown}");
    assert!(!normal.contains("//"), "{shown}");

    // It means what was written: unescaped, both are the same but for spare slashes.
    let path = target
        .split(|byte| *byte == b'?')
        .next()
        .unwrap_or_default();
    assert_eq!(
        merge_slashes(&unescape(path)),
        unescape(normal.as_bytes()),
        "{shown}"
    );
}

fn unescape(path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'%', [high, low, tail @ ..]) => {
                let digits =
                    [char::from(*high), char::from(*low)].map(|digit| digit.to_digit(16).unwrap());
                bytes.push((digits[0] * 16 + digits[1]) as u8);
                rest = tail;
            }
            _ => bytes.push(*first),
        }
    }
    bytes
}

fn merge_slashes(path: &[u8]) -> Vec<u8> {
    let segments = path
        .split(|byte| *byte == b'/')
        .filter(|segment| !segment.is_empty());
    let merged: Vec<u8> = segments
        .flat_map(|segment| [b"/", segment].concat())
        .collect();
    if merged.is_empty() {
        b"/".to_vec()
    } else {
        merged
    }
}
