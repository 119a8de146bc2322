//! `--output`: where results go (`docs/spec/hal-module.md` §13.4).
//!
//! What does not live here: what a result looks like (see `results.rs`), numpy's format (see `npy.rs`).

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::{BufWriter, Write};

use weft::hal::{ElementType, Shape};
use weft::sync::{Result, Status, WhileDoing, bail, status};
use weft::vm::Value;

use crate::failure::{Outcome, file_status};
use crate::inputs::excerpt;
use crate::npy;
use crate::results::Shown;

/// Does with each result what its `--output` says. Results that are discarded are not read back.
pub fn write_all(
    out: &mut dyn Write,
    results: &[weft::Value],
    read: &dyn Fn(&weft::Value) -> Result<Shown>,
    places: &[&str],
    elements_max: usize,
) -> Outcome {
    if places.len() != results.len() {
        return Err(count_mismatch(places.len(), results.len()).while_doing("outputting results").into());
    }
    for (result, place) in results.iter().zip(places) {
        match *place {
            "" => {}
            "-" => read(result)?.print(out, elements_max)?,
            _ => read(result)
                .and_then(|result| write_file(&result, place))
                .while_doing(|| format!("outputting to `{}`", excerpt(place)))?,
        }
    }
    Ok(())
}

#[cold]
fn count_mismatch(places: usize, results: usize) -> Status {
    status!(
        OutOfRange,
        "{places} outputs specified but the provided variant list only has {results} elements"
    )
}

fn write_file(result: &Shown, place: &str) -> Result<()> {
    let (path, append) = match (place.strip_prefix('@'), place.strip_prefix('+')) {
        (Some(path), _) => (path, false),
        (_, Some(path)) => (path, true),
        _ => bail!(
            Unimplemented,
            "unsupported output mode specification '{place}'; expected nothing, -, @file or +file"
        ),
    };
    // What is written is known to be writable before the file is touched.
    let (header, bytes) = contents(result)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).append(append).truncate(!append);
    let file = options.open(path).map_err(|error| file_status(&error, "open", path))?;
    let mut file = BufWriter::new(file);
    if path.ends_with(".npy") {
        header.write(&mut file)?;
    }
    let failed = |error: &std::io::Error| file_status(error, "write", path);
    file.write_all(&bytes).map_err(|error| failed(&error))?;
    file.into_inner().map(drop).map_err(|error| failed(error.error()))
}

/// Header and elements of what is written for a result.
fn contents(result: &Shown) -> Result<(npy::Header, Cow<'_, [u8]>)> {
    let array = |element_type, shape| npy::Header { shape, element_type };
    Ok(match result {
        Shown::Scalar(value) => {
            let (element_type, bytes) = match value {
                Value::I32(value) => (ElementType::I32, value.to_le_bytes().to_vec()),
                Value::I64(value) => (ElementType::I64, value.to_le_bytes().to_vec()),
                Value::F32(value) => (ElementType::F32, value.to_le_bytes().to_vec()),
                Value::F64(value) => (ElementType::F64, value.to_le_bytes().to_vec()),
                other => bail!(Internal, "a function gave a value of type {}", other.kind()),
            };
            (array(element_type, Shape::SCALAR), bytes.into())
        }
        Shown::Tensor(tensor) => (array(tensor.element_type, tensor.shape.clone()), (&tensor.bytes).into()),
        Shown::Buffer(bytes) | Shown::Bytes(bytes) => {
            (array(ElementType::I8, Shape::new(&[bytes.len() as u64])?), bytes.into())
        }
        // As the reference does: a null is a file without contents.
        Shown::Null => (array(ElementType::I8, Shape::new(&[0])?), (&[][..]).into()),
        Shown::List(_) | Shown::Other(_) => bail!(
            InvalidArgument,
            "unsupported output source type {}; expected a number, !hal.buffer, !hal.buffer_view or !vm.buffer",
            result.type_name()
        ),
    })
}
