//! Replaces `#[tokio::test]` with `#[straggler::test]`, wherever it is written.

use std::fmt;

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use syn::ext::IdentExt as _;

use crate::init::arguments;
use crate::init::edit::Edit;
use crate::init::outline::{Attribute, Outline, Within, is_punct, needs_test};
use crate::init::parsed::Parsed;

/// What became of the attributes of a file.
#[derive(Debug, Default)]
pub(crate) struct Converted {
    pub(crate) edits: Vec<Edit>,
    /// How many attributes the edits replace.
    pub(crate) count: usize,
    /// Where each other one is, and why it stays.
    pub(crate) kept: Vec<(usize, String)>,
}

/// Where straggler can be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Usable {
    Everywhere,
    /// In what is built for tests alone, as is every dev-dependency.
    InTests,
    /// Nowhere, for this reason.
    Nowhere(String),
}

/// A path in an attribute, with what is in parentheses after it.
#[derive(Clone, Debug)]
struct Path {
    segments: Vec<Ident>,
    arguments: Option<Group>,
}

/// Attributes that pass the test attribute in their arguments on: `#[test_log::test(tokio::test)]`,
/// rstest's `#[test_attr(tokio::test)]`.
const CARRIERS: [&str; 3] = ["cfg_attr", "test", "test_attr"];

/// Converts the attributes of a file.
pub(crate) fn convert(parsed: &Parsed, outline: &Outline, usable: &Usable) -> Converted {
    let mut converted = Converted::default();
    for attribute in &outline.attributes {
        for (path, carrier) in tests(&attribute.content) {
            let edits = convert_one(&path, carrier.as_ref(), attribute, usable, parsed);
            match edits {
                Ok(edits) => {
                    converted.edits.extend(edits);
                    converted.count += 1;
                }
                Err(reason) => {
                    let at = parsed.range(path.segments[0].span()).start;
                    converted.kept.push((at, reason));
                }
            }
        }
    }
    converted
}

fn convert_one(
    path: &Path,
    carrier: Option<&Path>,
    attribute: &Attribute,
    usable: &Usable,
    parsed: &Parsed,
) -> Result<Vec<Edit>, String> {
    let [tokio, _] = &path.segments[..] else {
        return Err("it is named by another path than `tokio::test`".to_owned());
    };
    if let Some(carrier) = carrier.filter(|carrier| !carrier.is_carrier()) {
        let name = carrier.to_string();
        return Err(format!(
            "`#[{name}]` is around it, which may need tokio's own"
        ));
    }
    let tests_only = attribute.tests_only || carrier.is_some_and(Path::needs_test);
    match usable {
        Usable::Everywhere => {}
        Usable::InTests if tests_only => {}
        Usable::InTests => {
            let reason =
                "it is not under `#[cfg(test)]`, so a build without tests would need straggler too";
            return Err(reason.to_owned());
        }
        Usable::Nowhere(reason) => return Err(reason.clone()),
    }
    match attribute.within {
        None => {}
        Some(Within::Exported) => {
            return Err(
                "it is in a `#[macro_export]` macro, which other packages may use".to_owned(),
            );
        }
        Some(Within::Quoting) => {
            return Err("it is in code that a macro makes, perhaps for another package".to_owned());
        }
    }
    let mut edits = match &path.arguments {
        Some(arguments) => arguments::convert(arguments, parsed)?,
        None => Vec::new(),
    };
    edits.push(Edit::replace(parsed.range(tokio.span()), "straggler"));
    Ok(edits)
}

/// The paths that end in `tokio::test` in an attribute, each with the attribute if that is another one.
fn tests(content: &TokenStream) -> Vec<(Path, Option<Path>)> {
    let mut paths = paths(content).into_iter();
    let Some(first) = paths.next() else {
        return Vec::new();
    };
    if first.is_test() {
        return vec![(first, None)];
    }
    let mut found = Vec::new();
    first.collect_tests(&mut found);
    let found = found.into_iter();
    found.map(|path| (path, Some(first.clone()))).collect()
}

impl Path {
    fn is_test(&self) -> bool {
        matches!(&self.segments[..], [.., tokio, test] if is(tokio, "tokio") && is(test, "test"))
    }

    fn is_carrier(&self) -> bool {
        let last = self.segments.last();
        last.is_some_and(|last| CARRIERS.iter().any(|name| is(last, name)))
    }

    /// Whether this is a `cfg_attr` that has an effect in tests alone.
    fn needs_test(&self) -> bool {
        let is_cfg_attr = self
            .segments
            .last()
            .is_some_and(|last| is(last, "cfg_attr"));
        let arguments = self.arguments.as_ref().filter(|_| is_cfg_attr);
        let arguments = arguments.and_then(arguments::parse).unwrap_or_default();
        arguments.first().is_some_and(needs_test)
    }

    fn collect_tests(&self, found: &mut Vec<Self>) {
        let arguments = self.arguments.iter();
        for path in arguments.flat_map(|arguments| paths(&arguments.stream())) {
            if path.is_test() {
                found.push(path);
            } else {
                path.collect_tests(found);
            }
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.segments.iter().map(Ident::to_string).collect();
        f.write_str(&names.join("::"))
    }
}

/// The paths in tokens, without those in groups.
fn paths(tokens: &TokenStream) -> Vec<Path> {
    let mut paths: Vec<Path> = Vec::new();
    let mut colons = 0;
    for token in tokens.clone() {
        match token {
            TokenTree::Ident(segment) => match paths.last_mut() {
                Some(path) if colons == 2 && path.arguments.is_none() => {
                    path.segments.push(segment);
                }
                _ => paths.push(Path {
                    segments: vec![segment],
                    arguments: None,
                }),
            },
            token if is_punct(&token, ':') => {
                colons += 1;
                continue;
            }
            TokenTree::Group(group) => {
                if let Some(path) = paths.last_mut().filter(|path| path.arguments.is_none()) {
                    path.arguments = Some(group);
                }
            }
            // A separator: `::tokio` after it is no part of the path before.
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        colons = 0;
    }
    paths
}

fn is(ident: &Ident, name: &str) -> bool {
    ident.unraw() == name
}

#[cfg(test)]
mod tests {
    use super::{Usable, convert};
    use crate::init::edit::apply;
    use crate::init::outline::Outline;
    use crate::init::parsed::Parsed;

    fn converted(text: &str, usable: &Usable) -> (String, Vec<String>) {
        let parsed = Parsed::of(text.to_owned()).unwrap();
        let converted = convert(&parsed, &Outline::of(&parsed), usable);
        let kept = converted.kept.into_iter().map(|(_, reason)| reason);
        (apply(text, converted.edits), kept.collect())
    }

    #[track_caller]
    fn becomes(before: &str, after: &str) {
        let (text, kept) = converted(before, &Usable::Everywhere);
        assert_eq!(text, after);
        assert!(kept.is_empty(), "{kept:?}");
        let again = converted(after, &Usable::Everywhere);
        assert_eq!(again, (after.to_owned(), Vec::new()), "a second time");
    }

    #[track_caller]
    fn stays(text: &str, usable: &Usable, expected: &str) {
        let (after, kept) = converted(text, usable);
        assert_eq!(after, text);
        assert!(
            matches!(&kept[..], [reason] if reason.contains(expected)),
            "{text}: {kept:?}"
        );
    }

    #[test]
    fn arguments_stay() {
        becomes(
            "#[tokio::test]\r\n/* why */ async fn a() {}",
            "#[straggler::test]\r\n/* why */ async fn a() {}",
        );
        becomes(
            "#[ tokio :: test(flavor = \"multi_thread\",  worker_threads = 2)] async fn a() {}",
            "#[ straggler :: test(flavor = \"multi_thread\",  worker_threads = 2)] async fn a() {}",
        );
        becomes(
            "#[tokio::test(start_paused = true, /* b */)] async fn a() {}",
            "#[straggler::test(start_paused = true, /* b */)] async fn a() {}",
        );
        becomes(
            "#[::tokio::test] async fn a() {}",
            "#[::straggler::test] async fn a() {}",
        );
        becomes(
            "#[tokio::test()] async fn a() {}",
            "#[straggler::test()] async fn a() {}",
        );
    }

    #[test]
    fn path_of_tokio_goes() {
        for (before, after) in [
            ("(crate = \"a::tokio\")", ""),
            (
                "(crate = \"a\", start_paused = true)",
                "(start_paused = true)",
            ),
            (
                "(start_paused = true, crate = \"a\")",
                "(start_paused = true)",
            ),
            (
                "(name = \"a\", crate = \"a\", name = \"b\",)",
                "(name = \"a\", name = \"b\",)",
            ),
        ] {
            becomes(
                &format!("#[tokio::test{before}] async fn a() {{}}"),
                &format!("#[straggler::test{after}] async fn a() {{}}"),
            );
        }
    }

    #[test]
    fn attributes_around_it_stay() {
        for attribute in [
            "#[test_log::test(TOKIO::test)]",
            "#[test_log::test(TOKIO::test(flavor = \"local\"))]",
            "#[test(TOKIO::test)]",
            "#[rstest]\n#[TOKIO::test]",
            "#[test_case(1; \"a, tokio::test\")]\n#[TOKIO::test]",
            "#[rstest]\n#[test_attr(TOKIO::test)]",
            "#[cfg_attr(not(loom), TOKIO::test)]",
            "#[cfg_attr(not(loom), test_log::test(::TOKIO::test), ignore)]",
            "#[maybe_async::test(feature = \"sync\", async(not(feature = \"sync\"), TOKIO::test))]",
        ] {
            let text = |name| format!("{}\nasync fn a() {{}}", attribute.replace("TOKIO", name));
            becomes(&text("tokio"), &text("straggler"));
        }
    }

    #[test]
    fn attributes_in_macros_are_found() {
        becomes(
            "macro_rules! a { ($b:ident) => { #[tokio::test(start_paused = true)] async fn $b() {} } }",
            "macro_rules! a { ($b:ident) => { #[straggler::test(start_paused = true)] async fn $b() {} } }",
        );
        becomes(
            "cfg_net! { mod a { #[tokio::test] async fn b() {} } }",
            "cfg_net! { mod a { #[straggler::test] async fn b() {} } }",
        );
    }

    #[test]
    fn what_is_no_attribute_stays() {
        for text in [
            "/// #[tokio::test]\nfn a() { tokio::test(); }",
            "const A: &str = \"#[tokio::test]\";",
            "#[tokio::main] async fn main() {}",
            "#[actix_web::test] async fn a() {}",
        ] {
            assert_eq!(
                converted(text, &Usable::Everywhere),
                (text.to_owned(), Vec::new())
            );
        }
    }

    #[test]
    fn unusual_tests_are_named() {
        let everywhere = Usable::Everywhere;
        stays(
            "#[tokio::test(core_threads = 2)] async fn a() {}",
            &everywhere,
            "does not take `core_threads = 2`",
        );
        stays(
            "#[tokio::test(flavor = \"basic_scheduler\")] async fn a() {}",
            &everywhere,
            "does not take `flavor = \"basic_scheduler\"`",
        );
        stays(
            "macro_rules! a { ($b:literal) => { #[tokio::test(flavor = $b)] async fn c() {} } }",
            &everywhere,
            "known only when a macro expands",
        );
        stays(
            "#[a::tokio::test] async fn a() {}",
            &everywhere,
            "another path",
        );
        stays(
            "#[apply(tokio::test)] async fn a() {}",
            &everywhere,
            "`#[apply]` is around it",
        );
        stays(
            "#[macro_export] macro_rules! a { () => { #[tokio::test] async fn b() {} } }",
            &everywhere,
            "other packages",
        );
        stays(
            "fn a() { quote! { #[tokio::test] async fn b() {} }; }",
            &everywhere,
            "a macro makes",
        );
        let nowhere = Usable::Nowhere("no straggler".to_owned());
        stays("#[tokio::test] async fn a() {}", &nowhere, "no straggler");
    }

    #[test]
    fn dev_dependency_is_used_in_tests_only() {
        let in_tests = Usable::InTests;
        let not_tests = "not under `#[cfg(test)]`";
        stays("#[tokio::test] async fn a() {}", &in_tests, not_tests);
        stays(
            "#[cfg_attr(not(test), tokio::test)] async fn a() {}",
            &in_tests,
            not_tests,
        );
        for text in [
            "#[cfg(test)] mod a { #[TOKIO::test] async fn b() {} }",
            "#[cfg_attr(test, TOKIO::test)] async fn b() {}",
            "#[cfg_attr(all(test, unix), test_log::test(TOKIO::test))] async fn b() {}",
        ] {
            let (after, kept) = converted(&text.replace("TOKIO", "tokio"), &in_tests);
            assert_eq!(after, text.replace("TOKIO", "straggler"));
            assert!(kept.is_empty(), "{kept:?}");
        }
    }
}
