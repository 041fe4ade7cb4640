//! Joins in test code: which ones straggler's replace, and which ones drop the panics of their tasks.

use std::ops::Range;

use proc_macro2::{TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Block, Expr, ExprAssign, ExprAwait, ExprCall, ImplItemFn, ItemFn, Macro, Pat, Path,
    PathArguments, Stmt, Token,
};

use crate::init::edit::Edit;
use crate::init::handles::Handles;
use crate::init::imports::{Imports, segments};
use crate::init::other_tests::is_test;
use crate::init::outline::Outline;
use crate::init::parsed::Parsed;

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

    /// The name of the function in futures that joins, and what straggler has in its place.
    fn join_function(&self, function: &Expr) -> Option<(String, &'static str)> {
        let Expr::Path(path) = function else {
            return None;
        };
        let imports = self.source.imports;
        let mut resolved = imports.resolve(&segments(&path.path));
        if let [name] = &resolved[..] {
            let crates = ["futures", "futures_util"];
            let of = crates
                .into_iter()
                .find(|of| imports.has_all_of(&[of, "future"]))?;
            resolved = vec![of.to_owned(), "future".to_owned(), name.clone()];
        }
        let names: Vec<_> = resolved.iter().map(String::as_str).collect();
        let replacement = match names[..] {
            ["futures" | "futures_util", "future", "try_join_all"] => "straggler::barrier",
            ["futures" | "futures_util", "future", "join_all"] => "straggler::settle_all",
            _ => return None,
        };
        Some((resolved.join("::"), replacement))
    }

    fn join_macro(&self, path: &Path) -> Option<(String, &'static str)> {
        let resolved = self.source.imports.resolve(&segments(path));
        let names: Vec<_> = resolved.iter().map(String::as_str).collect();
        let replacement = match names[..] {
            ["tokio" | "futures" | "futures_util", "try_join"] => "straggler::barrier",
            ["tokio" | "futures" | "futures_util", "join"] => "straggler::settle",
            _ => return None,
        };
        Some((format!("{}!", resolved.join("::")), replacement))
    }

    fn found(
        &mut self,
        path: &Path,
        (name, replacement): (String, &'static str),
        edits: Result<Vec<Edit>, &'static str>,
    ) {
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
            name,
            replacement,
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
        if replacement == "straggler::settle_all" {
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
            let edits = self.call(&path.path, join.1, Some(self.range(await_)));
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
                Ok(vec![Edit::replace(self.range(&macro_.path), join.1)])
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
    let mut names: Vec<_> = replaced.to_vec();
    names.sort();
    names.dedup();
    for name in names {
        let replaced = replaced.iter().filter(|other| **other == name).count();
        let imports: Vec<_> = source.imports.named(&name).collect();
        let all = mentions(&source.parsed.tokens, &name);
        let first = joins
            .found
            .iter_mut()
            .find_map(|join| join.edits.as_mut().ok());
        if let Some(edits) = first
            && all == replaced + imports.len()
        {
            edits.extend(
                imports
                    .iter()
                    .map(|import| Edit::remove(import.removal.clone())),
            );
        }
    }
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
