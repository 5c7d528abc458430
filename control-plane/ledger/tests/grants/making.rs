//! Terms that can't be kept are refused, with the field at fault.

use creditgate_ledger::Refusal;
use creditgate_ledger::grant::{Cadence, GRANTS_MAX, GrantCadence, GrantExpiry, NewGrant, Period};
use creditgate_ledger::subscription::SUBSCRIPTIONS_MAX;

use crate::desk::{DAY, MONTH, at, bench, days, monthly, once, rollover};

fn refused(change: impl FnOnce(&mut NewGrant)) -> (&'static str, &'static str) {
    let mut bench = bench("2027-01-01T00:00:00Z", "UTC");
    let mut new = monthly("5");
    change(&mut new);
    match bench.try_grant(None, new) {
        Err(Refusal::Invalid { field, code, .. }) => (field, code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn terms_that_can_t_be_kept_are_refused() {
    let text = |text: &'static str| move |new: &mut NewGrant| new.credits = text.to_owned();
    let amount = ("/credit_amount", "amount_not_positive");
    assert_eq!(refused(text("0")), amount);
    assert_eq!(refused(text("-1")), amount);
    assert_eq!(refused(text("0.0000000001")), amount);
    assert_eq!(refused(text("x")), ("/credit_amount", "amount_invalid"));
    assert_eq!(
        refused(|new| new.expiry = GrantExpiry::BillingCycle),
        ("/expiration_type", "billing_cycle_needs_subscription")
    );
    let anchored = |new: &mut NewGrant| {
        new.cadence = GrantCadence::Onetime;
        new.anchor = Some(at("2027-01-01T00:00:00Z"));
    };
    assert_eq!(refused(anchored), ("/anchor", "only_for_recurring"));
    let rolling_once = |new: &mut NewGrant| {
        new.cadence = GrantCadence::Onetime;
        new.rollover = rollover("0", "5");
    };
    assert_eq!(refused(rolling_once), ("/rollover", "only_for_recurring"));
    for (minimum, maximum) in [("6", "5"), ("-1", "5")] {
        let bounds = |new: &mut NewGrant| new.rollover = rollover(minimum, maximum);
        assert_eq!(refused(bounds), ("/rollover", "rollover_invalid"));
    }
    let maximum = |new: &mut NewGrant| new.rollover = rollover("0", "");
    assert_eq!(refused(maximum).0, "/rollover/maximum");
}

#[test]
fn rollover_needs_credit_that_lasts_until_the_next_application() {
    let months = |count| Cadence { count, ..MONTH };
    let year = Cadence {
        period: Period::Annual,
        count: 1,
    };
    for (expiry, cadence, fits) in [
        (days(30), MONTH, false),
        (days(31), MONTH, true),
        (MONTH, MONTH, true),
        (MONTH, days(28), true),
        (MONTH, days(29), false),
        (DAY, DAY, true),
        (months(11), year, false),
        (months(12), year, true),
    ] {
        let mut bench = bench("2027-01-01T00:00:00Z", "UTC");
        let mut new = monthly("5");
        new.cadence = GrantCadence::Recurring(cadence);
        new.expiry = GrantExpiry::Duration(expiry);
        new.rollover = rollover("0", "5");
        let made = bench.try_grant(None, new);
        let code = made.err().map(|refusal| refusal.code());
        assert_eq!(
            code,
            (!fits).then_some("rollover_needs_expiry"),
            "{expiry:?} {cadence:?}"
        );
    }
}

#[test]
fn credit_of_a_billing_cycle_is_carried_on_only_if_cycles_end_where_periods_do() {
    let mut bench = bench("2027-01-01T00:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![]);
    let subscription = bench.subscribe(plan);
    let new = |cadence| {
        let mut new = monthly("5");
        new.cadence = GrantCadence::Recurring(cadence);
        new.expiry = GrantExpiry::BillingCycle;
        new.rollover = rollover("0", "5");
        new
    };
    for (cadence, fits) in [(MONTH, true), (DAY, true), (days(7), false)] {
        let made = bench.try_grant(Some(subscription), new(cadence));
        assert_eq!(made.is_ok(), fits, "{cadence:?}");
    }
}

#[test]
fn there_are_not_more_than_so_many() {
    let mut bench = bench("2027-01-01T00:00:00Z", "UTC");
    for _ in 0..GRANTS_MAX {
        bench.grant(once("1"));
    }
    assert_eq!(
        bench.try_grant(None, once("1")).unwrap_err().code(),
        "grants_max"
    );
    let plan = bench.plan("starter", vec![]);
    for _ in 0..SUBSCRIPTIONS_MAX {
        bench.subscribe(plan);
    }
    let one_more = bench.try_subscribe(plan, |_| ());
    assert_eq!(one_more.unwrap_err().code(), "subscriptions_max");
}

#[test]
fn a_subscription_starts_neither_long_ago_nor_far_ahead() {
    let mut bench = bench("2027-01-01T00:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![]);
    for (start, fits) in [
        ("2016-12-01T00:00:00Z", false),
        ("2017-01-01T00:00:00Z", true),
        ("2028-01-01T00:00:00Z", true),
        ("2028-02-01T00:00:00Z", false),
    ] {
        let made = bench.try_subscribe(plan, |new| new.started_at = Some(at(start)));
        let code = made.err().map(|refusal| refusal.code());
        assert_eq!(
            code,
            (!fits).then_some("started_at_out_of_range"),
            "{start}"
        );
    }
}
