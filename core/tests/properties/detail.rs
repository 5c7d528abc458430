//! Usage detail: whatever is added is there once, in a bounded number of rows.

use std::collections::BTreeMap;

use creditgate_core::amount::Amount;
use creditgate_core::detail::{
    Added, Counted, Counts, Gathered, Heading, METER_NAME_BYTES_MAX, OTHER, Row, SettledBy,
    StatusClass, Units,
};
use creditgate_core::id::AccountId;
use creditgate_core::key::{CredentialHash, credential_hash};
use creditgate_core::rate_card::METERS_MAX;

use crate::generator::Generator;

struct Request {
    account: AccountId,
    credential: CredentialHash,
    rule: &'static str,
    model: Option<String>,
    status: StatusClass,
    cost: Amount,
    counts: Counts,
    /// What is counted of it, by meter too.
    told: Row,
}

fn request(generator: &mut Generator) -> Request {
    let models = generator.below(40);
    let counts = Counts::new(std::array::from_fn(|_| generator.below(1 << 20)));
    let heading = Heading::other(AccountId(0));
    let mut told = Row::of(&heading, Amount::ZERO, &Counted::plain(counts));
    for _ in 0..generator.below(4) {
        let meter = generator.pick(&["response_header:x-pages", "filter_state:wasm.n"]);
        told.units.add(meter.to_owned(), generator.below(9));
    }
    Request {
        account: AccountId(u128::from(generator.below(4))),
        credential: credential_hash(generator.pick(&["one", "two"])),
        rule: ["chat", "ping", "default"][generator.below(3) as usize],
        model: (models > 0).then(|| format!("model-{models}")),
        status: StatusClass::of(generator.below(700) as u16),
        cost: Amount::new(generator.below(1 << 30) as i64),
        counts,
        told,
    }
}

impl Request {
    fn counted(&self) -> Counted<'_> {
        self.told.counted()
    }

    fn heading(&self) -> Heading<'_> {
        Heading {
            account: self.account,
            credential: Some(self.credential),
            rule: self.rule,
            card_version: 3,
            model: self.model.as_deref(),
            status: self.status,
            settled_by: SettledBy::Usage,
        }
    }
}

type Sums = BTreeMap<AccountId, (i64, Counts)>;

fn note(sums: &mut Sums, account: AccountId, cost: Amount, counts: &Counts) {
    let (sum, counted) = sums.entry(account).or_default();
    *sum += cost.get();
    counted.add(counts);
}

fn summed(rows: &[Row]) -> Sums {
    let mut sums = Sums::new();
    for row in rows {
        note(&mut sums, row.account, row.cost, &row.counts);
    }
    sums
}

property! {
    fn whatever_is_added_is_in_one_row_of_its_account(generator) {
        let rows_max = 1 + generator.below(64) as usize;
        let mut gathered = Gathered::new(rows_max);
        let mut sums = Sums::new();
        let (mut units, mut merged) = (Units::new(), 0_u32);
        for _ in 0..generator.below(300) {
            let request = request(generator);
            let added = gathered.add(&request.heading(), request.cost, &request.counted());
            if added != Added::Dropped {
                note(&mut sums, request.account, request.cost, &request.counts);
            }
            if added == Added::Apart {
                units.add_all(&request.told.units);
            }
            merged += u32::from(added == Added::Merged);
        }
        let rows = gathered.take();
        assert!(gathered.is_empty());
        assert_eq!(summed(&rows), sums);
        let mut by_meter = Units::new();
        rows.iter().for_each(|row| by_meter.add_all(&row.units));
        assert_eq!(by_meter, units);
        assert!(rows.len() <= 2 * rows_max, "{} of {rows_max}", rows.len());
        assert!(rows.is_sorted_by(|one, other| one.heading() < other.heading()));
        assert_eq!(rows.iter().any(|row| row.rule == OTHER), merged > 0);
        assert!(rows.iter().all(Row::is_sane));
    }
}

property! {
    fn nothing_is_merged_while_there_is_room(generator) {
        let mut gathered = Gathered::new(1 << 12);
        for _ in 0..generator.below(300) {
            let request = request(generator);
            let added = gathered.add(&request.heading(), request.cost, &request.counted());
            assert_eq!(added, Added::Apart);
        }
    }
}

property! {
    fn a_row_reads_back_what_it_was_written_as(generator) {
        let mut gathered = Gathered::new(64);
        for _ in 0..30 {
            let request = request(generator);
            gathered.add(&request.heading(), request.cost, &request.counted());
        }
        let rows = gathered.take();
        let text = serde_json::to_string(&rows).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Row>>(&text).unwrap(), rows, "{text}");
    }
}

property! {
    /// Whoever invents names of models takes no room from others.
    fn one_account_can_not_fill_the_rows(generator) {
        let mut gathered = Gathered::new(64);
        for number in 0..500 {
            let mut greedy = request(generator);
            greedy.account = AccountId(1);
            greedy.model = Some(format!("invented-{number}"));
            gathered.add(&greedy.heading(), greedy.cost, &greedy.counted());
        }
        let mut other = request(generator);
        other.account = AccountId(2);
        let added = gathered.add(&other.heading(), other.cost, &other.counted());
        assert_eq!(added, Added::Apart);
        let own = gathered.take().iter().filter(|row| row.account == AccountId(1)).count();
        assert_eq!(own, 64 / 8 + 1);
    }
}

#[test]
fn a_row_tells_no_more_meters_apart_than_a_rule_can_have() {
    let mut gathered = Gathered::new(8);
    let mut row = Row::of(
        &Heading::other(AccountId(1)),
        Amount::ZERO,
        &Counted::default(),
    );
    for number in 0..METERS_MAX + 1 {
        row.units.add(format!("request_header:x-{number:02}"), 1);
    }
    assert!(!row.is_sane());
    let heading = Heading {
        rule: "job",
        ..Heading::other(AccountId(1))
    };
    for _ in 0..2 {
        gathered.add(&heading, Amount::ZERO, &row.counted());
    }
    let rows = gathered.take();
    assert!(rows[0].is_sane());
    assert_eq!(rows[0].units.len(), METERS_MAX);
    assert!(rows[0].units.iter().all(|(_, units)| units == 2));
    let mut long = rows[0].clone();
    long.units = Units::new();
    long.units.add("x".repeat(METER_NAME_BYTES_MAX + 1), 1);
    assert!(!long.is_sane());
}
