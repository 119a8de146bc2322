//! Rows for slices: viewers show slices of one row nested, so those that overlap otherwise need rows of their own.

use super::events::Args;

/// A stretch of time that waits for its row.
#[derive(Clone, Debug)]
pub struct Slice {
    /// From when.
    pub start_ns: u64,
    /// Until when.
    pub end_ns: u64,
    /// Of slices with the same times, those with less enclose those with more.
    pub depth: u8,
    /// What to call it.
    pub name: String,
    /// What kind it is.
    pub category: &'static str,
    /// Details.
    pub args: Args,
    /// The arrow that comes here.
    pub flow: Option<Flow>,
    /// What happens at its end.
    pub marks: Vec<String>,
}

/// An arrow, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It goes on.
    Step(u64),
    /// It ends here.
    End(u64),
}

/// Deals slices out to as few rows as the order of their beginnings allows. Slices within others share a row with them
/// if `nests`.
pub fn deal(mut slices: Vec<Slice>, nests: bool) -> Vec<Vec<Slice>> {
    // Of those that begin together the longest comes first, so that it encloses the others.
    slices.sort_by_key(|slice| (slice.start_ns, u64::MAX - slice.end_ns, slice.depth));
    let mut rows: Vec<Row> = Vec::new();
    for slice in slices {
        // As long as it will be shown.
        let end_ns = slice.end_ns.max(slice.start_ns + 1);
        let row = rows.iter().position(|row| row.takes(slice.start_ns, end_ns, nests));
        let row = row.unwrap_or_else(|| {
            rows.push(Row::default());
            rows.len() - 1
        });
        let row = &mut rows[row];
        row.open_ns.retain(|&end| end > slice.start_ns);
        row.open_ns.push(end_ns);
        row.slices.push(slice);
    }
    rows.into_iter().map(|row| row.slices).collect()
}

#[derive(Default)]
struct Row {
    slices: Vec<Slice>,
    /// Ends of the slices that enclose each other, outermost first.
    open_ns: Vec<u64>,
}

impl Row {
    fn takes(&self, start_ns: u64, end_ns: u64, nests: bool) -> bool {
        // Ends fall from the outermost to the innermost: the last one that is still open decides.
        match self.open_ns.iter().rev().find(|&&end| end > start_ns) {
            None => true,
            Some(&innermost) => nests && end_ns <= innermost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(times: &[(u64, u64)], nests: bool) -> Vec<Vec<(u64, u64)>> {
        let slice = |&(start_ns, end_ns): &(u64, u64)| Slice {
            start_ns,
            end_ns,
            depth: 0,
            name: String::new(),
            category: "",
            args: Args::new(),
            flow: None,
            marks: Vec::new(),
        };
        let rows = deal(times.iter().map(slice).collect(), nests);
        rows.iter().map(|row| row.iter().map(|slice| (slice.start_ns, slice.end_ns)).collect()).collect()
    }

    #[test]
    fn overlapping_slices_get_rows_of_their_own() {
        let times = [(0, 10), (10, 20), (12, 15), (14, 30), (20, 21), (20, 20)];
        let nested = [vec![(0, 10), (10, 20), (12, 15), (20, 21), (20, 20)], vec![(14, 30)]];
        assert_eq!(rows(&times, true), nested);
        let flat = [vec![(0, 10), (10, 20), (20, 21)], vec![(12, 15), (20, 20)], vec![(14, 30)]];
        assert_eq!(rows(&times, false), flat);
        assert!(rows(&[], true).is_empty());
    }
}
