//! Identifiers: 128 bits, a prefix on the wire that says of what.
//!
//! An id is made by whoever has randomness (a shell) and passed in; core and ledger
//! only compare and print it. `acc_0192…` can never be taken for `wal_0192…`: the
//! types differ in code and the prefix is checked when one is read.

use thiserror::Error;

/// Why a text is not the identifier that was expected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected an id of the form {prefix}_ followed by 32 hexadecimal digits")]
pub struct IdError {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

/// Reads 32 hexadecimal digits after `prefix_`.
///
/// # Errors
/// [`IdError`] for another prefix, another length or a digit that is none.
pub fn parse(prefix: &'static str, text: &str) -> Result<u128, IdError> {
    let bad = IdError { prefix };
    let digits = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .ok_or_else(|| bad.clone())?;
    if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(bad);
    }
    u128::from_str_radix(digits, 16).map_err(|_| bad)
}

/// Defines an id type with its wire prefix.
#[macro_export]
macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl $name {
            /// What the id starts with on the wire.
            pub const PREFIX: &'static str = $prefix;
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!($prefix, "_{:032x}"), self.0)
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(self, f)
            }
        }

        impl core::str::FromStr for $name {
            type Err = $crate::id::IdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::id::parse($prefix, text).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

typed_id!(
    /// An account: customer × currency × scope, as the gateway sees it.
    AccountId,
    "acc"
);
typed_id!(
    /// One Envoy process of a gateway; drawn at random when the process starts.
    InstanceId,
    "ins"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_reads_back_what_it_printed() {
        let id = AccountId(0x0192_aaaa_bbbb_cccc_dddd_eeee_ffff_0001);
        assert_eq!(id.to_string().parse::<AccountId>(), Ok(id));
    }

    #[test]
    fn id_of_another_kind_is_refused() {
        assert!(InstanceId(7).to_string().parse::<AccountId>().is_err());
        assert!("acc_12".parse::<AccountId>().is_err());
        assert!(
            "acc_+0000000000000000000000000000001"
                .parse::<AccountId>()
                .is_err()
        );
    }
}
