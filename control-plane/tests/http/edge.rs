//! A gateway as the control plane sees it: three questions.

use axum::http::Method;
use creditgate_core::amount::Amount;
use creditgate_core::key::{CredentialHash, credential_hash};
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{
    Hello, LeaseAnswer, PROTOCOL_VERSION, PollAnswer, PollRequest, Report, ResolveAnswer,
    ResolveRequest, Resolved, SyncAnswer, SyncRequest,
};
use creditgate_ledger::id::InstanceId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::plane::{Answer, Plane};

/// One process of a gateway.
pub(crate) struct Edge {
    pub(crate) key: String,
    pub(crate) hello: Hello,
    pub(crate) cursor: u64,
    pub(crate) config_version: u64,
}

impl Edge {
    /// A process of a new gateway, with a rate card of this currency.
    pub(crate) async fn of(plane: &Plane, name: &str, currency: &str) -> Self {
        let card = json!({ "name": name, "currency": currency, "default": { "price": "1" } });
        assert_eq!(
            plane
                .put(&format!("/v1/rate-cards/{name}"), card)
                .await
                .status,
            200
        );
        let made = plane
            .post(
                "/v1/gateways",
                json!({ "external_id": name, "rate_card": name }),
            )
            .await;
        assert_eq!(made.status, 201, "{made:?}");
        let key = plane
            .post(&format!("/v1/gateways/{name}/keys"), json!({}))
            .await
            .text("key");
        Self::process(key, u128::from(name.bytes().next().unwrap_or(1)))
    }

    /// Another process of the gateway.
    pub(crate) fn another(&self) -> Self {
        Self::process(self.key.clone(), self.hello.instance.0 + 1_000)
    }

    fn process(key: String, instance: u128) -> Self {
        let hello = Hello {
            protocol: PROTOCOL_VERSION,
            epoch: 0,
            instance: InstanceId(instance),
        };
        Self {
            key,
            hello,
            cursor: 0,
            config_version: 0,
        }
    }

    pub(crate) async fn ask(
        &self,
        plane: &Plane,
        question: &str,
        message: &impl Serialize,
    ) -> Answer {
        let body = serde_json::to_vec(message).expect("a message");
        plane
            .call(
                Method::POST,
                &format!("/v1/gateway/{question}"),
                &self.key,
                body,
                &[],
            )
            .await
    }

    async fn told<T: DeserializeOwned>(
        &self,
        plane: &Plane,
        question: &str,
        message: &impl Serialize,
    ) -> T {
        let answer = self.ask(plane, question, message).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_slice(&answer.bytes).expect("an answer of the protocol")
    }

    pub(crate) async fn resolve(
        &self,
        plane: &Plane,
        credential: &str,
        lease: u64,
        need: i64,
    ) -> ResolveAnswer {
        self.resolve_for(plane, credential, lease, need, None).await
    }

    /// Resolves for a first request of a rule.
    pub(crate) async fn resolve_for(
        &self,
        plane: &Plane,
        credential: &str,
        lease: u64,
        need: i64,
        rule: Option<&str>,
    ) -> ResolveAnswer {
        let message = ResolveRequest {
            hello: self.hello.clone(),
            credential: credential_hash(credential),
            customer: None,
            lease: LeaseNumber(lease),
            need: Amount::new(need),
            rule: rule.map(str::to_owned),
        };
        self.told(plane, "resolve", &message).await
    }

    /// Resolves a customer whom the gateway knows by name.
    pub(crate) async fn resolve_customer(
        &self,
        plane: &Plane,
        name: &str,
        hash: CredentialHash,
        lease: u64,
    ) -> ResolveAnswer {
        let message = ResolveRequest {
            hello: self.hello.clone(),
            credential: hash,
            customer: Some(name.to_owned()),
            lease: LeaseNumber(lease),
            need: Amount::new(1),
            rule: None,
        };
        self.told(plane, "resolve", &message).await
    }

    /// Resolves a credential that is known.
    pub(crate) async fn know(
        &self,
        plane: &Plane,
        credential: &str,
        lease: u64,
        need: i64,
    ) -> Resolved {
        match self.resolve(plane, credential, lease, need).await {
            ResolveAnswer::Known(resolved) => *resolved,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn report(
        &self,
        plane: &Plane,
        of: &LeaseAnswer,
        counters: Counters,
        need: i64,
    ) -> LeaseAnswer {
        let report = Report {
            account: of.account,
            lease: of.lease,
            counters,
            previous: None,
            need: Amount::new(need),
            wanted: Amount::new(need),
        };
        let message = SyncRequest {
            hello: self.hello.clone(),
            reports: vec![report],
        };
        let mut answer: SyncAnswer = self.told(plane, "sync", &message).await;
        answer.answers.remove(0)
    }

    pub(crate) async fn poll(&mut self, plane: &Plane) -> PollAnswer {
        let message = PollRequest {
            hello: self.hello.clone(),
            cursor: self.cursor,
            config_version: self.config_version,
        };
        let answer: PollAnswer = self.told(plane, "poll", &message).await;
        self.hello.epoch = answer.epoch;
        self.cursor = answer.cursor;
        self.config_version = answer
            .config
            .as_ref()
            .map_or(self.config_version, |config| config.version);
        answer
    }
}

/// Counters of a lease: granted, returned, reserved, released, settled.
pub(crate) fn counters([granted, returned, reserved, released, settled]: [i64; 5]) -> Counters {
    Counters {
        granted: Amount::new(granted),
        returned: Amount::new(returned),
        reserved: Amount::new(reserved),
        released: Amount::new(released),
        settled: Amount::new(settled),
    }
}
