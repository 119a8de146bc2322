//! Reads lines of text from standard input and prints which of them mean nearly the same.
//!
//! `cargo run --release --example embed -- FOLDER < lines.txt`, where FOLDER has a sentence encoder: `encoder.vmfb`,
//! `encoder.safetensors` and `tokenizer.json`, as `models/encoder/build.py` makes them.

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;

use tokenizers::{Tokenizer, TruncationParams};
use weft::parameters::{ParameterFile, ParameterScopes};
use weft::{Function, Session, Tensor};

/// Pairs that are printed.
const PAIRS_SHOWN: usize = 10;

/// What may go wrong here comes from three libraries.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A tokenizer, and a function for each length of text.
pub struct Encoder {
    tokenizer: Tokenizer,
    /// By the number of tokens that each takes, from the smallest.
    functions: Vec<(usize, Function)>,
}

/// Where a text lies among others: a vector of length 1.
pub struct Embedding {
    /// Its coordinates.
    pub values: Vec<f32>,
    /// The text was longer than the encoder takes, so its end has no part in this.
    pub is_cut: bool,
}

impl Encoder {
    /// Loads program, weights and tokenizer from a folder.
    pub fn load(folder: &Path) -> Outcome<Encoder> {
        let weights = folder.join("encoder.safetensors");
        let mut scopes = ParameterScopes::new();
        scopes.add("encoder", &weights.to_string_lossy(), &ParameterFile::open(&weights)?)?;
        let program = Session::builder().parameters(scopes).build()?.load(folder.join("encoder.vmfb"))?;
        let mut functions: Vec<(usize, Function)> = program
            .functions()
            .filter_map(|function| Some((function.name().strip_prefix("embed_")?.parse().ok()?, function)))
            .collect();
        functions.sort_by_key(|(tokens, _)| *tokens);
        let (tokens_max, _) = functions.last().ok_or("the program has no function `embed_N`")?;

        let path = folder.join("tokenizer.json");
        let mut tokenizer =
            Tokenizer::from_file(&path).map_err(|why| format!("{}: {why}", path.display()))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(Some(TruncationParams {
            max_length: *tokens_max,
            ..TruncationParams::default()
        }))?;
        Ok(Encoder { tokenizer, functions })
    }

    /// Embeds a text by the smallest function that it fits into.
    pub fn embed(&self, text: &str) -> Outcome<Embedding> {
        let encoding = self.tokenizer.encode(text, true)?;
        let mut ids: Vec<i64> = encoding.get_ids().iter().map(|id| i64::from(*id)).collect();
        let count = Tensor::scalar(ids.len() as i64)?;
        let fitting = self.functions.iter().find(|(tokens, _)| *tokens >= ids.len());
        let (tokens, function) = fitting.ok_or("the tokenizer gave more tokens than it was asked for")?;
        ids.resize(*tokens, 0);
        let embedding: Tensor = function.call((Tensor::new(&[1, *tokens as u64], &ids)?, count))?;
        Ok(Embedding { values: embedding.to_vec()?, is_cut: !encoding.get_overflowing().is_empty() })
    }
}

/// All pairs with the cosine of the angle between them, from the nearest.
pub fn nearest_pairs(embeddings: &[Embedding]) -> Vec<(f32, usize, usize)> {
    let mut pairs = Vec::new();
    for (second, right) in embeddings.iter().enumerate() {
        for (first, left) in embeddings[..second].iter().enumerate() {
            // Both have length 1, so nothing is left to divide by.
            let cosine: f32 = left.values.iter().zip(&right.values).map(|(a, b)| a * b).sum();
            pairs.push((cosine, first, second));
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    pairs
}

/// Embeds what `lines` has and writes the nearest pairs.
pub fn report(folder: &Path, lines: impl BufRead, mut out: impl Write) -> Outcome<()> {
    let encoder = Encoder::load(folder)?;
    let (mut texts, mut embeddings) = (Vec::new(), Vec::new());
    for (index, line) in lines.lines().enumerate() {
        let line = line.map_err(|why| format!("line {}: {why}", index + 1))?;
        if line.trim().is_empty() {
            continue;
        }
        let embedding = encoder.embed(&line).map_err(|why| format!("line {}: {why}", index + 1))?;
        if embedding.is_cut {
            eprintln!("embed: line {} is too long; its end has no part in this", index + 1);
        }
        texts.push(line);
        embeddings.push(embedding);
    }
    if texts.len() < 2 {
        return Err("at least two lines are needed to compare".into());
    }
    for (cosine, first, second) in nearest_pairs(&embeddings).into_iter().take(PAIRS_SHOWN) {
        writeln!(out, "{cosine:>6.3}  {}\n        {}", texts[first], texts[second])?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: embed FOLDER < LINES");
        return ExitCode::FAILURE;
    };
    match report(Path::new(&folder), io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("embed: {why}");
            ExitCode::FAILURE
        }
    }
}
