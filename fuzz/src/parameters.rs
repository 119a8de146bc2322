//! Bytes as an archive of parameters, whatever the format.
//!
//! Shows: reading never panics, hangs or uses memory beyond a multiple of the input; what is read twice is equal; every
//! parameter that is found lies within the file, and can be read.

use std::sync::Arc;

use weft::parameters::{ArchiveFormat, ParameterFile, ParameterKind, read_archive};

/// Reads the bytes and checks what comes out.
pub fn check(format: ArchiveFormat, bytes: &[u8]) {
    let file = ParameterFile::from_memory("fuzz", Arc::new(bytes.to_vec()));
    let entries = match read_archive(&file, format) {
        Ok(entries) => entries,
        Err(status) => {
            return assert!(status.to_string().contains("`fuzz`"), "errors name the file: {status}");
        }
    };
    let again = read_archive(&file, format).expect("what was read once is read again");
    assert_eq!(format!("{entries:?}"), format!("{again:?}"));
    for entry in &entries {
        assert!(entry.check_range(0, entry.length).is_ok());
        let ParameterKind::File { offset, .. } = &entry.kind else { continue };
        let end = offset.checked_add(entry.length).expect("a range of the file");
        assert!(end <= bytes.len() as u64);
        if entry.length > 0 {
            let mut last = [0];
            file.read_exact_at(end - 1, &mut last).expect("a byte of the file");
        }
    }
}
