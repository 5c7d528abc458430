//! The installation's rows. Read by every decision and seldom changed, so kept in memory
//! until the version in `meta` says that they are old.

use std::sync::{Arc, Mutex, PoisonError};

use creditgate_core::key::CredentialHash;
use creditgate_ledger::Registry;
use creditgate_ledger::id::{GatewayId, InstanceId, KeyId};
use creditgate_ledger::rate_card::{RateCardHead, RateCardVersion};
use creditgate_ledger::registry::{CurrencyDefinition, Gateway, GatewayKey, Instance, OperatorKey};
use rusqlite::{Connection, params};

use super::columns::{Columns, first, json, limit, list, word, write_one};
use super::party::read_scale;
use super::{grant, subscription, webhook};
use crate::storage::diff::changed;
use crate::storage::{Page, PageRequest, StorageError};

/// The registry as last read, with its version.
#[derive(Default)]
pub(super) struct RegistryCache(Mutex<Option<(u64, Arc<Registry>)>>);

impl RegistryCache {
    /// The registry as of the connection's transaction.
    pub(super) fn read(&self, connection: &Connection) -> Result<Arc<Registry>, StorageError> {
        let version = first(
            connection,
            "SELECT registry_version FROM meta",
            [],
            |columns| columns.bits(),
        )?;
        let version = version.ok_or_else(|| StorageError::Corrupt("meta has no row".to_owned()))?;
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, registry)) = cached.as_ref().filter(|(known, _)| *known == version) {
            return Ok(Arc::clone(registry));
        }
        let registry = Arc::new(read(connection)?);
        // An older snapshot must not throw out what a newer one reads.
        if cached.as_ref().is_none_or(|(known, _)| *known < version) {
            *cached = Some((version, Arc::clone(&registry)));
        }
        Ok(registry)
    }
}

macro_rules! card_columns {
    () => {
        "name, version, state, created_at, effective_at, ended_at"
    };
}

fn read(connection: &Connection) -> Result<Registry, StorageError> {
    let sql = "SELECT epoch, config_version, settings FROM meta";
    let meta = first(connection, sql, [], |columns| {
        Ok((columns.bits()?, columns.bits()?, columns.json()?))
    })?;
    let (epoch, config_version, settings) =
        meta.ok_or_else(|| StorageError::Corrupt("meta has no row".to_owned()))?;
    Ok(Registry {
        plans: list(connection, subscription::PLANS, [], subscription::read_plan)?,
        plan_grants: list(connection, grant::PLAN_GRANTS, [], grant::read)?,
        endpoints: list(connection, webhook::ENDPOINTS, [], webhook::read_endpoint)?,
        epoch,
        config_version,
        settings,
        currencies: list(connection, "SELECT code, scale, created_at FROM currency ORDER BY code", [], |columns| {
            Ok(CurrencyDefinition { code: columns.parsed()?, scale: read_scale(columns)?, created_at: columns.time()? })
        })?,
        gateways: list(connection, "SELECT id, external_id, name, rate_card, created_at FROM gateway ORDER BY id", [], |columns| {
            Ok(Gateway {
                id: GatewayId(columns.id()?),
                external_id: columns.value()?,
                name: columns.value()?,
                rate_card: columns.value()?,
                created_at: columns.time()?,
            })
        })?,
        gateway_keys: list(connection, "SELECT id, gateway, hash, created_at, revoked_at FROM gateway_key ORDER BY id", [], |columns| {
            Ok(GatewayKey {
                id: KeyId(columns.id()?),
                gateway: GatewayId(columns.id()?),
                hash: CredentialHash::from_bytes(columns.value()?),
                created_at: columns.time()?,
                revoked_at: columns.time_or_none()?,
            })
        })?,
        operator_keys: list(connection, "SELECT id, name, role, hash, created_at, revoked_at FROM operator_key ORDER BY id", [], |columns| {
            Ok(OperatorKey {
                id: KeyId(columns.id()?),
                name: columns.value()?,
                role: columns.word()?,
                hash: CredentialHash::from_bytes(columns.value()?),
                created_at: columns.time()?,
                revoked_at: columns.time_or_none()?,
            })
        })?,
        rate_cards: list(
            connection,
            concat!("SELECT ", card_columns!(), ", document FROM rate_card AS card
             WHERE state IN ('scheduled', 'active') OR version = (SELECT max(version) FROM rate_card WHERE name = card.name)
             ORDER BY name, version"),
            [],
            read_card,
        )?,
        instances: list(connection, "SELECT id, gateway, state, reason, first_seen_at FROM instance ORDER BY id", [], |columns| {
            Ok(Instance {
                id: InstanceId(columns.id()?),
                gateway: GatewayId(columns.id()?),
                state: columns.word()?,
                reason: columns.value()?,
                first_seen_at: columns.time()?,
            })
        })?,
    })
}

fn read_card(columns: &mut Columns<'_, '_>) -> Result<RateCardVersion, StorageError> {
    Ok(RateCardVersion {
        head: read_card_head(columns)?,
        document: columns.json()?,
    })
}

fn read_card_head(columns: &mut Columns<'_, '_>) -> Result<RateCardHead, StorageError> {
    Ok(RateCardHead {
        name: columns.value()?,
        version: columns.bits()?,
        state: columns.word()?,
        created_at: columns.time()?,
        effective_at: columns.time()?,
        ended_at: columns.time_or_none()?,
    })
}

/// The versions of a rate card, newest first.
pub(super) fn rate_card_versions(
    connection: &Connection,
    name: &str,
    page: PageRequest,
) -> Result<Page<RateCardHead>, StorageError> {
    let sql = concat!(
        "SELECT ",
        card_columns!(),
        " FROM rate_card WHERE name = ?1 AND version < ?2 ORDER BY version DESC LIMIT ?3"
    );
    let below = page.cursor.and_then(|cursor| i64::try_from(cursor.0).ok());
    let values = params![name, below.unwrap_or(i64::MAX), limit(page)];
    let heads = list(connection, sql, values, read_card_head)?;
    Ok(Page::cut(heads, page.limit, |head| head.version.into()))
}

pub(super) fn rate_card(
    connection: &Connection,
    name: &str,
    version: u64,
) -> Result<Option<RateCardVersion>, StorageError> {
    let sql = concat!(
        "SELECT ",
        card_columns!(),
        ", document FROM rate_card WHERE name = ?1 AND version = ?2"
    );
    first(
        connection,
        sql,
        params![name, version.cast_signed()],
        read_card,
    )
}

/// Writes what differs.
pub(super) fn write(
    connection: &Connection,
    before: &Registry,
    after: &Registry,
) -> Result<(), StorageError> {
    let sql = "UPDATE meta SET epoch = ?1, config_version = ?2, settings = ?3, registry_version = registry_version + 1";
    let values = params![
        after.epoch.cast_signed(),
        after.config_version.cast_signed(),
        json(&after.settings)?
    ];
    write_one(connection, sql, values)?;
    for (old, currency) in changed(&before.currencies, &after.currencies, |row| row.code) {
        let sql = if old.is_none() {
            "INSERT INTO currency (code, scale, created_at) VALUES (?1, ?2, ?3)"
        } else {
            "UPDATE currency SET scale = ?2, created_at = ?3 WHERE code = ?1"
        };
        write_one(
            connection,
            sql,
            params![
                currency.code.as_str(),
                currency.scale.digits(),
                currency.created_at.0
            ],
        )?;
    }
    for (old, gateway) in changed(&before.gateways, &after.gateways, |row| row.id) {
        write_gateway(connection, old.is_none(), gateway)?;
    }
    for (old, key) in changed(&before.gateway_keys, &after.gateway_keys, |row| row.id) {
        write_key(connection, old.is_none(), key)?;
    }
    for (old, key) in changed(&before.operator_keys, &after.operator_keys, |row| row.id) {
        write_operator_key(connection, old.is_none(), key)?;
    }
    let place = |card: &RateCardVersion| (card.head.name.clone(), card.head.version);
    for (old, card) in changed(&before.rate_cards, &after.rate_cards, place) {
        write_card(connection, old.is_none(), card)?;
    }
    for gone in before
        .instances
        .iter()
        .filter(|old| after.instance(old.id).is_none())
    {
        write_one(
            connection,
            "DELETE FROM instance WHERE id = ?1",
            params![gone.id.0.to_be_bytes()],
        )?;
    }
    for (old, instance) in changed(&before.instances, &after.instances, |row| row.id) {
        write_instance(connection, old.is_none(), instance)?;
    }
    for (old, plan) in changed(&before.plans, &after.plans, |row| row.id) {
        subscription::write_plan(connection, old.is_none(), plan)?;
    }
    for (old, row) in changed(&before.plan_grants, &after.plan_grants, |row| row.id) {
        grant::write(connection, None, old.is_none(), row)?;
    }
    for (old, endpoint) in changed(&before.endpoints, &after.endpoints, |row| row.id) {
        webhook::write_endpoint(connection, old.is_none(), endpoint)?;
    }
    Ok(())
}

fn write_card(
    connection: &Connection,
    is_new: bool,
    row: &RateCardVersion,
) -> Result<(), StorageError> {
    let head = &row.head;
    let (name, version) = (&head.name, head.version.cast_signed());
    let (state, ended_at) = (word(&head.state)?, head.ended_at.map(|at| at.0));
    if !is_new {
        // Nothing else of it changes.
        let sql = "UPDATE rate_card SET state = ?3, ended_at = ?4 WHERE name = ?1 AND version = ?2";
        return write_one(connection, sql, params![name, version, state, ended_at]);
    }
    let sql =
        "INSERT INTO rate_card (name, version, state, created_at, effective_at, ended_at, document)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![
        name,
        version,
        state,
        head.created_at.0,
        head.effective_at.0,
        ended_at,
        json(&row.document)?
    ];
    write_one(connection, sql, values)
}

fn write_gateway(connection: &Connection, is_new: bool, row: &Gateway) -> Result<(), StorageError> {
    let sql = if is_new {
        "INSERT INTO gateway (id, external_id, name, rate_card, created_at) VALUES (?1, ?2, ?3, ?4, ?5)"
    } else {
        "UPDATE gateway SET external_id = ?2, name = ?3, rate_card = ?4, created_at = ?5 WHERE id = ?1"
    };
    let values = params![
        row.id.0.to_be_bytes(),
        row.external_id,
        row.name,
        row.rate_card,
        row.created_at.0
    ];
    write_one(connection, sql, values)
}

fn write_key(connection: &Connection, is_new: bool, row: &GatewayKey) -> Result<(), StorageError> {
    let sql = if is_new {
        "INSERT INTO gateway_key (id, gateway, hash, created_at, revoked_at) VALUES (?1, ?2, ?3, ?4, ?5)"
    } else {
        "UPDATE gateway_key SET gateway = ?2, hash = ?3, created_at = ?4, revoked_at = ?5 WHERE id = ?1"
    };
    let (id, gateway) = (row.id.0.to_be_bytes(), row.gateway.0.to_be_bytes());
    let values = params![
        id,
        gateway,
        row.hash.as_bytes(),
        row.created_at.0,
        row.revoked_at.map(|at| at.0)
    ];
    write_one(connection, sql, values)
}

fn write_operator_key(
    connection: &Connection,
    is_new: bool,
    row: &OperatorKey,
) -> Result<(), StorageError> {
    let sql = if is_new {
        "INSERT INTO operator_key (id, name, role, hash, created_at, revoked_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
    } else {
        "UPDATE operator_key SET name = ?2, role = ?3, hash = ?4, created_at = ?5, revoked_at = ?6 WHERE id = ?1"
    };
    let (id, role) = (row.id.0.to_be_bytes(), word(&row.role)?);
    write_one(
        connection,
        sql,
        params![
            id,
            row.name,
            role,
            row.hash.as_bytes(),
            row.created_at.0,
            row.revoked_at.map(|at| at.0)
        ],
    )
}

fn write_instance(
    connection: &Connection,
    is_new: bool,
    row: &Instance,
) -> Result<(), StorageError> {
    let sql = if is_new {
        "INSERT INTO instance (id, gateway, state, reason, first_seen_at) VALUES (?1, ?2, ?3, ?4, ?5)"
    } else {
        "UPDATE instance SET gateway = ?2, state = ?3, reason = ?4, first_seen_at = ?5 WHERE id = ?1"
    };
    let (id, gateway) = (row.id.0.to_be_bytes(), row.gateway.0.to_be_bytes());
    write_one(
        connection,
        sql,
        params![
            id,
            gateway,
            word(&row.state)?,
            row.reason,
            row.first_seen_at.0
        ],
    )
}
