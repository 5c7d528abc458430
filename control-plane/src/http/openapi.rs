//! The OpenAPI document: made from the handlers, with what all of them share.

use std::sync::OnceLock;

use creditgate_core::rate_card::{PricingDocument, RateCardDocument};
use serde_json::{Value, json};
use utoipa::openapi::{Ref, RefOr, Schema};

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
    let schemas = &mut document["components"]["schemas"];
    add_schema(
        schemas,
        "RateCardDocument",
        schemars::schema_for!(RateCardDocument),
    );
    add_schema(
        schemas,
        "PricingDocument",
        schemars::schema_for!(PricingDocument),
    );
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            complete(path, method, operation);
            add_example(path, method, operation);
        }
    }
    document.to_string()
}

/// What each operation was asked and answered, once; a test keeps it true.
const EXAMPLES: &str = include_str!("openapi/examples.json");

/// Adds the operation's example, if it has one: those of gateways have none.
fn add_example(path: &str, method: &str, operation: &mut Value) {
    static READ: OnceLock<Value> = OnceLock::new();
    let examples = READ.get_or_init(|| serde_json::from_str(EXAMPLES).unwrap_or_default());
    let example = &examples[format!("{} {path}", method.to_uppercase())];
    let contents = [
        ("/requestBody/content".to_owned(), "request"),
        (
            format!("/responses/{}/content", example["status"]),
            "response",
        ),
    ];
    for (pointer, part) in contents {
        let content = operation.pointer_mut(&pointer);
        let content = content.and_then(|content| content.get_mut("application/json"));
        if let (Some(content), Some(example)) = (content, example.get(part)) {
            content["example"] = example.clone();
        }
    }
}

/// Schemas of the core are made for JSON Schema rather than for OpenAPI: their definitions get
/// names of their own among the components.
fn add_schema(schemas: &mut Value, name: &str, schema: schemars::Schema) {
    let mut schema = renamed(schema.to_value());
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("$schema");
        let definitions = fields.remove("$defs").unwrap_or_default();
        for (part, definition) in definitions.as_object().into_iter().flatten() {
            // What two of them share is one and the same.
            schemas[format!("RateCardDocument{part}")] = definition.clone();
        }
    }
    schemas[name] = schema;
}

fn renamed(value: Value) -> Value {
    const HERE: &str = "#/$defs/";
    match value {
        Value::String(text) => match text.strip_prefix(HERE) {
            Some(name) => json!(format!("#/components/schemas/RateCardDocument{name}")),
            None => Value::String(text),
        },
        Value::Array(items) => items.into_iter().map(renamed).collect(),
        Value::Object(fields) => {
            let fields = fields
                .into_iter()
                .map(|(name, value)| (name, renamed(value)));
            Value::Object(fields.collect())
        }
        other => other,
    }
}

/// The rate card's schema, for descriptions of handlers.
pub(super) fn rate_card() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name("RateCardDocument"))
}

/// The schema of what a customer pays otherwise under rate cards, for descriptions of handlers.
pub(super) fn card_pricings() -> RefOr<Schema> {
    let card = Ref::from_schema_name("RateCardDocumentCardPricingDocument");
    RefOr::T(Schema::Array(utoipa::openapi::Array::new(card)))
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
