//! Servers on the other runtimes, one thread each, with rings as large as weft's; and both ends of connections on one
//! thread.

use crate::server::{ACKNOWLEDGEMENT, Counter, Mode, Threads};
use crate::within::{Ends, ROUNDS};
use futures_util::future::join_all;
use std::net::{TcpListener, TcpStream};

pub mod tokio {
    use super::{ACKNOWLEDGEMENT, Counter, Ends, Mode, ROUNDS, TcpListener, TcpStream, Threads, join_all};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn converse(mut stream: tokio::net::TcpStream, mode: Mode) -> std::io::Result<()> {
        let (mut buffer, mut counter) = (vec![0; mode.buffer()], Counter::default());
        loop {
            let count = stream.read(&mut buffer).await?;
            match mode {
                _ if count == 0 => return Ok(()),
                Mode::Echo(_) => stream.write_all(&buffer[..count]).await?,
                _ => {
                    for _ in 0..counter.add(count) {
                        stream.write_all(ACKNOWLEDGEMENT).await?;
                    }
                }
            }
        }
    }

    pub fn serve(mode: Mode) -> impl FnOnce(TcpListener, Threads) + Send {
        move |listener, _| {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_io().build().expect("the kernel has epoll");
            runtime.block_on(async move {
                listener.set_nonblocking(true).expect("an open handle");
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                loop {
                    let (stream, _) = listener.accept().await.expect("there are handles");
                    if mode != Mode::Close {
                        tokio::spawn(converse(stream, mode));
                    }
                }
            });
        }
    }

    pub fn within(pairs: Vec<Ends>, bytes: usize) -> impl FnMut() {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_io().build().expect("the kernel has epoll");
        let inside = runtime.enter();
        let stream = |stream: TcpStream| {
            stream.set_nonblocking(true).expect("an open handle");
            tokio::net::TcpStream::from_std(stream).expect("a stream")
        };
        let mut near = Vec::new();
        for ends in pairs {
            runtime.spawn(converse(stream(ends.far), Mode::Echo(bytes.max(4096))));
            near.push((stream(ends.near), vec![7; bytes]));
        }
        drop(inside);
        move || {
            runtime.block_on(join_all(near.iter_mut().map(|(stream, buffer)| async {
                for _ in 0..ROUNDS {
                    stream.write_all(buffer).await.expect("the far end is there");
                    stream.read_exact(buffer).await.expect("the far end answers");
                }
            })));
        }
    }
}

pub mod monoio {
    use super::{ACKNOWLEDGEMENT, Counter, Ends, Mode, ROUNDS, TcpListener, Threads, join_all};
    use monoio::buf::IoBuf;
    use monoio::io::{AsyncReadRent, AsyncReadRentExt, AsyncWriteRentExt};

    fn runtime() -> monoio::Runtime<monoio::IoUringDriver> {
        let builder = monoio::RuntimeBuilder::<monoio::IoUringDriver>::new().with_entries(256);
        builder.build().expect("the kernel has io_uring")
    }

    async fn converse(mut stream: monoio::net::TcpStream, mode: Mode) -> std::io::Result<()> {
        let (mut buffer, mut counter) = (vec![0; mode.buffer()], Counter::default());
        loop {
            let (outcome, filled) = stream.read(buffer).await;
            let count = outcome?;
            buffer = match mode {
                _ if count == 0 => return Ok(()),
                Mode::Echo(_) => {
                    let (outcome, sent) = stream.write_all(filled.slice(..count)).await;
                    outcome?;
                    sent.into_inner()
                }
                _ => {
                    for _ in 0..counter.add(count) {
                        stream.write_all(ACKNOWLEDGEMENT).await.0?;
                    }
                    filled
                }
            };
        }
    }

    pub fn serve(mode: Mode) -> impl FnOnce(TcpListener, Threads) + Send {
        move |listener, _| {
            runtime().block_on(async move {
                let listener = monoio::net::TcpListener::from_std(listener).expect("a listener");
                loop {
                    let (stream, _) = listener.accept().await.expect("there are handles");
                    if mode != Mode::Close {
                        monoio::spawn(converse(stream, mode));
                    }
                }
            });
        }
    }

    pub fn within(pairs: Vec<Ends>, bytes: usize) -> impl FnMut() {
        let mut runtime = runtime();
        let mut near = Vec::new();
        runtime.block_on(async {
            let stream = |stream| monoio::net::TcpStream::from_std(stream).expect("a stream");
            for ends in pairs {
                monoio::spawn(converse(stream(ends.far), Mode::Echo(bytes.max(4096))));
                near.push((stream(ends.near), vec![7; bytes]));
            }
        });
        move || {
            runtime.block_on(join_all(near.iter_mut().map(|(stream, buffer)| async {
                for _ in 0..ROUNDS {
                    let (outcome, sent) = stream.write_all(std::mem::take(buffer)).await;
                    outcome.expect("the far end is there");
                    let (outcome, heard) = stream.read_exact(sent).await;
                    outcome.expect("the far end answers");
                    *buffer = heard;
                }
            })));
        }
    }
}

pub mod compio {
    use super::{ACKNOWLEDGEMENT, Counter, Ends, Mode, ROUNDS, TcpListener, Threads, join_all};
    use compio::buf::{IntoInner, IoBuf};
    use compio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

    fn runtime() -> compio::runtime::Runtime {
        let mut driver = compio::driver::ProactorBuilder::new();
        driver.capacity(256);
        let mut builder = compio::runtime::Runtime::builder();
        builder.with_proactor(driver);
        builder.build().expect("the kernel has io_uring")
    }

    async fn converse(mut stream: compio::net::TcpStream, mode: Mode) -> std::io::Result<()> {
        let (mut buffer, mut counter) = (vec![0; mode.buffer()], Counter::default());
        loop {
            let compio::BufResult(outcome, filled) = stream.read(buffer).await;
            let count = outcome?;
            buffer = match mode {
                _ if count == 0 => return Ok(()),
                Mode::Echo(_) => {
                    let compio::BufResult(outcome, sent) = stream.write_all(filled.slice(..count)).await;
                    outcome?;
                    sent.into_inner()
                }
                _ => {
                    for _ in 0..counter.add(count) {
                        stream.write_all(ACKNOWLEDGEMENT).await.0?;
                    }
                    filled
                }
            };
        }
    }

    pub fn serve(mode: Mode) -> impl FnOnce(TcpListener, Threads) + Send {
        move |listener, _| {
            runtime().block_on(async move {
                let listener = compio::net::TcpListener::from_std(listener).expect("a listener");
                loop {
                    let (stream, _) = listener.accept().await.expect("there are handles");
                    if mode != Mode::Close {
                        compio::runtime::spawn(converse(stream, mode)).detach();
                    }
                }
            });
        }
    }

    pub fn within(pairs: Vec<Ends>, bytes: usize) -> impl FnMut() {
        let runtime = runtime();
        let mut near = Vec::new();
        runtime.block_on(async {
            let stream = |stream| compio::net::TcpStream::from_std(stream).expect("a stream");
            for ends in pairs {
                compio::runtime::spawn(converse(stream(ends.far), Mode::Echo(bytes.max(4096)))).detach();
                near.push((stream(ends.near), vec![7; bytes]));
            }
        });
        move || {
            runtime.block_on(join_all(near.iter_mut().map(|(stream, buffer)| async {
                for _ in 0..ROUNDS {
                    let compio::BufResult(outcome, sent) = stream.write_all(std::mem::take(buffer)).await;
                    outcome.expect("the far end is there");
                    let compio::BufResult(outcome, heard) = stream.read_exact(sent).await;
                    outcome.expect("the far end answers");
                    *buffer = heard;
                }
            })));
        }
    }
}

pub mod tokio_uring {
    use super::{ACKNOWLEDGEMENT, Counter, Ends, Mode, ROUNDS, TcpListener, Threads, join_all};
    use tokio_uring::buf::BoundedBuf;

    fn runtime() -> tokio_uring::Runtime {
        let mut builder = tokio_uring::builder();
        builder.entries(256);
        tokio_uring::Runtime::new(&builder).expect("the kernel has io_uring")
    }

    async fn converse(stream: tokio_uring::net::TcpStream, mode: Mode) -> std::io::Result<()> {
        let (mut buffer, mut counter) = (vec![0; mode.buffer()], Counter::default());
        loop {
            let (outcome, filled) = stream.read(buffer).await;
            let count = outcome?;
            buffer = match mode {
                _ if count == 0 => return Ok(()),
                Mode::Echo(_) => {
                    let (outcome, sent) = stream.write_all(filled.slice(..count)).await;
                    outcome?;
                    sent.into_inner()
                }
                _ => {
                    for _ in 0..counter.add(count) {
                        stream.write_all(ACKNOWLEDGEMENT).await.0?;
                    }
                    filled
                }
            };
        }
    }

    pub fn serve(mode: Mode) -> impl FnOnce(TcpListener, Threads) + Send {
        move |listener, _| {
            runtime().block_on(async move {
                let listener = tokio_uring::net::TcpListener::from_std(listener);
                loop {
                    let (stream, _) = listener.accept().await.expect("there are handles");
                    if mode != Mode::Close {
                        tokio_uring::spawn(converse(stream, mode));
                    }
                }
            });
        }
    }

    pub fn within(pairs: Vec<Ends>, bytes: usize) -> impl FnMut() {
        let runtime = runtime();
        let mut near = Vec::new();
        runtime.block_on(async {
            for ends in pairs {
                let far = tokio_uring::net::TcpStream::from_std(ends.far);
                tokio_uring::spawn(converse(far, Mode::Echo(bytes.max(4096))));
                near.push((tokio_uring::net::TcpStream::from_std(ends.near), vec![7; bytes]));
            }
        });
        move || {
            runtime.block_on(join_all(near.iter_mut().map(|(stream, buffer)| async {
                for _ in 0..ROUNDS {
                    let (outcome, sent) = stream.write_all(std::mem::take(buffer)).await;
                    outcome.expect("the far end is there");
                    *buffer = sent;
                    let mut heard = 0;
                    while heard < buffer.len() {
                        let (outcome, filled) = stream.read(std::mem::take(buffer).slice(heard..)).await;
                        heard += outcome.expect("the far end answers");
                        *buffer = filled.into_inner();
                    }
                }
            })));
        }
    }
}
