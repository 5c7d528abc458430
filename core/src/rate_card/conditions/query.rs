//! Parameters of a query.
//!
//! Readers differ in where a query and its parameters end and whether the case of a name
//! counts. Where that makes a difference to a condition, it is left undecided.

use super::{Field, Fits, Tally};

/// Whether the parameter in the query of this request target is as it must be, to all who may
/// read it.
pub(super) fn holds(field: &Field, target: &[u8]) -> Fits {
    let query = match target.iter().position(|byte| *byte == b'?') {
        Some(mark) => target.get(mark.saturating_add(1)..).unwrap_or_default(),
        None => &[],
    };
    let plain = read(field, query, is_ampersand);
    let mut others = [None; 3];
    if query.contains(&b';') {
        others[0] = Some(read(field, query, is_separator));
    }
    if let Some(end) = query.iter().position(|byte| *byte == b'#') {
        let query = query.get(..end).unwrap_or_default();
        others[1] = Some(read(field, query, is_ampersand));
        others[2] = Some(read(field, query, is_separator));
    }
    if others.into_iter().flatten().all(|other| other == plain) {
        plain
    } else {
        Fits::InPart
    }
}

fn is_ampersand(byte: &u8) -> bool {
    *byte == b'&'
}

/// To old readers a semicolon separates parameters too.
fn is_separator(byte: &u8) -> bool {
    matches!(byte, b'&' | b';')
}

fn read(field: &Field, query: &[u8], is_separator: fn(&u8) -> bool) -> Fits {
    let mut tally = Tally::default();
    let pairs = query.split(is_separator).filter(|pair| !pair.is_empty());
    for pair in pairs {
        let equals = pair
            .iter()
            .position(|byte| *byte == b'=')
            .unwrap_or(pair.len());
        let (name, value) = pair.split_at_checked(equals).unwrap_or((pair, &[]));
        let value = value.strip_prefix(b"=").unwrap_or_default();
        if unescaped(name).eq(field.name.bytes()) {
            tally.count(field.test.fits(unescaped(value)), true);
        } else if lower(unescaped(name)).eq(lower(field.name.bytes())) {
            tally.count(field.test.fits(unescaped(value)), false);
        }
    }
    field.test.outcome(tally)
}

fn lower(text: impl Iterator<Item = u8>) -> impl Iterator<Item = u8> {
    text.map(|byte| byte.to_ascii_lowercase())
}

/// A `%` that escapes nothing stands for itself.
fn unescaped(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (byte, after) = rest.split_first()?;
        if *byte == b'%'
            && let [high, low, after @ ..] = after
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            rest = after;
            return Some(high << 4 | low);
        }
        rest = after;
        Some(if *byte == b'+' { b' ' } else { *byte })
    })
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}
