//! What the fuzz targets share: programs made from bytes, and modules run within bounds.

pub mod generate;
pub mod run;
pub mod source;
