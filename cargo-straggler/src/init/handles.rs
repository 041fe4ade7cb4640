//! The variables of a function that hold handles of tasks, as far as its syntax says.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprForLoop, ExprMethodCall, Item, Local, Pat, Stmt};

use crate::init::imports::{Imports, segments};
use crate::init::replacement::expressions;

/// The variables of a function.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    /// Those that hold one handle. Of the variable of a loop, also that of the handles that it loops over.
    one: BTreeMap<String, Option<String>>,
    /// Those that hold several.
    several: BTreeSet<String>,
    /// Those whose tasks are aborted, so that a `JoinError` is no surprise.
    aborted: BTreeSet<String>,
}

impl Handles {
    pub(crate) fn of(block: &Block, imports: &Imports) -> Self {
        let mut finder = Finder {
            imports,
            handles: Self::default(),
        };
        finder.visit_block(block);
        let mut handles = finder.handles;
        let Self { one, aborted, .. } = &mut handles;
        // A loop that aborts each one aborts all of them.
        let in_loops = one.iter().filter(|(name, _)| aborted.contains(*name));
        let all: Vec<_> = in_loops.filter_map(|(_, of)| of.clone()).collect();
        aborted.extend(all);
        handles
    }

    /// Whether an expression is the handle of a task that is not aborted.
    pub(crate) fn is_one(&self, expression: &Expr, imports: &Imports) -> bool {
        let expression = plain(expression);
        let of = variable(expression).and_then(|name| Some((self.one.get(&name)?, name)));
        let is_variable = of.is_some_and(|(of, name)| {
            let names = [Some(&name), of.as_ref()];
            !names
                .into_iter()
                .flatten()
                .any(|name| self.aborted.contains(name))
        });
        is_variable || is_spawn(expression, imports)
    }

    /// Whether an expression is several handles of tasks that are not aborted.
    pub(crate) fn is_several(&self, expression: &Expr, imports: &Imports) -> bool {
        let is_variable = base(expression)
            .is_some_and(|name| self.several.contains(&name) && !self.aborted.contains(&name));
        is_variable || are_spawned(expression, imports)
    }
}

struct Finder<'a> {
    imports: &'a Imports,
    handles: Handles,
}

impl<'ast> Visit<'ast> for Finder<'_> {
    // Another function has variables of its own.
    fn visit_item(&mut self, _: &'ast Item) {}

    fn visit_local(&mut self, local: &'ast Local) {
        visit::visit_local(self, local);
        let (Some(name), Some(init)) = (bound(&local.pat), &local.init) else {
            return;
        };
        if is_spawn(&init.expr, self.imports) {
            self.handles.one.insert(name, None);
        } else if are_spawned(&init.expr, self.imports) {
            self.handles.several.insert(name);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        visit::visit_expr_method_call(self, call);
        let Some(name) = base(&call.receiver) else {
            return;
        };
        let method = call.method.to_string();
        let argument = call.args.last();
        match (&*method, argument) {
            ("abort", None) => drop(self.handles.aborted.insert(name)),
            ("push" | "push_back", Some(argument))
                if self.handles.is_one(argument, self.imports) =>
            {
                self.handles.several.insert(name);
            }
            ("extend", Some(argument)) if are_spawned(argument, self.imports) => {
                self.handles.several.insert(name);
            }
            _ => {}
        }
    }

    fn visit_expr_for_loop(&mut self, each: &'ast ExprForLoop) {
        let of = base(&each.expr).filter(|name| self.handles.several.contains(name));
        if let (Some(name), Some(of)) = (bound(&each.pat), of) {
            self.handles.one.insert(name, Some(of));
        }
        visit::visit_expr_for_loop(self, each);
    }
}

/// Whether an expression spawns a task and is its handle.
fn is_spawn(expression: &Expr, imports: &Imports) -> bool {
    match expression {
        Expr::Call(call) => {
            let Expr::Path(path) = &*call.func else {
                return false;
            };
            let path = imports.resolve(&segments(&path.path));
            let names: Vec<_> = path.iter().map(String::as_str).collect();
            matches!(
                names[..],
                ["tokio" | "actix_rt" | "straggler", "spawn"]
                    | [
                        "tokio" | "actix_rt",
                        "task",
                        "spawn" | "spawn_blocking" | "spawn_local"
                    ]
            )
        }
        Expr::Paren(inside) => is_spawn(&inside.expr, imports),
        Expr::Block(block) => match block.block.stmts.last() {
            Some(Stmt::Expr(last, None)) => is_spawn(last, imports),
            _ => false,
        },
        _ => false,
    }
}

/// Whether an expression makes several handles, such as `(0..3).map(|_| tokio::spawn(..)).collect()`.
fn are_spawned(expression: &Expr, imports: &Imports) -> bool {
    match expression {
        Expr::MethodCall(call) => {
            let is_spawning = |argument: &Expr| match argument {
                Expr::Closure(closure) => is_spawn(&closure.body, imports),
                // As in `.map(tokio::spawn)`.
                Expr::Path(path) => {
                    let call = syn::parse_quote!(#path());
                    is_spawn(&call, imports)
                }
                _ => false,
            };
            call.method == "map" && call.args.iter().any(is_spawning)
                || are_spawned(&call.receiver, imports)
        }
        Expr::Array(array) => array.elems.iter().any(|each| is_spawn(each, imports)),
        Expr::Macro(macro_) if macro_.mac.path.is_ident("vec") => {
            let elements = expressions(&macro_.mac).unwrap_or_default();
            elements.iter().any(|each| is_spawn(each, imports))
        }
        Expr::Reference(to) => are_spawned(&to.expr, imports),
        Expr::Paren(inside) => are_spawned(&inside.expr, imports),
        _ => false,
    }
}

/// The variable that a pattern binds, if it binds one as a whole.
fn bound(pattern: &Pat) -> Option<String> {
    match pattern {
        Pat::Ident(name) => Some(name.ident.to_string()),
        Pat::Type(typed) => bound(&typed.pat),
        _ => None,
    }
}

/// The variable that an expression is.
fn variable(expression: &Expr) -> Option<String> {
    let Expr::Path(path) = expression else {
        return None;
    };
    path.path.get_ident().map(ToString::to_string)
}

/// An expression without parentheses and references around it.
fn plain(expression: &Expr) -> &Expr {
    match expression {
        Expr::Paren(inside) => plain(&inside.expr),
        Expr::Reference(to) => plain(&to.expr),
        expression => expression,
    }
}

/// The variable that methods such as `into_iter` are called on.
fn base(expression: &Expr) -> Option<String> {
    match plain(expression) {
        Expr::MethodCall(call)
            if ["into_iter", "iter_mut", "iter", "drain"]
                .iter()
                .any(|method| call.method == method) =>
        {
            base(&call.receiver)
        }
        expression => variable(expression),
    }
}
