//! What must hold when.

use crate::cable::{Cable, FAR_ADDRESS};
use crate::talk::{Shared, Task, Way, all, bounded, collect, hear, pause, post, say};
use std::rc::Rc;
use std::time::{Duration, Instant};
use weft_io::ops::{Accept, Connect};
use weft_io::{Address, Config, Handle, Poller, Socket, SocketKind, SocketOptions, open};
use weft_sync::{Code, Deadline, Status};

/// What happens to the cable while a case runs.
type Script = fn(&Cable) -> Result<(), String>;

struct Case {
    name: &'static str,
    /// Before anything is connected.
    before: Script,
    /// While the transfer is under way, after so many milliseconds each.
    during: &'static [(u64, Script)],
    /// After which everything has to have ended.
    seconds: u64,
    kind: Kind,
}

enum Kind {
    /// So many bytes each way, and what must have become of them.
    Stream(u64, fn(&Way) -> bool),
    /// So many datagrams one way.
    Datagrams(u64, fn(&Way) -> bool),
    /// A connect, and how it may end.
    Connect(&'static [Code]),
}

const NOTHING: Script = |_| Ok(());

fn is_whole(way: &Way) -> bool {
    way.codes() == (None, None) && way.sent == way.received
}

/// Broken off: by the system's word, or by the deadline; and nothing came that was not sent.
fn is_broken(way: &Way) -> bool {
    let may_be = |code: Option<Code>| {
        code.is_none_or(|code| {
            [Code::Cancelled, Code::Unavailable, Code::DeadlineExceeded, Code::FailedPrecondition]
                .contains(&code)
        })
    };
    let (sending, receiving) = way.codes();
    way.received <= way.sent && may_be(sending) && may_be(receiving) && !is_whole(way)
}

const MEGABYTE: u64 = 1 << 20;

const CASES: &[Case] = &[
    Case {
        name: "tcp, a good cable, 8 MiB each way",
        before: NOTHING,
        during: &[],
        seconds: 20,
        kind: Kind::Stream(8 * MEGABYTE, is_whole),
    },
    Case {
        name: "tcp, 10 of 100 packets lost, 512 KiB each way",
        before: |cable| cable.rule("numgen random mod 100 < 10 drop"),
        during: &[],
        seconds: 60,
        kind: Kind::Stream(MEGABYTE / 2, is_whole),
    },
    Case {
        name: "tcp, 20 Mbit/s, 2 MiB each way",
        before: |cable| cable.limit("20mbit"),
        during: &[],
        seconds: 30,
        kind: Kind::Stream(2 * MEGABYTE, is_whole),
    },
    Case {
        name: "tcp, cut for a second, then mended",
        before: |cable| cable.limit("50mbit"),
        during: &[(200, |cable| cable.cut(true)), (1000, |cable| cable.cut(false))],
        seconds: 30,
        kind: Kind::Stream(4 * MEGABYTE, is_whole),
    },
    Case {
        name: "tcp, cut for good",
        before: |cable| cable.limit("50mbit"),
        during: &[(200, |cable| cable.cut(true))],
        seconds: 4,
        kind: Kind::Stream(64 * MEGABYTE, is_broken),
    },
    Case {
        name: "tcp, reset while it runs",
        before: |cable| cable.limit("50mbit"),
        during: &[(200, |cable| cable.rule("meta l4proto tcp reject with tcp reset"))],
        seconds: 4,
        kind: Kind::Stream(64 * MEGABYTE, |way| is_broken(way) && way.codes() != (None, None)),
    },
    Case {
        name: "tcp, a connect that is reset",
        before: |cable| cable.rule("meta l4proto tcp reject with tcp reset"),
        during: &[],
        seconds: 4,
        kind: Kind::Connect(&[Code::Unavailable]),
    },
    Case {
        name: "tcp, a connect that nobody answers",
        before: |cable| cable.rule("meta l4proto tcp drop"),
        during: &[],
        seconds: 2,
        kind: Kind::Connect(&[Code::Cancelled]),
    },
    Case {
        name: "tcp, a connect over a cable that is cut",
        before: |cable| cable.cut(true),
        during: &[],
        seconds: 2,
        kind: Kind::Connect(&[Code::Cancelled, Code::Unavailable]),
    },
    Case {
        name: "udp, a good cable, 4,000 messages",
        before: NOTHING,
        during: &[],
        seconds: 20,
        kind: Kind::Datagrams(4000, |way| way.sending.is_none() && way.received == way.sent),
    },
    Case {
        name: "udp, 20 of 100 packets lost, 4,000 messages",
        before: |cable| cable.rule("numgen random mod 100 < 20 drop"),
        during: &[],
        seconds: 20,
        kind: Kind::Datagrams(4000, |way| {
            // 3,200 are expected, give or take 25; these are twenty times that.
            way.sending.is_none() && way.sent == 4000 && (2700..3700).contains(&way.received)
        }),
    },
    Case {
        name: "udp, refused while it runs",
        before: NOTHING,
        during: &[(100, |cable| cable.rule("meta l4proto udp reject"))],
        seconds: 20,
        kind: Kind::Datagrams(40_000, |way| {
            way.codes().0 == Some(Code::Unavailable) && way.received <= way.sent && way.received > 0
        }),
    },
    Case {
        name: "udp, cut while it runs",
        before: NOTHING,
        during: &[(100, |cable| cable.cut(true))],
        seconds: 20,
        kind: Kind::Datagrams(2000, |way| way.received < way.sent && way.received > 0),
    },
];

/// All cases on these backends.
pub fn run(backends: &[String]) -> Result<(), String> {
    let mut wrong = 0;
    for backend in backends {
        println!("{backend}");
        for case in CASES {
            // A cable for each: nothing is left of the case before.
            let cable = Cable::new()?;
            (case.before)(&cable)?;
            let start = Instant::now();
            let outcome = one(backend, case, &cable);
            let took = start.elapsed();
            cable.mend()?;
            let limit = Duration::from_secs(case.seconds + 3);
            let (verdict, text) = match outcome {
                Ok(text) if took <= limit => ("ok", text),
                Ok(text) => ("HANGS", text),
                Err(why) => ("FAILED", why),
            };
            wrong += u32::from(verdict != "ok");
            println!("  {:<48} {verdict} {:6.2} s  {text}", case.name, took.as_secs_f64());
        }
    }
    match wrong {
        0 => Ok(()),
        _ => Err(format!("{wrong} cases are wrong")),
    }
}

fn text(why: Status) -> String {
    why.to_string()
}

fn one(backend: &str, case: &Case, cable: &Cable) -> Result<String, String> {
    let mut poller = open(backend, &Config::new()).and_then(|found| found.into_poller()).map_err(text)?;
    let handle = poller.handle().clone();
    let outcome = match case.kind {
        Kind::Stream(total, check) => stream(&mut poller, &handle, case, cable, total, check),
        Kind::Datagrams(count, check) => datagrams(&mut poller, &handle, case, cable, count, check),
        Kind::Connect(codes) => connect(&mut poller, &handle, case, cable, codes),
    }?;
    match poller.under_way() {
        0 => Ok(outcome),
        left => Err(format!("{left} operations have not ended: {outcome}")),
    }
}

fn bound(kind: SocketKind) -> Result<Socket, Status> {
    let socket = Socket::new(kind, SocketOptions::REUSE_ADDR)?;
    socket.bind(&Address::from((FAR_ADDRESS, 0)))?;
    Ok(socket)
}

fn ends(cable: &Cable, kind: SocketKind) -> Result<(Socket, Socket, Address), String> {
    let far = cable.far(|| bound(kind))?.map_err(text)?;
    let near = cable.near(|| Socket::new(kind, SocketOptions::empty()))?.map_err(text)?;
    let address = far.local_address().map_err(text)?;
    Ok((near, far, address))
}

fn deadline(case: &Case) -> Deadline {
    Deadline::after(Duration::from_secs(case.seconds))
}

/// Does to the cable what the case has for it.
async fn perform(handle: &Handle, case: &Case, cable: &Cable) {
    for (milliseconds, act) in case.during {
        pause(handle, *milliseconds).await;
        act(cable).expect("it could be done before");
    }
}

fn shown(name: &str, way: &Way, check: fn(&Way) -> bool) -> Result<String, String> {
    let (sending, receiving) = way.codes();
    let line = format!("{name}: {} of {} ({sending:?}, {receiving:?})", way.received, way.sent);
    if way.is_spoilt {
        return Err(format!("{line}: other bytes came than were sent"));
    }
    if check(way) { Ok(line) } else { Err(line) }
}

fn stream(
    poller: &mut Poller,
    handle: &Handle,
    case: &Case,
    cable: &Cable,
    total: u64,
    check: fn(&Way) -> bool,
) -> Result<String, String> {
    let (near, listener, address) = ends(cable, SocketKind::Tcp)?;
    listener.listen(1).map_err(text)?;
    let end = deadline(case);
    let (there, back) = (Shared::default(), Shared::default());
    let all_of_it = async {
        let accept = handle.run(Accept::new(listener));
        let connected = bounded(handle, Connect::new(near.clone(), address), end).await;
        connected.result.map_err(text)?;
        let far = accept.await.result.map_err(text)?.socket;
        let tasks: Vec<Task<'_>> = vec![
            Box::pin(say(handle, near.clone(), Rc::clone(&there), 1, total, end)),
            Box::pin(hear(handle, far.clone(), Rc::clone(&there), 1, end)),
            Box::pin(say(handle, far, Rc::clone(&back), 2, total, end)),
            Box::pin(hear(handle, near, Rc::clone(&back), 2, end)),
            Box::pin(perform(handle, case, cable)),
        ];
        all(tasks).await;
        Ok::<(), String>(())
    };
    poller.block_on(all_of_it).map_err(text)??;
    drain(poller);
    let lines = (shown("there", &there.borrow(), check), shown("back", &back.borrow(), check));
    match lines {
        (Ok(there), Ok(back)) => Ok(format!("{there}, {back}")),
        (there, back) => Err(format!("{there:?}, {back:?}")),
    }
}

/// Timers that were dropped are cancelled by the next poll.
fn drain(poller: &mut Poller) {
    while poller.under_way() > 0 && poller.poll(Deadline::after(Duration::from_millis(100))).is_ok() {}
}

fn datagrams(
    poller: &mut Poller,
    handle: &Handle,
    case: &Case,
    cable: &Cable,
    count: u64,
    check: fn(&Way) -> bool,
) -> Result<String, String> {
    let (near, far, address) = ends(cable, SocketKind::Udp)?;
    let way = Shared::default();
    let all_of_it = async {
        let connected = handle.run(Connect::new(near.clone(), address)).await;
        connected.result.map_err(text)?;
        let tasks: Vec<Task<'_>> = vec![
            Box::pin(post(handle, near, Rc::clone(&way), count)),
            Box::pin(collect(handle, far, Rc::clone(&way), count)),
            Box::pin(perform(handle, case, cable)),
        ];
        all(tasks).await;
        Ok::<(), String>(())
    };
    poller.block_on(all_of_it).map_err(text)??;
    drain(poller);
    let way = way.borrow();
    shown("messages", &way, check)
}

fn connect(
    poller: &mut Poller,
    handle: &Handle,
    case: &Case,
    cable: &Cable,
    codes: &[Code],
) -> Result<String, String> {
    let (near, listener, address) = ends(cable, SocketKind::Tcp)?;
    listener.listen(1).map_err(text)?;
    let connect = bounded(handle, Connect::new(near, address), deadline(case));
    let done = poller.block_on(connect).map_err(text)?;
    drain(poller);
    match done.result {
        Err(why) if codes.contains(&why.code()) => Ok(text(why)),
        other => Err(format!("the connect ended with {other:?}")),
    }
}
