//! Any bytes as the text of a socket's address, and as what the system might have given for one: refused, or with a
//! canonical text that makes the same address again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weft_io::Address;

/// Bytes of a Unix path that the system can give and nobody can ask for: those that leave no room for a NUL.
const UNASKABLE_BYTES_MIN: usize = "unix:".len() + 108;

fuzz_target!(|data: &[u8]| {
    if let Ok(address) = Address::parse(data) {
        comes_back(&address);
    }
    let address = Address::from_sockaddr(data);
    assert_eq!(Address::from_sockaddr(address.as_sockaddr()), address, "one form for each");
    let mut buffer = [0; Address::TEXT_BYTES_MAX];
    let Ok(length) = address.write_to(&mut buffer) else { return };
    let text = &buffer[..length];
    // A flow is no part of the text, and a path with a sign in front gets a folder.
    let has_flow =
        matches!(address.to_socket_addr(), Some(std::net::SocketAddr::V6(inner)) if inner.flowinfo() != 0);
    match Address::parse(text) {
        Ok(again) if has_flow || text.starts_with(b"unix:./@") => comes_back(&again),
        Ok(again) => assert_eq!(again, address),
        Err(_) => assert!(text.starts_with(b"unix:") && length >= UNASKABLE_BYTES_MIN),
    }
});

fn comes_back(address: &Address) {
    let mut buffer = [0; Address::TEXT_BYTES_MAX];
    let length = address.write_to(&mut buffer).expect("what was read has a text");
    let again = Address::parse(&buffer[..length]).expect("a text is read");
    assert_eq!(&again, address);
    let mut exact = vec![0; length];
    assert_eq!(again.write_to(&mut exact).expect("it fits exactly"), length);
    assert_eq!(exact, buffer[..length], "the text is canonical");
    assert!(length == 0 || address.write_to(&mut exact[1..]).is_err());
}
