//! The code that makes the `LeakCheck` of a test.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Path;

use crate::options::{Flavor, Given, Options, Panics, Place, Timeout, UnhandledPanic};

/// Writes the `LeakCheck` that the options ask for.
pub(crate) fn check(krate: &Path, options: &Options) -> TokenStream {
    let mut settings = TokenStream::new();
    if let Some(runtime) = runtime(krate, options) {
        settings.extend(quote!(.runtime(#runtime)));
    }
    if options.flavor == Flavor::Local {
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
    if options.denies_threads {
        settings.extend(quote!(.deny_threads()));
    }
    quote!(#krate::LeakCheck::new()#settings)
}

/// Writes what makes an exploration of the `LeakCheck`, if one is asked for.
pub(crate) fn explore(options: &Options) -> Option<TokenStream> {
    let runs = options.explore.as_ref()?.value;
    let overlap = options.require_overlap.as_ref();
    let overlap = overlap.map(|given| quote_spanned!(given.span=> .require_overlap()));
    Some(quote!(.explore().runs(#runs)#overlap))
}

/// Writes a time.
fn duration(time: Duration) -> TokenStream {
    let (seconds, nanoseconds) = (time.as_secs(), time.subsec_nanos());
    quote!(::core::time::Duration::new(#seconds, #nanoseconds))
}

/// Writes the builder of the runtime, if it is not the usual one.
///
/// Each method stands where its option stands: there the compiler says that tokio was built without
/// it.
fn runtime(krate: &Path, options: &Options) -> Option<TokenStream> {
    let mut settings = TokenStream::new();
    if let Some(Given { value, span }) = &options.worker_threads {
        settings.extend(quote_spanned!(*span=> .worker_threads(#value)));
    }
    if let Some(Given { value, span }) = &options.start_paused {
        settings.extend(quote_spanned!(*span=> .start_paused(#value)));
    }
    if let Some(Given { value, span }) = &options.name {
        settings.extend(quote_spanned!(*span=> .name(#value)));
    }
    if let Some(Given { value, span }) = &options.unhandled_panic {
        let value = match value {
            UnhandledPanic::Ignore => quote_spanned!(*span=> Ignore),
            UnhandledPanic::ShutdownRuntime => quote_spanned!(*span=> ShutdownRuntime),
        };
        let value = quote_spanned!(*span=> #krate::tokio::runtime::UnhandledPanic::#value);
        settings.extend(quote_spanned!(*span=> .unhandled_panic(#value)));
    }
    let new = match options.flavor {
        Flavor::MultiThread => quote!(new_multi_thread),
        _ if settings.is_empty() => return None,
        Flavor::CurrentThread | Flavor::Local => quote!(new_current_thread),
    };
    let builder = quote!(#krate::__private::Builder);
    // A trait of the test's own with a method `enable_all` would win over the builder's, if that
    // were called as a method of a value.
    Some(quote! {
        {
            let mut runtime = #builder::#new();
            #builder::enable_all(&mut runtime)#settings;
            runtime
        }
    })
}
