//! Versions of a pricing are found by their customer, however many there are.

use creditgate_ledger::id::CustomerId;

use super::super::pricing;
use super::{PAGE, database, plans, walks};

#[test]
fn versions_of_a_pricing_walk_their_index() {
    let (_folder, connection) = database();
    let customer = CustomerId(1);
    walks(&connection, "(customer=? AND version<?)", |connection| {
        pricing::page(connection, customer, PAGE)
    });
    plans(&connection, |connection| {
        pricing::one(connection, customer, 1)
    });
}
