//! Reads the value of one argument.

use std::time::Duration;

use syn::spanned::Spanned as _;
use syn::{Error, Expr, ExprLit, Lit, LitInt, LitStr, Meta, Result};

use crate::options::Spanned;
use crate::spec::Spec;

/// An argument of the attribute, and the spec of the option it sets.
pub(crate) struct Value<'a> {
    pub(crate) argument: &'a Meta,
    pub(crate) spec: &'a Spec,
}

impl Value<'_> {
    /// Reads a string literal.
    pub(crate) fn string(&self) -> Result<LitStr> {
        match self.literal()? {
            Lit::Str(string) => Ok(string.clone()),
            _ => Err(self.invalid()),
        }
    }

    /// Reads a duration with a unit, such as `"250ms"`.
    pub(crate) fn duration(&self) -> Result<Duration> {
        humantime::parse_duration(&self.string()?.value()).map_err(|_| self.invalid())
    }

    /// Reads `true` or `false`.
    pub(crate) fn boolean(&self) -> Result<bool> {
        match self.literal()? {
            Lit::Bool(boolean) => Ok(boolean.value),
            _ => Err(self.invalid()),
        }
    }

    /// Reads a positive integer.
    pub(crate) fn positive(&self) -> Result<usize> {
        match self.literal()? {
            Lit::Int(number) => positive(number).map_err(|_| self.invalid()),
            _ => Err(self.invalid()),
        }
    }

    /// Attaches the span of the option's name to `value`.
    ///
    /// Conflicts between options are reported at the name: the value alone is valid.
    pub(crate) fn spanned<T>(&self, value: T) -> Spanned<T> {
        Spanned {
            value,
            span: self.argument.path().span(),
        }
    }

    /// Returns the error for an invalid value, at the value if there is one.
    pub(crate) fn invalid(&self) -> Error {
        let message = self.spec.invalid();
        match self.argument {
            Meta::NameValue(argument) => Error::new_spanned(&argument.value, message),
            argument => Error::new_spanned(argument, message),
        }
    }

    /// Returns the literal after the `=`.
    fn literal(&self) -> Result<&Lit> {
        let Meta::NameValue(argument) = self.argument else {
            return Err(self.invalid());
        };
        let mut value = &argument.value;
        // A fragment such as `$grace:expr` of a `macro_rules!` macro comes in invisible delimiters.
        while let Expr::Group(group) = value {
            value = &group.expr;
        }
        match value {
            Expr::Lit(ExprLit { lit, .. }) => Ok(lit),
            _ => Err(self.invalid()),
        }
    }
}

/// Reads a positive integer.
pub(crate) fn positive(number: &LitInt) -> Result<usize> {
    match number.base10_parse()? {
        0 => Err(Error::new_spanned(number, "expected a positive integer")),
        number => Ok(number),
    }
}
