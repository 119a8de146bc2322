//! The example that embeds lines of text, on the small encoder of the repository.

#[allow(dead_code, reason = "its main is not called")]
#[path = "../examples/embed.rs"]
mod embed;

use std::path::PathBuf;

use embed::{Embedding, Encoder, nearest_pairs, report};

fn tiny() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/encoder/tiny"))
}

fn embedding(values: &[f32]) -> Embedding {
    Embedding { values: values.to_vec(), is_cut: false }
}

/// Pairs come from the nearest, each once, with the places of both lines.
#[test]
fn pairs_are_sorted_by_nearness() {
    let embeddings = [embedding(&[1.0, 0.0]), embedding(&[0.0, 1.0]), embedding(&[0.8, 0.6])];
    assert_eq!(nearest_pairs(&embeddings), [(0.8, 0, 2), (0.6, 1, 2), (0.0, 0, 1)]);
    assert_eq!(nearest_pairs(&embeddings[..1]), []);
}

/// An embedding has length 1, depends on the text alone, and says when it does not stand for all of it.
#[test]
fn texts_are_embedded() {
    let encoder = Encoder::load(&tiny()).expect("the encoder loads");
    let short = encoder.embed("weft").expect("it is embedded");
    let length: f32 = short.values.iter().map(|value| value * value).sum();
    assert!((length - 1.0).abs() < 1e-5 && short.values.len() == 32 && !short.is_cut, "{length}");
    assert_eq!(encoder.embed(" Weft ").expect("it is embedded").values, short.values);
    let other = encoder.embed("warp").expect("it is embedded");
    assert_ne!(other.values, short.values);
    // Eight tokens, of which the first and the last are not text.
    assert!(!encoder.embed("sixsix").expect("it is embedded").is_cut);
    let long = encoder.embed("sixsixs").expect("it is embedded");
    assert!(long.is_cut);
    assert_eq!(encoder.embed("sixsixtimes").expect("it is embedded").values, {
        encoder.embed("sixsixt").expect("it is embedded").values
    });
}

/// What people see: equal lines first. Empty ones do not count.
#[test]
fn nearest_lines_are_printed() {
    let mut out = Vec::new();
    report(&tiny(), "one\n\n two\nsix\nOne\n".as_bytes(), &mut out).expect("it reports");
    let out = String::from_utf8(out).expect("text");
    assert!(out.starts_with(" 1.000  one\n        One\n"), "{out}");
    assert_eq!(out.lines().count(), 12, "{out}");
}

/// What is wrong is said.
#[test]
fn errors_name_what_is_wrong() {
    let refused = |folder: PathBuf, lines: &[u8]| {
        report(&folder, lines, Vec::new()).expect_err("it is refused").to_string()
    };
    assert!(refused(tiny(), b"alone\n").contains("at least two lines"));
    assert!(refused(tiny(), b"one\n\xff\xfe\n").contains("line 2"));
    assert!(refused(PathBuf::from("no such folder"), b"").contains("encoder.safetensors"));
}
