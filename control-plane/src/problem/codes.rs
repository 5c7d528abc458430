//! Every code that clients may be told, with its status and title.

/// A code that clients can rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The word for programs; never changes its meaning.
    pub code: &'static str,
    /// The HTTP status it comes with.
    pub status: u16,
    /// What it means, for people.
    pub title: &'static str,
}

const fn code(status: u16, code: &'static str, title: &'static str) -> Code {
    Code {
        code,
        status,
        title,
    }
}

/// All codes; the last is for what should not happen.
pub const CODES: &[Code] = &[
    code(400, "json_invalid", "The body is not JSON"),
    code(400, "query_invalid", "A query parameter is not acceptable"),
    code(400, "cursor_invalid", "The cursor is none of this list"),
    code(
        400,
        "idempotency_key_invalid",
        "The Idempotency-Key header is not acceptable",
    ),
    code(
        401,
        "credential_missing",
        "No Authorization header with a bearer key",
    ),
    code(
        401,
        "credential_malformed",
        "The key is mistyped, cut or made up",
    ),
    code(
        401,
        "credential_unknown",
        "The key is not known here, or was revoked",
    ),
    code(403, "role_insufficient", "The key may not do this"),
    code(404, "not_found", "No such object"),
    code(404, "route_unknown", "No such address"),
    code(405, "method_not_allowed", "The address has no such method"),
    code(409, "already_exists", "An object of that name exists"),
    code(
        409,
        "instance_of_another_gateway",
        "The instance belongs to another gateway",
    ),
    code(409, "instance_state", "The instance is in another state"),
    code(409, "instances_max", "Too many instances"),
    code(
        409,
        "key_is_there",
        "The key belongs to that customer already",
    ),
    code(409, "keys_max", "Too many keys"),
    code(
        409,
        "limited_rules_max",
        "The customer's wallets are limited to too many rules",
    ),
    code(409, "lease_not_quarantined", "The lease is not quarantined"),
    code(409, "lease_on_hold", "The lease is held already"),
    code(409, "lot_not_live", "Nothing is left of the lot"),
    code(409, "lots_max", "Too many lots"),
    code(
        409,
        "rate_card_not_scheduled",
        "The version of the rate card is not to come",
    ),
    code(
        409,
        "rate_cards_scheduled_max",
        "Too many versions of the rate card are to come",
    ),
    code(422, "effective_at_past", "The instant is not to come"),
    code(
        409,
        "rate_card_currency",
        "The currency of a rate card can't change",
    ),
    code(409, "wallets_max", "Too many wallets"),
    code(409, "wallet_closed", "The wallet is closed"),
    code(
        409,
        "wallet_owes",
        "Something of the wallet's credit limit is used or with gateways",
    ),
    code(
        409,
        "wallet_awaits_transfer",
        "A transfer into the wallet is not over yet",
    ),
    code(
        409,
        "rules_overlap",
        "Another wallet is limited to some of the rules",
    ),
    code(409, "lot_not_unpaid", "The lot does not wait for a payment"),
    code(
        409,
        "lot_is_bonus",
        "The lot comes with another, which is to be paid",
    ),
    code(
        409,
        "lot_is_credit_limit",
        "The lot is the credit limit of its wallet",
    ),
    code(
        409,
        "balance_insufficient",
        "The wallet has less than is to be taken",
    ),
    code(409, "claims_max", "Too many debits and transfers wait"),
    code(
        409,
        "webhook_endpoint_disabled",
        "The webhook endpoint is disabled",
    ),
    code(409, "webhook_endpoints_max", "Too many webhook endpoints"),
    code(
        409,
        "webhook_secrets_max",
        "Too many secrets of the webhook endpoint are valid",
    ),
    code(
        409,
        "application_not_failed",
        "The application did not fail",
    ),
    code(409, "grant_archived", "The credit grant is archived"),
    code(409, "grants_max", "Too many credit grants"),
    code(409, "plan_archived", "The plan is archived"),
    code(409, "plans_max", "Too many plans"),
    code(409, "subscription_cancelled", "The subscription is over"),
    code(409, "subscriptions_max", "Too many subscriptions"),
    code(409, "wallet_frozen", "The wallet is frozen"),
    code(413, "body_too_large", "The body is too large"),
    code(413, "too_many_reports", "Too many reports in one sync"),
    code(413, "too_many_rows", "Too many rows in one batch of usage"),
    code(422, "body_invalid", "A field of the body is not acceptable"),
    code(
        422,
        "unknown_field",
        "The body has a field that does not exist",
    ),
    code(422, "field_missing", "The body lacks a field"),
    code(
        422,
        "text_invalid",
        "A text is empty, too long or not printable",
    ),
    code(
        422,
        "external_id_reserved",
        "The name looks like an id of this service",
    ),
    code(
        422,
        "metadata_invalid",
        "Metadata has too many or too long entries",
    ),
    code(422, "time_zone_unknown", "Not an IANA time zone"),
    code(
        422,
        "amount_ambiguous",
        "Exactly one way of saying how much is wanted",
    ),
    code(422, "amount_invalid", "Not a decimal number"),
    code(422, "amount_not_positive", "The amount is not above zero"),
    code(
        422,
        "amount_overflow",
        "The amount or the balance would be too large to count",
    ),
    code(422, "amount_negative", "The amount is below zero"),
    code(422, "amount_zero", "The amount is zero"),
    code(422, "bonus_without_purchase", "Only a purchase has a bonus"),
    code(422, "amount_too_long", "The number has too many digits"),
    code(
        422,
        "amount_too_precise",
        "The number has digits that the currency can't hold",
    ),
    code(
        422,
        "conversion_rate_not_positive",
        "The conversion rate is not above zero",
    ),
    code(422, "currency_invalid", "Not the name of a currency"),
    code(
        422,
        "currency_mismatch",
        "The two wallets are in different currencies",
    ),
    code(
        422,
        "transfer_to_itself",
        "A wallet can't transfer to itself",
    ),
    code(
        422,
        "wallet_not_post_paid",
        "Only a POST_PAID wallet has a credit limit",
    ),
    code(422, "rules_max", "A wallet is limited to too many rules"),
    code(422, "scale_invalid", "The scale is out of range"),
    code(422, "expiry_in_the_past", "The expiry has passed"),
    code(
        422,
        "expiry_before_effective",
        "The expiry comes before the credit is effective",
    ),
    code(
        422,
        "reason_not_for_debits",
        "The reason code is not one of debits",
    ),
    code(
        422,
        "reason_not_for_top_ups",
        "The reason code is not one of top-ups",
    ),
    code(
        422,
        "billing_cycle_needs_subscription",
        "A customer's grant has no billing cycle",
    ),
    code(
        422,
        "expiration_duration_missing",
        "An expiry after a duration lacks its length",
    ),
    code(422, "expiry_ambiguous", "Two expiries are given"),
    code(
        422,
        "only_for_recurring",
        "Only grants that recur have this",
    ),
    code(
        422,
        "period_count_invalid",
        "A number of periods is out of range",
    ),
    code(422, "period_missing", "A recurring grant lacks its period"),
    code(
        422,
        "rollover_invalid",
        "The bounds of a rollover contradict each other",
    ),
    code(
        422,
        "rollover_needs_expiry",
        "Credit would expire before it could be carried on",
    ),
    code(422, "scope_mismatch", "The field belongs to another scope"),
    code(
        422,
        "started_at_out_of_range",
        "The start is too long ago or too far ahead",
    ),
    code(422, "settings_invalid", "A setting is out of range"),
    code(
        422,
        "overrun_max_zero",
        "Requests may cost more than the settings allow",
    ),
    code(422, "alert_settings_invalid", "A level can't be kept"),
    code(
        422,
        "auto_topup_invalid",
        "The terms of an auto top-up can't be kept",
    ),
    code(422, "rate_card_invalid", "The rate card can't be read"),
    code(
        422,
        "name_invalid",
        "A name is empty, too long or has other characters",
    ),
    code(422, "method_invalid", "Not an HTTP method"),
    code(422, "path_invalid", "The path pattern is not acceptable"),
    code(422, "price_negative", "A price is below zero"),
    code(422, "price_too_large", "A price is too large"),
    code(422, "rule_id_invalid", "The id of a rule is not acceptable"),
    code(422, "rule_id_taken", "Two rules have one id"),
    code(
        422,
        "rule_unreachable",
        "Earlier rules take all requests of a rule",
    ),
    code(422, "too_many_free_paths", "Too many free paths"),
    code(422, "too_many_methods", "Too many methods in a rule"),
    code(422, "too_many_rules", "Too many rules"),
    code(
        422,
        "price_missing",
        "A rule has nothing that it charges for",
    ),
    code(
        422,
        "minimum_over_maximum",
        "The minimum is more than the maximum",
    ),
    code(422, "minimum_missing", "A rule has no minimum to charge"),
    code(422, "host_invalid", "Not the name of a host"),
    code(422, "header_invalid", "Not the name of a header"),
    code(422, "filter_state_invalid", "Not the name of filter state"),
    code(
        422,
        "condition_invalid",
        "A condition says nothing, or too much",
    ),
    code(
        422,
        "condition_repeated",
        "Two conditions are about the same field",
    ),
    code(422, "too_many_conditions", "Too many conditions in a rule"),
    code(422, "too_many_meters", "Too many meters in a rule"),
    code(
        422,
        "estimate_missing",
        "How much to reserve can't be known before",
    ),
    code(
        422,
        "estimate_over_max",
        "More would be reserved than is ever charged",
    ),
    code(
        422,
        "estimate_without_tokens",
        "The estimate is of tokens, and the rule has none",
    ),
    code(
        422,
        "on_empty_without_metered",
        "Only a metered answer can be ended",
    ),
    code(422, "count_too_large", "A count is too large"),
    code(422, "count_out_of_range", "A count is out of range"),
    code(
        422,
        "output_limit_field_invalid",
        "The format has no choice of such a field",
    ),
    code(422, "models_missing", "Tokens have no price without models"),
    code(422, "model_invalid", "Not the name of a model"),
    code(422, "model_taken", "Two models have one name"),
    code(422, "rule_unknown", "The rate card has no such rule"),
    code(
        422,
        "rule_taken",
        "A rule has two places in a customer's pricing",
    ),
    code(
        422,
        "rule_free",
        "A customer can't have a price where nobody is asked to pay",
    ),
    code(422, "rate_card_unknown", "There is no such rate card"),
    code(
        422,
        "rate_card_taken",
        "A rate card has two places in a customer's pricing",
    ),
    code(
        422,
        "meter_ambiguous",
        "The rule has more than one price of that",
    ),
    code(422, "meter_unknown", "The rule does not measure that"),
    code(422, "meter_taken", "A measure has two prices"),
    code(
        422,
        "too_many_overrides",
        "A customer's pricing names too much",
    ),
    code(422, "model_unknown", "The rate card has no such model"),
    code(422, "too_many_models", "Too many models"),
    code(
        422,
        "tier_order",
        "The context tiers of a model are not in ascending order",
    ),
    code(
        422,
        "tier_cheaper",
        "A context tier of a model is cheaper than the one before",
    ),
    code(422, "too_many_tiers", "Too many context tiers in a model"),
    code(422, "ending_missing", "A settle rule doesn't say when"),
    code(422, "retries_invalid", "Not a number of retries"),
    code(422, "status_invalid", "Not an HTTP status or class of them"),
    code(422, "grpc_status_invalid", "Not a gRPC status"),
    code(422, "too_many_endings", "Too many endings in a settle rule"),
    code(
        422,
        "too_many_settle_rules",
        "Too many settle rules in a rule",
    ),
    code(
        422,
        "rate_card_scale",
        "The rate card counts in other digits than its currency",
    ),
    code(
        422,
        "not_supported_yet",
        "A field or value that this version can't honour",
    ),
    code(
        422,
        "webhook_url_invalid",
        "Not an address that webhooks can be sent to",
    ),
    code(
        422,
        "webhook_url_not_allowed",
        "The service sends no webhooks to that address",
    ),
    code(
        422,
        "idempotency_key_reused",
        "The idempotency key was used with another request",
    ),
    code(
        422,
        "report_impossible",
        "A report contradicts itself or what was lent",
    ),
    code(
        426,
        "protocol_version",
        "The filter speaks another protocol version",
    ),
    code(503, "busy", "Too many writes are waiting"),
    code(503, "stopping", "The service is stopping"),
    code(503, "storage_unavailable", "The database can't be reached"),
    code(500, "internal", "Something went wrong here"),
];

impl Code {
    /// The code of this word; `internal` if it is none.
    pub(super) fn find(word: &str) -> &'static Self {
        let internal = &CODES[CODES.len() - 1];
        CODES
            .iter()
            .find(|code| code.code == word)
            .unwrap_or(internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed_once() {
        for (place, code) in CODES.iter().enumerate() {
            assert!(
                CODES[..place].iter().all(|other| other.code != code.code),
                "{}",
                code.code
            );
            assert!((400..=599).contains(&code.status), "{}", code.code);
        }
        assert_eq!(Code::find("what is this").code, "internal");
    }
}
