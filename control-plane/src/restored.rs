//! A database that was restored from a backup begins a new epoch.
//!
//! Gateways may hold leases of the ledger that is gone, under numbers that this one knows in
//! an older state or not at all. The epoch tells the two apart: under another one gateways
//! give up what they hold. Here the other half is done: whatever the backup has out is set
//! aside, so that it is not lent a second time. The epoch is drawn last, so that a database
//! has a new one only when all of it is done; done twice, it does no harm.

use creditgate_ledger::{Ids, LeaseState, Timestamp};

use crate::command::{Command, Work};
use crate::storage::{
    ChangeSet, CustomerFilter, LoadPlan, PageRequest, Reader, Storage, StorageError, Target,
};

/// Customers of one transaction.
const PAGE: u32 = 250;

/// Who did it, in the journal.
const ACTOR: &str = "restored";

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// The epoch of the backup.
    pub old_epoch: u64,
    /// The epoch from now on.
    pub epoch: u64,
    /// Customers in the database.
    pub customers: u64,
    /// Leases that are quarantined now.
    pub quarantined: u64,
}

/// Begins a new epoch in a database that no service runs on. `draw` gives random numbers.
///
/// # Errors
/// [`StorageError`]; it may be begun again.
pub fn begin_epoch(
    storage: &mut impl Storage,
    reader: &dyn Reader,
    now: Timestamp,
    ids: &mut dyn Ids,
    mut draw: impl FnMut() -> u64,
) -> Result<Restored, StorageError> {
    let (mut customers, mut quarantined) = (0_u64, 0_u64);
    let mut page = PageRequest::first(PAGE);
    loop {
        let found = reader.customers(CustomerFilter::default(), page)?;
        let targets: Vec<Target> = found
            .items
            .iter()
            .map(|customer| Target::Customer(customer.id))
            .collect();
        let commands = targets.iter().cloned();
        let commands = commands.map(|customer| Command::BeginAnew { customer });
        let changes = write(storage, now, ids, targets.clone(), commands.collect())?;
        customers = customers.saturating_add(u64::try_from(targets.len()).unwrap_or(u64::MAX));
        let leases = changes.books.iter().flat_map(|change| &change.after.leases);
        let aside = leases.filter(|lease| lease.state == LeaseState::Quarantined);
        quarantined = quarantined.saturating_add(u64::try_from(aside.count()).unwrap_or(u64::MAX));
        page.cursor = found.next;
        if page.cursor.is_none() {
            break;
        }
    }
    let old_epoch = reader.registry()?.epoch;
    let mut epoch = draw();
    // Zero is what gateways say that know none yet.
    while epoch == old_epoch || epoch == 0 {
        epoch = draw();
    }
    let commands = vec![Command::BeginEpoch { epoch }];
    write(storage, now, ids, Vec::new(), commands)?;
    Ok(Restored {
        old_epoch,
        epoch,
        customers,
        quarantined,
    })
}

fn write(
    storage: &mut impl Storage,
    now: Timestamp,
    ids: &mut dyn Ids,
    targets: Vec<Target>,
    commands: Vec<Command>,
) -> Result<ChangeSet, StorageError> {
    let plan = LoadPlan {
        targets,
        ..LoadPlan::default()
    };
    let mut work = Work::new(storage.load(&plan)?, now, ids);
    for command in commands {
        let decided = work.decide(ACTOR, command);
        decided.map_err(|failure| StorageError::Corrupt(format!("{failure:?}")))?;
    }
    let changes = work.into_changes();
    if changes.is_empty() {
        storage.abandon();
    } else {
        storage.commit(&changes)?;
    }
    Ok(changes)
}
