//! Tiles: each runs once, after all of the region before, and each region has one completer.

use std::sync::Arc;

use weft_sync::atomic::{AtomicU32, Ordering};
use weft_task::Tiles;

use crate::{model, wide_model};

/// Two regions; each tile writes a cell of its own, the tiles of the second read all cells of the first.
struct Field {
    tiles: Tiles,
    sizes: [u32; 2],
    cells: [Vec<AtomicU32>; 2],
    completers: AtomicU32,
}

impl Field {
    fn new(sizes: [u32; 2]) -> Arc<Field> {
        let cells = sizes.map(|size| (0..size).map(|_| AtomicU32::new(0)).collect());
        let field = Field { tiles: Tiles::new(), sizes, cells, completers: AtomicU32::new(0) };
        field.tiles.open(0, sizes[0]);
        Arc::new(field)
    }

    /// What a worker does in one look: claims until there is nothing, opens the next region if it was the last.
    fn work(&self, at_once: u32) {
        while let Some(open) = self.tiles.current() {
            let Some(range) = self.tiles.claim(open, at_once) else { return };
            let count = range.len() as u32;
            for tile in range {
                self.run(open.region as usize, tile as usize);
            }
            if self.tiles.retire(count) {
                self.completers.fetch_add(1, Ordering::Relaxed);
                if open.region == 0 {
                    self.tiles.open(1, self.sizes[1]);
                }
            }
        }
    }

    fn run(&self, region: usize, tile: usize) {
        if region == 1 {
            for cell in &self.cells[0] {
                // Relaxed: without an edge from the writer the model also tries the old value.
                assert_eq!(cell.load(Ordering::Relaxed), 1);
            }
        }
        assert_eq!(self.cells[region][tile].fetch_add(1, Ordering::Relaxed), 0, "a tile runs once");
    }

    fn check(&self) {
        for cell in self.cells.iter().flatten() {
            assert_eq!(cell.load(Ordering::Relaxed), 1);
        }
        assert_eq!(self.completers.load(Ordering::Relaxed), 2);
    }
}

fn run(sizes: [u32; 2], workers: usize, at_once: u32) {
    let field = Field::new(sizes);
    let others: Vec<_> = (1..workers)
        .map(|_| {
            let field = Arc::clone(&field);
            loom::thread::spawn(move || field.work(at_once))
        })
        .collect();
    field.work(at_once);
    for other in others {
        other.join().unwrap();
    }
    // Whoever completed the last region has seen everything; the others are joined.
    field.check();
}

/// [hal 158]
#[test]
fn two_workers_share_two_regions() {
    model(|| run([2, 2], 2, 1));
}

/// [hal 158]
#[test]
fn a_narrow_region_before_a_wide_one() {
    model(|| run([1, 3], 2, 2));
}

/// [hal 158]
#[test]
fn three_workers_and_a_late_one_among_them() {
    wide_model(|| run([2, 1], 3, 1));
}
