//! All edges of a group.
//!
//! 1. There is an edge from every device to every device, itself included.
//! 2. A device reaches itself natively.
//! 3. What lies between two devices is the same from both sides.

use weft_sync::{Result, bail};

use super::GROUP_DEVICES_MAX;
use super::edge::Edge;

/// The edges between the devices of a group. Keeps the rules above; never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeMatrix {
    device_count: usize,
    /// Row by row: from the device of the row to that of the column.
    edges: Box<[Edge]>,
}

impl EdgeMatrix {
    /// The edges of devices that all work on the memory of one machine, next to these of its nodes.
    pub fn of_host(numa_nodes: &[u8]) -> Result<EdgeMatrix> {
        let mut builder = EdgeMatrixBuilder::new(numa_nodes.len())?;
        for (from, node) in numa_nodes.iter().enumerate() {
            for (to, other) in numa_nodes.iter().enumerate() {
                let edge = if from == to { Edge::to_self() } else { Edge::to_host_device(node == other) };
                builder.set(from, to, edge)?;
            }
        }
        builder.build()
    }

    /// How many devices it is for.
    pub fn device_count(&self) -> usize {
        self.device_count
    }

    /// How device `from` reaches device `to`. Panics beyond the last one.
    pub fn edge(&self, from: usize, to: usize) -> Edge {
        assert!(to < self.device_count, "device {to} of {}", self.device_count);
        self.edges[from * self.device_count + to]
    }
}

/// Collects the edges of a group.
///
/// ```
/// use weft_hal::group::{Edge, EdgeMatrixBuilder};
/// let mut builder = EdgeMatrixBuilder::new(1)?;
/// builder.set(0, 0, Edge::to_self())?;
/// assert!(builder.build()?.edge(0, 0).is_native());
/// # weft_sync::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct EdgeMatrixBuilder {
    device_count: usize,
    edges: Vec<Option<Edge>>,
}

impl EdgeMatrixBuilder {
    /// No edges so far. RESOURCE_EXHAUSTED for more devices than a group has.
    pub fn new(device_count: usize) -> Result<EdgeMatrixBuilder> {
        if device_count > GROUP_DEVICES_MAX {
            bail!(ResourceExhausted, "{device_count} devices; a group has at most {GROUP_DEVICES_MAX}");
        }
        Ok(EdgeMatrixBuilder { device_count, edges: vec![None; device_count * device_count] })
    }

    /// Says how device `from` reaches device `to`. OUT_OF_RANGE if there is no such device.
    pub fn set(&mut self, from: usize, to: usize, edge: Edge) -> Result<()> {
        if from.max(to) >= self.device_count {
            bail!(OutOfRange, "an edge from {from} to {to}, between {} devices", self.device_count);
        }
        self.edges[from * self.device_count + to] = Some(edge);
        Ok(())
    }

    /// The matrix. INVALID_ARGUMENT if it breaks one of the rules.
    pub fn build(self) -> Result<EdgeMatrix> {
        let EdgeMatrixBuilder { device_count, edges } = self;
        if let Some(missing) = edges.iter().position(Option::is_none) {
            let (from, to) = (missing / device_count, missing % device_count);
            bail!(InvalidArgument, "there is no edge from device {from} to device {to}");
        }
        let matrix = EdgeMatrix { device_count, edges: edges.into_iter().flatten().collect() };
        for from in 0..device_count {
            if !matrix.edge(from, from).is_native() {
                bail!(InvalidArgument, "device {from} does not reach itself natively");
            }
            for to in 0..from {
                let (there, back) = (matrix.edge(from, to).link_class(), matrix.edge(to, from).link_class());
                if there != back {
                    bail!(
                        InvalidArgument,
                        "between devices {to} and {from} lies {back:?} from one side and {there:?} from the other"
                    );
                }
            }
        }
        Ok(matrix)
    }
}
