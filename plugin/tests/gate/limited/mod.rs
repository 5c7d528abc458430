//! Accounts that are limited to rules: they pay first, the general account what they can't.

mod cells;
mod changing;
mod paying;
mod telling;

use crate::world::{Fate, World};

const GENERAL: u8 = 1;
const LIMITED: u8 = 200;

/// Customer 1 has `general`, and `limited` for requests to `/five` and `/shadow` alone.
fn world(workers: u32, general: i64, limited: i64) -> World {
    let mut world = World::new(workers, general);
    world.plane.limit(LIMITED, &["shadow", "five"], limited);
    world.plane.ahead = 0;
    world
}

/// What was spent of the general account, and of the limited one.
fn spent(world: &mut World) -> (i64, i64) {
    world.pass(3_000);
    let plane = &mut world.plane;
    assert_eq!(plane.of(GENERAL).outstanding(), 0);
    assert_eq!(plane.of(LIMITED).outstanding(), 0);
    (plane.of(GENERAL).spent(), plane.of(LIMITED).spent())
}

fn balance(world: &mut World) -> serde_json::Value {
    let id = world.get(0, "/.well-known/credit-balance");
    match world.workers[0].fate(id) {
        Fate::Answered(200, body) => body,
        other => panic!("{other:?}"),
    }
}
