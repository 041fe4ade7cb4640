//! Awaits whose results are dropped: of the handle of a task, that drops its panic too.

use std::ops::Range;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, Expr, ExprAssign, ImplItemFn, ItemFn, Macro, Meta, Pat, Stmt};

use crate::init::handles::Handles;
use crate::init::imports::{Imports, segments};
use crate::init::parsed::Parsed;
use crate::init::replacement::{Replacement, expressions};

/// The awaits of a file whose results are dropped.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    /// The whole expressions.
    pub(crate) awaits: Vec<Range<usize>>,
    /// Where those begin that await handles of tasks.
    pub(crate) tasks: Vec<usize>,
}

impl Dropped {
    pub(crate) fn of(parsed: &Parsed, imports: &Imports) -> Self {
        let mut finder = Finder {
            parsed,
            imports,
            handles: vec![Handles::default()],
            dropped: Self::default(),
        };
        finder.visit_file(&parsed.syntax);
        finder.dropped
    }
}

struct Finder<'a> {
    parsed: &'a Parsed,
    imports: &'a Imports,
    /// Those of the functions around.
    handles: Vec<Handles>,
    dropped: Dropped,
}

impl Finder<'_> {
    fn range(&self, of: &impl Spanned) -> Range<usize> {
        self.parsed.range(of.span())
    }

    fn function(&mut self, attributes: &[Attribute], block: &Block, visit: impl FnOnce(&mut Self)) {
        // In a checked test a panic of a task fails the test, whoever drops its result.
        let is_checked = attributes.iter().any(is_straggler);
        let named = self.dropped.tasks.len();
        self.handles.push(Handles::of(block, self.imports));
        visit(self);
        self.handles.pop();
        if is_checked {
            self.dropped.tasks.truncate(named);
        }
    }

    /// Notes an expression whose value is dropped, without what only turns one into another.
    fn drops(&mut self, expression: &Expr) {
        match expression {
            Expr::Paren(inside) => self.drops(&inside.expr),
            Expr::MethodCall(call) if call.method == "ok" => self.drops(&call.receiver),
            Expr::Await(await_) => {
                if self.is_of_handles(&await_.base) {
                    let at = self.range(&await_.base).start;
                    self.dropped.tasks.push(at);
                }
                self.dropped.awaits.push(self.range(expression));
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
        let is_join = Replacement::of_macro(&macro_.path, self.imports).is_some();
        let futures = expressions(macro_).unwrap_or_default();
        let mut all = futures.iter();
        if is_join && !futures.is_empty() && all.all(|future| self.is_handle(future)) {
            self.dropped.tasks.push(self.range(&macro_.path).start);
        }
    }

    fn is_handle(&self, future: &Expr) -> bool {
        let handles = self.handles.last();
        handles.is_some_and(|handles| handles.is_one(future, self.imports))
    }

    /// Whether a future is the handle of a task, or a join of several.
    fn is_of_handles(&self, future: &Expr) -> bool {
        let Expr::Call(call) = future else {
            return self.is_handle(future);
        };
        let is_join = Replacement::of_function(&call.func, self.imports).is_some();
        let (argument, handles) = (call.args.first(), self.handles.last());
        let joins_handles = is_join
            && argument
                .zip(handles)
                .is_some_and(|(argument, handles)| handles.is_several(argument, self.imports));
        joins_handles || self.is_handle(future)
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
}

/// Whether an attribute is `#[straggler::test]`, or passes it on.
fn is_straggler(attribute: &Attribute) -> bool {
    let path = segments(attribute.path());
    let is_alias = path.last().is_some_and(|last| last == "leak_check");
    let mut arguments = match &attribute.meta {
        Meta::List(list) => list.tokens.clone().into_iter(),
        Meta::Path(_) | Meta::NameValue(_) => TokenStream::new().into_iter(),
    };
    let is_named = |token| matches!(token, TokenTree::Ident(name) if name == "straggler");
    is_alias || path.first().is_some_and(|first| first == "straggler") || arguments.any(is_named)
}

#[cfg(test)]
mod tests {
    use super::Dropped;
    use crate::init::imports::Imports;
    use crate::init::parsed::Parsed;

    /// Where an `async fn` with this body drops the results of tasks.
    fn dropped(body: &str) -> Vec<usize> {
        let parsed = Parsed::of(format!("async fn a() {{ {body} }}")).unwrap();
        Dropped::of(&parsed, &Imports::of(&parsed)).tasks
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
            let dropped = dropped(text);
            assert_eq!(dropped.len(), 1, "{text}");
        }
    }

    #[test]
    fn checked_tests_are_not_named() {
        for (attribute, expected) in [
            ("#[tokio::test]", 1),
            ("#[straggler::test(timeout = \"1s\")]", 0),
            ("#[leak_check]", 0),
            ("#[test_log::test(straggler::test)]", 0),
        ] {
            let test = format!("{attribute} async fn a() {{ _ = tokio::spawn(b).await; }}");
            let parsed = Parsed::of(test).unwrap();
            let tasks = Dropped::of(&parsed, &Imports::of(&parsed)).tasks;
            assert_eq!(tasks.len(), expected, "{attribute}");
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
            let dropped = dropped(text);
            assert!(dropped.is_empty(), "{text}");
        }
    }
}
