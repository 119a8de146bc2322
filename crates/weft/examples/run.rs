//! Calls a function of a compiled module with tensors in text form and prints its results.
//!
//! `cargo run --example run -- models/programs/elementwise_f32.vmfb abs "4xf32=-1 2 -3.5 0"`

use weft::{Program, Tensor, Value};

fn main() -> weft::Result<()> {
    let mut words = std::env::args().skip(1);
    let (Some(path), Some(function)) = (words.next(), words.next()) else {
        eprintln!("usage: run MODULE FUNCTION [TENSOR]...");
        std::process::exit(1);
    };
    let program = Program::load(path)?;
    let tensors = words.map(|text| text.parse::<Tensor>()).collect::<weft::Result<Vec<_>>>()?;
    let results: Vec<Value> = program.call(&function, tensors)?;
    results.iter().for_each(|result| println!("{result}"));
    Ok(())
}
