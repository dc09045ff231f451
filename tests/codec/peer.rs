//! The other end of the wire, which does not use the codec: it writes headers byte by byte, and cuts what it says in every way.

use actix_sockets::websocket::{Codec, Frame, ProtocolError, Role};
use bytes::BytesMut;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
pub(crate) const FIN: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// How a payload length is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Seven,
    Sixteen,
    SixtyFour,
}

impl Form {
    pub(crate) fn minimal(length: u64) -> Self {
        match length {
            0..=125 => Self::Seven,
            126..=0xffff => Self::Sixteen,
            _ => Self::SixtyFour,
        }
    }
}

/// A header, right or wrong.
pub(crate) fn header(first: u8, form: Form, length: u64, key: Option<[u8; 4]>) -> Vec<u8> {
    let mask = if key.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match form {
        Form::Seven => bytes.push(mask | u8::try_from(length).unwrap()),
        Form::Sixteen => {
            bytes.push(mask | 126);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        Form::SixtyFour => {
            bytes.push(mask | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(key.unwrap_or_default().iter().take(if key.is_some() { 4 } else { 0 }));
    bytes
}

/// A frame as a client writes it.
pub(crate) fn client(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(first, Some(KEY), payload.as_ref())
}

/// A frame as a server writes it.
pub(crate) fn server(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(first, None, payload.as_ref())
}

pub(crate) fn frame(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u64;
    let mut bytes = header(first, Form::minimal(length), length, key);
    let key = key.unwrap_or_default();
    bytes.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
    bytes
}

/// The frame as the server's codec gives it.
pub(crate) fn masked(frame: Frame) -> Frame {
    Frame { masking_key: Some(KEY), ..frame }
}

/// What was heard, and how it ended.
pub(crate) type Heard = (Vec<Frame>, Result<(), ProtocolError>);

/// A server of default limits hears `bytes`.
pub(crate) fn server_hears(bytes: impl AsRef<[u8]>) -> Heard {
    hears(&Codec::new(Role::Server), bytes.as_ref())
}

/// A client of default limits hears `bytes`.
pub(crate) fn client_hears(bytes: impl AsRef<[u8]>) -> Heard {
    hears(&Codec::new(Role::Client), bytes.as_ref())
}

/// `codec` hears `bytes` whole, byte by byte and in random pieces, in one buffer and in one that moves with each read: it is all the same.
pub(crate) fn hears(codec: &Codec, bytes: &[u8]) -> Heard {
    let whole = hears_in(codec, bytes, bytes.len().max(1)..=bytes.len().max(1), false);
    if bytes.len() < 1 << 14 {
        assert_eq!(hears_in(codec, bytes, 1..=1, false), whole, "byte by byte");
        assert_eq!(hears_in(codec, bytes, 1..=1, true), whole, "byte by byte, moving");
    }
    for largest in if bytes.len() < 1 << 17 { &[3, 9, 70, 5000][..] } else { &[5000, 50_001] } {
        let largest = *largest;
        assert_eq!(hears_in(codec, bytes, 1..=largest, largest % 2 == 0), whole, "in pieces up to {largest}");
    }
    whole
}

pub(crate) fn hears_in(codec: &Codec, bytes: &[u8], pieces: std::ops::RangeInclusive<usize>, moving: bool) -> Heard {
    let mut codec = codec.clone();
    let mut rng = StdRng::seed_from_u64(*pieces.end() as u64);
    let (mut src, mut frames, mut rest) = (BytesMut::new(), Vec::new(), bytes);
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rng.random_range(pieces.clone()).min(rest.len()));
        rest = behind;
        if moving {
            src = BytesMut::from(&src[..]);
        }
        src.extend_from_slice(piece);
        loop {
            match codec.decode(&mut src) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    fused(&mut codec, &mut src, error);
                    return (frames, Err(error));
                }
            }
        }
    }
    (frames, Ok(()))
}

/// Behind an error nothing is read any more, be it as good as it may.
fn fused(codec: &mut Codec, src: &mut BytesMut, error: ProtocolError) {
    for _ in 0..3 {
        src.extend_from_slice(&client(FIN | TEXT, "good"));
        src.extend_from_slice(&server(FIN | TEXT, "good"));
        let before = src.clone();
        assert_eq!(codec.decode(src), Err(error));
        assert_eq!(*src, before);
        assert_eq!(codec.missing(src.len()), 0);
    }
}
