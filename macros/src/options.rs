//! The options of `#[leak_check(..)]`: what there is, and what each of them takes.

use std::time::Duration;

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Lit, LitInt, LitStr, Meta, Path, Result, Token};

use crate::errors::Errors;

/// What the arguments ask for. `None` is what a test gets that asks for nothing.
#[derive(Default)]
pub(crate) struct Options {
    /// The path under which the test knows `straggler`.
    pub(crate) krate: Option<Path>,
    pub(crate) flavor: Flavor,
    pub(crate) worker_threads: Option<Given<usize>>,
    pub(crate) start_paused: Option<Given<bool>>,
    pub(crate) name: Option<Given<String>>,
    pub(crate) unhandled_panic: Option<Given<UnhandledPanic>>,
    pub(crate) grace: Option<Duration>,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) panics: Option<Panics>,
    /// How many tasks may be left behind, wherever they are spawned.
    pub(crate) allow: Option<usize>,
    pub(crate) allow_at: Vec<Place>,
    /// Whether threads may not be left behind.
    pub(crate) denies_threads: bool,
    /// How many runs are explored.
    pub(crate) explore: Option<Given<usize>>,
    /// Whether something has to be in flight at once in the runs.
    pub(crate) require_overlap: Option<Given<()>>,
}

/// The value of an option, and where the option stands.
pub(crate) struct Given<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// The kind of runtime.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Flavor {
    #[default]
    CurrentThread,
    MultiThread,
    Local,
}

/// What the runtime does when a task panics and nobody looks.
#[derive(Clone, Copy)]
pub(crate) enum UnhandledPanic {
    Ignore,
    ShutdownRuntime,
}

/// How long the body may take.
#[derive(Clone, Copy)]
pub(crate) enum Timeout {
    After(Duration),
    Never,
}

/// Whether the test fails if a task panics.
#[derive(Clone, Copy)]
pub(crate) enum Panics {
    Deny,
    Allow,
}

/// A place in the source whose tasks may be left behind: `"path/prefix"`, or `"path/prefix" = 2`.
pub(crate) struct Place {
    pub(crate) prefix: LitStr,
    pub(crate) at_most: Option<usize>,
}

/// An option that there is. A new one is an entry in [`KNOWN`] and a field in [`Options`].
pub(crate) struct Known {
    pub(crate) name: &'static str,
    /// What it takes, and how that is written.
    pub(crate) takes: &'static str,
    pub(crate) read: fn(&mut Options, &Written<'_>) -> Result<()>,
}

/// All options that there are.
pub(crate) const KNOWN: &[Known] = &[
    Known {
        name: "flavor",
        takes: r#""current_thread", "multi_thread" or "local": `flavor = "multi_thread"`"#,
        read: |options, written| {
            let flavor = written.string()?;
            options.flavor = match flavor.value().as_str() {
                "current_thread" => Flavor::CurrentThread,
                "multi_thread" => Flavor::MultiThread,
                "local" => Flavor::Local,
                "basic_scheduler" | "single_thread" => {
                    return Err(renamed(&flavor, r#""current_thread""#));
                }
                "threaded_scheduler" => return Err(renamed(&flavor, r#""multi_thread""#)),
                _ => return Err(written.mistaken()),
            };
            Ok(())
        },
    },
    Known {
        name: "worker_threads",
        takes: "a number from 1 on: `worker_threads = 2`",
        read: |options, written| {
            options.worker_threads = Some(written.given(written.count()?));
            Ok(())
        },
    },
    Known {
        name: "start_paused",
        takes: "`true` or `false`: `start_paused = true`",
        read: |options, written| {
            options.start_paused = Some(written.given(written.boolean()?));
            Ok(())
        },
    },
    Known {
        name: "name",
        takes: r#"the name of the runtime: `name = "server"`"#,
        read: |options, written| {
            options.name = Some(written.given(written.string()?.value()));
            Ok(())
        },
    },
    Known {
        name: "unhandled_panic",
        takes: r#""ignore" or "shutdown_runtime": `unhandled_panic = "shutdown_runtime"`"#,
        read: |options, written| {
            let behavior = match written.string()?.value().as_str() {
                "ignore" => UnhandledPanic::Ignore,
                "shutdown_runtime" => UnhandledPanic::ShutdownRuntime,
                _ => return Err(written.mistaken()),
            };
            options.unhandled_panic = Some(written.given(behavior));
            Ok(())
        },
    },
    Known {
        name: "crate",
        takes: r#"the path under which `straggler` is known: `crate = "path::to::straggler"`"#,
        read: |options, written| {
            let path = written.string()?.parse_with(Path::parse_mod_style);
            options.krate = Some(path.map_err(|_| written.mistaken())?);
            Ok(())
        },
    },
    Known {
        name: "grace",
        takes: r#"a time with a unit: `grace = "250ms"`"#,
        read: |options, written| {
            options.grace = Some(written.time()?);
            Ok(())
        },
    },
    Known {
        name: "timeout",
        takes: r#"a time with a unit, or "none": `timeout = "10s"`"#,
        read: |options, written| {
            options.timeout = Some(if written.string()?.value() == "none" {
                Timeout::Never
            } else {
                match written.time()? {
                    Duration::ZERO => return Err(written.mistaken()),
                    timeout => Timeout::After(timeout),
                }
            });
            Ok(())
        },
    },
    Known {
        name: "panics",
        takes: r#""deny" or "allow": `panics = "allow"`"#,
        read: |options, written| {
            options.panics = Some(match written.string()?.value().as_str() {
                "deny" => Panics::Deny,
                "allow" => Panics::Allow,
                _ => return Err(written.mistaken()),
            });
            Ok(())
        },
    },
    Known {
        name: "allow",
        takes: r#"a number of tasks from 1 on, or the places that spawn them: `allow = 1`, `allow("src/pool.rs")` or `allow("src/pool.rs" = 2)`"#,
        read: |options, written| {
            let Meta::List(places) = written.argument else {
                options.allow = Some(written.count()?);
                return Ok(());
            };
            let places = Punctuated::<Place, Token![,]>::parse_terminated
                .parse2(places.tokens.clone())
                .map_err(|error| Error::new(error.span(), written.rule()))?;
            if places.is_empty() {
                return Err(written.mistaken());
            }
            for place in places {
                options.allow_place(place)?;
            }
            Ok(())
        },
    },
    Known {
        name: "threads",
        takes: r#""deny" (by default threads may be left behind): `threads = "deny"`"#,
        read: |options, written| {
            if written.string()?.value() != "deny" {
                return Err(written.mistaken());
            }
            options.denies_threads = true;
            Ok(())
        },
    },
    Known {
        name: "explore",
        takes: "a number of runs from 1 on: `explore = 500`",
        read: |options, written| {
            options.explore = Some(written.given(written.count()?));
            Ok(())
        },
    },
    Known {
        name: "require_overlap",
        takes: "no value, and stands beside `explore`: `explore = 500, require_overlap`",
        read: |options, written| {
            let Meta::Path(_) = written.argument else {
                return Err(written.mistaken());
            };
            options.require_overlap = Some(written.given(()));
            Ok(())
        },
    },
];

impl Options {
    /// Adds a place, which has to be another than those before.
    fn allow_place(&mut self, place: Place) -> Result<()> {
        let prefix = place.prefix.value();
        if self
            .allow_at
            .iter()
            .any(|earlier| earlier.prefix.value() == prefix)
        {
            let message = format!("\"{prefix}\" is allowed twice");
            return Err(Error::new_spanned(place.prefix, message));
        }
        self.allow_at.push(place);
        Ok(())
    }

    /// Finds options that say the contrary of one another.
    pub(crate) fn check(&self, errors: &mut Errors) {
        if let Some(explore) = &self.explore {
            self.check_explored(explore.span, errors);
            return;
        }
        if let Some(given) = &self.require_overlap {
            let message =
                "`require_overlap` looks at the runs of an explored test: add `explore = 500`";
            errors.push(Error::new(given.span, message));
        }
        if self.flavor == Flavor::MultiThread {
            let spans = [
                (
                    "start_paused",
                    self.start_paused.as_ref().map(|given| given.span),
                ),
                (
                    "unhandled_panic",
                    self.unhandled_panic.as_ref().map(|given| given.span),
                ),
            ];
            for (name, span) in spans {
                if let Some(span) = span {
                    let message = format!(
                        r#"`{name}` needs a runtime of one thread: `flavor = "current_thread"` or `flavor = "local"`"#
                    );
                    errors.push(Error::new(span, message));
                }
            }
        } else if let Some(given) = &self.worker_threads {
            let message = r#"`worker_threads` needs `flavor = "multi_thread"`"#;
            errors.push(Error::new(given.span, message));
        }
    }
}

impl Options {
    /// Finds options of the runtime, which an explored test cannot have.
    fn check_explored(&self, explore: Span, errors: &mut Errors) {
        let of_runtime = [
            (
                "flavor",
                (self.flavor == Flavor::MultiThread).then_some(explore),
            ),
            (
                "worker_threads",
                self.worker_threads.as_ref().map(|given| given.span),
            ),
            (
                "start_paused",
                self.start_paused.as_ref().map(|given| given.span),
            ),
            ("name", self.name.as_ref().map(|given| given.span)),
            (
                "unhandled_panic",
                self.unhandled_panic.as_ref().map(|given| given.span),
            ),
        ];
        for (name, span) in of_runtime {
            if let Some(span) = span {
                let message = format!(
                    "`explore` makes a runtime for each run, with one thread and a paused clock: leave \
                     `{name}` out"
                );
                errors.push(Error::new(span, message));
            }
        }
    }
}

impl Parse for Place {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let prefix: LitStr = input.parse()?;
        if prefix.value().is_empty() {
            return Err(Error::new_spanned(prefix, "an empty path is no place"));
        }
        let at_most = match input.parse::<Option<Token![=]>>()? {
            Some(_) => Some(from_one(&input.parse()?)?),
            None => None,
        };
        Ok(Self { prefix, at_most })
    }
}

/// One argument as it was written, for the option that is to read it.
pub(crate) struct Written<'a> {
    pub(crate) argument: &'a Meta,
    pub(crate) known: &'a Known,
}

impl Written<'_> {
    /// The literal after the `=`.
    fn literal(&self) -> Result<&Lit> {
        let Meta::NameValue(argument) = self.argument else {
            return Err(self.mistaken());
        };
        let mut value = &argument.value;
        // What a `macro_rules!` hands on stands in invisible parentheses.
        while let Expr::Group(group) = value {
            value = &group.expr;
        }
        match value {
            Expr::Lit(ExprLit { lit, .. }) => Ok(lit),
            _ => Err(self.mistaken()),
        }
    }

    /// The text between the quotes.
    fn string(&self) -> Result<LitStr> {
        match self.literal()? {
            Lit::Str(string) => Ok(string.clone()),
            _ => Err(self.mistaken()),
        }
    }

    /// A time with a unit.
    fn time(&self) -> Result<Duration> {
        humantime::parse_duration(&self.string()?.value()).map_err(|_| self.mistaken())
    }

    /// `true` or `false`.
    fn boolean(&self) -> Result<bool> {
        match self.literal()? {
            Lit::Bool(boolean) => Ok(boolean.value),
            _ => Err(self.mistaken()),
        }
    }

    /// A number from 1 on.
    fn count(&self) -> Result<usize> {
        match self.literal()? {
            Lit::Int(number) => from_one(number).map_err(|_| self.mistaken()),
            _ => Err(self.mistaken()),
        }
    }

    /// The value, with the place of the option's name.
    fn given<T>(&self, value: T) -> Given<T> {
        Given {
            value,
            span: self.argument.path().span(),
        }
    }

    /// What the option takes.
    fn rule(&self) -> String {
        format!("`{}` takes {}", self.known.name, self.known.takes)
    }

    /// Says at the value what the option takes.
    fn mistaken(&self) -> Error {
        match self.argument {
            Meta::NameValue(argument) => Error::new_spanned(&argument.value, self.rule()),
            argument => Error::new_spanned(argument, self.rule()),
        }
    }
}

/// Reads a number from 1 on.
fn from_one(number: &LitInt) -> Result<usize> {
    match number.base10_parse()? {
        0 => Err(Error::new_spanned(number, "expected a number from 1 on")),
        number => Ok(number),
    }
}

/// Says that `value` has a new name.
fn renamed(value: &LitStr, now: &str) -> Error {
    Error::new_spanned(value, format!("\"{}\" is called {now} now", value.value()))
}
