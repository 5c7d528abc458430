//! A throw-away certificate authority, and certificates of servers and clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyPair, SanType,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Who signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

/// A certificate with its key.
pub struct Issued {
    certificate: Certificate,
    key: KeyPair,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// As all here: if a key or certificate can't be made.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = named("a test's authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    /// Its own certificate.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for a common name, with these alternative names.
    ///
    /// # Errors
    /// If a name can't stand in a certificate.
    pub fn issue(&self, name: &str, dns: &[&str], uris: &[&str]) -> Result<Issued> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = named(name);
        let names = &mut params.subject_alt_names;
        for name in dns {
            names.push(SanType::DnsName((*name).try_into()?));
        }
        for uri in uris {
            names.push(SanType::URI((*uri).try_into()?));
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued { certificate, key })
    }
}

impl Issued {
    /// The certificate.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The private key.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

/// Writes an authority's certificate to `folder`; returns its path, and what a server for
/// `localhost` needs.
///
/// # Errors
/// If a key or certificate can't be made.
pub fn authority(folder: &Path) -> Result<(PathBuf, TlsAcceptor)> {
    let authority = Authority::new()?;
    let file = folder.join("ca.pem");
    std::fs::write(&file, authority.pem())?;
    let Issued { certificate, key } = authority.issue("localhost", &["localhost"], &[])?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)?;
    Ok((file, TlsAcceptor::from(Arc::new(config))))
}

/// Authority and server must have different names, or the server's seems to be self-signed.
fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}
