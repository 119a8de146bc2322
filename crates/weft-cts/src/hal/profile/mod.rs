//! Profiling: what sessions refuse and what becomes of their records (`sessions.rs`), what is recorded of operations
//! (`records.rs`) and of work on workers (`work.rs`).

mod records;
mod sessions;
mod work;

use std::sync::Arc;

use weft_hal::profile::{
    ExecutionEvent, OperationKind, Profile, ProfileFamilies, ProfileFilter, ProfileLog, ProfileOptions,
    ProfileSink,
};

use crate::case::Caps;
use crate::subject::Subject;
use records::{
    cancelled_operations_are_recorded, command_indices_count_everything, deferred_waits_are_described,
    dispatches_are_described, executables_are_told_once, failures_are_recorded,
    fill_and_copy_are_one_event_each, filters_exclude, host_calls_are_recorded, inline_commands_are_seen,
    memory_is_followed, results_and_order_stay, waits_are_described,
};
use sessions::{
    a_sink_may_refuse_a_session, begin_is_validated, devices_without_records_say_so,
    failed_flushes_keep_events, full_rings_may_flush, full_rings_say_so, nothing_comes_after_the_end,
    options_are_cloned, sessions_do_not_nest, sinks_cannot_call_back,
};
use work::{
    early_signals_are_told_first, every_run_is_told, long_updates_are_one_command, pools_are_followed,
    regions_are_told, sessions_come_and_go, tiles_are_told_by_worker,
};

crate::cases! { $ PROFILE for_each_profile_case {
    devices_without_records_say_so: Caps::NONE;
    begin_is_validated: Caps::WORK;
    sessions_do_not_nest: Caps::WORK;
    options_are_cloned: Caps::WORK;
    a_sink_may_refuse_a_session: Caps::WORK;
    fill_and_copy_are_one_event_each: Caps::WORK;
    dispatches_are_described: Caps::WORK;
    filters_exclude: Caps::WORK;
    nothing_comes_after_the_end: Caps::WORK;
    command_indices_count_everything: Caps::WORK;
    inline_commands_are_seen: Caps::WORK;
    executables_are_told_once: Caps::WORK;
    full_rings_say_so: Caps::WORK;
    full_rings_may_flush: Caps::WORK;
    failed_flushes_keep_events: Caps::WORK;
    sinks_cannot_call_back: Caps::WORK;
    failures_are_recorded: Caps::WORK;
    cancelled_operations_are_recorded: Caps::WORK;
    waits_are_described: Caps::WORK;
    deferred_waits_are_described: Caps::ASYNC;
    memory_is_followed: Caps::WORK;
    host_calls_are_recorded: Caps::WORK;
    results_and_order_stay: Caps::WORK;
    tiles_are_told_by_worker: Caps::PARALLEL;
    regions_are_told: Caps::ASYNC;
    long_updates_are_one_command: Caps::WORK;
    every_run_is_told: Caps::WORK;
    pools_are_followed: Caps::POOLS.union(Caps::ASYNC);
    early_signals_are_told_first: Caps::ASYNC;
    sessions_come_and_go: Caps::WORK;
} }

/// Everything that devices with queues on the host have.
fn everything(log: &Arc<ProfileLog>) -> ProfileOptions {
    let sink: Arc<dyn ProfileSink> = Arc::clone(log) as _;
    ProfileOptions::new(ProfileFamilies::LOCAL, sink)
}

/// What is recorded while `work` runs.
fn profiled(subject: &Subject, work: impl FnOnce()) -> Profile {
    profiled_with(subject, ProfileFilter::default(), work)
}

fn profiled_with(subject: &Subject, filter: ProfileFilter, work: impl FnOnce()) -> Profile {
    let log = Arc::new(ProfileLog::default());
    subject.device.profiling_begin(&ProfileOptions { filter, ..everything(&log) }).unwrap();
    work();
    subject.device.profiling_end().unwrap();
    let profile = log.take();
    assert!(profile.has_ended);
    assert_eq!(profile.dropped, 0);
    profile
}

fn of_kind(profile: &Profile, operation: OperationKind) -> Vec<&ExecutionEvent> {
    profile.executions.iter().filter(|event| event.operation == operation).collect()
}
