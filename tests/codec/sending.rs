//! What we write, and what we refuse to.

use actix_sockets::output::Output;
use actix_sockets::websocket::{CloseCode, Codec, CodecError, EncodeError, Frame, FrameCodec, ProtocolError, Role};
use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::peer;
use crate::peer::*;

fn never() -> [u8; 4] {
    unreachable!("no masking-key is needed")
}

fn sent(role: Role, frame: &Frame) -> Vec<u8> {
    let codec = Codec::new(role);
    let mut bytes = BytesMut::new();
    codec.encode(frame, || KEY, &mut bytes).unwrap();
    assert_eq!(bytes.len(), codec.wire_len(frame));
    let mut output = Output::new();
    codec.encode_into(frame.clone(), || KEY, &mut output).unwrap();
    assert_eq!(output.take(usize::MAX), bytes);
    bytes.to_vec()
}

#[test]
fn both_roles_at_every_border_of_the_length() {
    for length in [0, 1, 125, 126, 127, 8191, 8192, 65_535, 65_536, 100_000] {
        let data = vec![b'a'; length];
        assert_eq!(sent(Role::Server, &Frame::binary(data.clone())), server(FIN | BINARY, &data));
        assert_eq!(sent(Role::Client, &Frame::binary(data.clone())), client(FIN | BINARY, &data));
    }
    assert_eq!(sent(Role::Server, &Frame::text("Hel").more()), server(TEXT, "Hel"));
    assert_eq!(sent(Role::Client, &Frame::continuation("lo")), client(FIN, "lo"));
}

#[test]
fn t27_every_frame_of_a_client_is_masked_with_its_own_key_or_a_fresh_one() {
    let codec = Codec::new(Role::Client);
    for frame in [Frame::text("a"), Frame::ping("a"), Frame::pong("a"), Frame::close(CloseCode::NORMAL, "a"), Frame::binary("a").more()] {
        let first = if frame.fin { FIN } else { 0 } | frame.opcode as u8;
        let mut bytes = BytesMut::new();
        codec.encode(&frame, || [9; 4], &mut bytes).unwrap();
        assert_eq!(bytes, peer::frame(first, Some([9; 4]), &frame.data));
        bytes.clear();
        codec.encode(&Frame { masking_key: Some(KEY), ..frame.clone() }, never, &mut bytes).unwrap();
        assert_eq!(bytes, client(first, &frame.data));
    }
    let mut bytes = BytesMut::new();
    let with_key = Frame { masking_key: Some(KEY), ..Frame::text("a") };
    Codec::new(Role::Server).encode(&with_key, never, &mut bytes).unwrap();
    assert_eq!(bytes, server(FIN | TEXT, "a"));
}

#[test]
fn what_may_not_be_sent_writes_nothing() {
    let close = |body: &'static [u8]| Frame { data: Bytes::from_static(body), ..Frame::close(CloseCode::NO_STATUS, "") };
    for (frame, error) in [
        (Frame::ping(vec![0; 126]), EncodeError::ControlTooLong(126)),
        (Frame::pong(vec![0; 100_000]), EncodeError::ControlTooLong(100_000)),
        (Frame::ping("").more(), EncodeError::FragmentedControl),
        (Frame { rsv: 0b100, ..Frame::text("") }, EncodeError::ReservedBits(0b100)),
        (Frame { rsv: 0xff, ..Frame::binary(vec![0; 10_000]) }, EncodeError::ReservedBits(0xff)),
        (close(b"\x03"), EncodeError::CloseBody(ProtocolError::CloseBodyOfOneByte)),
        (Frame::close(CloseCode::ABNORMAL, ""), EncodeError::CloseBody(ProtocolError::IllegalCloseCode(CloseCode::ABNORMAL))),
    ] {
        for role in [Role::Server, Role::Client] {
            let mut bytes = BytesMut::new();
            assert_eq!(Codec::new(role).encode(&frame, never, &mut bytes), Err(error));
            let mut output = Output::new();
            assert_eq!(Codec::new(role).encode_into(frame.clone(), never, &mut output), Err(error));
            assert!(bytes.is_empty() && output.is_empty());
            assert!(error.to_string().contains("(RFC 6455 §"));
        }
    }
    let deflate = Codec::new(Role::Server).allow_rsv1(true);
    let mut bytes = BytesMut::new();
    deflate.encode(&Frame { rsv: 0b100, ..Frame::text("a") }, never, &mut bytes).unwrap();
    assert_eq!(bytes[..], [0xc1, 1, b'a']);
    assert!(deflate.encode(&Frame { rsv: 0b100, ..Frame::continuation("a") }, never, &mut bytes).is_err());
    assert!(deflate.encode(&Frame { rsv: 0b010, ..Frame::text("a") }, never, &mut bytes).is_err());
}

#[test]
fn a_large_payload_is_queued_not_copied() {
    let data = Bytes::from(vec![b'a'; 100_000]);
    let mut output = Output::new();
    Codec::new(Role::Server).encode_into(Frame::binary(data.clone()), never, &mut output).unwrap();
    output.advance(10);
    assert_eq!(output.front().as_ptr(), data.as_ptr());
    output.clear();

    // A client masks in place what nobody else holds, and a copy of what somebody does.
    Codec::new(Role::Client).encode_into(Frame::binary(data.clone()), || KEY, &mut output).unwrap();
    assert!(data.iter().all(|byte| *byte == b'a'));
    assert_eq!(output.take(usize::MAX), client(FIN | BINARY, &data));
    let address = data.as_ptr();
    Codec::new(Role::Client).encode_into(Frame::binary(data), || KEY, &mut output).unwrap();
    output.advance(14);
    assert_eq!(output.front().as_ptr(), address);
}

#[test]
fn as_a_codec_of_tokio_util() {
    let mut keys = [[1; 4], KEY].into_iter();
    let mut client = FrameCodec::new(Codec::new(Role::Client), move || keys.next().unwrap());
    let mut server = FrameCodec::new(Codec::new(Role::Server), never);
    let mut wire = BytesMut::new();
    client.encode(Frame::text("a"), &mut wire).unwrap();
    client.encode(Frame::text("b"), &mut wire).unwrap();
    assert!(matches!(client.encode(Frame::ping("").more(), &mut wire), Err(CodecError::Encode(EncodeError::FragmentedControl))));
    assert_eq!(server.decode(&mut wire).unwrap(), Some(Frame { masking_key: Some([1; 4]), ..Frame::text("a") }));
    assert_eq!(server.decode_eof(&mut wire).unwrap(), Some(masked(Frame::text("b"))));
    assert_eq!(server.decode_eof(&mut wire).unwrap(), None);

    // The end of the stream within a frame, with and without bytes at hand.
    for cut in 1..13 {
        let mut server = server_codec();
        let mut wire = BytesMut::from(&peer::client(FIN | BINARY, "Hello, you")[..cut]);
        assert!(server.decode(&mut wire).unwrap().is_none());
        assert!(matches!(server.decode_eof(&mut wire), Err(CodecError::Io(_))), "{cut}");
    }
    let mut wire = BytesMut::from(&b"\x81\x00"[..]);
    assert!(matches!(server.decode(&mut wire), Err(CodecError::Protocol(ProtocolError::Unmasked))));
}

fn server_codec() -> FrameCodec {
    FrameCodec::new(Codec::new(Role::Server), never)
}
