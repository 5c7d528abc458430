//! The long poll: the present state of all that changed after the cursor.
//!
//! Level-triggered: what is sent is made of what storage says now, so a poll that was lost,
//! repeated or late needs no care. A wake says only that looking again is worth while.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use creditgate_core::protocol::{
    Barred, CHANGES_MAX, GatewayConfig, LeaseAnswer, PollAnswer, PollRequest,
};
use creditgate_ledger::id::{AccountId, CustomerId, GatewayId, InstanceId};
use creditgate_ledger::{Book, Registry, Timestamp, lend};
use tokio::time::Instant;

use super::{Message, is_of_another_epoch};
use crate::http::{App, Shared};
use crate::problem::Problem;
use crate::storage::{Reader, Target};

/// Most accounts whose report is asked for at once.
const OVERDUE_MAX: u32 = 256;

/// Waits for changes. For gateways.
#[utoipa::path(post, path = "/v1/gateway/poll", tag = "gateway protocol", request_body = Object,
    responses((status = 200, body = Object)))]
pub(super) async fn gateway_poll(
    State(app): State<Shared>,
    Message { speaker, message }: Message<PollRequest>,
) -> Result<Json<PollAnswer>, Problem> {
    metrics::counter!("creditgate_polls_total").increment(1);
    app.meet(speaker, &message.hello).await?;
    let _held = Held::begin();
    let instance = message.hello.instance;
    let hold = Duration::from_millis(app.writer.registry().settings.timing.poll_hold_ms());
    let deadline = Instant::now() + hold;
    let notify = app.writer.changes().of(instance);
    let mut stopping = app.stopping.clone();
    let mut last = false;
    loop {
        // Taken before storage is asked: a change between the two is not missed.
        let woken = notify.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        let answer = look(&app, speaker.gateway, &message).await?;
        let news = !answer.changes.is_empty()
            || answer.config.is_some()
            || answer.epoch != message.hello.epoch
            || app.presence.is_news(instance, answer.barred);
        if news || last {
            app.presence.tell(instance, answer.barred);
            app.presence.spoke(instance);
            return Ok(Json(answer));
        }
        tokio::select! {
            () = woken => {}
            () = tokio::time::sleep_until(deadline) => last = true,
            _ended = stopping.wait_for(|stopping| *stopping) => last = true,
        }
    }
}

async fn look(app: &App, gateway: GatewayId, message: &PollRequest) -> Result<PollAnswer, Problem> {
    let registry = app.writer.registry();
    let instance = message.hello.instance;
    // What it knows is of another ledger: cursor and version mean nothing here.
    let (cursor, in_hand) = if is_of_another_epoch(&message.hello, &registry) {
        (0, 0)
    } else {
        (message.cursor, message.config_version)
    };
    let barred: Option<Barred> = registry
        .instance(instance)
        .and_then(|known| known.state.barred());
    let (epoch, now) = (registry.epoch, app.clock.now());
    let config = config(&registry, gateway, in_hand, now);
    app.read(move |reader| {
        let reader = reader.snapshot()?;
        // A cursor of the future is of another database: all is sent again.
        let after = if cursor > reader.last_change()? {
            0
        } else {
            cursor
        };
        let (cursor, changes) = changes(&*reader, &registry, instance, after, now)?;
        let overdue = overdue(&*reader, &registry, instance, now)?;
        Ok(PollAnswer {
            epoch,
            cursor,
            changes,
            overdue,
            config,
            barred,
        })
    })
    .await
}

/// The configuration, if the gateway has another version.
fn config(
    registry: &Registry,
    gateway: GatewayId,
    in_hand: u64,
    now: Timestamp,
) -> Option<Box<GatewayConfig>> {
    let gateway = registry.gateways.iter().find(|known| known.id == gateway)?;
    let config = registry.gateway_config(gateway, now)?;
    (config.version != in_hand).then(|| Box::new(config))
}

/// The state of every lease that changed after `after`, and up to which change it is.
fn changes(
    reader: &dyn Reader,
    registry: &Registry,
    instance: InstanceId,
    after: u64,
    now: Timestamp,
) -> Result<(u64, Vec<LeaseAnswer>), Problem> {
    let use_by_ms = registry.settings.timing.use_by_ms;
    let mut books: BTreeMap<CustomerId, Option<Book>> = BTreeMap::new();
    let mut answers = Vec::new();
    let mut cursor = after;
    // A page may be history alone; then what comes after it is looked at too.
    while answers.is_empty() {
        let changed = reader.changes(
            instance,
            cursor,
            u32::try_from(CHANGES_MAX).unwrap_or(u32::MAX),
        )?;
        let Some((latest, ..)) = changed.last() else {
            break;
        };
        cursor = *latest;
        for (_, customer, account, number) in changed {
            let book = match books.entry(customer) {
                Entry::Occupied(book) => book.into_mut(),
                Entry::Vacant(place) => place.insert(reader.book(&Target::Customer(customer))?),
            };
            // A lease that is not in its book is history: the gateway has heard of its end.
            let Some(book) = book else { continue };
            let lease = book
                .lease_place(account, instance, number)
                .and_then(|place| book.leases.get(place));
            answers.extend(
                lease.map(|lease| lend::answer(book, lease, None, book.instant(now), use_by_ms)),
            );
        }
    }
    Ok((cursor, answers))
}

/// Accounts that the instance should have reported long ago.
fn overdue(
    reader: &dyn Reader,
    registry: &Registry,
    instance: InstanceId,
    now: Timestamp,
) -> Result<Vec<AccountId>, Problem> {
    let timing = &registry.settings.timing;
    let patience_ms = timing
        .poll_hold_ms()
        .saturating_add(timing.sync_ms.saturating_mul(4));
    let patience_ms = i64::try_from(patience_ms).unwrap_or(i64::MAX);
    let before = Timestamp(now.0.saturating_sub(patience_ms));
    Ok(reader.overdue(instance, before, OVERDUE_MAX)?)
}

/// Counts a poll while it is held.
struct Held;

impl Held {
    fn begin() -> Self {
        metrics::gauge!("creditgate_polls_held").increment(1);
        Self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        metrics::gauge!("creditgate_polls_held").decrement(1);
    }
}
