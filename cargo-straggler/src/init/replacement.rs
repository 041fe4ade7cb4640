//! The joins of tokio and futures, and those of straggler that take their place.

use syn::punctuated::Punctuated;
use syn::{Expr, Macro, Path, Token};

use crate::init::imports::{Imports, segments};

/// A join, and what straggler has in its place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Replacement {
    /// The path of the function or macro.
    pub(crate) name: String,
    pub(crate) straggler: &'static str,
}

/// The output of `settle_all` is no `Vec`, as that of `join_all` is.
pub(crate) const SETTLE_ALL: &str = "straggler::settle_all";

impl Replacement {
    /// Finds that of a function.
    pub(crate) fn of_function(function: &Expr, imports: &Imports) -> Option<Self> {
        let Expr::Path(function) = function else {
            return None;
        };
        let mut path = imports.resolve(&segments(&function.path));
        if let [name] = &path[..] {
            let mut crates = ["futures", "futures_util"].into_iter();
            let of = crates.find(|of| imports.has_all_of(&[of, "future"]))?;
            path = vec![of.to_owned(), "future".to_owned(), name.clone()];
        }
        let names: Vec<_> = path.iter().map(String::as_str).collect();
        let straggler = match names[..] {
            ["futures" | "futures_util", "future", "try_join_all"] => "straggler::barrier",
            ["futures" | "futures_util", "future", "join_all"] => SETTLE_ALL,
            _ => return None,
        };
        let name = path.join("::");
        Some(Self { name, straggler })
    }

    /// Finds that of a macro.
    pub(crate) fn of_macro(path: &Path, imports: &Imports) -> Option<Self> {
        let path = imports.resolve(&segments(path));
        let names: Vec<_> = path.iter().map(String::as_str).collect();
        let straggler = match names[..] {
            ["tokio" | "futures" | "futures_util", "try_join"] => "straggler::barrier",
            ["tokio" | "futures" | "futures_util", "join"] => "straggler::settle",
            _ => return None,
        };
        let name = format!("{}!", path.join("::"));
        Some(Self { name, straggler })
    }
}

/// The arguments of a macro. `None` if they are no expressions.
pub(crate) fn expressions(macro_: &Macro) -> Option<Vec<Expr>> {
    let arguments = macro_.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
    Some(arguments.ok()?.into_iter().collect())
}
