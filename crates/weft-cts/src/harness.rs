//! Makes tests of (subject, family) pairs and runs them: a fresh subject for each, and a time limit.

use std::sync::mpsc;
use std::time::Duration;

use bitflags::Flags;

use crate::case::{Case, Tested};

/// A case that takes longer is stuck: each is meant to take milliseconds, a few repeat something for seconds, and a machine
/// that has other things to do may take ten times as long.
const TIME_LIMIT: Duration = Duration::from_secs(if cfg!(tsan) { 300 } else { 120 });

/// Runs one case of a table on a fresh subject. Skips it, saying so, if the subject lacks what it needs.
pub fn run<S: Tested>(make: fn() -> S, table: &'static [Case<S>], name: &str) {
    let case = table.iter().find(|case| case.name == name).expect("the case is in its family's table");
    let (ended, waiting) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let subject = make();
        let lacks = case.needs.difference(subject.has());
        match subject.why_missing() {
            Some(why) => println!("skipped: {}: {why}", subject.name()),
            None if lacks.is_empty() => (case.run)(&subject),
            None => println!("skipped: {} lacks {lacks:?}", subject.name()),
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

/// Makes the tests of a subject in the families for every device, and those that are named:
/// `every_family! { subject = path::to::maker; family: path::TABLE, for_each_macro; … }`.
#[macro_export]
macro_rules! every_family {
    ($subject:ident = $make:path; $($more:tt)*) => {
        weft_cts::subject_tests! { $subject = $make; $($more)*
            buffer: weft_cts::hal::buffer::BUFFER, for_each_buffer_case;
            cancel: weft_cts::hal::cancel::CANCEL, for_each_cancel_case;
            cancel_running: weft_cts::hal::cancel_running::CANCEL_RUNNING, for_each_cancel_running_case;
            causality: weft_cts::hal::causality::CAUSALITY, for_each_causality_case;
            command: weft_cts::hal::command::COMMAND, for_each_command_case;
            deferred: weft_cts::hal::deferred::DEFERRED, for_each_deferred_case;
            dispatch: weft_cts::hal::dispatch::DISPATCH, for_each_dispatch_case;
            file: weft_cts::hal::file::FILE, for_each_file_case;
            host_call: weft_cts::hal::host_call::HOST_CALL, for_each_host_call_case;
            indirect: weft_cts::hal::indirect::INDIRECT, for_each_indirect_case;
            lending: weft_cts::hal::lending::LENDING, for_each_lending_case;
            lifecycle: weft_cts::hal::lifecycle::LIFECYCLE, for_each_lifecycle_case;
            ordering: weft_cts::hal::ordering::ORDERING, for_each_ordering_case;
            polled_file: weft_cts::hal::polled_file::POLLED_FILE, for_each_polled_file_case;
            pool: weft_cts::hal::pool::POOL, for_each_pool_case;
            queue: weft_cts::hal::queue::QUEUE, for_each_queue_case;
            scheduling: weft_cts::hal::scheduling::SCHEDULING, for_each_scheduling_case;
            semaphore: weft_cts::hal::semaphore::SEMAPHORE, for_each_semaphore_case;
            table: weft_cts::hal::table::TABLE, for_each_table_case;
            transfer: weft_cts::hal::transfer::TRANSFER, for_each_transfer_case;
            transient: weft_cts::hal::transient::TRANSIENT, for_each_transient_case;
        }
    };
}

/// Makes the tests of a configuration of proactors in every family: `every_io_family! { subject = path::to::maker; }`.
#[macro_export]
macro_rules! every_io_family {
    ($subject:ident = $make:path;) => {
        weft_cts::subject_tests! { $subject = $make;
            buffer: weft_cts::io::buffer::BUFFER, for_each_io_buffer_case;
            buffer_bundle: weft_cts::io::buffer_bundle::BUFFER_BUNDLE, for_each_io_buffer_bundle_case;
            buffer_incremental: weft_cts::io::buffer_incremental::BUFFER_INCREMENTAL, for_each_io_buffer_incremental_case;
            buffer_receive: weft_cts::io::buffer_receive::BUFFER_RECEIVE, for_each_io_buffer_receive_case;
            buffer_sharing: weft_cts::io::buffer_sharing::BUFFER_SHARING, for_each_io_buffer_sharing_case;
            cancellation: weft_cts::io::cancellation::CANCELLATION, for_each_io_cancellation_case;
            capability: weft_cts::io::capability::CAPABILITY, for_each_io_capability_case;
            chain: weft_cts::io::chain::CHAIN, for_each_io_chain_case;
            event: weft_cts::io::event::EVENT, for_each_io_event_case;
            event_source: weft_cts::io::event_source::EVENT_SOURCE, for_each_io_event_source_case;
            exhaustion: weft_cts::io::exhaustion::EXHAUSTION, for_each_io_exhaustion_case;
            fence: weft_cts::io::fence::FENCE, for_each_io_fence_case;
            file: weft_cts::io::file::FILE, for_each_io_file_case;
            file_special: weft_cts::io::file_special::FILE_SPECIAL, for_each_io_file_special_case;
            futex: weft_cts::io::futex::FUTEX_CASES, for_each_io_futex_case;
            lifecycle: weft_cts::io::lifecycle::LIFECYCLE, for_each_io_lifecycle_case;
            load: weft_cts::io::load::LOAD, for_each_io_load_case;
            message: weft_cts::io::message::MESSAGE, for_each_io_message_case;
            notification: weft_cts::io::notification::NOTIFICATION, for_each_io_notification_case;
            poll: weft_cts::io::poll::POLL, for_each_io_poll_case;
            race: weft_cts::io::race::RACE, for_each_io_race_case;
            random: weft_cts::io::random::RANDOM, for_each_io_random_case;
            registered_close: weft_cts::io::registered_close::REGISTERED_CLOSE, for_each_io_registered_close_case;
            registered_file: weft_cts::io::registered_file::REGISTERED_FILE, for_each_io_registered_file_case;
            relay: weft_cts::io::relay::RELAY, for_each_io_relay_case;
            semaphore: weft_cts::io::semaphore::SEMAPHORE, for_each_io_semaphore_case;
            sequence: weft_cts::io::sequence::SEQUENCE, for_each_io_sequence_case;
            shutdown: weft_cts::io::shutdown::SHUTDOWN, for_each_io_shutdown_case;
            socket_close: weft_cts::io::socket_close::SOCKET_CLOSE, for_each_io_socket_close_case;
            socket_data: weft_cts::io::socket_data::SOCKET_DATA, for_each_io_socket_data_case;
            socket_datagram: weft_cts::io::socket_datagram::SOCKET_DATAGRAM, for_each_io_socket_datagram_case;
            socket_many: weft_cts::io::socket_many::SOCKET_MANY, for_each_io_socket_many_case;
            socket_patience: weft_cts::io::socket_patience::SOCKET_PATIENCE, for_each_io_socket_patience_case;
            socket_shared: weft_cts::io::socket_shared::SOCKET_SHARED, for_each_io_socket_shared_case;
            socket_zero_copy: weft_cts::io::socket_zero_copy::SOCKET_ZERO_COPY, for_each_io_socket_zero_copy_case;
            submission: weft_cts::io::submission::SUBMISSION, for_each_io_submission_case;
            timer: weft_cts::io::timer::TIMER, for_each_io_timer_case;
            transfer_chain: weft_cts::io::transfer_chain::TRANSFER_CHAIN, for_each_io_transfer_chain_case;
            wake: weft_cts::io::wake::WAKE, for_each_io_wake_case;
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
