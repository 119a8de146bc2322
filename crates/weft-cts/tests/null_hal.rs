//! Every family on the null device: what needs no work to show.

weft_cts::subject_tests! { null_hal = weft_cts::subject::null_hal;
    buffer: weft_cts::hal::buffer::BUFFER, for_each_buffer_case;
    causality: weft_cts::hal::causality::CAUSALITY, for_each_causality_case;
    command: weft_cts::hal::command::COMMAND, for_each_command_case;
    deferred: weft_cts::hal::deferred::DEFERRED, for_each_deferred_case;
    dispatch: weft_cts::hal::dispatch::DISPATCH, for_each_dispatch_case;
    file: weft_cts::hal::file::FILE, for_each_file_case;
    host_call: weft_cts::hal::host_call::HOST_CALL, for_each_host_call_case;
    indirect: weft_cts::hal::indirect::INDIRECT, for_each_indirect_case;
    lifecycle: weft_cts::hal::lifecycle::LIFECYCLE, for_each_lifecycle_case;
    ordering: weft_cts::hal::ordering::ORDERING, for_each_ordering_case;
    profile: weft_cts::hal::profile::PROFILE, for_each_profile_case;
    queue: weft_cts::hal::queue::QUEUE, for_each_queue_case;
    scheduling: weft_cts::hal::scheduling::SCHEDULING, for_each_scheduling_case;
    semaphore: weft_cts::hal::semaphore::SEMAPHORE, for_each_semaphore_case;
    table: weft_cts::hal::table::TABLE, for_each_table_case;
    transfer: weft_cts::hal::transfer::TRANSFER, for_each_transfer_case;
    transient: weft_cts::hal::transient::TRANSIENT, for_each_transient_case;
}
