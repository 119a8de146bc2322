//! Makes tests of (subject, family) pairs and runs them: a fresh subject for each, and a time limit.

use std::sync::mpsc;
use std::time::Duration;

use crate::case::Case;
use crate::subject::Subject;

/// A case that takes longer is stuck: each is meant to take milliseconds.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Runs one case of a table on a fresh subject. Skips it, saying so, if the subject lacks what it needs.
pub fn run(make: fn() -> Subject, table: &'static [Case], name: &str) {
    let case = *table.iter().find(|case| case.name == name).expect("the case is in its family's table");
    let (ended, waiting) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let subject = make();
        let lacks = case.needs.difference(subject.has);
        if lacks.is_empty() {
            (case.run)(&subject);
        } else {
            println!("skipped: {} lacks {lacks:?}", subject.name);
        }
        // The receiver is gone only if the time was up, and then the test has failed already.
        let _ = ended.send(());
    });
    match waiting.recv_timeout(TIME_LIMIT) {
        Ok(()) => {}
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the case did not end within {TIME_LIMIT:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {}
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Makes the tests of a subject: `subject_tests! { subject = path::to::maker; family: path::TABLE, for_each_macro; … }`.
#[macro_export]
macro_rules! subject_tests {
    ($subject:ident = $make:path; $($family:ident: $table:path, $each:ident;)*) => {
        mod $subject {
            $(mod $family {
                use weft_cts::family_tests;
                weft_cts::$each! { family_tests $make, $table; }
            })*
        }
    };
}

/// Makes the tests of one family; called by [`subject_tests!`].
#[macro_export]
macro_rules! family_tests {
    ($make:path, $table:path; $($name:ident)*) => {
        $(#[test]
        fn $name() {
            weft_cts::harness::run($make, $table, stringify!($name));
        })*
    };
}
