//! Which addresses are on the public internet, and ranges of addresses.
//!
//! The tables are those of the IANA registries of special-purpose addresses: whatever is not
//! meant to be reached from everywhere is refused, with the reason. An IPv6 address that only
//! carries an IPv4 address is judged by that one.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// Addresses with a common beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    network: IpAddr,
    prefix: u8,
}

/// A text that is no range.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no range of addresses: {1}")]
pub struct RangeError(String, &'static str);

impl Range {
    const fn v4(octets: [u8; 4], prefix: u8) -> Self {
        let [a, b, c, d] = octets;
        Self {
            network: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            prefix,
        }
    }

    const fn v6(first: [u16; 4], prefix: u8) -> Self {
        let [a, b, c, d] = first;
        Self {
            network: IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)),
            prefix,
        }
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, bits) = spread(self.network);
        let (theirs, others) = spread(address);
        bits == others && first(ours, self.prefix) == first(theirs, self.prefix)
    }
}

/// The bits of an address, left-aligned, and how many there are.
fn spread(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

/// The first so many bits, the others being zero.
fn first(bits: u128, prefix: u8) -> u128 {
    let rest = 128_u32.saturating_sub(u32::from(prefix));
    let cut = bits.checked_shr(rest).unwrap_or(0);
    cut.checked_shl(rest).unwrap_or(0)
}

impl FromStr for Range {
    type Err = RangeError;

    /// Reads `10.0.0.0/8`, `fd00::/8` or a single address.
    fn from_str(text: &str) -> Result<Self, RangeError> {
        let wrong = |why| RangeError(text.to_owned(), why);
        let (network, prefix) = text
            .split_once('/')
            .map_or((text, None), |(network, prefix)| (network, Some(prefix)));
        let network: IpAddr = network
            .parse()
            .map_err(|_| wrong("write it as 10.0.0.0/8 or fd00::/8"))?;
        if network.to_canonical() != network {
            return Err(wrong("write it as IPv4"));
        }
        let (bits, length) = spread(network);
        let prefix = match prefix {
            None => length,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                let prefix = digits.parse().ok().filter(|prefix| *prefix <= length);
                prefix.ok_or_else(|| wrong("it has fewer bits than that"))?
            }
            Some(_) => return Err(wrong("after the / stands the number of fixed bits")),
        };
        if first(bits, prefix) != bits {
            return Err(wrong("the address has bits beyond the fixed ones"));
        }
        Ok(Self { network, prefix })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

const SPECIAL: &[(Range, &str)] = &[
    (Range::v4([0, 0, 0, 0], 8), "unspecified"),
    (Range::v4([10, 0, 0, 0], 8), "private"),
    (
        Range::v4([100, 64, 0, 0], 10),
        "shared by a provider's customers",
    ),
    (Range::v4([127, 0, 0, 0], 8), "loopback"),
    (Range::v4([169, 254, 0, 0], 16), "link-local"),
    (Range::v4([172, 16, 0, 0], 12), "private"),
    (Range::v4([192, 0, 0, 0], 24), "for protocols"),
    (Range::v4([192, 0, 2, 0], 24), "for documentation"),
    (Range::v4([192, 88, 99, 0], 24), "a 6to4 relay"),
    (Range::v4([192, 168, 0, 0], 16), "private"),
    (Range::v4([198, 18, 0, 0], 15), "for benchmarks"),
    (Range::v4([198, 51, 100, 0], 24), "for documentation"),
    (Range::v4([203, 0, 113, 0], 24), "for documentation"),
    (Range::v4([224, 0, 0, 0], 4), "multicast"),
    (Range::v4([240, 0, 0, 0], 4), "reserved"),
    // A public address by number, but inside Azure it is the machine's own host.
    (
        Range::v4([168, 63, 129, 16], 32),
        "of a cloud's own services",
    ),
    (
        Range::v6([0, 0, 0, 0], 96),
        "unspecified, loopback or IPv4-compatible",
    ),
    (Range::v6([0x64, 0xff9b, 1, 0], 48), "for local translation"),
    (Range::v6([0x100, 0, 0, 0], 64), "discarded"),
    (Range::v6([0x2001, 0, 0, 0], 32), "Teredo"),
    (Range::v6([0x2001, 2, 0, 0], 48), "for benchmarks"),
    (Range::v6([0x2001, 0xdb8, 0, 0], 32), "for documentation"),
    (Range::v6([0x2001, 0, 0, 0], 23), "for protocols"),
    (Range::v6([0x2002, 0, 0, 0], 16), "6to4"),
    (Range::v6([0x3fff, 0, 0, 0], 20), "for documentation"),
    (Range::v6([0x5f00, 0, 0, 0], 16), "for segment routing"),
    (Range::v6([0xfc00, 0, 0, 0], 7), "unique local"),
    (Range::v6([0xfe80, 0, 0, 0], 10), "link-local"),
    (Range::v6([0xfec0, 0, 0, 0], 10), "site-local"),
    (Range::v6([0xff00, 0, 0, 0], 8), "multicast"),
];

/// What IPv6 has given out for the public internet; all else is reserved.
const GLOBAL: Range = Range::v6([0x2000, 0, 0, 0], 3);

/// Addresses by which an IPv6-only network reaches IPv4.
const TRANSLATED: Range = Range::v6([0x64, 0xff9b, 0, 0], 96);

/// The address that is reached by dialling this one: the IPv4 address, if it carries one.
pub(super) fn meant(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(carrier) if TRANSLATED.contains(carrier.into()) => {
            let [.., a, b, c, d] = carrier.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        other => other,
    }
}

/// What the address is, if it is none of the public internet.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    let address = meant(address);
    let known = SPECIAL.iter().find(|(range, _)| range.contains(address));
    let reserved = address.is_ipv6() && !GLOBAL.contains(address);
    known
        .map(|(_, what)| *what)
        .or(reserved.then_some("reserved"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn addresses_that_are_not_public_are_known() {
        for (text, what) in [
            ("0.0.0.0", "unspecified"),
            ("0.1.2.3", "unspecified"),
            ("10.0.0.1", "private"),
            ("10.255.255.255", "private"),
            ("100.64.0.1", "shared by a provider's customers"),
            ("100.100.100.200", "shared by a provider's customers"),
            ("100.127.255.255", "shared by a provider's customers"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("168.63.129.16", "of a cloud's own services"),
            ("169.254.169.254", "link-local"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.0.0.192", "for protocols"),
            ("192.0.2.7", "for documentation"),
            ("192.88.99.1", "a 6to4 relay"),
            ("192.168.1.1", "private"),
            ("198.18.0.1", "for benchmarks"),
            ("198.19.255.255", "for benchmarks"),
            ("198.51.100.1", "for documentation"),
            ("203.0.113.9", "for documentation"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("240.0.0.1", "reserved"),
            ("255.255.255.255", "reserved"),
            ("::", "unspecified, loopback or IPv4-compatible"),
            ("::1", "unspecified, loopback or IPv4-compatible"),
            ("::127.0.0.1", "unspecified, loopback or IPv4-compatible"),
            ("::8.8.8.8", "unspecified, loopback or IPv4-compatible"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:7f00:1", "loopback"),
            ("::ffff:169.254.169.254", "link-local"),
            ("::ffff:0:127.0.0.1", "reserved"),
            ("64:ff9b::127.0.0.1", "loopback"),
            ("64:ff9b::a9fe:a9fe", "link-local"),
            ("64:ff9b:1::808:808", "for local translation"),
            ("100::1", "discarded"),
            ("2001::1", "Teredo"),
            ("2001:0:7f00:1::", "Teredo"),
            ("2001:2::1", "for benchmarks"),
            ("2001:20::1", "for protocols"),
            ("2001:db8::1", "for documentation"),
            ("2002:7f00:1::", "6to4"),
            ("2002:a9fe:a9fe::1", "6to4"),
            ("3fff::1", "for documentation"),
            ("5f00::1", "for segment routing"),
            ("4000::1", "reserved"),
            ("fc00::1", "unique local"),
            ("fd00:ec2::254", "unique local"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("fec0::1", "site-local"),
            ("ff02::1", "multicast"),
        ] {
            assert_eq!(special(address(text)), Some(what), "{text}");
        }
    }

    #[test]
    fn public_addresses_are_not_special() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2003::1",
            "2606:4700:4700::1111",
            "2a00:1450:4001:80b::200e",
        ] {
            assert_eq!(special(address(text)), None, "{text}");
        }
    }

    #[test]
    fn ranges_are_read_and_hold_their_addresses() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.9.8.7", "11.0.0.0"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("192.168.4.0/22", "192.168.7.255", "192.168.8.0"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("fd00::/8", "fdff::1", "fc00::1"),
            ("::1", "::1", "::2"),
            ("::/0", "2606::1", "127.0.0.1"),
        ] {
            let range: Range = text.parse().unwrap();
            assert!(range.contains(address(inside)), "{text} {inside}");
            assert!(!range.contains(address(outside)), "{text} {outside}");
            let shown = range.to_string();
            assert_eq!(shown.parse(), Ok(range));
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "10",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.1/8",
            "fd00::/129",
            "fd00::1/8",
            "::ffff:10.0.0.0/104",
            "localhost",
            "10.0.0.0/8/8",
            "010.0.0.0/8",
        ] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
    }
}
