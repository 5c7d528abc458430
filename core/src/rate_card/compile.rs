//! From the document to the rate card that prices requests: every bound is checked here.

mod rule;

use super::conditions::Conditions;
use super::matcher::Matcher;
use super::models::ModelTable;
use super::pattern;
use super::price::whole_price;
use super::{
    Charge, Mode, PathPattern, RateCard, RateCardDocument, RateCardError, Rule, Unmatched,
};
use crate::amount::{Amount, Scale, default_scale};
use std::collections::HashMap;
use std::sync::Arc;

/// The most rules in a rate card.
pub const RULES_MAX: usize = 1000;
/// The most free paths in a rate card.
pub const FREE_PATHS_MAX: usize = 100;
/// The longest id of a rule, in characters.
pub const RULE_ID_LENGTH_MAX: usize = 64;
/// The id of the rule that a priced default is; no other rule may have it.
pub const DEFAULT_RULE_ID: &str = "default";
/// The most methods of a rule.
pub const METHODS_MAX: usize = 16;
/// The longest name of a rate card, in bytes.
pub const NAME_LENGTH_MAX: usize = 128;
/// The largest price: far from where a lease's counters end.
pub const PRICE_MAX: Amount = Amount::new(1 << 60);

impl RateCardDocument {
    /// The scale its prices are counted in.
    #[must_use]
    pub fn scale(&self) -> Scale {
        self.scale.unwrap_or_else(|| default_scale(&self.currency))
    }
}

impl RateCard {
    /// Checks a document as a whole and makes it ready to price requests.
    ///
    /// # Errors
    /// The first fault, with the place of its field.
    pub fn compile(document: &RateCardDocument, version: u64) -> Result<Self, RateCardError> {
        let scale = document.scale();
        check_head(document)?;

        let models = Arc::new(ModelTable::compile(&document.models, scale)?);

        let mut free = Matcher::default();
        for (index, path) in document.free_paths.iter().enumerate() {
            let pattern = pattern::parse(&PathPattern::Exact(path.clone()))
                .map_err(|fault| path_error(format!("/free_paths/{index}"), fault))?;
            free.insert(&pattern, index);
        }

        let mut rules = Vec::with_capacity(document.rules.len());
        let mut matcher = Matcher::default();
        let mut ids = HashMap::new();
        for (index, source) in document.rules.iter().enumerate() {
            let pointer = format!("/rules/{index}");
            let rule = rule::compile(source, scale, &models, &pointer)?;
            if let Some(first) = ids.insert(source.id.as_str(), index) {
                let message = format!("rule {first} has this id already");
                return Err(RateCardError::new(
                    pointer + "/id",
                    "rule_id_taken",
                    message,
                ));
            }
            let (field, path) = match &source.path {
                PathPattern::Exact(path) => ("exact", path),
                PathPattern::Prefix(path) => ("prefix", path),
                PathPattern::Template(path) => ("template", path),
                PathPattern::Grpc(path) => ("grpc", &path.service),
            };
            let pattern = pattern::parse(&source.path)
                .map_err(|fault| path_error(format!("{pointer}/path/{field}"), fault))?;
            let earlier: Vec<&Rule> = matcher
                .insert(&pattern, index)
                .into_iter()
                .filter_map(|earlier| rules.get(earlier))
                .collect();
            if is_unreachable(&rule, &earlier) {
                let message = format!("an earlier rule takes every request to {path}");
                return Err(RateCardError::new(
                    pointer + "/path",
                    "rule_unreachable",
                    message,
                ));
            }
            rules.push(rule);
        }
        let named = rules.iter().enumerate();
        let named = named.map(|(index, rule): (usize, &Rule)| (Arc::clone(&rule.id), index));
        let named = document.rules_by_route.then(|| named.collect());

        Ok(Self {
            version,
            name: document.name.clone(),
            currency: document.currency,
            scale,
            unmatched: unmatched(&document.default, scale)?,
            free,
            matcher,
            rules,
            named,
            models,
        })
    }
}

fn check_head(document: &RateCardDocument) -> Result<(), RateCardError> {
    if document.name.trim().is_empty() || document.name.len() > NAME_LENGTH_MAX {
        let message = format!("a name has 1 to {NAME_LENGTH_MAX} bytes");
        return Err(RateCardError::new("/name", "name_invalid", message));
    }
    if document.free_paths.len() > FREE_PATHS_MAX {
        let message = format!("at most {FREE_PATHS_MAX} free paths; use rules with a price of 0");
        return Err(RateCardError::new(
            "/free_paths",
            "too_many_free_paths",
            message,
        ));
    }
    if document.rules.len() > RULES_MAX {
        let message = format!("at most {RULES_MAX} rules; use prefixes or templates");
        return Err(RateCardError::new("/rules", "too_many_rules", message));
    }
    Ok(())
}

fn unmatched(document: &Unmatched, scale: Scale) -> Result<super::Default, RateCardError> {
    Ok(match document {
        Unmatched::Deny => super::Default::Deny,
        Unmatched::Free => super::Default::Free,
        Unmatched::Price(document) => super::Default::Price(Rule {
            id: DEFAULT_RULE_ID.into(),
            methods: [].into(),
            price: whole_price(document, scale, "/default/price")?,
            charge: Charge::OnSuccess,
            mode: Mode::Enforce,
            on_unavailable: None,
            conditions: None,
            terms: None,
            own: None,
        }),
    })
}

fn path_error(pointer: String, fault: pattern::Fault) -> RateCardError {
    RateCardError::new(pointer, "path_invalid", format!("the path {fault}"))
}

/// Whether earlier rules for the same paths leave nothing to this one. Only those with the
/// same conditions can: of others it can't be said for which requests they hold.
fn is_unreachable(rule: &Rule, earlier: &[&Rule]) -> bool {
    let same =
        |other: &&&Rule| Conditions::same(rule.conditions.as_deref(), other.conditions.as_deref());
    let earlier: Vec<&&Rule> = earlier.iter().filter(same).collect();
    if rule.methods.is_empty() {
        return earlier.iter().any(|other| other.methods.is_empty());
    }
    let mut methods = rule.methods.iter();
    methods.all(|method| earlier.iter().any(|other| other.methods.contains(method)))
}
