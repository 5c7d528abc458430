//! What is charged by how a request ended.

use super::*;

fn verdict(rule: &Rule, ending: Ending, was_served: bool) -> Verdict {
    rule.verdict(|| ending, || was_served)
}

#[test]
fn the_first_ending_that_fits_decides() {
    let card = card(
        json!("deny"),
        json!([{
            "id": "r", "path": {"prefix": "/"}, "price": 1, "minimum": "0.1",
            "settle": [
                {"when": {"status": ["404", "5xx"], "cause": ["local_reply"]}, "then": "minimum"},
                {"when": {"status": ["404"]}, "then": "charge"},
                {"when": {"cause": ["client_abort", "retries"]}, "then": "release"},
                {"when": {"grpc_status": [1, 5]}, "then": "minimum"},
            ],
        }]),
    );
    let rule = card.rules().first().unwrap();
    let of = |status: u16, grpc_status: Option<u32>, causes: &[Cause], was_served: bool| {
        let causes = causes
            .iter()
            .fold(Causes::NONE, |all, cause| all.with(*cause));
        let ending = Ending {
            status: Some(status),
            grpc_status,
            causes,
            ..Ending::default()
        };
        verdict(rule, ending, was_served)
    };
    assert_eq!(of(200, None, &[], true), Verdict::Charge);
    assert_eq!(of(500, None, &[], false), Verdict::Release);
    assert_eq!(
        of(500, None, &[Cause::LocalReply, Cause::Retries], false),
        Verdict::Minimum
    );
    assert_eq!(of(404, None, &[Cause::LocalReply], false), Verdict::Minimum);
    assert_eq!(of(404, None, &[], false), Verdict::Charge);
    assert_eq!(of(405, None, &[Cause::LocalReply], true), Verdict::Charge);
    assert_eq!(of(200, None, &[Cause::Retries], true), Verdict::Release);
    assert_eq!(of(200, Some(5), &[], false), Verdict::Minimum);
    assert_eq!(of(200, Some(0), &[], true), Verdict::Charge);
    assert_eq!(verdict(rule, Ending::default(), false), Verdict::Release);
}

#[test]
fn nothing_is_asked_that_makes_no_difference() {
    let card = card(
        json!("deny"),
        json!([
            {"id": "always", "path": {"exact": "/a"}, "price": 1, "charge": "always"},
            {"id": "success", "path": {"exact": "/b"}, "price": 1},
            {"id": "settled", "path": {"exact": "/c"}, "price": 1, "charge": "always",
                "settle": [{"when": {"status": ["5xx"]}, "then": "release"}]},
            {"id": "metered", "path": {"exact": "/d"}, "charge": "always",
                "meters": [{"meter": "request_bytes", "price": 1}]},
        ]),
    );
    let [always, success, settled, metered] = card.rules() else {
        panic!()
    };
    assert_eq!(always.verdict(|| panic!(), || panic!()), Verdict::Charge);
    assert_eq!(success.verdict(|| panic!(), || false), Verdict::Release);
    let failed = Ending {
        status: Some(503),
        ..Ending::default()
    };
    assert_eq!(settled.verdict(|| failed, || panic!()), Verdict::Release);
    let at_once = [always, success, settled, metered].map(Rule::is_settled_at_once);
    assert_eq!(at_once, [true, false, false, false]);
}
