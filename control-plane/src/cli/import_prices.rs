//! `creditgate import-prices`: a public price list becomes the models of a rate card.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use creditgate_core::rate_card::{Glob, RateCard, RateCardDocument};

use crate::price_list::{Decimal, LIST_MAX, Options, import};

/// Reads a price list of language models and prints what a rate card's `models` would be.
///
/// The list is JSON in the shape of LiteLLM's `model_prices_and_context_window.json`: an object by
/// model, with prices in dollars a token. What a rate card can't say is left out and told on
/// standard error, a line each.
#[derive(Args)]
pub(super) struct ImportPrices {
    /// The list; `-` for standard input.
    file: PathBuf,
    /// Models whose listed names fit, `*` being any characters; may be given more than once.
    #[arg(long, value_name = "GLOB")]
    models: Vec<String>,
    /// Models of this provider (`litellm_provider`); may be given more than once.
    #[arg(long, value_name = "NAME")]
    provider: Vec<String>,
    /// Taken off the beginning of names, such as `gemini/`; may be given more than once.
    #[arg(long, value_name = "PREFIX")]
    strip_prefix: Vec<String>,
    /// Comes on top of every price, in percent: 12.5, say.
    #[arg(long, value_name = "PERCENT", default_value = "0")]
    markup: Decimal,
    /// A rate card: it is printed with these models in the place of its own, ready to be put.
    #[arg(long, value_name = "FILE")]
    card: Option<PathBuf>,
}

impl ImportPrices {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let list = read(&self.file)?;
        let globs = self
            .models
            .iter()
            .map(|glob| Glob::compile(glob, "--models"));
        let options = Options {
            models: globs.collect::<Result<_, _>>()?,
            providers: self.provider,
            strip_prefixes: self.strip_prefix,
            markup_percent: self.markup,
        };
        let imported = import(&list, &options)?;
        for report in &imported.reports {
            eprintln!("{report}");
        }
        eprintln!("{} models", imported.models.len());
        if imported.models.is_empty() {
            bail!("no model of the list was imported");
        }
        let text = match self.card {
            None => serde_json::to_string_pretty(&imported.models)?,
            Some(path) => {
                let mut card = RateCardDocument::from_json(&read(&path)?)?;
                if card.currency.as_str() != "usd" {
                    bail!(
                        "{} is in {}, and the list's prices are in dollars; import into a card in usd",
                        path.display(),
                        card.currency
                    );
                }
                card.models = imported.models;
                RateCard::compile(&card, 1)?;
                serde_json::to_string_pretty(&card)?
            }
        };
        println!("{text}");
        Ok(ExitCode::SUCCESS)
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let input: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(std::io::stdin()),
        _ => Box::new(File::open(path).with_context(|| format!("can't read {}", path.display()))?),
    };
    let mut bytes = Vec::new();
    let mut input = input.take(LIST_MAX.saturating_add(1));
    input
        .read_to_end(&mut bytes)
        .with_context(|| format!("can't read {}", path.display()))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LIST_MAX {
        bail!("{} has more than {LIST_MAX} bytes", path.display());
    }
    Ok(bytes)
}
