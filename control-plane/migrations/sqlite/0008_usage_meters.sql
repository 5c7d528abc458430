-- Units of usage detail by meter. Rows from before have only their sum, in usage_detail.units.
CREATE TABLE usage_meter (
    account      BLOB NOT NULL,
    day          INTEGER NOT NULL,
    model        TEXT NOT NULL,
    rule         TEXT NOT NULL,
    key          BLOB NOT NULL,
    rate_card    TEXT NOT NULL,
    card_version INTEGER NOT NULL,
    status       TEXT NOT NULL,
    settled_by   TEXT NOT NULL,
    meter        TEXT NOT NULL,
    metered      INTEGER NOT NULL,
    PRIMARY KEY (account, day, model, rule, key, rate_card, card_version, status, settled_by, meter),
    FOREIGN KEY (account, day, model, rule, key, rate_card, card_version, status, settled_by)
        REFERENCES usage_detail ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
