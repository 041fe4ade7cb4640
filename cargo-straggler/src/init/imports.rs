//! The names that a file imports by `use`.

use std::ops::Range;

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::visit::Visit;
use syn::{ItemUse, UseTree};

use crate::init::parsed::Parsed;

/// The names that the `use` items of a file import, in whatever module.
#[derive(Debug)]
pub(crate) struct Imports {
    found: Vec<Import>,
}

/// A name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// `*` for all names of a module.
    pub(crate) name: String,
    pub(crate) path: Vec<String>,
    /// The bytes whose removal removes this import alone.
    pub(crate) removal: Range<usize>,
}

impl Imports {
    pub(crate) fn of(parsed: &Parsed) -> Self {
        let mut collector = Collector {
            parsed,
            found: Vec::new(),
        };
        collector.visit_file(&parsed.syntax);
        let found = collector.found;
        Self { found }
    }

    /// The imports of a name.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = &Import> {
        self.found.iter().filter(move |import| import.name == name)
    }

    /// The path behind one that is written. If two modules import different things by one name, that
    /// name stays.
    pub(crate) fn resolve(&self, written: &[String]) -> Vec<String> {
        let Some((first, rest)) = written.split_first() else {
            return Vec::new();
        };
        let mut imports = self.named(first);
        match imports.next() {
            Some(import) if imports.all(|other| other.path == import.path) => {
                [&import.path[..], rest].concat()
            }
            _ => written.to_owned(),
        }
    }

    /// The bytes of the imports of a name that has no use once `replaced` of them are gone.
    pub(crate) fn unused_after(
        &self,
        name: &str,
        replaced: usize,
        tokens: &TokenStream,
    ) -> Vec<Range<usize>> {
        let removals = self.named(name).map(|import| import.removal.clone());
        let removals: Vec<_> = removals.collect();
        if mentions(tokens, name) == replaced + removals.len() {
            removals
        } else {
            Vec::new()
        }
    }

    /// Whether all names of a module are imported.
    pub(crate) fn has_all_of(&self, module: &[&str]) -> bool {
        self.named("*").any(|import| import.path == module)
    }
}

/// The names in a path.
pub(crate) fn segments(path: &syn::Path) -> Vec<String> {
    let segments = path.segments.iter();
    segments
        .map(|segment| segment.ident.unraw().to_string())
        .collect()
}

/// How often a name is in tokens.
fn mentions(tokens: &TokenStream, name: &str) -> usize {
    let count = |token| match token {
        TokenTree::Ident(ident) => usize::from(ident == name),
        TokenTree::Group(group) => mentions(&group.stream(), name),
        TokenTree::Punct(_) | TokenTree::Literal(_) => 0,
    };
    tokens.clone().into_iter().map(count).sum()
}

struct Collector<'a> {
    parsed: &'a Parsed,
    found: Vec<Import>,
}

impl Collector<'_> {
    fn tree(&mut self, mut path: Vec<String>, tree: &UseTree, removal: Range<usize>) {
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.unraw().to_string());
                self.tree(path, &tree.tree, removal);
            }
            UseTree::Name(tree) => {
                let name = tree.ident.unraw().to_string();
                let name = if name == "self" {
                    path.last().cloned().unwrap_or_default()
                } else {
                    path.push(name.clone());
                    name
                };
                self.found.push(Import {
                    name,
                    path,
                    removal,
                });
            }
            UseTree::Rename(tree) => {
                let name = tree.rename.unraw().to_string();
                if tree.ident != "self" {
                    path.push(tree.ident.unraw().to_string());
                }
                self.found.push(Import {
                    name,
                    path,
                    removal,
                });
            }
            UseTree::Glob(_) => {
                let name = "*".to_owned();
                self.found.push(Import {
                    name,
                    path,
                    removal,
                });
            }
            UseTree::Group(group) => {
                let trees: Vec<_> = group.items.iter().collect();
                for (index, tree) in trees.iter().enumerate() {
                    let removal = self.removal(&trees, index).unwrap_or(removal.clone());
                    self.tree(path.clone(), tree, removal);
                }
            }
        }
    }

    /// The bytes of one of several trees, with a comma. `None` if it is the only one.
    fn removal(&self, trees: &[&UseTree], index: usize) -> Option<Range<usize>> {
        let range = |index: usize| self.parsed.range(trees[index].span());
        match trees.len() {
            0 | 1 => None,
            len if index + 1 < len => Some(range(index).start..range(index + 1).start),
            _ => Some(range(index - 1).end..range(index).end),
        }
    }

    /// An item with the rest of its lines, if they are empty.
    fn lines(&self, item: Range<usize>) -> Range<usize> {
        let (before, after) = (
            &self.parsed.text[..item.start],
            &self.parsed.text[item.end..],
        );
        let start = before.trim_end_matches([' ', '\t']).len();
        let is_alone = start == 0 || before[..start].ends_with('\n');
        match after.find('\n') {
            Some(end) if is_alone && after[..end].trim().is_empty() => start..item.end + end + 1,
            _ => item,
        }
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let removal = self.lines(self.parsed.range(item.span()));
        self.tree(Vec::new(), &item.tree, removal);
    }
}

#[cfg(test)]
mod tests {
    use super::Imports;
    use crate::init::parsed::Parsed;

    fn imports(text: &str) -> (Imports, Parsed) {
        let parsed = Parsed::of(text.to_owned()).unwrap();
        (Imports::of(&parsed), parsed)
    }

    fn path(text: &str) -> Vec<String> {
        text.split("::").map(str::to_owned).collect()
    }

    #[test]
    fn names_are_resolved() {
        let (imports, _) = imports(
            "use tokio::{self as t, task::{self, spawn}}; mod a { use tokio::test; } use b::*;",
        );
        for (written, expected) in [
            ("test", "tokio::test"),
            ("t::test", "tokio::test"),
            ("task::spawn_local", "tokio::task::spawn_local"),
            ("spawn", "tokio::task::spawn"),
            ("other::spawn", "other::spawn"),
        ] {
            assert_eq!(imports.resolve(&path(written)), path(expected), "{written}");
        }
        assert!(imports.has_all_of(&["b"]));
    }

    #[test]
    fn name_with_two_meanings_stays() {
        let (imports, _) = imports("mod a { use tokio::test; } mod b { use actix_web::test; }");
        assert_eq!(imports.resolve(&path("test")), path("test"));
    }

    #[test]
    fn removal_leaves_the_other_names() {
        for (before, after) in [
            ("use a::x;\r\nfn b() {}", "fn b() {}"),
            (
                "mod b {\n    use a::{x};\n    use c::d;\n}",
                "mod b {\n    use c::d;\n}",
            ),
            ("use a::{x, y};", "use a::{y};"),
            ("use a::{y, x};", "use a::{y};"),
            ("use a::{b::{x}, y};", "use a::{y};"),
            ("use a::x; use c::d;", " use c::d;"),
        ] {
            let (imports, parsed) = imports(before);
            let mut text = parsed.text;
            let import = imports.named("x").next().unwrap();
            text.replace_range(import.removal.clone(), "");
            assert_eq!(text, after);
        }
    }
}
