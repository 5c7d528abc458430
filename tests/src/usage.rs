//! Usage detail, as the control plane tells it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::admin::{Admin, smallest_units, text};
use crate::clock::{ms, until};
use crate::scene::Customer;

/// Requests and cost, in smallest units, of each value of a dimension: `field` is how answers
/// call it. Of all time.
///
/// # Errors
/// If the control plane refuses, or an amount is none.
pub async fn sums(
    admin: &Admin,
    dimension: &str,
    field: &str,
    scale: usize,
) -> Result<BTreeMap<String, (u64, i128)>> {
    let list = admin
        .list(&format!("/v1/usage?group_by={dimension}"))
        .await?;
    let mut sums = BTreeMap::new();
    for sum in list {
        let requests = sum["requests"].as_u64().context("requests")?;
        let cost = smallest_units(&text(&sum, "cost")?, scale)?;
        let name = sum[field].as_str().unwrap_or("none").to_owned();
        sums.insert(name, (requests, cost));
    }
    Ok(sums)
}

/// Waits until usage detail explains all that a customer spent; answers how much that is.
///
/// # Errors
/// If it takes ten seconds.
pub async fn explained(admin: &Admin, customer: &Customer, scale: usize) -> Result<i128> {
    let path = format!("/v1/customers/{}/usage", customer.name);
    let mut last = None;
    let all = until("all that was spent is explained", ms(10_000), async || {
        let accounts = admin.list(&path).await?;
        let mut spent = 0;
        let mut is_explained = true;
        for account in &accounts {
            is_explained &= text(account, "unattributed")? == "0";
            spent += smallest_units(&text(account, "attributed")?, scale)?;
        }
        last = Some(accounts);
        Ok(is_explained.then_some(spent))
    });
    all.await
        .map_err(|error| error.context(format!("{}: {last:?}", customer.name)))
}
