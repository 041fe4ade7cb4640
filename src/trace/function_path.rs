//! Paths of functions, from the names in debug information.

/// The path of a function without generic arguments, closures and the names of traits:
/// `<a::B<T> as core::future::future::Future>::poll` is `a::B`, `a::f::{{closure}}` is `a::f`.
pub(crate) fn function_path(name: &str) -> String {
    // Some names start with it, such as `&core::task::wake::Waker::clone`.
    let name = name.trim_start_matches('&');
    if let Some(end) = name.starts_with('<').then(|| closing(name)).flatten() {
        let (of_type, rest) = (&name[1..end], &name[end + 1..]);
        // Skip a type in front: its own ` as ` is not the one to split at.
        let inner = of_type.starts_with('<').then(|| closing(of_type)).flatten();
        let (inner, outer) = of_type.split_at(inner.unwrap_or(0));
        let (outer, of_trait) = outer.split_once(" as ").unwrap_or((outer, ""));
        let of_type = [inner, outer].concat();
        let is_poll = of_trait.ends_with("Future") && rest == "::poll";
        let rest = if is_poll { "" } else { rest };
        return without_generics(&format!("{}{rest}", function_path(&of_type)));
    }
    without_generics(name)
}

/// The position of the `>` that closes the `<` at the start of `name`.
fn closing(name: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (at, character) in name.char_indices() {
        match character {
            '<' => depth += 1,
            // `->` of a function type closes nothing.
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
        before = character;
    }
    None
}

fn without_generics(name: &str) -> String {
    let mut kept = String::new();
    let mut rest = name;
    while let Some(start) = rest.find('<') {
        let Some(end) = closing(&rest[start..]) else {
            break;
        };
        kept.push_str(&rest[..start]);
        rest = &rest[start + end + 1..];
    }
    kept.push_str(rest);
    let segments = kept.split("::");
    // The MSVC format writes `closure$0` and `impl$5` where others write `{closure#0}` or nothing.
    let is_named =
        |segment: &&str| !(segment.is_empty() || segment.starts_with('{') || segment.contains('$'));
    let named = segments.filter(is_named);
    named.collect::<Vec<_>>().join("::")
}

#[cfg(test)]
mod tests {
    use super::function_path;

    #[test]
    fn function_path_drops_compiler_noise() {
        for (name, path) in [
            ("bank::transfer::{{closure}}::{{closure}}", "bank::transfer"),
            ("bank::transfer::{async_fn#0}", "bank::transfer"),
            ("bank::transfer::async_fn$0::closure$1", "bank::transfer"),
            (
                "<tokio::sync::oneshot::Receiver<T> as core::future::future::Future>::poll",
                "tokio::sync::oneshot::Receiver",
            ),
            (
                "tokio::sync::mpsc::bounded::Receiver<T>::recv::{{closure}}",
                "tokio::sync::mpsc::bounded::Receiver::recv",
            ),
            (
                "<<a::B<fn(u8) -> C<D>> as E>::F as core::future::Future>::poll",
                "a::B::F",
            ),
            ("<a::B as a::Work>::run::<c::D>::{closure#1}", "a::B::run"),
            ("", ""),
            ("a::unfinished<b", "a::unfinished<b"),
        ] {
            assert_eq!(function_path(name), path, "{name}");
        }
    }
}
