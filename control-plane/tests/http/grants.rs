//! Plans, subscriptions and credit grants over HTTP.

use serde_json::{Value, json};

use crate::plane::{Answer, Plane};

/// The requests of a well-known guide, to the letter.
const PLAN_GRANT: &str = r#"{"name":"Starter Plan Monthly Grant","scope":"PLAN","plan_id":"plan_starter","credit_amount":50000,"currency":"USD",
 "cadence":"RECURRING","period":"monthly","expire_in_days":30,"priority":1}"#;

async fn make(plane: &Plane, path: &str, body: Value) -> Answer {
    let answer = plane.post(path, body).await;
    assert_eq!(answer.status, 201, "{path}: {answer:?}");
    answer
}

fn list(answer: &Answer) -> &Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["data"].as_array().expect("a list")
}

/// A customer `ada` on `plan_starter`, whose grant is the guide's.
async fn starter(plane: &Plane) -> Answer {
    make(plane, "/v1/customers", json!({ "external_id": "ada" })).await;
    let plan = json!({ "external_id": "plan_starter", "name": "Starter" });
    make(plane, "/v1/plans", plan).await;
    let grant = serde_json::from_str(PLAN_GRANT).unwrap();
    make(plane, "/v1/credit-grants", grant).await;
    let subscription =
        json!({ "customer_id": "ada", "plan_id": "plan_starter", "external_id": "ada_starter" });
    make(plane, "/v1/subscriptions", subscription).await
}

#[tokio::test]
async fn the_guide_s_request_works_word_for_word() {
    let plane = Plane::at("2027-01-31T10:00:00Z");
    make(
        &plane,
        "/v1/customers",
        json!({ "external_id": "cust_ABC123" }),
    )
    .await;
    let plan = json!({ "external_id": "plan_starter", "name": "Starter" });
    make(&plane, "/v1/plans", plan).await;
    let sent = plane
        .call(
            axum::http::Method::POST,
            "/v1/credit-grants",
            crate::plane::ADMIN,
            PLAN_GRANT,
            &[],
        )
        .await;
    assert_eq!(sent.status, 201, "{sent:?}");
    let shown = |field: &str| sent.body[field].clone();
    assert_eq!(shown("credit_amount"), "50000");
    assert_eq!(shown("currency"), "usd");
    assert_eq!(
        (shown("cadence"), shown("period")),
        (json!("RECURRING"), json!("MONTHLY"))
    );
    assert_eq!(shown("expiration_type"), "DURATION");
    assert_eq!(
        (
            shown("expiration_duration"),
            shown("expiration_duration_unit")
        ),
        (json!(30), json!("DAY"))
    );
    assert_eq!(
        (shown("priority"), shown("scope")),
        (json!(1), json!("PLAN"))
    );

    let subscription = json!({ "customer_id": "cust_ABC123", "plan_id": "plan_starter" });
    make(&plane, "/v1/subscriptions", subscription).await;
    let wallets = plane.get("/v1/customers/cust_ABC123/wallets").await;
    let wallet = list(&wallets)[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["50000"]);
    let lots = plane.get(&format!("/v1/wallets/{wallet}/lots")).await;
    let lot = &list(&lots)[0];
    assert_eq!(lot["reason_code"], "SUBSCRIPTION_CREDIT_GRANT");
    assert_eq!(
        (&lot["kind"], &lot["priority"]),
        (&json!("granted"), &json!(1))
    );
    assert_eq!(lot["expires_at"], "2027-03-02T10:00:00.000Z");
    plane.assert_clean();
}

#[tokio::test]
async fn plans_are_made_changed_listed_and_archived_by_either_name() {
    let plane = Plane::start();
    for name in ["a", "b", "c"] {
        make(
            &plane,
            "/v1/plans",
            json!({ "external_id": name, "name": name }),
        )
        .await;
    }
    let id = plane.get("/v1/plans/b").await.text("id");
    let change = json!({ "name": "B", "description": "the second", "metadata": { "k": "v" } });
    let changed = plane
        .call(
            axum::http::Method::PATCH,
            &format!("/v1/plans/{id}"),
            crate::plane::ADMIN,
            change.to_string(),
            &[],
        )
        .await;
    assert_eq!(
        (changed.status, changed.text("name")),
        (200, "B".to_owned())
    );
    let archived = plane.post("/v1/plans/b/archive", json!({})).await;
    assert!(archived.body["archived_at"].is_string(), "{archived:?}");
    let again = plane.post("/v1/plans/b/archive", json!({})).await;
    assert_eq!((again.status, again.code()), (409, "plan_archived"));

    let names = |answer: &Answer| -> Vec<String> {
        let names = list(answer)
            .iter()
            .map(|row| row["external_id"].as_str().unwrap().to_owned());
        names.collect()
    };
    assert_eq!(names(&plane.get("/v1/plans").await), ["a", "c"]);
    let first = plane.get("/v1/plans?limit=2&with_archived=true").await;
    assert_eq!(names(&first), ["a", "b"]);
    let cursor = first.text("next_cursor");
    let rest = plane
        .get(&format!(
            "/v1/plans?limit=2&with_archived=true&cursor={cursor}"
        ))
        .await;
    assert_eq!(names(&rest), ["c"]);
    assert_eq!(rest.body["next_cursor"], Value::Null);
    plane
        .post("/v1/customers", json!({ "external_id": "ada" }))
        .await;
    let late = plane
        .post(
            "/v1/subscriptions",
            json!({ "customer_id": "ada", "plan_id": "b" }),
        )
        .await;
    assert_eq!((late.status, late.code()), (409, "plan_archived"));
}

#[tokio::test]
async fn subscriptions_are_listed_and_filtered_and_answer_to_both_names() {
    let plane = Plane::at("2027-01-31T10:00:00Z");
    let made = starter(&plane).await;
    assert_eq!(
        made.text("current_period_start"),
        "2027-01-31T10:00:00.000Z"
    );
    assert_eq!(made.text("current_period_end"), "2027-02-28T10:00:00.000Z");
    let by_id = plane
        .get(&format!("/v1/subscriptions/{}", made.text("id")))
        .await;
    let by_name = plane.get("/v1/subscriptions/ada_starter").await;
    assert_eq!(by_id.body, by_name.body);
    assert_eq!(by_id.body, made.body);

    make(&plane, "/v1/customers", json!({ "external_id": "bob" })).await;
    make(
        &plane,
        "/v1/plans",
        json!({ "external_id": "other", "name": "Other" }),
    )
    .await;
    for plan in ["plan_starter", "other"] {
        make(
            &plane,
            "/v1/subscriptions",
            json!({ "customer_id": "bob", "plan_id": plan }),
        )
        .await;
    }
    let paused = plane
        .post(
            "/v1/subscriptions/ada_starter/pause",
            json!({ "reason": "r" }),
        )
        .await;
    assert_eq!(paused.text("status"), "paused");
    for (query, count) in [
        ("", 3),
        ("?customer_id=bob", 2),
        ("?plan_id=plan_starter", 2),
        ("?status=paused", 1),
        ("?customer_id=bob&plan_id=other&status=active", 1),
        ("?limit=2", 2),
    ] {
        let found = plane.get(&format!("/v1/subscriptions{query}")).await;
        assert_eq!(list(&found).len(), count, "{query}");
    }
    let twice = json!({ "customer_id": "bob", "plan_id": "other", "external_id": "ada_starter" });
    let twice = plane.post("/v1/subscriptions", twice).await;
    assert_eq!((twice.status, twice.code()), (409, "already_exists"));
    let resumed = plane
        .post("/v1/subscriptions/ada_starter/resume", json!({}))
        .await;
    assert_eq!(resumed.text("status"), "active");
}

#[tokio::test]
async fn a_cancelled_subscription_keeps_or_loses_what_its_grants_gave() {
    let plane = Plane::at("2027-01-31T10:00:00Z");
    starter(&plane).await;
    let second =
        json!({ "customer_id": "ada", "plan_id": "plan_starter", "external_id": "second" });
    make(&plane, "/v1/subscriptions", second).await;
    let wallets = plane.get("/v1/customers/ada/wallets").await;
    let wallet = list(&wallets)[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["100000"]);

    let void = json!({ "granted_credit": "VOID", "reason": "fraud" });
    let ended = plane.post("/v1/subscriptions/second/cancel", void).await;
    assert_eq!(ended.text("status"), "cancelled");
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["50000"]);
    let over = plane
        .post("/v1/subscriptions/second/pause", json!({}))
        .await;
    assert_eq!((over.status, over.code()), (409, "subscription_cancelled"));

    let later = json!({ "at": "period_end", "granted_credit": "keep" });
    let ends = plane
        .post("/v1/subscriptions/ada_starter/cancel", later)
        .await;
    assert_eq!(
        (ends.text("status"), ends.text("ends_at")),
        ("active".to_owned(), "2027-02-28T10:00:00.000Z".to_owned())
    );
    let to_come = plane
        .get("/v1/subscriptions/ada_starter/upcoming-applications")
        .await;
    assert_eq!(list(&to_come).len(), 0);
    plane.set("2027-02-28T10:00:00Z");
    let path = "/v1/subscriptions/ada_starter";
    let ended = plane
        .until(path, |body| body["status"] == "cancelled")
        .await;
    assert_eq!(ended.text("cancelled_at"), "2027-02-28T10:00:00.000Z");
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["50000"]);
    plane.assert_clean();
}

#[tokio::test]
async fn grants_are_listed_by_whose_they_are_and_archived() {
    let plane = Plane::at("2027-01-31T10:00:00Z");
    starter(&plane).await;
    let grant = |scope: &str, field: &str, whose: &str, name: &str| {
        json!({ "name": name, "external_id": name, "scope": scope, field: whose, "credit_amount": "1.5",
            "currency": "tokens", "cadence": "onetime", "credit_kind": "promotional" })
    };
    let own = grant("customer", "customer_id", "ada", "welcome");
    make(&plane, "/v1/credit-grants", own).await;
    let of_subscription = grant("Subscription", "subscription_id", "ada_starter", "extra");
    make(&plane, "/v1/credit-grants", of_subscription.clone()).await;
    let twice = plane.post("/v1/credit-grants", of_subscription).await;
    assert_eq!((twice.status, twice.code()), (409, "already_exists"));
    let of_plan = grant("PLAN", "plan_id", "plan_starter", "welcome");
    let twice = plane.post("/v1/credit-grants", of_plan).await;
    assert_eq!((twice.status, twice.code()), (409, "already_exists"));

    for (query, count) in [
        ("", 3),
        ("?plan_id=plan_starter", 1),
        ("?subscription_id=ada_starter", 1),
        ("?customer_id=ada", 1),
        ("?limit=2", 2),
    ] {
        let found = plane.get(&format!("/v1/credit-grants{query}")).await;
        assert_eq!(list(&found).len(), count, "{query}");
    }
    let both = plane
        .get("/v1/credit-grants?plan_id=plan_starter&customer_id=ada")
        .await;
    assert_eq!((both.status, both.code()), (400, "query_invalid"));
    let shown = plane.get("/v1/credit-grants/welcome").await;
    assert_eq!(shown.text("credit_kind"), "promotional");

    let archived = plane
        .post("/v1/credit-grants/welcome/archive", json!({}))
        .await;
    assert!(archived.body["archived_at"].is_string());
    let again = plane
        .post("/v1/credit-grants/welcome/archive", json!({}))
        .await;
    assert_eq!((again.status, again.code()), (409, "grant_archived"));
    let plans = plane.get("/v1/credit-grants?plan_id=plan_starter").await;
    let id = list(&plans)[0]["id"].as_str().unwrap().to_owned();
    let archived = plane
        .post(&format!("/v1/credit-grants/{id}/archive"), json!({}))
        .await;
    assert_eq!(archived.status, 200, "{archived:?}");
    assert_eq!(list(&plane.get("/v1/credit-grants").await).len(), 1);
    let all = plane.get("/v1/credit-grants?with_archived=true").await;
    assert_eq!(list(&all).len(), 3);
    let to_come = plane.get("/v1/customers/ada/upcoming-applications").await;
    assert_eq!(list(&to_come).len(), 0);
    let names = plane
        .get("/v1/credit-grant-applications?grant_id=welcome")
        .await;
    assert_eq!(list(&names)[0]["amount"], "1.5");
}

#[tokio::test]
async fn an_application_that_failed_is_found_and_tried_again_even_after_it_was_given_up() {
    let plane = Plane::at("2027-01-31T10:00:00Z");
    let wallet = plane.funded("ada", "usd", "1").await;
    plane
        .post(&format!("/v1/wallets/{wallet}/freeze"), json!({}))
        .await;
    let grant = json!({ "name": "Welcome", "scope": "CUSTOMER", "customer_id": "ada", "credit_amount": 5,
        "currency": "usd", "cadence": "ONETIME" });
    make(&plane, "/v1/credit-grants", grant).await;
    let failed = plane
        .get("/v1/credit-grant-applications?customer_id=ada&state=failed")
        .await;
    let row = list(&failed)[0].clone();
    assert_eq!(
        (&row["cause"], &row["attempts"]),
        (&json!("wallet_frozen"), &json!(1))
    );
    assert_eq!(row["retry_at"], "2027-01-31T10:01:00.000Z");
    let path = format!(
        "/v1/credit-grant-applications/{}",
        row["id"].as_str().unwrap()
    );
    let mut attempts = 1;
    // By itself, with growing pauses, until it is left to people.
    while let Some(at) = plane.get(&path).await.body["retry_at"].as_str() {
        plane.set(at);
        attempts += 1;
        plane
            .until(&path, |body| body["attempts"] == attempts)
            .await;
    }
    assert_eq!(attempts, 10);
    let plane = plane.restart().await;
    let tried = plane.post(&format!("{path}/retry"), json!({})).await;
    assert_eq!(
        (tried.status, tried.text("state")),
        (200, "failed".to_owned())
    );
    plane
        .post(&format!("/v1/wallets/{wallet}/unfreeze"), json!({}))
        .await;
    let tried = plane.post(&format!("{path}/retry"), json!({})).await;
    assert_eq!(
        (tried.status, tried.text("state")),
        (200, "applied".to_owned()),
        "{tried:?}"
    );
    assert_eq!(tried.text("amount"), "5");
    let again = plane.post(&format!("{path}/retry"), json!({})).await;
    assert_eq!(
        (again.status, again.code()),
        (409, "application_not_failed")
    );
    assert_eq!(plane.balance(&wallet, ["balance"]).await, ["6"]);
    plane.assert_clean();
}

#[tokio::test]
async fn what_is_to_come_is_listed_by_pages() {
    let plane = Plane::at("2027-01-31T10:00:00Z");
    starter(&plane).await;
    let first = plane
        .get("/v1/subscriptions/ada_starter/upcoming-applications?limit=2")
        .await;
    let instants = |answer: &Answer| -> Vec<String> {
        let rows = list(answer).iter();
        rows.map(|row| row["scheduled_for"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        instants(&first),
        ["2027-02-28T10:00:00.000Z", "2027-03-31T10:00:00.000Z"]
    );
    assert_eq!(list(&first)[0]["state"], "scheduled");
    assert_eq!(list(&first)[0]["credit_amount"], "50000");
    let cursor = first.text("next_cursor");
    let path = format!("/v1/customers/ada/upcoming-applications?limit=2&cursor={cursor}");
    let second = plane.get(&path).await;
    assert_eq!(
        instants(&second),
        ["2027-04-30T10:00:00.000Z", "2027-05-31T10:00:00.000Z"]
    );
    plane
        .post("/v1/subscriptions/ada_starter/pause", json!({}))
        .await;
    let paused = plane
        .get("/v1/subscriptions/ada_starter/upcoming-applications?limit=1")
        .await;
    let row = &list(&paused)[0];
    assert_eq!(
        (&row["state"], &row["cause"]),
        (&json!("skipped"), &json!("subscription_paused"))
    );
}
