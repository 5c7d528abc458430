//! `dist/`: what a release consists of, with checksums that `sha256sum --check SHA256SUMS` reads.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::{control_plane, wasm, workspace};

pub(crate) fn make() -> Result<()> {
    let built = [
        ("creditgate.wasm", wasm::build(wasm::Variant::Shipped)?),
        ("creditgate", control_plane::for_release()?),
    ];
    let dist = workspace::root().join("dist");
    let mut sums = String::new();
    for (name, from) in &built {
        let file = dist.join(name);
        workspace::copy_whole(from, &file)?;
        writeln!(sums, "{}  {name}", sha256(&file)?)?;
    }
    let list = dist.join("SHA256SUMS");
    fs::write(&list, &sums).with_context(|| format!("could not write {}", list.display()))?;
    println!("{}\n{sums}", dist.display());
    Ok(())
}

/// In hexadecimal digits.
fn sha256(file: &Path) -> Result<String> {
    let content = fs::read(file).with_context(|| format!("could not read {}", file.display()))?;
    let mut digits = String::new();
    for byte in Sha256::digest(content) {
        write!(digits, "{byte:02x}")?;
    }
    Ok(digits)
}
