//! Who is to pay how much in a test, held against ledger, access log and upstream at its end.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::access_log::{costs, entries};
use crate::client::Answer;
use crate::envoy::Envoy;
use crate::scene::{Customer, Scene};
use crate::sums::{Torn, agree};

/// Who is to pay how much, and how often the upstream is to be reached.
pub struct Stage {
    /// All that runs, but for the Envoy.
    pub scene: Scene,
    customers: BTreeMap<String, Customer>,
    due: BTreeMap<String, i128>,
    passed: u64,
}

impl Stage {
    /// With customers of these names.
    ///
    /// # Errors
    /// If the control plane refuses.
    pub async fn of(scene: Scene, names: &[&str]) -> Result<Self> {
        let mut customers = BTreeMap::new();
        for name in names {
            customers.insert((*name).to_owned(), scene.customer(name, "1000").await?);
        }
        Ok(Self {
            scene,
            customers,
            due: BTreeMap::new(),
            passed: 0,
        })
    }

    /// A customer's key.
    ///
    /// # Panics
    /// If there is none of that name.
    #[must_use]
    pub fn key(&self, name: &str) -> &str {
        &self.customer(name).key
    }

    /// A customer.
    ///
    /// # Panics
    /// If there is none of that name.
    #[must_use]
    pub fn customer(&self, name: &str) -> &Customer {
        match self.customers.get(name) {
            Some(customer) => customer,
            None => panic!("{name} is no customer of this stage"),
        }
    }

    /// The upstream has answered, and this customer pays.
    ///
    /// # Panics
    /// If it has not.
    pub fn paid(&mut self, name: &str, cost: i128, answer: &Answer) {
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        self.passed += 1;
        *self.due.entry(name.to_owned()).or_default() += cost;
    }

    /// Everybody has paid what is due and nothing else; access log and ledger say the same, and
    /// the upstream was reached only by what was paid. The Envoy ends.
    ///
    /// # Errors
    /// If a process does not do its part.
    ///
    /// # Panics
    /// If it is not so.
    pub async fn ends(mut self, envoy: &mut Envoy) -> Result<()> {
        assert_eq!(self.scene.upstream.requests(), self.passed);
        for (name, customer) in &self.customers {
            let due = self.due.get(name).copied().unwrap_or_default();
            let spent = self.scene.at_rest(customer).await?.spent;
            assert_eq!(spent, due, "{name}");
        }
        agree(&self.scene, std::slice::from_mut(envoy), &Torn::Nothing).await?;
        let mut logged = costs(&entries(envoy).await?, 0)?;
        logged.retain(|_, cost| *cost > 0);
        self.due.retain(|_, cost| *cost > 0);
        assert_eq!(logged, self.due);
        Ok(())
    }
}

/// The filter has refused a request for want of one credential.
///
/// # Panics
/// If it has not.
pub fn refused(code: &str, what: &str, answer: &Answer) {
    let told = (answer.status.as_u16(), answer.code());
    assert_eq!(told, (401, code.to_owned()), "{what}");
}
