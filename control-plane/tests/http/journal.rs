//! Journals leave as lines that anyone can check, and heads that show later what became of them.

use std::io::Write;
use std::process::{Command, Stdio};

use creditgate::export::{Checked, check};
use serde_json::json;

use crate::edge::{Edge, counters};
use crate::plane::Plane;

/// What the documented form alone tells of lines: the outcome of an independent script.
fn checked_by_script(lines: &[u8]) -> (bool, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/check_journal.py");
    let process = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut process = process.expect("Python 3 is needed: apt-get install python3");
    process.stdin.take().unwrap().write_all(lines).unwrap();
    let output = process.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// A customer whose journal has more than one page, with names that JSON must escape.
async fn busy(plane: &Plane) -> String {
    let wallet = plane.funded("ada", "tokens", "10").await;
    let path = format!("/v1/wallets/{wallet}/top-up");
    for number in 0..300 {
        let order = json!({ "amount": 1, "description": format!("order {number}: “ü” \\ \"q\" \u{1F4B0} / <&>") });
        assert_eq!(plane.post(&path, order).await.status, 201);
    }
    let secret = plane.key_of("ada").await;
    let edge = Edge::of(plane, "edge", "tokens").await;
    let lent = edge.know(plane, &secret, 1, 4_000).await.answer;
    let used = counters([lent.granted.get(), 0, 3_000, 0, 3_000]);
    edge.report(plane, &lent, used, 0).await;
    let accounts = plane.get("/v1/customers/ada/accounts").await;
    let id = accounts.body["data"][0]["id"].as_str().unwrap();
    id.to_owned()
}

#[tokio::test]
async fn exported_journal_is_whole_and_is_checked_from_its_documented_form_alone() {
    let plane = Plane::start();
    let account = busy(&plane).await;
    let journal = plane.get(&format!("/v1/accounts/{account}/journal")).await;
    assert_eq!(journal.status, 200);
    assert_eq!(journal.headers["content-type"], "application/x-ndjson");
    let head = plane.get(&format!("/v1/accounts/{account}")).await;
    let entries = head.body["chain"]["entries"].as_u64().unwrap();
    assert!(entries > 300, "{head:?}");
    let lines = journal.bytes.split(|byte| *byte == b'\n').count() - 1;
    assert_eq!(lines as u64, entries);
    let Checked {
        chains, problems, ..
    } = check(journal.bytes.as_slice()).unwrap();
    assert_eq!(problems, Vec::<String>::new());
    let chain = chains.values().next().unwrap();
    assert_eq!(chain.head.to_string(), head.body["chain"]["head"]);
    let (clean, said) = checked_by_script(&journal.bytes);
    assert!(clean, "{said}");
    assert_eq!(said.trim(), format!("{account} {entries} {}", chain.head));
}

#[tokio::test]
async fn export_goes_on_after_the_entry_that_is_known() {
    let plane = Plane::start();
    let account = busy(&plane).await;
    let path = format!("/v1/accounts/{account}/journal");
    let all = plane.get(&path).await.bytes;
    for known in [0_usize, 1, 255, 256, 257, 290] {
        let rest = plane.get(&format!("{path}?after={known}")).await.bytes;
        let lines: Vec<_> = all.split_inclusive(|byte| *byte == b'\n').collect();
        assert_eq!(lines[known..].concat(), rest, "after {known}");
    }
    let none = plane.get(&format!("{path}?after=100000")).await;
    assert_eq!((none.status, none.bytes.len()), (200, 0));
}

#[tokio::test]
async fn every_change_of_exported_lines_is_found_by_either_check() {
    let plane = Plane::start();
    let account = busy(&plane).await;
    let all = plane.get(&format!("/v1/accounts/{account}/journal")).await;
    let lines: Vec<&[u8]> = all.bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let lines = &lines[..20];
    let edited = {
        let mut text = lines.concat();
        let place = text.windows(7).position(|word| word == b"order 3").unwrap();
        text[place + 6] = b'4';
        text
    };
    let missing = [&lines[..7], &lines[8..]].concat().concat();
    let moved = [&lines[..7], &[lines[8], lines[7]], &lines[9..]]
        .concat()
        .concat();
    let twice = [&lines[..7], &lines[6..]].concat().concat();
    for (what, text) in [
        ("edited", edited),
        ("missing", missing),
        ("moved", moved),
        ("twice", twice),
    ] {
        assert_ne!(
            check(text.as_slice()).unwrap().problems,
            Vec::<String>::new(),
            "{what}"
        );
        assert!(!checked_by_script(&text).0, "{what}");
    }
    assert_eq!(
        check(lines.concat().as_slice()).unwrap().problems,
        Vec::<String>::new()
    );
    assert!(checked_by_script(&lines.concat()).0);
    let half = &lines.concat()[..200];
    assert_ne!(check(half).unwrap().problems, Vec::<String>::new());
}

#[tokio::test]
async fn accounts_that_are_not_there_have_no_journal() {
    let plane = Plane::start();
    for path in [
        "/v1/accounts/acc_0123/journal",
        "/v1/accounts/acc_00000000000000000000000000000001/journal",
        "/v1/accounts/acc_00000000000000000000000000000001",
        "/v1/customers/nobody/accounts",
    ] {
        let answer = plane.get(path).await;
        assert_eq!((answer.status, answer.code()), (404, "not_found"), "{path}");
    }
    let account = busy(&plane).await;
    let answer = plane
        .get(&format!("/v1/accounts/{account}/journal?after=x"))
        .await;
    assert_eq!((answer.status, answer.code()), (400, "query_invalid"));
}
