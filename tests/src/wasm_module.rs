//! What a wasm module asks of its host, and offers: read from the file itself.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

/// Names of functions.
#[derive(Debug, Default)]
pub struct Module {
    /// What it calls.
    pub imports: BTreeSet<String>,
    /// What it can be called by; memories and the like aside.
    pub exports: BTreeSet<String>,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8> {
        let (byte, rest) = self.0.split_first().context("the module ends early")?;
        self.0 = rest;
        Ok(*byte)
    }

    fn number(&mut self) -> Result<usize> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            ensure!(shift < 32, "a number is too long");
            value |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self
            .0
            .split_at_checked(length)
            .context("the module ends early")?;
        self.0 = rest;
        Ok(bytes)
    }

    fn name(&mut self) -> Result<String> {
        let length = self.number()?;
        Ok(String::from_utf8(self.bytes(length)?.to_vec())?)
    }
}

impl Module {
    /// Reads the import and export sections.
    ///
    /// # Errors
    /// If it is no module, or imports anything but functions.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        ensure!(reader.bytes(8)? == b"\0asm\x01\0\0\0", "not a wasm module");
        let mut module = Self::default();
        while !reader.0.is_empty() {
            let kind = reader.byte()?;
            let length = reader.number()?;
            let mut section = Reader(reader.bytes(length)?);
            match kind {
                2 => {
                    for _ in 0..section.number()? {
                        section.name()?;
                        module.imports.insert(section.name()?);
                        ensure!(section.byte()? == 0, "only functions are imported");
                        section.number()?;
                    }
                }
                7 => {
                    for _ in 0..section.number()? {
                        let name = section.name()?;
                        if section.byte()? == 0 {
                            module.exports.insert(name);
                        }
                        section.number()?;
                    }
                }
                _ => {}
            }
        }
        Ok(module)
    }
}
