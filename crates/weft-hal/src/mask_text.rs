//! Text form of bit masks: names joined with `|`, longest combination first, the unnamed rest in hex.
//!
//! What lives here: the one formatter and the one parser that every mask type uses, and the macro that declares a
//! mask together with its names. The masks themselves live with what they describe.

use std::fmt;

use weft_sync::{Result, bail};

/// A name and the bits it stands for. Tables list combinations before the single bits they contain.
pub type MaskName = (&'static str, u64);

/// Writes `bits` as names from `names`, longest combinations first, and what has no name in hex.
pub fn format_mask(f: &mut fmt::Formatter<'_>, bits: u64, names: &[MaskName]) -> fmt::Result {
    let mut rest = bits;
    let mut separator = "";
    for &(name, mask) in names {
        if mask != 0 && rest & mask == mask {
            write!(f, "{separator}{name}")?;
            separator = "|";
            rest &= !mask;
        }
    }
    if rest != 0 {
        return write!(f, "{separator}{rest:#X}");
    }
    if bits == 0 { f.write_str("NONE") } else { Ok(()) }
}

/// Reads what [`format_mask`] writes: names and `0x` numbers joined with `|`; `NONE` or nothing is 0.
pub fn parse_mask(text: &str, what: &str, names: &[MaskName]) -> Result<u64> {
    let mut bits = 0;
    for part in text.split('|').map(str::trim) {
        if part.is_empty() && text.trim().is_empty() || part == "NONE" {
            continue;
        }
        if let Some(&(_, mask)) = names.iter().find(|(name, _)| *name == part) {
            bits |= mask;
            continue;
        }
        let digits = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"));
        match digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
            Some(number) => bits |= number,
            None => bail!(InvalidArgument, "unknown {what} `{part}` in `{text}`"),
        }
    }
    Ok(bits)
}

/// Declares a mask type: its constants, their numbers, and the names used in text.
///
/// `combined` lists names of several bits, longest first; `single` lists the bits themselves.
macro_rules! mask {
    (
        $(#[$($meta:tt)*])*
        pub struct $Mask:ident: $Bits:ty, $what:literal {
            combined { $( $(#[$($combined_meta:tt)*])* $Combined:ident = $combined_value:expr; )* }
            single { $( $(#[$($single_meta:tt)*])* $Single:ident = $single_value:expr; )* }
        }
    ) => {
        bitflags::bitflags! {
            $(#[$($meta)*])*
            #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
            pub struct $Mask: $Bits {
                $( $(#[$($single_meta)*])* const $Single = $single_value; )*
                $( $(#[$($combined_meta)*])* const $Combined = $combined_value; )*
                // Programs may pass bits that have no name here; they survive unchanged.
                const _ = !0;
            }
        }

        impl $Mask {
            /// Names in the order in which the text form tries them.
            pub const NAMES: &'static [$crate::mask_text::MaskName] = &[
                $( (stringify!($Combined), $combined_value as u64), )*
                $( (stringify!($Single), $single_value as u64), )*
            ];
        }

        impl std::fmt::Display for $Mask {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::mask_text::format_mask(f, u64::from(self.bits()), Self::NAMES)
            }
        }

        impl std::fmt::Debug for $Mask {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{self}")
            }
        }

        impl std::str::FromStr for $Mask {
            type Err = weft_sync::Status;

            fn from_str(text: &str) -> weft_sync::Result<Self> {
                let bits = $crate::mask_text::parse_mask(text, $what, Self::NAMES)?;
                match <$Bits>::try_from(bits) {
                    Ok(bits) => Ok(Self::from_bits_retain(bits)),
                    Err(_) => weft_sync::bail!(InvalidArgument, "{} {bits:#X} does not fit {} bits", $what, <$Bits>::BITS),
                }
            }
        }
    };
}

pub(crate) use mask;
