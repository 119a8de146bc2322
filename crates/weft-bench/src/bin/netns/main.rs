//! Transfers between two network namespaces, while their network loses, resets, slows down and goes away:
//! `netns [backend …]`, io_uring, epoll and poll unless told.
//!
//! 1. One proactor has both ends: the poll thread changes to a namespace to make a socket in it.
//! 2. **A case shows** that what was received is what was sent, byte for byte; that transfers end, or fail with a status
//!    that says why; and that nobody waits longer than the deadline of the case.
//! 3. It needs root, `ip` and `tc` (iproute2) and `nft` (nftables), and says so without them. What it makes is gone
//!    afterwards, the namespaces of an earlier run that was killed included.
//!
//! | file       | what lives there                                     |
//! |------------|------------------------------------------------------|
//! | `cable.rs` | the namespaces, and what can be done to the cable    |
//! | `talk.rs`  | streams and datagrams, with a deadline               |
//! | `cases.rs` | what must hold when                                  |

#[cfg(target_os = "linux")]
mod cable;
#[cfg(target_os = "linux")]
mod cases;
#[cfg(target_os = "linux")]
mod talk;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let mut backends: Vec<String> = std::env::args().skip(1).collect();
    if backends.is_empty() {
        backends = ["uring", "epoll", "poll"].map(str::to_owned).to_vec();
    }
    match cases::run(&backends) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("netns: {why}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("network namespaces are Linux's");
}
