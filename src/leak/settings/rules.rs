//! The `allow` rules: which tasks and blocking work may outlive a test.

use std::cmp::Reverse;
use std::fmt;

use crate::trace::place::Place;

/// The rules of one check.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// How many leftovers may remain beyond those a place rule allows.
    count: Option<usize>,
    places: Vec<PlaceRule>,
}

/// Allows leftovers that were spawned at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlaceRule {
    /// As written: a package, or how the place starts, and perhaps `::` and a function.
    place: String,
    /// `None` for any number of them.
    at_most: Option<usize>,
    /// Whether it is from `STRAGGLER_ALLOW`, and so applies to every test.
    is_of_suite: bool,
}

/// Where a leftover was spawned.
#[derive(Debug)]
pub(crate) struct Origin {
    /// `None` if nobody knows.
    pub(crate) place: Option<Place>,
    /// The path of the function around the spawn, if it is known.
    pub(crate) function: Option<String>,
}

/// Whether a leftover was spawned at the place of a rule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Match {
    Yes,
    No,
    Unknown,
}

/// The result of applying the rules to what remains.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    /// The indices of the leftovers that no place rule allows, ascending.
    pub(crate) excess: Vec<usize>,
    /// How many leftovers without a record no place rule allows.
    pub(crate) unseen: usize,
    /// How many leftovers place rules allow that may have been spawned elsewhere.
    pub(crate) assumed: usize,
    /// How many more leftovers without a record the place rules would allow.
    pub(crate) room: usize,
    /// How many of the excess may remain.
    pub(crate) allowed: usize,
    /// The rules of the test that matched nothing, as written in the attribute.
    pub(crate) unused: Vec<String>,
}

impl Rules {
    /// Allows `count` leftovers, wherever they were spawned. Zero removes the rule.
    pub(crate) fn allow(&mut self, count: usize) {
        self.count = (count > 0).then_some(count);
    }

    /// Allows leftovers spawned at a place, `None` for any number of them.
    pub(crate) fn allow_at(&mut self, place: String, at_most: Option<usize>) {
        let is_of_suite = false;
        self.add([PlaceRule {
            place,
            at_most,
            is_of_suite,
        }]);
    }

    /// Adds the rules of the suite.
    pub(crate) fn with(mut self, of_suite: &[PlaceRule]) -> Self {
        self.add(of_suite.iter().cloned());
        self
    }

    fn add(&mut self, rules: impl IntoIterator<Item = PlaceRule>) {
        self.places.extend(rules);
        // The most specific rule matches first, which leaves room in the general ones.
        self.places.sort_by_key(|rule| Reverse(rule.place.len()));
    }

    /// Returns how many leftovers may remain beyond those a place rule allows.
    pub(crate) fn count(&self) -> usize {
        self.count.unwrap_or(0)
    }

    /// Returns the count rule as written in the attribute.
    pub(crate) fn count_rule(&self) -> String {
        format!("allow = {}", self.count())
    }

    /// Returns whether any rule depends on where tasks were spawned.
    pub(crate) fn need_places(&self) -> bool {
        !self.places.is_empty()
    }

    /// Returns whether any rule depends on the functions that spawned tasks.
    pub(crate) fn need_functions(&self) -> bool {
        self.places.iter().any(|rule| rule.parts().1.is_some())
    }

    /// Returns how many leftovers the rules allow at most, `None` for any number.
    pub(crate) fn at_most(&self) -> Option<usize> {
        let mut limits = self.places.iter().map(|rule| rule.at_most);
        limits.try_fold(self.count(), |sum, limit| Some(sum.saturating_add(limit?)))
    }

    /// Returns how many leftovers without a record the place rules allow where nothing else is left.
    pub(crate) fn room(&self) -> usize {
        let rooms = self.places.iter().map(|rule| rule.unknown_room(0));
        rooms.fold(0, usize::saturating_add)
    }

    /// Returns how many leftovers the test allows at exactly this place.
    pub(crate) fn limit_at(&self, place: &str) -> usize {
        let mut rules = self.places.iter().filter(|rule| !rule.is_of_suite);
        let rule = rules.find(|rule| rule.place == place);
        rule.and_then(|rule| rule.at_most).unwrap_or(0)
    }

    /// Returns the rules of the test as written in the attribute. If nothing remains, all of them are
    /// unused.
    pub(crate) fn all(&self) -> Vec<String> {
        // Nearly every test has no rules, and should not pay for an allocation.
        if self.places.is_empty() && self.count.is_none() {
            return Vec::new();
        }
        let of_test = self.places.iter().filter(|rule| !rule.is_of_suite);
        let mut all: Vec<_> = of_test.map(PlaceRule::to_string).collect();
        all.extend(self.count.map(|_| self.count_rule()));
        all
    }

    /// Applies the rules to leftovers with these origins, and to `unseen` more without a record.
    ///
    /// A leftover that may have been spawned at the place of a rule takes room that is left there. So rules
    /// with counts, if they allow everything in a build that sees each place, do so in every build.
    pub(crate) fn apply(&self, origins: &[Origin], unseen: usize) -> Applied {
        let mut used = vec![0; self.places.len()];
        let mut others = Vec::new();
        for (index, origin) in origins.iter().enumerate() {
            let mut rules = self.places.iter().zip(&mut used);
            let is_match = |(rule, used): &(&PlaceRule, &mut usize)| {
                let has_room = rule.at_most.is_none_or(|at_most| **used < at_most);
                has_room && rule.matches(origin) == Match::Yes
            };
            match rules.find(is_match) {
                Some((_, used)) => *used += 1,
                None => others.push(index),
            }
        }
        let rooms = self.places.iter().zip(&used);
        let mut rooms: Vec<_> = rooms.map(|(rule, used)| rule.unknown_room(*used)).collect();
        let recorded = others.len();
        others.retain(|&index| {
            let mut rules = self.places.iter().zip(&mut rooms);
            let may_match = |(rule, room): &(&PlaceRule, &mut usize)| {
                **room > 0 && rule.matches(&origins[index]) == Match::Unknown
            };
            let taken = rules.find(may_match).map(|(_, room)| *room -= 1);
            taken.is_none()
        });
        let room = rooms.iter().copied().fold(0, usize::saturating_add);
        let excess_unseen = unseen.saturating_sub(room);
        let assumed = recorded - others.len() + unseen - excess_unseen;
        let mut unused = Vec::new();
        // Otherwise nobody knows which of them were used.
        if assumed == 0 {
            let rules = self.places.iter().zip(&used);
            let of_test = rules.filter(|(rule, used)| **used == 0 && !rule.is_of_suite);
            unused.extend(of_test.map(|(rule, _)| rule.to_string()));
        }
        if self.count.is_some() && others.len() + excess_unseen == 0 {
            unused.push(self.count_rule());
        }
        Applied {
            excess: others,
            unseen: excess_unseen,
            assumed,
            room: room.saturating_sub(unseen),
            allowed: self.count(),
            unused,
        }
    }
}

impl PlaceRule {
    /// Parses the rules of a suite: `bb8=1,src/pool.rs`.
    ///
    /// # Errors
    ///
    /// Returns the first part that is not a rule.
    pub(crate) fn parse_list(text: &str) -> Result<Vec<Self>, &str> {
        text.split(',').map(Self::parse).collect()
    }

    fn parse(text: &str) -> Result<Self, &str> {
        let text = text.trim();
        let (place, at_most) = match text.rsplit_once('=') {
            Some((place, at_most)) => (place, Some(at_most.trim().parse().map_err(|_| text)?)),
            None => (text, None),
        };
        let place = place.trim().trim_matches('"').to_owned();
        let is_number = place.bytes().all(|byte| byte.is_ascii_digit());
        let is_complete = place.split("::").all(|part| !part.is_empty());
        if is_number || !is_complete || at_most == Some(0) {
            return Err(text);
        }
        Ok(Self {
            place,
            at_most,
            is_of_suite: true,
        })
    }

    /// Splits the rule into how a place starts, and the function.
    fn parts(&self) -> (&str, Option<&str>) {
        match self.place.split_once("::") {
            Some((place, function)) => (place, Some(function)),
            None => (&self.place, None),
        }
    }

    /// Returns how many leftovers that may have been spawned there it allows, after `used` that were.
    fn unknown_room(&self, used: usize) -> usize {
        match self.at_most {
            Some(at_most) => at_most - used,
            // A build that sees some leftovers there should see them all. And a suite must not allow every
            // untracked task.
            None if used > 0 || self.is_of_suite => 0,
            None => usize::MAX,
        }
    }

    fn matches(&self, origin: &Origin) -> Match {
        let (starts_with, function) = self.parts();
        let Some(place) = &origin.place else {
            return Match::Unknown;
        };
        if !is_at(place, starts_with) {
            return Match::No;
        }
        match (function, &origin.function) {
            (None, _) => Match::Yes,
            (Some(_), None) => Match::Unknown,
            (Some(rule), Some(path)) if has_names(path, rule) => Match::Yes,
            (Some(_), Some(_)) => Match::No,
        }
    }
}

/// Returns whether `place` is in the package of this name, or starts with `prefix` and the prefix ends at the
/// end of a name: `src` does not match `src2/lib.rs`.
fn is_at(place: &Place, prefix: &str) -> bool {
    if place.package() == Some(prefix) {
        return true;
    }
    // `file!()` has backslashes on Windows; places never do.
    let prefix = prefix.replace('\\', "/");
    let place = place.to_string();
    let rest = place.strip_prefix(prefix.as_str());
    rest.is_some_and(|rest| {
        rest.is_empty() || prefix.ends_with(['/', ':']) || rest.starts_with(['/', ':'])
    })
}

/// Returns whether the path of a function has these names in a row.
fn has_names(path: &str, names: &str) -> bool {
    let path: Vec<_> = path.split("::").collect();
    let names: Vec<_> = names.split("::").collect();
    path.windows(names.len()).any(|part| part == names)
}

impl fmt::Display for PlaceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at_most {
            Some(at_most) => write!(f, "allow({:?} = {at_most})", self.place),
            None => write!(f, "allow({:?})", self.place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Origin, Place, PlaceRule, Rules};

    fn at<const N: usize>(files: [&str; N]) -> [Origin; N] {
        files.map(|file| Origin {
            place: Some(Place::new(file, 7, Some(9))),
            function: None,
        })
    }

    /// A spawn in `src/auth.rs`, in this function.
    fn within(function: Option<&str>) -> Origin {
        let [origin] = at(["src/auth.rs"]);
        let function = function.map(str::to_owned);
        Origin { function, ..origin }
    }

    fn rules<const N: usize>(places: [(&str, Option<usize>); N]) -> Rules {
        let mut rules = Rules::default();
        for (place, at_most) in places {
            rules.allow_at(place.to_owned(), at_most);
        }
        rules
    }

    fn excess(prefix: &str, file: &str) -> usize {
        rules([(prefix, None)]).apply(&at([file]), 0).excess.len()
    }

    #[test]
    fn prefix_ends_at_a_name_boundary() {
        let fetched = "/ada/.cargo/registry/src/index-0a/axum-0.8.9/src/serve/mod.rs";
        for prefix in ["axum", "axum-0.8.9", "axum-0.8.9/src/serve", "axum-0.8.9/"] {
            assert_eq!(excess(prefix, fetched), 0, "{prefix}");
        }
        for prefix in ["axu", "xum", "axum-0", "serve", "axum/src"] {
            assert_eq!(excess(prefix, fetched), 1, "{prefix}");
        }
        for prefix in [
            "src",
            "src/",
            "src/pool.rs",
            "src/pool.rs:7",
            "src/pool.rs:7:9",
        ] {
            assert_eq!(excess(prefix, "src/pool.rs"), 0, "{prefix}");
        }
        assert_eq!(excess("src/pool.rs:", "src/pool.rs"), 0);
        assert_eq!(excess(r"src\pool.rs", "src/pool.rs"), 0);
        assert_eq!(excess(r"src\pool.rs", r"src\pool.rs"), 0);
        assert_eq!(excess("src/po", "src/pool.rs"), 1);
        assert_eq!(excess("axum", "axum-extra-0.1.0/src/lib.rs"), 1);
        assert_eq!(excess("axum", "axum-2/src/lib.rs"), 1, "not a dependency");
        let checked_out = "/ada/.cargo/git/checkouts/bb8-0a1b2c3d4e5f6a7b/c2d3e4f/src/lib.rs";
        assert_eq!(excess("bb8", checked_out), 0);
    }

    #[test]
    fn place_rule_is_limited_to_its_count() {
        let rules = rules([("src/pool.rs", Some(1))]);
        let applied = rules.apply(&at(["src/pool.rs", "src/pool.rs"]), 0);
        assert_eq!((applied.excess, applied.allowed), (vec![1], 0));
        assert!(applied.unused.is_empty());
    }

    #[test]
    fn specific_rule_matches_first() {
        let rules = rules([("src", Some(1)), ("src/pool.rs", None)]);
        let applied = rules.apply(&at(["src/pool.rs", "src/lib.rs"]), 0);
        assert!(applied.excess.is_empty() && applied.unused.is_empty());
    }

    #[test]
    fn unused_rules_are_named_as_written() {
        let mut rules = rules([
            ("src/a.rs", None),
            ("src/b.rs", Some(3)),
            ("src/c.rs", None),
        ]);
        rules.allow(2);
        let applied = rules.apply(&at(["src/c.rs"]), 0);
        let unused = [
            r#"allow("src/a.rs")"#,
            r#"allow("src/b.rs" = 3)"#,
            "allow = 2",
        ];
        assert_eq!(applied.unused, unused);
        assert_eq!(rules.apply(&[], 0).unused, rules.all());
    }

    #[test]
    fn unseen_leftovers_take_room_of_counts() {
        let rules = rules([("src/pool.rs", Some(2)), ("src/log.rs", Some(1))]);
        let applied = rules.apply(&at(["src/pool.rs"]), 3);
        assert_eq!((applied.unseen, applied.assumed, applied.room), (1, 2, 0));
        let applied = rules.apply(&at(["src/pool.rs"]), 1);
        assert_eq!((applied.unseen, applied.assumed, applied.room), (0, 1, 1));
        assert!(
            applied.unused.is_empty(),
            "the other may be from src/log.rs"
        );
    }

    #[test]
    fn rule_without_count_covers_unseen_if_unmatched() {
        let rules = rules([("src/pool.rs", None)]);
        let blind = rules.apply(&[], 5);
        assert_eq!((blind.unseen, blind.assumed), (0, 5));
        let tracked = rules.apply(&at(["src/pool.rs"]), 5);
        assert_eq!((tracked.unseen, tracked.assumed), (5, 0));
    }

    #[test]
    fn rule_of_suite_covers_unseen_up_to_count() {
        let of_suite = PlaceRule::parse_list("bb8=1,src/pool.rs").unwrap();
        let rules = Rules::default().with(&of_suite);
        let applied = rules.apply(&at(["src/pool.rs", "src/pool.rs"]), 3);
        assert!(applied.excess.is_empty());
        assert_eq!((applied.unseen, applied.assumed), (2, 1));
        assert!(rules.apply(&[], 0).unused.is_empty() && rules.all().is_empty());
    }

    /// What a build with every place visible allows, each build allows that sees fewer of them.
    #[test]
    fn counts_allow_the_same_in_blind_builds() {
        let rules = rules([
            ("src", Some(2)),
            ("src/pool.rs", Some(1)),
            ("axum", Some(1)),
        ]);
        let fetched = "/ada/.cargo/registry/src/index-0a/axum-0.8.9/src/lib.rs";
        let files = ["src/pool.rs", "src/pool.rs", "src/lib.rs", fetched];
        for visible in 0..1 << files.len() {
            let is_visible = |index: &usize| visible & (1 << index) != 0;
            let seen: Vec<_> = (0..files.len()).filter(is_visible).collect();
            let origins: Vec<_> = seen.iter().flat_map(|&index| at([files[index]])).collect();
            let applied = rules.apply(&origins, files.len() - seen.len());
            assert!(applied.excess.is_empty() && applied.unseen == 0, "{seen:?}");
        }
        let more = rules.apply(&at(files), 1);
        assert_eq!(more.unseen, 1);
    }

    #[test]
    fn function_has_names_in_a_row() {
        for (rule, function, is_allowed) in [
            ("src/auth.rs::tests", "bank::auth::tests::login", true),
            (
                "src/auth.rs::tests::login",
                "bank::auth::tests::login",
                true,
            ),
            ("src/auth.rs::tests", "bank::auth::Pool::start", false),
            (
                "src/auth.rs::auth::login",
                "bank::auth::tests::login",
                false,
            ),
            ("src/auth.rs::test", "bank::auth::tests::login", false),
            ("src/other.rs::tests", "bank::auth::tests::login", false),
        ] {
            let applied = rules([(rule, None)]).apply(&[within(Some(function))], 0);
            assert_eq!(applied.excess.is_empty(), is_allowed, "{rule} {function}");
            assert_eq!(applied.assumed, 0);
        }
    }

    #[test]
    fn unknown_function_takes_room_of_its_file() {
        let rules = rules([("src/auth.rs::tests", Some(1))]);
        let unknown = || within(None);
        let applied = rules.apply(&[unknown(), unknown()], 0);
        assert_eq!((applied.excess, applied.assumed), (vec![1], 1));
        let [elsewhere] = at(["src/pool.rs"]);
        assert_eq!(rules.apply(&[elsewhere], 0).excess, [0]);
    }

    #[test]
    fn suite_rules_are_parsed() {
        let parsed = PlaceRule::parse_list(r#"bb8=1, src/pool.rs ,"src/auth.rs::tests" = 2"#);
        let written: Vec<_> = parsed.unwrap().iter().map(ToString::to_string).collect();
        let expected = [
            r#"allow("bb8" = 1)"#,
            r#"allow("src/pool.rs")"#,
            r#"allow("src/auth.rs::tests" = 2)"#,
        ];
        assert_eq!(written, expected);
        for invalid in [
            "",
            "2",
            "bb8=",
            "bb8=0",
            "bb8=all",
            "=1",
            "::tests",
            "src/a.rs::",
        ] {
            let list = format!("axum,{invalid}");
            assert_eq!(PlaceRule::parse_list(&list), Err(invalid), "{invalid}");
        }
    }
}
