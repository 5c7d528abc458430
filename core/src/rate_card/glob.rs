//! Names with `*` in them, which stands for any characters or none.

use super::RateCardError;

/// The longest name of a model, in bytes; also the longest glob.
pub const MODEL_LENGTH_MAX: usize = 128;
/// The most `*` in a glob.
pub const GLOB_STARS_MAX: usize = 4;

/// A name, or a family of names, compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glob(Box<str>);

impl Glob {
    /// Reads a glob, which stands at `pointer`.
    ///
    /// # Errors
    /// If it is longer than [`MODEL_LENGTH_MAX`], has more than [`GLOB_STARS_MAX`] stars, or
    /// anything in it that is no printable ASCII.
    pub fn compile(text: &str, pointer: &str) -> Result<Self, RateCardError> {
        let fault = |message: String| RateCardError::new(pointer, "model_invalid", message);
        if text.is_empty()
            || text.len() > MODEL_LENGTH_MAX
            || !text.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(fault(format!(
                "a model is 1 to {MODEL_LENGTH_MAX} printable ASCII characters without spaces"
            )));
        }
        if text.matches('*').count() > GLOB_STARS_MAX {
            return Err(fault(format!("at most {GLOB_STARS_MAX} *")));
        }
        Ok(Self(text.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one name alone.
    pub(super) fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    /// How many characters are spelled out.
    pub(super) fn literals(&self) -> usize {
        self.0.bytes().filter(|byte| *byte != b'*').count()
    }

    /// Whether a name fits.
    ///
    /// Takes each piece where it first occurs; with `*` between them all, an earlier place
    /// never leaves less for the pieces after it.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else {
            return &*self.0 == name;
        };
        let Some(mut name) = name.strip_prefix(first) else {
            return false;
        };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        for piece in middle.split('*') {
            match name.split_once(piece) {
                Some((_, after)) => name = after,
                None => return false,
            }
        }
        name.ends_with(last)
    }

    /// Whether some name fits both this and another glob.
    pub(super) fn meets(&self, other: &Self) -> bool {
        match (self.is_exact(), other.is_exact()) {
            (true, _) => other.fits(&self.0),
            (false, true) => self.fits(&other.0),
            // Most families differ in what they begin or end with, which is quickly seen.
            (false, false) => self.borders_meet(other) && self.families_meet(other),
        }
    }

    /// Whether what both spell out before their first star, and behind their last, can be of
    /// one name.
    fn borders_meet(&self, other: &Self) -> bool {
        let starts = self.0.bytes().zip(other.0.bytes());
        let ends = self.0.bytes().rev().zip(other.0.bytes().rev());
        let is_spelled = |(one, other): &(u8, u8)| *one != b'*' && *other != b'*';
        let agree = |(one, other): (u8, u8)| one == other;
        starts.take_while(is_spelled).all(agree) && ends.take_while(is_spelled).all(agree)
    }

    fn families_meet(&self, other: &Self) -> bool {
        let other = other.0.as_bytes();
        // `after[place]`: some name fits what of this was read, and `other` up to that place.
        let mut after = vec![false; other.len().saturating_add(1)];
        if let Some(start) = after.first_mut() {
            *start = true;
        }
        skip_stars(&mut after, other);
        for own in self.0.bytes() {
            let before = after.clone();
            let mut last = false;
            for (place, reached) in after.iter_mut().enumerate() {
                let was = before.get(place).copied().unwrap_or_default();
                // What the byte before this place stands for in the other.
                let theirs = place.checked_sub(1).and_then(|place| other.get(place));
                let came = place
                    .checked_sub(1)
                    .and_then(|place| before.get(place).copied())
                    .unwrap_or_default();
                *reached = match (own, theirs) {
                    // Any characters of the other, or none.
                    (b'*', _) => was || last,
                    // A star of the other takes this character.
                    (_, Some(b'*')) => was || came,
                    (own, Some(theirs)) => came && own == *theirs,
                    (_, None) => false,
                };
                last = *reached;
            }
            skip_stars(&mut after, other);
        }
        after.last().copied().unwrap_or_default()
    }
}

/// A star stands for nothing, too.
fn skip_stars(reached: &mut [bool], glob: &[u8]) {
    let mut last = false;
    for (place, reached) in reached.iter_mut().enumerate() {
        let is_star = place.checked_sub(1).and_then(|place| glob.get(place)) == Some(&b'*');
        *reached |= is_star && last;
        last = *reached;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_or_none() {
        let fits = |glob: &str, name: &str| Glob::compile(glob, "").unwrap().fits(name);
        for (glob, name, expected) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o*", "gpt-4o", true),
            ("gpt-4o*", "gpt-4o-mini", true),
            ("*", "x", true),
            ("**", "x", true),
            ("*-mini", "o4-mini", true),
            ("*-mini", "o4-mini-high", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*bc*c", "abc", false),
            ("a*bc*c", "abcc", true),
            ("*a*b*", "xbxa", false),
            ("*a*b*", "xaxbx", true),
            ("ab*ab*ab", "abab", false),
            ("ab*ab*ab", "ababab", true),
            ("GPT*", "gpt-4o", false),
        ] {
            assert_eq!(fits(glob, name), expected, "{glob} {name}");
        }
        for bad in ["", "a b", "é", "*****", &"a".repeat(129)] {
            assert_eq!(Glob::compile(bad, "/x").unwrap_err().pointer(), "/x");
        }
    }

    #[test]
    fn two_globs_meet_if_some_name_fits_both() {
        let meets = |one: &str, other: &str| {
            let glob = |text: &str| Glob::compile(text, "").unwrap();
            let of = |one: &str, other: &str| glob(one).meets(&glob(other));
            assert_eq!(of(one, other), of(other, one), "{one} {other}");
            of(one, other)
        };
        for (one, other, expected) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o*", "gpt-4o", true),
            ("gpt-4o*", "gpt-4o-mini*", true),
            ("*-mini", "gpt-*", true),
            ("*-mini", "gpt-4o", false),
            ("a*b", "*c", false),
            ("a*b", "a*c*", true),
            ("*", "**", true),
            ("ab*", "*ba", true),
            ("claude-*", "gpt-*", false),
            ("*-mini", "*-nano", false),
            ("*-mini*", "*-nano*", true),
            ("a*ba", "ab*a", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(meets(one, other), expected, "{one} {other}");
        }
    }
}
