//! Headers as the host hands them over: one block of bytes, read in place.
//!
//! The block is a count, then the lengths of every name and value, then names and values,
//! each closed by a zero byte; all numbers are 32 bits, little-endian. Nothing is copied,
//! values may be any bytes, and a block that contradicts itself simply ends early.

/// A block of headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairs(Vec<u8>);

const LENGTH_BYTES: usize = 4;

impl Pairs {
    /// Takes a block as it came from the host.
    #[must_use]
    pub const fn from_block(block: Vec<u8>) -> Self {
        Self(block)
    }

    /// Makes a block of these headers.
    #[must_use]
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let pairs: Vec<_> = pairs.into_iter().collect();
        let mut block = Vec::new();
        let length = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
        block.extend_from_slice(&length(pairs.len()));
        for (name, value) in &pairs {
            block.extend_from_slice(&length(name.len()));
            block.extend_from_slice(&length(value.len()));
        }
        for (name, value) in &pairs {
            for part in [name, value] {
                block.extend_from_slice(part);
                block.push(0);
            }
        }
        Self(block)
    }

    /// The block, as the host takes it.
    #[must_use]
    pub fn block(&self) -> &[u8] {
        &self.0
    }

    /// Every header, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let (count, rest) = split_length(&self.0).unwrap_or((0, &[]));
        let lengths_bytes = count.saturating_mul(LENGTH_BYTES * 2);
        let (mut lengths, mut bytes) = rest.split_at_checked(lengths_bytes).unwrap_or((&[], &[]));
        std::iter::from_fn(move || {
            let (name_length, rest) = split_length(lengths)?;
            let (value_length, rest) = split_length(rest)?;
            lengths = rest;
            let (name, rest) = split_part(bytes, name_length)?;
            let (value, rest) = split_part(rest, value_length)?;
            bytes = rest;
            Some((name, value))
        })
    }
}

fn split_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    Some((usize::try_from(u32::from_le_bytes(*length)).ok()?, rest))
}

fn split_part(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (part, rest) = bytes.split_at_checked(length)?;
    Some((part, rest.split_first()?.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_read_back_in_order_with_duplicates_and_any_bytes() {
        let given: Vec<(&[u8], &[u8])> = vec![(b":path", b"/"), (b"a", b"\xff\0"), (b"a", b"")];
        let pairs = Pairs::of(given.clone());
        assert_eq!(pairs.iter().collect::<Vec<_>>(), given);
    }

    #[test]
    fn a_block_cut_anywhere_ends_early() {
        let whole = Pairs::of([(&b"name"[..], &b"value"[..]), (b"x", b"y")]);
        for length in 0..whole.block().len() {
            let cut = Pairs::from_block(whole.block()[..length].to_vec());
            assert!(cut.iter().count() < 2);
        }
        assert_eq!(Pairs::from_block(vec![0xff; 64]).iter().count(), 0);
    }
}
