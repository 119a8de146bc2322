//! Thousands of connections on one proactor, with resets, cancels and closes at random: `soak [seconds] [connections]
//! [backend] [seed] [outside]`, 60 s of 10,000 on io_uring unless told.
//!
//! 1. **Every byte is accounted for.** Each direction of a connection is a stream that both ends can make. What is received
//!    is compared with it; and when both ends are over, what came is what was sent if the connection was closed in
//!    good order, and no more than that if it was not. Operations that were cancelled say how far they came.
//! 2. **Nothing grows**: as many handles in the end as in the beginning, and hardly more memory than after the first third.
//!    All buffers of the pools are back.
//! 3. **Nobody hangs**: a connection with an end that is over, of which nothing is received any more and which is not over
//!    within 30 s, is a failure; so is one that fails with a status that has no reason.
//! 4. **They are open at once**: only seconds count at whose end as many connections are open as were asked for, which is to
//!    say that both ends know of each other and neither has begun to close. Where the machine is too slow for that the
//!    pauses between messages get longer.
//! 5. **Both ends are in this process** as long as it may have that many handles. If it may not, every fourth connection
//!    has its far end in a second process, which sends back what it receives; so have at least `outside` of them. To
//!    these rules 1 to 3 apply in both processes, the stream being that of the near end both ways.
//! 6. **Chance mixes the ways**: what is received comes into memory of its own or into pools of either kind, once or again and
//!    again; a part of the sockets is known to the ring by a place in its table, which the next one gets at once.
//! 7. A seed decides what is done; the kernel decides when it ends. So a seed is no exact repetition.
//!
//! | file            | what lives there                                                    |
//! |-----------------|---------------------------------------------------------------------|
//! | `course.rs`     | the run: how many where, traffic, the end, the verdict              |
//! | `outside.rs`    | the second process, as the first has it and as it is itself         |
//! | `world.rs`      | all connections of a process, strangers, listeners                  |
//! | `connection.rs` | one connection, its ends and its greeting: what they are            |
//! | `life.rs`       | one connection from its beginning to its end: what they do          |
//! | `receive.rs`    | how an end receives, the pools, pieces that are kept                |
//! | `totals.rs`     | what everything has come to                                         |
//! | `process.rs`    | handles and memory of a process                                     |

#[cfg(target_os = "linux")]
mod connection;
#[cfg(target_os = "linux")]
mod course;
#[cfg(target_os = "linux")]
mod life;
#[cfg(target_os = "linux")]
mod outside;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod receive;
#[cfg(target_os = "linux")]
mod totals;
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
    if arguments.first().is_some_and(|first| first == outside::FAR) {
        return outside::far(&arguments[1..]);
    }
    let number = |index: usize, otherwise: u64| match arguments.get(index) {
        Some(text) => text.parse().map_err(|_| format!("expected a number, found `{text}`")),
        None => Ok(otherwise),
    };
    course::run(&course::Plan {
        seconds: number(0, 60)?.max(1),
        connections: number(1, 10_000)? as usize,
        backend: arguments.get(2).cloned().unwrap_or_else(|| "uring".to_owned()),
        seed: number(3, 1)?,
        outside: number(4, 0)? as usize,
    })
}
