//! Links between the documents of this repository: each must lead somewhere.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Folders that hold documents, beside the top level itself.
const FOLDERS: [&str; 3] = ["docs", "envoy", "examples"];

/// Links that lead nowhere, as `file: link`.
///
/// # Errors
/// A document can't be read.
pub(crate) fn broken(root: &Path) -> Result<Vec<String>> {
    let mut documents = Vec::new();
    collect(root, false, &mut documents)?;
    for folder in FOLDERS {
        collect(&root.join(folder), true, &mut documents)?;
    }
    let mut broken = Vec::new();
    for document in documents {
        let text = std::fs::read_to_string(&document)?;
        let name = document
            .strip_prefix(root)
            .unwrap_or(&document)
            .display()
            .to_string();
        let folder = document.parent().unwrap_or(root);
        for link in
            links(&text).filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
        {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                document.clone()
            } else {
                folder.join(file)
            };
            if !target.exists() || !has_anchor(&target, anchor) {
                broken.push(format!("{name}: {link}"));
            }
        }
    }
    Ok(broken)
}

fn collect(folder: &Path, deep: bool, documents: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("no folder {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() && deep {
            collect(&path, true, documents)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            documents.push(path);
        }
    }
    documents.sort();
    Ok(())
}

/// What follows `](`, up to the closing bracket. Code blocks may hold none.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(link, _)| link))
}

fn has_anchor(target: &Path, anchor: &str) -> bool {
    if anchor.is_empty() || target.extension().is_none_or(|extension| extension != "md") {
        return true;
    }
    let text = std::fs::read_to_string(target).unwrap_or_default();
    anchors(&text).contains(anchor)
}

/// Headings as sites name them: lower case, spaces as hyphens, other signs dropped.
fn anchors(text: &str) -> HashSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{anchors, links};

    #[test]
    fn links_and_the_headings_they_may_name_are_found() {
        let text = "# What is promised: `strict`\nSee [a](b.md#c) and [d](e).\n";
        assert_eq!(links(text).collect::<Vec<_>>(), ["b.md#c", "e"]);
        assert!(anchors(text).contains("what-is-promised-strict"));
    }
}
