//! The options of cargo that choose the features of a build, for a command that builds the same again.

use std::ffi::OsString;

/// The beginnings of cargo's options for features.
const FEATURES: [&str; 4] = [
    "--all-features",
    "--no-default-features",
    "--features",
    "-F",
];

/// The options for features among those that are passed to cargo, each with a space before it.
pub(crate) fn among(passed_on: &[OsString]) -> String {
    let arguments = passed_on.iter().map(|argument| argument.to_string_lossy());
    let mut arguments = arguments.take_while(|argument| argument != "--");
    let mut features = String::new();
    while let Some(argument) = arguments.next() {
        if !FEATURES.iter().any(|option| argument.starts_with(option)) {
            continue;
        }
        features += &quoted(&argument);
        if matches!(&*argument, "--features" | "-F") {
            features += &arguments.next().as_deref().map(quoted).unwrap_or_default();
        }
    }
    features
}

/// A space and an argument, as a shell takes it.
fn quoted(argument: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=,./:+".contains(letter);
    if argument.chars().all(is_plain) {
        format!(" {argument}")
    } else {
        format!(" '{argument}'")
    }
}

#[cfg(test)]
mod tests {
    use super::among;

    #[test]
    fn replay_has_features() {
        for (passed_on, expected) in [
            ("-p pool --test pool closes -- --exact", ""),
            ("--all-features closes", " --all-features"),
            ("--features full -p pool", " --features full"),
            (
                "--features=a,b --no-default-features",
                " --features=a,b --no-default-features",
            ),
            ("-F rt -Ftime -- -F", " -F rt -Ftime"),
            ("--features", " --features"),
        ] {
            let passed_on: Vec<_> = passed_on.split(' ').map(Into::into).collect();
            assert_eq!(among(&passed_on), expected);
        }
        let two = ["--features", "a b"].map(Into::into);
        assert_eq!(among(&two), " --features 'a b'");
    }
}
