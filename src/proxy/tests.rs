//! Headers as they are in the specification, cut at every byte; and all that is none.

use proptest::prelude::*;

use super::crc32c::crc32c;
use super::v2::SIGNATURE;
use super::*;

fn at(source: &str, destination: &str) -> Option<Addresses> {
    Some(Addresses { source: source.parse().expect("an address"), destination: destination.parse().expect("an address") })
}

/// A header of version 2 with this command, family and rest.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("it fits").to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &(value.len() as u16).to_be_bytes(), value].concat()
}

const V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];

/// Whole at every cut: not before its last byte, and without what is behind it.
#[track_caller]
fn whole(header: &[u8]) -> Header {
    for cut in 0..header.len() {
        assert_eq!(decode(&header[..cut]), Ok(None), "at {cut}");
    }
    let (decoded, length) = decode(header).expect("it is right").expect("it is whole");
    assert_eq!(length, header.len());
    let behind = [header, b"GET / HTTP/1.1\r\n"].concat();
    assert_eq!(decode(&behind), Ok(Some((decoded.clone(), length))));
    decoded
}

#[test]
fn lines_of_version_1() {
    let tcp4 = whole(b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n");
    assert_eq!(tcp4.addresses, at("192.0.2.7:56324", "198.51.100.1:443"));
    let tcp6 = whole(b"PROXY TCP6 2001:db8::7 ::1 0 65535\r\n");
    assert_eq!(tcp6.addresses, at("[2001:db8::7]:0", "[::1]:65535"));
    assert_eq!(whole(b"PROXY UNKNOWN\r\n"), Header::default());
    let longest = b"PROXY UNKNOWN ffff:f...f:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    assert!(longest.len() > 107, "one line too long");
    assert_eq!(decode(longest), Err(HeaderError::Line("a line of more than 107 bytes")));
    let longest = b"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    assert_eq!((longest.len(), whole(longest)), (107, Header::default()));
}

#[test]
fn lines_that_are_wrong() {
    for line in [
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 \r\n",
        "PROXY TCP4  192.0.2.7 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 65536\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 056 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +56 443\r\n",
        "PROXY TCP4 192.0.2.07 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 ::1 ::1 56324 443\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 56324 443\r\n",
        "PROXY TCP4\r\n",
        "PROXY \r\n",
        "PROXY tcp4 192.0.2.7 198.51.100.1 56324 443\r\n",
        "PROXY UDP4 192.0.2.7 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\n\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\r\n",
    ] {
        assert!(matches!(decode(line.as_bytes()), Err(HeaderError::Line(_))), "{line:?} {:?}", decode(line.as_bytes()));
    }
    assert!(matches!(decode(b"PROXY \xff\r\n"), Err(HeaderError::Line(_))));
    assert_eq!(decode(&[b"PROXY ".as_slice(), &[b'x'; 101]].concat()), Err(HeaderError::Line("a line of more than 107 bytes")));
    assert_eq!(decode(&[b"PROXY ".as_slice(), &[b'x'; 100]].concat()), Ok(None));
    // Known at the first byte that is wrong.
    for none in ["GET", "p", "PR0", "PROXY\t", "\r\n\r\n\0\r\nQUIT\r", "\x16\x03\x01"] {
        assert_eq!(decode(none.as_bytes()), Err(HeaderError::NoHeader), "{none:?}");
        assert!(!matches!(decode(&none.as_bytes()[..none.len() - 1]), Ok(Some(_))));
    }
}

#[test]
fn headers_of_version_2() {
    assert_eq!(whole(&binary(0x21, 0x11, &V4)).addresses, at("192.0.2.7:56324", "198.51.100.1:443"));
    let v6 = [&[0x20, 0x01, 0x0d, 0xb8][..], &[0; 11], &[7], &[0; 15], &[1], &[0, 80, 0x1f, 0x90]].concat();
    assert_eq!(whole(&binary(0x21, 0x21, &v6)).addresses, at("[2001:db8::7]:80", "[::1]:8080"));
    assert_eq!(whole(&binary(0x21, 0x31, &[b'/'; 216])).addresses, None, "a Unix socket has no address of TCP");
    assert_eq!(whole(&binary(0x21, 0x12, &V4)).addresses, None, "nor has a datagram");
    assert_eq!(whole(&binary(0x21, 0x00, b"")), Header::default());
    assert_eq!(whole(&binary(0x20, 0x00, b"")), Header::default());
    assert_eq!(whole(&binary(0x20, 0x11, &V4)), Header::default(), "LOCAL: what it says of addresses is to be skipped");
    for malformed in [&b"abcdefgh"[..], b"abc", b"zz", &[1, 0xff, 0xff, b'z', b'z']] {
        assert_eq!(whole(&binary(0x20, 0x91, malformed)), Header::default(), "LOCAL: so is what says nothing");
    }
}

#[test]
fn tlvs_are_kept() {
    let rest = [&V4[..], &tlv(1, b"h2"), &tlv(4, &[0; 40]), &tlv(2, b"chat.example"), &tlv(5, &[9; 128]), &tlv(0xee, b"")].concat();
    let header = whole(&binary(0x21, 0x11, &rest));
    assert_eq!(header.tlvs.iter().map(|tlv| tlv.kind).collect::<Vec<_>>(), [Tlv::ALPN, Tlv::AUTHORITY, Tlv::UNIQUE_ID, 0xee]);
    assert_eq!((header.authority(), header.tlv(Tlv::ALPN).map(AsRef::as_ref)), (Some("chat.example"), Some(&b"h2"[..])));
    let all = LIMIT - 16 - 12 - 3;
    assert_eq!(whole(&binary(0x21, 0x11, &[&V4[..], &tlv(0xe0, &vec![1; all])].concat())).tlvs[0].value.len(), all);
}

#[test]
fn a_checksum_is_checked() {
    let mut header = binary(0x21, 0x11, &[&V4[..], &tlv(2, b"a"), &tlv(3, &[0; 4]), &tlv(1, b"h2")].concat());
    let sum = crc32c(&header).to_be_bytes();
    let place = header.len() - 5 - 4;
    header[place..place + 4].copy_from_slice(&sum);
    assert_eq!(whole(&header).tlv(Tlv::CRC32C).map(AsRef::as_ref), Some(&sum[..]));
    for byte in 16..header.len() {
        let mut wrong = header.clone();
        wrong[byte] ^= 1;
        assert!(decode(&wrong).is_err() || decode(&wrong).expect("right").is_some_and(|(header, _)| header.tlv(Tlv::CRC32C).is_none()));
    }
    header[18] ^= 1;
    assert_eq!(decode(&header), Err(HeaderError::Checksum));
}

#[test]
fn headers_of_version_2_that_are_wrong() {
    for (command, family, rest) in [
        (0x11, 0x11, &V4[..]),
        (0x31, 0x11, &V4),
        (0x22, 0x11, &V4),
        (0x2f, 0x11, &V4),
        (0x21, 0x41, &V4),
        (0x21, 0x13, &V4),
        (0x21, 0x11, &V4[..11]),
        (0x21, 0x21, &[0; 35]),
        (0x21, 0x31, &[0; 215]),
    ] {
        let header = binary(command, family, rest);
        assert!(matches!(decode(&header), Err(HeaderError::Binary(_))), "{command:x} {family:x} {:?}", decode(&header));
    }
    for cut_off in [vec![1], vec![1, 0], vec![1, 0, 3, 1, 2], tlv(3, b"abc"), tlv(5, &[0; 129])] {
        let header = binary(0x21, 0x11, &[&V4[..], &cut_off].concat());
        assert!(matches!(decode(&header), Err(HeaderError::Binary(_))), "{cut_off:?}");
    }
    // Judged on what it announces.
    let announced = |length: u16| [&SIGNATURE[..], &[0x21, 0x11], &length.to_be_bytes()].concat();
    assert_eq!(decode(&announced(4080)), Ok(None));
    assert_eq!(decode(&announced(4081)), Err(HeaderError::TooLong(LIMIT + 1)));
    assert_eq!(decode(&announced(u16::MAX)), Err(HeaderError::TooLong(65_551)));
    // And on the command, as soon as it is there.
    assert!(matches!(decode(&[&SIGNATURE[..], &[0x11]].concat()), Err(HeaderError::Binary(_))));
}

proptest! {
    /// What was said is what is heard, whatever comes behind it.
    #[test]
    fn what_is_said_is_heard(source: [u8; 4], destination: [u8; 4], from: u16, to: u16, kinds in prop::collection::vec((6..=255_u8, prop::collection::vec(any::<u8>(), 0..50)), 0..8), behind: Vec<u8>) {
        let mut rest = [&source[..], &destination, &from.to_be_bytes(), &to.to_be_bytes()].concat();
        kinds.iter().for_each(|(kind, value)| rest.extend(tlv(*kind, value)));
        let header = binary(0x21, 0x11, &rest);
        let (decoded, length) = decode(&[&header[..], &behind].concat()).unwrap().unwrap();
        prop_assert_eq!(length, header.len());
        let said = Addresses { source: (source, from).into(), destination: (destination, to).into() };
        prop_assert_eq!(decoded.addresses, Some(said));
        prop_assert_eq!(decoded.tlvs, kinds.into_iter().map(|(kind, value)| Tlv { kind, value: value.into() }).collect::<Vec<_>>());
        let line = format!("PROXY TCP4 {} {} {from} {to}\r\n", said.source.ip(), said.destination.ip());
        prop_assert_eq!(decode(line.as_bytes()).unwrap().unwrap().0.addresses, Some(said));
    }

    /// Whatever comes: it is judged, within the limit, and a verdict stands whatever comes behind it.
    #[test]
    fn anything_is_judged(start in prop::sample::select(vec![&b""[..], b"P", b"PROXY ", b"PROXY TCP4 ", &SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"]), rest in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [start, &rest].concat();
        let mut verdict = None;
        for end in 0..=bytes.len() {
            let judged = decode(&bytes[..end]);
            if let Some(before) = &verdict {
                prop_assert_eq!(&judged, before);
            } else if judged != Ok(None) {
                prop_assert!(!matches!(&judged, Ok(Some((_, length))) if *length > end || *length > LIMIT));
                verdict = Some(judged);
            }
        }
    }
}
