//! Every family on the null device: what needs no work to show.

weft_cts::subject_tests! { null_hal = weft_cts::subject::null_hal;
    buffer: weft_cts::hal::buffer::BUFFER, for_each_buffer_case;
    command: weft_cts::hal::command::COMMAND, for_each_command_case;
    dispatch: weft_cts::hal::dispatch::DISPATCH, for_each_dispatch_case;
    file: weft_cts::hal::file::FILE, for_each_file_case;
    indirect: weft_cts::hal::indirect::INDIRECT, for_each_indirect_case;
    queue: weft_cts::hal::queue::QUEUE, for_each_queue_case;
    semaphore: weft_cts::hal::semaphore::SEMAPHORE, for_each_semaphore_case;
    table: weft_cts::hal::table::TABLE, for_each_table_case;
    transfer: weft_cts::hal::transfer::TRANSFER, for_each_transfer_case;
    transient: weft_cts::hal::transient::TRANSIENT, for_each_transient_case;
}
