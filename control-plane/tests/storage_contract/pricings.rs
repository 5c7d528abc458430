//! Every version of a customer's pricing stays readable; the newest is in the book.

use std::sync::Arc;

use creditgate::storage::{BookChange, ChangeSet, PageRequest, Reader, Storage, Target};
use creditgate_core::rate_card::{Discount, PricingDocument};
use creditgate_ledger::Timestamp;
use creditgate_ledger::id::CustomerId;
use creditgate_ledger::pricing::{self, PricingVersion};

use crate::desk::{Backend, Desk, all_pages};

crate::on_every_backend!(
    every_version_of_a_pricing_stays_readable,
    versions_that_came_and_went_in_one_commit_are_kept,
);

fn document(discount: u32) -> PricingDocument {
    PricingDocument {
        discount_ppm: Discount::new(discount).unwrap(),
        rate_cards: Vec::new(),
    }
}

fn version(version: u32) -> PricingVersion {
    PricingVersion {
        version,
        document: Arc::new(document(version)),
        changed_at: Timestamp(i64::from(version)),
    }
}

fn versions<B: Backend>(desk: &Desk<B>, customer: CustomerId) -> Vec<u32> {
    let all = all_pages(|page| desk.reader().pricing_versions(customer, page).unwrap());
    for head in &all {
        let found = desk.reader().pricing(customer, head.version).unwrap();
        let found = found.unwrap();
        assert_eq!(found.head(), *head);
        assert_eq!(
            found.document.discount_ppm.parts_per_million(),
            head.version
        );
    }
    all.into_iter().map(|head| head.version).collect()
}

fn every_version_of_a_pricing_stays_readable<B: Backend>(mut desk: Desk<B>) {
    let (ada, bob) = (desk.customer("ada").id, desk.customer("bob").id);
    assert_eq!(versions(&desk, ada), [0; 0]);
    for number in 1..8 {
        desk.now = desk.now.plus_ms(1);
        desk.decide(ada, |book, _, context| {
            pricing::set(book, context, document(number)).unwrap()
        });
    }
    desk.decide(bob, |book, _, context| {
        pricing::set(book, context, document(1)).unwrap()
    });
    let desk = desk.reopen();
    assert_eq!(versions(&desk, ada), [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(versions(&desk, bob), [1]);
    let book = desk.book(ada);
    assert_eq!(book.pricing.unwrap().version, 7);
    assert_eq!(book.replaced_pricings, []);
    for unknown in [0, 8, u32::MAX] {
        assert_eq!(desk.reader().pricing(ada, unknown).unwrap(), None);
    }
    let nobody = desk.reader();
    let nobody = nobody.pricing_versions(CustomerId(7), PageRequest::first(9));
    assert!(nobody.unwrap().items.is_empty());
}

fn versions_that_came_and_went_in_one_commit_are_kept<B: Backend>(mut desk: Desk<B>) {
    let customer = desk.customer("ada").id;
    for (replaced, newest) in [(vec![1, 2], 3), (vec![3, 4, 5], 6)] {
        let before = desk.load(&[Target::Customer(customer)]).books.remove(0);
        let mut after = before.clone();
        after.replaced_pricings = replaced.into_iter().map(version).collect();
        after.pricing = Some(version(newest));
        let changes = ChangeSet {
            books: vec![BookChange {
                before: Some(before),
                after,
            }],
            ..ChangeSet::default()
        };
        desk.backend.writer().commit(&changes).unwrap();
    }
    let desk = desk.reopen();
    assert_eq!(versions(&desk, customer), [6, 5, 4, 3, 2, 1]);
    assert_eq!(desk.book(customer).pricing, Some(version(6)));
}
