-- Usage detail, by day; and what leads from an access log to leases and their entries.

-- What of it is absent is empty: a model of '', a key of x''. `day` counts from 1970-01-01, UTC.
CREATE TABLE usage_detail (
    account            BLOB NOT NULL REFERENCES account (id),
    day                INTEGER NOT NULL,
    model              TEXT NOT NULL,
    rule               TEXT NOT NULL,
    key                BLOB NOT NULL,
    rate_card          TEXT NOT NULL,
    card_version       INTEGER NOT NULL,
    status             TEXT NOT NULL,
    settled_by         TEXT NOT NULL,
    customer           BLOB NOT NULL REFERENCES customer (id),
    cost               INTEGER NOT NULL CHECK (cost >= 0),
    requests           INTEGER NOT NULL,
    request_bytes      INTEGER NOT NULL,
    response_bytes     INTEGER NOT NULL,
    duration_ms        INTEGER NOT NULL,
    units              INTEGER NOT NULL,
    input_tokens        INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    cache_write_tokens  INTEGER NOT NULL,
    output_tokens       INTEGER NOT NULL,
    reasoning_tokens    INTEGER NOT NULL,
    audio_input_tokens  INTEGER NOT NULL,
    audio_output_tokens INTEGER NOT NULL,
    image_tokens        INTEGER NOT NULL,
    PRIMARY KEY (account, day, model, rule, key, rate_card, card_version, status, settled_by)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_detail_day ON usage_detail (day);
CREATE INDEX usage_detail_customer ON usage_detail (customer, day);
CREATE INDEX usage_detail_key ON usage_detail (key, day);
CREATE INDEX usage_detail_rule ON usage_detail (rule, day);
CREATE INDEX usage_detail_model ON usage_detail (model, day);

-- All that was ever in an account's rows; some of these are forgotten.
CREATE TABLE usage_total (
    account   BLOB PRIMARY KEY NOT NULL REFERENCES account (id),
    cost      INTEGER NOT NULL,
    forgotten INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The last batch of each worker of a gateway's process.
CREATE TABLE usage_source (
    instance BLOB NOT NULL CHECK (length(instance) = 16),
    worker   INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    heard_at INTEGER NOT NULL,
    PRIMARY KEY (instance, worker)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_source_heard ON usage_source (heard_at);

CREATE INDEX lease_number ON lease (instance, number);
CREATE INDEX entry_lease ON entry (lease, number) WHERE lease IS NOT NULL;
