//! The table that a benchmark prints.

use crate::measure::Figure;

/// Rows of figures under headings, printed as they come.
pub struct Table;

impl Table {
    /// Prints the column heads once.
    pub fn begin(title: &str) -> Table {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!("\n{title}   (load average {})", load.split(' ').next().unwrap_or("unknown"));
        println!("{:<46} {:>12} {:>12} {:>8}   mark", "", "median", "minimum", "ratio");
        Table
    }

    /// Prints a group: the first figure is what the ratios refer to. `mark_ns` is the goal of the row named weft.
    pub fn group(&self, name: &str, figures: &[Figure], mark_ns: Option<f64>) {
        println!("{name}");
        for figure in figures {
            let mark = match mark_ns {
                Some(goal) if figure.name.starts_with("weft") => {
                    let verdict = if figure.median_ns <= goal { "met" } else { "missed" };
                    format!("{} {verdict}", time(goal))
                }
                _ => String::new(),
            };
            println!(
                "  {:<44} {:>12} {:>12} {:>7.2}x   {mark}",
                figure.name,
                time(figure.median_ns),
                time(figure.min_ns),
                figure.ratio
            );
        }
    }
}

/// Rows beside figures that were published: the peer cannot run here, so the ratio is to its number on a machine of
/// this kind. It says something about the order of magnitude and the shape over sizes, not about percents.
pub struct Published;

impl Published {
    /// Prints the column heads once.
    pub fn begin(title: &str) -> Published {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!("\n{title}   (load average {})", load.split(' ').next().unwrap_or("unknown"));
        println!("{:<46} {:>12} {:>12} {:>12} {:>8}", "", "weft", "minimum", "reference", "ratio");
        Published
    }

    /// Prints one row; the ratio is that of the median.
    pub fn row(&self, figure: &Figure, reference_ns: Option<f64>) {
        let reference = reference_ns.map_or_else(String::new, time);
        let ratio = reference_ns.map_or_else(String::new, |ns| format!("{:.2}x", figure.median_ns / ns));
        let (median, minimum) = (time(figure.median_ns), time(figure.min_ns));
        println!("{:<46} {median:>12} {minimum:>12} {reference:>12} {ratio:>8}", figure.name);
    }
}

/// A time in the unit that keeps three to four digits.
pub fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1_000.0 => format!("{ns:.1} ns"),
        ns if ns < 1_000_000.0 => format!("{:.2} us", ns / 1e3),
        ns => format!("{:.2} ms", ns / 1e6),
    }
}
