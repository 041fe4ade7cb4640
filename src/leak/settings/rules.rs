//! The `allow` rules: which tasks and blocking work may outlive a test.

use std::cmp::Reverse;

use crate::trace::place::Place;

/// The rules of one check.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// How many leftovers may remain beyond those a place rule allows.
    count: Option<usize>,
    places: Vec<PlaceRule>,
}

/// Allows leftovers spawned at a place that starts with `prefix`.
#[derive(Clone, Debug)]
struct PlaceRule {
    prefix: String,
    /// `None` for any number of them.
    at_most: Option<usize>,
}

/// The result of applying the rules to what remains.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    /// The indices of the leftovers that no place rule allows, ascending.
    pub(crate) excess: Vec<usize>,
    /// How many of the excess, and of the leftovers with unknown places, may remain.
    pub(crate) allowed: usize,
    /// The rules that matched nothing, as written in the attribute.
    pub(crate) unused: Vec<String>,
}

impl Rules {
    /// Allows `count` leftovers, wherever they were spawned. Zero removes the rule.
    pub(crate) fn allow(&mut self, count: usize) {
        self.count = (count > 0).then_some(count);
    }

    /// Allows leftovers spawned at a place that starts with `prefix`, `None` for any number of
    /// them.
    pub(crate) fn allow_at(&mut self, prefix: String, at_most: Option<usize>) {
        self.places.push(PlaceRule { prefix, at_most });
        // The most specific rule matches first, which leaves room in the general ones.
        self.places.sort_by_key(|rule| Reverse(rule.prefix.len()));
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

    /// Returns all rules as written in the attribute. If nothing remains, all of them are unused.
    pub(crate) fn all(&self) -> Vec<String> {
        // Nearly every test has no rules, and should not pay for an allocation.
        if self.places.is_empty() && self.count.is_none() {
            return Vec::new();
        }
        let mut all: Vec<_> = self.places.iter().map(PlaceRule::to_string).collect();
        all.extend(self.count.map(|_| self.count_rule()));
        all
    }

    /// Applies the rules to leftovers spawned at `places`, and to `unseen` more without a place.
    pub(crate) fn apply(&self, places: &[Option<Place>], unseen: usize) -> Applied {
        let mut used = vec![0; self.places.len()];
        let mut excess = Vec::new();
        for (index, place) in places.iter().enumerate() {
            let mut rules = self.places.iter().zip(&mut used);
            let has_match = |(rule, used): &(&PlaceRule, &mut usize)| {
                let has_room = rule.at_most.is_none_or(|at_most| **used < at_most);
                has_room && place.as_ref().is_some_and(|place| rule.matches(place))
            };
            match rules.find(has_match) {
                Some((_, used)) => *used += 1,
                None => excess.push(index),
            }
        }
        let rules = self.places.iter().zip(&used);
        let unused = rules.filter(|(_, used)| **used == 0);
        let mut unused: Vec<_> = unused.map(|(rule, _)| rule.to_string()).collect();
        if self.count.is_some() && excess.len() + unseen == 0 {
            unused.push(self.count_rule());
        }
        Applied {
            excess,
            allowed: self.count(),
            unused,
        }
    }
}

impl PlaceRule {
    /// Returns whether `place` starts with the prefix, and the prefix ends at the end of a name:
    /// `src` does not match `src2/lib.rs`, but `axum` matches `axum-0.8.9/src/lib.rs`.
    fn matches(&self, place: &Place) -> bool {
        // `file!()` has backslashes on Windows; places never do.
        let prefix = self.prefix.replace('\\', "/");
        let place = place.to_string();
        let Some(rest) = place.strip_prefix(prefix.as_str()) else {
            return false;
        };
        let mut rest = rest.chars();
        prefix.ends_with(['/', ':'])
            || match rest.next() {
                None | Some('/' | ':') => true,
                // `axum` names `axum-0.8.9` too, but not `axum-extra-0.1.0`.
                Some('-') => rest.next().is_some_and(|digit| digit.is_ascii_digit()),
                Some(_) => false,
            }
    }
}

impl std::fmt::Display for PlaceRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at_most {
            Some(at_most) => write!(f, "allow({:?} = {at_most})", self.prefix),
            None => write!(f, "allow({:?})", self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Rules};

    fn at<const N: usize>(files: [&str; N]) -> [Option<Place>; N] {
        files.map(|file| Some(Place::new(file, 7, Some(9))))
    }

    fn excess(prefix: &str, file: &str) -> usize {
        let mut rules = Rules::default();
        rules.allow_at(prefix.to_owned(), None);
        rules.apply(&at([file]), 0).excess.len()
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
    }

    #[test]
    fn place_rule_is_limited_to_its_count() {
        let mut rules = Rules::default();
        rules.allow_at("src/pool.rs".to_owned(), Some(1));
        let applied = rules.apply(&at(["src/pool.rs", "src/pool.rs"]), 0);
        assert_eq!((applied.excess, applied.allowed), (vec![1], 0));
        assert!(applied.unused.is_empty());
    }

    #[test]
    fn specific_rule_matches_first() {
        let mut rules = Rules::default();
        rules.allow_at("src".to_owned(), Some(1));
        rules.allow_at("src/pool.rs".to_owned(), None);
        let applied = rules.apply(&at(["src/pool.rs", "src/lib.rs"]), 0);
        assert!(applied.excess.is_empty() && applied.unused.is_empty());
    }

    #[test]
    fn unused_rules_are_named_as_written() {
        let mut rules = Rules::default();
        rules.allow(2);
        rules.allow_at("src/a.rs".to_owned(), None);
        rules.allow_at("src/b.rs".to_owned(), Some(3));
        rules.allow_at("src/c.rs".to_owned(), None);
        let applied = rules.apply(&at(["src/c.rs"]), 0);
        let unused = [
            r#"allow("src/a.rs")"#,
            r#"allow("src/b.rs" = 3)"#,
            "allow = 2",
        ];
        assert_eq!(applied.unused, unused);
        assert_eq!(rules.apply(&[], 1).unused.len(), 3);
        assert_eq!(rules.apply(&[], 0).unused, rules.all());
    }
}
