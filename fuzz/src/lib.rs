//! What the fuzz targets share: programs made from bytes, modules run within bounds, archives of parameters checked.

pub mod generate;
pub mod parameters;
pub mod run;
pub mod source;
