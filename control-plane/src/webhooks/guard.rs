//! Where webhooks may go: an address is judged when an endpoint is made or changed, for a
//! clear error, and again each time a message is sent, when it counts.
//!
//! The public internet by https; what the operator of this service allowed, also by http. A
//! name is judged by all of its addresses at the moment of dialling, see `resolver`.

use std::net::{IpAddr, Ipv4Addr};

use reqwest::Url;
use thiserror::Error;

use super::address::{Range, meant, special};

/// The longest address of an endpoint, in bytes.
const URL_MAX: usize = 2_000;

/// Ports below this belong to other protocols, but for those of http and https.
const PORT_MIN: u16 = 1_024;

/// Which addresses webhooks may be sent to.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allowed: Vec<Range>,
}

/// Why an address is none that webhooks are sent to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlFault {
    /// It is not of the right form.
    #[error("{0}")]
    Invalid(&'static str),
    /// It leads where nothing may be sent.
    #[error("{0}")]
    NotAllowed(String),
}

/// An address that nothing may be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{address} is {what}")]
pub struct Denied {
    /// The address.
    pub address: IpAddr,
    /// What it is.
    pub what: &'static str,
}

impl Guard {
    /// Besides the public internet, these ranges.
    #[must_use]
    pub const fn new(allowed: Vec<Range>) -> Self {
        Self { allowed }
    }

    /// Judges an address that is about to be dialled.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn judge(&self, address: IpAddr, is_secure: bool) -> Result<(), Denied> {
        let meant = meant(address);
        if self.allowed.iter().any(|range| range.contains(meant)) {
            return Ok(());
        }
        match special(address) {
            Some(what) => Err(Denied { address, what }),
            None if is_secure => Ok(()),
            None => Err(Denied {
                address,
                what: "public; use https",
            }),
        }
    }

    /// Judges the address of an endpoint as far as that goes without looking up its name, and
    /// answers it in its normal form.
    ///
    /// # Errors
    /// [`UrlFault`].
    pub fn check(&self, text: &str) -> Result<Url, UrlFault> {
        if text.len() > URL_MAX {
            return Err(UrlFault::Invalid("must have at most 2000 characters"));
        }
        // What the parser would quietly leave out or mend is refused.
        if text
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || c == '\\')
        {
            return Err(UrlFault::Invalid("must have no spaces and no backslashes"));
        }
        let form = UrlFault::Invalid("must be an https URL, such as https://example.com/hooks");
        let url = Url::parse(text).map_err(|_| form.clone())?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(form);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlFault::Invalid("must hold no user name and no password"));
        }
        if url.fragment().is_some() {
            return Err(UrlFault::Invalid("must have no fragment (#…)"));
        }
        let is_secure = url.scheme() == "https";
        if !is_secure && self.allowed.is_empty() {
            let problem = "must be https: http goes only to ranges that the service allows";
            return Err(UrlFault::NotAllowed(problem.to_owned()));
        }
        let port = url.port_or_known_default().unwrap_or(0);
        if port < PORT_MIN && !matches!(port, 80 | 443) {
            let problem = format!("port {port} is not for webhooks: use 443, 80, or from 1024 on");
            return Err(UrlFault::NotAllowed(problem));
        }
        let denied = |denied: Denied| {
            let problem = format!("{denied}: nothing is sent there unless the service allows it");
            UrlFault::NotAllowed(problem)
        };
        match address(&url) {
            None => return Err(form),
            Some(Some(address)) => self.judge(address, is_secure).map_err(denied)?,
            Some(None) => {}
        }
        Ok(url)
    }
}

/// The address that the host of a URL is, if it is one; none of none if there is no host. The
/// parser has brought every way of writing an address into the plain one.
fn address(url: &Url) -> Option<Option<IpAddr>> {
    let host = url.host_str().filter(|host| !host.is_empty())?;
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = plain.parse::<IpAddr>() {
        return Some(Some(address));
    }
    let name = host.trim_end_matches('.');
    let is_local = name == "localhost" || name.ends_with(".localhost");
    Some(is_local.then_some(Ipv4Addr::LOCALHOST.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allowed: &[&str]) -> Guard {
        Guard::new(allowed.iter().map(|range| range.parse().unwrap()).collect())
    }

    #[test]
    fn odd_ways_of_writing_an_address_lead_to_the_same_verdict() {
        for url in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://127.0.1/",
            "https://0x7f.1/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://2130706433/",
            "https://017700000001/",
            "https://127.0.0.1./",
            "https://①②⑦.⓪.⓪.①/",
            "https://%31%32%37.0.0.1/",
            "https://0/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[::127.0.0.1]/",
            "https://[64:ff9b::127.0.0.1]/",
            "https://[2002:7f00:1::]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://10.1.2.3/",
            "https://192.168.0.1:8443/",
            "https://100.64.0.1/",
        ] {
            let verdict = Guard::default().check(url);
            assert!(
                matches!(verdict, Err(UrlFault::NotAllowed(_))),
                "{url}: {verdict:?}"
            );
        }
    }

    #[test]
    fn what_is_no_address_of_an_endpoint_is_refused() {
        for url in [
            "",
            "example.com",
            "//example.com/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "gopher://example.com/",
            "javascript:alert(1)",
            "https://",
            "https:///",
            "https://user@example.com/",
            "https://user:password@example.com/",
            "https://:password@example.com/",
            "https://exa mple.com/",
            "https://example.com/a b",
            "https://example.com/\n",
            "https://example.com\\@127.0.0.1/",
            "https://example.com/#part",
            "https://[fe80::1%25eth0]/",
            "https://256.0.0.1/",
            "https://1.2.3.4.5/",
        ] {
            let verdict = Guard::default().check(url);
            assert!(
                matches!(verdict, Err(UrlFault::Invalid(_))),
                "{url}: {verdict:?}"
            );
        }
        let long = format!("https://example.com/{}", "x".repeat(URL_MAX));
        assert!(Guard::default().check(&long).is_err());
    }

    #[test]
    fn public_addresses_are_fine_by_https_on_ports_of_their_own() {
        for url in [
            "https://example.com",
            "https://example.com:8443/hooks?token=x",
            "https://example.com:80/",
            "https://8.8.8.8/",
            "https://[2606:4700:4700::1111]/",
            "https://bücher.example/",
        ] {
            assert!(Guard::default().check(url).is_ok(), "{url}");
        }
        for url in [
            "https://example.com:22/",
            "https://example.com:25/",
            "https://example.com:0/",
            "http://example.com/",
            "http://127.0.0.1/",
        ] {
            let verdict = Guard::default().check(url);
            assert!(
                matches!(verdict, Err(UrlFault::NotAllowed(_))),
                "{url}: {verdict:?}"
            );
        }
    }

    #[test]
    fn an_allowed_range_opens_itself_alone_and_http_to_it() {
        let guard = guard(&["10.0.0.0/8", "::1"]);
        for url in [
            "http://10.1.2.3/",
            "https://10.1.2.3/",
            "http://[::1]:9000/",
            "http://[::ffff:10.1.2.3]/",
            "http://[64:ff9b::10.1.2.3]/",
            "http://hooks.internal/",
        ] {
            assert!(guard.check(url).is_ok(), "{url}");
        }
        for url in [
            "http://127.0.0.1/",
            "https://192.168.0.1/",
            "http://8.8.8.8/",
        ] {
            assert!(guard.check(url).is_err(), "{url}");
        }
    }
}
