//! What a cell says of the lines that its request has in the access log.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Cell;
use super::rules::{estimate, passed};
use crate::admin::smallest_units;

/// Of every rule.
const MINIMUM: i128 = 2;

/// One line: what became of the request, what its charge went by, and what that is.
#[derive(Debug)]
struct Line {
    outcome: &'static str,
    /// Of a fixed price none is told.
    settled_by: Option<&'static str>,
    least: i128,
    most: i128,
}

impl Line {
    fn fits(&self, entry: &Value) -> Result<bool> {
        let cost = smallest_units(entry["cost"].as_str().context("cost")?, 0)?;
        Ok(entry["outcome"] == self.outcome
            && entry["settled_by"].as_str() == self.settled_by
            && (self.least..=self.most).contains(&cost))
    }
}

impl Cell {
    /// What is wrong with the lines of its request, if anything. Of its answer's body the client surely
    /// `got` so much, and the upstream surely `sent` no more.
    pub(super) fn differs(
        &self,
        got: &[u8],
        sent: &[u8],
        entries: &[&Value],
    ) -> Result<Option<String>> {
        let lines = self.charge.split('+');
        let lines: Vec<Line> = lines
            .map(|word| self.line(word, got, sent))
            .collect::<Result<_>>()?;
        let mut are_right = lines.len() == entries.len();
        for (line, entry) in lines.iter().zip(entries) {
            are_right &= line.fits(entry)?;
        }
        let (rule, protocol, ending) = (&self.rule, &self.protocol, &self.ending);
        let said = || format!("{rule} {protocol} {ending}: {entries:?}, not {lines:?}");
        Ok((!are_right).then(said))
    }

    fn line(&self, word: &str, got: &[u8], sent: &[u8]) -> Result<Line> {
        let bytes = |body: &[u8]| i128::try_from(body.len()).map(|bytes| bytes.max(MINIMUM));
        let (settled_by, least, most) = match word {
            "0" => ("nothing", 0, 0),
            "M" => ("minimum", MINIMUM, MINIMUM),
            "E" => {
                let estimate = estimate(self);
                ("estimate", estimate, estimate)
            }
            "P" => ("passed", passed(self, got), passed(self, sent)),
            "B" => ("usage", bytes(got)?, bytes(sent)?),
            number => {
                let Ok(number) = number.parse() else {
                    bail!("no charge: {number}");
                };
                ("usage", number, number)
            }
        };
        Ok(Line {
            outcome: if word == "0" { "released" } else { "settled" },
            settled_by: Some(settled_by).filter(|_| !self.is_fixed()),
            least,
            most,
        })
    }
}
