//! A batch is only a commit group: whether commands come in one or in many changes nothing.

use creditgate::storage::memory::MemoryStorage;
use creditgate::storage::{Reader, Target};
use creditgate_ledger::audit::AuditRecord;
use creditgate_ledger::{Book, Entry, Event, Registry};
use proptest::prelude::*;

use crate::history::{CUSTOMERS, Counter, Moment, Recorder, act, batch};

/// All that came of a history.
#[derive(Debug, PartialEq)]
struct Came {
    answers: Vec<String>,
    entries: Vec<Entry>,
    events: Vec<Event>,
    audit: Vec<AuditRecord>,
    books: Vec<Book>,
    registry: Registry,
    drawn: u128,
}

/// Carries out a history in batches of at most `size`.
fn in_batches(moments: &[Moment], size: usize) -> Came {
    let mut storage = MemoryStorage::new(7);
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
            let (answers, changes) = batch(&mut storage, &mut ids, moment.at, commands);
            came.answers.extend(answers);
            for changes in changes {
                came.entries.extend(changes.entries);
                came.events.extend(changes.events);
                came.audit.extend(changes.audit);
            }
        }
    }
    for name in CUSTOMERS {
        let target = Target::ExternalId(name.to_owned());
        came.books.extend(storage.book(&target).unwrap());
    }
    came.registry = Registry::clone(&storage.registry().unwrap());
    came.drawn = ids.0;
    came
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn splitting_or_merging_batches_changes_nothing(
        acts in proptest::collection::vec(act(), 1..80),
        size in 2_usize..9,
    ) {
        let mut recorder = Recorder::new();
        for act in acts {
            recorder.act(act);
        }
        let one_by_one = in_batches(&recorder.moments, 1);
        prop_assert_eq!(&one_by_one.books, &recorder.books());
        for size in [size, usize::MAX] {
            let merged = in_batches(&recorder.moments, size);
            for (place, (one, other)) in one_by_one.answers.iter().zip(&merged.answers).enumerate() {
                prop_assert_eq!(one, other, "command {} in batches of {}", place, size);
            }
            prop_assert_eq!(&one_by_one, &merged, "in batches of {}", size);
        }
    }
}
