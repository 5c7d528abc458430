//! Rate cards: the tree finds what a reading of the document from top to bottom finds.

use crate::generator::Generator;
use crate::paths::{plain_path, respell};
use creditgate_core::rate_card::{
    Decision, PathPattern, RateCard, RateCardDocument, Request, RuleDocument,
};
use std::cmp::Reverse;

const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "PUT"];

property! {
    fn the_tree_agrees_with_a_reading_of_the_document(generator) {
        let (document, card) = any_card(generator);
        for _ in 0..8 {
            let depth = generator.below(4);
            let path: String = (0..=depth).map(|_| format!("/{}", generator.pick(&["a", "b", "c"]))).collect();
            let method = generator.pick(&METHODS);
            let expected = by_reading(&document, method, &path);
            let request = Request { method: method.as_bytes(), path: path.as_bytes(), ..Request::default() };
            let found = match card.price(request) {
                Decision::Rule(rule) => Some(rule.id().to_owned()),
                Decision::Deny => None,
                other => panic!("{method} {path}: {other:?}"),
            };
            assert_eq!(found, expected, "{method} {path} in {document:?}");
        }
    }
}

property! {
    fn every_harmless_spelling_of_a_path_costs_the_same(generator) {
        let path = plain_path(generator);
        let rule = |id: &str, pattern, price: u64| {
            serde_json::json!({"id": id, "path": pattern, "price": price})
        };
        let document = serde_json::json!({
            "name": "n", "currency": "tokens", "default": "free", "rules": [
                rule("dear", serde_json::json!({"exact": path}), 1 + generator.below(1000)),
                rule("cheap", serde_json::json!({"prefix": "/"}), 0),
            ],
        });
        let document = RateCardDocument::from_json(document.to_string().as_bytes()).unwrap();
        let card = RateCard::compile(&document, 1).unwrap();
        let spelling = respell(&path, generator);
        let request = Request { method: b"GET", path: spelling.as_bytes(), ..Request::default() };
        assert!(matches!(card.price(request), Decision::Rule(rule) if rule.id() == "dear"), "{spelling}");
    }
}

/// A card of rules that are near each other, so that many fit the same request.
fn any_card(generator: &mut Generator) -> (RateCardDocument, RateCard) {
    let mut document = RateCardDocument {
        rules_by_route: false,
        name: "any".to_owned(),
        currency: "usd".parse().unwrap(),
        scale: None,
        default: creditgate_core::rate_card::Unmatched::Deny,
        free_paths: Vec::new(),
        models: Vec::new(),
        rules: Vec::new(),
    };
    for number in 0..1 + generator.below(12) {
        let depth = generator.below(4);
        let path: String = (0..=depth)
            .map(|_| format!("/{}", generator.pick(&["a", "b", "c", "{x}"])))
            .collect();
        let literal = path.replace("{x}", "a");
        let pattern = match generator.below(3) {
            0 => PathPattern::Exact(literal),
            1 => PathPattern::Prefix(literal),
            _ => PathPattern::Template(path),
        };
        let methods = METHODS
            .into_iter()
            .filter(|_| generator.one_in(4))
            .map(str::to_owned)
            .collect();
        document.rules.push(RuleDocument {
            methods,
            price: Some(number.to_string().parse().unwrap()),
            charge: creditgate_core::rate_card::Charge::Always,
            ..RuleDocument::new(format!("r{number}"), pattern)
        });
        if let Err(error) = RateCard::compile(&document, 1) {
            assert_eq!(error.code(), "rule_unreachable", "{error}");
            document.rules.pop();
        }
    }
    let card = RateCard::compile(&document, 1).unwrap();
    (document, card)
}

/// The rule by the documented order, looking at each.
fn by_reading(document: &RateCardDocument, method: &str, path: &str) -> Option<String> {
    let closeness = |rule: &RuleDocument| {
        Some((
            by_path(&rule.path, path)?,
            by_method(&rule.methods, method)?,
        ))
    };
    document
        .rules
        .iter()
        .enumerate()
        .filter_map(|(place, rule)| Some((closeness(rule)?, Reverse(place), rule.id.clone())))
        .max()
        .map(|(_, _, id)| id)
}

fn by_path(pattern: &PathPattern, path: &str) -> Option<(u8, usize)> {
    let segments = |path: &str| path.matches('/').count();
    match pattern {
        PathPattern::Exact(own) => (own == path).then(|| (2, segments(own))),
        PathPattern::Prefix(own) => {
            let below = format!("{path}/").starts_with(&format!("{own}/"));
            below.then(|| (0, segments(own)))
        }
        PathPattern::Template(own) => {
            let fits = own
                .split('/')
                .zip(path.split('/'))
                .all(|(own, given)| own == "{x}" || own == given);
            let parameters = own.matches("{x}").count();
            let kind = if parameters == 0 { 2 } else { 1 };
            (fits && segments(own) == segments(path)).then(|| (kind, segments(own) - parameters))
        }
        PathPattern::Grpc(_) => None,
    }
}

fn by_method(methods: &[String], method: &str) -> Option<u8> {
    let names = |method: &str| methods.iter().any(|own| own == method);
    if methods.is_empty() {
        Some(0)
    } else if names(method) {
        Some(2)
    } else if method == "HEAD" && names("GET") {
        Some(1)
    } else {
        None
    }
}
