//! The list of exports: name in the module, function in Rust. Order as in `docs/spec/hal-module.md` §5.
//!
//! What lives here: names only. The signature of an export follows from the argument types of its function.

use super::{
    HalState, allocator, buffer, buffer_view, channel, command_buffer, device, executable, fence, files,
    queue,
};
use weft_vm::native::NativeModuleBuilder;

type Builder = NativeModuleBuilder<HalState>;

pub(super) fn add_to(builder: Builder) -> Builder {
    let builder = add_memory(builder);
    let builder = add_commands(builder);
    add_device(builder)
}

fn add_memory(builder: Builder) -> Builder {
    builder
        .export("allocator.select", allocator::select)
        .export("allocator.allocate", allocator::allocate)
        .export("allocator.import", allocator::import)
        .export("buffer.assert", buffer::assert)
        .export("buffer.allocation.preserve", buffer::allocation_preserve)
        .export("buffer.allocation.discard", buffer::allocation_discard)
        .export("buffer.allocation.is_terminal", buffer::allocation_is_terminal)
        .export("buffer.subspan", buffer::subspan)
        .export("buffer.length", buffer::length)
        .export("buffer.load", buffer::load)
        .export("buffer.store", buffer::store)
        .export("buffer_view.create", buffer_view::create)
        .export("buffer_view.assert", buffer_view::assert)
        .export("buffer_view.buffer", buffer_view::buffer)
        .export("buffer_view.element_type", buffer_view::element_type)
        .export("buffer_view.encoding_type", buffer_view::encoding_type)
        .export("buffer_view.rank", buffer_view::rank)
        .export("buffer_view.dim", buffer_view::dim)
        .export("buffer_view.trace", buffer_view::trace)
}

fn add_commands(builder: Builder) -> Builder {
    builder
        .export("channel.create", channel::create)
        .export("channel.split", channel::split)
        .export("channel.rank_and_count", channel::rank_and_count)
        .export("command_buffer.create", command_buffer::create)
        .export("command_buffer.finalize", command_buffer::finalize)
        .export("command_buffer.begin_debug_group", command_buffer::begin_debug_group)
        .export("command_buffer.end_debug_group", command_buffer::end_debug_group)
        .export("command_buffer.execution_barrier", command_buffer::execution_barrier)
        .export("command_buffer.advise_buffer", command_buffer::advise_buffer)
        .export("command_buffer.fill_buffer", command_buffer::fill_buffer)
        .export("command_buffer.update_buffer", command_buffer::update_buffer)
        .export("command_buffer.copy_buffer", command_buffer::copy_buffer)
        .export("command_buffer.collective", command_buffer::collective)
        .export("command_buffer.dispatch", command_buffer::dispatch)
        .export("command_buffer.dispatch.indirect", command_buffer::dispatch_indirect)
        .export("executable.create", executable::create)
        .export("executable.lookup.function", executable::lookup_function)
}

fn add_device(builder: Builder) -> Builder {
    builder
        .export("device.allocator", device::allocator)
        .export("device.query.i64", device::query_i64)
        .export("devices.count", device::count)
        .export("devices.get", device::get)
        .export("device.queue.alloca", queue::alloca)
        .export("device.queue.dealloca", queue::dealloca)
        .export("device.queue.fill", queue::fill)
        .export("device.queue.update", queue::update)
        .export("device.queue.copy", queue::copy)
        .export("device.queue.read", queue::read)
        .export("device.queue.write", queue::write)
        .export("device.queue.barrier", queue::barrier)
        .export("device.queue.execute", queue::execute)
        .export("device.queue.execute.indirect", queue::execute_indirect)
        .export("device.queue.flush", queue::flush)
        .export("ex.file.from_memory", files::from_memory)
        .export("fence.create", fence::create)
        .export("fence.join", fence::join)
        .export("fence.query", fence::query)
        .export("fence.signal", fence::signal)
        .export("fence.fail", fence::fail)
        .export_yielding("fence.await", fence::await_all)
}
