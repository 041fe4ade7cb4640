//! Findings that show only after the runtime of a test has shut down.

use tokio::runtime::RuntimeFlavor;

use crate::leak::check::scope::{Found, Scope};
use crate::leak::report::Report;
use crate::leak::report::findings::Findings;
use crate::leak::report::leaked_thread::LeakedThread;
use crate::trace::blocked::Blocked;

/// The findings after the shutdown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PostShutdown {
    /// The number of blocking closures that are not recorded.
    pub(crate) blocking: usize,
    /// Where their threads are, as far as it is known.
    pub(crate) blocked: Vec<Blocked>,
    /// The leaked threads, if the test denies them.
    pub(crate) threads: Vec<LeakedThread>,
    /// Why threads could not be listed, if so.
    pub(crate) failed: Option<String>,
}

impl PostShutdown {
    /// Adds these to the findings before the shutdown.
    pub(crate) fn add_to(self, found: Found, scope: &Scope) -> Findings {
        let Found {
            mut findings,
            room,
            place_room,
            unseen,
        } = found;
        if self == Self::default() {
            return findings;
        }
        let rules = &scope.rules;
        let may_be_tasks = self.may_be_tasks(unseen, scope);
        // A busy thread that may belong to an allowed task must not fail the test.
        let assumed = (self.blocking - may_be_tasks).min(place_room);
        let blocking = self.blocking - assumed;
        let is_too_much = blocking - may_be_tasks > room;
        // This blocking work used the rules after all.
        let is_count = |rule: &String| *rule == rules.count_rule();
        if assumed > 0 {
            findings.assumed += assumed;
            findings.unused_rules.retain(is_count);
        }
        if blocking > 0 && room > 0 {
            findings.unused_rules.retain(|rule| !is_count(rule));
        }
        let has_tasks = !findings.tasks.is_empty() || findings.unseen > 0;
        if is_too_much && !has_tasks && findings.blocking.is_empty() {
            findings.allowed = rules.count();
            findings.also_left = rules.count() - room;
            findings.rules = rules.clone();
        }
        if is_too_much || has_tasks {
            findings.unseen_blocking = blocking;
            findings.unseen_blocked = self.blocked;
            findings.may_be_tasks = may_be_tasks;
        }
        findings.threads = self.threads;
        findings.threads_unknown = self.failed;
        findings
    }

    /// Adds these to the report of a test that was given up.
    pub(crate) fn amend(self, report: Report, scope: &Scope) -> Report {
        let may_be_tasks = self.may_be_tasks(report.unseen(), scope);
        report.amend(|findings| {
            findings.unseen_blocking = self.blocking;
            findings.unseen_blocked = self.blocked;
            findings.may_be_tasks = may_be_tasks;
            findings.threads = self.threads;
            findings.threads_unknown = self.failed;
        })
    }

    /// Returns how many of the busy threads may be workers blocked by an unrecorded task, rather
    /// than blocking work.
    fn may_be_tasks(&self, unseen: usize, scope: &Scope) -> usize {
        match scope.census.runtime.runtime_flavor() {
            RuntimeFlavor::MultiThread => unseen.min(self.blocking),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::{Found, PostShutdown};
    use crate::leak::check::census::Census;
    use crate::leak::check::scope::Scope;
    use crate::leak::record::session::Session;
    use crate::leak::report::Report;
    use crate::leak::report::findings::Findings;
    use crate::leak::report::verdict::Verdict;
    use crate::leak::settings::rules::Rules;

    #[test]
    fn unlisted_threads_are_noted_with_leaks() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.build().unwrap();
        let (session, place) = (Session::open(runtime.handle()), Location::caller());
        let census = Census::of_all(session, runtime.handle().clone());
        let scope = Scope::new(census, Rules::default(), false, None, place);
        let left = Findings {
            unseen: 1,
            ..scope.no_findings()
        };
        let found = Found {
            findings: left,
            room: 0,
            place_room: 0,
            unseen: 1,
        };
        let shutdown = PostShutdown {
            failed: Some("could not list the process's threads: no entry".to_owned()),
            ..PostShutdown::default()
        };
        let report = Report::rank(shutdown.add_to(found, &scope)).unwrap();
        assert_eq!(*report.verdict(), Verdict::Leaked);
        let note = "note: the check for leaked threads failed: it could not list the process's threads: no entry";
        assert!(report.to_string().contains(note), "{report}");
    }
}
