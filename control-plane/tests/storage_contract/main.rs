//! The contract of storage, run on every backend. A behaviour that the writer, the gateways
//! or the API rely on is here, once; what only one backend has is at the end of the list.

mod desk;
mod due;
mod fill;
mod instants;
mod leases;
mod lists;
mod lively;
mod loads;
mod memory_only;
mod names;
mod outbox;
mod pricings;
mod reads;
mod rows;
mod sqlite_only;
mod tampering;
mod upgrade;
mod usage;
mod usage_meters;
mod verify;
mod world;
mod writes;

/// Makes a test of each function for each backend.
macro_rules! on_every_backend {
    ($($behaviour:ident),* $(,)?) => {
        mod in_memory {
            $(#[test]
            fn $behaviour() {
                super::$behaviour(crate::desk::Desk::<crate::desk::Memory>::new());
            })*
        }

        mod on_sqlite {
            $(#[test]
            fn $behaviour() {
                super::$behaviour(crate::desk::Desk::<crate::desk::Sqlite>::new());
            })*
        }
    };
}

pub(crate) use on_every_backend;
