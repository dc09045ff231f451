//! Frames (RFC 6455 §5). The first byte chooses the role, the limits and whether RSV1 has a meaning.

use actix_sockets::websocket::{CloseCode, Codec, Frame, OpCode, ProtocolError, Role};
use bytes::BytesMut;

use super::input::cuts;

const CLIENT: u8 = 1;
const RSV1: u8 = 2;
const SMALL: u8 = 4;

pub(crate) fn run(input: &[u8]) {
    let Some((&how, bytes)) = input.split_first() else { return };
    let role = if how & CLIENT == 0 { Role::Server } else { Role::Client };
    let codec = Codec::new(role).allow_rsv1(how & RSV1 != 0);
    let codec = match how & SMALL {
        0 => codec,
        _ => codec.frame_size_limit(100).message_size_limit(200).fragments_limit(4),
    };
    let [whole, single, pieces] = cuts(bytes).map(|pieces| hears(&codec, &pieces));
    assert_eq!(whole, single, "byte by byte");
    assert_eq!(whole, pieces, "in pieces");
    let (frames, error) = whole;
    if let Some(error) = error {
        let codes = [CloseCode::PROTOCOL_ERROR, CloseCode::INVALID_DATA, CloseCode::POLICY_VIOLATION, CloseCode::TOO_BIG];
        assert!(codes.contains(&error.close_code()), "{error}");
    }
    // There is one way to write a frame: what was read is what is written.
    let other = if role == Role::Server { Role::Client } else { Role::Server };
    let writer = Codec::new(other).allow_rsv1(how & RSV1 != 0);
    let mut written = BytesMut::new();
    for frame in &frames {
        let key = frame.masking_key;
        assert_eq!(key.is_some(), role == Role::Server, "a client masks, a server does not (RFC 6455 §5.1)");
        writer.encode(frame, || key.expect("only a client asks"), &mut written).expect("what may be read may be written");
    }
    assert!(bytes.starts_with(&written), "{frames:?} is {written:?}");
    limits(how, &frames);
}

fn hears(codec: &Codec, pieces: &[&[u8]]) -> (Vec<Frame>, Option<ProtocolError>) {
    let (mut codec, mut buffer, mut frames) = (codec.clone(), BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(codec.decode(&mut buffer), Err(error), "an error stays");
                    return (frames, Some(error));
                }
            }
        }
        assert!(codec.is_between_frames() || codec.missing(buffer.len()) > 0, "it waits for something");
    }
    (frames, None)
}

/// The messages keep the limits, and their text is UTF-8.
fn limits(how: u8, frames: &[Frame]) {
    let (frame_limit, message_limit, fragments_limit) = if how & SMALL == 0 { (1 << 20, 8 << 20, 16_384) } else { (100, 200, 4) };
    let (mut message, mut fragments, mut text) = (Vec::new(), 0, false);
    for frame in frames {
        assert!(frame.data.len() <= if frame.opcode.is_control() { 125 } else { frame_limit });
        if frame.opcode.is_control() {
            continue;
        }
        if frame.opcode != OpCode::Continuation {
            assert!(message.is_empty() && fragments == 0, "a message within a message");
            text = frame.opcode == OpCode::Text && frame.rsv == 0;
        }
        message.extend_from_slice(&frame.data);
        fragments += 1;
        assert!(message.len() <= message_limit && fragments <= fragments_limit);
        if frame.fin {
            assert!(!text || std::str::from_utf8(&message).is_ok(), "text is UTF-8 (RFC 6455 §8.1)");
            (message, fragments) = (Vec::new(), 0);
        }
    }
}
