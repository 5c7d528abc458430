//! From an access log to a lease and its entries: by the process, and by its number of the lease.

use creditgate::storage::{EntryFilter, LeaseFilter, Reader};
use creditgate_core::lease::LeaseNumber;
use creditgate_ledger::id::InstanceId;
use creditgate_ledger::{Entry, EntryKind, Timestamp};

use crate::desk::{Backend, Desk, all_pages};

crate::on_every_backend!(
    a_lease_is_found_by_how_its_process_names_it,
    a_lease_has_the_entries_that_name_it,
);

fn a_lease_is_found_by_how_its_process_names_it<B: Backend>(mut desk: Desk<B>) {
    let (ada, bob) = (desk.funded("ada"), desk.funded("bob"));
    let (one, two) = (InstanceId(1), InstanceId(2));
    let leases = [
        desk.lend(&ada, one, 5, 10),
        desk.lend(&ada, two, 5, 10),
        // Another account may have the number, too.
        desk.lend(&bob, one, 5, 10),
        desk.lend(&bob, two, u64::MAX, 10),
    ];
    let found = |account, instance, number| {
        let filter = LeaseFilter {
            account,
            instance: Some(instance),
            number: Some(LeaseNumber(number)),
            ..LeaseFilter::default()
        };
        let leases = all_pages(|page| desk.reader().leases(filter, page).unwrap());
        leases
            .into_iter()
            .map(|(_, lease)| lease.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(found(None, two, 5), [leases[1].id]);
    assert_eq!(found(None, one, 5), [leases[2].id, leases[0].id]);
    assert_eq!(found(Some(ada.account), one, 5), [leases[0].id]);
    assert_eq!(found(Some(bob.account), two, u64::MAX), [leases[3].id]);
    assert_eq!(found(Some(bob.account), two, 5), []);
}

fn a_lease_has_the_entries_that_name_it<B: Backend>(mut desk: Desk<B>) {
    let wallet = desk.funded("ada");
    let leases = [
        desk.lend(&wallet, InstanceId(1), 5, 10),
        desk.lend(&wallet, InstanceId(2), 5, 10),
    ];
    for settled in [2, 4, 7] {
        desk.now = desk.now.plus_ms(1_000);
        desk.report(&leases[0], wallet.customer, settled, 0, None);
        desk.report(&leases[1], wallet.customer, settled + 1, 0, None);
    }
    let list = |filter| all_pages(|page| desk.reader().entries(filter, page).unwrap());
    let all = list(EntryFilter::Account(wallet.account));
    let last = all[0].booked_at;
    let instants = [None, Some(Timestamp(last.0 - 1_000)), Some(last)];
    for lease in &leases {
        for kind in [
            None,
            Some(EntryKind::Usage),
            Some(EntryKind::Lending),
            Some(EntryKind::Void),
        ] {
            for (from, before) in instants.into_iter().zip(instants.into_iter().rev()) {
                let fits = |row: &Entry| {
                    row.lease == Some(lease.id)
                        && kind.is_none_or(|kind| kind == row.kind)
                        && from.is_none_or(|from| row.booked_at >= from)
                        && before.is_none_or(|before| row.booked_at < before)
                };
                let filter = EntryFilter::Lease {
                    lease: lease.id,
                    kind,
                    from,
                    before,
                };
                let expected: Vec<_> = all.iter().filter(|row| fits(row)).cloned().collect();
                assert_eq!(list(filter), expected, "{filter:?}");
            }
        }
        let usage = all
            .iter()
            .filter(|row| row.lease == Some(lease.id) && row.kind == EntryKind::Usage);
        assert_eq!(usage.count(), 3);
    }
}
