//! What shows only when the runtime of a test has been shut down, and what a report says of it.

use std::mem;

use tokio::runtime::RuntimeFlavor;

use super::report::{Findings, Report, Verdict};
use super::scope::{Found, Scope};
use super::threads::LeakedThread;

/// What shows only when the runtime has been shut down.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rest {
    /// How much blocking work is left that is not on record.
    pub(crate) blocking: usize,
    /// The threads that are left, if the test denies them.
    pub(crate) threads: Vec<LeakedThread>,
    /// Why they could not be found out, if so.
    pub(crate) failed: Option<String>,
}

impl Scope {
    /// Adds what shows only when the runtime has been shut down.
    pub(crate) fn add(&self, mut found: Found, mut rest: Rest) -> Found {
        if rest == Rest::default() {
            return found;
        }
        let may_be_tasks = self.may_be_tasks(found.unseen, &rest);
        // What may be a task that is allowed fails no test.
        let is_too_much = rest.blocking - may_be_tasks > found.room;
        if rest.blocking > 0 && found.room > 0 {
            let count = self.rules.for_count();
            found.unused_rules.retain(|rule| *rule != count);
        }
        let mut findings = match found.report.take() {
            // What holds a lock may be what shows now, and ranks above it.
            Some(report) if *report.verdict() == Verdict::LocksHeld => {
                let verdict = match (is_too_much, rest.threads.is_empty()) {
                    (true, _) => Verdict::BlockingLeaked,
                    (false, false) => Verdict::ThreadsLeaked,
                    (false, true) => Verdict::LocksHeld,
                };
                Findings {
                    verdict,
                    allowed: self.rules.count(),
                    ..report.into_findings()
                }
            }
            Some(report) => report.into_findings(),
            None if is_too_much => Findings {
                allowed: self.rules.count(),
                besides: self.rules.count() - found.room,
                unused_rules: mem::take(&mut found.unused_rules),
                places_were_needed: self.rules.need_places(),
                ..Findings::new(self.test, self.place, Verdict::BlockingLeaked)
            },
            None if !rest.threads.is_empty() => {
                Findings::new(self.test, self.place, Verdict::ThreadsLeaked)
            }
            None => match rest.failed.take() {
                Some(reason) => Findings::new(self.test, self.place, Verdict::CheckFailed(reason)),
                None => return found,
            },
        };
        findings.threads_unknown = rest.failed;
        if is_too_much || findings.verdict == Verdict::Leaked {
            findings.unseen_blocking = rest.blocking;
            findings.may_be_tasks = may_be_tasks;
        }
        findings.threads = rest.threads;
        found.report = Some(Report::new(findings));
        found
    }

    /// Adds to the report of a test that was given up what shows only when the runtime has been shut
    /// down.
    pub(crate) fn add_to(&self, report: Report, rest: Rest) -> Report {
        let may_be_tasks = self.may_be_tasks(report.unseen(), &rest);
        Report::new(Findings {
            unseen_blocking: rest.blocking,
            may_be_tasks,
            threads: rest.threads,
            threads_unknown: rest.failed,
            ..report.into_findings()
        })
    }

    /// How many of the threads of the runtime that have not stopped may be workers, which a task
    /// blocks. Of a task that is not on record it cannot be seen.
    fn may_be_tasks(&self, unseen: usize, rest: &Rest) -> usize {
        match self.runtime.runtime_flavor() {
            RuntimeFlavor::MultiThread => unseen.min(rest.blocking),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::super::rules::Rules;
    use super::super::session::Session;
    use super::{Findings, Found, Report, Rest, Scope, Verdict};

    #[test]
    fn that_threads_could_not_be_found_out_is_told_beside_what_else_is_left() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.build().unwrap();
        let (session, place) = (Session::open(runtime.handle()), Location::caller());
        let rules = (Rules::default(), false);
        let scope = Scope::new(session, runtime.handle().clone(), rules, None, place);
        let left = Findings {
            unseen: 1,
            ..Findings::new(None, place, Verdict::Leaked)
        };
        let found = Found {
            report: Some(Report::new(left)),
            unused_rules: Vec::new(),
            room: 0,
            unseen: 1,
        };
        let rest = Rest {
            failed: Some("no entry".to_owned()),
            ..Rest::default()
        };
        let report = scope.add(found, rest).report.unwrap();
        assert_eq!(*report.verdict(), Verdict::Leaked);
        let note = "note: whether threads are left could not be found out: no entry";
        assert!(report.to_string().contains(note), "{report}");
    }
}
