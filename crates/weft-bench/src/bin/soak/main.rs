//! Thousands of connections on one proactor, with resets, cancels and closes at random: `soak [seconds] [connections]
//! [backend] [seed]`, 60 s of 10,000 on io_uring unless told.
//!
//! 1. **Every byte is accounted for.** Each direction of a connection is a stream that both ends can make. What is received
//!    is compared with it; and when both ends are over, what came is what was sent if the connection was closed in
//!    good order, and no more than that if it was not. Operations that were cancelled say how far they came.
//! 2. **Nothing grows**: as many handles in the end as in the beginning, and no more memory than after the first third.
//! 3. **Nobody hangs**: a connection that is over, and is not within 30 s, is a failure; so is one that fails with a
//!    status that has no reason.
//! 4. A seed decides what is done; the kernel decides when it ends. So a seed is no exact repetition.
//!
//! | file        | what lives there                                       |
//! |-------------|--------------------------------------------------------|
//! | `world.rs`  | all connections, and what they have come to            |
//! | `life.rs`   | one connection from its beginning to its end           |

#[cfg(target_os = "linux")]
mod life;
#[cfg(target_os = "linux")]
mod world;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("soak: {why}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("what the soak reads about itself is in /proc, which this system has not");
}

#[cfg(target_os = "linux")]
fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, otherwise: u64| match arguments.get(index) {
        Some(text) => text.parse().map_err(|_| format!("expected a number, found `{text}`")),
        None => Ok(otherwise),
    };
    let plan = world::Plan {
        seconds: number(0, 60)?,
        connections: number(1, 10_000)? as usize,
        backend: arguments.get(2).cloned().unwrap_or_else(|| "uring".to_owned()),
        seed: number(3, 1)?,
    };
    world::run(plan)
}
