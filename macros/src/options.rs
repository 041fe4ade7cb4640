//! The options of one test: their values, and which of them conflict.

use std::time::Duration;

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::{Error, LitStr, Path, Result, Token, parse_quote};

use crate::errors::Errors;
use crate::value::positive;

/// The options that the arguments set. `None` stands for the default.
#[derive(Default)]
pub(crate) struct Options {
    /// The path of the `straggler` crate.
    pub(crate) krate: Option<Path>,
    pub(crate) flavor: Option<Spanned<Flavor>>,
    pub(crate) worker_threads: Option<Spanned<usize>>,
    pub(crate) start_paused: Option<Spanned<bool>>,
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) unhandled_panic: Option<Spanned<UnhandledPanic>>,
    pub(crate) grace: Option<Duration>,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) panics: Option<Panics>,
    /// How many tasks may leak, wherever they were spawned.
    pub(crate) allow: Option<usize>,
    pub(crate) allow_at: Vec<Place>,
    /// Whether leaked threads fail the test.
    pub(crate) deny_threads: bool,
    /// Which schedules to explore.
    pub(crate) explore: Option<Spanned<Explore>>,
    /// Whether the operations of the test are cancelled.
    pub(crate) cancel: bool,
    /// Whether the test fails if no two tasks of a run overlap.
    pub(crate) require_overlap: Option<Spanned<()>>,
    /// Whether timers may fire while tasks could run.
    pub(crate) race_timers: Option<Spanned<()>>,
    /// Whether tasks may begin inside their spawns.
    pub(crate) eager_spawns: Option<Spanned<()>>,
    /// Whether tasks that no schedule decides are allowed.
    pub(crate) allow_unscheduled: Option<Spanned<()>>,
}

/// The value of an option, and the span of its name.
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// Which schedules to run the test in.
#[derive(Clone, Copy)]
pub(crate) enum Explore {
    /// This many.
    Runs(usize),
    /// All, up to a limit.
    Exhaustive,
}

/// The kind of runtime.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Flavor {
    #[default]
    CurrentThread,
    MultiThread,
    Local,
}

/// What the runtime does when a task panics.
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

/// Whether a task that panics fails the test.
#[derive(Clone, Copy)]
pub(crate) enum Panics {
    Deny,
    Allow,
}

/// A place whose tasks may leak: `"src/pool.rs"`, or `"src/auth.rs::tests" = 2`.
pub(crate) struct Place {
    pub(crate) prefix: LitStr,
    pub(crate) at_most: Option<usize>,
}

impl Options {
    /// Returns the path of the `straggler` crate.
    pub(crate) fn krate(&self) -> Path {
        self.krate
            .clone()
            .unwrap_or_else(|| parse_quote!(::straggler))
    }

    /// Returns the kind of runtime.
    pub(crate) fn flavor(&self) -> Flavor {
        self.flavor
            .as_ref()
            .map_or_else(Flavor::default, |flavor| flavor.value)
    }

    /// Adds a place, unless it is a duplicate.
    pub(crate) fn allow_place(&mut self, place: Place) -> Result<()> {
        let prefix = place.prefix.value();
        let mut earlier = self.allow_at.iter();
        if earlier.any(|earlier| earlier.prefix.value() == prefix) {
            let message = format!("duplicate place \"{prefix}\": remove one");
            return Err(Error::new_spanned(place.prefix, message));
        }
        self.allow_at.push(place);
        Ok(())
    }

    /// Adds an error for each option that conflicts with another one.
    pub(crate) fn check(&self, errors: &mut Errors) {
        let explored = self.is_explored();
        let runs = self.runs_by();
        let multi_thread = self.flavor() == Flavor::MultiThread;
        for (name, span) in self.runtime_options() {
            let message = match name {
                // Each explored run is single-threaded: a flavor that says so too does no harm.
                "flavor" if !(explored && multi_thread) => continue,
                _ if explored => format!(
                    "`{runs}` runs the test on its own single-threaded runtime with a paused \
                     clock: remove `{name}`"
                ),
                "worker_threads" if !multi_thread => {
                    format!(r#"`{name}` requires `flavor = "multi_thread"`"#)
                }
                "start_paused" | "unhandled_panic" if multi_thread => format!(
                    "`{name}` requires a single-threaded runtime: \
                     `flavor = \"current_thread\"` or `flavor = \"local\"`"
                ),
                _ => continue,
            };
            errors.push(Error::new(span, message));
        }
        if let (true, Some(explore)) = (self.cancel, &self.explore) {
            if let Explore::Exhaustive = explore.value {
                let message =
                    "`cancel` runs the test in the plain order: remove `explore = \"exhaustive\"`";
                errors.push(Error::new(explore.span, message));
            }
        }
        if let Some(Explore::Exhaustive) = self.explore.as_ref().map(|explore| explore.value) {
            for (name, option, does) in [
                (
                    "race_timers",
                    &self.race_timers,
                    "lets timers fire only when nothing else can run",
                ),
                (
                    "eager_spawns",
                    &self.eager_spawns,
                    "lets a task begin only after its spawner has yielded",
                ),
            ] {
                if let Some(option) = option {
                    let message = format!("`explore = \"exhaustive\"` {does}: remove `{name}`");
                    errors.push(Error::new(option.span, message));
                }
            }
        }
        for (name, option) in [
            ("require_overlap", &self.require_overlap),
            ("race_timers", &self.race_timers),
            ("eager_spawns", &self.eager_spawns),
            ("unscheduled", &self.allow_unscheduled),
        ] {
            if let (Some(option), None) = (option, &self.explore) {
                let message = if self.cancel {
                    format!(
                        "`cancel` runs the test in the plain order: remove `{name}`, or add \
                         `explore = 500`"
                    )
                } else {
                    format!("`{name}` requires `explore`: add `explore = 500`")
                };
                errors.push(Error::new(option.span, message));
            }
        }
    }

    /// The option that makes the body run more than once.
    pub(crate) fn runs_by(&self) -> &'static str {
        if self.cancel { "cancel" } else { "explore" }
    }

    /// Whether the body runs more than once.
    pub(crate) fn is_explored(&self) -> bool {
        self.explore.is_some() || self.cancel
    }

    /// Returns the name and the span of each option that is set and configures the runtime.
    fn runtime_options(&self) -> impl Iterator<Item = (&'static str, Span)> {
        fn span<T>(option: Option<&Spanned<T>>) -> Option<Span> {
            option.map(|option| option.span)
        }
        let options = [
            ("flavor", span(self.flavor.as_ref())),
            ("worker_threads", span(self.worker_threads.as_ref())),
            ("start_paused", span(self.start_paused.as_ref())),
            ("name", span(self.name.as_ref())),
            ("unhandled_panic", span(self.unhandled_panic.as_ref())),
        ];
        options
            .into_iter()
            .filter_map(|(name, span)| Some((name, span?)))
    }
}

impl Parse for Place {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let prefix: LitStr = input.parse()?;
        // `::tests` would be the tests of every file, and `src/auth.rs::` no function.
        if prefix.value().split("::").any(str::is_empty) {
            return Err(Error::new_spanned(prefix, "expected a place"));
        }
        let at_most = match input.parse::<Option<Token![=]>>()? {
            Some(_) => Some(positive(&input.parse()?)?),
            None => None,
        };
        Ok(Self { prefix, at_most })
    }
}
