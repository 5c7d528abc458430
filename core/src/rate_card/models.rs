//! The price list of language models.

use super::RateCardError;
use super::by_model::{ByModel, Collecting};
use super::document::{ModelDocument, Per, Price, TokenPrices};
use super::price::{Unit, unit_price};
use super::sum::{Sum, UnitPrice};
use crate::amount::Scale;
use crate::usage::{TokenCounts, TokenKind};

/// The most models that a rate card prices.
pub const MODELS_MAX: usize = 2000;
/// The most context tiers of a model.
pub const CONTEXT_TIERS_MAX: usize = 8;

/// The models of a card.
pub(super) type ModelTable = ByModel<ModelPrices>;

/// What the tokens of a model cost.
#[derive(Debug)]
pub(super) struct ModelPrices {
    base: Prices,
    /// In ascending order.
    tiers: Vec<(u64, Prices)>,
}

/// One price for each kind of token.
#[derive(Debug, Clone, Copy)]
struct Prices([UnitPrice; TokenKind::COUNT]);

impl ModelTable {
    pub(super) fn compile(
        documents: &[ModelDocument],
        scale: Scale,
    ) -> Result<Self, RateCardError> {
        if documents.len() > MODELS_MAX {
            let message = format!("at most {MODELS_MAX} models; use names with *");
            return Err(RateCardError::new("/models", "too_many_models", message));
        }
        let mut models = Collecting::default();
        for (index, document) in documents.iter().enumerate() {
            let pointer = format!("/models/{index}");
            let prices = ModelPrices::compile(document, scale, &pointer)?;
            models.add(&document.model, prices, &format!("{pointer}/model"))?;
        }
        Ok(models.end())
    }
}

impl ModelPrices {
    pub(super) fn compile(
        document: &ModelDocument,
        scale: Scale,
        pointer: &str,
    ) -> Result<Self, RateCardError> {
        let base = compile(document, document.per, scale, pointer)?;
        let count = document.context_tiers.len();
        if count > CONTEXT_TIERS_MAX {
            let message = format!("at most {CONTEXT_TIERS_MAX} tiers");
            let pointer = format!("{pointer}/context_tiers");
            return Err(RateCardError::new(pointer, "too_many_tiers", message));
        }
        let mut tiers: Vec<(u64, Prices)> = Vec::with_capacity(count);
        for (index, tier) in document.context_tiers.iter().enumerate() {
            let pointer = format!("{pointer}/context_tiers/{index}");
            let prices = compile(tier, document.per, scale, &pointer)?;
            let (above, before) = tiers
                .last()
                .map_or((None, &base), |(above, prices)| (Some(*above), prices));
            if above.is_some_and(|above| tier.above_input_tokens <= above) {
                let message = "tiers stand in ascending order";
                let pointer = pointer + "/above_input_tokens";
                return Err(RateCardError::new(pointer, "tier_order", message));
            }
            // Else a longer request could cost less, and what is reserved for the longest
            // would not be enough for a shorter one.
            if let Some(kind) = TokenKind::ALL
                .into_iter()
                .find(|kind| prices.of(*kind) < before.of(*kind))
            {
                let message = format!("the price of {} tokens is lower than before", kind.as_str());
                return Err(RateCardError::new(pointer, "tier_cheaper", message));
            }
            tiers.push((tier.above_input_tokens, prices));
        }
        Ok(Self { base, tiers })
    }

    /// What tokens of these counts cost together.
    pub(super) fn cost(&self, tokens: &TokenCounts) -> Sum {
        let prices = self.prices(tokens.input_total());
        tokens
            .iter()
            .map(|(kind, count)| prices.of(kind).times(count))
            .fold(Sum::default(), Sum::plus)
    }

    /// The most that so many tokens read and so many written can cost, whatever their kinds.
    pub(super) fn cost_at_most(&self, read: u64, written: u64) -> Sum {
        let prices = self.prices(read);
        let dearest = |is_input: bool| {
            let kinds = TokenKind::ALL.into_iter();
            let kinds = kinds.filter(|kind| kind.is_input() == is_input);
            kinds.map(|kind| prices.of(kind)).max().unwrap_or_default()
        };
        dearest(true)
            .times(read)
            .plus(dearest(false).times(written))
    }

    /// What so many plain tokens read and written cost.
    pub(super) fn cost_plain(&self, read: u64, written: u64) -> Sum {
        let prices = self.prices(read);
        let output = prices.of(TokenKind::Output).times(written);
        prices.of(TokenKind::Input).times(read).plus(output)
    }

    fn prices(&self, input_tokens: u64) -> &Prices {
        let mut tiers = self.tiers.iter().rev();
        tiers
            .find(|(above, _)| input_tokens > *above)
            .map_or(&self.base, |(_, prices)| prices)
    }
}

impl Prices {
    fn of(&self, kind: TokenKind) -> UnitPrice {
        self.0.get(kind as usize).copied().unwrap_or_default()
    }
}

/// The prices in force where these are listed: what is not listed costs what its nearest kin does.
fn compile(
    listed: &dyn TokenPrices,
    per: Per,
    scale: Scale,
    pointer: &str,
) -> Result<Prices, RateCardError> {
    let mut prices = [UnitPrice::default(); TokenKind::COUNT];
    for kind in TokenKind::ALL {
        let (field, price) = nearest(listed, kind);
        let pointer = format!("{pointer}/{field}");
        let price = unit_price(price, Unit::Whole, per, scale, &pointer)?;
        if let Some(slot) = prices.get_mut(kind as usize) {
            *slot = price;
        }
    }
    Ok(Prices(prices))
}

/// The price of a kind, and the field it stands in.
fn nearest(listed: &dyn TokenPrices, kind: TokenKind) -> (&'static str, &Price) {
    if let Some(own) = listed.own(kind) {
        return (kind.as_str(), own);
    }
    let kin = match kind {
        TokenKind::Input
        | TokenKind::CachedInput
        | TokenKind::CacheWrite
        | TokenKind::Output
        | TokenKind::AudioInput
        | TokenKind::Image => return (TokenKind::Input.as_str(), listed.input()),
        TokenKind::CacheWrite1h => TokenKind::CacheWrite,
        TokenKind::Reasoning | TokenKind::AudioOutput | TokenKind::ImageOutput => TokenKind::Output,
    };
    nearest(listed, kin)
}
