//! Answers of one account that run at the same time, at two gateways, until it is empty: each promise keeps
//! its bound, and the filters count what they could not charge.

use anyhow::Result;
use creditgate_tests::admin::smallest_units;
use creditgate_tests::client::{Protocol, begin};
use creditgate_tests::clock::{ms, until};
use creditgate_tests::envoy::Envoy;
use creditgate_tests::fault_proxy::{Fault, POLL, SYNC};
use creditgate_tests::figures::figure;
use creditgate_tests::load::send_all;
use creditgate_tests::priced::{CHAT, Priced, SCALE, ask, card, setup, small};
use creditgate_tests::scene::{Customer, fast_settings};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Of each gateway.
const STREAMS: usize = 6;
/// How far an account may overrun what one gateway has of it.
const OVERRUN_MAX: i128 = 400_000;
/// What an event's text costs: ten bytes, three tokens.
const EVENT: i128 = 3 * 600;

fn question() -> Value {
    json!({"model": "small", "stream": true, "messages": [{"role": "user", "content": "Go on."}]})
}

/// A control plane and two gateways.
struct Pair {
    stage: Priced,
    far: Envoy,
    ada: Customer,
}

/// What a customer is told of its balance.
struct Told {
    available: i128,
    spent: i128,
    debt: i128,
}

impl Pair {
    /// With these fields of the chat's rule, and a customer with so many dollars.
    async fn start(rule: &Value, dollars: &str) -> Result<Self> {
        let mut card = card();
        for (name, value) in rule.as_object().into_iter().flatten() {
            card["rules"][0][name] = value.clone();
        }
        let mut settings = fast_settings();
        settings["overrun_max"] = json!(OVERRUN_MAX.to_string());
        // A gateway that is cut off is no silent one, and its leases last.
        settings["use_by_ms"] = json!(15_000);
        settings["silent_after_ms"] = json!(20_000);
        let mut stage = Priced::set_up(&settings, &card, &setup()).await?;
        let far = stage.scene.envoy_with("far", &setup()).await?;
        let ada = stage.customer("ada", dollars).await?;
        Ok(Self { stage, far, ada })
    }

    fn gateways(&self) -> [&Envoy; 2] {
        [&self.stage.envoy, &self.far]
    }

    /// What streams that run at the same time at both gateways deliver. Those that came when the others had
    /// used it all up are not among them.
    async fn streams(&self, behave: &'static str) -> Result<Vec<String>> {
        Self::served(self.begin(behave)).await
    }

    fn begin(&self, behave: &'static str) -> JoinSet<Result<Option<String>>> {
        let mut streams = JoinSet::new();
        for number in 0..2 * STREAMS {
            let envoy = self.gateways()[number % 2].address();
            let asked = ask(
                CHAT,
                &self.ada.key,
                behave,
                &number.to_string(),
                &question(),
            );
            streams.spawn(async move {
                let response = begin(envoy, Protocol::Http1, asked).await?;
                if response.status() == 402 {
                    return Ok(None);
                }
                assert_eq!(response.status(), 200);
                let (mut body, mut got) = (response.into_body(), Vec::new());
                while let Some(Ok(frame)) = body.frame().await {
                    got.extend(frame.into_data().unwrap_or_default());
                }
                anyhow::Ok(Some(String::from_utf8_lossy(&got).into_owned()))
            });
        }
        streams
    }

    async fn served(streams: JoinSet<Result<Option<String>>>) -> Result<Vec<String>> {
        let all: Vec<_> = streams
            .join_all()
            .await
            .into_iter()
            .collect::<Result<_>>()?;
        let served: Vec<String> = all.into_iter().flatten().collect();
        assert!(served.len() > STREAMS, "only {} began", served.len());
        Ok(served)
    }

    /// The sum of what each gateway has counted, and the most that one has.
    async fn counted(&self, metric: &str) -> Result<(i128, i128)> {
        let mut counts = [0, 0];
        for (count, envoy) in counts.iter_mut().zip(self.gateways()) {
            *count = i128::from(envoy.metric(metric).await?);
        }
        Ok((counts.iter().sum(), counts[0].max(counts[1])))
    }

    async fn balance(&self) -> Result<Told> {
        let path = "/v1/customers/ada/balance?currency=usd";
        let told = self.stage.scene.admin.get(path).await?;
        let of = |name: &str| smallest_units(told[name].as_str().unwrap_or_default(), SCALE);
        Ok(Told {
            available: of("available")?,
            spent: of("spent")?,
            debt: of("debt")?,
        })
    }

    /// Nothing is at gateways any more, none of them is frozen, and the books are sound: the logs of both
    /// together say what the ledger says, lease by lease. Returns what was spent and is owed.
    async fn ends(self) -> Result<Told> {
        self.stage.scene.at_rest(&self.ada).await?;
        let told = self.balance().await?;
        for instance in self.stage.scene.admin.list("/v1/instances").await? {
            assert_eq!(instance["state"], "active", "{instance}");
        }
        let Priced { scene, envoy, .. } = self.stage;
        scene.adds_up([envoy, self.far]).await?;
        Ok(told)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_end_with_the_credit_spend_no_more_than_there_was() -> Result<()> {
    const FUNDED: i128 = 1_000_000;
    let pair = Pair::start(&json!({"promise": "metered"}), "0.001").await?;
    let streams = pair.streams("input=10 events=2000 gap=5").await?;
    let mut delivered = 0;
    for got in &streams {
        assert!(got.contains("event: error"), "{got}");
        let words = got.matches("word-").count();
        delivered += small(0, 0, (10 * words).div_ceil(4));
    }
    let all = streams.len() as i128;
    until("ended streams are counted", ms(5_000), async || {
        let (ended, _) = pair.counted("streams_ended").await?;
        Ok((ended == all).then_some(()))
    })
    .await?;
    // Told with the same reports.
    let (overshoot, _) = pair.counted("overshoot_units").await?;
    let told = pair.ends().await?;
    figure(
        "metered, two gateways",
        format!(
            "funded {FUNDED}, spent {}, text of {delivered} delivered, {overshoot} of it unpaid",
            told.spent
        ),
    );
    assert!(told.spent <= FUNDED && told.debt == 0, "{}", told.spent);
    assert!(told.spent > 0, "{}", told.spent);
    assert!(overshoot <= all * EVENT, "{overshoot}");
    assert!(
        delivered <= told.spent + overshoot,
        "{delivered} delivered for {} and {overshoot}",
        told.spent
    );
    Ok(())
}

/// Whether it came to its end.
fn is_whole(got: &str) -> bool {
    got.matches("word-").count() == 280 && got.trim_end().ends_with("data: [DONE]")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_streams_that_finish_owe_is_counted() -> Result<()> {
    finish(false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_that_hear_nothing_overrun_an_account_as_far_as_they_may_and_no_further()
-> Result<()> {
    finish(true).await
}

/// Streams that finish, whether they are paid for or not. As long as reports are not answered, a gateway has no
/// more room than `overrun_max`; what was reported is owed, and the account may be overrun anew.
async fn finish(are_cut_off: bool) -> Result<()> {
    const FUNDED: i128 = 500_000;
    let rule = json!({"promise": "metered", "on_empty": "finish"});
    let pair = Pair::start(&rule, "0.0005").await?;
    let streams = pair.begin("input=10 output=700 events=280 gap=20");
    if are_cut_off {
        until("the credit is nearly used up", ms(10_000), async || {
            let left = pair.balance().await?.available;
            Ok((left < FUNDED / 10).then_some(()))
        })
        .await?;
        for path in [SYNC, POLL] {
            pair.stage.scene.proxy.harm(path, Fault::HoldAnswer);
        }
    }
    let streams = Pair::served(streams).await?;
    assert!(streams.iter().all(|got| is_whole(got)), "{streams:?}");
    // Each has been booked before there is room again.
    let all = streams.len() as i128;
    until("all are settled", ms(5_000), async || {
        let (settled, _) = pair.counted("creditgate_settled_total").await?;
        Ok((settled == all).then_some(()))
    })
    .await?;
    pair.stage.scene.proxy.heal_all();
    let cost = all * small(10, 0, 700);
    // All that was not waived is booked, in the end.
    let (waived, spent) = until("all is booked", ms(10_000), async || {
        let (waived, _) = pair.counted("waived_units").await?;
        let spent = pair.balance().await?.spent;
        Ok((spent + waived == cost).then_some((waived, spent)))
    })
    .await?;
    let (overrun, most) = until("overruns are counted", ms(5_000), async || {
        let owed = pair.balance().await?.debt;
        let overrun = pair.counted("overrun_units").await?;
        Ok((owed <= overrun.0).then_some(overrun))
    })
    .await?;
    let told = pair.ends().await?;
    figure(
        "metered, finish, two gateways",
        format!(
            "cost {cost}, spent {spent}, owed {}, overrun {overrun}, at one gateway {most}; waived {waived}",
            told.debt
        ),
    );
    assert_eq!(told.spent, spent);
    assert_eq!(spent, FUNDED + told.debt);
    assert!(0 < told.debt && told.debt <= overrun, "{}", told.debt);
    assert!(waived > 0, "{waived}");
    if are_cut_off {
        assert!(told.debt <= 2 * OVERRUN_MAX, "{}", told.debt);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_tell_far_more_than_their_limit_spend_no_more_than_there_was() -> Result<()> {
    const FUNDED: i128 = 2_000_000;
    let pair = Pair::start(&json!({"promise": "strict"}), "0.002").await?;
    let gateways = pair.gateways().map(Envoy::address);
    let key = pair.ada.key.clone();
    let load = send_all(&gateways, 12, 80, move |number| {
        let body =
            json!({"model": "small", "stream": number % 2 == 0, "max_tokens": 50, "messages": []});
        let behave = "lies input=10 output=100000";
        ask(CHAT, &key, behave, &format!("r{number}"), &body)
    })
    .await;
    assert!(load.broken.is_empty(), "{load}");
    assert!(load.status(200) > 0 && load.status(402) > 0, "{load}");
    let cost = i128::from(load.status(200)) * small(10, 0, 100_000);
    let waived = until("all is booked or waived", ms(10_000), async || {
        let (waived, _) = pair.counted("waived_units").await?;
        let spent = pair.balance().await?.spent;
        Ok((spent + waived == cost).then_some(waived))
    })
    .await?;
    let told = pair.ends().await?;
    figure(
        "strict, lies",
        format!(
            "{load}; funded {FUNDED}, spent {}, waived {waived}",
            told.spent
        ),
    );
    assert!(waived > 0, "{waived}");
    assert!(told.spent <= FUNDED && told.debt == 0, "{}", told.spent);
    Ok(())
}
