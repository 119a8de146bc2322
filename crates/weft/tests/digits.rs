//! The digit classifier of `models/digits` on every image that its training never saw.
//!
//! What lives here: the accuracy of a real model through the library. What does not: the text that the tools print
//! for it (`weft-cli`), how it was trained (`models/digits`).

use std::fs;
use std::path::{Path, PathBuf};

use weft::{Program, Tensor};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits")
}

/// The little-endian 4-byte words of an npy file of version 1, whose header is checked to hold `header`.
fn words(file: &str, header: &str) -> Vec<[u8; 4]> {
    let bytes = fs::read(folder().join(file)).expect("models/digits is in the repository");
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let (text, data) = bytes[10..].split_at(length);
    let text = String::from_utf8_lossy(text);
    assert!(text.contains(header), "{file} holds {text}");
    data.as_chunks().0.to_vec()
}

/// At least 97 of 100 images are classified correctly, and the ten scores are probabilities that agree with the class.
#[test]
fn held_out_digits_are_recognised() {
    let pixels: Vec<f32> = words("heldout_images.npy", "<f4").into_iter().map(f32::from_le_bytes).collect();
    let labels: Vec<i32> = words("heldout_labels.npy", "<i4").into_iter().map(i32::from_le_bytes).collect();
    assert_eq!(pixels.len(), labels.len() * 64);
    let program = Program::load(folder().join("digits.vmfb")).unwrap();
    let mut right = 0;
    for (image, &label) in pixels.chunks_exact(64).zip(&labels) {
        let image = Tensor::new(&[8, 8], image).unwrap();
        let (scores, class): (Tensor, Tensor) = program.call("classify", &image).unwrap();
        let (scores, class) = (scores.to_vec::<f32>().unwrap(), class.item::<i32>().unwrap());
        let largest = (0..10).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
        assert_eq!(class, largest as i32, "{scores:?}");
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{scores:?}");
        right += usize::from(class == label);
    }
    println!("{right} of {} held-out images", labels.len());
    assert!(right * 100 >= labels.len() * 97, "{right} of {}", labels.len());
}
