//! Addresses: what text makes one, what text each has, and that the two agree.
#![cfg(unix)]

use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use weft_io::Address;
use weft_sync::Code;

/// The text that an IPv4 host and port come to.
fn ipv4(host: &str, port: u16) -> Result<String, Code> {
    Address::ipv4(host, port).map(|address| address.to_string()).map_err(|why| why.code())
}

/// The text of an IPv6 host, without brackets and port.
fn ipv6(host: &str) -> Result<String, Code> {
    let address = Address::ipv6(host, 80).map_err(|why| why.code())?.to_string();
    Ok(address.strip_prefix('[').and_then(|text| text.strip_suffix("]:80")).unwrap().to_owned())
}

fn parsed(text: impl AsRef<[u8]>) -> Result<String, Code> {
    Address::parse(text).map(|address| address.to_string()).map_err(|why| why.code())
}

const WRONG: Result<String, Code> = Err(Code::InvalidArgument);

/// [async 248]
#[test]
fn ipv4_hosts_are_four_plain_numbers() {
    let good = [
        ("", 0, "0.0.0.0:0"),
        ("", 80, "0.0.0.0:80"),
        ("127.0.0.1", 8080, "127.0.0.1:8080"),
        ("0.0.0.0", 1, "0.0.0.0:1"),
        ("255.255.255.255", 65535, "255.255.255.255:65535"),
        ("1.2.3.4", 0, "1.2.3.4:0"),
    ];
    for (host, port, text) in good {
        assert_eq!(ipv4(host, port).as_deref(), Ok(text));
        let expected: SocketAddr = text.parse().unwrap();
        assert_eq!(Address::ipv4(host, port).unwrap().to_socket_addr(), Some(expected));
        assert_eq!(Address::from(expected), Address::ipv4(host, port).unwrap());
    }
    let bad = [
        "256.0.0.1",
        "1.2.3.999",
        "1.2.3",
        "1.2.3.4.5",
        "01.2.3.4",
        "1.2.3.00",
        "1.2.3.04",
        "001.2.3.4",
        "1.2.3.4x",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1. 2.3.4",
        "1..3.4",
        ".1.2.3",
        "1.2.3.",
        "0x1.2.3.4",
        "1.2.3.a",
        "...",
        "-1.2.3.4",
        "+1.2.3.4",
        "1.2.3.99999999999999999999",
        "1.2.3.4\0",
        "\x001.2.3.4",
        "1.2.3.4\n",
        "localhost",
        "::1",
        "16909060",
    ];
    for host in bad {
        assert_eq!(ipv4(host, 80), WRONG, "{host:?}");
    }
    assert_eq!(Address::ipv4(b"1.2.3.\xFF", 80).unwrap_err().code(), Code::InvalidArgument);
}

/// [async 194, 249]
#[test]
fn ipv6_hosts_are_read_strictly_and_printed_canonically() {
    let good = [
        ("", "::"),
        ("::", "::"),
        ("0:0:0:0:0:0:0:0", "::"),
        ("::1", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("1::", "1::"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
        ("1:2:3::7:8", "1:2:3::7:8"),
        ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fe80::1", "fe80::1"),
        ("FE80::ABCD", "fe80::abcd"),
        ("2001:DB8::ABCD", "2001:db8::abcd"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"),
        ("1:1:0:0:1:0:0:0", "1:1:0:0:1::"),
        ("1:0:0:1:1:0:0:1", "1::1:1:0:0:1"),
        ("0001:0002:0003:0004:0005:0006:0007:0008", "1:2:3:4:5:6:7:8"),
        ("::ffff:192.168.1.1", "::ffff:192.168.1.1"),
        ("0:0:0:0:0:ffff:c0a8:0101", "::ffff:192.168.1.1"),
        ("::ffff:0:0", "::ffff:0.0.0.0"),
        ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
        ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
        ("::1.2.3.4", "::102:304"),
        ("1::5:6:7:1.2.3.4", "1::5:6:7:102:304"),
    ];
    for (host, text) in good {
        assert_eq!(ipv6(host).as_deref(), Ok(text), "{host}");
        assert_eq!(ipv6(text).as_deref(), Ok(text), "{host}");
    }
    assert_eq!(Address::ipv6("::1", 65535).unwrap().to_string(), "[::1]:65535");
    let bad = [
        "1::2::3",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7",
        "12345::",
        "::12345",
        "g::",
        "::1x",
        "1:2:3:4:5:6:7:8:",
        "1:",
        "::1:",
        ":1::",
        ":1:2:3:4:5:6:7:8",
        ":",
        ":::",
        "1:2:3:4::5:6:7:8",
        "::ffff:256.1.1.1",
        "::ffff:1.2.3",
        "::ffff:1.2.3.4.5",
        "::1:2:3:4:5:6:1.2.3.4",
        "1:2:3:4:5:6:7:1.2.3.4",
        "1.2.3.4",
        "1.2.3.4::",
        "::01.2.3.4",
        " ::1",
        "::1 ",
        "::1\0",
        "[::1]",
        "::-1",
    ];
    for host in bad {
        assert_eq!(ipv6(host), WRONG, "{host:?}");
    }
}

/// [async 250]
#[test]
fn zones_are_numbers_or_names_of_interfaces() {
    assert_eq!(ipv6("fe80::1%3").as_deref(), Ok("fe80::1%3"));
    assert_eq!(ipv6("fe80::1%0").as_deref(), Ok("fe80::1"));
    assert_eq!(ipv6("fe80::1").as_deref(), Ok("fe80::1"));
    assert_eq!(ipv6("%7").as_deref(), Ok("::%7"));
    assert_eq!(ipv6("fe80::1%4294967295").as_deref(), Ok("fe80::1%4294967295"));
    assert_eq!(parsed("[fe80::1%3]:80").as_deref(), Ok("[fe80::1%3]:80"));
    let address = Address::ipv6("fe80::1%3", 80).unwrap().to_socket_addr().unwrap();
    assert_eq!(address, SocketAddrV6::new("fe80::1".parse().unwrap(), 80, 0, 3).into());
    for host in ["fe80::1%", "fe80::1%4294967296", "fe80::1%sixteen_letters_", "fe80::1%a\0b", "x%1"] {
        assert_eq!(ipv6(host), WRONG, "{host:?}");
    }
    assert_eq!(ipv6("fe80::1%fifteen_letters"), Err(Code::NotFound));
    assert_eq!(ipv6("fe80::1%1a"), Err(Code::NotFound));
    // Where there is a network at all, there is this interface.
    #[cfg(target_os = "linux")]
    if let Ok(number) = std::fs::read_to_string("/sys/class/net/lo/ifindex") {
        assert_eq!(ipv6("fe80::1%lo").unwrap(), format!("fe80::1%{}", number.trim()));
    }
}

/// [async 251]
#[test]
fn unix_addresses_are_paths_or_abstract_names() {
    let unix = |path: &[u8]| Address::unix(path).map(|address| address.to_string()).map_err(|why| why.code());
    assert_eq!(unix(b"/run/a.sock").as_deref(), Ok("unix:/run/a.sock"));
    assert_eq!(unix(b"a.sock").as_deref(), Ok("unix:a.sock"));
    assert_eq!(unix(b""), WRONG);
    assert_eq!(unix(b"a\0b"), WRONG);
    let most = if cfg!(target_os = "linux") { 107 } else { 103 };
    assert!(unix(&vec![b'p'; most]).is_ok());
    assert_eq!(unix(&vec![b'p'; most + 1]), WRONG);
    let address = Address::unix("/run/a.sock").unwrap();
    assert_eq!((address.port(), address.to_socket_addr(), address.is_empty()), (None, None, false));
    if cfg!(target_os = "linux") {
        assert_eq!(unix(b"@name").as_deref(), Ok("unix:@name"));
        assert_eq!(unix(b"@").as_deref(), Ok("unix:@"));
        assert_ne!(Address::unix("@").unwrap(), Address::EMPTY);
        // The sign takes the place of the NUL, so names are as long as paths.
        assert!(unix(&vec![b'@'; most + 1]).is_ok());
        assert_eq!(unix(&vec![b'@'; most + 2]), WRONG);
        // Any bytes, and the count of them, are the name.
        assert_ne!(Address::unix(b"@a\0").unwrap(), Address::unix(b"@a").unwrap());
    } else {
        assert_eq!(unix(b"@name"), Err(Code::Unavailable));
    }
}

/// [async 252]
#[test]
fn text_is_written_where_there_is_room() {
    for text in ["1.2.3.4:80", "[::1]:80", "[::]:0", "[::ffff:1.2.3.4]:65535", "unix:/run/a.sock"] {
        let address = Address::parse(text).unwrap();
        let mut buffer = [b'#'; 200];
        assert_eq!(address.write_to(&mut buffer).unwrap(), text.len());
        assert_eq!(&buffer[..text.len()], text.as_bytes());
        assert!(buffer[text.len()..].iter().all(|&byte| byte == b'#'), "no terminator");
        assert_eq!(address.write_to(&mut buffer[..text.len()]).unwrap(), text.len());
        let mut small = vec![b'#'; text.len() - 1];
        assert_eq!(address.write_to(&mut small).unwrap_err().code(), Code::OutOfRange);
        assert!(small.iter().all(|&byte| byte == b'#'), "nothing is written");
        assert_eq!(address.write_to(&mut []).unwrap_err().code(), Code::OutOfRange);
    }
    assert_eq!(Address::EMPTY.write_to(&mut [0; 200]).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(Address::EMPTY.to_string(), "(no address)");
    assert_eq!(format!("{:?}", Address::default()), "Address((no address))");
    assert!(Address::default().is_empty());
}

/// [async 253]
#[test]
fn whole_addresses_are_read_from_text() {
    let good = [
        ("1.2.3.4:80", "1.2.3.4:80"),
        (":80", "0.0.0.0:80"),
        ("1.2.3.4:0", "1.2.3.4:0"),
        ("1.2.3.4:65535", "1.2.3.4:65535"),
        ("[::1]:80", "[::1]:80"),
        ("[]:80", "[::]:80"),
        ("[2001:DB8:0:0::1%2]:443", "[2001:db8::1%2]:443"),
        ("[::ffff:1.2.3.4]:0", "[::ffff:1.2.3.4]:0"),
        ("unix:/run/a.sock", "unix:/run/a.sock"),
        ("unix:a", "unix:a"),
    ];
    for (text, canonical) in good {
        assert_eq!(parsed(text).as_deref(), Ok(canonical));
        assert_eq!(parsed(canonical).as_deref(), Ok(canonical));
        assert_eq!(text.parse::<Address>().unwrap(), Address::parse(canonical).unwrap());
    }
    let bad = [
        "",
        "1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:x",
        "1.2.3.4:8x",
        "1.2.3.4:-1",
        "1.2.3.4:+1",
        "1.2.3.4: 1",
        "1.2.3.4:65536",
        "1.2.3.4:99999999999999999999",
        "1.2.3.4:00",
        "1.2.3.4:080",
        "[::1]:00",
        "[::1]:080",
        "[::1]:65536",
        "[::1]:x",
        "[::1]:",
        "[::1]",
        "[::1]80",
        "[::1",
        "[",
        "[]",
        "::1",
        "::1:80",
        "::1]:80",
        "unix:",
        "unix",
        "1.2.3:80",
        "[1.2.3.4]:80",
        "[::g]:80",
        "1.2.3.4:80:80",
        "localhost:80",
        ":",
        "1.2.3.4:80\0",
        "unix:a\0b",
    ];
    for text in bad {
        assert_eq!(parsed(text), WRONG, "{text:?}");
    }
    if cfg!(target_os = "linux") {
        assert_eq!(parsed("unix:@name").as_deref(), Ok("unix:@name"));
        assert_eq!(parsed("unix:@").as_deref(), Ok("unix:@"));
    }
}

/// Writes it, reads it, and wants the same address.
fn comes_back(address: Address) {
    let mut buffer = [0; Address::TEXT_BYTES_MAX];
    let length = address.write_to(&mut buffer).unwrap();
    let again = Address::parse(&buffer[..length]).unwrap();
    assert_eq!(again, address);
    assert_eq!(again.write_to(&mut [0; Address::TEXT_BYTES_MAX]).unwrap(), length);
}

proptest! {
    #[test]
    fn any_ipv4_address_comes_back(host: [u8; 4], port: u16) {
        comes_back(Address::from((Ipv4Addr::from(host), port)));
    }

    /// Groups are often 0, as runs of them are what printing shortens.
    #[test]
    fn any_ipv6_address_comes_back(host: [u16; 8], zeros: u8, port: u16, zone in prop_oneof![Just(0), any::<u32>()]) {
        let group = |index: usize| if zeros >> index & 1 == 1 { 0 } else { host[index] };
        let host = Ipv6Addr::from(std::array::from_fn::<u16, 8, _>(group));
        let address = Address::from(SocketAddr::from(SocketAddrV6::new(host, port, 0, zone)));
        prop_assert_eq!(Address::ipv6(host.to_string(), port).unwrap().port(), Some(port));
        comes_back(address);
    }

    #[test]
    fn any_unix_address_comes_back(path in prop::collection::vec(1_u8.., 1..104)) {
        if cfg!(target_os = "linux") || path[0] != b'@' {
            comes_back(Address::unix(&path).unwrap());
        }
    }

    /// [async 254]
    #[test]
    fn any_text_is_refused_or_comes_back(text in r"(unix:|\[)?[0-9a-f:.%@\]/]{0,48}(\]?:[0-9]{0,6})?") {
        if let Ok(address) = Address::parse(&text) {
            comes_back(address);
        }
    }
}
