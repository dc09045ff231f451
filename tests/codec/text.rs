//! Text is UTF-8 (RFC 6455 §8.1), and what is not is refused as soon as it is seen.

use actix_sockets::websocket::{Codec, Frame, ProtocolError, Role};
use bytes::BytesMut;

use crate::peer::*;

/// Says `bytes` piece by piece, and tells which piece was the last that was borne.
fn refused_at(pieces: &[&[u8]]) -> Option<usize> {
    let mut codec = Codec::new(Role::Server);
    let mut src = BytesMut::new();
    for (i, piece) in pieces.iter().enumerate() {
        src.extend_from_slice(piece);
        loop {
            match codec.decode(&mut src) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(error, ProtocolError::InvalidUtf8);
                    return Some(i);
                }
            }
        }
    }
    None
}

/// The first byte of `text` that is too much, when a frame of it and 100 good bytes behind it arrive byte by byte.
fn bad_byte(text: &[u8]) -> Option<usize> {
    let bytes = client(FIN | TEXT, [text, &[b'a'; 100]].concat());
    refused_at(&bytes.chunks(1).collect::<Vec<_>>()).map(|i| i - 6)
}

#[test]
fn a40_t28_at_the_very_byte() {
    assert_eq!(bad_byte("κόσμε €𝄞\u{10ffff}".as_bytes()), None);
    assert_eq!(bad_byte(b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited"), Some(12));
    assert_eq!(bad_byte(b"\xed\xa0\x80"), Some(1));
    assert_eq!(bad_byte(b"\xe0\x80\xaf"), Some(1));
    assert_eq!(bad_byte(b"\xc0\xaf"), Some(0));
    assert_eq!(bad_byte(b"abc\xff"), Some(3));
    assert_eq!(bad_byte(b"abc\xc3"), Some(4));
    assert_eq!(bad_byte(b"\xf8\x88\x80\x80\x80"), Some(0));
}

/// Autobahn 6.4.1–6.4.4: in a fragment of its own, and at a chop within a frame.
#[test]
fn t28_autobahn_6_4_is_strict() {
    let good: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
    let bad: &[u8] = b"\xf4\x90\x80\x80";
    let end: &[u8] = b"edited";
    let fragments = [client(TEXT, good), client(CONTINUATION, bad), client(FIN, end)];
    assert_eq!(refused_at(&[&fragments[0], &fragments[1], &fragments[2]]), Some(1));
    let fragments = [client(TEXT, [good, b"\xf4"].concat()), client(CONTINUATION, b"\x90"), client(FIN, end)];
    assert_eq!(refused_at(&[&fragments[0], &fragments[1], &fragments[2]]), Some(1));

    let whole = client(FIN | TEXT, [good, bad, end].concat());
    let (header, a, b) = (6, good.len(), bad.len());
    assert_eq!(refused_at(&[&whole[..header + a], &whole[header + a..header + a + b], &whole[header + a + b..]]), Some(1));
    assert_eq!(refused_at(&[&whole[..header + a + 1], &whole[header + a + 1..header + a + 2], &whole[header + a + 2..]]), Some(1));
}

#[test]
fn t28_characters_may_be_cut_by_fragments_and_control_frames() {
    let text = "aκ€𝄞\u{10ffff}z";
    for cut in 0..=text.len() {
        let (head, tail) = text.as_bytes().split_at(cut);
        let bytes = [client(TEXT, head), client(FIN | PING, b"\xff"), client(CONTINUATION, ""), client(FIN, tail)].concat();
        let (frames, end) = server_hears(bytes);
        assert_eq!((frames.len(), end), (4, Ok(())), "{cut}");
    }
}

#[test]
fn t28_a_message_does_not_end_within_a_character() {
    for cut in 1..4 {
        let cut = &"𝄞".as_bytes()[..cut];
        assert_eq!(server_hears(client(FIN | TEXT, cut)), (vec![], Err(ProtocolError::InvalidUtf8)));
        let bytes = [client(TEXT, cut), client(FIN, "")].concat();
        assert_eq!(server_hears(bytes).1, Err(ProtocolError::InvalidUtf8));
        // Long enough to leave the short way.
        let long = [&[b'a'; 500], cut].concat();
        assert_eq!(server_hears(client(FIN | TEXT, long)), (vec![], Err(ProtocolError::InvalidUtf8)));
    }
}

#[test]
fn each_message_begins_anew() {
    let bytes = [client(FIN | TEXT, "é"), client(BINARY, b"\xc3"), client(FIN, b"\xff"), client(FIN | TEXT, "é")].concat();
    assert_eq!(server_hears(bytes).0.len(), 4);
    let bytes = [client(FIN | BINARY, b"\xc3"), client(FIN | TEXT, b"\xa9")].concat();
    assert_eq!(server_hears(bytes), (vec![masked(Frame::binary(&b"\xc3"[..]))], Err(ProtocolError::InvalidUtf8)));
}
