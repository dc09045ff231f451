//! Lengths and limits: judged on the header, before anything is kept.

use actix_sockets::websocket::{Codec, Frame, ProtocolError, Role};
use bytes::BytesMut;

use crate::peer::*;

fn codec() -> Codec {
    Codec::new(Role::Server)
}

fn unlimited() -> Codec {
    codec().frame_size_unlimited().message_size_unlimited().fragments_unlimited()
}

#[test]
fn the_defaults() {
    let limit = 1 << 20;
    let declared = |length| codec().decode(&mut BytesMut::from(&header(FIN | BINARY, Form::SixtyFour, length, Some(KEY))[..]));
    assert_eq!(declared(limit), Ok(None));
    assert_eq!(declared(limit + 1), Err(ProtocolError::FrameTooBig { length: limit + 1, limit }));

    let full = client(CONTINUATION, vec![0; 1 << 20]);
    let mut bytes = client(BINARY, vec![0; 1 << 20]);
    (0..7).for_each(|_| bytes.extend(&full));
    let eight = hears_in(&codec(), &bytes, 1 << 16..=1 << 16, false);
    assert_eq!((eight.0.len(), eight.1), (8, Ok(())));
    bytes.extend(client(FIN, "a"));
    let over = hears_in(&codec(), &bytes, 1 << 16..=1 << 16, false);
    assert_eq!((over.0.len(), over.1), (8, Err(ProtocolError::MessageTooBig { length: (8 << 20) + 1, limit: 8 << 20 })));

    let mut bytes = client(TEXT, "");
    (1..16_384).for_each(|_| bytes.extend(client(CONTINUATION, "")));
    assert_eq!(hears_in(&codec(), &bytes, 4096..=4096, false).1, Ok(()));
    bytes.extend(client(FIN, ""));
    assert_eq!(hears_in(&codec(), &bytes, 4096..=4096, false).1, Err(ProtocolError::TooManyFragments { limit: 16_384 }));
}

#[test]
fn t21_no_length_but_the_shortest() {
    for length in 0..=125 {
        for form in [Form::Sixteen, Form::SixtyFour] {
            let heard = server_hears(header(FIN | BINARY, form, length, Some(KEY)));
            assert_eq!(heard, (vec![], Err(ProtocolError::LengthNotMinimal)), "{length} {form:?}");
        }
    }
    for length in [126, 127, 128, 65_534, 65_535] {
        let heard = server_hears(header(FIN | BINARY, Form::SixtyFour, length, Some(KEY)));
        assert_eq!(heard, (vec![], Err(ProtocolError::LengthNotMinimal)), "{length}");
    }
    println!("t21: 126 lengths in two forms that are longer than needed, and 5 in one: 257 of 257 refused");
}

#[test]
fn t21_huge_lengths() {
    for length in [1 << 63, (1 << 63) + 1, u64::MAX] {
        for codec in [codec(), unlimited()] {
            let bytes = header(FIN | BINARY, Form::SixtyFour, length, Some(KEY));
            assert_eq!(hears(&codec, &bytes), (vec![], Err(ProtocolError::LengthTopBit)));
        }
    }
    for length in [1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1] {
        let bytes = header(FIN | BINARY, Form::SixtyFour, length, Some(KEY));
        println!("t21: limit {} bytes, {length} announced: refused at its header, {} bytes", 1 << 20, bytes.len());
        assert_eq!(server_hears(bytes), (vec![], Err(ProtocolError::FrameTooBig { length, limit: 1 << 20 })));
    }
}

#[test]
fn t21_truncated_at_every_byte() {
    let mut cuts = 0;
    for length in [0, 1, 125, 126, 300, 65_535, 65_536] {
        let bytes = client(FIN | BINARY, vec![b'a'; length]);
        let interesting = (0..bytes.len()).filter(|cut| *cut < 40 || bytes.len() - cut < 20 || cut % 997 == 0);
        for cut in interesting {
            cuts += 1;
            let mut codec = codec();
            let mut src = BytesMut::from(&bytes[..cut]);
            assert_eq!(codec.decode(&mut src), Ok(None), "{cut} of {}", bytes.len());
            assert_eq!(codec.decode(&mut src), Ok(None));
            let header = bytes.len() - length;
            assert_eq!(codec.missing(src.len()), if cut >= header { bytes.len() - cut } else { 0 });
            src.extend_from_slice(&bytes[cut..]);
            assert_eq!(codec.decode(&mut src), Ok(Some(masked(Frame::binary(vec![b'a'; length])))));
            assert!(src.is_empty());
        }
    }
    println!("t21: frames of 7 lengths, cut in {cuts} places: none told early, none lost");
}

/// The seed looked for four bytes of a 64-bit length and then read eight.
#[test]
fn d2_a_read_may_end_anywhere_in_a_length() {
    let bytes = client(FIN | BINARY, vec![b'a'; 70_000]);
    for cut in 2..14 {
        let mut codec = codec();
        let mut src = BytesMut::from(&bytes[..cut]);
        assert_eq!(codec.decode(&mut src), Ok(None));
        src.extend_from_slice(&bytes[cut..]);
        assert!(codec.decode(&mut src).unwrap().is_some());
    }
    let negative = header(FIN | BINARY, Form::SixtyFour, 0xffff_ffff_ffff_fff0, Some(KEY));
    assert_eq!(hears(&unlimited(), &negative).1, Err(ProtocolError::LengthTopBit));
}

#[test]
fn t22_a_declared_length_is_refused_or_costs_nothing() {
    let bytes = header(FIN | BINARY, Form::SixtyFour, 1 << 40, Some(KEY));
    assert_eq!(server_hears(&bytes), (vec![], Err(ProtocolError::FrameTooBig { length: 1 << 40, limit: 1 << 20 })));

    let mut codec = unlimited();
    let mut src = BytesMut::with_capacity(64);
    src.extend_from_slice(&bytes);
    assert_eq!(codec.decode(&mut src), Ok(None));
    for _ in 0..40 {
        assert_eq!(codec.decode(&mut src), Ok(None));
        assert!(src.capacity() <= 64);
        src.extend_from_slice(b"a");
    }
    println!("t22: {} bytes declared, 40 came, {} allocated, limit 64", 1_u64 << 40, src.capacity());
    assert_eq!(codec.missing(src.len()), (1 << 40) - 40);
}

/// The length is judged with its last byte: neither the masking-key nor a byte of payload is waited for.
#[test]
fn a35_too_big_is_said_at_the_header() {
    let codec = codec().frame_size_limit(1000);
    for (form, length) in [(Form::Sixteen, 1001), (Form::SixtyFour, 70_000)] {
        let mut bytes = header(FIN | TEXT, form, length, Some(KEY));
        bytes.truncate(bytes.len() - 4);
        assert_eq!(hears(&codec, &bytes), (vec![], Err(ProtocolError::FrameTooBig { length, limit: 1000 })));
    }
    assert_eq!(hears(&codec, &client(FIN | BINARY, [0; 1000])).0.len(), 1);
    let tiny = Codec::new(Role::Server).frame_size_limit(3).message_size_limit(2);
    assert_eq!(hears(&tiny, &client(FIN | TEXT, "ab")).0.len(), 1);
    assert_eq!(hears(&tiny, &client(FIN | TEXT, "abc")).1, Err(ProtocolError::MessageTooBig { length: 3, limit: 2 }));
    assert_eq!(hears(&tiny, &client(FIN | TEXT, "abcd")).1, Err(ProtocolError::FrameTooBig { length: 4, limit: 3 }));
    // Control frames have a limit of their own.
    assert_eq!(hears(&tiny, &client(FIN | PING, "abcd")).0.len(), 1);
}

#[test]
fn t24_a36_refused_at_the_fragment_that_crosses() {
    let codec = codec().message_size_limit(10);
    let mut bytes = [client(TEXT, "1234"), client(CONTINUATION, "5678"), client(FIN | PING, "not counted")].concat();
    bytes.extend(header(CONTINUATION, Form::Seven, 3, Some(KEY)));
    let (frames, end) = hears(&codec, &bytes);
    println!("t24: limit 10 bytes, {end:?} at the header of the third fragment");
    assert_eq!((frames.len(), end), (3, Err(ProtocolError::MessageTooBig { length: 11, limit: 10 })));

    // The next message begins at nothing.
    let ten = [client(BINARY, "12345"), client(FIN, "67890")].concat();
    assert_eq!(hears(&codec, &ten.repeat(5)).0.len(), 10);
}

/// The seed summed a message up when its last fragment came: without FIN there was no limit.
#[test]
fn d1_a_message_without_end_has_an_end() {
    let codec = codec().message_size_limit(1 << 10);
    let mut bytes = client(BINARY, [0; 100]);
    (0..1000).for_each(|_| bytes.extend(client(CONTINUATION, [0; 100])));
    let (frames, end) = hears_in(&codec, &bytes, 1000..=1000, false);
    assert_eq!((frames.len(), end), (10, Err(ProtocolError::MessageTooBig { length: 1100, limit: 1 << 10 })));
}

#[test]
fn fragments_are_counted() {
    let codec = codec().fragments_limit(3);
    let three = [client(TEXT, ""), client(FIN | PING, ""), client(CONTINUATION, ""), client(FIN, "")].concat();
    assert_eq!(hears(&codec, &three.repeat(3)).0.len(), 12);
    let four = [client(TEXT, ""), client(CONTINUATION, ""), client(CONTINUATION, ""), header(FIN, Form::Sixteen, 0, None)].concat();
    let unmasked_counts_first = hears(&codec, &four);
    assert_eq!(unmasked_counts_first.1, Err(ProtocolError::Unmasked));
    let four = [client(TEXT, ""), client(CONTINUATION, ""), client(CONTINUATION, ""), client(FIN, "")].concat();
    assert_eq!(hears(&codec, &four).1, Err(ProtocolError::TooManyFragments { limit: 3 }));
    let whole = Codec::new(Role::Server).fragments_limit(0);
    assert_eq!(hears(&whole, &client(FIN | TEXT, "a")).0.len(), 1);
}

/// Payloads are slices of the buffer they were read into, and nothing else is allocated.
#[test]
fn payloads_are_not_copied() {
    let mut src = BytesMut::from(&[client(FIN | TEXT, "Hello"), client(FIN | BINARY, [7; 300])].concat()[..]);
    let range = src.as_ptr_range();
    let mut codec = codec();
    while let Some(frame) = codec.decode(&mut src).unwrap() {
        assert!(range.contains(&frame.data.as_ptr()));
    }
    // An empty payload does not hold on to the buffer.
    let mut src = BytesMut::from(&client(FIN | TEXT, "")[..]);
    let frame = codec.decode(&mut src).unwrap().unwrap();
    assert!(frame.data.is_empty() && !range.contains(&frame.data.as_ptr()) && src.try_reclaim(6));
}
