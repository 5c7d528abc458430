-- What a customer pays otherwise than the rate cards say; no row if it never had anything of the kind.
CREATE TABLE customer_pricing (
    customer   BLOB PRIMARY KEY REFERENCES customer (id),
    version    INTEGER NOT NULL,
    document   TEXT NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
