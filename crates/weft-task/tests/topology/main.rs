//! Topologies of synthetic machines, each a manifest in `machines/`, and of the one below.

mod affinity_mask;
mod hostile;
mod machines;
mod manifest;
mod requests;
mod shapes;
