//! The stage of every test: a control plane, an upstream, a proxy between Envoy and the
//! control plane; gateways and customers as the test needs them. All of it ends with the test.

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::admin::{Admin, Balance};
use crate::certificate;
use crate::clock::{ms, until};
use crate::control_plane::ControlPlane;
use crate::envoy::{Envoy, Setup};
use crate::fault_proxy::FaultProxy;
use crate::upstream::Upstream;

/// The name of the rate card that every gateway of a scene uses.
pub const CARD: &str = "standard";

/// A currency without digits after the point: one request, one unit.
pub const CURRENCY: &str = "tokens";

/// All that runs, but for the Envoys.
pub struct Scene {
    /// The operator's access.
    pub admin: Admin,
    /// The control plane.
    pub plane: ControlPlane,
    /// What stands between the gateways and the control plane.
    pub proxy: FaultProxy,
    /// The upstream.
    pub upstream: Upstream,
    /// Temporary; last, so that it goes after those who write to it.
    pub folder: TempDir,
}

/// A customer with one wallet and one key.
#[derive(Debug, Clone)]
pub struct Customer {
    /// The external id.
    pub name: String,
    /// The wallet's id.
    pub wallet: String,
    /// The key.
    pub key: String,
}

/// Time limits short enough to wait for.
#[must_use]
pub fn fast_settings() -> Value {
    json!({
        "use_by_ms": 2_000,
        "sync_ms": 50,
        "idle_ms": 300,
        "wait_ms": 700,
        "silent_after_ms": 3_000,
        "max_stream_ms": 10_000,
    })
}

/// `/v1/ping` costs 1, `/v1/report` 5, `/v1/free` nothing, `/v1/always` 1 whatever happens;
/// everything else is denied.
#[must_use]
pub fn card() -> Value {
    json!({
        "name": CARD,
        "currency": CURRENCY,
        "scale": 0,
        "default": "deny",
        "free_paths": ["/healthz"],
        "rules": [
            {"id": "ping", "path": {"exact": "/v1/ping"}, "price": 1},
            {"id": "report", "path": {"exact": "/v1/report"}, "price": 5},
            {"id": "always", "path": {"exact": "/v1/always"}, "price": 1, "charge": "always"},
            {"id": "free", "path": {"exact": "/v1/free"}, "price": 0},
        ],
    })
}

impl Scene {
    /// With fast settings and [`card`].
    ///
    /// # Errors
    /// If something does not come up.
    pub async fn start() -> Result<Self> {
        Self::with(&fast_settings(), &card(), false).await
    }

    /// With these rules in place of those of [`card`]. Customers may use more than was expected.
    ///
    /// # Errors
    /// If something does not come up.
    pub async fn priced(rules: Value) -> Result<Self> {
        let (mut settings, mut card) = (fast_settings(), card());
        settings["overrun_max"] = json!("100000");
        card["rules"] = rules;
        Self::with(&settings, &card, false).await
    }

    /// With other settings or another card; `tls`: the control plane is reached by TLS only,
    /// and `ca.pem` in the scene's folder is the certificate of the authority.
    ///
    /// # Errors
    /// If something does not come up.
    pub async fn with(settings: &Value, card: &Value, tls: bool) -> Result<Self> {
        let folder = TempDir::with_prefix("creditgate-test-")?;
        let plane = ControlPlane::start(folder.path()).await?;
        let admin = Admin::new(plane.address(), plane.admin_key())?;
        let tls = match tls {
            true => Some(certificate::authority(folder.path())?.1),
            false => None,
        };
        let proxy = FaultProxy::start(plane.address(), tls).await?;
        let upstream = Upstream::start().await?;
        admin.settings(settings).await?;
        let currency = json!({"code": CURRENCY, "scale": 0});
        admin.post("/v1/currencies", &currency).await?;
        admin.rate_card(CARD, card).await?;
        Ok(Self {
            admin,
            plane,
            proxy,
            upstream,
            folder,
        })
    }

    /// An Envoy as in `envoy/minimal.yaml` with an access log, two workers, under a gateway of
    /// this name.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn envoy(&self, gateway: &str) -> Result<Envoy> {
        self.envoy_with(gateway, &Setup::default().logging()).await
    }

    /// An Envoy of any setup, under a gateway of this name, which is made when it is new.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn envoy_with(&self, gateway: &str, setup: &Setup) -> Result<Envoy> {
        let key = self.gateway(gateway).await?;
        let (plane, upstream) = (self.proxy.address(), self.upstream.address());
        Envoy::start(setup, self.folder.path(), plane, upstream, &key).await
    }

    /// A key of the gateway of this name, which is made when it is new.
    ///
    /// # Errors
    /// If the control plane refuses.
    pub async fn gateway(&self, name: &str) -> Result<String> {
        let known = self.admin.list("/v1/gateways").await?;
        if known.iter().any(|gateway| gateway["external_id"] == name) {
            self.admin.gateway_key(name).await
        } else {
            self.admin.gateway(name, CARD).await
        }
    }

    /// A customer with so many credits; with none, no top-up is made.
    ///
    /// # Errors
    /// If the control plane refuses.
    pub async fn customer(&self, name: &str, credits: &str) -> Result<Customer> {
        self.customer_in(name, CURRENCY, credits).await
    }

    /// A customer with credits in a currency.
    ///
    /// # Errors
    /// If the control plane refuses.
    pub async fn customer_in(&self, name: &str, currency: &str, credits: &str) -> Result<Customer> {
        let (wallet, key) = self.admin.customer(name, currency).await?;
        if credits != "0" {
            self.admin.top_up(&wallet, credits).await?;
        }
        Ok(Customer {
            name: name.into(),
            wallet,
            key,
        })
    }

    /// A customer's balance.
    ///
    /// # Errors
    /// If the control plane refuses.
    pub async fn balance(&self, customer: &Customer) -> Result<Balance> {
        self.admin.balance(&customer.wallet).await
    }

    /// Waits until nothing of the customer's is lent: idle cells have given back, and all
    /// that was settled is known.
    ///
    /// # Errors
    /// If it takes ten seconds.
    pub async fn at_rest(&self, customer: &Customer) -> Result<Balance> {
        let mut last = None;
        let rest = until("nothing is lent", ms(10_000), async || {
            let balance = self.balance(customer).await?;
            last = Some(balance);
            Ok(
                (balance.lent == 0 && balance.held == 0 && balance.pending_recall == 0)
                    .then_some(balance),
            )
        })
        .await;
        rest.map_err(|error| error.context(format!("{}: {last:?}", customer.name)))
    }
}
