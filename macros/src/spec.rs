//! The table of options: the name of each, the values it accepts, and how they are read.

use std::time::Duration;

use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Error, LitStr, Meta, Path, Result, Token};

use crate::options::{Explore, Flavor, Options, Panics, Place, Timeout, UnhandledPanic};
use crate::value::Value;

/// An option of the attribute. A new one needs an entry in [`SPECS`] and a field in [`Options`].
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    /// The values it accepts, in words.
    pub(crate) expects: &'static str,
    /// Arguments that are valid as written.
    pub(crate) examples: &'static [&'static str],
    pub(crate) read: fn(&mut Options, &Value<'_>) -> Result<()>,
}

impl Spec {
    /// Returns the spec of the option `name`.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        SPECS.iter().find(|spec| spec.name == name)
    }

    /// Returns the message for an invalid value.
    pub(crate) fn invalid(&self) -> String {
        let Self { name, expects, .. } = self;
        let examples = list(self.examples.iter().copied(), " or ");
        format!("invalid `{name}`: expected {expects}, as in {examples}")
    }
}

/// Quotes `items` as code and joins them, the last by `last`.
pub(crate) fn list(items: impl Iterator<Item = &'static str>, last: &str) -> String {
    let mut items: Vec<_> = items.map(|item| format!("`{item}`")).collect();
    match (items.pop(), items.is_empty()) {
        (None, _) => String::new(),
        (Some(only), true) => only,
        (Some(end), false) => format!("{}{last}{end}", items.join(", ")),
    }
}

/// The options, in the order in which error messages list them.
pub(crate) const SPECS: &[Spec] = &[
    Spec {
        name: "flavor",
        expects: r#""current_thread", "multi_thread" or "local""#,
        examples: &[r#"flavor = "multi_thread""#],
        read: |options, value| {
            let flavor = value.string()?;
            options.flavor = Some(value.spanned(match flavor.value().as_str() {
                "current_thread" => Flavor::CurrentThread,
                "multi_thread" => Flavor::MultiThread,
                "local" => Flavor::Local,
                // Names from before tokio 1.0, which `#[tokio::test]` still explains.
                "basic_scheduler" | "single_thread" => {
                    return Err(renamed(&flavor, "current_thread"));
                }
                "threaded_scheduler" => return Err(renamed(&flavor, "multi_thread")),
                _ => return Err(value.invalid()),
            }));
            Ok(())
        },
    },
    Spec {
        name: "worker_threads",
        expects: "a positive number of threads",
        examples: &["worker_threads = 2"],
        read: |options, value| {
            options.worker_threads = Some(value.spanned(value.positive()?));
            Ok(())
        },
    },
    Spec {
        name: "start_paused",
        expects: "`true` or `false`",
        examples: &["start_paused = true"],
        read: |options, value| {
            options.start_paused = Some(value.spanned(value.boolean()?));
            Ok(())
        },
    },
    Spec {
        name: "name",
        expects: "a name for the runtime",
        examples: &[r#"name = "server""#],
        read: |options, value| {
            options.name = Some(value.spanned(value.string()?.value()));
            Ok(())
        },
    },
    Spec {
        name: "unhandled_panic",
        expects: r#""ignore" or "shutdown_runtime""#,
        examples: &[r#"unhandled_panic = "shutdown_runtime""#],
        read: |options, value| {
            let behavior = match value.string()?.value().as_str() {
                "ignore" => UnhandledPanic::Ignore,
                "shutdown_runtime" => UnhandledPanic::ShutdownRuntime,
                _ => return Err(value.invalid()),
            };
            options.unhandled_panic = Some(value.spanned(behavior));
            Ok(())
        },
    },
    Spec {
        name: "crate",
        expects: "the path of the `straggler` crate",
        examples: &[r#"crate = "path::to::straggler""#],
        read: |options, value| {
            let path = value.string()?.parse_with(Path::parse_mod_style);
            options.krate = Some(path.map_err(|_| value.invalid())?);
            Ok(())
        },
    },
    Spec {
        name: "grace",
        expects: "a duration with a unit",
        examples: &[r#"grace = "250ms""#],
        read: |options, value| {
            options.grace = Some(value.duration()?);
            Ok(())
        },
    },
    Spec {
        name: "timeout",
        expects: r#"a non-zero duration with a unit, or "none""#,
        examples: &[r#"timeout = "10s""#, r#"timeout = "none""#],
        read: |options, value| {
            options.timeout = Some(if value.string()?.value() == "none" {
                Timeout::Never
            } else {
                match value.duration()? {
                    // Zero would fail every test. Whoever writes it may well mean "none".
                    Duration::ZERO => return Err(value.invalid()),
                    timeout => Timeout::After(timeout),
                }
            });
            Ok(())
        },
    },
    Spec {
        name: "panics",
        expects: r#""deny" or "allow""#,
        examples: &[r#"panics = "allow""#],
        read: |options, value| {
            options.panics = Some(match value.string()?.value().as_str() {
                "deny" => Panics::Deny,
                "allow" => Panics::Allow,
                _ => return Err(value.invalid()),
            });
            Ok(())
        },
    },
    Spec {
        name: "allow",
        expects: "a positive number of leaked tasks, or the places that spawn them",
        examples: &[
            "allow = 1",
            r#"allow("src/pool.rs")"#,
            r#"allow("bb8" = 1, "src/auth.rs::tests" = 2)"#,
        ],
        read: |options, value| {
            let Meta::List(places) = value.argument else {
                options.allow = Some(value.positive()?);
                return Ok(());
            };
            let places = Punctuated::<Place, Token![,]>::parse_terminated
                .parse2(places.tokens.clone())
                .map_err(|error| Error::new(error.span(), value.spec.invalid()))?;
            // `allow()` looks like a limit, but would change nothing.
            if places.is_empty() {
                return Err(value.invalid());
            }
            for place in places {
                options.allow_place(place)?;
            }
            Ok(())
        },
    },
    Spec {
        name: "threads",
        expects: r#""deny" (leaked threads are allowed by default)"#,
        examples: &[r#"threads = "deny""#],
        read: |options, value| {
            if value.string()?.value() != "deny" {
                return Err(value.invalid());
            }
            options.deny_threads = true;
            Ok(())
        },
    },
    Spec {
        name: "explore",
        expects: r#"a positive number of runs, or "exhaustive""#,
        examples: &["explore = 500", r#"explore = "exhaustive""#],
        read: |options, value| {
            let explore = match value.string() {
                Ok(text) if text.value() == "exhaustive" => Explore::Exhaustive,
                Ok(_) => return Err(value.invalid()),
                Err(_) => Explore::Runs(value.positive()?),
            };
            options.explore = Some(value.spanned(explore));
            Ok(())
        },
    },
    Spec {
        name: "cancel",
        expects: "no value (`STRAGGLER_RUNS=100` sets the number of runs)",
        examples: &["cancel", "explore = 500, cancel"],
        read: |options, value| {
            let Meta::Path(_) = value.argument else {
                return Err(value.invalid());
            };
            options.cancel = true;
            Ok(())
        },
    },
    Spec {
        name: "require_overlap",
        expects: "no value",
        examples: &["explore = 500, require_overlap"],
        read: |options, value| {
            let Meta::Path(_) = value.argument else {
                return Err(value.invalid());
            };
            options.require_overlap = Some(value.spanned(()));
            Ok(())
        },
    },
    Spec {
        name: "race_timers",
        expects: "no value",
        examples: &["explore = 500, race_timers"],
        read: |options, value| {
            let Meta::Path(_) = value.argument else {
                return Err(value.invalid());
            };
            options.race_timers = Some(value.spanned(()));
            Ok(())
        },
    },
    Spec {
        name: "eager_spawns",
        expects: "no value",
        examples: &["explore = 500, eager_spawns"],
        read: |options, value| {
            let Meta::Path(_) = value.argument else {
                return Err(value.invalid());
            };
            options.eager_spawns = Some(value.spanned(()));
            Ok(())
        },
    },
    Spec {
        name: "unscheduled",
        expects: r#""allow" (an explored test with tasks that no schedule decides fails by default)"#,
        examples: &[r#"explore = 500, unscheduled = "allow""#],
        read: |options, value| {
            if value.string()?.value() != "allow" {
                return Err(value.invalid());
            }
            options.allow_unscheduled = Some(value.spanned(()));
            Ok(())
        },
    },
];

/// Returns the error for a value that tokio has renamed.
fn renamed(value: &LitStr, new: &str) -> Error {
    let message = format!("\"{}\" was renamed to \"{new}\"", value.value());
    Error::new_spanned(value, message)
}
