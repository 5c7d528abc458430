//! Sums of usage detail: units by meter, what charges went by, and pages that are of one moment.

use creditgate_core::amount::Amount;
use creditgate_core::detail::{Counts, METER_NAME_BYTES_MAX, Row, SettledBy};
use serde_json::{Value, json};

use crate::plane::Plane;
use crate::usage::{NOON, data, row, tell, used};

#[tokio::test]
async fn the_largest_batch_of_rows_with_meters_fits_a_message() {
    let plane = Plane::start();
    let (edge, account, key) = used(&plane, 6).await;
    // What a filter puts into a batch: a row weighs one, and one more for each three meters.
    for (meters, rows) in [(3_usize, 100), (16, 28)] {
        let rows = (0..rows).map(|number| {
            let mut row = Row {
                model: Some(format!("{number:\\>128}")),
                rule: format!("{number:x>64}"),
                card_version: u64::MAX,
                cost: Amount::MAX,
                counts: Counts::new([u64::MAX; Counts::KINDS]),
                ..row(account, &key, "", 1)
            };
            for meter in 0..meters {
                let name = format!("{meter:x>width$}", width = METER_NAME_BYTES_MAX);
                row.units.add(name, u64::MAX);
            }
            row
        });
        let number = meters as u64;
        assert_eq!(tell(&edge, &plane, number, rows.collect()).await, number);
    }
}

#[tokio::test]
async fn units_are_told_by_meter_and_charges_by_what_they_went_by() {
    let plane = Plane::at(NOON);
    let (edge, account, key) = used(&plane, 9).await;
    let job = |settled_by, pages, words| {
        let mut row = row(account, &key, "job", 2);
        row.settled_by = settled_by;
        row.units.add("response_header:x-pages".to_owned(), pages);
        row.units.add("filter_state:wasm.words".to_owned(), words);
        let mut counts = *row.counts.get();
        counts[4] = pages + words;
        row.counts = Counts::new(counts);
        row
    };
    let rows = vec![
        job(SettledBy::Usage, 3, 40),
        job(SettledBy::Usage, 4, 0),
        job(SettledBy::Estimate, 0, 0),
        row(account, &key, "ping", 1),
    ];
    tell(&edge, &plane, 1, rows).await;
    let by_rule = data(&plane, "/v1/usage?group_by=rule").await;
    let meters = json!({"filter_state:wasm.words": 40, "response_header:x-pages": 7});
    assert_eq!(by_rule[0]["meters"], meters);
    assert_eq!(by_rule[0]["units"], 47);
    assert_eq!(
        (&by_rule[1]["meters"], &by_rule[1]["units"]),
        (&json!({}), &json!(0))
    );
    let by = data(&plane, "/v1/usage?group_by=settled_by&rule=job").await;
    let by = by.iter().map(|sum| {
        (
            sum["settled_by"].as_str().unwrap(),
            sum["requests"].as_u64(),
        )
    });
    assert_eq!(
        by.collect::<Vec<_>>(),
        [("estimate", Some(1)), ("usage", Some(2))]
    );
    let only = data(&plane, "/v1/usage?settled_by=estimate").await;
    assert_eq!((only.len(), &only[0]["requests"]), (1, &json!(1)));
    assert_eq!(data(&plane, "/v1/usage?settled_by=passed").await.len(), 0);
    let wrong = plane.get("/v1/usage?settled_by=luck").await;
    assert_eq!((wrong.status, wrong.code()), (400, "query_invalid"));
    plane.assert_clean();
}

/// Rules and costs of a page, and where the next starts.
async fn page(plane: &Plane, rest: &str) -> (Vec<(String, String)>, Option<String>) {
    let answer = plane
        .get(&format!("/v1/usage?group_by=rule&limit=2{rest}"))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let sums = answer.body["data"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let sums = sums.map(|sum| (text(&sum["rule"]), text(&sum["cost"])));
    let next = answer.body["next_cursor"].as_str();
    (
        sums.collect(),
        next.map(|cursor| format!("&cursor={cursor}")),
    )
}

#[tokio::test]
async fn pages_are_cut_from_the_sums_of_the_first_for_a_minute() {
    let plane = Plane::at(NOON);
    let (edge, account, key) = used(&plane, 20).await;
    let rules = ["a", "b", "c", "d", "e"];
    let rows = || rules.map(|rule| row(account, &key, rule, 1)).to_vec();
    let of = |rules: &[&str], cost: &str| -> Vec<(String, String)> {
        let pair = |rule: &&str| ((*rule).to_owned(), cost.to_owned());
        rules.iter().map(pair).collect()
    };
    tell(&edge, &plane, 1, rows()).await;
    let (first, second) = page(&plane, "").await;
    let second = second.unwrap();
    assert_eq!(first, of(&["a", "b"], "1"));
    // What comes meanwhile is in none of the pages, so that they fit together.
    tell(&edge, &plane, 2, rows()).await;
    let (middle, third) = page(&plane, &second).await;
    assert_eq!(middle, of(&["c", "d"], "1"));
    let third = third.unwrap();
    assert_eq!(page(&plane, &third).await, (of(&["e"], "1"), None));
    // A question of its own, and a first page, are summed up as it is now.
    let narrower = page(&plane, &format!("{second}&to=2026-03-02&from=2026-03-01")).await;
    assert_eq!(narrower.0, of(&["c", "d"], "2"));
    assert_eq!(page(&plane, "").await.0, of(&["a", "b"], "2"));
    assert_eq!(page(&plane, &second).await.0, of(&["c", "d"], "2"));
    tell(&edge, &plane, 3, rows()).await;
    plane.set("2026-03-01T12:01:00Z");
    assert_eq!(page(&plane, &third).await.0, of(&["e"], "2"));
    plane.set("2026-03-01T12:01:01Z");
    assert_eq!(page(&plane, &third).await, (of(&["e"], "3"), None));
    let plane = plane.restart().await;
    assert_eq!(page(&plane, &second).await.0, of(&["c", "d"], "3"));
}
