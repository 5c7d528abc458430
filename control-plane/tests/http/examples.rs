//! The examples of the OpenAPI document: what really happens, written down.
//!
//! Every operation is called once with a request that shows what it is for, and the answer
//! must be of the form of the one in `src/http/openapi/examples.json`; what chance draws is
//! written alike each time. So no example can be wrong, and every write has one that bad input is made from.
//!
//! After a change: `UPDATE_EXAMPLES=1 cargo nextest run -p creditgate --test http examples`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use axum::http::Method;
use creditgate_ledger::usage::Day;
use serde_json::{Map, Value, json};

use crate::plane::{ADMIN, Answer};
use crate::repeats::{WRITES, furnished};

/// Every look-up: the route, and a path if it has variable parts or a query.
pub(crate) const READS: &str = "
/v1/customers
/v1/customers/{id} /v1/customers/ada
/v1/customers/{id}/keys /v1/customers/ada/keys
/v1/customers/{id}/wallets /v1/customers/ada/wallets
/v1/customers/{id}/balance /v1/customers/ada/balance?currency=tokens
/v1/wallets/{id} /v1/wallets/{wallet}
/v1/wallets/{id}/balance /v1/wallets/{wallet}/balance
/v1/wallets/{id}/lots /v1/wallets/{wallet}/lots
/v1/wallets/{id}/transactions /v1/wallets/{wallet}/transactions?limit=2
/v1/usage /v1/usage?group_by=customer,day,rule,model,key,status_class,settled_by,rate_card_version
/v1/customers/{id}/usage /v1/customers/ada/usage
/v1/lots/{id} /v1/lots/{lot}
/v1/currencies
/v1/rate-cards
/v1/rate-cards/{name} /v1/rate-cards/n
/v1/rate-cards/{name}/versions /v1/rate-cards/edge/versions
/v1/customers/{id}/pricing /v1/customers/ada/pricing
/v1/customers/{id}/pricing/versions /v1/customers/ada/pricing/versions
/v1/gateways
/v1/gateways/{id} /v1/gateways/edge
/v1/gateways/{id}/keys /v1/gateways/edge/keys
/v1/instances
/v1/instances/{id} /v1/instances/{instance}
/v1/leases
/v1/leases/{id} /v1/leases/{lease}
/v1/leases/{id}/transactions /v1/leases/{lease}/transactions?kind=usage
/v1/operator-keys
/v1/settings
/v1/keys/{id} /v1/keys/{key}
/v1/customers/{id}/accounts /v1/customers/ada/accounts
/v1/accounts/{id} /v1/accounts/{account}
/v1/accounts/{id}/journal /v1/accounts/{account}/journal
/v1/audit /v1/audit?limit=2
/v1/wallets /v1/wallets?limit=1
/v1/wallets/{id}/breakdown /v1/wallets/{wallet}/breakdown
/v1/wallets/{id}/claims /v1/wallets/{wallet}/claims
/v1/claims/{id} /v1/claims/{claim}
/v1/lots/{id}/transactions /v1/lots/{lot}/transactions?limit=1
/v1/plans
/v1/plans/{id} /v1/plans/p
/v1/subscriptions
/v1/subscriptions/{id} /v1/subscriptions/s
/v1/subscriptions/{id}/upcoming-applications /v1/subscriptions/s/upcoming-applications?limit=1
/v1/customers/{id}/upcoming-applications /v1/customers/bob/upcoming-applications?limit=1
/v1/credit-grants
/v1/credit-grants/{id} /v1/credit-grants/g
/v1/credit-grant-applications /v1/credit-grant-applications?limit=1
/v1/credit-grant-applications/{id} /v1/credit-grant-applications/{application}
/v1/webhook-endpoints
/v1/webhook-endpoints/{id} /v1/webhook-endpoints/{endpoint}
/v1/webhook-endpoints/{id}/secret /v1/webhook-endpoints/{endpoint}/secret
/v1/webhook-deliveries /v1/webhook-deliveries?limit=1
/v1/webhook-deliveries/{id} /v1/webhook-deliveries/{delivery}
/v1/events /v1/events?limit=1
/v1/events/{id} /v1/events/{event}
";

/// One line of [`WRITES`].
pub(crate) struct Line<'a> {
    pub(crate) method: Method,
    pub(crate) route: &'a str,
    pub(crate) path: String,
    pub(crate) body: &'a str,
}

impl<'a> Line<'a> {
    /// Reads a line; `names` says what its placeholders stand for.
    pub(crate) fn read(line: &'a str, names: &[(&'static str, String)]) -> Self {
        let (head, body) = line.split_at(line.find(" {\"").or(line.find(" {}")).unwrap());
        let words: Vec<&str> = head.split(' ').collect();
        Self {
            method: words[0].parse().unwrap(),
            route: words[1],
            path: named(words.last().unwrap(), names),
            body: body.trim(),
        }
    }
}

pub(crate) fn named(text: &str, names: &[(&'static str, String)]) -> String {
    names
        .iter()
        .fold(text.to_owned(), |text, (name, id)| text.replace(name, id))
}

/// Writes what chance or the time of the run has drawn alike in every run.
#[derive(Default)]
struct Alike {
    seen: HashMap<String, String>,
}

impl Alike {
    fn value(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(name, value)| (name, self.value(value)))
                .collect(),
            other => other,
        }
    }

    fn text(&mut self, text: &str) -> String {
        let (prefix, rest) = text.split_once('_').unwrap_or(("", text));
        let is_hex = |length| rest.len() == length && rest.bytes().all(|b| b.is_ascii_hexdigit());
        let drawn = match prefix.len() {
            3 if is_hex(32) => "id",
            3 if prefix.starts_with("cg") && rest.len() > 20 => "key",
            5 if prefix == "whsec" => "secret",
            0 if is_hex(64) => "hash",
            _ if text.starts_with("http://127.0.0.1:") => {
                return "https://example.com/hooks".to_owned();
            }
            0 if text.parse::<Day>().is_ok() => return "2026-01-31".to_owned(),
            0 if is_instant(text) => return "2026-01-31T12:00:00.000Z".to_owned(),
            _ => return text.to_owned(),
        };
        let number = self.seen.len() + 1;
        let seen = self.seen.entry(text.to_owned());
        let alike = seen.or_insert_with(|| match drawn {
            "id" => format!("{prefix}_019c13a0000070008000{number:012x}"),
            "hash" => format!("{number:064x}"),
            "key" => format!("{prefix}_ExampleThatOpensNothing{number:04}"),
            _ => format!("{prefix}_RXhhbXBsZSB0aGF0IG9wZW5zIG5vdGhpbmc={number:04}"),
        });
        alike.clone()
    }
}

fn is_instant(text: &str) -> bool {
    text.len() == 24 && text.ends_with('Z') && creditgate_ledger::Timestamp::parse(text).is_ok()
}

fn example(alike: &mut Alike, request: Option<&str>, answer: Answer) -> Value {
    let mut example = json!({ "status": answer.status, "response": alike.value(answer.body) });
    if let Some(request) = request {
        example["request"] = alike.value(serde_json::from_str(request).unwrap());
    }
    example
}

/// What every operation of the operators' API was asked and answered.
async fn examples() -> BTreeMap<String, Value> {
    let (plane, _receiver, names) = furnished().await;
    let mut alike = Alike::default();
    let mut examples = BTreeMap::new();
    let mut tell = |operation: String, example: Value| {
        assert!(
            example["status"].as_u64().unwrap() < 300,
            "{operation}: {example}"
        );
        assert!(
            examples.insert(operation.clone(), example).is_none(),
            "{operation} is there twice"
        );
    };
    // What is looked up must not be deleted yet.
    let (deleting, writing): (Vec<&str>, Vec<&str>) = WRITES
        .trim()
        .lines()
        .partition(|line| line.starts_with("DELETE"));
    let lines = writing
        .into_iter()
        .map(|line| (true, line))
        .chain(READS.trim().lines().map(|line| (false, line)))
        .chain(deleting.into_iter().map(|line| (true, line)));
    for (is_write, line) in lines {
        if is_write {
            let line = Line::read(line, &names);
            let answer = plane
                .call(line.method.clone(), &line.path, ADMIN, line.body, &[])
                .await;
            let operation = format!("{} {}", line.method, line.route);
            tell(operation, example(&mut alike, Some(line.body), answer));
        } else {
            let words: Vec<&str> = line.split(' ').collect();
            let answer = plane.get(&named(words.last().unwrap(), &names)).await;
            let operation = format!("GET {}", words[0]);
            tell(operation, example(&mut alike, None, answer));
        }
    }
    examples
}

#[tokio::test]
async fn examples_of_the_document_are_what_really_happens() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/openapi/examples.json");
    let found = examples().await;
    let document: Value = serde_json::from_str(&creditgate::http::openapi_json()).unwrap();
    let mut lacking = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/v1/") || path.starts_with("/v1/gateway/") {
            continue;
        }
        let methods = item.as_object().unwrap().keys();
        let operations = methods.map(|method| format!("{} {path}", method.to_uppercase()));
        lacking.extend(operations.filter(|operation| !found.contains_key(operation)));
    }
    assert!(
        lacking.is_empty(),
        "operations without an example: {lacking:#?}"
    );
    let text = serde_json::to_string_pretty(&found).unwrap() + "\n";
    if std::env::var_os("UPDATE_EXAMPLES").is_some() {
        fs::write(&file, text).unwrap();
        return;
    }
    let kept: BTreeMap<String, Value> =
        serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    for (operation, example) in &found {
        let is_so = |kept: &Value| {
            let same = |part: &str| kept[part] == example[part];
            same("status") && same("request") && is_alike(&kept["response"], &example["response"])
        };
        assert!(
            kept.get(operation).is_some_and(is_so),
            "{operation}: {example}: if that is right, UPDATE_EXAMPLES=1 cargo nextest run -p creditgate --test http examples"
        );
    }
    assert_eq!(kept.len(), found.len(), "{} keeps too many", file.display());
}

/// Fields that jobs fill beside the test: a delivery may have been tried or not.
const FILLED_BY_JOBS: [&str; 5] = [
    "next_attempt_at",
    "last_attempt_at",
    "last_status",
    "failing_since",
    "attempt_log",
];

/// Whether two answers have the same fields with values of the same kind.
fn is_alike(kept: &Value, found: &Value) -> bool {
    match (kept, found) {
        (Value::Object(kept), Value::Object(found)) => {
            let is_alike = |(name, value): (&String, &Value)| {
                is_alike(value, &found[name]) || FILLED_BY_JOBS.contains(&name.as_str())
            };
            kept.keys().eq(found.keys()) && kept.iter().all(is_alike)
        }
        (Value::Array(kept), Value::Array(found)) => {
            let mut pairs = kept.iter().zip(found);
            let is_either_empty = kept.is_empty() != found.is_empty();
            !is_either_empty && pairs.all(|(kept, found)| is_alike(kept, found))
        }
        _ => std::mem::discriminant(kept) == std::mem::discriminant(found),
    }
}

#[test]
fn an_example_that_lost_a_value_is_noticed() {
    let kept = json!({ "a": "text", "rows": [{ "b": 1 }], "last_status": null });
    for (field, value, alike) in [
        ("a", json!("other"), true),
        ("a", Value::Null, false),
        ("a", json!(1), false),
        ("rows", json!([{ "b": 2 }, { "b": 3 }]), true),
        ("rows", json!([{ "b": null }]), false),
        ("rows", json!([]), false),
        ("last_status", json!(200), true),
        ("more", json!(1), false),
    ] {
        let mut found = kept.clone();
        found[field] = value;
        assert_eq!(is_alike(&kept, &found), alike, "{found}");
        assert_eq!(is_alike(&found, &kept), alike, "{found}");
    }
}

/// Every field of a body, with its JSON pointer, depth first.
fn fields(body: &Value, at: &str, found: &mut Vec<String>) {
    let Some(object) = body.as_object() else {
        return;
    };
    for (name, value) in object {
        let pointer = format!("{at}/{name}");
        fields(value, &pointer, found);
        found.push(pointer);
    }
}

fn with(body: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut body = body.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent: &mut Map<String, Value> =
        body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(name.to_owned(), value),
        None => parent.remove(name),
    };
    body
}

/// What jobs write meanwhile, which is not the requests' doing: how sending goes.
const WRITTEN_BY_JOBS: [&str; 4] = [
    "delivery.*",
    "attempt.*",
    "endpoint.failing_since",
    "meta.registry_version",
];

/// Whether a pointer names a field that is there, or one that is missed where it says.
fn leads_into(pointer: &str, body: &Value, code: &str) -> bool {
    let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    body.pointer(pointer).is_some() || code != "unknown_field" && body.pointer(parent).is_some()
}

/// Whatever is put in place of any field of any write's example: the answer is a problem that
/// points at a field and nothing was written, or the request was fine.
#[tokio::test]
async fn no_write_takes_nonsense_in_any_of_its_fields() {
    let (plane, _receiver, names) = furnished().await;
    let nonsense = [
        json!(true),
        json!(-7),
        json!(1e30),
        json!("\u{0}"),
        json!("9".repeat(70)),
        json!([[]]),
        json!({ "x": {} }),
    ];
    let dump = || plane.dump_without(&WRITTEN_BY_JOBS);
    let mut refused = 0;
    let mut before = dump();
    for line in WRITES.trim().lines() {
        let line = Line::read(line, &names);
        let example: Value = serde_json::from_str(line.body).unwrap();
        let mut pointers = Vec::new();
        fields(&example, "", &mut pointers);
        let mut bodies = vec![with(&example, "/no_such_field", Some(json!(1)))];
        for pointer in &pointers {
            bodies.push(with(&example, pointer, None));
            let put = |value: &Value| with(&example, pointer, Some(value.clone()));
            bodies.extend(nonsense.iter().map(put));
        }
        for body in bodies {
            let text = body.to_string();
            let answer = plane
                .call(line.method.clone(), &line.path, ADMIN, text.as_str(), &[])
                .await;
            let what = format!("{} {} {text}: {}", line.method, line.path, answer.body);
            assert!(answer.status < 500, "{what}");
            if answer.status < 300 {
                before = dump();
                continue;
            }
            refused += 1;
            assert!(!answer.code().is_empty(), "{what}");
            // No 422 here is about anything but the body.
            if answer.status == 422 {
                let pointer = answer.body["pointer"].as_str();
                let leads = pointer.is_some_and(|at| leads_into(at, &body, answer.code()));
                assert!(leads, "{what}");
            }
            assert_eq!(dump(), before, "{what}");
        }
    }
    assert!(refused > 100, "{refused}");
    plane.assert_clean();
}
