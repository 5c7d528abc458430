//! Conditions: the search agrees with a reading of the document, and no doubling of headers or
//! parameters makes a request cheaper.

use crate::generator::Generator;
use creditgate_core::rate_card::{
    AskedModel, Decision, Facts, RateCard, RateCardDocument, Request,
};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::cmp::Reverse;

const VALUES: [&str; 4] = ["a", "ab", "b", ""];
const MODELS: [&str; 3] = ["m", "m-1", "n"];

#[derive(Debug, Clone, Default)]
struct Given {
    host: &'static str,
    headers: Vec<(String, String)>,
    query: Vec<(String, String)>,
}

impl Facts for Given {
    fn host(&self) -> Option<Cow<'_, [u8]>> {
        Some(self.host.as_bytes().into())
    }

    fn route(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        for (own, value) in &self.headers {
            if own == name {
                each(value.as_bytes());
            }
        }
    }
}

impl Given {
    fn target(&self) -> String {
        let pairs = self
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        format!("/v1/x?{}", pairs.collect::<Vec<_>>().join("&"))
    }
}

property! {
    fn the_search_agrees_with_a_reading_of_the_conditions(generator) {
        let (document, card) = any_card(generator);
        let given = any_request(generator);
        let model = generator.pick(&MODELS);
        let expected = by_reading(&document, &given, model);
        assert_eq!(decide(&card, &given, AskedModel::Named(model)), expected, "{given:?} {document}");
        // What is said without the model is what is said with any.
        let unread = decide(&card, &given, AskedModel::Unread);
        if unread != "BODY" {
            assert_eq!(unread, expected, "{given:?} {document}");
        }
    }
}

property! {
    /// Whichever of two values an upstream goes by, what it serves costs what it would have
    /// cost for that value alone; or the request is refused.
    fn doubling_a_header_or_a_parameter_makes_nothing_cheaper(generator) {
        let (document, card) = any_card(generator);
        let one = any_request(generator);
        let (mut other, mut both) = (one.clone(), one.clone());
        let value = generator.pick(&VALUES).to_owned();
        if generator.one_in(2) {
            let Some((name, own)) = other.headers.first_mut() else { continue };
            own.clone_from(&value);
            let place = generator.below(both.headers.len() as u64 + 1) as usize;
            both.headers.insert(place, (name.clone(), value));
        } else {
            let Some((name, own)) = other.query.first_mut() else { continue };
            own.clone_from(&value);
            let name = if generator.one_in(4) { name.to_ascii_uppercase() } else { name.clone() };
            let place = generator.below(both.query.len() as u64 + 1) as usize;
            both.query.insert(place, (name, value));
        }
        let model = AskedModel::Named(generator.pick(&MODELS));
        let together = decide(&card, &both, model);
        if !together.starts_with("ambiguous") {
            let alone = [&one, &other].map(|given| decide(&card, given, model));
            assert_eq!(alone, [together.as_str(); 2], "{both:?} {document}");
        }
    }
}

fn decide(card: &RateCard, given: &Given, model: AskedModel<'_>) -> String {
    let target = given.target();
    let decision = card.price(Request {
        method: b"GET",
        path: target.as_bytes(),
        facts: given,
        model,
        ..Request::default()
    });
    match decision {
        Decision::UnknownRule => unreachable!("no route names a rule"),
        Decision::Rule(rule) => rule.id().to_owned(),
        Decision::Deny => "DENY".to_owned(),
        Decision::Ambiguous(reason) => reason.code().to_owned(),
        Decision::NeedsBody { .. } => "BODY".to_owned(),
        Decision::Free => panic!("nothing is free"),
    }
}

/// Rules for one path, some of which would always be taken before others.
fn any_card(generator: &mut Generator) -> (Value, RateCard) {
    let mut rules = Vec::new();
    for number in 0..1 + generator.below(6) {
        let mut conditions = json!({});
        if generator.one_in(3) {
            conditions["hosts"] = json!([generator.pick(&["h.com", "*.com"])]);
        }
        if generator.one_in(3) {
            conditions["model"] = json!(generator.pick(&["m", "m*", "*"]));
        }
        for kind in ["headers", "query"] {
            let mut fields = Vec::new();
            for name in ["x", "y"] {
                if generator.one_in(3) {
                    let value = generator.pick(&VALUES);
                    fields.push(match generator.below(4) {
                        0 => json!({"name": name, "equals": value}),
                        1 if !value.is_empty() => json!({"name": name, "prefix": value}),
                        2 => json!({"name": name, "present": false}),
                        _ => json!({"name": name, "present": true}),
                    });
                }
            }
            conditions[kind] = json!(fields);
        }
        let path = generator.pick(&["/v1", "/v1/x"]);
        rules.push(json!({
            "id": format!("r{number}"), "path": {"prefix": path}, "price": 1, "match": conditions,
        }));
        let document = document(&rules);
        if let Err(error) = RateCard::compile(&document, 1) {
            assert_eq!(error.code(), "rule_unreachable", "{error}");
            rules.pop();
        }
    }
    let card = RateCard::compile(&document(&rules), 1).unwrap();
    (json!(rules), card)
}

fn document(rules: &[Value]) -> RateCardDocument {
    let document = json!({"name": "n", "currency": "usd", "default": "deny", "rules": rules});
    RateCardDocument::from_json(document.to_string().as_bytes()).unwrap()
}

/// Names occur once at most, so that every reader agrees.
fn any_request(generator: &mut Generator) -> Given {
    let fields = |generator: &mut Generator| {
        let mut fields = Vec::new();
        for name in ["x", "y"] {
            if generator.one_in(2) {
                fields.push((name.to_owned(), generator.pick(&VALUES).to_owned()));
            }
        }
        fields
    };
    Given {
        host: ["h.com", "i.com", "h.org"][generator.below(3) as usize],
        headers: fields(generator),
        query: fields(generator),
    }
}

fn by_reading(rules: &Value, given: &Given, model: &str) -> String {
    let mut best = None;
    for (place, rule) in rules.as_array().unwrap().iter().enumerate() {
        let conditions = &rule["match"];
        let fields = |kind: &str| conditions[kind].as_array().cloned().unwrap_or_default();
        let host = conditions["hosts"][0].as_str();
        let glob = conditions["model"].as_str();
        let holds = host
            .is_none_or(|host| host == given.host || *host == format!("*{}", &given.host[1..]))
            && glob.is_none_or(|glob| match glob.strip_suffix('*') {
                Some(start) => model.starts_with(start),
                None => model == glob,
            })
            && fields("headers")
                .iter()
                .all(|field| field_holds(field, &given.headers))
            && fields("query")
                .iter()
                .all(|field| field_holds(field, &given.query));
        let count = fields("headers").len()
            + fields("query").len()
            + usize::from(host.is_some())
            + usize::from(glob.is_some());
        let length = rule["path"]["prefix"].as_str().unwrap().len();
        if holds {
            best = best.max(Some((length, count, Reverse(place))));
        }
    }
    match best {
        Some((.., Reverse(place))) => rules[place]["id"].as_str().unwrap().to_owned(),
        None => "DENY".to_owned(),
    }
}

fn field_holds(field: &Value, fields: &[(String, String)]) -> bool {
    let name = field["name"].as_str().unwrap();
    let value = fields
        .iter()
        .find(|(own, _)| own == name)
        .map(|(_, value)| value.as_str());
    if let Some(present) = field["present"].as_bool() {
        return present == value.is_some();
    }
    let Some(value) = value else { return false };
    match field["equals"].as_str() {
        Some(own) => value == own,
        None => value.starts_with(field["prefix"].as_str().unwrap()),
    }
}
