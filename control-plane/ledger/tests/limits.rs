//! Wallets that are limited to rules: which account pays, and what gateways hear of it.

mod common;

use common::{A, B, Bench, amount, question, used};
use creditgate_core::amount::{Currency, Scale};
use creditgate_core::lease::{Counters, LeaseNumber};
use creditgate_core::protocol::{Block, LimitedAccount};
use creditgate_ledger::id::{AccountId, WalletId};
use creditgate_ledger::limits::{self, LIMITED_RULES_MAX};
use creditgate_ledger::report::{self, Reporter};
use creditgate_ledger::wallet::{self, NewWallet, SCOPE_RULES_MAX};
use creditgate_ledger::{Refusal, Scope, WalletStatus};

fn usd() -> Currency {
    Currency::new("usd").unwrap()
}

fn limited_to(rules: impl IntoIterator<Item = impl Into<String>>) -> NewWallet {
    NewWallet {
        scope: Scope {
            rules: rules.into_iter().map(Into::into).collect(),
        },
        ..NewWallet::plain(usd(), Scale::new(0).unwrap())
    }
}

/// A general wallet with so much, and one limited to the rule `image` with so much.
fn bench(general: i64, limited: i64) -> (Bench, WalletId, AccountId) {
    let mut bench = Bench::new();
    if general > 0 {
        bench.top_up(general);
    }
    let made = bench.run(|book, journal, context| {
        wallet::create(book, journal, context, limited_to(["image"])).unwrap()
    });
    if limited > 0 {
        bench.top_up_with(limited, |top_up| top_up.wallet = made.id);
    }
    (bench, made.id, made.account)
}

fn set_status(bench: &mut Bench, wallet: WalletId, status: WalletStatus) {
    bench.run(|book, journal, context| {
        wallet::set_status(book, journal, context, wallet, status, None).unwrap()
    });
}

/// What the general account is asked to lend for a first request of `rule` that costs 5.
fn general_need(bench: &Bench, rule: &str) -> i64 {
    limits::need_of_general(&bench.book, &usd(), Some(rule), amount(5), bench.now).get()
}

#[test]
fn gateways_are_told_of_a_limited_account_as_long_as_a_wallet_of_it_is_open() {
    let (mut bench, wallet, account) = bench(0, 0);
    let told = |bench: &Bench| limits::told(&bench.book, &usd());
    let image = LimitedAccount {
        account,
        rules: vec!["image".into()],
    };
    assert_eq!(told(&bench), std::slice::from_ref(&image));
    assert_eq!(
        limits::told(&bench.book, &Currency::new("jpy").unwrap()),
        []
    );
    set_status(&mut bench, wallet, WalletStatus::Frozen);
    assert_eq!(told(&bench), [image], "it may thaw");
    set_status(&mut bench, wallet, WalletStatus::Closed);
    assert_eq!(told(&bench), []);
}

#[test]
fn gateways_ask_again_for_every_key_when_limited_accounts_change_and_not_else() {
    let mut bench = Bench::with_credit(10);
    bench.ask(A, 1, Counters::default(), 1);
    let version = |bench: &Bench| bench.book.customer.credential_version;
    let before = version(&bench);
    let make = |bench: &mut Bench, new| {
        bench.run(|book, journal, context| wallet::create(book, journal, context, new).unwrap())
    };
    make(&mut bench, limited_to([""; 0]));
    assert_eq!(version(&bench), before, "a general wallet limits nothing");
    let pushes = bench.book.leases[0].pushes;
    let limited = make(&mut bench, limited_to(["image"]));
    assert_eq!(version(&bench), before + 1);
    assert!(
        bench.book.leases[0].pushes > pushes,
        "the cell that gateways have hears of it"
    );
    set_status(&mut bench, limited.id, WalletStatus::Frozen);
    assert_eq!(version(&bench), before + 1, "the cell hears of a block");
    set_status(&mut bench, limited.id, WalletStatus::Closed);
    assert_eq!(version(&bench), before + 2);
}

#[test]
fn general_account_lends_nothing_for_what_the_limited_one_pays() {
    let (mut bench, _, _) = bench(10, 5);
    assert_eq!(general_need(&bench, "image"), 0);
    assert_eq!(general_need(&bench, "text"), 5);
    let need = amount(general_need(&bench, "image"));
    let reporter = Reporter {
        instance: A,
        barred: None,
    };
    let (opened, answer) = bench.run(|book, journal, context| {
        let money = (usd(), Scale::new(0).unwrap());
        report::resolve(
            book,
            journal,
            context,
            reporter,
            money,
            (LeaseNumber(1), need),
        )
    });
    assert!(opened);
    assert_eq!(
        (answer.account, answer.granted),
        (bench.account(), amount(0))
    );
}

#[test]
fn general_account_lends_where_the_limited_one_has_too_little_or_may_not() {
    let (poor, _, _) = bench(10, 4);
    assert_eq!(general_need(&poor, "image"), 5);
    let (mut frozen, wallet, _) = bench(10, 5);
    set_status(&mut frozen, wallet, WalletStatus::Frozen);
    assert_eq!(general_need(&frozen, "image"), 5);
    set_status(&mut frozen, wallet, WalletStatus::Active);
    assert_eq!(general_need(&frozen, "image"), 0);
}

#[test]
fn each_account_lends_and_settles_lots_of_its_own_wallets_only() {
    let (mut bench, _, limited) = bench(10, 5);
    let answer = bench
        .report(A, &question(limited, 1, Counters::default(), 6))
        .unwrap();
    assert_eq!(
        answer.granted,
        amount(0),
        "the general credit is not its own"
    );
    assert_eq!(answer.state.ceiling, Some(amount(5)));
    let answer = bench
        .report(A, &question(limited, 1, Counters::default(), 5))
        .unwrap();
    assert_eq!(answer.granted, amount(5));
    bench.ask(A, 2, Counters::default(), 10);
    bench
        .report(A, &question(limited, 1, used(5, 5, 0), 0))
        .unwrap();
    bench.ask(A, 2, used(10, 3, 0), 0);
    let spent = |account| {
        let account = bench.book.account(account).unwrap();
        account
            .balances
            .get(creditgate_ledger::LedgerAccount::Spent)
            .get()
    };
    assert_eq!((spent(limited), spent(bench.account())), (5, 3));
}

#[test]
fn nobody_waits_for_what_running_requests_hold_if_the_general_account_pays_at_once() {
    for (general, waits) in [(10, false), (4, true)] {
        let (mut bench, _, limited) = bench(general, 5);
        let held = question(limited, 1, used(5, 0, 5), 0);
        bench
            .report(A, &question(limited, 1, Counters::default(), 5))
            .unwrap();
        bench.report(A, &held).unwrap();
        let answer = bench
            .report(B, &question(limited, 1, Counters::default(), 5))
            .unwrap();
        assert_eq!(answer.waiting, waits, "general credit: {general}");
        assert_eq!(answer.state.ceiling.is_some(), !waits);
    }
}

#[test]
fn account_is_as_usable_as_its_most_usable_wallet() {
    let (mut bench, first, account) = bench(10, 5);
    let second = bench.run(|book, journal, context| {
        wallet::create(book, journal, context, limited_to(["image"])).unwrap()
    });
    assert_eq!(second.account, account);
    let mut block = |wallet, status| {
        set_status(&mut bench, wallet, status);
        bench.book.block(account)
    };
    assert_eq!(block(first, WalletStatus::Frozen), None);
    assert_eq!(
        block(second.id, WalletStatus::Frozen),
        Some(Block::WalletFrozen)
    );
    assert_eq!(
        block(first, WalletStatus::Closed),
        Some(Block::WalletFrozen)
    );
    assert_eq!(
        block(second.id, WalletStatus::Closed),
        Some(Block::WalletClosed)
    );
    assert_eq!(
        bench.book.block(bench.account()),
        None,
        "the general one is not concerned"
    );
}

#[test]
fn customers_wallets_are_limited_to_so_many_rules_together_and_no_more() {
    let mut bench = Bench::new();
    let mut make = |first: usize, count: usize| {
        let rules = (first..first + count).map(|number| format!("rule-{number}"));
        let new = limited_to(rules);
        bench.run(|book, journal, context| wallet::create(book, journal, context, new))
    };
    let whole = LIMITED_RULES_MAX / SCOPE_RULES_MAX;
    for number in 0..whole {
        make(number * SCOPE_RULES_MAX, SCOPE_RULES_MAX).unwrap();
    }
    let left = LIMITED_RULES_MAX - whole * SCOPE_RULES_MAX;
    let code = |refused: Refusal| refused.code();
    assert_eq!(
        make(1_000, left + 1).map_err(code),
        Err("limited_rules_max")
    );
    assert_eq!(
        make(1_000, SCOPE_RULES_MAX + 1).map_err(code),
        Err("rules_max")
    );
    make(1_000, left).unwrap();
    make(0, SCOPE_RULES_MAX).expect("a wallet of the same scope adds no rules");
}

#[test]
fn rules_of_one_account_are_not_those_of_another() {
    let (mut bench, first, account) = bench(0, 0);
    let mut make = |rules: &[&str]| {
        let new = limited_to(rules.iter().copied());
        bench.run(|book, journal, context| wallet::create(book, journal, context, new))
    };
    let code = |refused: Refusal| refused.code();
    assert_eq!(make(&["image", "text"]).map_err(code), Err("rules_overlap"));
    assert_eq!(make(&["image"]).unwrap().account, account);
    let other = make(&["text"]).unwrap();
    set_status(&mut bench, other.id, WalletStatus::Closed);
    let all: Vec<WalletId> = bench.book.wallets.iter().map(|wallet| wallet.id).collect();
    assert!(all.contains(&first));
    for id in all.into_iter().filter(|id| *id != other.id).skip(1) {
        set_status(&mut bench, id, WalletStatus::Closed);
    }
    let new = limited_to(["image", "text"]);
    let made = bench.run(|book, journal, context| wallet::create(book, journal, context, new));
    made.expect("closed wallets stand in nobody's way");
}
