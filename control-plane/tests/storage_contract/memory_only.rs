//! What only the backend in memory has: handles.

use creditgate::storage::memory::MemoryStorage;
use creditgate::storage::{
    ChangeSet, CustomerFilter, LoadPlan, PageRequest, Reader, Storage, StorageError,
};

use crate::desk::{Backend, Desk, Memory};

#[test]
fn handle_sees_what_another_wrote() {
    let mut desk = Desk::<Memory>::new();
    let handle: MemoryStorage = desk.backend.reader().clone();
    desk.customer("acme");
    assert_eq!(
        handle
            .customers(CustomerFilter::default(), PageRequest::first(9))
            .unwrap()
            .items
            .len(),
        1
    );
}

#[test]
fn work_is_refused_if_another_handle_wrote_meanwhile() {
    let mut desk = Desk::<Memory>::new();
    let mut handle = desk.backend.reader().clone();
    handle.load(&LoadPlan::default()).unwrap();
    desk.customer("acme");
    assert!(matches!(
        handle.commit(&ChangeSet::default()),
        Err(StorageError::Unavailable(_))
    ));
    handle.load(&LoadPlan::default()).unwrap();
    handle.commit(&ChangeSet::default()).unwrap();
}
