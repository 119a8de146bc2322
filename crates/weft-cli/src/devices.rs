//! `weft devices`, and the listings that the reference's tools print for `--list_drivers` and the like
//! (`docs/spec/hal-module.md` §13.3).
//!
//! What does not live here: drivers and devices themselves (`weft`).

use std::io::{self, Write};

use weft::cpu::features::FeatureSet;
use weft::hal::Device;
use weft::io::Proactor;
use weft::sync::Result;
use weft::{Driver, drivers, open_device};

use crate::failure::{Failure, Outcome};
use crate::flags::Flags;
use crate::task_flags::task_options;
use crate::worker_table::Workers;

/// Formats of executables that programs ask for (`docs/spec/executables.md`); a device has loaders for some.
const FORMATS: &[&str] = &[
    "embedded-elf-x86_64",
    "embedded-elf-arm_64",
    "embedded-elf-riscv_64",
    "system-elf-x86_64",
    "system-elf-arm_64",
    "system-elf-riscv_64",
    "system-dylib-x86_64",
    "system-dylib-arm_64",
    "system-dll-x86_64",
    "system-dll-arm_64",
    "vmvx-bytecode-fb",
    "weft-native",
];

/// Lists of words are wrapped at this width.
const LINE_WIDTH: usize = 96;

/// Runs the command.
pub fn run(flags: &Flags) -> Outcome {
    if let Some(word) = flags.positionals.first() {
        return Err(Failure::usage(format!(
            "weft devices takes flags only, found '{word}'; --list_devices=<driver> shows those of one driver"
        )));
    }
    let options = task_options(flags)?;
    let mut out = std::io::stdout().lock();
    if !list(&mut out, flags)? {
        // First, so that a request that cannot be met is refused before anything is printed.
        let workers = Workers::of(&options.topology)?;
        describe(&mut out)?;
        describe_io(&mut out, weft::io::open_any(&weft::io::Config::new()))?;
        workers.write(&mut out)?;
    }
    out.flush()?;
    Ok(())
}

/// Prints the listing that a flag asks for. `false` if none does.
pub fn list(out: &mut dyn Write, flags: &Flags) -> Outcome<bool> {
    if flags.switch("list_drivers") {
        list_drivers(out)?;
    } else if let Some(driver) = flags.given("list_devices") {
        for driver in chosen(driver)? {
            for uri in driver.device_uris() {
                writeln!(out, "{uri}")?;
            }
        }
    } else if let Some(driver) = flags.given("dump_devices") {
        for driver in chosen(driver)? {
            dump_devices(out, driver)?;
        }
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// The named driver, or all for an empty name.
fn chosen(name: &str) -> Result<Vec<&'static Driver>> {
    match name {
        "" => Ok(drivers().iter().collect()),
        name => Ok(vec![Driver::find(name)?]),
    }
}

fn list_drivers(out: &mut dyn Write) -> io::Result<()> {
    let rule = "=".repeat(76);
    writeln!(out, "# {rule}\n# Available HAL drivers\n# {rule}")?;
    writeln!(out, "# Use --list_devices={{driver name}} to enumerate available devices.\n")?;
    for driver in drivers() {
        writeln!(out, "{:>16}: {}", driver.name, driver.description)?;
    }
    Ok(())
}

fn dump_devices(out: &mut dyn Write, driver: &Driver) -> io::Result<()> {
    let rule = "=".repeat(76);
    writeln!(out, "# {rule}\n# Enumerated devices for driver '{}'\n# {rule}\n", driver.name)?;
    let rule = format!("# ==={}===", "-".repeat(70));
    for uri in driver.device_uris() {
        writeln!(out, "{rule}\n# --device={uri}\n#   default\n{rule}")?;
    }
    Ok(())
}

/// Everything that a person may want to know before choosing a device.
fn describe(out: &mut dyn Write) -> Outcome {
    writeln!(out, "Drivers:")?;
    for driver in drivers() {
        writeln!(out, "  {:<12} {}", driver.name, driver.description)?;
    }
    for driver in drivers() {
        for uri in driver.device_uris() {
            let device = open_device(&uri)?;
            writeln!(out, "\nDevice {uri}  (use it with --device={})", driver.name)?;
            describe_device(out, &device)?;
        }
    }
    Ok(())
}

fn describe_device(out: &mut dyn Write, device: &Device) -> io::Result<()> {
    let ask = |category: &str, key: &str| device.query_i64(category, key).unwrap_or(0);
    writeln!(out, "  queues:       {}", ask("hal.device", "concurrency"))?;
    writeln!(out, "  workers:      {}", ask("hal.dispatch", "concurrency"))?;
    let formats = FORMATS.iter().copied().filter(|format| ask("hal.executable.format", format) != 0);
    write_words(out, "formats", formats)?;
    let features = FeatureSet::HOST.keys().map(|(key, _)| key).filter(|key| ask("hal.cpu", key) != 0);
    write_words(out, "cpu features", features)?;
    for heap in device.allocator().query_heaps(usize::MAX).unwrap_or_default() {
        writeln!(out, "  memory:       {}", heap.memory_type)?;
    }
    Ok(())
}

/// What carries input and output in this process as it is, and why not what would be tried before.
fn describe_io(out: &mut dyn Write, opened: Result<Proactor>) -> io::Result<()> {
    let variable = weft::io::BACKEND_VARIABLE;
    let proactor = match opened {
        Ok(proactor) => proactor,
        Err(why) => return writeln!(out, "\nInput and output: none\n  {why}"),
    };
    let description = proactor.handle().describe();
    writeln!(out, "\nInput and output: {}  (choose with {variable}=)", description.backend)?;
    writeln!(out, "  set-up:       {}", description.details)?;
    let names = description.capabilities.iter_names();
    write_words(out, "capabilities", names.map(|(name, _)| name.to_lowercase().replace('_', "-")))?;
    for (name, why) in &description.refused {
        writeln!(out, "  {:<13} {why}", format!("not {name}:"))?;
    }
    Ok(())
}

/// A label and words, wrapped.
fn write_words(
    out: &mut dyn Write,
    label: &str,
    words: impl Iterator<Item = impl AsRef<str>>,
) -> io::Result<()> {
    let mut line = format!("  {:<13}", format!("{label}:"));
    for word in words {
        let word = word.as_ref();
        if line.len() + word.len() >= LINE_WIDTH {
            writeln!(out, "{line}")?;
            line = " ".repeat(15);
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(out, "{line}")
}
