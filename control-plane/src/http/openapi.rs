//! The OpenAPI document: made from the handlers, with what all of them share.

use serde_json::{Value, json};

use super::body::IDEMPOTENCY_KEY_MAX;
use crate::problem::ProblemBody;

/// The document as JSON text.
pub(super) fn json(document: &utoipa::openapi::OpenApi) -> String {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["info"] = json!({
        "title": "Creditgate",
        "description": "Prepaid credit for APIs: customers, wallets, top-ups, prices, gateways. Amounts in answers are decimal strings; in requests numbers and decimal strings are read exactly. Errors are problem documents (RFC 9457) with a stable `code`.",
        "version": env!("CARGO_PKG_VERSION"),
        "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
    });
    document["components"]["securitySchemes"] = json!({
        "operator": { "type": "http", "scheme": "bearer", "description": "An operator's key, cga_…" },
        "gateway": { "type": "http", "scheme": "bearer", "description": "A gateway's key, cgg_…" },
    });
    let problem = <ProblemBody<'_> as utoipa::PartialSchema>::schema();
    document["components"]["schemas"]["Problem"] =
        serde_json::to_value(problem).unwrap_or_default();
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            complete(path, method, operation);
        }
    }
    document.to_string()
}

fn complete(path: &str, method: &str, operation: &mut Value) {
    let reads = method == "get";
    let content = json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
    operation["responses"]["4XX"] =
        json!({ "description": "The request can't be honoured", "content": content });
    operation["responses"]["5XX"] =
        json!({ "description": "The service can't honour it now", "content": content });
    if path.starts_with("/v1/gateway/") {
        operation["security"] = json!([{ "gateway": [] }]);
    } else if path.starts_with("/v1/") {
        operation["security"] = json!([{ "operator": [] }]);
        if !reads {
            let parameter = json!({
                "name": "Idempotency-Key",
                "in": "header",
                "required": false,
                "description": "Makes the write happen once: a repeat with the same key and body gets the first answer again, with the header idempotency-replayed: true.",
                "schema": { "type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_MAX },
            });
            if let Some(parameters) = operation["parameters"].as_array_mut() {
                parameters.push(parameter);
            } else {
                operation["parameters"] = json!([parameter]);
            }
        }
    }
}
