-- The books of an installation.
--
-- Money is counted in INTEGER smallest units. Ids are 16 bytes, big end first, so that they
-- sort as they were drawn. Instants are milliseconds of UTC since 1970. Unsigned 64-bit
-- numbers that gateways or chance draw (lease numbers, epoch) are stored by bit pattern.
-- Small things that are only read whole (pins, waiters, a hold, a resolution, metadata) are JSON.

CREATE TABLE meta (
    id               INTEGER PRIMARY KEY CHECK (id = 1),
    epoch            INTEGER NOT NULL,
    config_version   INTEGER NOT NULL,
    -- Grows with each change of the registry's tables; tells caches that they are old.
    registry_version INTEGER NOT NULL,
    -- The largest change number given to a lease.
    last_change      INTEGER NOT NULL,
    settings         TEXT NOT NULL
) STRICT;

CREATE TABLE currency (
    code       TEXT PRIMARY KEY NOT NULL,
    scale      INTEGER NOT NULL CHECK (scale BETWEEN 0 AND 9),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE gateway (
    id          BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    external_id TEXT NOT NULL,
    name        TEXT,
    rate_card   TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX gateway_external_id ON gateway (external_id);

CREATE TABLE gateway_key (
    id         BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    gateway    BLOB NOT NULL REFERENCES gateway (id),
    hash       BLOB NOT NULL CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX gateway_key_hash ON gateway_key (hash);

CREATE TABLE operator_key (
    id         BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name       TEXT,
    role       TEXT NOT NULL,
    hash       BLOB NOT NULL CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX operator_key_hash ON operator_key (hash);

-- Every version ever published; a request settles by the version that admitted it.
CREATE TABLE rate_card (
    name       TEXT NOT NULL,
    version    INTEGER NOT NULL,
    document   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (name, version)
) STRICT;

CREATE TABLE instance (
    id            BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    gateway       BLOB NOT NULL REFERENCES gateway (id),
    state         TEXT NOT NULL,
    reason        TEXT,
    first_seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE customer (
    id                 BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    external_id        TEXT NOT NULL,
    name               TEXT,
    time_zone          TEXT NOT NULL,
    status             TEXT NOT NULL,
    mode               TEXT NOT NULL,
    credential_version INTEGER NOT NULL,
    metadata           TEXT NOT NULL,
    created_at         INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX customer_external_id ON customer (external_id);

-- The balances are the cache of the postings; `creditgate verify` compares them.
CREATE TABLE account (
    id           BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    customer     BLOB NOT NULL REFERENCES customer (id),
    currency     TEXT NOT NULL,
    scale        INTEGER NOT NULL CHECK (scale BETWEEN 0 AND 9),
    version      INTEGER NOT NULL,
    last_instant INTEGER NOT NULL,
    funding      INTEGER NOT NULL,
    available    INTEGER NOT NULL,
    lent         INTEGER NOT NULL,
    quarantined  INTEGER NOT NULL,
    spent        INTEGER NOT NULL,
    unattributed INTEGER NOT NULL,
    expired      INTEGER NOT NULL,
    withdrawn    INTEGER NOT NULL,
    debt         INTEGER NOT NULL,
    lease_loss   INTEGER NOT NULL,
    waiters      TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX account_customer_currency ON account (customer, currency);

CREATE TABLE wallet (
    id              BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    customer        BLOB NOT NULL REFERENCES customer (id),
    account         BLOB NOT NULL REFERENCES account (id),
    name            TEXT,
    currency        TEXT NOT NULL,
    wallet_type     TEXT NOT NULL,
    status          TEXT NOT NULL,
    conversion_rate TEXT NOT NULL,
    metadata        TEXT NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX wallet_customer ON wallet (customer);

-- `live` says whether the lot is loaded with its book. It is a column, not an expression in
-- the indexes, so that the frequent change of its parts touches no index.
CREATE TABLE lot (
    id           BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    wallet       BLOB NOT NULL REFERENCES wallet (id),
    account      BLOB NOT NULL REFERENCES account (id),
    kind         TEXT NOT NULL,
    reason       TEXT NOT NULL,
    priority     INTEGER,
    effective_at INTEGER NOT NULL,
    expires_at   INTEGER,
    created_at   INTEGER NOT NULL,
    amount       INTEGER NOT NULL,
    free         INTEGER NOT NULL,
    pinned       INTEGER NOT NULL,
    spent        INTEGER NOT NULL,
    expired      INTEGER NOT NULL,
    withdrawn    INTEGER NOT NULL,
    voided_at    INTEGER,
    description  TEXT,
    live         INTEGER NOT NULL CHECK (live = (free <> 0 OR pinned <> 0))
) STRICT;
CREATE INDEX lot_live ON lot (account) WHERE live = 1;
CREATE INDEX lot_effective ON lot (effective_at) WHERE live = 1;
CREATE INDEX lot_expiry ON lot (expires_at) WHERE live = 1 AND expires_at IS NOT NULL;
CREATE INDEX lot_wallet ON lot (wallet, id);
CREATE INDEX lot_account ON lot (account, id);

CREATE TABLE lease (
    id                        BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    account                   BLOB NOT NULL REFERENCES account (id),
    instance                  BLOB NOT NULL CHECK (length(instance) = 16),
    number                    INTEGER NOT NULL,
    state                     TEXT NOT NULL,
    newest                    INTEGER NOT NULL,
    granted                   INTEGER NOT NULL,
    returned                  INTEGER NOT NULL,
    reserved                  INTEGER NOT NULL,
    released                  INTEGER NOT NULL,
    settled                   INTEGER NOT NULL,
    pins                      TEXT NOT NULL,
    told_ceiling              INTEGER,
    told_need                 INTEGER,
    recall                    INTEGER NOT NULL,
    protection_until_reserved INTEGER,
    protection_until          INTEGER,
    burn_per_second           INTEGER NOT NULL,
    opened_at                 INTEGER NOT NULL,
    reported_at               INTEGER NOT NULL,
    quarantined_at            INTEGER,
    quarantine_cause          TEXT,
    hold                      TEXT,
    resolution                TEXT,
    pushes                    INTEGER NOT NULL,
    -- The number of its latest change that its gateway must hear of; zero if there was none.
    change_no                 INTEGER NOT NULL,
    live                      INTEGER NOT NULL CHECK (live = (state <> 'closed' OR newest <> 0))
) STRICT;
CREATE UNIQUE INDEX lease_named ON lease (account, instance, number);
CREATE INDEX lease_live ON lease (account) WHERE live = 1;
CREATE INDEX lease_changes ON lease (instance, change_no);
CREATE INDEX lease_instance ON lease (instance, id);
CREATE INDEX lease_account ON lease (account, id);
CREATE INDEX lease_state ON lease (state, id) WHERE state <> 'closed';
CREATE INDEX lease_outstanding ON lease (instance) WHERE state <> 'closed';
CREATE INDEX lease_overdue ON lease (instance, reported_at) WHERE live = 1 AND granted - returned - settled > 0;
CREATE INDEX lease_quarantined ON lease (quarantined_at, id) WHERE state = 'quarantined' AND hold IS NULL;

CREATE TABLE consumer_key (
    id         BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    customer   BLOB NOT NULL REFERENCES customer (id),
    name       TEXT,
    hash       BLOB NOT NULL CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE UNIQUE INDEX consumer_key_hash ON consumer_key (hash);
CREATE INDEX consumer_key_customer ON consumer_key (customer, id);
CREATE INDEX consumer_key_expiry ON consumer_key (expires_at) WHERE revoked_at IS NULL AND expires_at IS NOT NULL;

-- The journal. Nothing in it is ever changed; corrections are new entries.
CREATE TABLE entry (
    account    BLOB NOT NULL REFERENCES account (id),
    id         BLOB NOT NULL CHECK (length(id) = 16),
    kind       TEXT NOT NULL,
    reason     TEXT NOT NULL,
    booked_at  INTEGER NOT NULL,
    usage_from INTEGER,
    wallet     BLOB REFERENCES wallet (id),
    lease      BLOB REFERENCES lease (id),
    actor      TEXT NOT NULL,
    note       TEXT,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE posting (
    account        BLOB NOT NULL,
    entry          BLOB NOT NULL,
    line           INTEGER NOT NULL,
    ledger_account TEXT NOT NULL,
    amount         INTEGER NOT NULL,
    PRIMARY KEY (account, entry, line),
    FOREIGN KEY (account, entry) REFERENCES entry (account, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE draw (
    account BLOB NOT NULL,
    entry   BLOB NOT NULL,
    line    INTEGER NOT NULL,
    lot     BLOB NOT NULL REFERENCES lot (id),
    amount  INTEGER NOT NULL,
    PRIMARY KEY (account, entry, line),
    FOREIGN KEY (account, entry) REFERENCES entry (account, id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER entry_is_not_changed BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER entry_is_not_deleted BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER posting_is_not_changed BEFORE UPDATE ON posting BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER posting_is_not_deleted BEFORE DELETE ON posting BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER draw_is_not_changed BEFORE UPDATE ON draw BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER draw_is_not_deleted BEFORE DELETE ON draw BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

-- What writes with an idempotency key were answered, byte for byte.
CREATE TABLE answer (
    principal   TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    status      INTEGER NOT NULL,
    body        BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (principal, key)
) STRICT;
CREATE INDEX answer_by_age ON answer (created_at);
