//! Whatever someone changes behind the service's back, `verify` finds it: any row and any column
//! of the journal, and of other rows all that the journal tells.

use creditgate::storage::sqlite;
use creditgate::verify::verify;
use creditgate_ledger::verify::Finding;
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::desk::{Desk, Sqlite};
use crate::lively::{ONE, lively};

/// Changes a database behind its back; what may not be changed is first made changeable.
pub(crate) fn tamper(desk: &Desk<Sqlite>, sql: &str) {
    open(desk).execute_batch(sql).unwrap();
}

fn open(desk: &Desk<Sqlite>) -> Connection {
    let connection = Connection::open(desk.backend.path()).unwrap();
    changeable(&connection);
    connection
}

fn changeable(connection: &Connection) {
    for table in ["entry", "posting", "draw"] {
        let drop = format!(
            "DROP TRIGGER IF EXISTS {table}_is_not_changed; DROP TRIGGER IF EXISTS {table}_is_not_deleted;"
        );
        connection.execute_batch(&drop).unwrap();
    }
    connection
        .execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;")
        .unwrap();
}

fn findings(desk: &Desk<Sqlite>) -> Vec<Finding> {
    let reader = sqlite::open_reader(&desk.backend.path()).unwrap();
    verify(&reader).unwrap()
}

fn scene() -> Desk<Sqlite> {
    let mut desk = Desk::<Sqlite>::new();
    lively(&mut desk, "acme");
    desk
}

/// Tampers, and checks that a finding of this invariant speaks of it.
pub(crate) fn finds(sql: &str, invariant: u8, subject: &str, problem: &str) {
    let desk = scene();
    tamper(&desk, sql);
    let findings = findings(&desk);
    let named = findings.iter().any(|finding| {
        finding.invariant == invariant
            && finding.subject.starts_with(subject)
            && finding.problem.contains(problem)
    });
    assert!(
        named,
        "{sql}\nexpected {invariant} {subject}… {problem:?}, found {findings:#?}"
    );
}

/// A table's columns, and its rows by their keys, all as SQL.
struct Table {
    name: &'static str,
    columns: Vec<String>,
    rows: Vec<String>,
}

impl Table {
    fn of(connection: &Connection, name: &'static str) -> Self {
        let sql = "SELECT name, pk FROM pragma_table_info(?1)";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([name], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        });
        let columns: Vec<(String, i64)> = rows.unwrap().map(Result::unwrap).collect();
        let key = columns.iter().filter(|(_, key)| *key > 0);
        let key: Vec<String> = key.map(|(name, _)| name.clone()).collect();
        let columns = columns.into_iter().map(|(name, _)| name).collect();
        let names = key.join(", ");
        let sql = format!("SELECT {names} FROM {name} ORDER BY {names}");
        let mut statement = connection.prepare(&sql).unwrap();
        let rows = statement.query_map([], |row| {
            let fields = key.iter().enumerate().map(|(place, name)| {
                let value: Value = row.get(place)?;
                Ok(format!("{name} = {}", literal(&value)))
            });
            Ok(fields
                .collect::<Result<Vec<_>, rusqlite::Error>>()?
                .join(" AND "))
        });
        let rows = rows.unwrap().map(Result::unwrap).collect();
        Self {
            name,
            columns,
            rows,
        }
    }

    /// A few rows, the first and the last among them.
    fn some(&self) -> impl Iterator<Item = &String> {
        let last = self.rows.len() - 1;
        let step = (last / 4).max(1);
        let some = self.rows.iter().enumerate();
        some.filter(move |(place, _)| place % step == 0 || *place == last)
            .map(|(_, row)| row)
    }

    /// Each of some columns in some rows changed to something else that it could hold.
    fn edits(&self, connection: &Connection, columns: &[&str]) -> Vec<String> {
        let table = self.name;
        let mut edits = Vec::new();
        for column in columns {
            assert!(self.columns.iter().any(|known| known == column), "{column}");
            for row in self.some() {
                let sql = format!("SELECT {column} FROM {table} WHERE {row}");
                let value: Value = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
                let other = other(&value).into_iter().find(|other| {
                    let sql = format!("UPDATE {table} SET {column} = {other} WHERE {row}");
                    let tried = connection.execute_batch(&format!("SAVEPOINT try; {sql}"));
                    connection
                        .execute_batch("ROLLBACK TO try; RELEASE try")
                        .unwrap();
                    tried.is_ok()
                });
                let other = other.unwrap_or_else(|| panic!("{column} of {table} where {row}"));
                edits.push(format!("UPDATE {table} SET {column} = {other} WHERE {row}"));
            }
        }
        edits
    }

    fn removals(&self) -> Vec<String> {
        let rows = self.rows.iter();
        rows.map(|row| format!("DELETE FROM {} WHERE {row}", self.name))
            .collect()
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Blob(bytes) => {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            format!("x'{}'", digits.collect::<String>())
        }
    }
}

/// What a field could hold instead; of what holds nothing, whatever it may take.
fn other(value: &Value) -> Vec<String> {
    match value {
        Value::Null => ["7", "'x'", "x'07070707070707070707070707070707'"]
            .map(str::to_owned)
            .to_vec(),
        Value::Integer(number) => [1, 1_000].map(|more| (number + more).to_string()).to_vec(),
        Value::Real(_) => vec!["0.5".to_owned()],
        Value::Text(text) => {
            // What must be JSON can't be just anything.
            let digit = text.replacen('1', "2", 1);
            let digit = if digit == *text {
                "null".to_owned()
            } else {
                digit
            };
            vec![
                literal(&Value::Text(format!("{text}x"))),
                literal(&Value::Text(digit)),
            ]
        }
        Value::Blob(bytes) => {
            let mut bytes = bytes.clone();
            *bytes.last_mut().unwrap() ^= 1;
            vec![literal(&Value::Blob(bytes))]
        }
    }
}

/// Carries out each attack on a copy of one database, and expects findings each time.
fn each_is_found(attacks: impl FnOnce(&Connection) -> Vec<String>) {
    let desk = scene();
    assert_eq!(findings(&desk), []);
    let connection = open(&desk);
    let attacks = attacks(&connection);
    assert!(attacks.len() > 3, "{attacks:?}");
    connection
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let copies = tempfile::tempdir().unwrap();
    let mut missed = Vec::new();
    for (number, attack) in attacks.into_iter().enumerate() {
        let copy = copies.path().join(format!("{number}.db"));
        std::fs::copy(desk.backend.path(), &copy).unwrap();
        let attacked = Connection::open(&copy).unwrap();
        changeable(&attacked);
        attacked.execute_batch(&attack).unwrap();
        assert_ne!(attacked.changes(), 0, "{attack}");
        if verify(&sqlite::open_reader(&copy).unwrap())
            .unwrap()
            .is_empty()
        {
            missed.push(attack);
        }
    }
    assert_eq!(missed, Vec::<String>::new());
}

#[test]
fn every_edited_field_of_the_journal_is_found() {
    each_is_found(|connection| {
        let entry = [
            "account",
            "number",
            "id",
            "kind",
            "reason",
            "booked_at",
            "usage_from",
            "wallet",
            "lease",
            "actor",
            "note",
            "fact",
            "hash",
        ];
        let lines = ["account", "entry", "amount"];
        let mut edits = Table::of(connection, "entry").edits(connection, &entry);
        edits.extend(Table::of(connection, "posting").edits(connection, &lines));
        edits.extend(Table::of(connection, "posting").edits(connection, &["ledger_account"]));
        edits.extend(Table::of(connection, "draw").edits(connection, &lines));
        edits.extend(Table::of(connection, "draw").edits(connection, &["lot"]));
        edits
    });
}

#[test]
fn no_column_of_the_journal_is_left_out() {
    let desk = scene();
    let connection = open(&desk);
    let count = |name| Table::of(&connection, name).columns.len();
    // Of a line only its place among the others is not told apart by its number.
    assert_eq!(
        [count("entry"), count("posting"), count("draw")],
        [13, 5, 5]
    );
}

#[test]
fn every_removed_row_of_the_journal_is_found() {
    each_is_found(|connection| {
        let entries = Table::of(connection, "entry").rows;
        let whole = entries.iter().map(|row| {
            let lines = row.replace("number =", "entry =");
            format!(
                "DELETE FROM posting WHERE {lines}; DELETE FROM draw WHERE {lines}; DELETE FROM entry WHERE {row}"
            )
        });
        let mut removals: Vec<String> = whole.collect();
        removals.extend(Table::of(connection, "posting").removals());
        removals.extend(Table::of(connection, "draw").removals());
        removals
    });
}

#[test]
fn reordered_entries_are_found() {
    each_is_found(|connection| {
        let mut statement = connection
            .prepare("SELECT hex(account), number FROM entry")
            .unwrap();
        let rows = statement.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        });
        let rows: Vec<(String, i64)> = rows.unwrap().map(Result::unwrap).collect();
        let pairs = rows.windows(2).filter(|pair| pair[0].0 == pair[1].0);
        pairs
            .flat_map(|pair| {
                let (account, one) = &pair[0];
                let swap = |table, column: &str| {
                    format!(
                        "UPDATE {table} SET {column} = -{column} WHERE account = x'{account}' AND {column} IN ({one}, {one} + 1);
                         UPDATE {table} SET {column} = 2 * {one} + 1 + {column} WHERE account = x'{account}' AND {column} < 0;"
                    )
                };
                let moved = format!("{}{}{}", swap("posting", "entry"), swap("draw", "entry"), swap("entry", "number"));
                // The hashes at their old places, as if nothing had moved.
                let hidden = format!(
                    "{moved} UPDATE entry SET hash = (SELECT other.hash FROM entry AS other
                        WHERE other.account = entry.account AND other.number = 2 * {one} + 1 - entry.number)
                     WHERE account = x'{account}' AND number IN ({one}, {one} + 1)"
                );
                [moved, hidden]
            })
            .collect()
    });
}

#[test]
fn reordered_lines_of_an_entry_are_found() {
    let lines = "SELECT account, entry FROM posting GROUP BY 1, 2 HAVING count(*) = 2 LIMIT 5";
    let swap = format!(
        "UPDATE posting SET line = line - 5 WHERE (account, entry) IN ({lines});
         UPDATE posting SET line = -4 - line WHERE line < 0;"
    );
    finds(&swap, 12, "ent_", "its hash is not");
}

#[test]
fn added_entries_are_found() {
    let copy = |number: &str, id: &str| {
        format!(
            "INSERT INTO entry (account, number, id, kind, reason, booked_at, usage_from, wallet, lease, actor, note, fact, hash)
             SELECT account, {number}, {id}, kind, reason, booked_at, usage_from, wallet, lease, actor, note, fact, hash
             FROM entry WHERE kind = 'note' ORDER BY number DESC LIMIT 1"
        )
    };
    let id = "x'0fffffffffffffffffffffffffffffff'";
    finds(
        &copy("number + 100000", id),
        12,
        "ent_",
        "entries were removed, added or moved",
    );
    finds(&copy("-5", id), 12, "table entry", "below 1");
}

#[test]
fn journal_that_was_cut_off_is_found() {
    each_is_found(|connection| {
        let accounts = Table::of(connection, "account").rows;
        let cut = accounts.iter().flat_map(|account| {
            let of = account.replace("id =", "account =");
            [1, 2, 5].map(|count| {
                let from = format!("(SELECT chain_entries - {count} FROM account WHERE {account})");
                format!(
                    "DELETE FROM posting WHERE {of} AND entry > {from}; DELETE FROM draw WHERE {of} AND entry > {from};
                     DELETE FROM entry WHERE {of} AND number > {from};"
                )
            })
        });
        let cut: Vec<String> = cut.collect();
        // The account's row is made to agree with what is left.
        let hidden = cut.iter().map(|cut| {
            format!(
                "{cut} UPDATE account SET
                    chain_entries = (SELECT max(number) FROM entry WHERE account = account.id),
                    chain_head = (SELECT hash FROM entry WHERE account = account.id ORDER BY number DESC LIMIT 1)"
            )
        });
        hidden.chain(cut.clone()).collect()
    });
}

#[test]
fn every_edited_field_that_the_journal_tells_is_found() {
    each_is_found(|connection| {
        let told = [
            (
                "lot",
                [
                    "id",
                    "external_id",
                    "wallet",
                    "account",
                    "customer",
                    "kind",
                    "reason",
                    "source",
                    "priority",
                    "effective_at",
                    "expires_at",
                    "created_at",
                    "amount",
                    "unpaid",
                    "paid_at",
                    "free",
                    "pinned",
                    "spent",
                    "expired",
                    "withdrawn",
                    "excess",
                    "cost",
                    "voided_at",
                ]
                .as_slice(),
            ),
            (
                "account",
                &[
                    "id",
                    "customer",
                    "funding",
                    "available",
                    "lent",
                    "quarantined",
                    "spent",
                    "unattributed",
                    "expired",
                    "withdrawn",
                    "debt",
                    "lease_loss",
                    "credit_line",
                    "transferred",
                    "chain_entries",
                    "chain_head",
                ],
            ),
            (
                "wallet",
                &[
                    "id",
                    "customer",
                    "account",
                    "wallet_type",
                    "status",
                    "priority",
                    "conversion_rate",
                    "topup_conversion_rate",
                    "credit_limit",
                    "auto_topup",
                    "alert_settings",
                    "alert_state",
                ],
            ),
            (
                "claim",
                &[
                    "id",
                    "wallet",
                    "account",
                    "customer",
                    "purpose",
                    "lots",
                    "asked",
                    "done",
                    "short",
                    "created_at",
                    "closed_at",
                ],
            ),
            (
                "lease",
                &["id", "account", "state", "granted", "settled", "pins"],
            ),
        ];
        let edits = told
            .iter()
            .flat_map(|(table, columns)| Table::of(connection, table).edits(connection, columns));
        edits.collect()
    });
}

#[test]
fn every_removed_row_that_the_journal_tells_of_is_found() {
    each_is_found(|connection| {
        let tables = ["lot", "account", "wallet", "claim", "lease", "customer"];
        let removals = tables
            .iter()
            .flat_map(|table| Table::of(connection, table).removals());
        removals.collect()
    });
}

#[test]
fn rows_that_no_entry_made_are_found() {
    let lot = |parts: &str| {
        format!(
            "INSERT INTO lot SELECT x'0fffffffffffffffffffffffffffffff', NULL, wallet, account, customer, kind, reason, source,
                priority, effective_at, expires_at, created_at, {parts}, 0, cost, NULL, description, metadata, free <> 0
             FROM lot WHERE unpaid = 0 AND voided_at IS NULL ORDER BY free DESC LIMIT 1"
        )
    };
    let live = lot("amount, 0, NULL, NULL, amount, 0, 0, 0, 0");
    finds(&live, 7, "lot_0fffff", "it was never made or is used up");
    let used_up = lot("amount, 0, NULL, NULL, 0, 0, amount, 0, 0").replace("free <> 0", "0");
    finds(&used_up, 13, "acc_", "lots, but its journal makes");
    let claim = "INSERT INTO claim SELECT x'0fffffffffffffffffffffffffffffff', wallet, account, customer, purpose, lots,
            reason, note, actor, asked, done, short, created_at, closed_at
         FROM claim WHERE closed_at IS NOT NULL LIMIT 1";
    finds(claim, 13, "acc_", "claims, but its journal makes");
}

#[test]
fn credit_made_up_in_the_journal_and_in_the_rows_is_found() {
    // One top-up doubled in all its places but the hashes.
    let made = "(SELECT number FROM entry WHERE kind = 'top_up' ORDER BY number LIMIT 1)";
    let lot = format!("(SELECT lot FROM draw WHERE entry = {made})");
    let sql = format!(
        "UPDATE lot SET amount = amount + 1000, free = free + 1000 WHERE id = {lot};
         UPDATE account SET funding = funding - 1000, available = available + 1000 WHERE id = (SELECT account FROM lot WHERE id = {lot});
         UPDATE posting SET amount = amount + iif(amount < 0, -1000, 1000) WHERE entry = {made};
         UPDATE draw SET amount = amount + 1000 WHERE entry = {made};"
    );
    finds(&sql, 12, "ent_", "its hash is not");
}

#[test]
fn changed_use_of_a_lease_is_found() {
    let settled =
        "UPDATE lease SET settled = settled + 1, reserved = reserved + 1 WHERE number = 5";
    finds(settled, 11, "lse_", "settled counter");
    let unreserved = "UPDATE lease SET settled = settled + 1 WHERE number = 5";
    finds(unreserved, 4, "lse_", "out of order");
    let unpinned = "UPDATE lease SET pins = '[]' WHERE state = 'quarantined'";
    finds(unpinned, 7, "lse_", "pins do not sum");
    let granted = "UPDATE lease SET granted = granted + 1 WHERE number = 9";
    finds(granted, 3, "lse_", "out, but by the journal");
    // What comes back after a lease was decided over moves nothing.
    let returned = "UPDATE lease SET returned = returned + 1 WHERE resolution IS NULL";
    finds(returned, 3, "lse_", "out, but by the journal");
    let newest = "UPDATE lease SET newest = 1, live = 1 WHERE number = 5";
    finds(newest, 5, "lse_", "both the newest");
    let dead = "UPDATE lease SET live = 0 WHERE state = 'quarantined'";
    finds(
        dead,
        9,
        "the database file",
        "CHECK constraint failed in lease",
    );
    let change = "UPDATE lease SET change_no = 999999 WHERE number = 9";
    finds(change, 5, "table lease", "999999");
}

#[test]
fn edited_rates_of_a_wallet_are_found() {
    let dear = "UPDATE wallet SET conversion_rate = '100'";
    finds(dear, 13, "wal_", "its conversion rate is");
    let cheap = "UPDATE wallet SET topup_conversion_rate = '0.01'";
    finds(cheap, 13, "wal_", "its top-up conversion rate is");
}

#[test]
fn edited_terms_of_a_wallet_are_found() {
    let silent = "UPDATE wallet SET alert_settings = NULL";
    finds(silent, 13, "wal_", "its alerting is");
    let fills = r#"UPDATE wallet SET auto_topup =
        '{"enabled":true,"threshold":"9","fill":{"amount":"500"},"invoicing":false}'"#;
    finds(fills, 13, "wal_", "its auto top-up is");
}

#[test]
fn changed_balance_is_found() {
    let more = "UPDATE account SET spent = spent + 5";
    finds(more, 1, "acc_", "its balance of spent");
    finds(more, 1, "acc_", "do not sum to zero");
    let below = "UPDATE account SET available = -1";
    finds(below, 2, "acc_", "its balance of available is -1");
}

#[test]
fn lot_and_lease_of_history_are_held_against_the_journal() {
    let past = "WHERE id = (SELECT min(id) FROM lot WHERE live = 0)";
    let spent = format!("UPDATE lot SET spent = spent - 1 {past}");
    finds(&spent, 2, "lot_", "do not sum to its amount");
    finds(&spent, 7, "lot_", "its spent part is");
    let removed = "DELETE FROM lot WHERE live = 0";
    finds(removed, 7, "lot_", "the customer has no such lot");
    let removed = "DELETE FROM lease WHERE live = 0";
    finds(removed, 3, "lse_", "the customer has no such lease");
}

#[test]
fn changed_order_in_which_lots_burn_is_found() {
    let mut desk = Desk::<Sqlite>::new();
    let wallet = desk.funded("acme");
    let expiry = desk.now.plus_ms(10_000);
    let first = desk.top_up_dated(&wallet, 300, None, Some(expiry.0));
    desk.lend(&wallet, ONE, 5, 500);
    assert_eq!(findings(&desk), []);
    tamper(
        &desk,
        "UPDATE lot SET priority = 1000 WHERE expires_at IS NOT NULL",
    );
    let findings = findings(&desk);
    let [finding] = findings.as_slice() else {
        panic!("{findings:#?}")
    };
    assert_eq!(
        (finding.invariant, &finding.subject),
        (7, &first.id.to_string())
    );
}
