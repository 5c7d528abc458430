//! Usage detail: whatever is added is there once, in a bounded number of rows.

use std::collections::BTreeMap;

use creditgate_core::amount::Amount;
use creditgate_core::detail::{
    Added, Counts, Gathered, Heading, OTHER, Row, SettledBy, StatusClass,
};
use creditgate_core::id::AccountId;
use creditgate_core::key::{CredentialHash, credential_hash};

use crate::generator::Generator;

struct Request {
    account: AccountId,
    credential: CredentialHash,
    rule: &'static str,
    model: Option<String>,
    status: StatusClass,
    cost: Amount,
    counts: Counts,
}

fn request(generator: &mut Generator) -> Request {
    let models = generator.below(40);
    Request {
        account: AccountId(u128::from(generator.below(4))),
        credential: credential_hash(generator.pick(&["one", "two"])),
        rule: ["chat", "ping", "default"][generator.below(3) as usize],
        model: (models > 0).then(|| format!("model-{models}")),
        status: StatusClass::of(generator.below(700) as u16),
        cost: Amount::new(generator.below(1 << 30) as i64),
        counts: Counts::new(std::array::from_fn(|_| generator.below(1 << 20))),
    }
}

impl Request {
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
        let mut merged = 0_u32;
        for _ in 0..generator.below(300) {
            let request = request(generator);
            let added = gathered.add(&request.heading(), request.cost, &request.counts);
            if added != Added::Dropped {
                note(&mut sums, request.account, request.cost, &request.counts);
            }
            merged += u32::from(added == Added::Merged);
        }
        let rows = gathered.take();
        assert!(gathered.is_empty());
        assert_eq!(summed(&rows), sums);
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
            let added = gathered.add(&request.heading(), request.cost, &request.counts);
            assert_eq!(added, Added::Apart);
        }
    }
}

property! {
    fn a_row_reads_back_what_it_was_written_as(generator) {
        let mut gathered = Gathered::new(64);
        for _ in 0..30 {
            let request = request(generator);
            gathered.add(&request.heading(), request.cost, &request.counts);
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
            gathered.add(&greedy.heading(), greedy.cost, &greedy.counts);
        }
        let mut other = request(generator);
        other.account = AccountId(2);
        let added = gathered.add(&other.heading(), other.cost, &other.counts);
        assert_eq!(added, Added::Apart);
        let own = gathered.take().iter().filter(|row| row.account == AccountId(1)).count();
        assert_eq!(own, 64 / 8 + 1);
    }
}
