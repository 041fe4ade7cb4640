//! Joins in test code, and which of them those of straggler replace.

use std::collections::BTreeSet;
use std::ops::Range;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Expr, ExprAwait, ExprCall, Macro, Path, PathArguments};

use crate::init::dropped::Dropped;
use crate::init::edit::Edit;
use crate::init::imports::Imports;
use crate::init::parsed::Parsed;
use crate::init::replacement::{Replacement, SETTLE_ALL, expressions};
use crate::init::test_code::TestCode;

/// A join in test code.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) at: usize,
    /// The path of the function or macro.
    pub(crate) name: String,
    /// What straggler has in its place.
    pub(crate) replacement: &'static str,
    /// The edits, or why there are none.
    pub(crate) edits: Result<Vec<Edit>, &'static str>,
}

/// A file, and where in it straggler may be named.
pub(crate) struct Source<'a> {
    pub(crate) parsed: &'a Parsed,
    pub(crate) imports: &'a Imports,
    pub(crate) tests: &'a TestCode<'a>,
    pub(crate) dropped: &'a Dropped,
    /// Whether straggler can be named in it, and not only under `#[cfg(test)]`. `None` if nowhere.
    pub(crate) everywhere: Option<bool>,
}

const DROPS: &str = "its results are dropped";
const NOT_AWAITED: &str = "it is not awaited in place, so the type of the future may matter";
const NOT_PLAIN: &str = "its arguments are more than futures";
const NO_STRAGGLER: &str = "straggler cannot be named here";

/// Finds the joins of a file.
pub(crate) fn find(source: &Source<'_>) -> Vec<Join> {
    let mut finder = Finder {
        source,
        awaited: Vec::new(),
        imported: Vec::new(),
        found: Vec::new(),
    };
    finder.visit_file(&source.parsed.syntax);
    let mut found = finder.found;
    remove_imports(&mut found, &finder.imported, source);
    found
}

struct Finder<'a> {
    source: &'a Source<'a>,
    /// The calls that are awaited in place.
    awaited: Vec<Range<usize>>,
    /// The names by which joins are called that are replaced.
    imported: Vec<String>,
    found: Vec<Join>,
}

impl Finder<'_> {
    fn range(&self, of: &impl Spanned) -> Range<usize> {
        self.source.parsed.range(of.span())
    }

    fn may_edit(&self, at: usize) -> bool {
        let Source {
            tests, everywhere, ..
        } = self.source;
        everywhere.is_some_and(|everywhere| everywhere || tests.is_tests_only(at))
    }

    fn add(&mut self, path: &Path, join: Replacement, edits: Result<Vec<Edit>, &'static str>) {
        let at = self.range(path).start;
        if !self.source.tests.contains(at) {
            return;
        }
        let edits = if self.may_edit(at) {
            edits
        } else {
            Err(NO_STRAGGLER)
        };
        let replaced = path.get_ident().filter(|_| edits.is_ok());
        self.imported.extend(replaced.map(ToString::to_string));
        self.found.push(Join {
            at,
            name: join.name,
            replacement: join.straggler,
            edits,
        });
    }

    /// The edits that replace a call, which `awaited` is the await of.
    fn call(
        &self,
        path: &Path,
        replacement: &str,
        awaited: &Range<usize>,
    ) -> Result<Vec<Edit>, &'static str> {
        let arguments = path.segments.last().map(|last| &last.arguments);
        if !matches!(arguments, Some(PathArguments::None)) {
            return Err(NOT_AWAITED);
        }
        let mut edits = vec![Edit::replace(self.range(path), replacement)];
        if replacement == SETTLE_ALL {
            if self.source.dropped.awaits.contains(awaited) {
                return Err(DROPS);
            }
            // `join_all` returns a `Vec`.
            edits.push(Edit::replace(awaited.end..awaited.end, ".into_vec()"));
        }
        Ok(edits)
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_expr_await(&mut self, await_: &'ast ExprAwait) {
        if let Expr::Call(call) = &*await_.base
            && let Expr::Path(path) = &*call.func
            && let Some(join) = Replacement::of_function(&call.func, self.source.imports)
        {
            let edits = self.call(&path.path, join.straggler, &self.range(await_));
            self.awaited.push(self.range(call));
            self.add(&path.path, join, edits);
        }
        visit::visit_expr_await(self, await_);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = &*call.func
            && let Some(join) = Replacement::of_function(&call.func, self.source.imports)
            && !self.awaited.contains(&self.range(call))
        {
            self.add(&path.path, join, Err(NOT_AWAITED));
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_macro(&mut self, macro_: &'ast Macro) {
        let futures = expressions(macro_);
        if let Some(join) = Replacement::of_macro(&macro_.path, self.source.imports) {
            let edit = Edit::replace(self.range(&macro_.path), join.straggler);
            let edits = futures.as_ref().map(|_| vec![edit]).ok_or(NOT_PLAIN);
            self.add(&macro_.path, join, edits);
        }
        for future in futures.iter().flatten() {
            self.visit_expr(future);
        }
    }
}

/// Removes imports whose every use is replaced: rustc warns of unused ones.
fn remove_imports(joins: &mut [Join], replaced: &[String], source: &Source<'_>) {
    let Source {
        imports, parsed, ..
    } = source;
    let number = |name: &String| replaced.iter().filter(|other| *other == name).count();
    let unused = replaced
        .iter()
        .filter(|name| imports.is_unused_after(name, number(name), parsed));
    let unused: BTreeSet<_> = unused.map(String::as_str).collect();
    let removals = imports.removals(&unused, parsed);
    let mut edits = joins.iter_mut().filter_map(|join| join.edits.as_mut().ok());
    if let Some(edits) = edits.next() {
        edits.extend(removals.into_iter().map(Edit::remove));
    }
}

#[cfg(test)]
mod tests {
    use super::{Join, Source, find};
    use crate::init::dropped::Dropped;
    use crate::init::edit::apply;
    use crate::init::imports::Imports;
    use crate::init::outline::Outline;
    use crate::init::parsed::Parsed;
    use crate::init::test_code::TestCode;

    /// The joins of a file of a test target, or else of the library.
    fn joins(text: &str, is_of_tests: bool) -> Vec<Join> {
        let parsed = Parsed::of(text.to_owned()).unwrap();
        let (outline, imports) = (Outline::of(&parsed), Imports::of(&parsed));
        find(&Source {
            parsed: &parsed,
            imports: &imports,
            tests: &TestCode::of(&parsed, &outline, is_of_tests),
            dropped: &Dropped::of(&parsed, &imports),
            everywhere: Some(is_of_tests),
        })
    }

    /// The text after the edits, and why other joins stay.
    fn replaced(text: &str) -> (String, Vec<&'static str>) {
        let joins = joins(text, true).into_iter();
        let (edits, stay): (Vec<_>, Vec<_>) = joins.map(|join| join.edits).partition(Result::is_ok);
        let edits = edits.into_iter().flatten().flatten().collect();
        let stay = stay.into_iter().filter_map(Result::err).collect();
        (apply(text, edits), stay)
    }

    /// The body of an `async fn` becomes another one.
    #[track_caller]
    fn becomes(before: &str, after: &str) {
        let (text, stay) = replaced(&format!("async fn a() {{ {before} }}"));
        assert_eq!(text, format!("async fn a() {{ {after} }}"));
        assert!(stay.is_empty(), "{stay:?}");
    }

    #[test]
    fn joins_of_the_same_type_are_replaced() {
        becomes(
            "let b = futures::future::try_join_all(c).await?;",
            "let b = straggler::barrier(c).await?;",
        );
        becomes(
            "for b in futures_util::future::join_all(c) /* d */ .await {}",
            "for b in straggler::settle_all(c) /* d */ .await.into_vec() {}",
        );
        becomes(
            "let (b, c) = tokio::try_join!(d(), async { e }).unwrap();",
            "let (b, c) = straggler::barrier!(d(), async { e }).unwrap();",
        );
        becomes("futures::join!(b, c,);", "straggler::settle!(b, c,);");
        becomes("tokio::join!();", "straggler::settle!();");
        becomes(
            "assert_eq!(futures::future::join_all(b).await, [1, 2]);",
            "assert_eq!(straggler::settle_all(b).await.into_vec(), [1, 2]);",
        );
    }

    #[test]
    fn imports_without_a_use_are_removed() {
        for (before, after) in [
            (
                "use futures::future::{join_all, ready};\nasync fn a() { b(join_all(c).await); }",
                "use futures::future::ready;\nasync fn a() { b(straggler::settle_all(c).await.into_vec()); }",
            ),
            (
                "use tokio::try_join;\nasync fn a() { try_join!(b); }",
                "async fn a() { straggler::barrier!(b); }",
            ),
            (
                "use futures::future;\nasync fn a() { future::try_join_all(c).await?; }",
                "use futures::future;\nasync fn a() { straggler::barrier(c).await?; }",
            ),
            (
                "use tokio::join;\nasync fn a() { join!(b); select! { c = join!(d) => {} } }",
                "use tokio::join;\nasync fn a() { straggler::settle!(b); select! { c = join!(d) => {} } }",
            ),
        ] {
            assert_eq!(replaced(before).0, after);
        }
    }

    #[test]
    fn joins_of_other_types_stay() {
        for text in [
            "let b = futures::future::join_all(c);",
            "timeout(b, futures::future::try_join_all(c)).await;",
            "futures::future::try_join_all::<Vec<B>>(c).await;",
            "futures::future::join_all(c).await;",
            "let _ = futures::future::join_all(c).await;",
            "tokio::join!(biased; b, c);",
        ] {
            let text = format!("async fn a() {{ {text} }}");
            let (after, stay) = replaced(&text);
            assert_eq!(after, text);
            assert_eq!(stay.len(), 1, "{text}");
        }
    }

    #[test]
    fn other_functions_of_that_name_are_no_joins() {
        for text in [
            "use rayon::join_all; async fn a() { join_all(b).await; }",
            "async fn a() { std::try_join!(b); join(c); }",
        ] {
            assert!(joins(text, true).is_empty(), "{text}");
        }
    }

    #[test]
    fn only_test_code_is_searched() {
        for (text, expected) in [
            ("async fn a() { tokio::join!(b); }", None),
            (
                "#[cfg(test)] mod a { async fn b() { tokio::join!(c); } }",
                Some(true),
            ),
            // A dev-dependency may be named there, but whether this is so is not known by syntax.
            (
                "#[tokio::test] async fn a() { tokio::join!(c); }",
                Some(false),
            ),
        ] {
            let found = joins(text, false);
            let edited = found.first().map(|join| join.edits.is_ok());
            assert_eq!(edited, expected, "{text}");
        }
    }
}
