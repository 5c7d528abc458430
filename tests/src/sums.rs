//! All access logs against the ledger, lease by lease, as `docs/log-to-ledger.md` states it.
//!
//! What a gateway logged as settled or released under a lease is what the ledger has as settled
//! in it, and of each customer that sums up to what was spent. Where a test tears something, what
//! may differ is bounded by what the lease had out.

mod logged;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde_json::Value;

use self::logged::Logged;
use crate::admin::{Admin, smallest_units, text};
use crate::clock::{ms, until};
use crate::envoy::Envoy;
use crate::scene::Scene;

/// No currency has more digits after the point.
const DIGITS: usize = 9;

/// What a test has torn, and with it the sums.
pub enum Torn {
    /// Nothing: all sums are equal, and usage detail explains them.
    Nothing,
    /// A worker trapped, or an operator decided over a lease: logs and leases are equal still, and
    /// what customers paid beyond them is shown as unattributed.
    Booking,
    /// Cells, with what they had counted since their last report.
    Cells,
    /// These Envoys were killed: what they last logged, and what they last reported, is missing. Each was
    /// killed when its log named it ([`kill_known`](Envoy::kill_known)).
    Killed(Vec<Envoy>),
}

/// Instance, account and number.
type LeaseName = (String, String, String);

/// What the ledger has of a lease.
#[derive(Debug, Default)]
struct Lease {
    customer: (String, String),
    settled: i128,
    /// What was lent and did not come back.
    kept: i128,
}

fn amount(value: &Value, field: &str) -> Result<i128> {
    smallest_units(&text(value, field)?, DIGITS)
}

impl Scene {
    /// Ends these Envoys, which are all there were, and holds their access logs against the
    /// ledger. Nothing may differ, no VM may have trapped.
    ///
    /// # Errors
    /// What differs, or what the ledger's own check finds.
    pub async fn adds_up(&self, envoys: impl IntoIterator<Item = Envoy>) -> Result<()> {
        self.adds_up_torn(envoys, Torn::Nothing).await
    }

    /// As [`adds_up`](Self::adds_up), where something was torn. VMs may have trapped.
    ///
    /// # Errors
    /// What differs by more than that explains.
    pub async fn adds_up_torn(
        &self,
        envoys: impl IntoIterator<Item = Envoy>,
        torn: Torn,
    ) -> Result<()> {
        let mut envoys: Vec<Envoy> = envoys.into_iter().collect();
        agree(self, &mut envoys, &torn).await
    }
}

/// See [`Scene::adds_up`].
///
/// # Errors
/// What differs.
pub async fn agree(scene: &Scene, envoys: &mut [Envoy], torn: &Torn) -> Result<()> {
    for envoy in envoys.iter_mut() {
        if envoy.runs() {
            written(envoy).await?;
        }
    }
    let logged = Logged::of(envoys, true)?;
    become_equal(&scene.admin, &logged, torn).await?;
    for envoy in envoys.iter_mut() {
        envoy.terminate().await?;
        if matches!(torn, Torn::Nothing) {
            envoy.never_trapped()?;
        }
    }
    let after = differing(&scene.admin, &Logged::of(envoys, true)?, torn).await?;
    ensure!(
        after.is_none(),
        "once it ended: {}",
        after.unwrap_or_default()
    );
    scene.plane.verify().await
}

/// Holds access logs, in which all is written, against the ledger of any control plane.
///
/// # Errors
/// What differs.
pub async fn logs_agree(admin: &Admin, logs: &[PathBuf]) -> Result<()> {
    let logged = Logged::read(logs.iter().cloned(), true)?;
    ensure!(!logged.by_lease.is_empty(), "nothing was logged");
    become_equal(admin, &logged, &Torn::Nothing).await
}

/// Waits until the ledger has all that was logged, and nothing else.
async fn become_equal(admin: &Admin, logged: &Logged, torn: &Torn) -> Result<()> {
    let mut last = None;
    let equal = until("the ledger has what was logged", ms(15_000), async || {
        last = differing(admin, logged, torn).await?;
        Ok(last.is_none().then_some(()))
    })
    .await;
    equal.map_err(|error| error.context(last.unwrap_or_default()))
}

/// Waits until no request is under way, and all that was logged is in the file.
async fn written(envoy: &Envoy) -> Result<()> {
    until("all requests are logged", ms(15_000), async || {
        let active = envoy.metric("http.public.downstream_rq_active").await?;
        let buffered = envoy.metric("filesystem.write_total_buffered").await?;
        Ok((active == 0 && buffered == 0).then_some(()))
    })
    .await
}

async fn leases(admin: &Admin) -> Result<BTreeMap<LeaseName, Lease>> {
    let mut leases = BTreeMap::new();
    for row in admin.list("/v1/leases").await? {
        let name = (
            text(&row, "instance_id")?,
            text(&row, "account_id")?,
            text(&row, "number")?,
        );
        let lease = Lease {
            customer: (text(&row, "customer_id")?, text(&row, "currency")?),
            settled: amount(&row, "settled")?,
            kept: amount(&row, "granted")? - amount(&row, "returned")?,
        };
        leases.insert(name, lease);
    }
    Ok(leases)
}

/// What those logged that were killed.
fn of_killed(killed: &[Envoy]) -> Result<Logged> {
    let logged = Logged::of(killed, false)?;
    let named = logged.instances.len();
    ensure!(
        named == killed.len(),
        "{} were killed, and their logs name {named}: whose leases are torn?",
        killed.len()
    );
    Ok(logged)
}

/// What is not as it is to be, if anything.
async fn differing(admin: &Admin, logged: &Logged, torn: &Torn) -> Result<Option<String>> {
    let leases = leases(admin).await?;
    let killed = match torn {
        Torn::Killed(killed) => of_killed(killed)?,
        _ => Logged::default(),
    };
    if let Some(lease) = first_differing(logged, &killed, &leases, torn) {
        return Ok(Some(lease));
    }
    if matches!(torn, Torn::Nothing) && logged.gone > 0 {
        return Ok(Some(format!("{} lines are gone", logged.gone)));
    }
    for customer in admin.list("/v1/customers").await? {
        let id = text(&customer, "id")?;
        if let Some(customer) = unexplained(admin, &id, &leases, torn).await? {
            return Ok(Some(customer));
        }
    }
    Ok(None)
}

/// The first lease whose lines do not sum up as they should.
fn first_differing(
    logged: &Logged,
    killed: &Logged,
    leases: &BTreeMap<LeaseName, Lease>,
    torn: &Torn,
) -> Option<String> {
    let all = logged.by_lease.keys().chain(killed.by_lease.keys());
    let all: BTreeSet<_> = all.chain(leases.keys()).collect();
    let none = Lease::default();
    all.into_iter().find_map(|name| {
        let lease = leases.get(name).unwrap_or(&none);
        let of = |logged: &Logged| logged.by_lease.get(name).copied().unwrap_or_default();
        let sum = of(logged);
        let is_right = match torn {
            Torn::Nothing | Torn::Booking => sum == lease.settled,
            // Of what was never reported, the log alone tells.
            Torn::Cells => (lease.settled..=lease.kept).contains(&sum),
            Torn::Killed(_) if killed.instances.contains(&name.0) => {
                sum == 0 && of(killed) <= lease.kept
            }
            Torn::Killed(_) => sum == lease.settled,
        };
        (!is_right).then(|| format!("{name:?}: logged {sum}, and {:?}", leases.get(name)))
    })
}

/// What of a customer's accounts its leases do not explain.
async fn unexplained(
    admin: &Admin,
    id: &str,
    leases: &BTreeMap<LeaseName, Lease>,
    torn: &Torn,
) -> Result<Option<String>> {
    let accounts = admin.list(&format!("/v1/customers/{id}/usage")).await?;
    let mut currencies = BTreeSet::new();
    for account in &accounts {
        currencies.insert(text(account, "currency")?);
        if matches!(torn, Torn::Nothing) && account["unattributed"] != "0" {
            return Ok(Some(format!("detail: {account}")));
        }
    }
    for currency in currencies {
        let path = format!("/v1/customers/{id}/balance?currency={currency}");
        let balance = admin.get(&path).await?;
        let beyond = amount(&balance, "spent_unattributed")?;
        let spent = amount(&balance, "spent")? - beyond;
        let of = (id.to_owned(), currency);
        let of_customer = leases.values().filter(|lease| lease.customer == of);
        let settled: i128 = of_customer.map(|lease| lease.settled).sum();
        if settled != spent || (matches!(torn, Torn::Nothing) && beyond != 0) {
            return Ok(Some(format!("{settled} was settled: {balance}")));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use anyhow::Result;
    use serde_json::json;

    use super::{
        Lease, LeaseName, Logged, Torn, first_differing,
        logged::tests::{logged, name},
    };

    fn leases(settled: [(&str, i128); 2]) -> BTreeMap<LeaseName, Lease> {
        let lease = |(number, settled)| {
            let kept = settled + 1;
            let lease = Lease {
                settled,
                kept,
                ..Lease::default()
            };
            (name(number), lease)
        };
        settled.into_iter().map(lease).collect()
    }

    #[test]
    fn a_unit_more_or_less_is_found_unless_what_was_torn_explains_it() -> Result<()> {
        let (logged, none) = (logged()?, Logged::default());
        let found = |leases: &_, torn: &Torn| first_differing(&logged, &none, leases, torn);
        let same = leases([("7", 1_300_000_000), ("8", 4_000_000_000)]);
        let less = leases([("7", 1_299_999_999), ("8", 4_000_000_000)]);
        let more = leases([("7", 1_300_000_000), ("8", 4_000_000_001)]);
        assert_eq!(found(&same, &Torn::Nothing), None);
        for wrong in [&less, &more] {
            assert!(found(wrong, &Torn::Nothing).is_some());
            assert!(found(wrong, &Torn::Booking).is_some());
            assert!(found(wrong, &Torn::Killed(Vec::new())).is_some());
        }
        assert_eq!(found(&less, &Torn::Cells), None, "as much as it kept");
        assert!(found(&more, &Torn::Cells).is_some());
        // A lease of which no line tells, and lines of which no lease tells.
        assert!(first_differing(&none, &none, &same, &Torn::Nothing).is_some());
        assert!(found(&BTreeMap::new(), &Torn::Cells).is_some());
        Ok(())
    }

    #[test]
    fn only_who_was_killed_may_lack_lines_and_none_has_more_than_its_lease_kept() -> Result<()> {
        let torn = Torn::Killed(Vec::new());
        let (whole, none) = (logged()?, Logged::default());
        let same = leases([("7", 1_300_000_000), ("8", 4_000_000_000)]);
        let found = |logged: &_, killed: &_, leases: &_| {
            first_differing(logged, killed, leases, &torn).is_some()
        };
        // A survivor without a line is held to what the ledger has.
        assert!(found(&none, &none, &same));
        // All that is known of who was killed is that it lived: a refusal tells that, too.
        let mut named = Logged::default();
        named.add(&json!({"outcome": "refused", "instance": "ins_1"}))?;
        assert!(!found(&none, &named, &same));
        assert!(!found(&none, &whole, &same));
        // It did not pay with more than it had, and nobody else logs for it.
        let less = leases([("7", 1_299_999_998), ("8", 4_000_000_000)]);
        assert!(found(&none, &whole, &less));
        assert!(found(&whole, &named, &same));
        Ok(())
    }
}
