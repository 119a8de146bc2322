//! Subjects in turn, with the time of their servers.

use crate::server::Server;
use std::time::{Duration, Instant};
use weft_bench::{Figure, Table};

/// Rounds that count; one more warms up.
const ROUNDS: usize = 15;
/// How long one subject runs in one round, at least.
const SLICE: Duration = Duration::from_millis(40);

/// A server and what is asked of it; that stands for `per_call` operations.
pub struct Asked<'a> {
    pub server: &'a Server,
    pub per_call: usize,
    pub ask: Box<dyn FnMut() + 'a>,
}

/// What rounds have taken, of one kind of time.
type Times = Vec<Vec<f64>>;

/// Runs all in turn and prints two groups. The mark is the least that one of the subjects of `marks` has taken.
pub fn rounds(table: &Table, name: &str, mut subjects: Vec<Asked<'_>>, marks: &[&str]) {
    let calls: Vec<u64> = subjects.iter_mut().map(calibrate).collect();
    let (mut walls, mut busy): (Times, Times) = (vec![vec![]; subjects.len()], vec![vec![]; subjects.len()]);
    for round in 0..=ROUNDS {
        for (index, subject) in subjects.iter_mut().enumerate() {
            let (start, used) = (Instant::now(), subject.server.busy_ns());
            for _ in 0..calls[index] {
                (subject.ask)();
            }
            let (wall, used) = (start.elapsed(), subject.server.busy_ns() - used);
            if round > 0 {
                let operations = (calls[index] * subject.per_call as u64) as f64;
                walls[index].push(wall.as_secs_f64() * 1e9 / operations);
                busy[index].push(used as f64 / operations);
            }
        }
    }
    for (times, what) in [(&walls, "time"), (&busy, "processor time of the server")] {
        let figures: Vec<Figure> = subjects
            .iter()
            .zip(times)
            .map(|(subject, own)| Figure::of(subject.server.name, own, &times[0]))
            .collect();
        let marked = figures.iter().filter(|figure| marks.contains(&figure.name.as_str()));
        let mark = marked.map(|figure| figure.median_ns).min_by(f64::total_cmp);
        table.group(&format!("{name}, {what}"), &figures, mark);
    }
}

/// How many calls fill a slice.
fn calibrate(subject: &mut Asked<'_>) -> u64 {
    let mut calls = 1;
    loop {
        let start = Instant::now();
        for _ in 0..calls {
            (subject.ask)();
        }
        let spent = start.elapsed();
        if spent >= SLICE / 4 {
            return ((calls as f64 * SLICE.as_secs_f64() / spent.as_secs_f64()) as u64).max(1);
        }
        calls *= 2;
    }
}
