//! The PROXY protocol's header, of either version: it is known at one byte, the same whatever follows, and written anew it says the same.

use std::net::SocketAddr;

use actix_sockets::proxy::{Addresses, Header, HeaderError, LIMIT, Tlv, decode};

use super::input::Chance;

/// The longest line of version 1 (§2.1).
const LINE: usize = 107;
/// What version 2 begins with (§2.2).
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

pub(crate) fn run(input: &[u8]) {
    let decoded = decode(input);
    // At all cuts of a short one, at some of a long one: nothing is known, and then it is what it stays.
    let mut chance = Chance::of(input);
    let cuts: Vec<usize> = match input.len() {
        short @ ..=300 => (0..short).collect(),
        long => (0..100).map(|_| chance.below(long)).collect(),
    };
    for cut in cuts {
        match decode(&input[..cut]) {
            Ok(None) => {}
            known => assert_eq!(known, decoded, "at {cut}"),
        }
    }
    match decoded {
        Ok(Some((header, length))) => {
            assert!(length <= input.len() && length <= LIMIT);
            assert_eq!(decode(&input[..length]), Ok(Some((header.clone(), length))), "what is behind it is not looked at");
            assert_eq!(decode(&input[..length - 1]), Ok(None), "it is whole at its last byte");
            again(&header, input[0] == b'P');
        }
        Ok(None) => {
            // A byte more is always wanted, up to the limits.
            let most = if input.first() == Some(&b'P') { LINE } else { LIMIT };
            assert!(input.len() < most, "{} bytes, and nothing is known", input.len());
        }
        Err(HeaderError::TooLong(length)) => assert!(length > LIMIT),
        Err(HeaderError::NoHeader) => {
            let begins = |start: &[u8]| input.starts_with(start);
            assert!(!begins(b"PROXY ") && !begins(SIGNATURE), "it began as one");
        }
        Err(HeaderError::Line(_)) => assert_eq!(input[0], b'P'),
        Err(error) => assert!(input.starts_with(SIGNATURE), "{error}"),
    }
}

/// What was read, written in both versions, is read again.
fn again(header: &Header, is_line: bool) {
    assert!(!is_line || header.tlvs.is_empty(), "version 1 has none");
    let mut tlvs = Vec::new();
    for Tlv { kind, value, .. } in header.tlvs.iter().filter(|tlv| tlv.kind != Tlv::CRC32C) {
        assert_ne!(*kind, Tlv::NOOP, "padding");
        tlvs.push(*kind);
        tlvs.extend_from_slice(&u16::try_from(value.len()).expect("it had a length").to_be_bytes());
        tlvs.extend_from_slice(value);
    }
    let binary = binary(header.addresses, &tlvs);
    let (read, length) = decode(&binary).expect("it is right").expect("it is whole");
    assert_eq!((read.addresses, length), (header.addresses, binary.len()));
    assert!(read.tlvs.iter().eq(header.tlvs.iter().filter(|tlv| tlv.kind != Tlv::CRC32C)));
    let Some(Addresses { source, destination, .. }) = header.addresses else { return };
    assert_eq!(source.is_ipv4(), destination.is_ipv4());
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let line = format!("PROXY {family} {} {} {} {}\r\n", source.ip(), destination.ip(), source.port(), destination.port());
    let (read, length) = decode(line.as_bytes()).expect("it is right").expect("it is whole");
    assert_eq!((read.addresses, read.tlvs.len(), length), (header.addresses, 0, line.len()));
}

/// A header of version 2 (§2.2).
fn binary(addresses: Option<Addresses>, tlvs: &[u8]) -> Vec<u8> {
    let mut rest = Vec::new();
    let family = match addresses {
        None => 0x00,
        Some(Addresses { source: SocketAddr::V4(source), destination: SocketAddr::V4(destination), .. }) => {
            rest.extend([source.ip().octets(), destination.ip().octets()].concat());
            0x11
        }
        Some(Addresses { source: SocketAddr::V6(source), destination: SocketAddr::V6(destination), .. }) => {
            rest.extend([source.ip().octets(), destination.ip().octets()].concat());
            0x21
        }
        Some(both) => panic!("of two families: {both:?}"),
    };
    if let Some(Addresses { source, destination, .. }) = addresses {
        rest.extend([source.port().to_be_bytes(), destination.port().to_be_bytes()].concat());
    }
    rest.extend_from_slice(tlvs);
    let length = u16::try_from(rest.len()).expect("it was shorter").to_be_bytes();
    [SIGNATURE, &[0x21, family], &length, &rest].concat()
}
