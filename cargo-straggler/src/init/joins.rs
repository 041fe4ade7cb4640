//! Joins in test code: which ones straggler's replace, and which ones drop the panics of their tasks.

use std::collections::BTreeSet;
use std::ops::Range;

use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Block, Expr, ExprAssign, ExprAwait, ExprCall, ImplItemFn, ItemFn, Macro, Pat, Path,
    PathArguments, Stmt, Token,
};

use crate::init::edit::Edit;
use crate::init::handles::Handles;
use crate::init::imports::Imports;
use crate::init::other_tests::is_test;
use crate::init::outline::Outline;
use crate::init::parsed::Parsed;
use crate::init::replacement::{Replacement, SETTLE_ALL};

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

/// The joins of a file.
#[derive(Debug, Default)]
pub(crate) struct Joins {
    pub(crate) found: Vec<Join>,
    /// Where handles of tasks are awaited and the results dropped.
    pub(crate) dropped: Vec<usize>,
}

/// A file, and where in it straggler may be named.
pub(crate) struct Source<'a> {
    pub(crate) parsed: &'a Parsed,
    pub(crate) outline: &'a Outline,
    pub(crate) imports: &'a Imports,
    /// Whether a test target includes it.
    pub(crate) is_of_tests: bool,
    /// Whether straggler can be named in it, and not only under `#[cfg(test)]`. `None` if nowhere.
    pub(crate) everywhere: Option<bool>,
}

const DROPS: &str = "its results are dropped";
const NOT_AWAITED: &str = "it is not awaited in place, so the type of the future may matter";
const NOT_PLAIN: &str = "its arguments are more than futures";
const NO_STRAGGLER: &str = "straggler cannot be named here";

/// Finds the joins of a file.
pub(crate) fn find(source: &Source<'_>) -> Joins {
    let mut finder = Finder {
        source,
        tests: 0,
        handles: vec![Handles::default()],
        dropped: Vec::new(),
        awaited: Vec::new(),
        imported: Vec::new(),
        joins: Joins::default(),
    };
    finder.visit_file(&source.parsed.syntax);
    let Finder {
        imported,
        mut joins,
        ..
    } = finder;
    remove_imports(&mut joins, &imported, source);
    joins
}

struct Finder<'a> {
    source: &'a Source<'a>,
    /// How many tests are around.
    tests: usize,
    handles: Vec<Handles>,
    /// The expressions whose results are dropped.
    dropped: Vec<Range<usize>>,
    /// The calls that are awaited in place.
    awaited: Vec<Range<usize>>,
    /// The names by which joins are called that are replaced.
    imported: Vec<String>,
    joins: Joins,
}

impl Finder<'_> {
    fn range(&self, of: &impl Spanned) -> Range<usize> {
        self.source.parsed.range(of.span())
    }

    fn function(&mut self, attributes: &[Attribute], block: &Block, visit: impl FnOnce(&mut Self)) {
        let is_test = usize::from(is_test(attributes));
        self.tests += is_test;
        self.handles.push(Handles::of(block, self.source.imports));
        visit(self);
        self.handles.pop();
        self.tests -= is_test;
    }

    fn is_in_tests(&self, at: usize) -> bool {
        let Source {
            outline,
            is_of_tests,
            ..
        } = self.source;
        *is_of_tests || self.tests > 0 || outline.is_tests_only(at)
    }

    fn may_edit(&self, at: usize) -> bool {
        let outline = self.source.outline;
        let everywhere = self.source.everywhere;
        everywhere.is_some_and(|everywhere| everywhere || outline.is_tests_only(at))
    }

    /// Notes an expression whose value is dropped, without what only turns one into another.
    fn drops(&mut self, expression: &Expr) {
        match expression {
            Expr::Paren(inside) => self.drops(&inside.expr),
            Expr::MethodCall(call) if call.method == "ok" => self.drops(&call.receiver),
            Expr::Await(await_) => {
                let range = self.range(expression);
                let at = self.range(&await_.base).start;
                if self.is_in_tests(at) && self.is_of_handles(&await_.base) {
                    self.joins.dropped.push(at);
                }
                self.dropped.push(range);
            }
            Expr::Macro(macro_) => self.drops_macro(&macro_.mac),
            Expr::Call(call) => {
                if let (Expr::Path(path), Some(argument)) = (&*call.func, call.args.first())
                    && path.path.is_ident("drop")
                {
                    self.drops(argument);
                }
            }
            _ => {}
        }
    }

    fn drops_macro(&mut self, macro_: &Macro) {
        let at = self.range(&macro_.path).start;
        let handles = self.handles.last();
        let all_are_handles = |futures: &[Expr]| {
            let is =
                |future| handles.is_some_and(|handles| handles.is_one(future, self.source.imports));
            !futures.is_empty() && futures.iter().all(is)
        };
        let is_join = self.join_macro(&macro_.path).is_some();
        if is_join && self.is_in_tests(at) && all_are_handles(&expressions(macro_)) {
            self.joins.dropped.push(at);
        }
    }

    /// Whether a future is the handle of a task, or a join of several.
    fn is_of_handles(&self, future: &Expr) -> bool {
        let imports = self.source.imports;
        let Some(handles) = self.handles.last() else {
            return false;
        };
        if handles.is_one(future, imports) {
            return true;
        }
        let Expr::Call(call) = future else {
            return false;
        };
        let is_join = self.join_function(&call.func).is_some();
        let argument = call.args.first();
        is_join && argument.is_some_and(|argument| handles.is_several(argument, imports))
    }

    fn join_function(&self, function: &Expr) -> Option<Replacement> {
        let Expr::Path(path) = function else {
            return None;
        };
        Replacement::of_function(&path.path, self.source.imports)
    }

    fn join_macro(&self, path: &Path) -> Option<Replacement> {
        Replacement::of_macro(path, self.source.imports)
    }

    fn found(&mut self, path: &Path, join: Replacement, edits: Result<Vec<Edit>, &'static str>) {
        let at = self.range(path).start;
        if !self.is_in_tests(at) {
            return;
        }
        let edits = if self.may_edit(at) {
            edits
        } else {
            Err(NO_STRAGGLER)
        };
        let replaced = path.get_ident().filter(|_| edits.is_ok());
        self.imported.extend(replaced.map(ToString::to_string));
        self.joins.found.push(Join {
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
        awaited: Option<Range<usize>>,
    ) -> Result<Vec<Edit>, &'static str> {
        let awaited = awaited.ok_or(NOT_AWAITED)?;
        let arguments = path.segments.last().map(|last| &last.arguments);
        if !matches!(arguments, Some(PathArguments::None)) {
            return Err(NOT_AWAITED);
        }
        let mut edits = vec![Edit::replace(self.range(path), replacement)];
        if replacement == SETTLE_ALL {
            if self.dropped.contains(&awaited) {
                return Err(DROPS);
            }
            // `join_all` returns a `Vec`.
            edits.push(Edit::replace(awaited.end..awaited.end, ".into_vec()"));
        }
        Ok(edits)
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(&item.attrs, &item.block, |finder| {
            visit::visit_item_fn(finder, item);
        });
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function(&item.attrs, &item.block, |finder| {
            visit::visit_impl_item_fn(finder, item);
        });
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        match statement {
            Stmt::Expr(expression, Some(_)) => self.drops(expression),
            Stmt::Macro(statement) if statement.semi_token.is_some() => {
                self.drops_macro(&statement.mac);
            }
            Stmt::Local(local) if matches!(local.pat, Pat::Wild(_)) => {
                if let Some(init) = &local.init {
                    self.drops(&init.expr);
                }
            }
            _ => {}
        }
        visit::visit_stmt(self, statement);
    }

    fn visit_expr_assign(&mut self, assign: &'ast ExprAssign) {
        if matches!(*assign.left, Expr::Infer(_)) {
            self.drops(&assign.right);
        }
        visit::visit_expr_assign(self, assign);
    }

    fn visit_expr_await(&mut self, await_: &'ast ExprAwait) {
        if let Expr::Call(call) = &*await_.base
            && let Expr::Path(path) = &*call.func
            && let Some(join) = self.join_function(&call.func)
        {
            let edits = self.call(&path.path, join.straggler, Some(self.range(await_)));
            self.awaited.push(self.range(call));
            self.found(&path.path, join, edits);
        }
        visit::visit_expr_await(self, await_);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        let is_awaited = self.awaited.contains(&self.range(call));
        if let Expr::Path(path) = &*call.func
            && !is_awaited
            && let Some(join) = self.join_function(&call.func)
        {
            self.found(&path.path, join, Err(NOT_AWAITED));
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_macro(&mut self, macro_: &'ast Macro) {
        let futures = expressions(macro_);
        if let Some(join) = self.join_macro(&macro_.path) {
            let edits = if futures.is_empty() {
                Err(NOT_PLAIN)
            } else {
                Ok(vec![Edit::replace(
                    self.range(&macro_.path),
                    join.straggler,
                )])
            };
            self.found(&macro_.path, join, edits);
        }
        for future in &futures {
            self.visit_expr(future);
        }
    }
}

/// The arguments of a macro: none if they are no expressions.
fn expressions(macro_: &Macro) -> Vec<Expr> {
    let arguments = macro_.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
    arguments.into_iter().flatten().collect()
}

/// Removes imports of which every use is replaced, since rustc warns of them.
fn remove_imports(joins: &mut Joins, replaced: &[String], source: &Source<'_>) {
    let names: BTreeSet<_> = replaced.iter().collect();
    for name in names {
        let number = replaced.iter().filter(|other| *other == name).count();
        let removals = source
            .imports
            .unused_after(name, number, &source.parsed.tokens);
        let mut edits = joins
            .found
            .iter_mut()
            .filter_map(|join| join.edits.as_mut().ok());
        if let Some(edits) = edits.next() {
            edits.extend(removals.into_iter().map(Edit::remove));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Joins, Source, find};
    use crate::init::edit::apply;
    use crate::init::imports::Imports;
    use crate::init::outline::Outline;
    use crate::init::parsed::Parsed;

    /// The joins of a file of a test target, or else of the library.
    fn joins(text: &str, is_of_tests: bool) -> Joins {
        let parsed = Parsed::of(text.to_owned()).unwrap();
        find(&Source {
            parsed: &parsed,
            outline: &Outline::of(&parsed),
            imports: &Imports::of(&parsed),
            is_of_tests,
            everywhere: Some(is_of_tests),
        })
    }

    /// The text after the edits, and why other joins stay.
    fn replaced(text: &str) -> (String, Vec<&'static str>) {
        let joins = joins(text, true).found.into_iter();
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
        becomes("futures::join!(b, c);", "straggler::settle!(b, c);");
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
                "use futures::future::{ready};\nasync fn a() { b(straggler::settle_all(c).await.into_vec()); }",
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
            assert!(joins(text, true).found.is_empty(), "{text}");
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
            let found = joins(text, false).found;
            let edited = found.first().map(|join| join.edits.is_ok());
            assert_eq!(edited, expected, "{text}");
        }
    }

    #[test]
    fn dropped_results_of_tasks_are_found() {
        for text in [
            "let h = tokio::spawn(b); h.await.ok();",
            "let h = tokio::spawn(b); let _ = h.await;",
            "let mut h = tokio::task::spawn_blocking(b); _ = (&mut h).await;",
            "let h = tokio::spawn(b); drop(h.await);",
            "_ = tokio::spawn(b).await;",
            "let (h, i) = (1, 2); let h = tokio::spawn(b); let i = tokio::spawn(c); tokio::join!(h, i);",
            "let h: Vec<_> = (0..3).map(|_| { let c = b; tokio::spawn(c) }).collect(); let _ = futures::future::join_all(h).await;",
            "let h = b.into_iter().map(tokio::spawn); futures::future::join_all(h).await;",
            "futures::future::join_all((0..3).map(|_| tokio::spawn(b))).await;",
            "let mut h = Vec::new(); for b in c { h.push(tokio::spawn(b)); } futures::future::join_all(h).await;",
            "let mut h = vec![]; h.push(tokio::spawn(b)); for each in h { each.await.ok(); }",
            "let h = [tokio::spawn(b), tokio::spawn(c)]; for each in h.into_iter() { let _ = each.await; }",
        ] {
            let dropped = joins(&format!("async fn a() {{ {text} }}"), true).dropped;
            assert_eq!(dropped.len(), 1, "{text}");
        }
    }

    #[test]
    fn results_that_are_used_or_expected_are_not_named() {
        for text in [
            "let h = tokio::spawn(b); h.await.unwrap();",
            "let h = tokio::spawn(b); let c = h.await;",
            "let h = tokio::spawn(b); h.abort(); let _ = h.await;",
            "let h = vec![tokio::spawn(b)]; for each in h { each.abort(); let _ = each.await; }",
            "let h = vec![tokio::spawn(b)]; for each in &h { each.abort(); } futures::future::join_all(h).await;",
            "let h = vec![b]; futures::future::join_all(h).await;",
            "let h = std::thread::spawn(b); let _ = h.join();",
            "let h: Vec<_> = (0..3).map(|_| tokio::spawn(b)).collect(); for c in futures::future::join_all(h).await { c.unwrap(); }",
        ] {
            let dropped = joins(&format!("async fn a() {{ {text} }}"), true).dropped;
            assert!(dropped.is_empty(), "{text}");
        }
    }
}
