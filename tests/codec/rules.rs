//! What frames may be and in which order they may come.

use actix_sockets::websocket::{CloseCode, Codec, Frame, ProtocolError, Role};

use crate::peer::*;

fn server_refuses(bytes: impl AsRef<[u8]>, error: ProtocolError) {
    assert_eq!(server_hears(bytes), (vec![], Err(error)));
}

/// RFC 6455 §5.7, every example.
#[test]
fn the_rfcs_examples() {
    assert_eq!(client_hears(b"\x81\x05Hello"), (vec![Frame::text("Hello")], Ok(())));
    assert_eq!(server_hears(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), (vec![masked(Frame::text("Hello"))], Ok(())));
    assert_eq!(client_hears(b"\x01\x03Hel\x80\x02lo"), (vec![Frame::text("Hel").more(), Frame::continuation("lo")], Ok(())));
    assert_eq!(client_hears(b"\x89\x05Hello"), (vec![Frame::ping("Hello")], Ok(())));
    assert_eq!(server_hears(b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), (vec![masked(Frame::pong("Hello"))], Ok(())));
    let data = vec![7; 256];
    assert_eq!(client_hears([b"\x82\x7e\x01\x00", &data[..]].concat()), (vec![Frame::binary(data)], Ok(())));
    let data = vec![7; 65_536];
    assert_eq!(client_hears([b"\x82\x7f\0\0\0\0\0\x01\0\0", &data[..]].concat()), (vec![Frame::binary(data)], Ok(())));
}

#[test]
fn every_border_of_the_length() {
    for length in [0, 1, 3, 4, 5, 7, 8, 9, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537, 1 << 20] {
        let data: Vec<u8> = (0..length).map(|i: u32| i as u8).collect();
        let frame = Frame::binary(data.clone());
        assert_eq!(server_hears(client(FIN | BINARY, &data)), (vec![masked(frame.clone())], Ok(())));
        assert_eq!(client_hears(server(FIN | BINARY, &data)), (vec![frame], Ok(())));
    }
}

#[test]
fn a34_t27_masks_go_one_way() {
    for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
        server_refuses(server(FIN | opcode, ""), ProtocolError::Unmasked);
        assert_eq!(client_hears(client(FIN | opcode, "")), (vec![], Err(ProtocolError::Masked)));
    }
}

#[test]
fn a37_control_frames_are_short_and_whole() {
    for opcode in [CLOSE, PING, PONG] {
        server_refuses(client(opcode, ""), ProtocolError::FragmentedControl);
        server_refuses(client(FIN | opcode, [b'a'; 126]), ProtocolError::ControlTooLong);
        server_refuses(header(FIN | opcode, Form::SixtyFour, 1, Some(KEY)), ProtocolError::ControlTooLong);
    }
    let longest = [b'a'; 125];
    assert_eq!(server_hears(client(FIN | PING, longest)), (vec![masked(Frame::ping(longest.to_vec()))], Ok(())));
}

#[test]
fn a38_reserved_bits_and_opcodes() {
    for rsv in 1..8 {
        for opcode in [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] {
            server_refuses(client(FIN | rsv << 4 | opcode, ""), ProtocolError::ReservedBits(rsv));
        }
    }
    for opcode in (3..8).chain(11..16) {
        for first in [opcode, FIN | opcode] {
            server_refuses(client(first, ""), ProtocolError::ReservedOpcode(opcode));
        }
    }
}

#[test]
fn a39_fragments_in_order() {
    server_refuses(client(FIN, "lo"), ProtocolError::UnexpectedContinuation);
    server_refuses(client(CONTINUATION, "lo"), ProtocolError::UnexpectedContinuation);
    for next in [TEXT, BINARY, FIN | TEXT, FIN | BINARY] {
        let bytes = [client(TEXT, "Hel"), client(next, "lo")].concat();
        assert_eq!(server_hears(bytes), (vec![masked(Frame::text("Hel").more())], Err(ProtocolError::ExpectedContinuation)));
    }
    let bytes = [client(FIN | TEXT, "a"), client(FIN, "b")].concat();
    assert_eq!(server_hears(bytes), (vec![masked(Frame::text("a"))], Err(ProtocolError::UnexpectedContinuation)));
}

#[test]
fn control_frames_between_fragments() {
    let bytes = [
        client(TEXT, "Hel"),
        client(FIN | PING, "?"),
        client(CONTINUATION, ""),
        client(FIN | PONG, "!"),
        client(FIN, "lo"),
        client(FIN | BINARY, ""),
        client(FIN | CLOSE, ""),
    ];
    let frames = vec![
        masked(Frame::text("Hel").more()),
        masked(Frame::ping("?")),
        masked(Frame::continuation("").more()),
        masked(Frame::pong("!")),
        masked(Frame::continuation("lo")),
        masked(Frame::binary("")),
        masked(Frame::close(CloseCode::NO_STATUS, "")),
    ];
    assert_eq!(server_hears(bytes.concat()), (frames, Ok(())));
}

/// RSV1 as permessage-deflate uses it: on a message's first frame, and its text is nobody's business yet (RFC 7692 §6).
#[test]
fn rsv1_where_an_extension_allows_it() {
    let codec = Codec::new(Role::Server).allow_rsv1(true);
    let rsv1 = 0x40;
    let bytes = [client(rsv1 | TEXT, b"\xff"), client(FIN | PING, ""), client(FIN, b"\xfe"), client(FIN | TEXT, "a")].concat();
    let (frames, end) = hears(&codec, &bytes);
    assert_eq!(end, Ok(()));
    assert_eq!(frames.iter().map(|frame| frame.rsv).collect::<Vec<_>>(), [0b100, 0, 0, 0]);

    assert_eq!(hears(&codec, &client(FIN | rsv1 | TEXT, b"\xff")).0.len(), 1);
    assert_eq!(hears(&codec, &client(FIN | TEXT, b"\xff")).1, Err(ProtocolError::InvalidUtf8));
    for first in [FIN | rsv1 | PING, FIN | rsv1 | CLOSE, FIN | rsv1 | CONTINUATION] {
        let bytes = [client(TEXT, "a"), client(first, "")].concat();
        assert_eq!(hears(&codec, &bytes).1, Err(ProtocolError::ReservedBits(0b100)));
    }
    for rsv in [1, 2, 3, 5, 6, 7] {
        assert_eq!(hears(&codec, &client(FIN | rsv << 4 | TEXT, "")).1, Err(ProtocolError::ReservedBits(rsv)));
    }
}

#[test]
fn a41_t26_close_bodies() {
    for code in 0..=u16::MAX {
        let body = [&code.to_be_bytes()[..], b"why"].concat();
        // A quick look at each code; the ways to cut are for a few.
        let mut src = bytes::BytesMut::from(&client(FIN | CLOSE, &body)[..]);
        let heard = Codec::new(Role::Server).decode(&mut src);
        if matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
            let frame = heard.unwrap().unwrap();
            assert_eq!(frame.close_reason(), Some((CloseCode(code), "why")));
        } else {
            assert_eq!(heard, Err(ProtocolError::IllegalCloseCode(CloseCode(code))));
        }
    }
    server_refuses(client(FIN | CLOSE, b"\x03"), ProtocolError::CloseBodyOfOneByte);
    server_refuses(client(FIN | CLOSE, b"\x03\xed"), ProtocolError::IllegalCloseCode(CloseCode::NO_STATUS));
    server_refuses(client(FIN | CLOSE, b"\x03\xe8caf\xe9"), ProtocolError::CloseReasonNotUtf8);
    server_refuses(client(FIN | CLOSE, [&b"\x03\xe8"[..], &[b'a'; 124]].concat()), ProtocolError::ControlTooLong);
    let longest = "a".repeat(123);
    let frame = Frame::close(CloseCode::NORMAL, &longest);
    assert_eq!(server_hears(client(FIN | CLOSE, &frame.data)), (vec![masked(frame)], Ok(())));
}

#[test]
fn every_error_has_its_code_and_its_clause() {
    let protocol = [
        ProtocolError::ReservedBits(1),
        ProtocolError::ReservedOpcode(3),
        ProtocolError::Unmasked,
        ProtocolError::Masked,
        ProtocolError::FragmentedControl,
        ProtocolError::ControlTooLong,
        ProtocolError::UnexpectedContinuation,
        ProtocolError::ExpectedContinuation,
        ProtocolError::LengthNotMinimal,
        ProtocolError::LengthTopBit,
        ProtocolError::CloseBodyOfOneByte,
        ProtocolError::IllegalCloseCode(CloseCode(0)),
    ];
    let others = [
        (ProtocolError::InvalidUtf8, 1007),
        (ProtocolError::CloseReasonNotUtf8, 1007),
        (ProtocolError::TooManyFragments { limit: 1 }, 1008),
        (ProtocolError::FrameTooBig { length: 2, limit: 1 }, 1009),
        (ProtocolError::MessageTooBig { length: 2, limit: 1 }, 1009),
    ];
    for (error, code) in protocol.map(|error| (error, 1002)).into_iter().chain(others) {
        assert_eq!(error.close_code(), CloseCode(code));
        assert!(error.to_string().contains("(RFC 6455 §"), "{error}");
    }
}

/// The seed went on with what followed an error in the same read.
#[test]
fn d15_nothing_is_read_behind_an_error() {
    let bytes = [client(FIN | TEXT, "before"), client(FIN | 3, ""), client(FIN | TEXT, "behind")].concat();
    assert_eq!(server_hears(bytes), (vec![masked(Frame::text("before"))], Err(ProtocolError::ReservedOpcode(3))));
}
