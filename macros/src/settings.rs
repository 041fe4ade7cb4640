//! Generates the `LeakCheck` of a test.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Path;

use crate::options::{Explore, Flavor, Options, Panics, Place, Spanned, Timeout, UnhandledPanic};

/// The most schedules of `explore = "exhaustive"`. A run takes less than a millisecond.
const SCHEDULES: usize = 10_000;

/// Generates the `LeakCheck` with the settings of the options.
pub(crate) fn check(krate: &Path, options: &Options) -> TokenStream {
    let mut settings = TokenStream::new();
    if let Some(runtime) = runtime(krate, options) {
        settings.extend(quote!(.runtime(#runtime)));
    }
    if options.flavor() == Flavor::Local {
        settings.extend(quote!(.local()));
    }
    if let Some(grace) = options.grace.map(duration) {
        settings.extend(quote!(.grace(#grace)));
    }
    settings.extend(match options.timeout {
        None => TokenStream::new(),
        Some(Timeout::After(timeout)) => {
            let timeout = duration(timeout);
            quote!(.timeout(#timeout))
        }
        Some(Timeout::Never) => quote!(.no_timeout()),
    });
    if let Some(Panics::Allow) = options.panics {
        settings.extend(quote!(.allow_panics()));
    }
    if let Some(tasks) = options.allow {
        settings.extend(quote!(.allow(#tasks)));
    }
    for Place { prefix, at_most } in &options.allow_at {
        settings.extend(at_most.map_or_else(
            || quote!(.allow_at(#prefix)),
            |tasks| quote!(.allow_at_most(#prefix, #tasks)),
        ));
    }
    if options.deny_threads {
        settings.extend(quote!(.deny_threads()));
    }
    quote!(#krate::LeakCheck::new()#settings)
}

/// Generates the calls that turn the `LeakCheck` into an `Explore`, if the test has `explore` or `cancel`.
pub(crate) fn explore(options: &Options) -> Option<TokenStream> {
    if !options.is_explored() {
        return None;
    }
    let explore = options.explore.as_ref().map(|explore| explore.value);
    let runs = explore.map(|explore| match explore {
        Explore::Runs(runs) => quote!(.runs(#runs)),
        Explore::Exhaustive => quote!(.exhaustive(#SCHEDULES)),
    });
    let cancel = options.cancel.then(|| {
        if options.explore.is_some() {
            quote!(.cancel_in_schedules())
        } else {
            quote!(.cancel())
        }
    });
    let overlap = options.require_overlap.as_ref();
    let overlap = overlap.map(|option| quote_spanned!(option.span=> .require_overlap()));
    let timers = options.race_timers.as_ref();
    let timers = timers.map(|option| quote_spanned!(option.span=> .race_timers()));
    let eager = options.eager_spawns.as_ref();
    let eager = eager.map(|option| quote_spanned!(option.span=> .eager_spawns()));
    let unscheduled = options.allow_unscheduled.as_ref();
    let unscheduled = unscheduled.map(|option| quote_spanned!(option.span=> .allow_unscheduled()));
    Some(quote!(.explore()#runs #cancel #overlap #timers #eager #unscheduled))
}

/// Generates a duration.
fn duration(time: Duration) -> TokenStream {
    let (seconds, nanoseconds) = (time.as_secs(), time.subsec_nanos());
    quote!(::core::time::Duration::new(#seconds, #nanoseconds))
}

/// Generates the builder of the runtime, or nothing if the default runtime will do.
///
/// Each method call has the span of its option, since tokio may lack the method:
/// `unhandled_panic` needs `--cfg tokio_unstable`, `start_paused` the feature `test-util`.
fn runtime(krate: &Path, options: &Options) -> Option<TokenStream> {
    let mut settings = TokenStream::new();
    if let Some(Spanned { value, span }) = &options.worker_threads {
        settings.extend(quote_spanned!(*span=> .worker_threads(#value)));
    }
    if let Some(Spanned { value, span }) = &options.start_paused {
        settings.extend(quote_spanned!(*span=> .start_paused(#value)));
    }
    if let Some(Spanned { value, span }) = &options.name {
        settings.extend(quote_spanned!(*span=> .name(#value)));
    }
    if let Some(Spanned { value, span }) = &options.unhandled_panic {
        let value = match value {
            UnhandledPanic::Ignore => quote_spanned!(*span=> Ignore),
            UnhandledPanic::ShutdownRuntime => quote_spanned!(*span=> ShutdownRuntime),
        };
        let value = quote_spanned!(*span=> #krate::tokio::runtime::UnhandledPanic::#value);
        settings.extend(quote_spanned!(*span=> .unhandled_panic(#value)));
    }
    let new = match options.flavor() {
        Flavor::MultiThread => quote!(new_multi_thread),
        _ if settings.is_empty() => return None,
        Flavor::CurrentThread | Flavor::Local => quote!(new_current_thread),
    };
    let builder = quote!(#krate::__private::Builder);
    // The first call is no method call, which could resolve to a trait in the test's scope. And no
    // `let`: its pattern would resolve to a constant of that name.
    Some(quote! {
        ::core::mem::replace(
            #builder::enable_all(&mut #builder::#new())#settings,
            #builder::new_current_thread(),
        )
    })
}
