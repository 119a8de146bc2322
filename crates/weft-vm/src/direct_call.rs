//! Calls of native functions by the host itself, without bytecode in between.
//!
//! Lives here: [`DirectCall`], which lays the arguments out as a caller's registers would be, so that the function runs
//! through the same entry as an import. Not here: calls from bytecode (`ops/call.rs`).

use weft_sync::{Result, Status, bail};

use crate::backtrace::{annotate, native_name};
use crate::interpret::Exit;
use crate::isa::{Kind, Register};
use crate::machine::{Environment, Machine, SuspendedCall, Suspension};
use crate::native::{CallSite, Outcome, Pending, ResultSlots, U16List};
use crate::reference::Ref;
use crate::signature::Signature;
use crate::state::NativeTarget;
use crate::value::Value;

/// Registers of a call that has no frame.
#[derive(Debug, Default)]
pub(crate) struct HostBanks {
    values: Vec<u32>,
    refs: Vec<Option<Ref>>,
}

impl HostBanks {
    pub fn clear(&mut self) {
        self.values.clear();
        self.refs.clear();
    }
}

/// A native function and the registers in which a host call puts operands and results.
pub(crate) struct DirectCall {
    target: NativeTarget,
    signature: Signature,
    operands: Vec<(Kind, Register)>,
    results: Vec<(Kind, Register)>,
    /// The same registers as the lists of a call instruction.
    operand_list: Box<[u8]>,
    result_list: Box<[u8]>,
    value_count: usize,
    ref_count: usize,
}

impl DirectCall {
    pub fn new(target: NativeTarget, signature: &Signature) -> Result<DirectCall> {
        let Some(kinds) = signature.argument_kinds() else {
            bail!(
                InvalidArgument,
                "functions with spans (`{}`) cannot be called by the host",
                signature.text()
            );
        };
        let (mut value_count, mut ref_count) = (0, 0);
        let mut assign = |kind: Kind| {
            if kind.is_ref() {
                ref_count += 1;
                return (kind, Register::moved(ref_count - 1));
            }
            let first = u16::next_multiple_of(value_count, kind.registers() as u16);
            value_count = first + kind.registers() as u16;
            (kind, Register::value(first))
        };
        let operands: Vec<_> = kinds.into_iter().map(&mut assign).collect();
        let results: Vec<_> = signature.results().iter().copied().map(&mut assign).collect();
        let list = |registers: &[(Kind, Register)]| {
            registers.iter().flat_map(|(_, register)| register.0.to_le_bytes()).collect()
        };
        let (operand_list, result_list) = (list(&operands), list(&results));
        let (value_count, ref_count) = (usize::from(value_count), usize::from(ref_count));
        let signature = signature.clone();
        Ok(DirectCall {
            target,
            signature,
            operands,
            results,
            operand_list,
            result_list,
            value_count,
            ref_count,
        })
    }

    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    pub fn begin(&self, machine: &mut Machine, arguments: &[Value]) {
        let banks = &mut machine.host;
        banks.clear();
        banks.values.resize(self.value_count, 0);
        banks.refs.resize(self.ref_count, None);
        for (&(kind, register), argument) in self.operands.iter().zip(arguments) {
            let ordinal = usize::from(register.ordinal());
            let bits = match kind {
                Kind::I32 | Kind::I64 => argument.to_i64().unwrap_or(0) as u64,
                Kind::F32 => argument.to_f32().unwrap_or(0.0).to_bits().into(),
                Kind::F64 => argument.to_f64().unwrap_or(0.0).to_bits(),
                Kind::Ref => {
                    if let Value::Ref(reference) = argument {
                        banks.refs[ordinal] = reference.clone();
                    }
                    continue;
                }
            };
            banks.values[ordinal] = bits as u32;
            if kind.registers() == 2 {
                banks.values[ordinal + 1] = (bits >> 32) as u32;
            }
        }
    }

    pub fn start(&self, machine: &mut Machine, environment: &Environment<'_>) -> Result<Exit> {
        let HostBanks { values, refs } = &mut machine.host;
        let mut site = CallSite {
            instance: environment.instance,
            cancel: environment.cancel,
            values,
            refs,
            operands: U16List::new(&self.operand_list),
            segments: U16List::default(),
            results: U16List::new(&self.result_list),
        };
        let outcome = (self.target.entry)(&*self.target.state, &mut site);
        self.settle(machine, environment, outcome)
    }

    pub fn resume(
        &self,
        machine: &mut Machine,
        environment: &Environment<'_>,
        outcome: Result<()>,
    ) -> Result<Exit> {
        let Some(Suspension { call: Some(call), .. }) = machine.suspension.take() else {
            bail!(Internal, "a native call is resumed that is not suspended");
        };
        let HostBanks { values, refs } = &mut machine.host;
        let mut slots = ResultSlots::new(values, refs, U16List::new(&self.result_list));
        let outcome = (call.resume)(outcome, &mut slots);
        self.settle(machine, environment, outcome)
    }

    fn settle(
        &self,
        machine: &mut Machine,
        environment: &Environment<'_>,
        outcome: Result<Outcome>,
    ) -> Result<Exit> {
        let (module, export) = (self.target.module, self.target.export);
        match outcome {
            Ok(Outcome::Done) => Ok(Exit::Returned),
            Ok(Outcome::Pending(Pending { wait, resume })) => {
                let call = Some(SuspendedCall { resume, module, export });
                machine.suspension = Some(Suspension { wait, call });
                Ok(Exit::Suspended)
            }
            Err(status) => Err(self.failed(machine, environment, status)),
        }
    }

    #[cold]
    fn failed(&self, machine: &mut Machine, environment: &Environment<'_>, status: Status) -> Status {
        let (module, export) = (self.target.module, self.target.export);
        machine.failed_native = Some((module, export));
        let name = native_name(environment, module, export);
        annotate(machine, environment, status.while_doing(format!("while invoking native function {name}")))
    }

    pub fn take_results(&self, machine: &mut Machine, results: &mut Vec<Value>) {
        let banks = &mut machine.host;
        for &(kind, register) in &self.results {
            let ordinal = usize::from(register.ordinal());
            let word = |offset: usize| banks.values.get(ordinal + offset).copied().unwrap_or(0);
            let pair = || u64::from(word(0)) | u64::from(word(1)) << 32;
            results.push(match kind {
                Kind::I32 => Value::I32(word(0) as i32),
                Kind::F32 => Value::F32(f32::from_bits(word(0))),
                Kind::I64 => Value::I64(pair() as i64),
                Kind::F64 => Value::F64(f64::from_bits(pair())),
                Kind::Ref => Value::Ref(banks.refs[ordinal].take()),
            });
        }
    }
}
