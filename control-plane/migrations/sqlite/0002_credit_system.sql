-- The credit system: scopes, priorities, unpaid lots, claims, plans and their grants, webhooks,
-- the log of who changed what, and journals whose entries are numbered and hashed.
--
-- The journal of the first version is kept under other names until the step after this one
-- (`storage/sqlite/upgrade.rs`) has numbered and hashed it; foreign keys are off meanwhile.

ALTER TABLE account ADD COLUMN scope TEXT NOT NULL DEFAULT '[]';
ALTER TABLE account ADD COLUMN credit_line INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN transferred INTEGER NOT NULL DEFAULT 0;
-- How far the chain of its entries has come.
ALTER TABLE account ADD COLUMN chain_entries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN chain_head BLOB NOT NULL
    DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000' CHECK (length(chain_head) = 32);
DROP INDEX account_customer_currency;
CREATE UNIQUE INDEX account_customer_scope ON account (customer, currency, scope);

CREATE INDEX customer_status ON customer (status, id);
CREATE INDEX customer_mode ON customer (mode, id);
CREATE INDEX customer_status_mode ON customer (status, mode, id);

ALTER TABLE wallet ADD COLUMN external_id TEXT;
ALTER TABLE wallet ADD COLUMN priority INTEGER;
ALTER TABLE wallet ADD COLUMN topup_conversion_rate TEXT NOT NULL DEFAULT '1';
ALTER TABLE wallet ADD COLUMN credit_limit INTEGER NOT NULL DEFAULT 0;
ALTER TABLE wallet ADD COLUMN auto_topup TEXT;
ALTER TABLE wallet ADD COLUMN auto_topup_state TEXT NOT NULL DEFAULT '{}';
-- As in its state, for the index.
ALTER TABLE wallet ADD COLUMN auto_topup_retry_at INTEGER;
ALTER TABLE wallet ADD COLUMN alert_settings TEXT;
ALTER TABLE wallet ADD COLUMN alert_state TEXT NOT NULL DEFAULT '{"level":"ok","sequence":0}';
ALTER TABLE wallet ADD COLUMN closed_at INTEGER;
CREATE UNIQUE INDEX wallet_external_id ON wallet (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX wallet_currency ON wallet (currency, id);
CREATE INDEX wallet_status ON wallet (status, id);
CREATE INDEX wallet_retry ON wallet (auto_topup_retry_at, customer) WHERE auto_topup_retry_at IS NOT NULL;

-- `live` says whether the lot is loaded with its book. It is a column, not an expression in
-- the indexes, so that the frequent change of its parts touches no index.
CREATE TABLE new_lot (
    id           BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    external_id  TEXT,
    wallet       BLOB NOT NULL REFERENCES wallet (id),
    account      BLOB NOT NULL REFERENCES account (id),
    customer     BLOB NOT NULL REFERENCES customer (id),
    kind         TEXT NOT NULL,
    reason       TEXT NOT NULL,
    source       TEXT NOT NULL,
    priority     INTEGER,
    effective_at INTEGER NOT NULL,
    expires_at   INTEGER,
    created_at   INTEGER NOT NULL,
    amount       INTEGER NOT NULL,
    unpaid       INTEGER NOT NULL,
    lapses_at    INTEGER,
    paid_at      INTEGER,
    free         INTEGER NOT NULL,
    pinned       INTEGER NOT NULL,
    spent        INTEGER NOT NULL,
    expired      INTEGER NOT NULL,
    withdrawn    INTEGER NOT NULL,
    excess       INTEGER NOT NULL,
    cost         TEXT,
    voided_at    INTEGER,
    description  TEXT,
    metadata     TEXT NOT NULL,
    live         INTEGER NOT NULL CHECK (live = (free <> 0 OR pinned <> 0
                     OR (voided_at IS NULL AND (unpaid <> 0 OR kind = 'credit_line'))))
) STRICT;
INSERT INTO new_lot
    SELECT lot.id, NULL, lot.wallet, lot.account, account.customer, lot.kind, lot.reason, '"top_up"', lot.priority,
        lot.effective_at, lot.expires_at, lot.created_at, lot.amount, 0, NULL, NULL, lot.free, lot.pinned, lot.spent,
        lot.expired, lot.withdrawn, 0, NULL, lot.voided_at, lot.description, '{}', lot.live
    FROM lot LEFT JOIN account ON account.id = lot.account ORDER BY lot.id;
DROP TABLE lot;
ALTER TABLE new_lot RENAME TO lot;
CREATE UNIQUE INDEX lot_external_id ON lot (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX lot_live ON lot (customer) WHERE live = 1;
-- By customer within an instant: however many share one, they are gone through in pages.
CREATE INDEX lot_effective ON lot (effective_at, customer) WHERE live = 1;
CREATE INDEX lot_expiry ON lot (expires_at, customer) WHERE live = 1 AND expires_at IS NOT NULL;
CREATE INDEX lot_lapse ON lot (lapses_at, customer) WHERE live = 1 AND lapses_at IS NOT NULL AND unpaid <> 0;
CREATE INDEX lot_wallet ON lot (wallet, id);
CREATE INDEX lot_wallet_live ON lot (wallet, id) WHERE live = 1;
CREATE INDEX lot_customer ON lot (customer, id);

DROP INDEX consumer_key_expiry;
CREATE INDEX consumer_key_expiry ON consumer_key (expires_at, customer)
    WHERE revoked_at IS NULL AND expires_at IS NOT NULL;

-- The journal. Nothing in it is ever changed; corrections are new entries. An account's
-- entries are numbered from 1, and each has the hash of itself and of all before it.
CREATE TABLE new_entry (
    account    BLOB NOT NULL REFERENCES account (id),
    number     INTEGER NOT NULL,
    id         BLOB NOT NULL CHECK (length(id) = 16),
    kind       TEXT NOT NULL,
    reason     TEXT NOT NULL,
    booked_at  INTEGER NOT NULL,
    usage_from INTEGER,
    wallet     BLOB REFERENCES wallet (id),
    lease      BLOB REFERENCES lease (id),
    actor      TEXT NOT NULL,
    note       TEXT,
    fact       TEXT,
    hash       BLOB NOT NULL CHECK (length(hash) = 32),
    -- The lot that its fact is about.
    fact_lot   TEXT GENERATED ALWAYS AS (fact ->> '$.lot') VIRTUAL,
    PRIMARY KEY (account, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE new_posting (
    account        BLOB NOT NULL,
    entry          INTEGER NOT NULL,
    line           INTEGER NOT NULL,
    ledger_account TEXT NOT NULL,
    amount         INTEGER NOT NULL,
    PRIMARY KEY (account, entry, line),
    FOREIGN KEY (account, entry) REFERENCES entry (account, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE new_draw (
    account BLOB NOT NULL,
    entry   INTEGER NOT NULL,
    line    INTEGER NOT NULL,
    lot     BLOB NOT NULL REFERENCES lot (id),
    amount  INTEGER NOT NULL,
    PRIMARY KEY (account, entry, line),
    FOREIGN KEY (account, entry) REFERENCES entry (account, number)
) STRICT, WITHOUT ROWID;

-- Credit that is wanted for something else than requests.
CREATE TABLE claim (
    id         BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    wallet     BLOB NOT NULL REFERENCES wallet (id),
    account    BLOB NOT NULL REFERENCES account (id),
    customer   BLOB NOT NULL REFERENCES customer (id),
    purpose    TEXT NOT NULL,
    lots       TEXT NOT NULL,
    reason     TEXT NOT NULL,
    note       TEXT,
    actor      TEXT NOT NULL,
    asked      INTEGER NOT NULL,
    done       INTEGER NOT NULL,
    short      INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    closed_at  INTEGER
) STRICT;
CREATE INDEX claim_open ON claim (customer) WHERE closed_at IS NULL;
CREATE INDEX claim_wallet ON claim (wallet, id);
CREATE INDEX claim_wallet_open ON claim (wallet, id) WHERE closed_at IS NULL;
CREATE INDEX claim_all_open ON claim (id) WHERE closed_at IS NULL;

CREATE TABLE plan (
    id          BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    external_id TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT,
    metadata    TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    archived_at INTEGER
) STRICT;
CREATE UNIQUE INDEX plan_external_id ON plan (external_id);

CREATE TABLE subscription (
    id           BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    external_id  TEXT,
    customer     BLOB NOT NULL REFERENCES customer (id),
    plan         BLOB NOT NULL REFERENCES plan (id),
    status       TEXT NOT NULL,
    billing      TEXT NOT NULL,
    started_at   INTEGER NOT NULL,
    paused_at    INTEGER,
    ends_at      INTEGER,
    ending       TEXT,
    cancelled_at INTEGER,
    metadata     TEXT NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX subscription_external_id ON subscription (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX subscription_live ON subscription (customer) WHERE status <> 'cancelled';
CREATE INDEX subscription_customer ON subscription (customer, id);
CREATE INDEX subscription_plan ON subscription (plan, id);
CREATE INDEX subscription_plan_status ON subscription (plan, status, id);
CREATE INDEX subscription_status ON subscription (status, id);
CREATE INDEX subscription_end ON subscription (ends_at, customer) WHERE status <> 'cancelled' AND ends_at IS NOT NULL;

-- Templates for lots, of all scopes. `owner` is the plan, the subscription or the customer;
-- `customer` is none for a plan's.
CREATE TABLE credit_grant (
    id             BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    external_id    TEXT,
    customer       BLOB REFERENCES customer (id),
    scope          TEXT NOT NULL CHECK (scope IN ('PLAN', 'SUBSCRIPTION', 'CUSTOMER')),
    owner          BLOB NOT NULL CHECK (length(owner) = 16),
    name           TEXT NOT NULL,
    credits        TEXT NOT NULL,
    currency       TEXT NOT NULL,
    cadence        TEXT NOT NULL,
    anchor         INTEGER,
    expiry         TEXT NOT NULL,
    rollover       TEXT,
    priority       INTEGER,
    is_promotional INTEGER NOT NULL,
    metadata       TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    archived_at    INTEGER
) STRICT;
CREATE UNIQUE INDEX credit_grant_external_id ON credit_grant (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX credit_grant_live ON credit_grant (customer) WHERE archived_at IS NULL;
CREATE INDEX credit_grant_of_plans ON credit_grant (id) WHERE scope = 'PLAN';
CREATE INDEX credit_grant_owner ON credit_grant (owner, id);

-- Where a grant stands with one subscription; an empty one for a customer's grant.
CREATE TABLE grant_schedule (
    grant_id     BLOB NOT NULL REFERENCES credit_grant (id),
    subscription BLOB NOT NULL,
    customer     BLOB NOT NULL REFERENCES customer (id),
    began_at     INTEGER NOT NULL,
    "offset"     INTEGER NOT NULL,
    occurrence   INTEGER NOT NULL,
    next_at      INTEGER,
    PRIMARY KEY (grant_id, subscription)
) STRICT, WITHOUT ROWID;
CREATE INDEX grant_schedule_live ON grant_schedule (customer) WHERE next_at IS NOT NULL;
CREATE INDEX grant_schedule_next ON grant_schedule (next_at, customer) WHERE next_at IS NOT NULL;

CREATE TABLE grant_application (
    id            BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    grant_id      BLOB NOT NULL REFERENCES credit_grant (id),
    subscription  BLOB REFERENCES subscription (id),
    customer      BLOB NOT NULL REFERENCES customer (id),
    occurrence    INTEGER NOT NULL,
    scheduled_for INTEGER NOT NULL,
    state         TEXT NOT NULL,
    cause         TEXT,
    attempts      INTEGER NOT NULL,
    retry_at      INTEGER,
    wallet        BLOB REFERENCES wallet (id),
    lot           BLOB REFERENCES lot (id),
    amount        INTEGER NOT NULL,
    rolled_over   INTEGER NOT NULL,
    carried       INTEGER NOT NULL,
    decided_at    INTEGER NOT NULL
) STRICT;
-- Each happens once.
CREATE UNIQUE INDEX grant_application_once ON grant_application (grant_id, coalesce(subscription, x''), occurrence);
CREATE INDEX grant_application_live ON grant_application (customer) WHERE retry_at IS NOT NULL;
CREATE INDEX grant_application_retry ON grant_application (retry_at, customer) WHERE retry_at IS NOT NULL;
CREATE INDEX grant_application_customer ON grant_application (customer, id);
CREATE INDEX grant_application_subscription ON grant_application (subscription, id) WHERE subscription IS NOT NULL;
CREATE INDEX grant_application_grant ON grant_application (grant_id, id);
CREATE INDEX grant_application_grant_state ON grant_application (grant_id, state, id);
CREATE INDEX grant_application_state ON grant_application (state, id);

-- Where webhooks are sent. One that is gone is kept for its deliveries; its name is free again.
CREATE TABLE endpoint (
    id              BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    external_id     TEXT,
    url             TEXT NOT NULL,
    description     TEXT,
    events          TEXT NOT NULL,
    secrets         TEXT NOT NULL,
    status          TEXT NOT NULL,
    disabled_reason TEXT,
    failing_since   INTEGER,
    metadata        TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    deleted_at      INTEGER
) STRICT;
CREATE UNIQUE INDEX endpoint_external_id ON endpoint (external_id) WHERE external_id IS NOT NULL AND deleted_at IS NULL;

CREATE TABLE event (
    id       BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    kind     TEXT NOT NULL,
    at       INTEGER NOT NULL,
    customer BLOB REFERENCES customer (id),
    data     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX event_at ON event (at, id);
CREATE INDEX event_customer ON event (customer, at, id) WHERE customer IS NOT NULL;
CREATE INDEX event_kind ON event (kind, at, id);

CREATE TABLE delivery (
    id          BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    event       BLOB NOT NULL REFERENCES event (id),
    kind        TEXT NOT NULL,
    endpoint    BLOB NOT NULL REFERENCES endpoint (id),
    state       TEXT NOT NULL,
    attempts    INTEGER NOT NULL,
    next_at     INTEGER,
    last_at     INTEGER,
    last_status INTEGER,
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX delivery_due ON delivery (endpoint, next_at, event, id) WHERE state = 'pending' AND next_at IS NOT NULL;
CREATE INDEX delivery_pending ON delivery (created_at) WHERE state = 'pending';
CREATE INDEX delivery_endpoint ON delivery (endpoint, id);
CREATE INDEX delivery_endpoint_state ON delivery (endpoint, state, id);
CREATE INDEX delivery_event ON delivery (event, id);
CREATE INDEX delivery_state ON delivery (state, id);

CREATE TABLE attempt (
    delivery    BLOB NOT NULL REFERENCES delivery (id),
    number      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    status      INTEGER,
    error       TEXT,
    response    TEXT,
    duration_ms INTEGER NOT NULL,
    PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;

-- Who changed what.
CREATE TABLE audit (
    id       BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    action   TEXT NOT NULL,
    customer BLOB CHECK (length(customer) = 16),
    subject  TEXT,
    reason   TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_actor ON audit (actor, at, id);
CREATE INDEX audit_action ON audit (action, at, id);
CREATE INDEX audit_customer ON audit (customer, at, id) WHERE customer IS NOT NULL;
CREATE INDEX audit_subject ON audit (subject, at, id) WHERE subject IS NOT NULL;

-- Events are forgotten one day, with their deliveries and attempts; the audit log never.
CREATE TRIGGER event_is_not_changed BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END;
CREATE TRIGGER attempt_is_not_changed BEFORE UPDATE ON attempt BEGIN SELECT RAISE(ABORT, 'an attempt is never changed'); END;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
