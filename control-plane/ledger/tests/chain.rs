//! Whoever edits, removes or reorders entries is found out by the chain; whoever recomputes
//! the chain to its end as well, by the rows and by a head that was kept elsewhere.

mod common;

use common::{A, Bench, amount, used};
use creditgate_core::lease::Counters;
use creditgate_ledger::chain::{Chain, ChainHash};
use creditgate_ledger::replay::Replay;
use creditgate_ledger::verify::{Finding, invariant};
use creditgate_ledger::{Account, Entry, EntryKind, Fact, ReasonCode, Timestamp};

/// Two top-ups, lending and use.
fn story() -> (Vec<Entry>, Account) {
    let mut bench = Bench::new();
    bench.top_up_with(50, |lot| lot.priority = Some(2));
    bench.top_up_with(70, |lot| lot.priority = Some(1));
    bench.ask(A, 1, Counters::default(), 90);
    bench.later(1_000);
    bench.ask(A, 1, used(90, 80, 0), 0);
    let account = bench.book.accounts[0].clone();
    (bench.journal.entries, account)
}

fn replayed(entries: &[Entry], account: &Account) -> Vec<Finding> {
    let mut replay = Replay::of(account.id);
    entries.iter().for_each(|entry| replay.take(entry));
    replay.compare_account(account);
    replay.findings()
}

fn breaks(findings: &[Finding]) -> Vec<&str> {
    let of_chain = |finding: &&Finding| finding.invariant == invariant::CHAIN;
    let subjects = findings.iter().filter(of_chain);
    subjects.map(|finding| finding.subject.as_str()).collect()
}

/// What a forger does who knows how: numbers and hashes are made anew.
fn rechain(entries: &mut [Entry]) -> Chain {
    let mut chain = Chain::default();
    entries.iter_mut().for_each(|entry| chain.add(entry));
    chain
}

#[test]
fn untouched_journal_has_no_findings() {
    let (entries, account) = story();
    assert_eq!(replayed(&entries, &account), []);
    assert!(entries.len() >= 5, "{entries:#?}");
}

#[test]
fn every_edit_of_any_entry_breaks_the_chain_there() {
    type Edit = fn(&mut Entry);
    let edits: [Edit; 10] = [
        |entry| entry.actor.push('x'),
        |entry| entry.note = Some("it was agreed".to_owned()),
        |entry| entry.reason = ReasonCode::CreditNote,
        |entry| {
            entry.kind = match entry.kind {
                EntryKind::Note => EntryKind::Debit,
                _ => EntryKind::Note,
            }
        },
        |entry| entry.booked_at = Timestamp(entry.booked_at.0 + 1),
        |entry| entry.usage_from = Some(Timestamp(7)),
        |entry| entry.lease = entry.lease.xor(Some(creditgate_ledger::id::LeaseId(9))),
        |entry| entry.wallet = entry.wallet.xor(Some(creditgate_ledger::id::WalletId(9))),
        |entry| match entry.postings.first_mut() {
            Some(posting) => posting.amount = posting.amount.saturating_add(amount(1)),
            None => entry.fact = None,
        },
        |entry| match entry.draws.first_mut() {
            Some(draw) => draw.amount = draw.amount.saturating_add(amount(1)),
            None => entry.id.0 += 1,
        },
    ];
    let (entries, account) = story();
    for place in 0..entries.len() {
        for (number, edit) in edits.iter().enumerate() {
            let mut edited = entries.clone();
            edit(&mut edited[place]);
            assert_ne!(edited[place], entries[place]);
            let findings = replayed(&edited, &account);
            let subject = edited[place].id.to_string();
            assert!(
                breaks(&findings).contains(&subject.as_str()),
                "edit {number} of entry {place}: {findings:#?}"
            );
        }
    }
}

#[test]
fn edited_entry_with_a_new_hash_breaks_the_chain_after_it() {
    let (mut entries, account) = story();
    entries[2].actor.push('x');
    let before = entries[1].hash;
    entries[2].hash = before.then(&entries[2].canonical());
    let findings = replayed(&entries, &account);
    assert_eq!(breaks(&findings), [entries[3].id.to_string()]);
}

#[test]
fn missing_entry_breaks_the_chain_wherever_it_was() {
    let (entries, account) = story();
    for place in 0..entries.len() {
        let mut fewer = entries.clone();
        fewer.remove(place);
        let findings = replayed(&fewer, &account);
        let subject = match fewer.get(place) {
            Some(next) => next.id.to_string(),
            None => account.id.to_string(),
        };
        assert_eq!(breaks(&findings), [subject], "without entry {place}");
    }
}

#[test]
fn reordered_entries_break_the_chain() {
    let (entries, account) = story();
    for place in 0..entries.len() - 1 {
        let mut swapped = entries.clone();
        swapped.swap(place, place + 1);
        assert!(!breaks(&replayed(&swapped, &account)).is_empty());
        // Numbers that were swapped back do not help.
        let (one, other) = (swapped[place].number, swapped[place + 1].number);
        (swapped[place].number, swapped[place + 1].number) = (other, one);
        assert!(!breaks(&replayed(&swapped, &account)).is_empty());
    }
}

#[test]
fn added_entry_breaks_the_chain() {
    let (entries, account) = story();
    for place in 0..=entries.len() {
        let mut more = entries.clone();
        let copy = entries[place.min(entries.len() - 1)].clone();
        more.insert(place, copy);
        assert!(!breaks(&replayed(&more, &account)).is_empty());
    }
}

#[test]
fn truncation_is_found_by_the_head_in_the_account() {
    let (mut entries, account) = story();
    let last = entries.pop().unwrap();
    assert_eq!(
        breaks(&replayed(&entries, &account)),
        [account.id.to_string()]
    );
    assert_eq!(account.chain.entries, last.number);
    assert_eq!(account.chain.head, last.hash);
}

#[test]
fn chain_that_was_recomputed_to_its_end_contradicts_balances_and_lots() {
    let (mut entries, mut account) = story();
    let top_up = entries
        .iter_mut()
        .find(|entry| entry.kind == EntryKind::TopUp);
    let top_up = top_up.unwrap();
    for posting in &mut top_up.postings {
        posting.amount = amount(posting.amount.get() * 2);
    }
    top_up.draws[0].amount = amount(100);
    if let Some(Fact::LotMade(terms)) = &mut top_up.fact {
        terms.amount = amount(100);
    }
    let kept_elsewhere = account.chain;
    account.chain = rechain(&mut entries);
    let findings = replayed(&entries, &account);
    assert_eq!(breaks(&findings), Vec::<&str>::new());
    assert!(
        findings
            .iter()
            .any(|found| found.invariant == invariant::BALANCED),
        "{findings:#?}"
    );
    assert_eq!(account.chain.entries, kept_elsewhere.entries);
    assert_ne!(account.chain.head, kept_elsewhere.head);
}

#[test]
fn facts_that_contradict_one_another_are_found_in_a_chain_that_holds() {
    let (mut entries, mut account) = story();
    let opened = entries.iter().find_map(|entry| match &entry.fact {
        Some(Fact::WalletOpened { wallet, .. }) => Some(*wallet),
        _ => None,
    });
    let wallet = opened.unwrap();
    let mut note = entries[0].clone();
    note.fact = Some(Fact::WalletPriority {
        wallet,
        from: Some(4),
        to: None,
    });
    entries.push(note);
    let last = entries.len() - 1;
    entries[last].booked_at = entries[last - 1].booked_at;
    account.chain = rechain(&mut entries);
    let findings = replayed(&entries, &account);
    let [finding] = findings.as_slice() else {
        panic!("{findings:#?}")
    };
    assert_eq!(finding.invariant, invariant::FACTS);
}

#[test]
fn order_in_which_lots_burn_is_judged_by_the_priorities_of_that_moment() {
    let (mut entries, mut account) = story();
    // The priorities of the two lots, changed to the other way round: before it was lent, that
    // contradicts what was drawn; after it, it does not.
    let lots: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry.fact.as_ref().and_then(Fact::lot))
        .collect();
    let lending = entries
        .iter()
        .position(|entry| entry.kind == EntryKind::Lending);
    let lending = lending.unwrap();
    let change = |lot, from, to, entries: &mut Vec<Entry>, place: usize| {
        let mut note = entries[0].clone();
        note.booked_at = entries[place - 1].booked_at;
        note.fact = Some(Fact::LotPriority { lot, from, to });
        entries.insert(place, note);
    };
    let mut before = entries.clone();
    change(lots[0], Some(2), Some(0), &mut before, lending);
    account.chain = rechain(&mut before);
    let findings = replayed(&before, &account);
    let of_order = |found: &Finding| {
        found.invariant == invariant::LOTS && found.subject == before[lending + 1].id.to_string()
    };
    assert!(findings.iter().any(of_order), "{findings:#?}");

    change(lots[0], Some(2), Some(0), &mut entries, lending + 1);
    account.chain = rechain(&mut entries);
    assert_eq!(replayed(&entries, &account), []);
}

#[test]
fn hash_is_sha_256_of_the_hash_before_and_the_canonical_text() {
    let before = ChainHash::from_bytes([7; 32]);
    let text = br#"{"id":"ent_1"}"#;
    // Thirty-two bytes of seven and the text, through sha256sum.
    assert_eq!(
        before.then(text).to_string(),
        "d3a2d269eeb85606ad764f053da16e91f161e55271b4048e0ced52a7e5636b3a"
    );
    let hash = before.then(text);
    assert_eq!(hash.to_string().parse(), Ok(hash));
    assert!("7".repeat(63).parse::<ChainHash>().is_err());
    assert!("g".repeat(64).parse::<ChainHash>().is_err());
}
