//! Kernels that cases dispatch.

use std::num::NonZeroI32;
use std::sync::Mutex;

use weft_cpu::native::{
    KernelError, KernelSpec, NativeKernel, NativeLibrary, Workgroup, reads, reads_and_writes, writes,
};
use weft_sync::Result;

use super::gate::{self, Manner};

/// Name of the library.
pub const LIBRARY: &str = "conformance";

/// All kernels of this file.
pub fn library() -> Result<NativeLibrary> {
    Ok(NativeLibrary::stateless(LIBRARY)
        .kernel::<Nothing>()?
        .kernel::<Absolute>()?
        .kernel::<ScaleAdd>()?
        .kernel::<Add>()?
        .kernel::<AddOne>()?
        .kernel::<WriteIds>()?
        .kernel::<WriteGeometry>()?
        .kernel::<WriteCounts>()?
        .kernel::<WriteConstants>()?
        .kernel::<CountCalls>()?
        .kernel::<CountEach>()?
        .kernel::<FailAt>()?
        .kernel::<UseLocal>()?
        .kernel::<LeaveFloatMode>()?
        .kernel::<Visit>()?
        .kernel::<VisitAndFail>()?
        .kernel::<VisitAndWrite>()?
        .kernel::<KeepLocal>()?
        .build())
}

/// x fastest.
fn linear_id(workgroup: &Workgroup<'_>) -> u32 {
    let ([x, y, z], [count_x, count_y, _]) = (workgroup.id(), workgroup.count());
    (z * count_y + y) * count_x + x
}

type Outcome = std::result::Result<(), KernelError>;

/// Does nothing.
pub struct Nothing;

impl NativeKernel for Nothing {
    type State = ();
    const SPEC: KernelSpec = KernelSpec::new("nothing");

    fn run(_state: &(), _workgroup: &mut Workgroup<'_>) -> Outcome {
        Ok(())
    }
}

/// out\[x\] = |in\[x\]|, one float for each workgroup.
pub struct Absolute;

impl NativeKernel for Absolute {
    type State = ();
    const SPEC: KernelSpec = KernelSpec { bindings: &[reads(4), writes(4)], ..KernelSpec::new("absolute") };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        let x = workgroup.id()[0] as usize;
        workgroup.output::<f32>(1).set(x, workgroup.input::<f32>(0).get(x).abs());
        Ok(())
    }
}

/// out\[x\] = in\[x\] * constant 0 + constant 1 (floats).
pub struct ScaleAdd;

impl NativeKernel for ScaleAdd {
    type State = ();
    const SPEC: KernelSpec =
        KernelSpec { constant_count: 2, bindings: &[reads(4), writes(4)], ..KernelSpec::new("scale_add") };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        let x = workgroup.id()[0] as usize;
        let [scale, offset] = [0, 1].map(|index| f32::from_bits(workgroup.constants()[index]));
        workgroup.output::<f32>(1).set(x, workgroup.input::<f32>(0).get(x) * scale + offset);
        Ok(())
    }
}

/// out\[x\] = a\[x\] + b\[x\] (floats).
pub struct Add;

impl NativeKernel for Add {
    type State = ();
    const SPEC: KernelSpec =
        KernelSpec { bindings: &[reads(4), reads(4), writes(4)], ..KernelSpec::new("add") };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        let x = workgroup.id()[0] as usize;
        let sum = workgroup.input::<f32>(0).get(x) + workgroup.input::<f32>(1).get(x);
        workgroup.output::<f32>(2).set(x, sum);
        Ok(())
    }
}

/// Adds 1 to each 32-bit number of a binding; one workgroup does all.
pub struct AddOne;

impl NativeKernel for AddOne {
    type State = ();
    const SPEC: KernelSpec = KernelSpec { bindings: &[reads_and_writes(4)], ..KernelSpec::new("add_one") };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        let values = workgroup.output::<u32>(0);
        for index in 0..values.len() {
            values.set(index, values.get(index).wrapping_add(1));
        }
        Ok(())
    }
}

/// out\[linear id\] = x | y << 8 | z << 16, plus 1 << 24 as a sign of life.
pub struct WriteIds;

impl NativeKernel for WriteIds {
    type State = ();
    const SPEC: KernelSpec = KernelSpec { bindings: &[writes(4)], ..KernelSpec::new("write_ids") };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        let ([x, y, z], linear) = (workgroup.id(), linear_id(workgroup));
        workgroup.output::<u32>(0).set(linear as usize, x | y << 8 | z << 16 | 1 << 24);
        Ok(())
    }
}

/// out = size x, y, z, count x, y, z, max concurrency, processor.
pub struct WriteGeometry;

impl NativeKernel for WriteGeometry {
    type State = ();
    const SPEC: KernelSpec = KernelSpec {
        bindings: &[writes(32)],
        workgroup_size: [4, 2, 0],
        workgroup_size_dynamic: true,
        ..KernelSpec::new("write_geometry")
    };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        let out = workgroup.output::<u32>(0);
        let ([a, b, c], [d, e, f]) = (workgroup.size(), workgroup.count());
        let rest = [u32::from(workgroup.max_concurrency()), workgroup.processor_id()];
        for (index, value) in [a, b, c, d, e, f].into_iter().chain(rest).enumerate() {
            out.set(index, value);
        }
        Ok(())
    }
}

/// out = constants 0, 1, 2: workgroup counts for an indirect dispatch.
pub struct WriteCounts;

impl NativeKernel for WriteCounts {
    type State = ();
    const SPEC: KernelSpec =
        KernelSpec { constant_count: 3, bindings: &[writes(12)], ..KernelSpec::new("write_counts") };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        let out = workgroup.output::<u32>(0);
        for (index, &value) in workgroup.constants().iter().enumerate() {
            out.set(index, value);
        }
        Ok(())
    }
}

/// out = four constants, and whether the constants and the binding are aligned as promised.
pub struct WriteConstants;

impl NativeKernel for WriteConstants {
    type State = ();
    const SPEC: KernelSpec =
        KernelSpec { constant_count: 4, bindings: &[writes(16)], ..KernelSpec::new("write_constants") };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        let out = workgroup.output::<u32>(0);
        for (index, &value) in workgroup.constants().iter().enumerate() {
            out.set(index, value);
        }
        Ok(())
    }
}

/// Adds 1 to the number of the linear id.
pub struct CountEach;

impl NativeKernel for CountEach {
    type State = ();
    const SPEC: KernelSpec = KernelSpec { bindings: &[reads_and_writes(4)], ..KernelSpec::new("count_each") };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        let (out, linear) = (workgroup.output::<u32>(0), linear_id(workgroup) as usize);
        out.set(linear, out.get(linear).wrapping_add(1));
        Ok(())
    }
}

/// Adds 1 to the first number of a binding, whatever the id.
pub struct CountCalls;

impl NativeKernel for CountCalls {
    type State = ();
    const SPEC: KernelSpec =
        KernelSpec { bindings: &[reads_and_writes(4)], ..KernelSpec::new("count_calls") };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        // Bindings have no addition in one step, and workgroups run at the same time.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = ONE_AT_A_TIME.lock();
        let out = workgroup.output::<u32>(0);
        out.set(0, out.get(0).wrapping_add(1));
        Ok(())
    }
}

/// Marks out\[linear id\], and fails with code 7 where the linear id is constant 0.
pub struct FailAt;

impl NativeKernel for FailAt {
    type State = ();
    const SPEC: KernelSpec =
        KernelSpec { constant_count: 1, bindings: &[writes(4)], ..KernelSpec::new("fail_at") };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        let linear = linear_id(workgroup);
        workgroup.output::<u32>(0).set(linear as usize, 1);
        if linear == workgroup.constants()[0] {
            let code = NonZeroI32::new(7).expect("7 is not 0");
            return Err(KernelError::new(code, "asked to fail"));
        }
        Ok(())
    }
}

/// Fills its local memory, then writes its length, its alignment remainder, and what it reads back.
pub struct UseLocal;

impl NativeKernel for UseLocal {
    type State = ();
    const SPEC: KernelSpec =
        KernelSpec { bindings: &[writes(12)], local_memory_bytes: 5000, ..KernelSpec::new("use_local") };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        let out = workgroup.output::<u32>(0);
        let local = workgroup.local_memory();
        local.fill(3);
        let sum: u32 = local.iter().map(|&byte| u32::from(byte)).sum();
        out.set(0, local.len() as u32);
        out.set(1, (local.as_ptr().addr() % 64) as u32);
        out.set(2, sum);
        Ok(())
    }
}

/// out = a * b, one float: whether the product of denormals is flushed shows the float mode.
pub struct LeaveFloatMode;

impl NativeKernel for LeaveFloatMode {
    type State = ();
    const SPEC: KernelSpec =
        KernelSpec { bindings: &[reads(8), writes(4)], ..KernelSpec::new("add_denormals") };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        let values = workgroup.input::<f32>(0);
        workgroup.output::<f32>(1).set(0, values.get(0) + values.get(1));
        Ok(())
    }
}

fn pass_gate(workgroup: &Workgroup<'_>, manner: Manner, work: impl FnOnce()) -> Outcome {
    let visit = gate::Visit {
        workgroup: linear_id(workgroup),
        processor: workgroup.processor_id(),
        thread: std::thread::current().id(),
    };
    gate::pass(workgroup.constants()[0], visit, manner, work).map_err(KernelError::from)
}

/// Passes the gate of constant 0.
pub struct Visit;

impl NativeKernel for Visit {
    type State = ();
    const SPEC: KernelSpec = KernelSpec { constant_count: 1, ..KernelSpec::new("visit") };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        pass_gate(workgroup, Manner::Patient, || ())
    }
}

/// Passes the gate of constant 0 and marks out\[linear id\]; fails at once if another one waits there.
pub struct VisitAndFail;

impl NativeKernel for VisitAndFail {
    type State = ();
    const SPEC: KernelSpec =
        KernelSpec { constant_count: 1, bindings: &[writes(4)], ..KernelSpec::new("visit_and_fail") };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        let (out, linear) = (workgroup.output::<u32>(0), linear_id(workgroup) as usize);
        pass_gate(workgroup, Manner::Jealous, || out.set(linear, 1))
    }
}

/// Passes the gate of constant 0, then adds constant 1 to out\[linear id\].
pub struct VisitAndWrite;

impl NativeKernel for VisitAndWrite {
    type State = ();
    const SPEC: KernelSpec = KernelSpec {
        constant_count: 2,
        bindings: &[reads_and_writes(4)],
        ..KernelSpec::new("visit_and_write")
    };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        let (out, linear) = (workgroup.output::<u32>(0), linear_id(workgroup) as usize);
        let value = workgroup.constants()[1];
        pass_gate(workgroup, Manner::Patient, || out.set(linear, out.get(linear).wrapping_add(value)))
    }
}

/// Fills its local memory with its id, lets others run, and writes whether it still holds that.
pub struct KeepLocal;

impl NativeKernel for KeepLocal {
    type State = ();
    const SPEC: KernelSpec =
        KernelSpec { bindings: &[writes(4)], local_memory_bytes: 4096, ..KernelSpec::new("keep_local") };

    fn run(_state: &(), workgroup: &mut Workgroup<'_>) -> Outcome {
        let (out, linear) = (workgroup.output::<u32>(0), linear_id(workgroup));
        let local = workgroup.local_memory();
        local.fill(linear as u8);
        std::thread::yield_now();
        let is_kept = local.len() >= 4096 && local.iter().all(|&byte| byte == linear as u8);
        out.set(linear as usize, u32::from(is_kept));
        Ok(())
    }
}
