//! The description of the machine that stands before benchmark figures.
//!
//! What lives here: [`Host`], asked from the operating system; whatever it does not tell is left out or 0.

use std::fs;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::json::quoted;

/// One cache level of the first processor.
#[derive(Clone, Debug)]
struct Cache {
    kind: String,
    level: u32,
    bytes: u64,
    sharing: u32,
}

/// What is known of the machine.
#[derive(Clone, Debug)]
pub struct Host {
    date: String,
    host_name: String,
    executable: String,
    processors: usize,
    megahertz: f64,
    scaling: bool,
    caches: Vec<Cache>,
    load: Vec<f64>,
    /// What the user added.
    context: Vec<(String, String)>,
}

impl Host {
    /// Asks the operating system. `context` holds `key=value` lines of the user.
    pub fn ask(context: &[&str]) -> Host {
        let split = |line: &&str| {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            (key.to_owned(), value.to_owned())
        };
        Host {
            date: date_text(SystemTime::now()),
            host_name: read("/proc/sys/kernel/hostname"),
            executable: std::env::current_exe()
                .map(|path| path.display().to_string())
                .unwrap_or_else(|_| "weft".into()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            megahertz: megahertz(),
            scaling: !matches!(
                read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").as_str(),
                "" | "performance"
            ),
            caches: caches(),
            load: read("/proc/loadavg").split(' ').take(3).filter_map(|word| word.parse().ok()).collect(),
            context: context.iter().map(split).collect(),
        }
    }

    /// The lines for people.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}\nRunning {}", self.date, self.executable)?;
        writeln!(
            out,
            "Run on ({} X {:.2} MHz CPU {})",
            self.processors,
            self.megahertz,
            plural(self.processors)
        )?;
        if !self.caches.is_empty() {
            writeln!(out, "CPU Caches:")?;
        }
        for cache in &self.caches {
            let count = self.processors.div_ceil(cache.sharing.max(1) as usize);
            writeln!(out, "  L{} {} {} KiB (x{count})", cache.level, cache.kind, cache.bytes / 1024)?;
        }
        if !self.load.is_empty() {
            let load: Vec<String> = self.load.iter().map(|load| format!("{load:.2}")).collect();
            writeln!(out, "Load Average: {}", load.join(", "))?;
        }
        for (key, value) in &self.context {
            writeln!(out, "{key}: {value}")?;
        }
        if self.scaling {
            writeln!(
                out,
                "***WARNING*** CPU scaling is enabled, the benchmark real time measurements may be noisy and will \
                 incur extra overhead."
            )?;
        }
        Ok(())
    }

    /// The fields of the JSON object, without its braces.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "    \"date\": {},", quoted(&self.date))?;
        writeln!(out, "    \"host_name\": {},", quoted(&self.host_name))?;
        writeln!(out, "    \"executable\": {},", quoted(&self.executable))?;
        writeln!(out, "    \"num_cpus\": {},", self.processors)?;
        writeln!(out, "    \"mhz_per_cpu\": {},", self.megahertz.round())?;
        writeln!(out, "    \"cpu_scaling_enabled\": {},", self.scaling)?;
        writeln!(out, "    \"caches\": [")?;
        for (index, cache) in self.caches.iter().enumerate() {
            writeln!(out, "      {{")?;
            writeln!(out, "        \"type\": {},", quoted(&cache.kind))?;
            writeln!(out, "        \"level\": {},", cache.level)?;
            writeln!(out, "        \"size\": {},", cache.bytes)?;
            writeln!(out, "        \"num_sharing\": {}", cache.sharing)?;
            writeln!(out, "      }}{}", if index + 1 < self.caches.len() { "," } else { "" })?;
        }
        writeln!(out, "    ],")?;
        let load: Vec<String> = self.load.iter().map(f64::to_string).collect();
        writeln!(out, "    \"load_avg\": [{}],", load.join(","))?;
        for (key, value) in &self.context {
            writeln!(out, "    {}: {},", quoted(key), quoted(value))?;
        }
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        writeln!(out, "    \"library_version\": {},", quoted(concat!("weft ", env!("CARGO_PKG_VERSION"))))?;
        writeln!(out, "    \"library_build_type\": {},", quoted(build))?;
        writeln!(out, "    \"json_schema_version\": 1")
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn megahertz() -> f64 {
    let kilohertz = read("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq").parse::<f64>();
    let current = || {
        let text = read("/proc/cpuinfo");
        let line = text.lines().find(|line| line.starts_with("cpu MHz"))?;
        line.split_once(':')?.1.trim().parse().ok()
    };
    kilohertz.ok().map(|kilohertz| kilohertz / 1000.0).or_else(current).unwrap_or(0.0)
}

fn caches() -> Vec<Cache> {
    let one = |index: u32| {
        let folder = format!("/sys/devices/system/cpu/cpu0/cache/index{index}");
        let size = read(&format!("{folder}/size"));
        let (digits, unit) = size.split_at(size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len()));
        let scale = match unit {
            "K" => 1 << 10,
            "M" => 1 << 20,
            _ => 1,
        };
        let shared = read(&format!("{folder}/shared_cpu_map"));
        Some(Cache {
            kind: read(&format!("{folder}/type")),
            level: read(&format!("{folder}/level")).parse().ok()?,
            bytes: digits.parse::<u64>().ok()?.checked_mul(scale)?,
            sharing: shared.chars().filter_map(|digit| digit.to_digit(16)).map(u32::count_ones).sum(),
        })
    };
    (0..8).map_while(one).collect()
}

/// `2026-11-20T23:54:06+00:00`, in UTC: the only zone that is known without a database.
fn date_text(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Count from 0000-03-01, so that the leap day ends its year: 400 years are 146097 days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hours, minutes, seconds) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}+00:00")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00+00:00"),
            (951_782_400, "2000-02-29T00:00:00+00:00"),
            (951_868_799, "2000-02-29T23:59:59+00:00"),
            (1_709_164_800, "2024-02-29T00:00:00+00:00"),
            (1_735_689_599, "2024-12-31T23:59:59+00:00"),
            (4_107_542_400, "2100-03-01T00:00:00+00:00"),
        ] {
            assert_eq!(date_text(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
