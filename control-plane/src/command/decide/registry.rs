//! Commands on the installation itself.

use creditgate_core::amount::Currency;
use creditgate_core::rate_card::RateCardDocument;
use creditgate_ledger::id::{GatewayId, InstanceId, KeyId};
use creditgate_ledger::registry::{
    CurrencyDefinition, Gateway, GatewayKey, Instance, InstanceState, OperatorKey, Settings,
};
use creditgate_ledger::{Refusal, Timestamp, rate_card};

use super::restored::VERSIONS_SKIPPED;
use super::{Failure, Work};
use crate::command::{Command, Outcome};

/// Most instances that are known at once.
const INSTANCES_MAX: usize = 10_000;

impl Work<'_> {
    pub(super) fn decide_registry(&mut self, command: Command) -> Result<Outcome, Failure> {
        let outcome = match command {
            Command::PutSettings(settings) => self.put_settings(settings)?,
            Command::ChangeSettings { change, replace } => {
                let base = if replace {
                    &Settings::default()
                } else {
                    &self.registry.settings
                };
                let settings = change.over(base)?;
                self.put_settings(settings)?
            }
            Command::BeginEpoch { epoch } => {
                let registry = self.registry_mut();
                registry.epoch = epoch;
                registry.config_version = registry.config_version.saturating_add(VERSIONS_SKIPPED);
                Outcome::Done
            }
            Command::DefineCurrency { code, scale } => {
                if self
                    .registry
                    .currencies
                    .iter()
                    .any(|known| known.code == code)
                {
                    return Err(Refusal::Exists {
                        field: "/code",
                        what: "currency",
                        id: code.as_str().to_owned(),
                    }
                    .into());
                }
                let defined = CurrencyDefinition {
                    code,
                    scale,
                    created_at: self.clock,
                };
                self.registry_mut().currencies.push(defined.clone());
                Outcome::Currency(defined)
            }
            Command::CreateGateway {
                external_id,
                name,
                rate_card,
            } => self.create_gateway(external_id, name, rate_card)?,
            Command::ChangeGateway {
                gateway,
                name,
                rate_card,
            } => self.change_gateway(&gateway, name, rate_card)?,
            Command::AddGatewayKey { gateway, hash } => {
                let gateway = self.gateway(&gateway)?;
                let key = GatewayKey {
                    id: KeyId(self.ids.next()),
                    gateway,
                    hash,
                    created_at: self.clock,
                    revoked_at: None,
                };
                self.registry_mut().gateway_keys.push(key.clone());
                Outcome::GatewayKey(key)
            }
            Command::RevokeGatewayKey { key } => {
                let now = self.clock;
                let found = self
                    .registry_mut()
                    .gateway_keys
                    .iter_mut()
                    .find(|known| known.id == key);
                let known = found.ok_or_else(|| Refusal::NotFound {
                    what: "gateway key",
                    id: key.to_string(),
                })?;
                known.revoked_at = known.revoked_at.or(Some(now));
                Outcome::GatewayKey(known.clone())
            }
            Command::AddOperatorKey { name, role, hash } => {
                let key = OperatorKey {
                    id: KeyId(self.ids.next()),
                    name,
                    role,
                    hash,
                    created_at: self.clock,
                    revoked_at: None,
                };
                self.registry_mut().operator_keys.push(key.clone());
                Outcome::OperatorKey(key)
            }
            Command::RevokeOperatorKey { key } => {
                let now = self.clock;
                let found = self
                    .registry_mut()
                    .operator_keys
                    .iter_mut()
                    .find(|known| known.id == key);
                let known = found.ok_or_else(|| Refusal::NotFound {
                    what: "operator key",
                    id: key.to_string(),
                })?;
                known.revoked_at = known.revoked_at.or(Some(now));
                Outcome::OperatorKey(known.clone())
            }
            Command::PutRateCard {
                name,
                document,
                effective_at,
            } => self.put_rate_card(&name, *document, effective_at)?,
            Command::CancelRateCard { name, version } => {
                let now = self.clock;
                let head = rate_card::cancel(self.registry_mut(), now, &name, version)?;
                Outcome::RateCardHead(Box::new(head))
            }
            Command::PassRateCards => {
                let now = self.clock;
                rate_card::pass(self.registry_mut(), now);
                Outcome::Done
            }
            Command::SeeInstance { gateway, instance } => self.see_instance(gateway, instance)?,
            Command::ForgetInstance { instance } => {
                self.registry_mut()
                    .instances
                    .retain(|known| known.id != instance);
                Outcome::Done
            }
            Command::SetInstanceState {
                instance,
                state,
                reason,
            } => self.set_instance_state(instance, state, reason)?,
            _ => return Ok(Outcome::Done),
        };
        Ok(outcome)
    }

    pub(super) fn bump_config(&mut self) {
        self.registry_mut().config_version = self.registry.config_version.saturating_add(1);
    }

    fn gateway(&self, name: &str) -> Result<GatewayId, Refusal> {
        let known = self
            .registry
            .gateways
            .iter()
            .find(|known| known.external_id == name || known.id.to_string() == name);
        known
            .map(|known| known.id)
            .ok_or_else(|| Refusal::NotFound {
                what: "gateway",
                id: name.to_owned(),
            })
    }

    fn change_gateway(
        &mut self,
        named: &str,
        name: Option<String>,
        rate_card: Option<String>,
    ) -> Result<Outcome, Failure> {
        let id = self.gateway(named)?;
        let currency = |card: &str| self.registry.rate_card_currency(card);
        let known = self.registry.gateways.iter().find(|known| known.id == id);
        let old = known.and_then(|known| currency(&known.rate_card));
        let new = rate_card.as_deref().and_then(currency);
        // Its processes may hold credit of accounts in the old currency.
        if old.zip(new).is_some_and(|(old, new)| old != new) {
            return Err(Refusal::Invalid {
                field: "/rate_card",
                code: "rate_card_currency",
                problem: "that rate card has another currency; make another gateway for it"
                    .to_owned(),
            }
            .into());
        }
        let found = self
            .registry_mut()
            .gateways
            .iter_mut()
            .find(|known| known.id == id);
        let known = found.ok_or_else(|| Refusal::NotFound {
            what: "gateway",
            id: named.to_owned(),
        })?;
        known.name = name.or_else(|| known.name.take());
        if let Some(rate_card) = rate_card {
            known.rate_card = rate_card;
        }
        let gateway = known.clone();
        self.bump_config();
        Ok(Outcome::Gateway(gateway))
    }

    fn create_gateway(
        &mut self,
        external_id: String,
        name: Option<String>,
        rate_card: String,
    ) -> Result<Outcome, Failure> {
        if self
            .registry
            .gateways
            .iter()
            .any(|known| known.external_id == external_id)
        {
            return Err(Refusal::Exists {
                field: "/external_id",
                what: "gateway",
                id: external_id,
            }
            .into());
        }
        let gateway = Gateway {
            id: GatewayId(self.ids.next()),
            external_id,
            name,
            rate_card,
            created_at: self.clock,
        };
        self.registry_mut().gateways.push(gateway.clone());
        Ok(Outcome::Gateway(gateway))
    }

    /// A currency that is used is fixed: its scale can't be chosen differently afterwards.
    pub(super) fn use_currency(&mut self, code: Currency) {
        if !self
            .registry
            .currencies
            .iter()
            .any(|known| known.code == code)
        {
            let scale = self.registry.scale(&code);
            let defined = CurrencyDefinition {
                code,
                scale,
                created_at: self.clock,
            };
            self.registry_mut().currencies.push(defined);
        }
    }

    fn put_rate_card(
        &mut self,
        name: &str,
        document: RateCardDocument,
        effective_at: Option<Timestamp>,
    ) -> Result<Outcome, Failure> {
        self.check_overruns(&document)?;
        let now = self.clock;
        let currency = document.currency;
        let card = rate_card::put(self.registry_mut(), now, name, document, effective_at)?;
        self.use_currency(currency);
        Ok(Outcome::RateCard(Box::new(card)))
    }

    fn see_instance(&mut self, gateway: GatewayId, id: InstanceId) -> Result<Outcome, Failure> {
        if let Some(known) = self.registry.instance(id) {
            if known.gateway != gateway {
                return Err(Refusal::Conflict {
                    code: "instance_of_another_gateway",
                    problem: format!(
                        "instance {id} belongs to another gateway; restart the proxy process"
                    ),
                }
                .into());
            }
            return Ok(Outcome::Instance(known.clone()));
        }
        if self.registry.instances.len() >= INSTANCES_MAX {
            return Err(Refusal::Conflict {
                code: "instances_max",
                problem: format!(
                    "{INSTANCES_MAX} instances are known; one that holds nothing is forgotten an hour after it last spoke"
                ),
            }
            .into());
        }
        let instance = Instance {
            id,
            gateway,
            state: InstanceState::Active,
            reason: None,
            first_seen_at: self.clock,
        };
        self.registry_mut().instances.push(instance.clone());
        Ok(Outcome::Instance(instance))
    }

    fn set_instance_state(
        &mut self,
        id: InstanceId,
        state: InstanceState,
        reason: Option<String>,
    ) -> Result<Outcome, Failure> {
        let found = self
            .registry_mut()
            .instances
            .iter_mut()
            .find(|known| known.id == id);
        let known = found.ok_or_else(|| Refusal::NotFound {
            what: "instance",
            id: id.to_string(),
        })?;
        known.state = state;
        known.reason = reason;
        Ok(Outcome::Instance(known.clone()))
    }
}
