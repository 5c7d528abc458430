//! Other Creditgate filters of the same process, which share its memory by their `vm_id`.
//!
//! Several listeners may have a filter each: they spend the same leases, since an account's cell
//! is found by the account alone. A request that crosses two filters is charged by each, unless
//! all say `charged_once`: then the first that decides leaves a mark. Start-up says so, and whether
//! the lines of two for access logs have one name, so that only one of them is seen. Filters of one
//! name are taken for one; what requests tell of those, and of other `vm_id`s: `request/crossing.rs`.

use creditgate_core::key::credential_hash;

use crate::config::Mode;
use crate::gate::Gate;
use crate::host::{Expect, Host, Level};
use crate::shared;

/// Filters that are remembered, at most: more are not told of.
const NEIGHBOURS_MAX: usize = 16;
/// How the list says whether a filter has `charged_once`.
const ONCE: &str = "once";
const EACH: &str = "each";
/// In place of a name: it writes no lines. No name begins so.
const LOGS_NOT: &str = "-";
/// How often the list is written anew when someone came between.
const ATTEMPTS: u32 = 16;

/// One filter: its name, the hash of its gateway's key, whether it leaves and heeds marks, and the
/// name of its lines for access logs, if it writes any.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Filter {
    name: String,
    gateway: String,
    charged_once: bool,
    log_as: Option<String>,
}

impl Gate {
    /// Enters this filter into the list of the process's, and says in the log what follows from
    /// others being there. Only the first worker of a filter finds it not yet listed.
    pub(crate) fn meet_neighbours(&self, host: &dyn Host) {
        let name = host.property(&["plugin_name"]).unwrap_or_default();
        let writes_lines = self.config.access_log && self.config.mode != Mode::Off;
        let me = Filter {
            name: String::from_utf8_lossy(&name).replace(['\t', '\n'], " "),
            gateway: credential_hash(&self.gateway_key.bearer()).to_string(),
            charged_once: self.config.charged_once,
            log_as: writes_lines.then(|| self.config.log_as.clone()),
        };
        for _ in 0..ATTEMPTS {
            let found = host.shared_get(shared::NEIGHBOURS_KEY);
            let expect = found
                .as_ref()
                .map_or(Expect::Absent, |found| Expect::Unchanged(found.cas));
            let mut filters = found.map_or_else(Vec::new, |found| read(&found.value));
            if filters.contains(&me) || filters.len() >= NEIGHBOURS_MAX {
                return;
            }
            let others = filters.clone();
            filters.push(me.clone());
            if host
                .shared_set(shared::NEIGHBOURS_KEY, &written(&filters), expect)
                .is_ok()
            {
                Self::tell_of(host, &me, &others);
                return;
            }
        }
    }

    fn tell_of(host: &dyn Host, me: &Filter, others: &[Filter]) {
        let named_otherwise = others.iter().filter(|other| other.name != me.name);
        let is_twice = |other: &&Filter| !(me.charged_once && other.charged_once);
        let mut twice: Vec<&Filter> = named_otherwise.filter(is_twice).collect();
        if !twice.is_empty() {
            let filters = listed(&twice, me);
            let message = format!(
                "creditgate: this process has several filters ({filters}); a request that crosses more than one is charged by each, unless all of them have charged_once"
            );
            host.log(Level::Warn, &message);
        }
        twice.retain(|other| other.log_as == me.log_as);
        if let Some(log_as) = me.log_as.as_ref().filter(|_| !twice.is_empty()) {
            let filters = listed(&twice, me);
            let message = format!(
                "creditgate: filters that charge a request each ({filters}) log as {log_as}, and their lines overwrite each other: the access log has one charge of them; set another log_as in each"
            );
            host.log(Level::Warn, &message);
        }
        if others.iter().any(|other| other.gateway != me.gateway) {
            host.log(
                Level::Warn,
                "creditgate: filters of one vm_id have different gateway keys; they share prices and leases, so they must be of one gateway, or each gateway needs a vm_id of its own",
            );
        }
    }
}

/// `a, b and me`.
fn listed(others: &[&Filter], me: &Filter) -> String {
    let names: Vec<&str> = others.iter().map(|other| other.name.as_str()).collect();
    [&names.join(", "), " and ", &me.name].concat()
}

fn read(list: &[u8]) -> Vec<Filter> {
    let list = String::from_utf8_lossy(list);
    let filters = list.lines().filter_map(|line| {
        let (gateway, rest) = line.split_once('\t')?;
        let (charged_once, rest) = rest.split_once('\t')?;
        let (log_as, name) = rest.split_once('\t')?;
        Some(Filter {
            name: name.to_owned(),
            gateway: gateway.to_owned(),
            charged_once: charged_once == ONCE,
            log_as: (log_as != LOGS_NOT).then(|| log_as.to_owned()),
        })
    });
    filters.collect()
}

fn written(filters: &[Filter]) -> Vec<u8> {
    let lines = filters.iter().map(|filter| {
        let charged = if filter.charged_once { ONCE } else { EACH };
        let log_as = filter.log_as.as_deref().unwrap_or(LOGS_NOT);
        [&filter.gateway, charged, log_as, &filter.name].join("\t") + "\n"
    });
    lines.collect::<String>().into_bytes()
}
