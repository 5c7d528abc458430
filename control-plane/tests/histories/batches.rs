//! A batch is only a commit group: whether commands come in one or in many changes nothing. And
//! the journal is whole on every backend: byte for byte as it was decided, and verified.

use creditgate::storage::memory::MemoryStorage;
use creditgate::storage::{Reader, Storage, Target, sqlite};
use creditgate::verify::verify;
use creditgate_ledger::audit::AuditRecord;
use creditgate_ledger::{Book, Entry, Event, Registry};
use proptest::prelude::*;

use crate::history::{Act, CUSTOMERS, Counter, Moment, Recorder, act, batch};

/// All that came of a history.
#[derive(Debug, PartialEq)]
pub(crate) struct Came {
    answers: Vec<String>,
    pub(crate) entries: Vec<Entry>,
    events: Vec<Event>,
    audit: Vec<AuditRecord>,
    books: Vec<Book>,
    registry: Registry,
    drawn: u128,
}

pub(crate) fn recorded(acts: Vec<Act>) -> Recorder {
    let mut recorder = Recorder::new();
    for act in acts {
        recorder.act(act);
    }
    recorder
}

/// Carries out a history in batches of at most `size`.
fn in_batches(
    storage: &mut impl Storage,
    look: impl Fn() -> Box<dyn Reader>,
    moments: &[Moment],
    size: usize,
) -> Came {
    let mut ids = Counter(0x100);
    let mut came = Came {
        answers: Vec::new(),
        entries: Vec::new(),
        events: Vec::new(),
        audit: Vec::new(),
        books: Vec::new(),
        registry: Registry::default(),
        drawn: 0,
    };
    for moment in moments {
        for commands in moment.commands.chunks(size) {
            let (answers, changes) = batch(storage, &mut ids, moment.at, commands);
            came.answers.extend(answers);
            for changes in changes {
                came.entries.extend(changes.entries);
                came.events.extend(changes.events);
                came.audit.extend(changes.audit);
            }
        }
    }
    let reader = look();
    for name in CUSTOMERS {
        let target = Target::ExternalId(name.to_owned());
        came.books.extend(reader.book(&target).unwrap());
    }
    came.registry = Registry::clone(&reader.registry().unwrap());
    came.drawn = ids.0;
    came
}

pub(crate) fn in_memory(moments: &[Moment], size: usize) -> (Came, MemoryStorage) {
    let mut storage = MemoryStorage::new(7);
    let handle = storage.clone();
    let look = || Box::new(handle.clone()) as Box<dyn Reader>;
    let came = in_batches(&mut storage, look, moments, size);
    (came, storage)
}

/// The chain of each account, page by page.
fn chains(reader: &dyn Reader, books: &[Book]) -> Vec<Entry> {
    let accounts = books.iter().flat_map(|book| &book.accounts);
    let mut entries = Vec::new();
    for account in accounts {
        let mut after = 0;
        loop {
            let page = reader.chain(account.id, after, 7).unwrap();
            let Some(last) = page.last() else { break };
            after = last.number;
            entries.extend(page);
        }
    }
    entries
}

/// Entries as they were decided, in the order of [`chains`].
fn by_account(came: &Came) -> Vec<Entry> {
    let accounts = came.books.iter().flat_map(|book| &book.accounts);
    let of = |account| {
        let entries = came.entries.iter();
        entries
            .filter(move |entry| entry.account == account)
            .cloned()
    };
    accounts.flat_map(|account| of(account.id)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn splitting_or_merging_batches_changes_nothing(
        acts in proptest::collection::vec(act(), 1..80),
        size in 2_usize..9,
    ) {
        let recorder = recorded(acts);
        prop_assert_eq!(verify(&recorder.storage).unwrap(), vec![]);
        let (one_by_one, storage) = in_memory(&recorder.moments, 1);
        prop_assert_eq!(&one_by_one.books, &recorder.books());
        prop_assert_eq!(chains(&storage, &one_by_one.books), by_account(&one_by_one));
        for size in [size, usize::MAX] {
            let (merged, _) = in_memory(&recorder.moments, size);
            for (place, (one, other)) in one_by_one.answers.iter().zip(&merged.answers).enumerate() {
                prop_assert_eq!(one, other, "command {} in batches of {}", place, size);
            }
            prop_assert_eq!(&one_by_one, &merged, "in batches of {}", size);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn journal_of_any_history_comes_back_byte_for_byte_and_is_clean(
        acts in proptest::collection::vec(act(), 1..80),
        size in 1_usize..30,
    ) {
        let recorder = recorded(acts);
        let folder = tempfile::tempdir().unwrap();
        let (mut storage, reader) = sqlite::open(&folder.path().join("books.db"), 7).unwrap();
        let look = || reader.snapshot().unwrap();
        let came = in_batches(&mut storage, look, &recorder.moments, size);
        let (in_memory, _) = in_memory(&recorder.moments, size);
        prop_assert_eq!(&came, &in_memory);
        let (stored, decided) = (chains(&reader, &came.books), by_account(&came));
        for (stored, decided) in stored.iter().zip(&decided) {
            prop_assert_eq!(stored.canonical(), decided.canonical());
        }
        prop_assert_eq!(stored, decided);
        prop_assert_eq!(verify(&reader).unwrap(), vec![]);
    }
}
