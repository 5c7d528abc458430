//! An export of a module that another function takes the place of.
//!
//! The proxy calls a filter by names that the SDK defines, and an answer that the SDK has no word for needs a
//! function of the filter's own under such a name. No linker can be told so: both would be one symbol.

use anyhow::{Result, ensure};
use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{ExternalKind, Parser, Payload};

/// The module with the function that it exports as `by` exported as `name`, in the place of the one that was.
///
/// # Errors
/// It is no module, or does not export both.
pub(super) fn replaced(module: &[u8], name: &str, by: &str) -> Result<Vec<u8>> {
    let mut made = Module::new();
    let mut found = 0;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::ExportSection(exports) = payload {
            let mut section = ExportSection::new();
            for export in exports {
                let mut export = export?;
                let is_one = [name, by].contains(&export.name);
                found += usize::from(is_one && export.kind == ExternalKind::Func);
                if export.name == name {
                    continue;
                }
                if export.name == by {
                    export.name = name;
                }
                section.export(export.name, ExportKind::from(export.kind), export.index);
            }
            made.section(&section);
        } else if let Some((id, range)) = payload.as_section() {
            let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
            let data = module.get(range).unwrap_or_default();
            made.section(&RawSection { id, data });
        }
    }
    ensure!(
        found == 2,
        "the module does not export both {name} and {by}"
    );
    Ok(made.finish())
}

#[cfg(test)]
mod tests {
    use anyhow::Result;
    use wasm_encoder::{
        CodeSection, CustomSection, ExportKind, ExportSection, Function, FunctionSection, Module,
        SectionId, TypeSection, ValType,
    };
    use wasmparser::{Parser, Payload};

    use super::replaced;

    /// Functions under these names, and a section that nobody knows.
    fn module(names: &[&str]) -> Vec<u8> {
        let (mut types, mut functions) = (TypeSection::new(), FunctionSection::new());
        types.ty().function([], [ValType::I32]);
        let (mut exports, mut code) = (ExportSection::new(), CodeSection::new());
        for (index, name) in (0_u32..).zip(names) {
            functions.function(0);
            exports.export(name, ExportKind::Func, index);
            let mut body = Function::new([]);
            body.instructions().i32_const(i32::from(index == 1)).end();
            code.function(&body);
        }
        let mut module = Module::new();
        module
            .section(&types)
            .section(&functions)
            .section(&exports)
            .section(&code)
            .section(&CustomSection {
                name: "unknown".into(),
                data: b"kept"[..].into(),
            });
        module.finish()
    }

    fn exports(module: &[u8]) -> Result<Vec<(String, u32)>> {
        let mut found = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            if let Payload::ExportSection(exports) = payload? {
                for export in exports {
                    let export = export?;
                    found.push((export.name.to_owned(), export.index));
                }
            }
        }
        Ok(found)
    }

    #[test]
    fn one_function_is_exported_in_the_place_of_another_and_nothing_else_changes() -> Result<()> {
        let before = module(&["first", "proxy_on", "own_longer"]);
        let after = replaced(&before, "proxy_on", "own_longer")?;
        let names = [("first".to_owned(), 0), ("proxy_on".to_owned(), 2)];
        assert_eq!(exports(&after)?, names);
        let sections = |module: &[u8]| -> Result<Vec<(u8, Vec<u8>)>> {
            let mut sections = Vec::new();
            for payload in Parser::new(0).parse_all(module) {
                if let Some((id, range)) = payload?.as_section() {
                    let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
                    sections.push((id, module[range].to_vec()));
                }
            }
            sections.retain(|(id, _)| *id != SectionId::Export as u8);
            Ok(sections)
        };
        assert_eq!(sections(&after)?, sections(&before)?);
        Ok(())
    }

    #[test]
    fn a_module_that_lacks_one_of_them_is_refused() {
        for (name, by) in [("proxy_on", "absent"), ("absent", "own")] {
            assert!(replaced(&module(&["proxy_on", "own"]), name, by).is_err());
        }
        assert!(replaced(b"no module", "proxy_on", "own").is_err());
    }
}
