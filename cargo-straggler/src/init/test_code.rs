//! Which code of a file belongs to tests.

use std::ops::Range;

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItemFn, ItemFn};

use crate::init::imports::segments;
use crate::init::outline::Outline;
use crate::init::parsed::Parsed;

/// The code of a file that belongs to tests.
pub(crate) struct TestCode<'a> {
    outline: &'a Outline,
    /// Whether a test target includes the file.
    is_of_tests: bool,
    functions: Vec<Range<usize>>,
}

impl<'a> TestCode<'a> {
    pub(crate) fn of(parsed: &Parsed, outline: &'a Outline, is_of_tests: bool) -> Self {
        let mut tests = Tests {
            parsed,
            functions: Vec::new(),
        };
        tests.visit_file(&parsed.syntax);
        Self {
            outline,
            is_of_tests,
            functions: tests.functions,
        }
    }

    /// Whether a byte belongs to a test.
    pub(crate) fn contains(&self, at: usize) -> bool {
        let mut functions = self.functions.iter();
        self.is_of_tests
            || self.is_tests_only(at)
            || functions.any(|function| function.contains(&at))
    }

    /// Whether a byte is under `#[cfg(test)]`.
    pub(crate) fn is_tests_only(&self, at: usize) -> bool {
        self.outline.is_tests_only(at)
    }
}

/// Whether a function has an attribute that makes it a test.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = segments(attribute.path());
        let names = ["test", "rstest", "test_case", "leak_check"];
        path.last().is_some_and(|last| names.contains(&&**last))
    })
}

struct Tests<'a> {
    parsed: &'a Parsed,
    functions: Vec<Range<usize>>,
}

impl<'ast> Visit<'ast> for Tests<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if is_test(&item.attrs) {
            self.functions.push(self.parsed.range(item.span()));
        }
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if is_test(&item.attrs) {
            self.functions.push(self.parsed.range(item.span()));
        }
        visit::visit_impl_item_fn(self, item);
    }
}
