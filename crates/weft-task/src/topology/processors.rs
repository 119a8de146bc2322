//! Sets of processors as the system writes them, and sizes of caches.
//!
//! What lives here: [`ProcessorSet`], its text form (`0-3,8`), [`parse_bytes`]. What does not: which files hold such
//! texts (`machine.rs`). A set is a list of ranges: ids have no upper bound, and fixed bit sets were overrun by them.

use std::fmt;

use weft_sync::{Code, Result, Status, bail};

/// A set of processors by the numbers that the system gives them.
///
/// ```
/// use weft_task::ProcessorSet;
/// let set: ProcessorSet = " 0 , 2-3\n".parse()?;
/// assert!(set.contains(2) && !set.contains(1));
/// assert_eq!(set.to_string(), "0,2-3");
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProcessorSet {
    /// First and last of each range; ascending, neither overlapping nor adjacent.
    ranges: Vec<(u32, u32)>,
}

impl ProcessorSet {
    /// One processor.
    #[must_use]
    pub fn single(id: u32) -> ProcessorSet {
        ProcessorSet { ranges: vec![(id, id)] }
    }

    /// Whether a processor is in the set.
    #[must_use]
    pub fn contains(&self, id: u32) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= id);
        after > 0 && id <= self.ranges[after - 1].1
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many processors there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| u64::from(last - first) + 1).sum()
    }

    /// The lowest processor.
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.ranges.first().map(|(first, _)| *first)
    }

    /// The processors, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// First and last of each range, ascending.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.ranges.iter().copied()
    }

    /// The processors that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &ProcessorSet) -> ProcessorSet {
        let (mut left, mut right) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        let mut ranges = Vec::new();
        while let (Some(one), Some(two)) = (left.peek(), right.peek()) {
            let (first, last) = (one.0.max(two.0), one.1.min(two.1));
            let one_ends_first = one.1 <= two.1;
            if first <= last {
                ranges.push((first, last));
            }
            if one_ends_first {
                left.next();
            } else {
                right.next();
            }
        }
        ProcessorSet { ranges }
    }

    /// Orders and joins ranges.
    fn from_ranges(mut ranges: Vec<(u32, u32)>) -> ProcessorSet {
        ranges.sort_unstable();
        let mut joined: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match joined.last_mut() {
                // Ids stay below `u32::MAX`, see `parse_id`.
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        ProcessorSet { ranges: joined }
    }
}

impl FromIterator<u32> for ProcessorSet {
    fn from_iter<I: IntoIterator<Item = u32>>(ids: I) -> ProcessorSet {
        ProcessorSet::from_ranges(ids.into_iter().map(|id| (id, id)).collect())
    }
}

impl fmt::Display for ProcessorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

impl std::str::FromStr for ProcessorSet {
    type Err = Status;

    fn from_str(text: &str) -> Result<ProcessorSet> {
        if text.trim().is_empty() {
            return Ok(ProcessorSet::default());
        }
        let ranges = text.split(',').map(|item| {
            let (first, last) = item.trim().split_once('-').unwrap_or((item, item));
            let (first, last) = (parse_id(first)?, parse_id(last)?);
            if last < first {
                bail!(InvalidArgument, "processor range '{}' runs backwards", item.trim());
            }
            Ok((first, last))
        });
        Ok(ProcessorSet::from_ranges(ranges.collect::<Result<_>>()?))
    }
}

/// One id. The largest number is no id: it stands for "any" in many places.
pub fn parse_id(text: &str) -> Result<u32> {
    let text = text.trim();
    // `parse` alone would accept a sign.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u32>() {
        Ok(id) if digits && id < u32::MAX => Ok(id),
        _ => Err(not_an_id(text)),
    }
}

#[cold]
fn not_an_id(text: &str) -> Status {
    Status::new(Code::InvalidArgument, format!("expected a number below {}, found '{text}'", u32::MAX))
}

/// A number of bytes: `1024`, `32K`, `1M`, `1g`; white space around it is ignored.
pub fn parse_bytes(text: &str) -> Result<u64> {
    let text = text.trim();
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1u64),
    };
    let number =
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
    match number.and_then(|number| number.checked_mul(unit)) {
        Some(bytes) => Ok(bytes),
        None => bail!(InvalidArgument, "expected a number of bytes such as 32K, found '{text}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn parse(text: &str) -> Result<Vec<u32>> {
        text.parse::<ProcessorSet>().map(|set| set.iter().collect())
    }

    /// [task 77] What is a list, and what is none.
    #[test]
    fn lists_are_read_or_refused() {
        for (text, ids) in [
            ("0", &[0][..]),
            ("0-3", &[0, 1, 2, 3]),
            ("0-3,5", &[0, 1, 2, 3, 5]),
            (" 0 , 2-3\n", &[0, 2, 3]),
            ("", &[]),
            ("\n", &[]),
            ("3,1,2,1", &[1, 2, 3]),
            ("4294967294", &[u32::MAX - 1]),
        ] {
            assert_eq!(parse(text).unwrap(), ids, "{text:?}");
        }
        for text in
            ["a", "3-1", "1-", "-1", "4294967295", "1,,2", ",", "1,", "+1", "1-2-3", "99999999999", "0x1"]
        {
            assert_eq!(parse(text).unwrap_err().code(), Code::InvalidArgument, "{text:?}");
        }
    }

    /// [task 79] Ids above 4095 and a list of more than 4 KiB.
    #[test]
    fn large_ids_and_long_lists_are_read() {
        let ids: Vec<u32> = (0..3000).map(|index| index * 3 + 1000).collect();
        let text = ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        assert!(text.len() > 4096);
        assert_eq!(parse(&text).unwrap(), ids);
    }

    /// [task 78] What is a size, and what is none.
    #[test]
    fn sizes_are_read_or_refused() {
        for (text, bytes) in [
            ("32K", 32 << 10),
            ("32k", 32 << 10),
            ("1M", 1 << 20),
            ("2m\n", 2 << 20),
            ("1G", 1 << 30),
            ("1024", 1024),
            ("0", 0),
        ] {
            assert_eq!(parse_bytes(text).unwrap(), bytes, "{text:?}");
        }
        for text in ["", "K", "-1", "+1", "1T", "1KK", "1.5M", "x", "18446744073709551616", "17179869184G"] {
            assert_eq!(parse_bytes(text).unwrap_err().code(), Code::InvalidArgument, "{text:?}");
        }
    }

    proptest! {
        /// [task 77] Any set survives its text; every operation agrees with a set of numbers.
        #[test]
        fn sets_agree_with_sets_of_numbers(
            left in prop::collection::btree_set(0..200u32, 0..60),
            right in prop::collection::btree_set(0..200u32, 0..60),
        ) {
            let (one, two): (ProcessorSet, ProcessorSet) =
                (left.iter().copied().collect(), right.iter().copied().collect());
            prop_assert_eq!(&one.to_string().parse::<ProcessorSet>().unwrap(), &one);
            prop_assert!(one.iter().eq(left.iter().copied()));
            prop_assert_eq!(one.count(), left.len() as u64);
            prop_assert_eq!(one.first(), left.first().copied());
            prop_assert!((0..200).all(|id| one.contains(id) == left.contains(&id)));
            let both: BTreeSet<u32> = left.intersection(&right).copied().collect();
            prop_assert!(one.intersection(&two).iter().eq(both));
        }

        /// [task 77] [task 78] No text panics or hangs, huge ranges included.
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9,\\- kKmMgG\n]{0,24}") {
            if let Ok(set) = text.parse::<ProcessorSet>() {
                prop_assert_eq!(set.to_string().parse::<ProcessorSet>().unwrap(), set);
            }
            let _ = parse_bytes(&text);
        }

        /// [task 78] Each unit is 1024 times the one before.
        #[test]
        fn units_multiply(number in 0..u64::from(u32::MAX)) {
            for (unit, factor) in [("", 1), ("K", 1 << 10), ("m", 1 << 20), ("G", 1u64 << 30)] {
                prop_assert_eq!(parse_bytes(&format!("{number}{unit}")).unwrap(), number * factor);
            }
        }
    }
}
