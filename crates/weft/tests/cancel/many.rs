//! Cancels at random moments, again and again.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use weft::{CancelToken, Code, Deadline, Fence, Program, Result, Tensor, Value};

use crate::{Others, SOON, assert_nothing_is_left, check_others, everywhere, floats, ground, stepped};

const ROUNDS: u64 = if cfg!(tsan) { 40 } else { 200 };

/// Numbers that look random; a seed gives the same ones every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// One call of some kind: cancelled, or right.
fn call(program: &Program, random: &mut Random, token: &CancelToken, large: &Tensor) -> Result<()> {
    let kind = random.below(4);
    let rounds = random.below(if kind == 2 { 80 } else { 100 }) as i64;
    let (name, argument, rounds_value) = match kind {
        0 => ("steps", floats(&[2.0; 4]), Value::I64(rounds)),
        1 => ("look", floats(&[2.0; 4]), Value::I32(rounds as i32)),
        2 => ("grind", large.clone(), Value::I64(rounds)),
        _ => ("add", floats(&[2.0; 4]), Value::from(floats(&[0.0; 4]))),
    };
    let expected = if name == "add" { 2.0 } else { stepped(2.0, rounds) };
    let (function, signal) = (program.function(name)?, Fence::create());
    let mut call = function.prepare((argument, rounds_value)).cancelled_by(token).signalling(&signal);
    let output = (kind != 2 && random.below(2) == 0).then(|| floats(&[0.0; 4]));
    if let Some(output) = &output {
        call = call.into_outputs(output);
    }
    let outcome: Result<Tensor> = if random.below(2) == 0 { call.run() } else { call.submit() };
    // Told one way or the other, whatever happened.
    let told = signal.wait(Deadline::after(SOON));
    if let Err(status) = &told {
        assert_ne!(status.code(), Code::DeadlineExceeded, "{name} of {rounds} rounds is stuck");
    }
    let result = outcome?;
    told?;
    let expected = expected.to_le_bytes().repeat(result.shape().element_count()? as usize);
    assert!(result.to_bytes()? == expected, "{name}, {rounds} rounds");
    Ok(())
}

/// Two hundred calls of every kind, cancelled at random moments or just too late: each is cancelled or right, none hangs,
/// all memory comes back, and calls of other threads are right all the while.
#[test]
fn cancels_at_random_moments() {
    let large = ground(2.0);
    everywhere(|program| {
        let is_over = AtomicBool::new(false);
        let mut random = Random(0x5EED);
        let mut cancelled = 0;
        std::thread::scope(|scope| {
            let _others = Others::begin(scope, program, &is_over);
            for round in 0..ROUNDS {
                let token = CancelToken::new();
                let delay = Duration::from_micros(random.below(3000));
                let canceller = std::thread::spawn({
                    let token = token.clone();
                    move || {
                        std::thread::sleep(delay);
                        token.cancel();
                    }
                });
                match call(program, &mut random, &token, &large) {
                    Ok(()) => {}
                    Err(status) if status.code() == Code::Cancelled => cancelled += 1,
                    Err(status) => panic!("round {round}: {status}"),
                }
                canceller.join().unwrap();
                token.wait_idle(Deadline::after(SOON)).unwrap();
            }
        });
        assert!(cancelled > 0 && cancelled < ROUNDS, "{cancelled} of {ROUNDS}");
        check_others(program, 5.0);
        assert_nothing_is_left(program, &CancelToken::new());
    });
}
