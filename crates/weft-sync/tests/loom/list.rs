//! Many push, one drains whole.

use super::model;
use loom::cell::UnsafeCell;
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use weft_sync::list::{Link, Linked, List};

/// A node whose payload is a cell that the checker watches for races.
struct Node {
    payload: UnsafeCell<u32>,
    link: Link<Node>,
    drops: Arc<AtomicUsize>,
}

// SAFETY: always the same field, which nothing else touches.
#[allow(unsafe_code, reason = "a node says which of its fields is the link")]
unsafe impl Linked for Node {
    fn link(&self) -> &Link<Node> {
        &self.link
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
    }
}

fn node(payload: u32, drops: &Arc<AtomicUsize>) -> Box<Node> {
    Box::new(Node { payload: UnsafeCell::new(payload), link: Link::new(), drops: Arc::clone(drops) })
}

/// Reads the payload in the way that the checker takes for an exclusive access.
#[allow(unsafe_code, reason = "the checker's cell is read through a pointer")]
fn payload(node: &Node) -> u32 {
    // SAFETY: the node is out of the list; the checker fails the model if anybody else gets at it.
    node.payload.with_mut(|place| unsafe { *place })
}

/// Everything pushed comes out once; the push that found the list empty was told; each producer's order is kept.
#[test]
fn pushes_against_a_drain() {
    model(|| {
        let (list, drops) = (Arc::new(List::new()), Arc::new(AtomicUsize::new(0)));
        let producer = thread::spawn({
            let (list, drops) = (Arc::clone(&list), Arc::clone(&drops));
            move || [list.push(node(1, &drops)), list.push(node(2, &drops))]
        });
        let other = thread::spawn({
            let (list, drops) = (Arc::clone(&list), Arc::clone(&drops));
            move || list.push(node(7, &drops))
        });
        let early: Vec<u32> = list.drain().map(|node| payload(&node)).collect();
        let owed = producer.join().unwrap().map(usize::from).iter().sum::<usize>();
        let owed = owed + usize::from(other.join().unwrap());
        let late: Vec<u32> = list.drain().map(|node| payload(&node)).collect();
        assert_eq!(owed, usize::from(!early.is_empty()) + usize::from(!late.is_empty()));
        let all = [early, late].concat();
        assert_eq!(all.iter().filter(|&&it| it != 7).collect::<Vec<_>>(), [&1, &2]);
        assert_eq!((all.len(), drops.load(Ordering::Relaxed)), (3, 3));
    });
}

/// What is never drained is dropped with the list, what a drain left over with the drain.
#[test]
fn nothing_leaks() {
    model(|| {
        let (list, drops) = (Arc::new(List::new()), Arc::new(AtomicUsize::new(0)));
        let producer = thread::spawn({
            let (list, drops) = (Arc::clone(&list), Arc::clone(&drops));
            move || _ = list.push(node(1, &drops))
        });
        let mut taken = list.drain();
        let _ = list.push(node(2, &drops));
        assert!(taken.next().is_none_or(|node| payload(&node) == 1));
        producer.join().unwrap();
        drop(taken);
        drop(list);
        assert_eq!(drops.load(Ordering::Relaxed), 2);
    });
}
