//! Every family on every configuration of every backend.
#![cfg(target_os = "linux")]

weft_cts::every_io_family! { uring = weft_cts::io::subject::uring; }
weft_cts::every_io_family! { uring_no_zerocopy = weft_cts::io::subject::uring_no_zerocopy; }
weft_cts::every_io_family! { uring_no_multishot = weft_cts::io::subject::uring_no_multishot; }
weft_cts::every_io_family! { uring_no_messaging = weft_cts::io::subject::uring_no_messaging; }
weft_cts::every_io_family! { uring_no_futex = weft_cts::io::subject::uring_no_futex; }
weft_cts::every_io_family! { uring_minimal = weft_cts::io::subject::uring_minimal; }
weft_cts::every_io_family! { uring_nothing_allowed = weft_cts::io::subject::uring_nothing_allowed; }
weft_cts::every_io_family! { uring_no_links = weft_cts::io::subject::uring_no_links; }
weft_cts::every_io_family! { uring_rung_1 = weft_cts::io::subject::uring_rung_1; }
weft_cts::every_io_family! { uring_rung_2 = weft_cts::io::subject::uring_rung_2; }
weft_cts::every_io_family! { uring_rung_3 = weft_cts::io::subject::uring_rung_3; }
weft_cts::every_io_family! { uring_rung_4 = weft_cts::io::subject::uring_rung_4; }
weft_cts::every_io_family! { uring_rung_5 = weft_cts::io::subject::uring_rung_5; }
weft_cts::every_io_family! { uring_tiny = weft_cts::io::subject::uring_tiny; }
weft_cts::every_io_family! { uring_cross_thread = weft_cts::io::subject::uring_cross_thread; }
weft_cts::every_io_family! { epoll = weft_cts::io::subject::epoll; }
weft_cts::every_io_family! { poll = weft_cts::io::subject::poll; }
weft_cts::every_io_family! { null = weft_cts::io::subject::null; }
