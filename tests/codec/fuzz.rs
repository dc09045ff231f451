//! Anything, in any order, in any pieces.

use actix_sockets::websocket::{Codec, Frame, OpCode, ProtocolError, Role};
use bytes::BytesMut;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::peer::*;

fn opposite(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}

/// The seed's test: a frame survives its journey, whatever is in it. Here what RFC 6455 forbids is refused, at the end that may not send it.
#[test]
fn a_thousand_frames_there_and_back() {
    let mut rng = StdRng::seed_from_u64(1024);
    let opcodes = [OpCode::Text, OpCode::Binary, OpCode::Close, OpCode::Ping, OpCode::Pong];
    for round in 0..1024 {
        let opcode = opcodes[rng.random_range(0..opcodes.len())];
        let longest = if opcode.is_control() && rng.random_bool(0.9) {
            126
        } else if round % 8 == 0 {
            100_000
        } else {
            2_000
        };
        let mut data = vec![0; rng.random_range(0..=longest)];
        match opcode {
            OpCode::Text => data.fill_with(|| rng.random_range(b' '..0x7f)),
            OpCode::Close if data.len() > 1 => {
                data.fill(b'a');
                data[..2].copy_from_slice(&rng.random_range(1000u16..1004).to_be_bytes());
            }
            _ => rng.fill_bytes(&mut data),
        }
        let masking_key = rng.random_bool(0.5).then(|| rng.random());
        let frame = Frame { rsv: if rng.random_bool(0.2) { rng.random_range(0..8) } else { 0 }, masking_key, ..Frame::new(opcode, data) };
        let role = if rng.random_bool(0.5) { Role::Server } else { Role::Client };
        let legal =
            frame.rsv == 0 && (!opcode.is_control() || frame.data.len() <= 125) && (opcode != OpCode::Close || frame.data.len() != 1);
        let mut wire = BytesMut::new();
        let sent = Codec::new(role).encode(&frame, || KEY, &mut wire);
        assert_eq!(sent.is_ok(), legal, "round {round}: {frame:?}");
        if legal {
            let masking_key = if role == Role::Client { masking_key.or(Some(KEY)) } else { None };
            let heard = hears_in(&Codec::new(opposite(role)), &wire, 1..=30_000, round % 2 == 0);
            assert_eq!(heard, (vec![Frame { masking_key, ..frame }], Ok(())), "round {round}");
        }
    }
}

/// The seed's test of its buffer: random appends and random takings, through a buffer that grows, against a simple oracle.
#[test]
fn a33_random_appends_and_takings() {
    let mut rng = StdRng::seed_from_u64(33);
    let mut codec = Codec::new(Role::Server);
    let mut src = BytesMut::new();
    let (mut wire, mut said, mut heard) = (Vec::new(), std::collections::VecDeque::new(), 0);
    for _ in 0..20_000 {
        if wire.len() < 1000 && said.len() < 5000 {
            let longest = if rng.random_bool(0.01) { 20_000 } else { 200 };
            let mut data = vec![0; rng.random_range(0..longest)];
            rng.fill_bytes(&mut data);
            wire.extend(client(FIN | BINARY, &data));
            said.push_back(data);
        }
        let piece = rng.random_range(0..=wire.len());
        src.extend(wire.drain(..piece));
        for _ in 0..rng.random_range(0..5) {
            let Some(frame) = codec.decode(&mut src).unwrap() else { break };
            assert_eq!(Some(&frame.data[..]), said.pop_front().as_deref());
            heard += 1;
        }
    }
    assert!(heard > 5000);
}

/// A message as it is said, with cuts that are anywhere.
fn message() -> impl Strategy<Value = Vec<Frame>> {
    let content = prop_oneof![
        any::<String>().prop_map(|text| (OpCode::Text, text.into_bytes())),
        proptest::collection::vec(any::<u8>(), 0..400).prop_map(|data| (OpCode::Binary, data)),
    ];
    (content, proptest::collection::vec(any::<prop::sample::Index>(), 0..4), proptest::option::of(0..125usize)).prop_map(
        |((opcode, data), cuts, ping)| {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).chain([0, data.len()]).collect();
            cuts.sort_unstable();
            let mut frames: Vec<Frame> = cuts.windows(2).map(|ends| Frame::continuation(data[ends[0]..ends[1]].to_vec()).more()).collect();
            frames[0].opcode = opcode;
            frames.last_mut().unwrap().fin = true;
            if let Some(length) = ping {
                frames.insert(length % frames.len(), Frame::ping(vec![0xff; length]));
            }
            frames
        },
    )
}

proptest! {
    #[test]
    fn what_one_role_writes_the_other_reads(
        messages in proptest::collection::vec(message(), 0..6),
        by_client: bool,
        key: [u8; 4],
    ) {
        let role = if by_client { Role::Client } else { Role::Server };
        let mut wire = BytesMut::new();
        let frames: Vec<Frame> = messages.into_iter().flatten().collect();
        for frame in &frames {
            Codec::new(role).encode(frame, || key, &mut wire).unwrap();
        }
        let masking_key = by_client.then_some(key);
        let frames = frames.into_iter().map(|frame| Frame { masking_key, ..frame }).collect();
        prop_assert_eq!(hears(&Codec::new(opposite(role)), &wire), (frames, Ok(())));
    }

    /// No bytes whatever make it panic, and the cuts make no difference (which is what `hears` asserts).
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300), rsv1: bool) {
        for role in [Role::Server, Role::Client] {
            let _ = hears(&Codec::new(role).allow_rsv1(rsv1), &bytes);
        }
    }

    /// Frames that are nearly good, so that what lies behind the first header is reached.
    #[test]
    fn nearly_good_bytes(parts in proptest::collection::vec((0..16u8, 0..20u8, proptest::collection::vec(any::<u8>(), 0..140)), 0..12)) {
        let bytes: Vec<u8> = parts
            .iter()
            .flat_map(|(opcode, luck, payload)| {
                let opcode = if *luck > 1 { [CONTINUATION, TEXT, BINARY, PING][usize::from(opcode % 4)] } else { *opcode };
                let fin = if *luck > 9 || opcode >= CLOSE { FIN } else { 0 };
                let payload: Vec<u8> = payload.iter().map(|byte| if *luck == 2 { *byte } else { byte & 0x7f }).collect();
                client(fin | opcode, payload)
            })
            .collect();
        let (_, end) = server_hears(&bytes);
        prop_assert!(!matches!(end, Err(ProtocolError::Masked | ProtocolError::LengthTopBit)));
    }
}
