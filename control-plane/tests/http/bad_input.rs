//! Whatever is wrong with a request: a stable code, the place of the fault, nothing written.
//!
//! The tables have a line a request: the status, the code and the pointer that are due (`""`
//! for the whole body, `-` for none: what is wrong is not in the body), the method, the path and
//! the body.

use axum::http::Method;
use serde_json::{Value, json};

use crate::plane::{ADMIN, Plane};

const TOP_UPS: &str = r##"
422 amount_not_positive /amount POST /v1/wallets/{wallet}/top-up {"amount": 0}
422 amount_not_positive /amount POST /v1/wallets/{wallet}/top-up {"amount": -1}
422 amount_not_positive /amount POST /v1/wallets/{wallet}/top-up {"amount": "-0.000000001"}
422 amount_not_positive /credits_to_add POST /v1/wallets/{wallet}/top-up {"credits_to_add": 0.0000000001}
422 amount_overflow /amount POST /v1/wallets/{wallet}/top-up {"amount": 1e10}
422 amount_overflow /amount POST /v1/wallets/{wallet}/top-up {"amount": "9223372036854775807"}
422 amount_overflow /credits_to_add POST /v1/wallets/{wallet}/top-up {"credits_to_add": 1e300}
422 amount_overflow /amount POST /v1/wallets/{wallet}/top-up {"amount": 2305843009.3}
422 amount_invalid /amount POST /v1/wallets/{wallet}/top-up {"amount": "1,5"}
422 amount_invalid /amount POST /v1/wallets/{wallet}/top-up {"amount": "NaN"}
422 amount_invalid /amount POST /v1/wallets/{wallet}/top-up {"amount": ""}
422 amount_invalid /amount POST /v1/wallets/{wallet}/top-up {"amount": true}
422 amount_invalid /amount POST /v1/wallets/{wallet}/top-up {"amount": {"usd": 1}}
422 amount_invalid /amount POST /v1/wallets/{wallet}/top-up {"amount": [1]}
422 amount_ambiguous /credits_to_add POST /v1/wallets/{wallet}/top-up {}
422 amount_ambiguous /credits_to_add POST /v1/wallets/{wallet}/top-up {"amount": null}
422 amount_ambiguous /credits_to_add POST /v1/wallets/{wallet}/top-up {"amount": 1, "credits_to_add": 1}
422 unknown_field /prioritty POST /v1/wallets/{wallet}/top-up {"amount": 1, "prioritty": 3}
422 body_invalid /priority POST /v1/wallets/{wallet}/top-up {"amount": 1, "priority": "high"}
422 body_invalid /priority POST /v1/wallets/{wallet}/top-up {"amount": 1, "priority": 3000000000}
422 body_invalid /priority POST /v1/wallets/{wallet}/top-up {"amount": 1, "priority": 1.5}
422 body_invalid /reason_code POST /v1/wallets/{wallet}/top-up {"amount": 1, "reason_code": "BECAUSE"}
422 reason_not_for_top_ups /reason_code POST /v1/wallets/{wallet}/top-up {"amount": 1, "reason_code": "USAGE"}
422 body_invalid /paid POST /v1/wallets/{wallet}/top-up {"amount": 1, "paid": 5}
422 field_missing /paid/amount POST /v1/wallets/{wallet}/top-up {"amount": 1, "paid": {}}
422 amount_negative /paid/amount POST /v1/wallets/{wallet}/top-up {"amount": 1, "paid": {"amount": -1}}
422 amount_negative /paid/tax POST /v1/wallets/{wallet}/top-up {"amount": 1, "paid": {"amount": 1, "tax": -1}}
422 currency_invalid /paid/currency POST /v1/wallets/{wallet}/top-up {"amount": 1, "paid": {"amount": 1, "currency": "€"}}
422 unknown_field /paid/vat POST /v1/wallets/{wallet}/top-up {"amount": 1, "paid": {"amount": 1, "vat": 1}}
422 expiry_in_the_past /expires_at POST /v1/wallets/{wallet}/top-up {"amount": 1, "expires_at": "2001-01-01T00:00:00Z"}
422 expiry_before_effective /expires_at POST /v1/wallets/{wallet}/top-up {"amount": 1, "expires_at": "2090-01-01T00:00:00Z", "effective_at": "2090-01-01T00:00:00Z"}
422 body_invalid /expires_at POST /v1/wallets/{wallet}/top-up {"amount": 1, "expires_at": "tomorrow"}
422 body_invalid /expires_at POST /v1/wallets/{wallet}/top-up {"amount": 1, "expires_at": "2090-01-01"}
422 body_invalid /expires_at POST /v1/wallets/{wallet}/top-up {"amount": 1, "expires_at": 4102444800}
422 body_invalid /effective_at POST /v1/wallets/{wallet}/top-up {"amount": 1, "effective_at": "+999999-01-01T00:00:00Z"}
422 text_invalid /description POST /v1/wallets/{wallet}/top-up {"amount": 1, "description": "a\u0000b"}
422 body_invalid /metadata/a POST /v1/wallets/{wallet}/top-up {"amount": 1, "metadata": {"a": 1}}
422 amount_negative /bonus_credits POST /v1/wallets/{wallet}/top-up {"amount": 1, "bonus_credits": -1}
422 bonus_without_purchase /bonus_credits POST /v1/wallets/{wallet}/top-up {"amount": 1, "bonus_credits": 1, "reason_code": "FREE_CREDIT_GRANT"}
422 external_id_reserved /external_id POST /v1/wallets/{wallet}/top-up {"amount": 1, "external_id": "lot_{none}"}
422 body_invalid "" POST /v1/wallets/{wallet}/top-up [{"amount": 1}]
422 body_invalid "" POST /v1/wallets/{wallet}/top-up "amount"
400 idempotency_key_invalid /idempotency_key POST /v1/wallets/{wallet}/top-up {"amount": 1, "idempotency_key": ""}
400 json_invalid - POST /v1/wallets/{wallet}/top-up {"amount": 1
400 json_invalid - POST /v1/wallets/{wallet}/top-up {"amount": 01}
400 json_invalid - POST /v1/wallets/{wallet}/top-up {"amount": 1} {"amount": 1}
422 body_invalid "" POST /v1/wallets/{wallet}/top-up {"amount": 1, "amount": 2}
404 not_found - POST /v1/wallets/wal_nope/top-up {"amount": 1}
404 not_found - POST /v1/wallets/wal_{none}/top-up {"amount": 1}
404 not_found - POST /v1/lots/lot_{none}/void {"reason": "r"}
422 field_missing /reason POST /v1/lots/lot_{none}/void {}
422 amount_too_long /amount POST /v1/wallets/{wallet}/top-up {"amount": "{digits}"}
422 amount_too_long /amount POST /v1/wallets/{wallet}/top-up {"amount": {digits}}
422 text_invalid /description POST /v1/wallets/{wallet}/top-up {"amount": 1, "description": "{letters}"}
"##;

const CUSTOMERS_WALLETS_KEYS: &str = r##"
422 field_missing /external_id POST /v1/customers
409 already_exists /external_id POST /v1/customers {"external_id": "ada"}
422 text_invalid /external_id POST /v1/customers {"external_id": ""}
422 text_invalid /external_id POST /v1/customers {"external_id": " a"}
422 text_invalid /external_id POST /v1/customers {"external_id": "a\nb"}
422 body_invalid /external_id POST /v1/customers {"external_id": 7}
422 external_id_reserved /external_id POST /v1/customers {"external_id": "cus_{none}"}
422 time_zone_unknown /time_zone POST /v1/customers {"external_id": "b", "time_zone": "Mars/Olympus"}
422 body_invalid /metadata/k POST /v1/customers {"external_id": "b", "metadata": {"k": 1}}
422 metadata_invalid /metadata POST /v1/customers {"external_id": "b", "metadata": {"": "v"}}
422 unknown_field /balance POST /v1/customers {"external_id": "b", "balance": 5}
404 not_found - POST /v1/customers/nobody/suspend {}
404 not_found - POST /v1/customers/nobody/keys {}
422 unknown_field /key POST /v1/customers/ada/keys {"key": "mine"}
404 not_found - POST /v1/keys/key_{none}/revoke {}
422 body_invalid /overlap_seconds POST /v1/keys/key_{none}/rotate {"overlap_seconds": -1}
422 body_invalid /overlap_seconds POST /v1/keys/key_{none}/rotate {"overlap_seconds": 9999999999}
404 not_found /customer_id POST /v1/wallets {"customer_id": "nobody", "currency": "usd"}
422 field_missing /currency POST /v1/wallets {"customer_id": "ada"}
422 currency_invalid /currency POST /v1/wallets {"customer_id": "ada", "currency": "u s d"}
422 conversion_rate_not_positive /conversion_rate POST /v1/wallets {"customer_id": "ada", "currency": "usd", "conversion_rate": 0}
422 conversion_rate_not_positive /conversion_rate POST /v1/wallets {"customer_id": "ada", "currency": "usd", "conversion_rate": -2}
422 amount_invalid /conversion_rate POST /v1/wallets {"customer_id": "ada", "currency": "usd", "conversion_rate": "x"}
422 conversion_rate_not_positive /topup_conversion_rate POST /v1/wallets {"customer_id": "ada", "currency": "usd", "topup_conversion_rate": 0}
422 wallet_not_post_paid /credit_limit POST /v1/wallets {"customer_id": "ada", "currency": "usd", "credit_limit": 5}
422 amount_negative /credit_limit POST /v1/wallets {"customer_id": "ada", "currency": "usd", "wallet_type": "post_paid", "credit_limit": -5}
422 amount_overflow /credit_limit POST /v1/wallets {"customer_id": "ada", "currency": "usd", "wallet_type": "post_paid", "credit_limit": 1e30}
422 rule_id_invalid /rules/1 POST /v1/wallets {"customer_id": "ada", "currency": "usd", "rules": ["a", "b c"]}
422 body_invalid /rules POST /v1/wallets {"customer_id": "ada", "currency": "usd", "rules": "a"}
422 rules_max /rules POST /v1/wallets {"customer_id": "ada", "currency": "usd", "rules": [{rules}]}
422 body_invalid /priority POST /v1/wallets {"customer_id": "ada", "currency": "usd", "priority": "first"}
422 external_id_reserved /external_id POST /v1/wallets {"customer_id": "ada", "currency": "usd", "external_id": "wal_{none}"}
422 body_invalid /wallet_type POST /v1/wallets {"customer_id": "ada", "currency": "usd", "wallet_type": "FREE"}
422 field_missing /auto_topup/threshold POST /v1/wallets {"customer_id": "ada", "currency": "usd", "auto_topup": {"amount": 1}}
422 auto_topup_invalid /auto_topup POST /v1/wallets {"customer_id": "ada", "currency": "usd", "auto_topup": {"threshold": 1}}
422 auto_topup_invalid /auto_topup/target POST /v1/wallets {"customer_id": "ada", "currency": "usd", "auto_topup": {"threshold": 1, "amount": 1, "target": 2}}
422 auto_topup_invalid /auto_topup/target POST /v1/wallets {"customer_id": "ada", "currency": "usd", "auto_topup": {"threshold": 1, "target": "1"}}
422 auto_topup_invalid /auto_topup/threshold POST /v1/wallets {"customer_id": "ada", "currency": "usd", "auto_topup": {"threshold": -1, "amount": 1}}
422 auto_topup_invalid /auto_topup/amount POST /v1/wallets {"customer_id": "ada", "currency": "usd", "auto_topup": {"threshold": 1, "amount": 0}}
422 auto_topup_invalid /auto_topup/amount POST /v1/wallets {"customer_id": "ada", "currency": "usd", "auto_topup": {"threshold": 1, "amount": 2305843010}}
422 amount_invalid /auto_topup/amount POST /v1/wallets {"customer_id": "ada", "currency": "usd", "auto_topup": {"threshold": 1, "amount": "much"}}
422 amount_overflow /auto_topup/amount POST /v1/wallets {"customer_id": "ada", "currency": "usd", "auto_topup": {"threshold": 1, "amount": 1e99}}
422 auto_topup_invalid /auto_topup/cooldown_ms POST /v1/wallets {"customer_id": "ada", "currency": "usd", "auto_topup": {"threshold": 1, "amount": 1, "cooldown_ms": 999}}
422 auto_topup_invalid /auto_topup/max_per_day POST /v1/wallets {"customer_id": "ada", "currency": "usd", "auto_topup": {"threshold": 1, "amount": 1, "max_per_day": 0}}
422 auto_topup_invalid /auto_topup/max_per_month POST /v1/wallets {"customer_id": "ada", "currency": "usd", "auto_topup": {"threshold": 1, "amount": 1, "max_per_month": 10001}}
422 body_invalid /auto_topup/enabled POST /v1/wallets {"customer_id": "ada", "currency": "usd", "auto_topup": {"threshold": 1, "amount": 1, "enabled": "on"}}
422 unknown_field /auto_topup/max_per_year POST /v1/wallets {"customer_id": "ada", "currency": "usd", "auto_topup": {"threshold": 1, "amount": 1, "max_per_year": 1}}
422 alert_settings_invalid /alert_settings/info/threshold POST /v1/wallets {"customer_id": "ada", "currency": "usd", "alert_settings": {"info": {"threshold": -1, "condition": "below"}}}
422 alert_settings_invalid /alert_settings/critical/hysteresis POST /v1/wallets {"customer_id": "ada", "currency": "usd", "alert_settings": {"critical": {"threshold": 1, "condition": "above", "hysteresis": 2}}}
422 body_invalid /alert_settings/warning/condition POST /v1/wallets {"customer_id": "ada", "currency": "usd", "alert_settings": {"warning": {"threshold": 1, "condition": "near"}}}
422 unknown_field /alert_settings/fatal POST /v1/wallets {"customer_id": "ada", "currency": "usd", "alert_settings": {"fatal": {"threshold": 1, "condition": "below"}}}
422 body_invalid /alert_settings/alert_enabled POST /v1/wallets {"customer_id": "ada", "currency": "usd", "alert_settings": {"alert_enabled": 1}}
404 not_found - GET /v1/wallets/wal_x/balance
404 not_found - GET /v1/wallets/wal_x/breakdown
404 not_found - GET /v1/wallets?customer_id=nobody
400 query_invalid - GET /v1/wallets?status=lost
400 query_invalid - GET /v1/wallets?currency=%20
404 not_found - GET /v1/customers/nobody/balance?currency=usd
400 query_invalid - GET /v1/customers/ada/balance
400 query_invalid - GET /v1/customers/ada/balance?currency=%20
400 query_invalid - GET /v1/customers?limit=0
400 query_invalid - GET /v1/customers?limit=201
400 query_invalid - GET /v1/customers?limit=many
400 query_invalid - GET /v1/customers?page=2
400 cursor_invalid - GET /v1/customers?cursor=zz
400 query_invalid - GET /v1/leases?state=lost
404 not_found - GET /v1/leases?instance=x
404 route_unknown - GET /v1/nothing
422 text_invalid /external_id POST /v1/customers {"external_id": "{letters}"}
422 amount_too_precise /conversion_rate POST /v1/wallets {"customer_id": "ada", "currency": "usd", "conversion_rate": 0.0000000001}
404 not_found - GET /v1/customers/%FF%FE
405 method_not_allowed - DELETE /v1/customers
"##;

const CLAIMS: &str = r##"
422 field_missing /reason POST /v1/wallets/{wallet}/debit {"amount": 1}
422 amount_ambiguous /amount POST /v1/wallets/{wallet}/debit {"reason": "r"}
422 amount_ambiguous /amount POST /v1/wallets/{wallet}/debit {"amount": 1, "credits": 1, "reason": "r"}
422 amount_not_positive /amount POST /v1/wallets/{wallet}/debit {"amount": 0, "reason": "r"}
422 amount_not_positive /credits POST /v1/wallets/{wallet}/debit {"credits": -1, "reason": "r"}
409 balance_insufficient - POST /v1/wallets/{wallet}/debit {"amount": 8, "reason": "r"}
422 reason_not_for_debits /reason_code POST /v1/wallets/{wallet}/debit {"amount": 1, "reason_code": "USAGE", "reason": "r"}
404 not_found /lot_id POST /v1/wallets/{wallet}/debit {"amount": 1, "lot_id": "lot_{none}", "reason": "r"}
404 not_found /lot_id POST /v1/wallets/{wallet}/debit {"amount": 1, "lot_id": "nobodys", "reason": "r"}
404 not_found - POST /v1/wallets/nobodys/debit {"amount": 1, "reason": "r"}
422 amount_zero /amount POST /v1/wallets/{wallet}/adjust {"amount": 0, "reason": "r"}
422 amount_zero /credits POST /v1/wallets/{wallet}/adjust {"credits": "-0", "reason": "r"}
409 balance_insufficient - POST /v1/wallets/{wallet}/adjust {"amount": -8, "reason": "r"}
422 amount_overflow /credits POST /v1/wallets/{wallet}/adjust {"credits": 2305843009, "reason": "r"}
422 amount_overflow /credits POST /v1/wallets/{wallet}/adjust {"credits": 1e300, "reason": "r"}
422 amount_overflow /amount POST /v1/wallets/{wallet}/adjust {"amount": 2305843009, "reason": "r"}
422 field_missing /to POST /v1/wallets/{wallet}/transfer {"amount": 1, "reason": "r"}
422 transfer_to_itself /to POST /v1/wallets/{wallet}/transfer {"amount": 1, "to": "{wallet}", "reason": "r"}
404 not_found /to POST /v1/wallets/{wallet}/transfer {"amount": 1, "to": "elsewhere", "reason": "r"}
422 field_missing /transfer_to POST /v1/wallets/{wallet}/close {"reason": "r", "purchased": "transfer"}
422 body_invalid /transfer_to POST /v1/wallets/{wallet}/close {"reason": "r", "transfer_to": "x"}
422 transfer_to_itself /transfer_to POST /v1/wallets/{wallet}/close {"reason": "r", "purchased": "transfer", "transfer_to": "{wallet}"}
422 body_invalid /purchased POST /v1/wallets/{wallet}/close {"reason": "r", "purchased": "burn"}
422 field_missing /reason POST /v1/wallets/{wallet}/close {}
422 wallet_not_post_paid /credit_limit PATCH /v1/wallets/{wallet} {"credit_limit": 1}
422 unknown_field /external_id PATCH /v1/wallets/{wallet} {"external_id": "x"}
422 unknown_field /conversion_rate PATCH /v1/wallets/{wallet} {"conversion_rate": 2}
422 body_invalid /metadata PATCH /v1/wallets/{wallet} {"metadata": null}
422 field_missing /priority PATCH /v1/lots/lot_{none} {}
404 not_found - PATCH /v1/lots/lot_{none} {"priority": 1}
404 not_found - POST /v1/lots/lot_{none}/pay {}
404 not_found - GET /v1/claims/clm_{none}
404 not_found - GET /v1/lots/lot_{none}/transactions
400 query_invalid - GET /v1/wallets/{wallet}/lots?kind=gold
400 query_invalid - GET /v1/wallets/{wallet}/lots?status=new
400 query_invalid - GET /v1/wallets/{wallet}/transactions?kind=theft
400 query_invalid - GET /v1/wallets/{wallet}/transactions?reason_code=because
400 query_invalid - GET /v1/wallets/{wallet}/transactions?from=yesterday
400 query_invalid - GET /v1/wallets/{wallet}/claims?open=perhaps
"##;

const SETTINGS_PRICES_GATEWAYS: &str = r##"
422 settings_invalid /use_by_ms PUT /v1/settings {"use_by_ms": 0}
422 body_invalid /sync_ms PUT /v1/settings {"sync_ms": "100"}
422 body_invalid /sync_ms PUT /v1/settings {"sync_ms": null}
422 settings_invalid /silent_after_ms PUT /v1/settings {"silent_after_ms": 100}
422 body_invalid /quarantine_policy PUT /v1/settings {"quarantine_policy": "forget"}
422 settings_invalid /overrun_max PUT /v1/settings {"overrun_max": -1}
422 settings_invalid /top_up_url PUT /v1/settings {"top_up_url": "javascript:alert(1)"}
422 unknown_field /speed PUT /v1/settings {"speed": "fast"}
422 body_invalid /auto_complete_purchased_credit_transaction PUT /v1/settings {"auto_complete_purchased_credit_transaction": "yes"}
422 settings_invalid /unpaid_lot_ttl_ms PUT /v1/settings {"unpaid_lot_ttl_ms": 999}
422 settings_invalid /unpaid_lot_ttl_ms PATCH /v1/settings {"unpaid_lot_ttl_ms": 31622400001}
422 settings_invalid /auto_topup_cooldown_ms PATCH /v1/settings {"auto_topup_cooldown_ms": 0}
422 settings_invalid /auto_topup_cooldown_ms PATCH /v1/settings {"auto_topup_cooldown_ms": 2678400001}
422 settings_invalid /auto_topups_per_day_max PATCH /v1/settings {"auto_topups_per_day_max": 1001}
422 settings_invalid /auto_topups_per_month_max PATCH /v1/settings {"auto_topups_per_month_max": 10001}
422 body_invalid /auto_topups_per_day_max PATCH /v1/settings {"auto_topups_per_day_max": -1}
422 settings_invalid /default_alerts/info/threshold PATCH /v1/settings {"default_alerts": {"info": {"threshold": -1, "condition": "below"}}}
422 settings_invalid /default_alerts/critical/hysteresis PATCH /v1/settings {"default_alerts": {"critical": {"threshold": 1, "condition": "ABOVE", "hysteresis": "1.1"}}}
422 settings_invalid /default_alerts/warning/hysteresis PATCH /v1/settings {"default_alerts": {"warning": {"threshold": 1, "condition": "below", "hysteresis": -1}}}
422 body_invalid /default_alerts/warning/condition PATCH /v1/settings {"default_alerts": {"warning": {"threshold": 1, "condition": "beside"}}}
422 field_missing /default_alerts/warning/condition PATCH /v1/settings {"default_alerts": {"warning": {"threshold": 1}}}
422 field_missing /default_alerts/warning/threshold PATCH /v1/settings {"default_alerts": {"warning": {"condition": "below"}}}
422 amount_invalid /default_alerts/warning/threshold PATCH /v1/settings {"default_alerts": {"warning": {"threshold": "low", "condition": "below"}}}
422 amount_overflow /default_alerts/warning/threshold PATCH /v1/settings {"default_alerts": {"warning": {"threshold": 1e99, "condition": "below"}}}
422 unknown_field /default_alerts/danger PATCH /v1/settings {"default_alerts": {"danger": {"threshold": 1, "condition": "below"}}}
422 settings_invalid /bonus_slabs/0 PATCH /v1/settings {"bonus_slabs": [{"from": 1}]}
422 settings_invalid /bonus_slabs/1 PATCH /v1/settings {"bonus_slabs": [{"from": 1, "bonus_percent": 1}, {"from": 2, "bonus_percent": 1, "bonus_credits": 1}]}
422 settings_invalid /bonus_slabs/1/from PATCH /v1/settings {"bonus_slabs": [{"from": 2, "bonus_percent": 1}, {"from": 2, "bonus_percent": 1}]}
422 settings_invalid /bonus_slabs/0/from PATCH /v1/settings {"bonus_slabs": [{"from": -1, "bonus_percent": 1}]}
422 settings_invalid /bonus_slabs/0/bonus_percent PATCH /v1/settings {"bonus_slabs": [{"from": 1, "bonus_percent": "1000.1"}]}
422 settings_invalid /bonus_slabs/0/bonus_credits PATCH /v1/settings {"bonus_slabs": [{"from": 1, "bonus_credits": 0}]}
422 settings_invalid /bonus_slabs/0/expire_in_days PATCH /v1/settings {"bonus_slabs": [{"from": 1, "bonus_credits": 1, "expire_in_days": 0}]}
422 body_invalid /bonus_slabs/0/priority PATCH /v1/settings {"bonus_slabs": [{"from": 1, "bonus_credits": 1, "priority": 1.5}]}
422 unknown_field /bonus_slabs/0/to PATCH /v1/settings {"bonus_slabs": [{"from": 1, "bonus_credits": 1, "to": 5}]}
422 body_invalid /bonus_slabs PATCH /v1/settings {"bonus_slabs": null}
422 rate_card_invalid "" PUT /v1/rate-cards/n {}
422 rate_card_invalid "" PUT /v1/rate-cards/n
409 rate_card_currency /currency PUT /v1/rate-cards/n {"name": "n", "currency": "eur", "default": "deny"}
422 rate_card_scale /scale PUT /v1/rate-cards/n {"name": "n", "currency": "usd", "default": "deny", "scale": 2}
422 name_invalid - PUT /v1/rate-cards/no%20name {"name": "n", "currency": "usd", "default": "deny"}
404 not_found - GET /v1/rate-cards/other
404 not_found - GET /v1/rate-cards/n?version=9
422 scale_invalid /scale POST /v1/currencies {"code": "gold", "scale": 10}
409 already_exists /code POST /v1/currencies {"code": "usd", "scale": 2}
422 name_invalid /rate_card POST /v1/gateways {"external_id": "g", "rate_card": "no name"}
404 not_found - POST /v1/gateways/g/keys
422 body_invalid /role POST /v1/operator-keys {"role": "root"}
404 not_found - POST /v1/instances/ins_{none}/drain
404 not_found - POST /v1/leases/lse_{none}/resolve {"action": "release", "reason": "r"}
422 body_invalid /action POST /v1/leases/lse_{none}/resolve {"action": "forgive", "reason": "r"}
404 not_found - POST /v1/leases/lse_{none}/resolve {"action": "hold", "reason": "r"}
422 field_missing /reason POST /v1/leases/lse_{none}/resolve {"action": "release"}
422 price_negative /rules/0/price PUT /v1/rate-cards/n {"name": "n", "currency": "usd", "default": "deny", "rules": [{"id": "a", "path": {"exact": "/a"}, "price": -1}]}
422 amount_too_precise /rules/0/price PUT /v1/rate-cards/n {"name": "n", "currency": "usd", "default": "deny", "rules": [{"id": "a", "path": {"exact": "/a"}, "price": 0.0000000001}]}
422 path_invalid /rules/0/path/exact PUT /v1/rate-cards/n {"name": "n", "currency": "usd", "default": "deny", "rules": [{"id": "a", "path": {"exact": "a"}, "price": 1}]}
422 rate_card_invalid /rules/0/prise PUT /v1/rate-cards/n {"name": "n", "currency": "usd", "default": "deny", "rules": [{"id": "a", "path": {"exact": "/a"}, "prise": 1}]}
"##;

const GRANT: &str = r#"{"name": "g", "scope": "CUSTOMER", "customer_id": "ada", "credit_amount": 1, "currency": "usd", "cadence": "RECURRING", "period": "MONTHLY"}"#;

/// What is wrong with a grant: its status, code, pointer, and the fields that differ from [`GRANT`].
const GRANTS: &str = r##"
422 field_missing /customer_id {"customer_id": null}
422 scope_mismatch /plan_id {"plan_id": "p"}
422 field_missing /plan_id {"scope": "PLAN", "customer_id": null}
422 body_invalid /scope {"scope": "TEAM"}
404 not_found /customer_id {"customer_id": "nobody"}
404 not_found /plan_id {"scope": "plan", "customer_id": null, "plan_id": "nothing"}
404 not_found /subscription_id {"scope": "subscription", "customer_id": null, "subscription_id": "nothing"}
409 subscription_cancelled /subscription_id {"scope": "subscription", "customer_id": null, "subscription_id": "over"}
409 plan_archived /plan_id {"scope": "plan", "customer_id": null, "plan_id": "old"}
422 amount_not_positive /credit_amount {"credit_amount": 0}
422 amount_not_positive /credit_amount {"credit_amount": "-5"}
422 amount_not_positive /credit_amount {"credit_amount": "0.0000000001"}
422 amount_invalid /credit_amount {"credit_amount": "many"}
422 currency_invalid /currency {"currency": ""}
422 body_invalid /cadence {"cadence": "SOMETIMES"}
422 period_missing /period {"period": null}
422 body_invalid /period {"period": "HOURLY"}
422 period_count_invalid /period_count {"period_count": 0}
422 period_count_invalid /period_count {"period_count": 1001}
422 body_invalid /period_count {"period_count": -1}
422 only_for_recurring /period {"cadence": "ONETIME"}
422 only_for_recurring /period_count {"cadence": "ONETIME", "period": null, "period_count": 2}
422 only_for_recurring /anchor {"cadence": "ONETIME", "period": null, "anchor": "2027-01-01T00:00:00Z"}
422 only_for_recurring /rollover {"cadence": "ONETIME", "period": null, "rollover": {"maximum": 5}}
422 body_invalid /anchor {"anchor": "soon"}
422 expiry_ambiguous /expire_in_days {"expire_in_days": 30, "expiration_type": "NEVER"}
422 expiry_ambiguous /expire_in_days {"expire_in_days": 30, "expiration_duration": 30}
422 expiry_ambiguous /expiration_duration {"expiration_type": "NEVER", "expiration_duration": 30}
422 expiry_ambiguous /expiration_duration_unit {"expiration_duration_unit": "DAY"}
422 expiration_duration_missing /expiration_duration {"expiration_type": "DURATION"}
422 period_count_invalid /expire_in_days {"expire_in_days": 0}
422 period_count_invalid /expiration_duration {"expiration_duration": 10001}
422 body_invalid /expiration_duration_unit {"expiration_duration": 1, "expiration_duration_unit": "FORTNIGHT"}
422 billing_cycle_needs_subscription /expiration_type {"expiration_type": "BILLING_CYCLE"}
422 rollover_needs_expiry /rollover {"expire_in_days": 30, "rollover": {"maximum": 5}}
422 rollover_invalid /rollover {"rollover": {"minimum": 6, "maximum": 5}}
422 field_missing /rollover/maximum {"rollover": {"minimum": 6}}
422 body_invalid /priority {"priority": "high"}
422 body_invalid /credit_kind {"credit_kind": "purchased"}
422 unknown_field /credits {"credits": 5}
422 external_id_reserved /external_id {"external_id": "grt_{none}"}
"##;

const PLANS_SUBSCRIPTIONS: &str = r##"
422 field_missing /name POST /v1/plans {"external_id": "p"}
409 already_exists /external_id POST /v1/plans {"external_id": "new", "name": "n"}
422 text_invalid /name POST /v1/plans {"external_id": "p", "name": ""}
404 not_found - GET /v1/plans/nothing
404 not_found - PATCH /v1/plans/nothing {"name": "n"}
409 plan_archived - POST /v1/plans/old/archive {}
422 field_missing /plan_id POST /v1/subscriptions {"customer_id": "ada"}
404 not_found /customer_id POST /v1/subscriptions {"customer_id": "nobody", "plan_id": "new"}
404 not_found /plan_id POST /v1/subscriptions {"customer_id": "ada", "plan_id": "nothing"}
409 plan_archived /plan_id POST /v1/subscriptions {"customer_id": "ada", "plan_id": "old"}
409 already_exists /external_id POST /v1/subscriptions {"customer_id": "ada", "plan_id": "new", "external_id": "over"}
422 started_at_out_of_range /started_at POST /v1/subscriptions {"customer_id": "ada", "plan_id": "new", "started_at": "2001-01-01T00:00:00Z"}
422 started_at_out_of_range /started_at POST /v1/subscriptions {"customer_id": "ada", "plan_id": "new", "started_at": "2999-01-01T00:00:00Z"}
422 period_count_invalid /billing_period_count POST /v1/subscriptions {"customer_id": "ada", "plan_id": "new", "billing_period_count": 0}
422 body_invalid /billing_period POST /v1/subscriptions {"customer_id": "ada", "plan_id": "new", "billing_period": "HOURLY"}
409 subscription_cancelled - POST /v1/subscriptions/over/cancel {}
409 subscription_cancelled - POST /v1/subscriptions/over/resume {}
404 not_found - POST /v1/subscriptions/nothing/pause {}
422 body_invalid /at POST /v1/subscriptions/over/cancel {"at": "tomorrow"}
422 body_invalid /granted_credit POST /v1/subscriptions/over/cancel {"granted_credit": "halve"}
404 not_found - POST /v1/credit-grants/nothing/archive {}
404 not_found - GET /v1/credit-grants?plan_id=nothing
404 not_found - GET /v1/subscriptions?customer_id=nobody
400 query_invalid - GET /v1/subscriptions?status=lost
404 not_found - POST /v1/credit-grant-applications/apl_{none}/retry {}
404 not_found - GET /v1/credit-grant-applications/x
404 not_found - GET /v1/subscriptions/nothing/upcoming-applications
400 cursor_invalid - GET /v1/customers/ada/upcoming-applications?cursor=x
"##;

/// Names of nothing, of what is another customer's, and names that are taken: `{wallet}` is
/// ada's, `theirs` and `lot-of-theirs` are bob's.
const NAMES: &str = r##"
404 not_found /customer_id POST /v1/wallets {"customer_id": "cus_{none}", "currency": "usd"}
404 not_found /customer_id POST /v1/wallets {"customer_id": "wal_{none}", "currency": "usd"}
404 not_found /customer_id POST /v1/keys/{key}/move {"customer_id": "nobody"}
404 not_found /customer_id POST /v1/keys/{key}/move {"customer_id": "cus_{none}"}
404 not_found - POST /v1/keys/key_{none}/move {"customer_id": "nobody"}
404 not_found - POST /v1/keys/key_{none}/move {"customer_id": "bob"}
409 key_is_there /customer_id POST /v1/keys/{key}/move {"customer_id": "ada"}
404 not_found /lot_id POST /v1/wallets/{wallet}/debit {"amount": 1, "reason": "r", "lot_id": "lot_{none}"}
404 not_found /lot_id POST /v1/wallets/{wallet}/debit {"amount": 1, "reason": "r", "lot_id": "lot-of-theirs"}
404 not_found - POST /v1/wallets/wal_{none}/debit {"amount": 1, "reason": "r", "lot_id": "nothing"}
404 not_found /to POST /v1/wallets/{wallet}/transfer {"amount": 1, "reason": "r", "to": "wal_{none}"}
404 not_found /to POST /v1/wallets/{wallet}/transfer {"amount": 1, "reason": "r", "to": "theirs"}
404 not_found - POST /v1/wallets/wal_{none}/transfer {"amount": 1, "reason": "r", "to": "nothing"}
404 not_found /transfer_to POST /v1/wallets/{wallet}/close {"reason": "r", "purchased": "transfer", "transfer_to": "nothing"}
404 not_found /transfer_to POST /v1/wallets/{wallet}/close {"reason": "r", "purchased": "transfer", "transfer_to": "wal_{none}"}
404 not_found /transfer_to POST /v1/wallets/{wallet}/close {"reason": "r", "purchased": "transfer", "transfer_to": "theirs"}
404 not_found /customer_id POST /v1/subscriptions {"customer_id": "cus_{none}", "plan_id": "p"}
404 not_found /plan_id POST /v1/subscriptions {"customer_id": "ada", "plan_id": "pln_{none}"}
404 not_found /customer_id POST /v1/credit-grants {"name": "g", "scope": "CUSTOMER", "customer_id": "cus_{none}", "credit_amount": 1, "currency": "usd", "cadence": "ONETIME"}
404 not_found /plan_id POST /v1/credit-grants {"name": "g", "scope": "PLAN", "plan_id": "pln_{none}", "credit_amount": 1, "currency": "usd", "cadence": "ONETIME"}
404 not_found /subscription_id POST /v1/credit-grants {"name": "g", "scope": "SUBSCRIPTION", "subscription_id": "sub_{none}", "credit_amount": 1, "currency": "usd", "cadence": "ONETIME"}
409 already_exists /external_id POST /v1/wallets {"customer_id": "ada", "currency": "usd", "external_id": "theirs"}
409 already_exists /external_id POST /v1/wallets/{wallet}/top-up {"amount": 1, "external_id": "lot-of-theirs"}
409 already_exists /external_id POST /v1/credit-grants {"name": "g", "external_id": "g", "scope": "CUSTOMER", "customer_id": "ada", "credit_amount": 1, "currency": "usd", "cadence": "ONETIME"}
409 already_exists /external_id POST /v1/gateways {"external_id": "gate"}
409 already_exists /external_id POST /v1/webhook-endpoints {"url": "https://example.com/", "external_id": "hook"}
409 already_exists /external_id PATCH /v1/webhook-endpoints/second {"external_id": "hook"}
409 rate_card_currency /rate_card PATCH /v1/gateways/gate {"rate_card": "of-euros"}
"##;

/// Sends each request of a table; `{wallet}` stands for that wallet.
pub(crate) async fn each_is_refused(plane: &Plane, table: &str, wallet: &str) {
    let rules: Vec<String> = (0..51).map(|number| format!("\"rule-{number}\"")).collect();
    let table = table
        .replace("{wallet}", wallet)
        .replace("{none}", "00000000000000000000000000000001")
        .replace("{digits}", &"1".repeat(65))
        .replace("{letters}", &"x".repeat(501))
        .replace("{rules}", &rules.join(", "));
    let before = plane.dump();
    for line in table.trim().lines() {
        let mut words = line.splitn(6, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (status, code, pointer) = (word(), word(), word());
        let (method, path, body) = (word().parse::<Method>().unwrap(), word(), word());
        let answer = plane.call(method, path, ADMIN, body, &[]).await;
        assert_eq!(answer.status.to_string(), status, "{line}: {}", answer.body);
        assert_eq!(answer.code(), code, "{line}: {}", answer.body);
        let due = (pointer != "-").then(|| pointer.trim_matches('"'));
        let found = answer.body["pointer"].as_str();
        assert_eq!(found, due, "{line}: {}", answer.body);
        let told = answer.body["title"].is_string() && answer.body["detail"].is_string();
        assert!(told, "{line}: {}", answer.body);
        assert_eq!(plane.dump(), before, "{line} wrote something");
    }
}

fn count(list: &Value) -> usize {
    list["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_bad_top_up_adds_nothing() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "usd", "5").await;
    each_is_refused(&plane, TOP_UPS, &wallet).await;
    let lots = plane.get(&format!("/v1/wallets/{wallet}/lots")).await;
    assert_eq!(count(&lots.body), 1);
    assert_eq!(
        plane.balance(&wallet, ["balance", "funded"]).await,
        ["5", "5"]
    );
    plane.assert_clean();
}

#[tokio::test]
async fn a_bad_debit_transfer_or_closing_takes_nothing() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "usd", "5").await;
    each_is_refused(&plane, CLAIMS, &wallet).await;
    assert_eq!(
        plane.balance(&wallet, ["balance", "withdrawn"]).await,
        ["5", "0"]
    );
    plane.assert_clean();
}

#[tokio::test]
async fn a_bad_customer_wallet_or_key_is_not_made() {
    let plane = Plane::start();
    plane
        .post("/v1/customers", json!({ "external_id": "ada" }))
        .await;
    each_is_refused(&plane, CUSTOMERS_WALLETS_KEYS, "").await;
    let many: serde_json::Map<String, Value> =
        (0..51).map(|key| (key.to_string(), json!("v"))).collect();
    let refused = plane
        .post(
            "/v1/customers",
            json!({ "external_id": "b", "metadata": many }),
        )
        .await;
    assert_eq!((refused.status, refused.code()), (422, "metadata_invalid"));
    assert_eq!(count(&plane.get("/v1/customers").await.body), 1);
    assert_eq!(count(&plane.get("/v1/customers/ada/wallets").await.body), 0);
    plane.assert_clean();
}

#[tokio::test]
async fn a_name_in_a_body_that_leads_nowhere_is_pointed_at() {
    let plane = Plane::start();
    let wallet = plane.funded("ada", "usd", "5").await;
    plane.funded("bob", "usd", "5").await;
    for (name, currency) in [("gate", "usd"), ("of-euros", "eur")] {
        let card = json!({ "name": name, "currency": currency, "default": "deny" });
        let made = plane.put(&format!("/v1/rate-cards/{name}"), card).await;
        assert_eq!(made.status, 200, "{made:?}");
    }
    let grant = json!({ "name": "g", "external_id": "g", "scope": "PLAN", "plan_id": "p", "credit_amount": 1,
        "currency": "usd", "cadence": "ONETIME" });
    let key = plane.post("/v1/customers/ada/keys", json!({})).await;
    for (path, body) in [
        (
            "/v1/wallets",
            json!({ "customer_id": "bob", "currency": "usd", "external_id": "theirs" }),
        ),
        (
            "/v1/wallets/theirs/top-up",
            json!({ "amount": 1, "external_id": "lot-of-theirs" }),
        ),
        ("/v1/plans", json!({ "external_id": "p", "name": "P" })),
        ("/v1/credit-grants", grant),
        (
            "/v1/gateways",
            json!({ "external_id": "gate", "rate_card": "gate" }),
        ),
        (
            "/v1/webhook-endpoints",
            json!({ "url": "https://example.com/", "external_id": "hook", "events": ["webhook_endpoint.test"] }),
        ),
        (
            "/v1/webhook-endpoints",
            json!({ "url": "https://example.com/", "external_id": "second", "events": ["webhook_endpoint.test"] }),
        ),
    ] {
        let made = plane.post(path, body).await;
        assert_eq!(made.status, 201, "{path}: {made:?}");
    }
    let table = NAMES.replace("{key}", &key.text("id"));
    each_is_refused(&plane, &table, &wallet).await;
    plane.assert_clean();
}

#[tokio::test]
async fn a_bad_plan_subscription_or_grant_is_not_made() {
    let plane = Plane::start();
    for (path, body) in [
        ("/v1/customers", json!({ "external_id": "ada" })),
        ("/v1/plans", json!({ "external_id": "new", "name": "New" })),
        ("/v1/plans", json!({ "external_id": "old", "name": "Old" })),
        (
            "/v1/subscriptions",
            json!({ "customer_id": "ada", "plan_id": "new", "external_id": "over" }),
        ),
    ] {
        assert_eq!(plane.post(path, body).await.status, 201, "{path}");
    }
    for path in ["/v1/plans/old/archive", "/v1/subscriptions/over/cancel"] {
        assert_eq!(plane.post(path, json!({})).await.status, 200, "{path}");
    }
    let mut table = PLANS_SUBSCRIPTIONS.to_owned();
    for line in GRANTS.trim().lines() {
        let (head, fields) = line.split_at(line.find('{').unwrap());
        let mut body: Value = serde_json::from_str(GRANT).unwrap();
        let fields: Value = serde_json::from_str(fields).unwrap();
        for (field, value) in fields.as_object().unwrap() {
            body[field] = value.clone();
        }
        table.push_str(&format!("{head}POST /v1/credit-grants {body}\n"));
    }
    each_is_refused(&plane, &table, "").await;
    plane.assert_clean();
}

#[tokio::test]
async fn bad_settings_prices_and_gateways_change_nothing() {
    let plane = Plane::start();
    let card = json!({ "name": "n", "currency": "usd", "default": "deny" });
    plane.put("/v1/rate-cards/n", card).await;
    let before = plane.get("/v1/settings").await;
    each_is_refused(&plane, SETTINGS_PRICES_GATEWAYS, "").await;
    assert_eq!(plane.get("/v1/settings").await.body, before.body);
    assert_eq!(plane.get("/v1/rate-cards/n").await.body["version"], 1);
    assert_eq!(count(&plane.get("/v1/gateways").await.body), 0);
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
