//! Exported journals, checked from the files alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::{ADMIN, Service, creditgate, directory, text};

/// Two accounts with a few entries each, their journal and their heads.
fn exported(directory: &Path) -> (PathBuf, PathBuf) {
    let database = directory.join("c.db");
    let service = Service::start(&database, Some(ADMIN));
    for customer in ["ada", "bob"] {
        let body = format!(r#"{{"external_id": "{customer}"}}"#);
        service.post("/v1/customers", ADMIN, &body);
        let body = format!(r#"{{"customer_id": "{customer}", "currency": "usd"}}"#);
        let wallet = service.post("/v1/wallets", ADMIN, &body);
        let path = format!("/v1/wallets/{}/top-up", wallet["id"].as_str().unwrap());
        for _ in 0..2 {
            service.post(&path, ADMIN, r#"{"amount": 5}"#);
        }
    }
    service.end();
    let database = format!("sqlite:{}", database.display());
    let written = |name: &str, more: &[&str]| {
        let written = creditgate()
            .args(["export", "--database", &database])
            .args(more)
            .output()
            .unwrap();
        assert!(written.status.success(), "{}", text(&written.stderr));
        let path = directory.join(name);
        fs::write(&path, &written.stdout).unwrap();
        path
    };
    let heads = written("heads.ndjson", &["--heads"]);
    (written("journal.ndjson", &[]), heads)
}

fn checked(journal: &Path, heads: Option<&Path>) -> Output {
    let mut command = creditgate();
    command.arg("export").arg("--check").arg(journal);
    if let Some(heads) = heads {
        command.arg("--heads").arg(heads);
    }
    command.output().unwrap()
}

#[test]
fn a_file_whose_end_was_cut_off_is_found_by_its_heads() {
    let directory = directory();
    let (journal, heads) = exported(directory.path());
    let whole = checked(&journal, Some(&heads));
    let said = text(&whole.stdout);
    assert_eq!(
        whole.status.code(),
        Some(0),
        "{said}{}",
        text(&whole.stderr)
    );
    assert!(said.contains("clean") && said.contains("2 heads"), "{said}");

    let lines = fs::read_to_string(&journal).unwrap();
    let all: Vec<&str> = lines.split_inclusive('\n').collect();
    let cut = directory.path().join("cut.ndjson");
    // The last entry, and a whole account.
    for (left, told) in [
        (all.len() - 1, "was cut off"),
        (all.len() / 2, "has no lines"),
    ] {
        fs::write(&cut, all[..left].concat()).unwrap();
        let by_itself = checked(&cut, None);
        assert_eq!(
            by_itself.status.code(),
            Some(0),
            "{}",
            text(&by_itself.stdout)
        );
        let found = checked(&cut, Some(&heads));
        let said = text(&found.stdout);
        assert_eq!(found.status.code(), Some(1), "{said}");
        assert!(said.contains("acc_") && said.contains(told), "{said}");
        assert!(!said.contains("clean"), "{said}");
    }
    // A journal that has gone on since the heads were kept is fine; one that was made anew is not.
    let kept = fs::read_to_string(&heads).unwrap();
    let longer: Vec<String> = kept
        .lines()
        .map(|line| {
            let mut head: serde_json::Value = serde_json::from_str(line).unwrap();
            let account = head["account"].as_str().unwrap();
            let first = all.iter().find(|line| line.contains(account)).unwrap();
            let first: serde_json::Value = serde_json::from_str(first).unwrap();
            head["entries"] = 1.into();
            head["head"] = first["hash"].clone();
            head.to_string()
        })
        .collect();
    let earlier = directory.path().join("earlier.ndjson");
    fs::write(&earlier, longer.join("\n")).unwrap();
    assert_eq!(checked(&journal, Some(&earlier)).status.code(), Some(0));
    fs::write(
        &earlier,
        longer
            .join("\n")
            .replace("\"entries\":1,", "\"entries\":2,"),
    )
    .unwrap();
    let anew = checked(&journal, Some(&earlier));
    assert_eq!(anew.status.code(), Some(1));
    assert!(
        text(&anew.stdout).contains("chained anew"),
        "{}",
        text(&anew.stdout)
    );
}

#[test]
fn a_file_without_lines_is_not_called_clean() {
    let directory = directory();
    let (journal, heads) = exported(directory.path());
    let empty = directory.path().join("empty.ndjson");
    fs::write(&empty, "").unwrap();
    for heads in [None, Some(heads.as_path())] {
        let found = checked(&empty, heads);
        let said = text(&found.stdout);
        assert_eq!(found.status.code(), Some(1), "{said}");
        assert!(
            said.contains("no lines") && !said.contains("clean"),
            "{said}"
        );
    }
    // Nor is anything held against heads that are none.
    let found = checked(&journal, Some(&empty));
    assert_eq!(found.status.code(), Some(1), "{}", text(&found.stdout));
    let lines = fs::read(&journal).unwrap();
    fs::write(&empty, &lines[..lines.len() - 7]).unwrap();
    assert_eq!(
        checked(&empty, None).status.code(),
        Some(1),
        "a line that was cut"
    );
}

#[test]
fn heads_take_a_file_to_check_with_and_none_to_write() {
    let directory = directory();
    let (journal, heads) = exported(directory.path());
    let database = format!("sqlite:{}", directory.path().join("c.db").display());
    for arguments in [
        [
            "--database",
            database.as_str(),
            "--heads",
            heads.to_str().unwrap(),
        ],
        ["--check", journal.to_str().unwrap(), "--customer", "ada"],
    ] {
        let refused = creditgate().arg("export").args(arguments).output().unwrap();
        assert!(
            !refused.status.success() && refused.stdout.is_empty(),
            "{arguments:?}"
        );
    }
    let refused = creditgate()
        .args(["export", "--heads", "--check"])
        .arg(&journal)
        .output()
        .unwrap();
    assert!(!refused.status.success() && refused.stdout.is_empty());
}
