-- Every version of a customer's pricing is kept: access logs name the one that priced a request.
CREATE TABLE customer_pricing_version (
    customer   BLOB NOT NULL REFERENCES customer (id),
    version    INTEGER NOT NULL,
    document   TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (customer, version)
) STRICT, WITHOUT ROWID;
INSERT INTO customer_pricing_version (customer, version, document, changed_at)
    SELECT customer, version, document, changed_at FROM customer_pricing;
DROP TABLE customer_pricing;
