//! Usage detail: counted once whatever happens, and summed up as it is asked for.

use axum::http::Method;
use creditgate_core::amount::Amount;
use creditgate_core::detail::{Counts, OTHER, Row, SettledBy, StatusClass, Units};
use creditgate_core::id::AccountId;
use creditgate_core::key::credential_hash;
use creditgate_core::protocol::{USAGE_ROWS_MAX, UsageAnswer, UsageRequest};
use serde_json::{Value, json};

use crate::edge::{Edge, counters};
use crate::plane::{Answer, Plane};

pub(crate) const NOON: &str = "2026-03-01T12:00:00Z";

/// Customer ada with 1,000 units, of which so many were used in her one lease.
pub(crate) async fn used(plane: &Plane, amount: i64) -> (Edge, AccountId, String) {
    plane
        .post("/v1/currencies", json!({ "code": "units", "scale": 0 }))
        .await;
    plane.funded("ada", "units", "1000").await;
    let key = plane.key_of("ada").await;
    let mut edge = Edge::of(plane, "edge", "units").await;
    edge.poll(plane).await;
    let lent = edge.know(plane, &key, 1, 100).await.answer;
    let told = counters([lent.granted.get(), 0, amount, 0, amount]);
    edge.report(plane, &lent, told, 0).await;
    (edge, lent.account, key)
}

/// A request of a rule, and what it cost.
pub(crate) fn row(account: AccountId, key: &str, rule: &str, cost: i64) -> Row {
    let mut counts = [0; Counts::KINDS];
    (counts[0], counts[1], counts[5], counts[9]) = (1, 10, 7, 5);
    Row {
        account,
        credential: Some(credential_hash(key)),
        rule: rule.to_owned(),
        card_version: 1,
        model: None,
        status: StatusClass::of(200),
        settled_by: SettledBy::Price,
        cost: Amount::new(cost),
        counts: Counts::new(counts),
        units: Units::new(),
    }
}

async fn ask(edge: &Edge, plane: &Plane, number: u64, rows: Vec<Row>) -> Answer {
    let message = UsageRequest {
        hello: edge.hello.clone(),
        source: u64::MAX,
        number,
        rows,
    };
    edge.ask(plane, "usage", &message).await
}

/// Tells a batch; answers the number of the last one that is written.
pub(crate) async fn tell(edge: &Edge, plane: &Plane, number: u64, rows: Vec<Row>) -> u64 {
    let answer = ask(edge, plane, number, rows).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_slice::<UsageAnswer>(&answer.bytes)
        .unwrap()
        .number
}

pub(crate) async fn data(plane: &Plane, path: &str) -> Vec<Value> {
    let answer = plane.get(path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body["next_cursor"].is_null());
    answer.body["data"].as_array().unwrap().clone()
}

/// What of ada's spending is told: spent, attributed, unattributed.
async fn attribution(plane: &Plane) -> [String; 3] {
    let list = data(plane, "/v1/customers/ada/usage").await;
    ["spent", "attributed", "unattributed"].map(|part| list[0][part].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_batch_that_comes_again_is_counted_once() {
    let plane = Plane::at(NOON);
    let (edge, account, key) = used(&plane, 8).await;
    assert_eq!(attribution(&plane).await, ["8", "0", "8"]);
    let first = vec![row(account, &key, "ping", 5)];
    for _ in 0..3 {
        assert_eq!(tell(&edge, &plane, 1, first.clone()).await, 1);
    }
    let plane = plane.restart().await;
    assert_eq!(tell(&edge, &plane, 1, first.clone()).await, 1);
    assert_eq!(
        tell(&edge, &plane, 2, vec![row(account, &key, "report", 3)]).await,
        2
    );
    // Late: an answer of long ago made the gateway go on.
    assert_eq!(tell(&edge, &plane, 1, first).await, 2);
    assert_eq!(attribution(&plane).await, ["8", "8", "0"]);
    let sums = data(&plane, "/v1/usage").await;
    assert_eq!(
        (sums.len(), &sums[0]["cost"], &sums[0]["requests"]),
        (1, &json!("8"), &json!(2))
    );
    plane.assert_clean();
}

#[tokio::test]
async fn a_restored_database_counts_what_comes_after_its_backup_once() {
    let plane = Plane::start();
    let (edge, account, key) = used(&plane, 6).await;
    let batch = |cost| vec![row(account, &key, "ping", cost)];
    tell(&edge, &plane, 1, batch(1)).await;
    let backup = plane.backup();
    // These are in the database that is lost; of the last the gateway never heard.
    tell(&edge, &plane, 2, batch(2)).await;
    tell(&edge, &plane, 3, batch(3)).await;
    let plane = plane.restore(&backup).await;
    assert_eq!(attribution(&plane).await[1], "1");
    for _ in 0..2 {
        assert_eq!(tell(&edge, &plane, 3, batch(3)).await, 3);
    }
    assert_eq!(tell(&edge, &plane, 1, batch(1)).await, 3);
    assert_eq!(attribution(&plane).await[1], "4");
    plane.assert_clean();
}

#[tokio::test]
async fn detail_of_customers_whom_the_backup_does_not_know_is_left_out() {
    let plane = Plane::start();
    let (edge, account, key) = used(&plane, 6).await;
    let stranger = AccountId(account.0 + 1);
    let rows = vec![
        row(stranger, &key, "ping", 2),
        row(account, &key, "ping", 1),
    ];
    assert_eq!(tell(&edge, &plane, 1, rows).await, 1);
    assert_eq!(attribution(&plane).await, ["6", "1", "5"]);
}

#[tokio::test]
async fn detail_is_counted_to_the_day_it_comes_on() {
    let plane = Plane::at("2026-02-28T23:59:59Z");
    let (edge, account, key) = used(&plane, 6).await;
    tell(&edge, &plane, 1, vec![row(account, &key, "ping", 1)]).await;
    plane.set("2026-03-01T00:00:00Z");
    tell(&edge, &plane, 1, vec![row(account, &key, "ping", 1)]).await;
    tell(&edge, &plane, 2, vec![row(account, &key, "ping", 2)]).await;
    let days = |sums: Vec<Value>| -> Vec<_> {
        let days = sums
            .iter()
            .map(|sum| (sum["day"].clone(), sum["cost"].clone()));
        days.collect()
    };
    let (february, march) = (json!("2026-02-28"), json!("2026-03-01"));
    let by_day = days(data(&plane, "/v1/usage?group_by=day").await);
    assert_eq!(
        by_day,
        [(february.clone(), json!("1")), (march.clone(), json!("2"))]
    );
    let until = days(
        data(
            &plane,
            "/v1/usage?group_by=day&from=2026-02-01&to=2026-03-01",
        )
        .await,
    );
    assert_eq!(
        until,
        [(february, json!("1"))],
        "`to` is the day after the last"
    );
    let since = days(data(&plane, "/v1/usage?group_by=day&from=2026-03-01").await);
    assert_eq!(since, [(march, json!("2"))]);
}

#[tokio::test]
async fn sums_are_asked_for_by_customer_rule_model_key_and_more() {
    let plane = Plane::at(NOON);
    let (edge, account, key) = used(&plane, 40).await;
    let other = plane.key_of("ada").await;
    let model = |row: Row, name: &str| Row {
        model: Some(name.to_owned()),
        ..row
    };
    let failed = Row {
        status: StatusClass::of(503),
        settled_by: SettledBy::Nothing,
        ..row(account, &other, "ping", 0)
    };
    let rows = vec![
        row(account, &key, "ping", 1),
        model(row(account, &key, "chat", 10), "small"),
        model(row(account, &other, "chat", 20), "large"),
        failed,
    ];
    tell(&edge, &plane, 1, rows).await;
    let costs = async |query: &str, field: &str| -> Vec<(Value, String)> {
        let sums = data(&plane, &format!("/v1/usage?{query}")).await;
        let costs = sums
            .iter()
            .map(|sum| (sum[field].clone(), sum["cost"].as_str().unwrap().to_owned()));
        costs.collect()
    };
    let by =
        async |dimension: &str, field: &str| costs(&format!("group_by={dimension}"), field).await;
    let of = |value: &str, cost: &str| (json!(value), cost.to_owned());
    assert_eq!(
        by("rule", "rule").await,
        [of("chat", "30"), of("ping", "1")]
    );
    let models = [
        (Value::Null, "1".to_owned()),
        of("large", "20"),
        of("small", "10"),
    ];
    assert_eq!(by("model", "model").await, models);
    assert_eq!(
        by("status_class", "status_class").await,
        [of("2xx", "31"), of("5xx", "0")]
    );
    assert_eq!(
        by("rate_card_version", "rate_card").await,
        [of("edge", "31")]
    );
    assert_eq!(by("key", "key_id").await.len(), 2);
    let keys = plane.get("/v1/customers/ada/keys").await;
    let second = keys.body["data"][1]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        costs(&format!("key={second}"), "currency").await,
        [of("units", "20")]
    );
    assert_eq!(
        costs("customer=ada&rule=chat&model=small", "currency").await,
        [of("units", "10")]
    );
    assert_eq!(costs("rule=none", "currency").await, []);
    let both = data(&plane, "/v1/usage?group_by=rule,customer&limit=200").await;
    assert_eq!(both.len(), 2);
    assert!(both[0]["customer_id"].as_str().unwrap().starts_with("cus_"));
    assert_eq!(
        both[0]["tokens"],
        json!({ "input": 14, "cached_input": 0, "cache_write": 0, "cache_write_1h": 0,
        "output": 10, "reasoning": 0, "audio_input": 0, "audio_output": 0, "image": 0, "image_output": 0 })
    );
    assert!(both[0].get("model").is_none());
}

#[tokio::test]
async fn sums_come_in_pages() {
    let plane = Plane::at(NOON);
    let (edge, account, key) = used(&plane, 40).await;
    let rows = (0..7).map(|number| row(account, &key, &format!("rule-{number}"), number));
    tell(&edge, &plane, 1, rows.collect()).await;
    let path = "/v1/usage?group_by=rule,rate_card_version,key,customer&limit=3";
    let (mut rules, mut next, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = plane.get(&format!("{path}{next}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        let data = page.body["data"].as_array().unwrap();
        rules.extend(
            data.iter()
                .map(|sum| sum["rule"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        match page.body["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    let expected: Vec<_> = (0..7).map(|number| format!("rule-{number}")).collect();
    assert_eq!((rules, pages), (expected, 3));
    let other = plane.get(&format!("/v1/usage?group_by=day{next}")).await;
    assert_eq!((other.status, other.code()), (400, "cursor_invalid"));
}

#[tokio::test]
async fn what_can_not_be_asked_for_is_told_by_its_parameter() {
    let plane = Plane::at(NOON);
    for (query, parameter) in [
        ("from=yesterday", "from"),
        ("to=2026-02-30", "to"),
        ("from=2026-03-01&to=2026-03-01", "to"),
        ("from=2024-01-01&to=2026-01-01", "to"),
        ("group_by=colour", "group_by"),
        ("group_by=rule,rule", "group_by"),
        ("group_by=", "group_by"),
        ("rule=", "rule"),
        ("model=", "model"),
        ("limit=0", "limit"),
        ("limit=x", "limit"),
    ] {
        let answer = plane.get(&format!("/v1/usage?{query}")).await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "query_invalid"),
            "{query}"
        );
        assert!(
            answer.text("detail").contains(parameter),
            "{query}: {answer:?}"
        );
    }
    for (query, status, code) in [
        ("colour=red", 400, "query_invalid"),
        ("cursor=zz", 400, "cursor_invalid"),
        ("cursor=5b5d", 400, "cursor_invalid"),
        ("customer=nobody", 404, "not_found"),
        ("key=none", 404, "not_found"),
    ] {
        let answer = plane.get(&format!("/v1/usage?{query}")).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{query}");
    }
    let answer = plane.get("/v1/customers/nobody/usage").await;
    assert_eq!((answer.status, answer.code()), (404, "not_found"));
}

#[tokio::test]
async fn a_batch_that_no_filter_makes_is_refused_and_writes_nothing() {
    let plane = Plane::start();
    let (edge, account, key) = used(&plane, 6).await;
    let fine = row(account, &key, "ping", 1);
    let negative = row(account, &key, "ping", -1);
    let long = row(account, &key, &"x".repeat(65), 1);
    let model = Row {
        model: Some("m".repeat(129)),
        ..fine.clone()
    };
    for (place, bad) in [negative, long, model].into_iter().enumerate() {
        let mut rows = vec![fine.clone(); place];
        rows.push(bad);
        let answer = ask(&edge, &plane, 1, rows).await;
        assert_eq!((answer.status, answer.code()), (422, "body_invalid"));
        assert_eq!(answer.text("pointer"), format!("/rows/{place}"));
    }
    let many = vec![fine.clone(); USAGE_ROWS_MAX + 1];
    let answer = ask(&edge, &plane, 1, many).await;
    assert_eq!((answer.status, answer.code()), (413, "too_many_rows"));
    let answer = ask(&edge, &plane, 0, vec![fine.clone()]).await;
    assert_eq!(
        (answer.status, answer.text("pointer")),
        (422, "/number".to_owned())
    );
    assert_eq!(attribution(&plane).await[1], "0");
    assert_eq!(tell(&edge, &plane, 1, vec![fine; USAGE_ROWS_MAX]).await, 1);
}

#[tokio::test]
async fn the_largest_batch_fits_a_message() {
    let plane = Plane::start();
    let (edge, account, key) = used(&plane, 6).await;
    let rows = (0..USAGE_ROWS_MAX).map(|number| Row {
        model: Some(format!("{number:\\>128}")),
        rule: format!("{number:x>64}"),
        card_version: u64::MAX,
        cost: Amount::MAX,
        counts: Counts::new([u64::MAX; Counts::KINDS]),
        ..row(account, &key, "", 1)
    });
    assert_eq!(tell(&edge, &plane, 1, rows.collect()).await, 1);
    let others = plane
        .get(&format!("/v1/usage?model={}", OTHER.replace(' ', "%20")))
        .await;
    assert_eq!(others.status, 200);
}

#[tokio::test]
async fn detail_is_kept_for_thirteen_months_and_its_total_for_good() {
    let plane = Plane::at("2026-01-01T00:00:00Z");
    let (edge, account, key) = used(&plane, 6).await;
    tell(&edge, &plane, 1, vec![row(account, &key, "ping", 4)]).await;
    let path = "/v1/usage?from=2026-01-01&to=2026-01-02";
    plane.set("2027-02-05T00:00:00Z");
    let plane = plane.restart().await;
    tell(&edge, &plane, 2, vec![row(account, &key, "ping", 1)]).await;
    assert_eq!(data(&plane, path).await.len(), 1);
    plane.set("2027-02-06T00:00:00Z");
    let plane = plane.restart().await;
    plane.until(path, |body| body["data"] == json!([])).await;
    assert_eq!(attribution(&plane).await, ["6", "5", "1"]);
    plane.assert_clean();
}

#[tokio::test]
async fn whoever_may_look_may_look_at_usage_and_gateways_may_not() {
    let plane = Plane::start();
    let (edge, ..) = used(&plane, 6).await;
    let made = plane
        .post("/v1/operator-keys", json!({ "role": "read" }))
        .await;
    let key = made.text("key");
    for path in ["/v1/usage", "/v1/customers/ada/usage"] {
        let answer = plane.call(Method::GET, path, &key, "", &[]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = plane.call(Method::GET, path, &edge.key, "", &[]).await;
        assert_eq!((answer.status, answer.code()), (403, "role_insufficient"));
    }
    let answer = plane
        .call(Method::POST, "/v1/gateway/usage", &key, "{}", &[])
        .await;
    assert_eq!((answer.status, answer.code()), (403, "role_insufficient"));
}

#[tokio::test]
async fn a_lease_is_found_by_its_process_and_number_and_lists_its_entries() {
    let plane = Plane::start();
    let (edge, account, _) = used(&plane, 6).await;
    let instance = edge.hello.instance;
    for query in [
        format!("instance={instance}&number=1"),
        format!("instance={instance}&number=1&account={account}"),
    ] {
        let found = data(&plane, &format!("/v1/leases?{query}")).await;
        assert_eq!(
            (found.len(), &found[0]["settled"]),
            (1, &json!("6")),
            "{query}"
        );
        let lease = found[0]["id"].as_str().unwrap();
        let entries = data(&plane, &format!("/v1/leases/{lease}/transactions")).await;
        let told = entries
            .iter()
            .map(|entry| (&entry["kind"], &entry["lease_id"]));
        let lease = json!(lease);
        let expected = [(&json!("usage"), &lease), (&json!("lending"), &lease)];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }
    assert_eq!(
        data(&plane, &format!("/v1/leases?instance={instance}&number=2")).await,
        [] as [Value; 0]
    );
    for (path, status, code) in [
        ("/v1/leases?number=1", 400, "query_invalid"),
        (
            &*format!("/v1/leases?instance={instance}&number=one"),
            400,
            "query_invalid",
        ),
        ("/v1/leases?account=none", 404, "not_found"),
        ("/v1/leases/none/transactions", 404, "not_found"),
        (
            &*format!("/v1/leases/lse_{:032x}/transactions", 1),
            404,
            "not_found",
        ),
    ] {
        let answer = plane.get(path).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{path}");
    }
}
