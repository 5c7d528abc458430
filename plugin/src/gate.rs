//! All that one worker's filter knows: the state behind every callback.
//!
//! A gate belongs to one root context. Requests are decided in `request/`, from memory and
//! the account's cell; whatever needs the control plane is noted here, and `root/` asks,
//! since only a root context is sure to get an answer. Nothing in here outlives the virtual
//! machine, and nothing needs to: all that counts is in the cells.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use creditgate_core::amount::Amount;
use creditgate_core::cell::{Cell, epoch_mark};
use creditgate_core::detail::Row;
use creditgate_core::id::{AccountId, InstanceId};
use creditgate_core::key::CredentialHash;
use creditgate_core::lease::LeaseNumber;
use creditgate_core::protocol::{
    Barred, GatewayConfig, Hello, PROTOCOL_VERSION, PollAnswer, Report, Timing,
};
use creditgate_core::rate_card::RateCard;

use crate::bounded::Bounded;
use crate::config::{Config, GatewayKey};
use crate::credential::Credential;
use crate::host::{Host, Level};
use crate::metrics::{Counts, Metric};
use crate::request::book::Share;
use crate::request::crossing::WATCHED_MAX;
use crate::request::drip::Drips;
use crate::request::{Stage, line::Line};
use crate::root::bucket::Bucket;
use crate::root::calls::Calls;
use crate::root::poll::Watch;
use crate::root::usage::Usage;
use crate::root::watched::Watched;
use crate::shared;

/// Lease numbers of questions that got no answer, at most.
pub(crate) const PROPOSALS_MAX: usize = 1_024;

/// Kinds of what was amiss, by rule, that are remembered as told.
pub(crate) const FAULTS_TOLD_MAX: usize = 256;

/// The filter's state in one virtual machine.
#[derive(Debug)]
pub struct Gate {
    pub(crate) config: Config,
    pub(crate) gateway_key: GatewayKey,
    /// The context id of the root.
    pub(crate) root: u32,
    /// Names this gate in the leader's record.
    pub(crate) me: u64,
    pub(crate) instance: InstanceId,
    pub(crate) settings: Option<Rc<Settings>>,
    pub(crate) epoch: u64,
    pub(crate) barred: Option<Barred>,
    pub(crate) credentials: Bounded<CredentialHash, Rc<Credential>>,
    /// Until when a credential is known to be unknown.
    pub(crate) unknown: Bounded<CredentialHash, u64>,
    pub(crate) unknown_budget: Bucket,
    /// Numbers proposed in questions whose answer never came: asked again, they are ours.
    pub(crate) proposals: Bounded<CredentialHash, u64>,
    pub(crate) requests: HashMap<u32, Stage>,
    pub(crate) line: Line,
    pub(crate) watched: Watched,
    pub(crate) orphans: VecDeque<Report>,
    /// Each with what is told of it once it is booked.
    pub(crate) unsettled: VecDeque<(Share, Row)>,
    pub(crate) usage: Usage,
    /// Bodies whose pieces are let go one by one.
    pub(crate) drips: Drips,
    /// Answers that are paid for by time while they pass.
    pub(crate) timed: BTreeSet<u32>,
    /// Streams that have said their last, to be cut off by the tick.
    pub(crate) cut: Vec<u32>,
    /// What was amiss, by rule and kind: the log has each once.
    pub(crate) faults_told: BTreeSet<(Box<str>, &'static str)>,
    /// How many more requests that it charges are watched for other filters' marks.
    pub(crate) charges_to_watch: u32,
    pub(crate) calls: Calls,
    pub(crate) watch: Watch,
    pub(crate) counts: Counts,
    pub(crate) ticks: u64,
    pub(crate) is_woken: bool,
}

/// What the control plane set: prices and time limits.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) version: u64,
    pub(crate) card: RateCard,
    /// The name that customers' pricing knows the card by.
    pub(crate) card_name: String,
    pub(crate) top_up_url: Option<String>,
    pub(crate) timing: Timing,
    /// What may be spent of an account while the control plane does not answer.
    pub(crate) offline_allowance: Amount,
    /// How far a lease may be overrun where the rule's promise allows that.
    pub(crate) overrun_max: Amount,
    /// Who has less left is warned.
    pub(crate) warn_below: Amount,
}

impl Gate {
    /// A gate that knows nothing yet.
    #[must_use]
    pub fn new(config: Config, gateway_key: GatewayKey, root: u32, host: &dyn Host) -> Self {
        let limits = config.limits;
        let gate = Self {
            gateway_key,
            root,
            me: host.random(),
            instance: shared::instance(host),
            settings: None,
            epoch: 0,
            barred: None,
            credentials: Bounded::new(limits.credentials_max),
            unknown: Bounded::new(limits.unknown_keys_max),
            unknown_budget: Bucket::new(limits.unknown_lookups_per_second, host.now_ms()),
            proposals: Bounded::new(PROPOSALS_MAX),
            requests: HashMap::new(),
            line: Line::new(limits.lookups_max),
            watched: Watched::default(),
            orphans: VecDeque::new(),
            unsettled: VecDeque::new(),
            drips: Drips::default(),
            timed: BTreeSet::new(),
            cut: Vec::new(),
            usage: Usage::new(limits.usage_rows_max),
            faults_told: BTreeSet::new(),
            charges_to_watch: WATCHED_MAX,
            calls: Calls::default(),
            watch: Watch::default(),
            counts: Counts::default(),
            ticks: 0,
            is_woken: false,
            config,
        };
        gate.meet_neighbours(host);
        gate
    }

    /// The time limits; defaults until the control plane was heard.
    pub(crate) fn timing(&self) -> Timing {
        self.settings
            .as_ref()
            .map_or_else(Timing::default, |settings| settings.timing)
    }

    pub(crate) fn offline_allowance(&self) -> Amount {
        self.settings
            .as_ref()
            .map_or(Amount::ZERO, |settings| settings.offline_allowance)
    }

    pub(crate) fn top_up_url(&self) -> Option<&str> {
        self.settings.as_ref()?.top_up_url.as_deref()
    }

    pub(crate) fn hello(&self) -> Hello {
        Hello {
            protocol: PROTOCOL_VERSION,
            epoch: self.epoch,
            instance: self.instance,
        }
    }

    /// What cells keep of the ledger's epoch; 0 while it is not known.
    pub(crate) fn ledger(&self) -> u32 {
        if self.epoch == 0 {
            0
        } else {
            epoch_mark(self.epoch)
        }
    }

    /// A cell that holds nothing, for the present ledger to lend to.
    pub(crate) fn fresh_cell(&self, account: AccountId, number: LeaseNumber) -> Cell {
        let mut cell = Cell::fresh(account, number);
        cell.ledger = self.ledger();
        cell
    }

    pub(crate) fn count(&mut self, metric: Metric) {
        self.counts.add(metric, 1);
    }

    /// Counts smallest units of a currency.
    pub(crate) fn count_units(&mut self, metric: Metric, units: Amount) {
        let units = u64::try_from(units.get()).unwrap_or_default();
        self.counts.add(metric, units);
    }

    /// Draws a lease number above `after`.
    pub(crate) fn draw(host: &dyn Host, now_ms: u64, after: LeaseNumber) -> LeaseNumber {
        let random = u32::try_from(host.random() >> 32).unwrap_or_default();
        LeaseNumber::draw(now_ms, random, after)
    }

    /// Has the root run soon; once is enough.
    pub(crate) fn wake(&mut self, host: &dyn Host) {
        if !self.is_woken {
            self.is_woken = true;
            host.wake();
        }
    }

    /// Reads prices and time limits that another worker left in shared data, if they are
    /// other than those in hand. Returns whether there are new ones.
    pub(crate) fn load_settings(&mut self, host: &dyn Host) -> bool {
        let Some(shared) = host.shared_get(shared::CONFIG_KEY) else {
            return false;
        };
        // What lies there is the answer that brought it, as it came.
        let config =
            serde_json::from_slice::<PollAnswer>(&shared.value).map(|answer| answer.config);
        match config {
            Ok(Some(config)) => self.take_settings(host, *config),
            Ok(None) => false,
            Err(error) => {
                host.log(
                    Level::Error,
                    &format!("creditgate: the configuration in shared data can't be read: {error}"),
                );
                false
            }
        }
    }

    /// Takes new prices and time limits; a card that can't be used leaves the old ones.
    pub(crate) fn take_settings(&mut self, host: &dyn Host, config: GatewayConfig) -> bool {
        if self
            .settings
            .as_ref()
            .is_some_and(|settings| settings.version == config.version)
        {
            return false;
        }
        match RateCard::compile(&config.rate_card, config.rate_card_version) {
            Ok(card) => {
                self.settings = Some(Rc::new(Settings {
                    version: config.version,
                    card,
                    card_name: config.rate_card_name,
                    top_up_url: config.top_up_url,
                    timing: config.timing,
                    offline_allowance: config.offline_allowance,
                    overrun_max: config.overrun_max,
                    warn_below: config.warn_below,
                }));
                true
            }
            Err(error) => {
                host.log(
                    Level::Error,
                    &format!(
                        "creditgate: rate card version {} can't be used: {error}",
                        config.rate_card_version
                    ),
                );
                false
            }
        }
    }
}
