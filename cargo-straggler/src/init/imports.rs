//! The names that a file imports by `use`.

use std::collections::BTreeSet;
use std::ops::Range;

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::visit::Visit;
use syn::{ItemUse, UseGroup, UseName, UseRename, UseTree};

use crate::init::parsed::Parsed;

/// The names that the `use` items of a file import, in whatever module.
pub(crate) struct Imports {
    items: Vec<ItemUse>,
    found: Vec<Import>,
}

/// A name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// `*` for all names of a module.
    pub(crate) name: String,
    pub(crate) path: Vec<String>,
}

impl Imports {
    pub(crate) fn of(parsed: &Parsed) -> Self {
        let mut collector = Collector { items: Vec::new() };
        collector.visit_file(&parsed.syntax);
        let items = collector.items;
        let mut found = Vec::new();
        for item in &items {
            collect(Vec::new(), &item.tree, &mut found);
        }
        Self { items, found }
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

    /// Whether a name has no use once `replaced` of them are gone.
    pub(crate) fn is_unused_after(&self, name: &str, replaced: usize, parsed: &Parsed) -> bool {
        mentions(&parsed.tokens, name) == replaced + self.named(name).count()
    }

    /// The bytes whose removal removes the imports of names.
    pub(crate) fn removals(&self, names: &BTreeSet<&str>, parsed: &Parsed) -> Vec<Range<usize>> {
        let removal = |item: &ItemUse| match prune(&item.tree, names, parsed) {
            Pruned::Gone => vec![lines(parsed.range(item.span()), &parsed.text)],
            Pruned::Kept(removals) => removals,
        };
        self.items.iter().flat_map(removal).collect()
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

struct Collector {
    items: Vec<ItemUse>,
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.items.push(item.clone());
    }
}

/// Collects the names that a tree below `path` imports.
fn collect(mut path: Vec<String>, tree: &UseTree, found: &mut Vec<Import>) {
    match tree {
        UseTree::Path(tree) => {
            path.push(tree.ident.unraw().to_string());
            collect(path, &tree.tree, found);
        }
        UseTree::Name(tree) => {
            if tree.ident != "self" {
                path.push(tree.ident.unraw().to_string());
            }
            let name = path.last().cloned().unwrap_or_default();
            found.push(Import { name, path });
        }
        UseTree::Rename(tree) => {
            if tree.ident != "self" {
                path.push(tree.ident.unraw().to_string());
            }
            let name = tree.rename.unraw().to_string();
            found.push(Import { name, path });
        }
        UseTree::Glob(_) => {
            let name = "*".to_owned();
            found.push(Import { name, path });
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                collect(path.clone(), tree, found);
            }
        }
    }
}

/// A tree without some names.
enum Pruned {
    /// It has no others.
    Gone,
    /// It is without them after the removal of these bytes.
    Kept(Vec<Range<usize>>),
}

fn prune(tree: &UseTree, names: &BTreeSet<&str>, parsed: &Parsed) -> Pruned {
    match tree {
        UseTree::Path(tree) => prune(&tree.tree, names, parsed),
        UseTree::Name(UseName { ident }) | UseTree::Rename(UseRename { rename: ident, .. })
            if names.contains(&*ident.unraw().to_string()) =>
        {
            Pruned::Gone
        }
        UseTree::Name(_) | UseTree::Rename(_) | UseTree::Glob(_) => Pruned::Kept(Vec::new()),
        UseTree::Group(group) => prune_group(group, names, parsed),
    }
}

fn prune_group(group: &UseGroup, names: &BTreeSet<&str>, parsed: &Parsed) -> Pruned {
    let trees: Vec<_> = group.items.iter().collect();
    let range = |index: usize| parsed.range(trees[index].span());
    let mut removals = Vec::new();
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for (index, tree) in trees.iter().enumerate() {
        match prune(tree, names, parsed) {
            Pruned::Gone => gone.push(index),
            Pruned::Kept(inside) => {
                kept.push(index);
                removals.extend(inside);
            }
        }
    }
    match kept[..] {
        [] => return Pruned::Gone,
        // rustfmt wants no braces around one name. Only `self` needs them.
        [only] if !gone.is_empty() && !is_self(trees[only]) => {
            let braces = parsed.range(group.span());
            removals.push(braces.start..range(only).start);
            removals.push(range(only).end..braces.end);
        }
        [.., last] => removals.extend(gone.into_iter().map(|index| {
            // With the comma to the next one that stays, or else the one before.
            if index < last {
                range(index).start..range(index + 1).start
            } else {
                range(index - 1).end..range(index).end
            }
        })),
    }
    Pruned::Kept(removals)
}

fn is_self(tree: &UseTree) -> bool {
    match tree {
        UseTree::Name(UseName { ident }) | UseTree::Rename(UseRename { ident, .. }) => {
            ident == "self"
        }
        _ => false,
    }
}

/// An item with the rest of its lines, if they are empty.
fn lines(item: Range<usize>, text: &str) -> Range<usize> {
    let (before, after) = (&text[..item.start], &text[item.end..]);
    let start = before.trim_end_matches([' ', '\t']).len();
    let is_alone = start == 0 || before[..start].ends_with('\n');
    match after.find('\n') {
        Some(end) if is_alone && after[..end].trim().is_empty() => start..item.end + end + 1,
        _ => item,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Imports;
    use crate::init::edit::{Edit, apply};
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
            ("use a::{x, y};", "use a::y;"),
            ("use a::{y, x,};", "use a::y;"),
            ("use a::{b, x, y};", "use a::{b, y};"),
            ("use a::{b, c, x};", "use a::{b, c};"),
            ("use a::{self, x};", "use a::{self};"),
            ("use a::{b::{x}, y};", "use a::y;"),
            ("use a::{b, z as x, x, c};", "use a::{b, c};"),
            ("use a::{b::{c, x}, d};", "use a::{b::c, d};"),
            ("use a::x; use c::d;", " use c::d;"),
        ] {
            let (imports, parsed) = imports(before);
            let removals = imports.removals(&BTreeSet::from(["x"]), &parsed);
            let removals = removals.into_iter().map(Edit::remove).collect();
            assert_eq!(apply(&parsed.text, removals), after);
        }
    }
}
