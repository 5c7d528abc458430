//! What a request for tokens may cost, however the client asks for it.

use creditgate_plugin::metrics::Metric;
use serde_json::{Value, json};

use crate::metered::{CLIENT_LEFT, READS, answer, ask, chat, spent, world};
use crate::world::{Fate, World};

#[test]
fn each_prompt_of_a_list_is_reserved_for() {
    let mut world = world(10_000, READS, chat());
    let body = json!({ "model": "small", "prompt": vec!["a"; 30], "n": 2, "max_tokens": 20 });
    let bytes = i64::try_from(body.to_string().len()).unwrap();
    ask(&mut world, &body);
    let held = world.shared.cell().counters.held().get();
    assert_eq!(held, bytes + 30 * 2 * 20 * 2);
}

#[test]
fn an_answer_that_says_it_used_nothing_costs_its_estimate() {
    let mut world = world(1_000, READS, chat());
    let body = json!({ "model": "small", "max_tokens": 20, "messages": [] });
    let bytes = body.to_string().len();
    let id = ask(&mut world, &body);
    let usage = r#"{"model": "small", "usage": {"prompt_tokens": 0, "completion_tokens": 0}}"#;
    answer(&mut world, id, "application/json", &[usage]);
    world.workers[0].finish(id);
    let log = world.workers[0].access_log(id);
    let estimate = (bytes + 20 * 2).to_string();
    assert_eq!(
        (&log["settled_by"], &log["cost"]),
        (&json!("estimate"), &json!(estimate))
    );
}

/// What is logged of an answer of which these pieces came before its client went away.
fn left_behind(world: &mut World, id: u32, content_type: &str, pieces: [&str; 2]) -> Value {
    let worker = &mut world.workers[0];
    worker.set_upstream_header(id, "content-type", content_type);
    worker.respond(id, 200, false);
    for piece in pieces {
        worker.answer(id, piece.as_bytes(), false);
    }
    worker.break_off(id, CLIENT_LEFT);
    worker.finish(id);
    worker.access_log(id)
}

/// Gemini's streams are a list of documents unless asked for events.
#[test]
fn a_client_that_leaves_a_list_of_documents_pays_what_has_passed() {
    let document = |output: u64, more: &str| {
        json!({ "candidates": [{ "content": { "parts": [{ "text": "ab" }] } }],
            "usageMetadata": { "promptTokenCount": 7, "candidatesTokenCount": output },
            "modelVersion": "small" })
        .to_string()
            + more
    };
    let started = format!("[{}", document(1, ","));
    let finished = document(5, "").replace("\"content\"", "\"finishReason\":\"STOP\",\"content\"");
    for (rest, settled_by, cost) in [
        (document(5, ",{\"cand"), "passed", 7 + 5 * 2),
        (document(5, ","), "passed", 7 + 5 * 2),
        // Of what it wrote more has passed than it told.
        (String::new(), "passed", 7 + 2 * 2),
        // It had said that it ends.
        (finished, "usage", 7 + 5 * 2),
    ] {
        let mut rules = json!([{ "id": "gemini", "path": { "exact": "/chat" },
            "tokens": { "format": "gemini", "output_tokens_max": 50,
                "priced_by": { "model": "small" } } }]);
        rules[0]["methods"] = json!(["POST"]);
        let mut world = world(10_000, READS, rules);
        let id = ask(&mut world, &json!({ "contents": [] }));
        let log = left_behind(&mut world, id, "application/json", [&started, &rest]);
        assert_eq!(
            (&log["settled_by"], &log["cost"]),
            (&json!(settled_by), &json!(cost.to_string())),
            "{rest}"
        );
    }
}

#[test]
fn what_a_body_does_not_show_is_in_what_passed_unless_the_answer_told() {
    let mut rules = chat();
    rules[0]["estimate"] = json!({ "input_tokens_extra": 300 });
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n";
    let told = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5}}\n\n";
    for (last, extra) in [("", 300), (told, 0)] {
        let mut world = world(10_000, READS, rules.clone());
        let body = json!({ "model": "small", "stream": true, "max_tokens": 50 });
        let id = ask(&mut world, &body);
        let log = left_behind(&mut world, id, "text/event-stream", [text, last]);
        let read = if extra == 0 {
            9
        } else {
            body.to_string().len() + extra
        };
        assert_eq!(
            (&log["settled_by"], &log["cost"]),
            (&json!("passed"), &json!((read + 2 * 5).to_string()))
        );
    }
}

#[test]
fn where_the_path_chooses_the_model_the_body_chooses_no_price() {
    let mut rules = chat();
    rules[0]["tokens"]["priced_by"] = json!({ "model": "large" });
    let mut world = world(10_000, READS, rules);
    for body in [
        json!({ "model": "small", "max_tokens": 20 }),
        json!({ "model": "unheard-of", "max_tokens": 20 }),
        json!({ "max_tokens": 20 }),
    ] {
        let bytes = i64::try_from(body.to_string().len()).unwrap();
        let id = ask(&mut world, &body);
        let held = world.shared.cell().counters.held().get();
        assert_eq!(held, bytes * 10 + 20 * 20, "{body}");
        let usage = r#"{"model": "small", "usage": {"prompt_tokens": 7, "completion_tokens": 5}}"#;
        answer(&mut world, id, "application/json", &[usage]);
        world.workers[0].finish(id);
        assert_eq!(world.workers[0].access_log(id)["cost"], "170", "{body}");
    }
    assert_eq!(spent(&mut world), (3 * 170, 0));
}

#[test]
fn a_limit_that_the_upstream_does_not_know_is_none() {
    let mut rules = chat();
    rules[0]["tokens"]["output_limit_field"] = json!("max_tokens");
    let mut world = world(10_000, READS, rules);
    let body = json!({ "model": "small", "max_completion_tokens": 1 });
    let bytes = i64::try_from(body.to_string().len()).unwrap();
    let id = ask(&mut world, &body);
    assert_eq!(world.shared.cell().counters.held().get(), bytes + 50 * 2);
    let sent = world.workers[0].body(id);
    let sent: serde_json::Value = serde_json::from_str(&sent).unwrap();
    let expected = json!({ "model": "small", "max_completion_tokens": 1, "max_tokens": 50 });
    assert_eq!(sent, expected);
    // The one that it knows is heeded, and may be too large.
    let id = ask(&mut world, &json!({ "model": "small", "max_tokens": 51 }));
    let refusal = world.workers[0].refusal(id);
    assert_eq!(refusal, (400, "output_over_max".into()));
}

#[test]
fn a_limit_of_nothing_is_reserved_for_as_none() {
    let sent_of = |field: Option<&str>, limits: serde_json::Value| {
        let mut rules = chat();
        if let Some(field) = field {
            rules[0]["tokens"]["output_limit_field"] = json!(field);
        }
        let mut world = world(10_000, READS, rules);
        let mut body = json!({ "model": "small" });
        body.as_object_mut()
            .unwrap()
            .extend(limits.as_object().unwrap().clone());
        let bytes = i64::try_from(body.to_string().len()).unwrap();
        let id = ask(&mut world, &body);
        let held = world.shared.cell().counters.held().get();
        assert_eq!(held, bytes + 50 * 2, "{body}");
        let sent: serde_json::Value = serde_json::from_str(&world.workers[0].body(id)).unwrap();
        sent
    };
    let sent = sent_of(None, json!({ "max_tokens": 0 }));
    assert_eq!(sent["max_tokens"], 50);
    let sent = sent_of(
        None,
        json!({ "max_tokens": 0, "max_completion_tokens": null }),
    );
    assert_eq!(sent["max_tokens"], 50);
    let sent = sent_of(None, json!({ "max_tokens": 7, "max_completion_tokens": 0 }));
    assert_eq!(sent["max_completion_tokens"], 50);
    let limits = json!({ "max_tokens": 0, "max_completion_tokens": 1 });
    let sent = sent_of(Some("max_tokens"), limits);
    assert_eq!(
        (&sent["max_tokens"], &sent["max_completion_tokens"]),
        (&json!(50), &json!(1))
    );
}

#[test]
fn a_rule_by_model_without_tokens_reads_nothing_else_of_a_body() {
    let rules = json!([
        { "id": "large", "path": { "exact": "/chat" }, "match": { "model": "large" }, "price": 5 },
        { "id": "else", "path": { "exact": "/chat" }, "price": 1 },
    ]);
    let mut world = world(1_000, READS, rules);
    for (body, cost) in [
        (json!({ "model": "large", "n": "x", "stream": 1 }), 5),
        (json!({ "n": -1, "max_tokens": "all" }), 1),
    ] {
        let id = ask(&mut world, &body);
        assert_eq!(world.workers[0].fate(id), Fate::Passed, "{body}");
        assert_eq!(world.shared.cell().counters.held().get(), cost);
        world.workers[0].end(id, 200);
    }
    assert_eq!(spent(&mut world), (6, 0));
}

#[test]
fn an_answer_of_a_model_that_is_not_listed_is_charged_as_the_one_asked_for_and_counted() {
    let mut world = world(10_000, READS, chat());
    let body = json!({ "model": "small", "max_tokens": 20 });
    let mut costs = Vec::new();
    for named in [r#""model": "small","#, r#""model": "dearer","#, ""] {
        for _ in 0..2 {
            let id = ask(&mut world, &body);
            let usage =
                format!(r#"{{{named} "usage": {{"prompt_tokens": 7, "completion_tokens": 5}}}}"#);
            answer(&mut world, id, "application/json", &[&usage]);
            world.workers[0].finish(id);
            costs.push(world.workers[0].access_log(id)["cost"].clone());
        }
    }
    assert!(costs.iter().all(|cost| cost == "17"), "{costs:?}");
    world.pass(3_000);
    assert_eq!(world.workers[0].count(Metric::ModelPassedOver), 4);
    let log = world.workers[0].log();
    let told = log
        .iter()
        .filter(|line| line.contains("the model that was asked for"));
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 2, "once for each reason: {told:?}");
    assert!(told[0].contains("(dearer)"), "{told:?}");
}
