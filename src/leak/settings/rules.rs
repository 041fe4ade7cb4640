//! Which tasks may outlive a test.

use std::cmp::Reverse;

use crate::trace::place::Place;

/// What may remain when a test ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// Of those that no rule for a place allows.
    count: Option<usize>,
    places: Vec<PlaceRule>,
}

/// How many tasks may remain that were spawned at places with a common beginning.
#[derive(Clone, Debug)]
struct PlaceRule {
    prefix: String,
    at_most: Option<usize>,
}

/// What the rules say of the tasks that remain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// The indices of the tasks that no rule for a place allows.
    pub(crate) excess: Vec<usize>,
    /// How many more may remain, of those and of the tasks whose places are not known.
    pub(crate) allowed: usize,
    /// The rules that allowed nothing, as they are written in the attribute.
    pub(crate) unused: Vec<String>,
}

impl Rules {
    /// Lets `count` tasks remain, wherever they were spawned.
    pub(crate) fn allow(&mut self, count: usize) {
        self.count = (count > 0).then_some(count);
    }

    /// Lets tasks remain that were spawned at places that begin with `prefix`.
    pub(crate) fn allow_at(&mut self, prefix: String, at_most: Option<usize>) {
        self.places.push(PlaceRule { prefix, at_most });
        // The one that says most goes first, so that a general one is left for what it alone allows.
        self.places.sort_by_key(|rule| Reverse(rule.prefix.len()));
    }

    /// How many may remain that no rule for a place allows.
    pub(crate) fn count(&self) -> usize {
        self.count.unwrap_or(0)
    }

    /// The rule for those, as it is written in the attribute.
    pub(crate) fn for_count(&self) -> String {
        format!("allow = {}", self.count())
    }

    /// Whether there are rules that need to know where tasks were spawned.
    pub(crate) fn need_places(&self) -> bool {
        !self.places.is_empty()
    }

    /// The rules, as they are written in the attribute: those that allow nothing where nothing
    /// remains.
    pub(crate) fn all(&self) -> Vec<String> {
        // As of nearly every test, which this is to cost nothing.
        if self.places.is_empty() && self.count.is_none() {
            return Vec::new();
        }
        let mut all: Vec<_> = self.places.iter().map(PlaceRule::to_string).collect();
        all.extend(self.count.map(|_| self.for_count()));
        all
    }

    /// Judges the tasks that remain by the places where they were spawned, and `unseen` others.
    pub(crate) fn judge(&self, places: &[Option<Place>], unseen: usize) -> Judgement {
        let mut used = vec![0; self.places.len()];
        let mut excess = Vec::new();
        for (index, place) in places.iter().enumerate() {
            let mut rules = self.places.iter().zip(&mut used);
            let allows = |(rule, used): &(&PlaceRule, &mut usize)| {
                let has_room = rule.at_most.is_none_or(|at_most| **used < at_most);
                has_room && place.as_ref().is_some_and(|place| rule.matches(place))
            };
            match rules.find(allows) {
                Some((_, used)) => *used += 1,
                None => excess.push(index),
            }
        }
        let rules = self.places.iter().zip(&used);
        let unused = rules.filter(|(_, used)| **used == 0);
        let mut unused: Vec<_> = unused.map(|(rule, _)| rule.to_string()).collect();
        if self.count.is_some() && excess.len() + unseen == 0 {
            unused.push(self.for_count());
        }
        Judgement {
            excess,
            allowed: self.count(),
            unused,
        }
    }
}

impl PlaceRule {
    /// Whether a place begins with the rule's prefix, and the prefix ends where a name ends: `src`
    /// is no beginning of `src2/lib.rs`. A package is also named without its version.
    fn matches(&self, place: &Place) -> bool {
        let place = place.to_string();
        let Some(rest) = place.strip_prefix(self.prefix.as_str()) else {
            return false;
        };
        let mut rest = rest.chars();
        self.prefix.ends_with(['/', ':'])
            || match rest.next() {
                None | Some('/' | ':') => true,
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
        rules.judge(&at([file]), 0).excess.len()
    }

    #[test]
    fn a_prefix_ends_where_a_name_ends() {
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
        assert_eq!(excess("src/po", "src/pool.rs"), 1);
        assert_eq!(excess("axum", "axum-extra-0.1.0/src/lib.rs"), 1);
    }

    #[test]
    fn a_rule_for_a_place_allows_no_more_than_it_says() {
        let mut rules = Rules::default();
        rules.allow_at("src/pool.rs".to_owned(), Some(1));
        let judgement = rules.judge(&at(["src/pool.rs", "src/pool.rs"]), 0);
        assert_eq!((judgement.excess, judgement.allowed), (vec![1], 0));
        assert!(judgement.unused.is_empty());
    }

    #[test]
    fn a_general_rule_is_left_for_what_it_alone_allows() {
        let mut rules = Rules::default();
        rules.allow_at("src".to_owned(), Some(1));
        rules.allow_at("src/pool.rs".to_owned(), None);
        let judgement = rules.judge(&at(["src/pool.rs", "src/lib.rs"]), 0);
        assert!(judgement.excess.is_empty() && judgement.unused.is_empty());
    }

    #[test]
    fn rules_that_allowed_nothing_are_named_as_they_are_written() {
        let mut rules = Rules::default();
        rules.allow(2);
        rules.allow_at("src/a.rs".to_owned(), None);
        rules.allow_at("src/b.rs".to_owned(), Some(3));
        rules.allow_at("src/c.rs".to_owned(), None);
        let judgement = rules.judge(&at(["src/c.rs"]), 0);
        let unused = [
            r#"allow("src/a.rs")"#,
            r#"allow("src/b.rs" = 3)"#,
            "allow = 2",
        ];
        assert_eq!(judgement.unused, unused);
        assert_eq!(rules.judge(&[], 1).unused.len(), 3);
        assert_eq!(rules.judge(&[], 0).unused, rules.all());
    }
}
