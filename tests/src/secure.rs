//! An Envoy whose clients speak TLS, and show certificates.

use anyhow::Result;

use crate::certificate::{Authority, Issued};
use crate::client::Answer;
use crate::clock::{ms, now, until};
use crate::envoy::{Envoy, Setup};
use crate::scene::Scene;

/// An Envoy that is spoken to by TLS only.
pub struct Secure {
    /// The Envoy.
    pub envoy: Envoy,
    /// Who signs its certificate, and those of clients.
    pub authority: Authority,
}

impl Secure {
    /// Under a gateway of this name; `required`: clients without a certificate get no answer.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn start(scene: &Scene, name: &str, setup: Setup, required: bool) -> Result<Self> {
        let authority = Authority::new()?;
        let server = authority.issue("localhost", &["localhost"], &[])?;
        let file = |part: &str| scene.folder.path().join(format!("{name}-{part}.pem"));
        std::fs::write(file("authority"), authority.pem())?;
        std::fs::write(file("server"), server.pem())?;
        std::fs::write(file("key"), server.key_pem())?;
        let tls = format!(
            r#"    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: {required}
          common_tls_context:
            tls_certificates:
            - certificate_chain: {{ filename: "{}" }}
              private_key: {{ filename: "{}" }}
            validation_context: {{ trusted_ca: {{ filename: "{}" }} }}
      filters:
"#,
            file("server").display(),
            file("key").display(),
            file("authority").display()
        );
        let setup = setup.edit("    - filters:\n", &tls);
        let (plane, upstream) = (scene.proxy.address(), scene.upstream.address());
        let key = scene.gateway(name).await?;
        let envoy =
            Envoy::start_unready(&setup, scene.folder.path(), plane, upstream, &key).await?;
        let secure = Self { envoy, authority };
        let probe = secure.authority.issue("probe", &[], &[])?;
        until("the filter has its rate card", ms(30_000), async || {
            let answer = secure.get("/", Some(&probe)).await?;
            Ok((answer.code() != "not_ready").then_some(()))
        })
        .await?;
        Ok(secure)
    }

    /// One request, on a connection of its own, with a certificate or without one.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn get(&self, path: &str, own: Option<&Issued>) -> Result<Answer> {
        let started = now();
        let trusted = reqwest::Certificate::from_pem(self.authority.pem().as_bytes())?;
        let mut client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([trusted])
            .resolve("localhost", self.envoy.address());
        if let Some(own) = own {
            let pem = format!("{}{}", own.pem(), own.key_pem());
            client = client.identity(reqwest::Identity::from_pem(pem.as_bytes())?);
        }
        let url = format!("https://localhost:{}{path}", self.envoy.address().port());
        let answer = client.build()?.get(url).send().await?;
        Ok(Answer {
            status: answer.status(),
            headers: answer.headers().clone(),
            body: answer.bytes().await?,
            took: started.elapsed(),
        })
    }
}
