//! Tests that run by other means than a plain `#[tokio::test]`, and so are not converted.

use syn::visit::{self, Visit};
use syn::{Attribute, Block, ExprPath, ImplItemFn, ItemFn, Signature};

use crate::init::imports::{Imports, segments};
use crate::init::parsed::Parsed;
use crate::init::test_code::is_test;

/// Finds the other tests of a file: where each one is, and how it runs.
pub(crate) fn find(parsed: &Parsed, imports: &Imports) -> Vec<(usize, String)> {
    let mut tests = OtherTests {
        parsed,
        imports,
        found: Vec::new(),
    };
    tests.visit_file(&parsed.syntax);
    tests.found
}

struct OtherTests<'a> {
    parsed: &'a Parsed,
    imports: &'a Imports,
    found: Vec<(usize, String)>,
}

impl OtherTests<'_> {
    fn function(&mut self, attributes: &[Attribute], signature: &Signature, block: &Block) {
        let reason = if signature.asyncness.is_some() {
            let mut reasons = attributes
                .iter()
                .filter_map(|attribute| self.runner(attribute));
            reasons.next()
        } else if is_test(attributes) && builds_runtime(block) {
            let reason = "it builds its own runtime, in which `LeakCheck::watch` can check it";
            Some(reason.to_owned())
        } else {
            None
        };
        if let Some(reason) = reason {
            let at = self.parsed.range(signature.ident.span()).start;
            self.found.push((at, reason));
        }
    }

    /// How an attribute runs an `async fn`. `None` if it does not, or is that of tokio or straggler.
    fn runner(&self, attribute: &Attribute) -> Option<String> {
        let written = segments(attribute.path());
        let path = self.imports.resolve(&written);
        let names: Vec<_> = path.iter().map(String::as_str).collect();
        match names[..] {
            ["tokio", "test"] if written != path => Some(format!(
                "`use` imports its `#[{}]` from tokio: write `#[straggler::test]`",
                written.join("::")
            )),
            // What passes another attribute on, and `#[test]` itself.
            [.., "tokio" | "straggler" | "test_log", "test"]
            | ["core" | "std", "prelude", _, "test"]
            | ["test"] => None,
            [.., "test"] => Some(format!("`#[{}]` runs it", path.join("::"))),
            _ => None,
        }
    }
}

impl<'ast> Visit<'ast> for OtherTests<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(&item.attrs, &item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function(&item.attrs, &item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }
}

/// Whether a block calls what builds a runtime of tokio.
fn builds_runtime(block: &Block) -> bool {
    struct Builds(bool);
    impl<'ast> Visit<'ast> for Builds {
        fn visit_expr_path(&mut self, path: &'ast ExprPath) {
            let path = segments(&path.path);
            let names: Vec<_> = path.iter().map(String::as_str).collect();
            self.0 |= matches!(
                names[..],
                [.., "Runtime", "new"]
                    | [.., "Builder", "new_current_thread" | "new_multi_thread"]
                    | [.., "tokio_test", "block_on"]
            );
        }
    }
    let mut builds = Builds(false);
    builds.visit_block(block);
    builds.0
}

#[cfg(test)]
mod tests {
    use super::find;
    use crate::init::imports::Imports;
    use crate::init::parsed::Parsed;

    fn reasons(text: &str) -> Vec<String> {
        let parsed = Parsed::of(text.to_owned()).unwrap();
        let found = find(&parsed, &Imports::of(&parsed)).into_iter();
        found.map(|(_, reason)| reason).collect()
    }

    #[test]
    fn imported_attribute_is_named() {
        for text in [
            "use tokio::test; #[test] async fn a() {}",
            "use tokio::{spawn, test}; #[test(start_paused = true)] async fn a() {}",
            "use tokio as t; #[t::test] async fn a() {}",
        ] {
            let reasons = reasons(text);
            assert!(
                matches!(&reasons[..], [reason] if reason.contains("from tokio")),
                "{reasons:?}"
            );
        }
    }

    #[test]
    fn other_runtimes_are_named() {
        for (text, expected) in [
            (
                "#[actix_web::test] async fn a() {}",
                "`#[actix_web::test]` runs it",
            ),
            (
                "use async_std::test; #[test] async fn a() {}",
                "`#[async_std::test]` runs it",
            ),
            (
                "#[test] fn a() { let b = tokio::runtime::Runtime::new(); }",
                "its own runtime",
            ),
            (
                "#[test] fn a() { Builder::new_multi_thread().build(); }",
                "its own runtime",
            ),
            (
                "#[test] fn a() { tokio_test::block_on(async {}); }",
                "its own runtime",
            ),
        ] {
            let reasons = reasons(text);
            assert!(
                matches!(&reasons[..], [reason] if reason.contains(expected)),
                "{text}: {reasons:?}"
            );
        }
    }

    #[test]
    fn tests_that_are_converted_are_not_named() {
        for text in [
            "#[tokio::test] async fn a() {}",
            "use test_log::test; #[test(tokio::test)] async fn a() {}",
            "#[straggler::test] async fn a() {}",
            "#[test] fn a() {}",
            "#[core::prelude::v1::test] async fn a() {}",
            "fn a() { Runtime::new(); }",
        ] {
            assert!(reasons(text).is_empty(), "{text}");
        }
    }
}
