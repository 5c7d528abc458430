//! Cancelling, and archiving.

use creditgate_core::lease::Counters;
use creditgate_ledger::grant::{self, GrantExpiry};
use creditgate_ledger::id::SubscriptionId;
use creditgate_ledger::subscription::{
    self, CancelAt, GrantedCredit, Subscription, SubscriptionStatus,
};
use creditgate_ledger::{EntryKind, LedgerAccount, ReasonCode, Refusal};

use crate::common::{A, Bench, amount};
use crate::desk::{at, bench, days, monthly, once};

fn cancel(
    bench: &mut Bench,
    id: SubscriptionId,
    when: CancelAt,
    credit: GrantedCredit,
) -> Result<Subscription, Refusal> {
    let ending = (credit, Some("moved away".to_owned()));
    bench.run(|book, journal, context| {
        subscription::cancel(book, journal, context, id, when, ending)
    })
}

#[test]
fn after_a_cancellation_nothing_is_applied_and_what_was_given_stays() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![monthly("50")]);
    let id = bench.subscribe(plan);
    bench.try_grant(Some(id), monthly("1")).unwrap();
    let ended = cancel(&mut bench, id, CancelAt::Now, GrantedCredit::Keep).unwrap();
    assert_eq!(
        (ended.status, ended.cancelled_at),
        (SubscriptionStatus::Cancelled, Some(bench.now))
    );
    bench.step("2028-01-31T00:00:00Z");
    assert_eq!(bench.applications().len(), 2);
    assert_eq!(bench.free(), 51);
    assert!(
        bench.book.grants[0].archived_at.is_some(),
        "its own grants end with it"
    );
    let again = cancel(&mut bench, id, CancelAt::Now, GrantedCredit::Keep).unwrap_err();
    assert_eq!(again.code(), "subscription_cancelled");
}

#[test]
fn void_takes_what_its_grants_gave_and_gateways_give_back_the_rest() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![monthly("50")]);
    let id = bench.subscribe(plan);
    bench.grant(once("7"));
    let lent = bench.ask(A, 1, Counters::default(), 20).granted.get();
    cancel(&mut bench, id, CancelAt::Now, GrantedCredit::Void).unwrap();
    let lots = &bench.book.lots;
    assert_eq!(
        (lots[0].withdrawn.get(), lots[0].pinned.get()),
        (50 - lent, lent)
    );
    assert!(lots[0].voided_at.is_some());
    assert!(
        lots[1].voided_at.is_none(),
        "the customer's own grant stays"
    );
    assert_eq!(bench.free(), 7);
    let counters = crate::common::returned(
        Counters {
            granted: amount(lent),
            ..Counters::default()
        },
        lent,
    );
    bench.ask(A, 1, counters, 0);
    assert_eq!(bench.balance(LedgerAccount::Withdrawn), 50);
}

#[test]
fn at_the_end_of_its_period_a_subscription_ends_by_itself() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![monthly("50")]);
    let id = bench.subscribe(plan);
    bench.step("2027-02-10T00:00:00Z");
    let asked = cancel(&mut bench, id, CancelAt::PeriodEnd, GrantedCredit::Void).unwrap();
    assert_eq!(
        (asked.status, asked.ends_at),
        (SubscriptionStatus::Active, Some(at("2027-02-28T00:00:00Z")))
    );
    bench.pass("2027-02-27T23:59:59.999Z");
    assert_eq!(bench.free(), 50);
    bench.pass("2027-03-05T00:00:00Z");
    assert_eq!(bench.free(), 0);
    assert_eq!(bench.applications().len(), 1, "not at its end either");
    let ended = &bench.book.subscriptions[0];
    assert_eq!(ended.cancelled_at, Some(at("2027-02-28T00:00:00Z")));
}

#[test]
fn an_archived_grant_is_applied_no_more_wherever_it_was_taken_up() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![monthly("50")]);
    bench.subscribe(plan);
    let own = bench.grant(monthly("1"));
    bench.now = at("2027-02-10T00:00:00Z");
    bench.run(|book, _, context| grant::archive(book, context, own).unwrap());
    let of_plan = bench.registry.plan_grants[0].id;
    grant::archive_of_plan(&mut bench.registry, at("2027-02-10T00:00:00Z"), of_plan).unwrap();
    bench.subscribe(plan);
    bench.step("2027-12-31T00:00:00Z");
    assert_eq!(bench.applications().len(), 2);
    assert!(
        bench
            .book
            .schedules
            .iter()
            .all(|schedule| schedule.next_at.is_none())
    );
    assert_eq!(bench.free(), 51);
}

#[test]
fn an_archived_plan_takes_no_one_but_keeps_its_promises() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![monthly("50")]);
    bench.subscribe(plan);
    let now = bench.now;
    bench.registry.plans[0].archive(now).unwrap();
    let refused = bench.try_subscribe(plan, |_| ()).unwrap_err();
    assert_eq!(refused.code(), "plan_archived");
    let refused = bench.plan_grant(plan, monthly("1")).unwrap_err();
    assert_eq!(refused.code(), "plan_archived");
    bench.step("2027-02-28T00:00:00Z");
    assert_eq!(bench.free(), 100);
}

#[test]
fn granted_credit_is_voided_in_whatever_wallet_it_is() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![monthly("50")]);
    let id = bench.subscribe(plan);
    bench.top_up(7);
    let first = bench.first();
    let other = bench.open(|_| ());
    bench.transfer(first, other, 57).unwrap();
    let third = bench.open(|_| ());
    bench.transfer(other, third, 20).unwrap();
    cancel(&mut bench, id, CancelAt::Now, GrantedCredit::Void).unwrap();
    let has = [first, other, third].map(|wallet| bench.has(wallet));
    assert_eq!(has.iter().sum::<i64>(), 7, "what was bought stays: {has:?}");
    assert_eq!(bench.balance(LedgerAccount::Withdrawn), 50);
}

#[test]
fn what_time_brings_is_not_booked_in_the_name_of_who_comes_by() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let mut monthly = monthly("50");
    monthly.expiry = GrantExpiry::Duration(days(30));
    let plan = bench.plan("starter", vec![monthly]);
    bench.actor = "key_of_sales";
    let id = bench.subscribe(plan);
    bench.step("2027-03-10T00:00:00Z");
    cancel(&mut bench, id, CancelAt::PeriodEnd, GrantedCredit::Void).unwrap();
    bench.top_up_with(7, |lot| lot.effective_at = Some(at("2027-03-20T00:00:00Z")));
    let before = bench.journal.entries.len();
    bench.actor = "key_of_someone";
    bench.now = at("2027-04-05T00:00:00Z");
    bench.top_up(1);
    let kinds: Vec<_> = bench.journal.entries[before..]
        .iter()
        .map(|entry| (entry.kind, entry.actor.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            (EntryKind::Note, "time"),
            (EntryKind::Expiry, "time"),
            (EntryKind::TopUp, "key_of_someone"),
        ]
    );
    let granted = bench.journal.entries.iter();
    let granted = granted.filter(|entry| entry.reason == ReasonCode::SubscriptionCreditGrant);
    let actors: Vec<_> = granted.map(|entry| entry.actor.as_str()).collect();
    assert_eq!(actors, ["key_of_sales", "time"]);
}

#[test]
fn what_a_cancellation_voids_is_booked_in_the_name_of_who_cancelled() {
    let mut bench = bench("2027-01-31T00:00:00Z", "UTC");
    let plan = bench.plan("starter", vec![monthly("50")]);
    bench.actor = "key_of_sales";
    let id = bench.subscribe(plan);
    cancel(&mut bench, id, CancelAt::PeriodEnd, GrantedCredit::Void).unwrap();
    bench.actor = "key_of_someone";
    bench.pass("2027-03-05T00:00:00Z");
    let void = bench.journal.entries.last().unwrap();
    assert_eq!(
        (void.kind, void.actor.as_str()),
        (EntryKind::Void, "key_of_sales")
    );
}
