//! CPU feature words that kernels and programs are told (`docs/spec/executables.md` §7.3).
//!
//! What lives here: the table from keys to bits for each architecture, and detection. What does not: choosing code by
//! features, which programs do by asking for keys.
//!
//! 1. Only word 0 has assigned bits. Bits are never renumbered; a zero bit means "absent or unknown".
//! 2. A bit is set only if the OS has enabled the state that the instructions use.
//! 3. Detection runs once in a process. All executables get the same words.
#![allow(unsafe_code, reason = "reads the extended control register, which takes inline assembly")]

use std::sync::OnceLock;

use crate::abi::PROCESSOR_WORD_COUNT;

/// All feature words.
pub type ProcessorWords = [u64; PROCESSOR_WORD_COUNT];

/// Architectures with a table of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureSet {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
    /// 64-bit RISC-V.
    Riscv64,
    /// No keys.
    None,
}

impl FeatureSet {
    /// The table of this process's machine.
    pub const HOST: FeatureSet = if cfg!(target_arch = "x86_64") {
        FeatureSet::X86_64
    } else if cfg!(target_arch = "aarch64") {
        FeatureSet::Aarch64
    } else if cfg!(target_arch = "riscv64") {
        FeatureSet::Riscv64
    } else {
        FeatureSet::None
    };

    /// All keys with the number of their bit in word 0, ascending.
    pub fn keys(self) -> impl Iterator<Item = (&'static str, u32)> {
        let (x86, arm, riscv) = match self {
            FeatureSet::X86_64 => (&X86_64[..], &[][..], &[][..]),
            FeatureSet::Aarch64 => (&[][..], &AARCH64[..], &[][..]),
            FeatureSet::Riscv64 => (&[][..], &[][..], &RISCV_64[..]),
            FeatureSet::None => (&[][..], &[][..], &[][..]),
        };
        let x86 = x86.iter().map(|feature| (feature.key, feature.bit));
        let arm = arm.iter().map(|feature| (feature.key, feature.bit));
        x86.chain(arm).chain(riscv.iter().copied())
    }

    /// Whether these words have the feature; `None` if the architecture has no such key.
    pub fn query(self, words: &ProcessorWords, key: &str) -> Option<bool> {
        self.keys().find(|&(known, _)| known == key).map(|(_, bit)| words[0] >> bit & 1 != 0)
    }
}

/// The words of this machine, detected at the first call.
pub fn processor_words() -> &'static ProcessorWords {
    static WORDS: OnceLock<ProcessorWords> = OnceLock::new();
    WORDS.get_or_init(|| {
        let mut words = [0; PROCESSOR_WORD_COUNT];
        words[0] = detect::word();
        words
    })
}

/// Registers that a CPUID leaf answers with.
#[derive(Clone, Copy)]
enum Register {
    Eax,
    Ebx,
    Ecx,
    Edx,
}

/// State that the OS must have enabled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    None,
    Avx,
    Avx512,
    /// Tiles also take a permission that each process must ask for. This runtime does not ask, so they are never reported.
    Tiles,
}

/// Where CPUID tells about a feature.
struct X86Feature {
    bit: u32,
    key: &'static str,
    leaf: (u32, u32),
    register: Register,
    source: u32,
    gate: Gate,
}

const fn x86(
    bit: u32,
    key: &'static str,
    leaf: (u32, u32),
    register: Register,
    source: u32,
    gate: Gate,
) -> X86Feature {
    X86Feature { bit, key, leaf, register, source, gate }
}

const BASIC: (u32, u32) = (1, 0);
const STRUCTURED: (u32, u32) = (7, 0);
const STRUCTURED_1: (u32, u32) = (7, 1);
const EXTENDED: (u32, u32) = (0x8000_0001, 0);

static X86_64: [X86Feature; 27] = [
    x86(0, "sse3", BASIC, Register::Ecx, 0, Gate::None),
    x86(1, "ssse3", BASIC, Register::Ecx, 9, Gate::None),
    x86(2, "sse4.1", BASIC, Register::Ecx, 19, Gate::None),
    x86(3, "sse4.2", BASIC, Register::Ecx, 20, Gate::None),
    x86(4, "sse4a", EXTENDED, Register::Ecx, 6, Gate::None),
    x86(10, "avx", BASIC, Register::Ecx, 28, Gate::Avx),
    x86(11, "fma", BASIC, Register::Ecx, 12, Gate::Avx),
    x86(12, "fma4", EXTENDED, Register::Ecx, 16, Gate::Avx),
    x86(13, "xop", EXTENDED, Register::Ecx, 11, Gate::Avx),
    x86(14, "f16c", BASIC, Register::Ecx, 29, Gate::Avx),
    x86(15, "avx2", STRUCTURED, Register::Ebx, 5, Gate::Avx),
    x86(20, "avx512f", STRUCTURED, Register::Ebx, 16, Gate::Avx512),
    x86(21, "avx512cd", STRUCTURED, Register::Ebx, 28, Gate::Avx512),
    x86(22, "avx512vl", STRUCTURED, Register::Ebx, 31, Gate::Avx512),
    x86(23, "avx512dq", STRUCTURED, Register::Ebx, 17, Gate::Avx512),
    x86(24, "avx512bw", STRUCTURED, Register::Ebx, 30, Gate::Avx512),
    x86(25, "avx512ifma", STRUCTURED, Register::Ebx, 21, Gate::Avx512),
    x86(26, "avx512vbmi", STRUCTURED, Register::Ecx, 1, Gate::Avx512),
    x86(27, "avx512vpopcntdq", STRUCTURED, Register::Ecx, 14, Gate::Avx512),
    x86(28, "avx512vnni", STRUCTURED, Register::Ecx, 11, Gate::Avx512),
    x86(29, "avx512vbmi2", STRUCTURED, Register::Ecx, 6, Gate::Avx512),
    x86(30, "avx512bitalg", STRUCTURED, Register::Ecx, 12, Gate::Avx512),
    x86(31, "avx512bf16", STRUCTURED_1, Register::Eax, 5, Gate::Avx512),
    x86(32, "avx512fp16", STRUCTURED, Register::Edx, 23, Gate::Avx512),
    x86(50, "amx-tile", STRUCTURED, Register::Edx, 24, Gate::Tiles),
    x86(51, "amx-int8", STRUCTURED, Register::Edx, 25, Gate::Tiles),
    x86(52, "amx-bf16", STRUCTURED, Register::Edx, 22, Gate::Tiles),
];

/// Word 0 from what CPUID and the OS say. `leaf` answers zeros for leaves that do not exist.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "tested everywhere, used on x86-64"))]
fn x86_word(leaf: impl Fn(u32, u32) -> [u32; 4], enabled_state: u64) -> u64 {
    let mut word = 0;
    for feature in &X86_64 {
        let [eax, ebx, ecx, edx] = leaf(feature.leaf.0, feature.leaf.1);
        let register = match feature.register {
            Register::Eax => eax,
            Register::Ebx => ebx,
            Register::Ecx => ecx,
            Register::Edx => edx,
        };
        let open = match feature.gate {
            Gate::None => true,
            // x87, SSE and AVX state.
            Gate::Avx => enabled_state & 0x7 == 0x7,
            // The same, masks and the upper halves.
            Gate::Avx512 => enabled_state & 0xE7 == 0xE7,
            Gate::Tiles => false,
        };
        word |= u64::from(open && register >> feature.source & 1 != 0) << feature.bit;
    }
    word
}

/// Where Linux tells about a feature: word (1 or 2) and bit of the hardware capabilities.
struct ArmFeature {
    bit: u32,
    key: &'static str,
    capability: Option<(u8, u32)>,
}

const fn arm(bit: u32, key: &'static str, word: u8, source: u32) -> ArmFeature {
    ArmFeature { bit, key, capability: Some((word, source)) }
}

static AARCH64: [ArmFeature; 20] = [
    arm(0, "fp-armv8", 1, 0),
    arm(1, "lse", 1, 8),
    ArmFeature { bit: 2, key: "lse128", capability: None },
    arm(10, "fullfp16", 1, 10),
    arm(11, "fp16fml", 1, 23),
    arm(12, "dotprod", 1, 20),
    arm(13, "i8mm", 2, 13),
    arm(14, "bf16", 2, 14),
    arm(20, "sve", 1, 22),
    arm(21, "sve2", 2, 1),
    arm(22, "sve2p1", 2, 36),
    arm(23, "sve2-bitperm", 2, 4),
    arm(24, "f32mm", 2, 10),
    arm(25, "f64mm", 2, 11),
    arm(30, "sme", 2, 23),
    arm(31, "sme2", 2, 37),
    arm(32, "sme2p1", 2, 38),
    arm(33, "sme-f16f16", 2, 42),
    arm(34, "sme-f64f64", 2, 25),
    arm(35, "sme-i16i64", 2, 24),
];

/// Word 0 from the hardware capabilities of Linux.
#[cfg_attr(not(target_arch = "aarch64"), allow(dead_code, reason = "tested everywhere, used on Arm"))]
fn arm_word(capabilities: [u64; 2]) -> u64 {
    let mut word = 0;
    for feature in &AARCH64 {
        if let Some((index, source)) = feature.capability {
            word |= (capabilities[usize::from(index) - 1] >> source & 1) << feature.bit;
        }
    }
    word
}

static RISCV_64: [(&str, u32); 8] = [
    ("v", 0),
    ("zvfhmin", 1),
    ("zvfh", 2),
    ("zvfbfwma", 3),
    ("xsmtvdot", 4),
    ("zvl256b", 5),
    ("zvl1024b", 6),
    ("zvl4096b", 7),
];

#[cfg(target_arch = "x86_64")]
mod detect {
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    pub(super) fn word() -> u64 {
        super::x86_word(leaf, enabled_state())
    }

    /// A leaf, or zeros if the processor does not have it: reading past the end repeats another leaf.
    pub(super) fn leaf(leaf: u32, subleaf: u32) -> [u32; 4] {
        let highest = __cpuid(leaf & 0x8000_0000).eax;
        if leaf > highest || (leaf == 7 && subleaf > __cpuid_count(7, 0).eax) {
            return [0; 4];
        }
        let answer = __cpuid_count(leaf, subleaf);
        [answer.eax, answer.ebx, answer.ecx, answer.edx]
    }

    /// State components that the OS has enabled; 0 if it does not use the extended save instructions.
    pub(super) fn enabled_state() -> u64 {
        const OS_USES_XSAVE: u32 = 1 << 27;
        if leaf(1, 0)[2] & OS_USES_XSAVE == 0 {
            return 0;
        }
        let (low, high): (u32, u32);
        // SAFETY: the OS uses XSAVE (just checked), so the instruction exists; register 0 always does.
        unsafe {
            std::arch::asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high,
                options(nomem, nostack, preserves_flags));
        }
        u64::from(high) << 32 | u64::from(low)
    }
}

#[cfg(all(target_arch = "aarch64", any(target_os = "linux", target_os = "android")))]
mod detect {
    pub(super) fn word() -> u64 {
        let (first, second) = rustix::param::linux_hwcap();
        super::arm_word([first as u64, second as u64])
    }
}

#[cfg(not(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", any(target_os = "linux", target_os = "android"))
)))]
mod detect {
    /// Nothing is known: kernels for the baseline still run.
    pub(super) fn word() -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [exec 54]
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn words_agree_with_the_standard_librarys_detection() {
        let words = processor_words();
        macro_rules! compare {
            ($($key:literal = $feature:tt),* $(,)?) => { $(
                let ours = FeatureSet::X86_64.query(words, $key);
                assert_eq!(ours, Some(std::arch::is_x86_feature_detected!($feature)), $key);
            )* };
        }
        compare!(
            "sse3" = "sse3",
            "ssse3" = "ssse3",
            "sse4.1" = "sse4.1",
            "sse4.2" = "sse4.2",
            "sse4a" = "sse4a",
            "avx" = "avx",
            "fma" = "fma",
            "f16c" = "f16c",
            "avx2" = "avx2",
            "avx512f" = "avx512f",
            "avx512cd" = "avx512cd",
            "avx512vl" = "avx512vl",
            "avx512dq" = "avx512dq",
            "avx512bw" = "avx512bw",
            "avx512ifma" = "avx512ifma",
            "avx512vbmi" = "avx512vbmi",
            "avx512vpopcntdq" = "avx512vpopcntdq",
            "avx512vnni" = "avx512vnni",
            "avx512vbmi2" = "avx512vbmi2",
            "avx512bitalg" = "avx512bitalg",
            "avx512bf16" = "avx512bf16",
        );
        assert_eq!(words[1..], [0; 7]);
    }

    /// [exec 54]
    #[test]
    fn keys_have_the_bits_of_the_interface_and_unknown_keys_are_none() {
        let keys: Vec<_> = FeatureSet::X86_64.keys().collect();
        assert_eq!(keys.len(), 27);
        assert!(keys.is_sorted_by_key(|&(_, bit)| bit));
        let word = |bit: u32| {
            let mut words = [0; PROCESSOR_WORD_COUNT];
            words[0] = 1 << bit;
            words
        };
        for (set, key, bit) in [
            (FeatureSet::X86_64, "avx512vnni", 28),
            (FeatureSet::X86_64, "amx-bf16", 52),
            (FeatureSet::Aarch64, "i8mm", 13),
            (FeatureSet::Aarch64, "sme-i16i64", 35),
            (FeatureSet::Riscv64, "zvl4096b", 7),
        ] {
            assert_eq!(set.query(&word(bit), key), Some(true), "{key}");
            assert_eq!(set.query(&word(bit + 1), key), Some(false), "{key}");
        }
        assert_eq!(FeatureSet::X86_64.query(&word(0), "i8mm"), None);
        assert_eq!(FeatureSet::Aarch64.query(&word(0), "avx"), None);
        assert_eq!(FeatureSet::Aarch64.query(&word(0), ""), None);
        assert_eq!(FeatureSet::None.query(&word(0), "avx"), None);
    }

    /// [exec 54]
    #[test]
    fn wide_vector_bits_are_clear_unless_the_os_enables_their_state() {
        let everything = |_: u32, _: u32| [u32::MAX; 4];
        let bits = |from: u32, to: u32| (from..=to).fold(0_u64, |word, bit| word | 1 << bit);
        let baseline = bits(0, 4);
        let avx = bits(10, 15);
        let avx512 = bits(20, 32);
        assert_eq!(x86_word(everything, 0), baseline);
        assert_eq!(x86_word(everything, 0x3), baseline);
        assert_eq!(x86_word(everything, 0x7), baseline | avx);
        assert_eq!(x86_word(everything, 0x67), baseline | avx);
        assert_eq!(x86_word(everything, 0xE7), baseline | avx | avx512);
        // Tiles need a permission that nobody asked for.
        assert_eq!(x86_word(everything, u64::MAX), baseline | avx | avx512);
        assert_eq!(x86_word(|_, _| [0; 4], u64::MAX), 0);
    }

    #[test]
    fn arm_bits_come_from_their_capability() {
        assert_eq!(arm_word([1 << 20, 1 << 13]), 1 << 12 | 1 << 13);
        assert_eq!(arm_word([0, 0]), 0);
        assert_eq!(arm_word([u64::MAX, u64::MAX]).count_ones(), 19);
    }
}
