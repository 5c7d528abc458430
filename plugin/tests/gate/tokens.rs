//! What a request for tokens may cost, however the client asks for it.

use serde_json::json;

use crate::metered::{READS, ask, chat, world};

#[test]
fn each_prompt_of_a_list_is_reserved_for() {
    let mut world = world(10_000, READS, chat());
    let body = json!({ "model": "small", "prompt": vec!["a"; 30], "n": 2, "max_tokens": 20 });
    let bytes = i64::try_from(body.to_string().len()).unwrap();
    ask(&mut world, &body);
    let held = world.shared.cell().counters.held().get();
    assert_eq!(held, bytes + 30 * 2 * 20 * 2);
}
