//! The functions of a source file.

use std::ops::RangeInclusive;

use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{File, ImplItemFn, ItemFn, ItemImpl, ItemMod, ItemTrait, Signature, TraitItemFn, Type};

/// The functions of a file, with the lines of each.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    found: Vec<(RangeInclusive<usize>, String)>,
    /// The modules, types and functions around what is visited.
    around: Vec<String>,
}

impl Functions {
    /// Finds the functions of a file: none if it is no Rust.
    pub(crate) fn of(text: &str) -> Self {
        syn::parse_file(text).map_or_else(|_| Self::default(), |file| Self::of_syntax(&file))
    }

    /// Finds the functions of a file that is parsed.
    pub(crate) fn of_syntax(file: &File) -> Self {
        let mut functions = Self::default();
        functions.visit_file(file);
        functions
    }

    /// The path of the innermost function around a line, such as `Pool::fill`.
    pub(crate) fn around(&self, line: usize) -> Option<&str> {
        let mut functions = self.found.iter().rev();
        let found = functions.find(|(lines, _)| lines.contains(&line));
        found.map(|(_, path)| &**path)
    }

    fn within(&mut self, name: String, visit: impl FnOnce(&mut Self)) {
        self.around.push(name);
        visit(self);
        self.around.pop();
    }

    fn function(&mut self, signature: &Signature, end: usize, visit: impl FnOnce(&mut Self)) {
        let start = signature.span().start().line;
        self.within(signature.ident.to_string(), |functions| {
            let path = functions.around.join("::");
            functions.found.push((start..=end, path));
            visit(functions);
        });
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.within(module.ident.to_string(), |functions| {
            visit::visit_item_mod(functions, module);
        });
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        self.within(name(&item.self_ty), |functions| {
            visit::visit_item_impl(functions, item);
        });
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.within(item.ident.to_string(), |functions| {
            visit::visit_item_trait(functions, item);
        });
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        let end = item.block.span().end().line;
        self.function(&item.sig, end, |functions| {
            visit::visit_item_fn(functions, item);
        });
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        let end = item.block.span().end().line;
        self.function(&item.sig, end, |functions| {
            visit::visit_impl_item_fn(functions, item);
        });
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        let end = item.span().end().line;
        self.function(&item.sig, end, |functions| {
            visit::visit_trait_item_fn(functions, item);
        });
    }
}

/// The last name in a type, such as `Pool` in `pool::Pool<M>`.
fn name(of: &Type) -> String {
    match of {
        Type::Path(of) => of.path.segments.last().map(|last| last.ident.to_string()),
        Type::Reference(of) => Some(name(&of.elem)),
        _ => None,
    }
    .unwrap_or_else(|| "_".to_owned())
}

#[cfg(test)]
mod tests {
    use super::Functions;

    #[test]
    fn innermost_function_is_found() {
        let functions = Functions::of(
            "\
struct Pool<M>(M);
impl<M> Pool<M> {
    async fn fill(&self) {
        fn inner() {
        }
    }
}
mod tests {
    #[tokio::test]
    async fn fills()
    {
        tokio::spawn(async {
        });
    }
}
trait Named {
    fn name(&self) -> u8 {
        1
    }
}
",
        );
        let expected = [
            (1, None),
            (2, None),
            (3, Some("Pool::fill")),
            (4, Some("Pool::fill::inner")),
            (6, Some("Pool::fill")),
            (12, Some("tests::fills")),
            (17, Some("Named::name")),
            (20, None),
        ];
        for (line, function) in expected {
            assert_eq!(functions.around(line), function, "line {line}");
        }
    }

    #[test]
    fn text_that_is_no_rust_has_no_functions() {
        assert_eq!(Functions::of("fn (").around(1), None);
    }
}
