//! Whatever is wrong with a request: a stable code, the place of the fault, nothing written.

use axum::http::Method;
use serde_json::json;

use crate::plane::{ADMIN, Plane};

struct Case {
    method: Method,
    path: String,
    body: String,
    status: u16,
    code: &'static str,
    pointer: Option<&'static str>,
}

fn post(path: &str, body: &str, status: u16, code: &'static str, pointer: &'static str) -> Case {
    let pointer = (!pointer.is_empty()).then_some(pointer);
    Case {
        method: Method::POST,
        path: path.to_owned(),
        body: body.to_owned(),
        status,
        code,
        pointer,
    }
}

fn get(path: &str, status: u16, code: &'static str) -> Case {
    Case {
        method: Method::GET,
        path: path.to_owned(),
        body: String::new(),
        status,
        code,
        pointer: None,
    }
}

fn put(path: &str, body: &str, status: u16, code: &'static str, pointer: &'static str) -> Case {
    Case {
        method: Method::PUT,
        ..post(path, body, status, code, pointer)
    }
}

async fn each_is_refused(plane: &Plane, cases: Vec<Case>) {
    for case in cases {
        let what = format!(
            "{} {} {}",
            case.method,
            case.path,
            case.body.chars().take(200).collect::<String>()
        );
        let answer = plane
            .call(case.method, &case.path, ADMIN, case.body, &[])
            .await;
        assert_eq!(answer.status, case.status, "{what}: {}", answer.body);
        assert_eq!(answer.code(), case.code, "{what}: {}", answer.body);
        if case.pointer.is_some() {
            assert_eq!(
                answer.body["pointer"].as_str(),
                case.pointer,
                "{what}: {}",
                answer.body
            );
        }
        assert!(
            answer.body["title"].is_string() && answer.body["detail"].is_string(),
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_bad_top_up_adds_nothing() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "usd", "5").await;
    let path = format!("/v1/wallets/{wallet}/top-up");
    let bad = |body: &str, code, pointer| post(&path, body, 422, code, pointer);
    let long = "1".repeat(65);
    let note = "x".repeat(501);
    each_is_refused(&plane, vec![
        bad(r#"{"amount": 0}"#, "amount_not_positive", "/amount"),
        bad(r#"{"amount": -1}"#, "amount_not_positive", "/amount"),
        bad(r#"{"amount": "-0.000000001"}"#, "amount_not_positive", "/amount"),
        bad(r#"{"credits_to_add": 0.0000000001}"#, "amount_not_positive", "/credits_to_add"),
        bad(r#"{"amount": 1e10}"#, "amount_overflow", "/amount"),
        bad(r#"{"amount": "9223372036854775807"}"#, "amount_overflow", "/amount"),
        bad(r#"{"credits_to_add": 1e300}"#, "amount_overflow", ""),
        bad(r#"{"amount": 2305843009.3}"#, "amount_overflow", ""),
        bad(&format!(r#"{{"amount": "{long}"}}"#), "amount_too_long", "/amount"),
        bad(&format!(r#"{{"amount": {long}}}"#), "amount_too_long", "/amount"),
        bad(r#"{"amount": "1,5"}"#, "amount_invalid", "/amount"),
        bad(r#"{"amount": "NaN"}"#, "amount_invalid", "/amount"),
        bad(r#"{"amount": ""}"#, "amount_invalid", "/amount"),
        bad(r#"{"amount": true}"#, "amount_invalid", "/amount"),
        bad(r#"{"amount": {"usd": 1}}"#, "amount_invalid", "/amount"),
        bad(r#"{"amount": [1]}"#, "amount_invalid", "/amount"),
        bad(r"{}", "amount_ambiguous", "/credits_to_add"),
        bad(r#"{"amount": null}"#, "amount_ambiguous", ""),
        bad(r#"{"amount": 1, "credits_to_add": 1}"#, "amount_ambiguous", ""),
        bad(r#"{"amount": 1, "prioritty": 3}"#, "unknown_field", "/prioritty"),
        bad(r#"{"amount": 1, "priority": "high"}"#, "body_invalid", "/priority"),
        bad(r#"{"amount": 1, "priority": 3000000000}"#, "body_invalid", "/priority"),
        bad(r#"{"amount": 1, "priority": 1.5}"#, "body_invalid", "/priority"),
        bad(r#"{"amount": 1, "reason_code": "BECAUSE"}"#, "body_invalid", "/reason_code"),
        bad(r#"{"amount": 1, "reason_code": "USAGE"}"#, "reason_not_for_top_ups", "/reason_code"),
        bad(r#"{"amount": 1, "reason_code": "PURCHASED_CREDIT_INVOICED"}"#, "not_supported_yet", "/reason_code"),
        bad(r#"{"amount": 1, "expires_at": "2001-01-01T00:00:00Z"}"#, "expiry_in_the_past", "/expires_at"),
        bad(r#"{"amount": 1, "expires_at": "2090-01-01T00:00:00Z", "effective_at": "2090-01-01T00:00:00Z"}"#, "expiry_before_effective", "/expires_at"),
        bad(r#"{"amount": 1, "expires_at": "tomorrow"}"#, "body_invalid", "/expires_at"),
        bad(r#"{"amount": 1, "expires_at": "2090-01-01"}"#, "body_invalid", "/expires_at"),
        bad(r#"{"amount": 1, "expires_at": 4102444800}"#, "body_invalid", "/expires_at"),
        bad(r#"{"amount": 1, "effective_at": "+999999-01-01T00:00:00Z"}"#, "body_invalid", "/effective_at"),
        bad(&format!(r#"{{"amount": 1, "description": "{note}"}}"#), "text_invalid", "/description"),
        bad(r#"{"amount": 1, "description": "a\u0000b"}"#, "text_invalid", "/description"),
        bad(r#"{"amount": 1, "metadata": {"a": "b"}}"#, "not_supported_yet", "/metadata"),
        bad(r#"{"amount": 1, "bonus_credits": 1}"#, "not_supported_yet", "/bonus_credits"),
        bad(r#"[{"amount": 1}]"#, "body_invalid", ""),
        bad(r#""amount""#, "body_invalid", ""),
        post(&path, r#"{"amount": 1, "idempotency_key": ""}"#, 400, "idempotency_key_invalid", "/idempotency_key"),
        post(&path, r#"{"amount": 1"#, 400, "json_invalid", ""),
        post(&path, r#"{"amount": 01}"#, 400, "json_invalid", ""),
        post(&path, r#"{"amount": 1} {"amount": 1}"#, 400, "json_invalid", ""),
        post(&path, r#"{"amount": 1, "amount": 2}"#, 422, "body_invalid", ""),
        post("/v1/wallets/wal_nope/top-up", r#"{"amount": 1}"#, 404, "not_found", ""),
        post("/v1/wallets/wal_00000000000000000000000000000001/top-up", r#"{"amount": 1}"#, 404, "not_found", ""),
        post("/v1/lots/lot_00000000000000000000000000000001/void", r#"{"reason": "r"}"#, 404, "not_found", ""),
        post("/v1/lots/lot_00000000000000000000000000000001/void", "{}", 422, "field_missing", "/reason"),
    ])
    .await;
    let lots = plane.get(&format!("/v1/wallets/{wallet}/lots")).await;
    assert_eq!(lots.body["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        plane.balance(&wallet, ["balance", "funded"]).await,
        ["5", "5"]
    );
    plane.assert_clean();
}

#[tokio::test]
async fn a_bad_customer_wallet_or_key_is_not_made() {
    let plane = Plane::start();
    plane
        .post("/v1/customers", json!({ "external_id": "ada" }))
        .await;
    let long = "x".repeat(129);
    let many: serde_json::Map<String, serde_json::Value> =
        (0..51).map(|key| (key.to_string(), json!("v"))).collect();
    let many = json!({ "external_id": "b", "metadata": many }).to_string();
    each_is_refused(
        &plane,
        vec![
            post("/v1/customers", "", 422, "field_missing", "/external_id"),
            post(
                "/v1/customers",
                r#"{"external_id": "ada"}"#,
                409,
                "already_exists",
                "",
            ),
            post(
                "/v1/customers",
                r#"{"external_id": ""}"#,
                422,
                "text_invalid",
                "/external_id",
            ),
            post(
                "/v1/customers",
                r#"{"external_id": " a"}"#,
                422,
                "text_invalid",
                "/external_id",
            ),
            post(
                "/v1/customers",
                r#"{"external_id": "a\nb"}"#,
                422,
                "text_invalid",
                "/external_id",
            ),
            post(
                "/v1/customers",
                &format!(r#"{{"external_id": "{long}"}}"#),
                422,
                "text_invalid",
                "/external_id",
            ),
            post(
                "/v1/customers",
                r#"{"external_id": 7}"#,
                422,
                "body_invalid",
                "/external_id",
            ),
            post(
                "/v1/customers",
                r#"{"external_id": "cus_00000000000000000000000000000001"}"#,
                422,
                "external_id_reserved",
                "/external_id",
            ),
            post(
                "/v1/customers",
                r#"{"external_id": "b", "time_zone": "Mars/Olympus"}"#,
                422,
                "time_zone_unknown",
                "/time_zone",
            ),
            post(
                "/v1/customers",
                r#"{"external_id": "b", "metadata": {"k": 1}}"#,
                422,
                "body_invalid",
                "/metadata/k",
            ),
            post(
                "/v1/customers",
                r#"{"external_id": "b", "metadata": {"": "v"}}"#,
                422,
                "metadata_invalid",
                "/metadata",
            ),
            post("/v1/customers", &many, 422, "metadata_invalid", "/metadata"),
            post(
                "/v1/customers",
                r#"{"external_id": "b", "balance": 5}"#,
                422,
                "unknown_field",
                "/balance",
            ),
            post("/v1/customers/nobody/suspend", "{}", 404, "not_found", ""),
            post("/v1/customers/nobody/keys", "{}", 404, "not_found", ""),
            post(
                "/v1/customers/ada/keys",
                r#"{"key": "mine"}"#,
                422,
                "unknown_field",
                "/key",
            ),
            post(
                "/v1/keys/key_00000000000000000000000000000001/revoke",
                "{}",
                404,
                "not_found",
                "",
            ),
            post(
                "/v1/keys/key_00000000000000000000000000000001/rotate",
                r#"{"overlap_seconds": -1}"#,
                422,
                "body_invalid",
                "/overlap_seconds",
            ),
            post(
                "/v1/keys/key_00000000000000000000000000000001/rotate",
                r#"{"overlap_seconds": 9999999999}"#,
                422,
                "body_invalid",
                "/overlap_seconds",
            ),
            post(
                "/v1/wallets",
                r#"{"customer_id": "nobody", "currency": "usd"}"#,
                404,
                "not_found",
                "",
            ),
            post(
                "/v1/wallets",
                r#"{"customer_id": "ada"}"#,
                422,
                "field_missing",
                "/currency",
            ),
            post(
                "/v1/wallets",
                r#"{"customer_id": "ada", "currency": "u s d"}"#,
                422,
                "currency_invalid",
                "/currency",
            ),
            post(
                "/v1/wallets",
                r#"{"customer_id": "ada", "currency": "usd", "conversion_rate": 0}"#,
                422,
                "conversion_rate_not_positive",
                "/conversion_rate",
            ),
            post(
                "/v1/wallets",
                r#"{"customer_id": "ada", "currency": "usd", "conversion_rate": -2}"#,
                422,
                "conversion_rate_not_positive",
                "/conversion_rate",
            ),
            post(
                "/v1/wallets",
                r#"{"customer_id": "ada", "currency": "usd", "conversion_rate": "x"}"#,
                422,
                "amount_invalid",
                "/conversion_rate",
            ),
            post(
                "/v1/wallets",
                r#"{"customer_id": "ada", "currency": "usd", "wallet_type": "POST_PAID"}"#,
                422,
                "not_supported_yet",
                "/wallet_type",
            ),
            post(
                "/v1/wallets",
                r#"{"customer_id": "ada", "currency": "usd", "wallet_type": "FREE"}"#,
                422,
                "body_invalid",
                "/wallet_type",
            ),
            post(
                "/v1/wallets",
                r#"{"customer_id": "ada", "currency": "usd", "auto_topup": {"enabled": true}}"#,
                422,
                "not_supported_yet",
                "/auto_topup",
            ),
            post(
                "/v1/wallets",
                r#"{"customer_id": "ada", "currency": "usd", "alert_settings": {}}"#,
                422,
                "not_supported_yet",
                "/alert_settings",
            ),
            get("/v1/wallets/wal_x/balance", 404, "not_found"),
            post(
                "/v1/wallets",
                r#"{"customer_id": "ada", "currency": "usd", "conversion_rate": 0.0000000001}"#,
                422,
                "amount_too_precise",
                "/conversion_rate",
            ),
            get("/v1/customers/%FF%FE", 404, "not_found"),
            get(
                "/v1/customers/nobody/balance?currency=usd",
                404,
                "not_found",
            ),
            get("/v1/customers/ada/balance", 400, "query_invalid"),
            get(
                "/v1/customers/ada/balance?currency=%20",
                400,
                "query_invalid",
            ),
            get("/v1/customers?limit=0", 400, "query_invalid"),
            get("/v1/customers?limit=201", 400, "query_invalid"),
            get("/v1/customers?limit=many", 400, "query_invalid"),
            get("/v1/customers?page=2", 400, "query_invalid"),
            get("/v1/customers?cursor=zz", 400, "cursor_invalid"),
            get("/v1/leases?state=lost", 400, "query_invalid"),
            get("/v1/leases?instance=x", 404, "not_found"),
            get("/v1/nothing", 404, "route_unknown"),
            Case {
                method: Method::DELETE,
                ..get("/v1/customers", 405, "method_not_allowed")
            },
        ],
    )
    .await;
    let customers = plane.get("/v1/customers").await;
    assert_eq!(customers.body["data"].as_array().unwrap().len(), 1);
    let wallets = plane.get("/v1/customers/ada/wallets").await;
    assert!(wallets.body["data"].as_array().unwrap().is_empty());
    plane.assert_clean();
}

#[tokio::test]
async fn bad_settings_prices_and_gateways_change_nothing() {
    let plane = Plane::start();
    let card = |rules: &str| {
        format!(r#"{{"name": "n", "currency": "usd", "default": "deny", "rules": [{rules}]}}"#)
    };
    plane
        .put(
            "/v1/rate-cards/n",
            json!({ "name": "n", "currency": "usd", "default": "deny" }),
        )
        .await;
    let before = plane.get("/v1/settings").await;
    each_is_refused(
        &plane,
        vec![
            put(
                "/v1/settings",
                r#"{"use_by_ms": 0}"#,
                422,
                "settings_invalid",
                "/use_by_ms",
            ),
            put(
                "/v1/settings",
                r#"{"sync_ms": "100"}"#,
                422,
                "body_invalid",
                "/sync_ms",
            ),
            put(
                "/v1/settings",
                r#"{"sync_ms": null}"#,
                422,
                "body_invalid",
                "/sync_ms",
            ),
            put(
                "/v1/settings",
                r#"{"silent_after_ms": 100}"#,
                422,
                "settings_invalid",
                "/silent_after_ms",
            ),
            put(
                "/v1/settings",
                r#"{"quarantine_policy": "forget"}"#,
                422,
                "body_invalid",
                "/quarantine_policy",
            ),
            put(
                "/v1/settings",
                r#"{"overrun_max": -1}"#,
                422,
                "settings_invalid",
                "/overrun_max",
            ),
            put(
                "/v1/settings",
                r#"{"top_up_url": "javascript:alert(1)"}"#,
                422,
                "settings_invalid",
                "/top_up_url",
            ),
            put(
                "/v1/settings",
                r#"{"speed": "fast"}"#,
                422,
                "unknown_field",
                "/speed",
            ),
            put("/v1/rate-cards/n", "{}", 422, "rate_card_invalid", ""),
            put("/v1/rate-cards/n", "", 422, "rate_card_invalid", ""),
            put(
                "/v1/rate-cards/n",
                &card(r#"{"id": "a", "path": {"exact": "/a"}, "price": -1}"#),
                422,
                "price_negative",
                "/rules/0/price",
            ),
            put(
                "/v1/rate-cards/n",
                &card(r#"{"id": "a", "path": {"exact": "/a"}, "price": 0.0000000001}"#),
                422,
                "amount_too_precise",
                "/rules/0/price",
            ),
            put(
                "/v1/rate-cards/n",
                &card(r#"{"id": "a", "path": {"exact": "a"}, "price": 1}"#),
                422,
                "path_invalid",
                "/rules/0/path/exact",
            ),
            put(
                "/v1/rate-cards/n",
                &card(r#"{"id": "a", "path": {"exact": "/a"}, "prise": 1}"#),
                422,
                "rate_card_invalid",
                "/rules/0/prise",
            ),
            put(
                "/v1/rate-cards/n",
                r#"{"name": "n", "currency": "eur", "default": "deny"}"#,
                409,
                "rate_card_currency",
                "",
            ),
            put(
                "/v1/rate-cards/n",
                r#"{"name": "n", "currency": "usd", "default": "deny", "scale": 2}"#,
                422,
                "rate_card_scale",
                "/scale",
            ),
            put(
                "/v1/rate-cards/no%20name",
                r#"{"name": "n", "currency": "usd", "default": "deny"}"#,
                422,
                "name_invalid",
                "",
            ),
            get("/v1/rate-cards/other", 404, "not_found"),
            get("/v1/rate-cards/n?version=9", 404, "not_found"),
            post(
                "/v1/currencies",
                r#"{"code": "gold", "scale": 10}"#,
                422,
                "scale_invalid",
                "/scale",
            ),
            post(
                "/v1/currencies",
                r#"{"code": "usd", "scale": 2}"#,
                409,
                "already_exists",
                "",
            ),
            post(
                "/v1/gateways",
                r#"{"external_id": "g", "rate_card": "no name"}"#,
                422,
                "name_invalid",
                "/rate_card",
            ),
            post("/v1/gateways/g/keys", "", 404, "not_found", ""),
            post(
                "/v1/operator-keys",
                r#"{"role": "root"}"#,
                422,
                "body_invalid",
                "/role",
            ),
            post(
                "/v1/instances/ins_00000000000000000000000000000001/drain",
                "",
                404,
                "not_found",
                "",
            ),
            post(
                "/v1/leases/lse_00000000000000000000000000000001/resolve",
                r#"{"action": "release", "reason": "r"}"#,
                404,
                "not_found",
                "",
            ),
            post(
                "/v1/leases/lse_00000000000000000000000000000001/resolve",
                r#"{"action": "forgive", "reason": "r"}"#,
                422,
                "body_invalid",
                "/action",
            ),
            post(
                "/v1/leases/lse_00000000000000000000000000000001/resolve",
                r#"{"action": "hold", "reason": "r"}"#,
                422,
                "not_supported_yet",
                "/action",
            ),
            post(
                "/v1/leases/lse_00000000000000000000000000000001/resolve",
                r#"{"action": "release"}"#,
                422,
                "field_missing",
                "/reason",
            ),
        ],
    )
    .await;
    assert_eq!(plane.get("/v1/settings").await.body, before.body);
    assert_eq!(plane.get("/v1/rate-cards/n").await.body["version"], 1);
    assert!(
        plane.get("/v1/gateways").await.body["data"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let plane = Plane::start();
    let body = json!({ "external_id": "a", "name": "x".repeat(70_000) }).to_string();
    let refused = plane
        .call(Method::POST, "/v1/customers", ADMIN, body, &[])
        .await;
    assert_eq!((refused.status, refused.code()), (413, "body_too_large"));
    let rules: Vec<_> = (0..900).map(|n| json!({ "id": format!("r{n}"), "path": { "exact": format!("/p{n}") }, "price": "1" })).collect();
    let card = json!({ "name": "n", "currency": "usd", "default": "deny", "rules": rules });
    assert!(card.to_string().len() > 64 * 1024 / 2);
    assert_eq!(plane.put("/v1/rate-cards/n", card).await.status, 200);
    let key = "k".repeat(256);
    let refused = plane
        .call(
            Method::POST,
            "/v1/customers",
            ADMIN,
            r#"{"external_id": "a"}"#,
            &[("idempotency-key", &key)],
        )
        .await;
    assert_eq!(
        (refused.status, refused.code()),
        (400, "idempotency_key_invalid")
    );
}
