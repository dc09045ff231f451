//! Compressed messages (RFC 7692): what is in the RFC, what comes of every combination of parameters, and every cut.
//! What an attacker would send is in `t29.rs`.

use std::sync::Arc;
use std::time::Instant;

use actix_sockets::stage::deflate::Context;
use actix_sockets::stage::{Chain, Closing, Command, Consolidation, Event, Flow, Interest, Life, PerMessageDeflate, Pipeline, Stage};
use actix_sockets::websocket::{Codec, Frame, OpCode, Role};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::puff::Puff;
use super::wire::{BINARY, CLOSING, CONTINUATION, FIN, PING, TEXT, Wire};

pub(crate) const RSV1: u8 = 0x40;
pub(crate) const MIB: usize = 1 << 20;
const NOTHING: [&str; 0] = [];

pub(crate) fn deflate() -> PerMessageDeflate {
    PerMessageDeflate::new(Context::default(), Context::default(), 8 << 20)
}

pub(crate) fn wire(role: Role, deflate: PerMessageDeflate) -> Wire {
    let chain = Chain::of(Consolidation::new(8 << 20)).and(Closing::new(role, CLOSING)).and(deflate);
    Wire::of(role, Codec::new(role).frame_size_limit(16 << 20), chain)
}

fn flow() -> Flow<'static> {
    let now = Instant::now();
    Flow::new(now, Life { last_read: now, suspended: false })
}

/// What the stage makes of a frame that is sent.
pub(crate) fn sent(stage: &mut PerMessageDeflate, frame: Frame) -> Option<Frame> {
    let mut flow = flow();
    stage.command(Command::Frame(frame), &mut flow);
    let (events, mut commands) = flow.take();
    assert!(events.is_empty() && commands.len() <= 1);
    commands.pop().map(|command| if let Command::Frame(frame) = command { frame } else { panic!("{command:?}") })
}

/// What the stage makes of a frame that is read.
pub(crate) fn read(stage: &mut PerMessageDeflate, frame: Frame) -> Result<Frame, String> {
    let mut flow = flow();
    stage.event(Event::Frame(frame), &mut flow);
    match flow.take() {
        (events, commands) if commands.is_empty() => match &events[..] {
            [Event::Frame(frame)] => Ok(frame.clone()),
            other => Err(format!("{other:?}")),
        },
        (events, commands) => match (&events[..], &commands[..]) {
            ([], [Command::Refuse(error)]) => Err(format!("{} {error}", error.close_code())),
            other => Err(format!("{other:?}")),
        },
    }
}

pub(crate) fn compressed(opcode: OpCode, data: impl Into<Bytes>) -> Frame {
    Frame { rsv: 0b100, ..Frame::new(opcode, data) }
}

// ── the RFC's examples ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

#[test]
fn rfc_7692_7_2_3_1_one_block_whole_and_in_fragments() {
    let mut server = wire(Role::Server, deflate());
    assert_eq!(server.frame(FIN | RSV1 | TEXT, HELLO), [r#"Text "Hello""#]);
    let mut server = wire(Role::Server, deflate());
    assert_eq!(server.frame(RSV1 | TEXT, &HELLO[..3]), NOTHING);
    assert_eq!(server.frame(FIN | PING, "between"), [r#"Ping "between""#]);
    assert_eq!(server.frame(FIN | CONTINUATION, &HELLO[3..]), [r#"Text "Hello""#]);
}

#[test]
fn rfc_7692_7_2_3_2_the_window_is_shared_or_not() {
    let mut server = wire(Role::Server, deflate());
    server.frame(FIN | RSV1 | TEXT, HELLO);
    assert_eq!(server.frame(FIN | RSV1 | TEXT, [0xf2, 0x00, 0x11, 0x00, 0x00]), [r#"Text "Hello""#]);

    let mut stage = deflate();
    let hello = || Frame::binary("Hello");
    let mut stage = {
        assert_eq!(sent(&mut stage, hello()).unwrap().data, "Hello", "less than the threshold");
        stage.threshold(0).level(6)
    };
    assert_eq!(sent(&mut stage, hello()).unwrap().data, HELLO[..]);
    assert_eq!(sent(&mut stage, hello()).unwrap().data, [0xf2, 0x00, 0x11, 0x00, 0x00][..]);
    let alone = Context { takeover: false, ..Context::default() };
    let mut stage = PerMessageDeflate::new(alone, alone, 100).threshold(0);
    for _ in 0..3 {
        let message = Frame::binary("Hello, hello, hello");
        let once = sent(&mut stage, message.clone()).unwrap();
        assert_eq!(Puff::new(15, false).message(&once.data), message.data);
    }
}

#[test]
fn rfc_7692_7_2_3_3_a_block_without_compression() {
    let mut server = wire(Role::Server, deflate());
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    assert_eq!(server.frame(FIN | RSV1 | TEXT, stored), [r#"Text "Hello""#]);
}

#[test]
fn rfc_7692_7_2_3_4_a_block_with_bfinal_set() {
    let mut server = wire(Role::Server, deflate());
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    for _ in 0..3 {
        assert_eq!(server.frame(FIN | RSV1 | TEXT, last), [r#"Text "Hello""#]);
        // The byte for the tail is forgotten: nothing is lost.
        assert_eq!(server.frame(FIN | RSV1 | TEXT, &last[..7]), [r#"Text "Hello""#]);
        assert_eq!(server.frame(RSV1 | TEXT, &last[..7]), NOTHING);
        assert_eq!(server.frame(FIN | CONTINUATION, ""), [r#"Text "Hello""#]);
    }
    // A block behind it, on the next byte's border, which may refer to it.
    let both = [&last[..7], &[0xf2, 0x00, 0x11, 0x00, 0x00]].concat();
    assert_eq!(server.frame(FIN | RSV1 | TEXT, both), [r#"Text "HelloHello""#]);
}

#[test]
fn rfc_7692_7_2_3_5_two_blocks() {
    let mut server = wire(Role::Server, deflate());
    let two = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(server.frame(FIN | RSV1 | TEXT, two), [r#"Text "Hello""#]);
}

#[test]
fn rfc_7692_7_2_3_6_an_empty_message() {
    let mut server = wire(Role::Server, deflate());
    for _ in 0..2 {
        assert_eq!(server.frame(FIN | RSV1 | TEXT, [0]), [r#"Text """#]);
        // What is left when the tail is removed from nothing.
        assert_eq!(server.frame(FIN | RSV1 | BINARY, ""), [r#"Binary """#]);
        assert_eq!(server.frame(RSV1 | TEXT, ""), NOTHING);
        assert_eq!(server.frame(FIN | CONTINUATION, HELLO), [r#"Text "Hello""#]);
    }
    for threshold in [0, 1] {
        let mut stage = deflate().threshold(threshold);
        for _ in 0..3 {
            let empty = sent(&mut stage, Frame::text("")).unwrap();
            assert_eq!((empty.rsv, &empty.data[..]), if threshold == 0 { (0b100, &[0][..]) } else { (0, &[][..]) });
        }
    }
}

// ── in ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn messages_that_are_not_compressed_pass_between_those_that_are() {
    let mut server = wire(Role::Server, deflate());
    for _ in 0..3 {
        assert_eq!(server.frame(FIN | TEXT, "as it is"), [r#"Text "as it is""#]);
        assert_eq!(server.frame(TEXT, "in "), NOTHING);
        assert_eq!(server.frame(FIN | CONTINUATION, "two"), [r#"Text "in two""#]);
        assert_eq!(server.frame(FIN | RSV1 | TEXT, HELLO), [r#"Text "Hello""#]);
    }
}

#[test]
fn fragments_stay_fragments_where_nobody_puts_them_together() {
    let mut stage = deflate();
    let first = read(&mut stage, compressed(OpCode::Text, &HELLO[..3]).more()).unwrap();
    let last = read(&mut stage, Frame::continuation(&HELLO[3..])).unwrap();
    assert_eq!([first.rsv, last.rsv], [0, 0]);
    assert_eq!([first.fin, last.fin], [false, true]);
    assert_eq!([&first.data[..], &last.data[..]].concat(), b"Hello");
}

#[test]
fn the_codec_takes_rsv1_only_where_a_stage_gives_it_a_meaning() {
    let mut plain = Wire::new(Role::Server);
    assert_eq!(plain.frame(FIN | RSV1 | TEXT, HELLO), NOTHING);
    assert_eq!(plain.settles(), ["Closed 1002 by us"]);
    assert!(!Interest::ALL.meets(Interest::RSV1_IN));
    assert!(Chain::of(deflate()).wants(Interest::DATA_OUT), "nothing is encoded past the stage");
}

#[test]
fn what_a_stage_refuses_waits_its_turn() {
    let mut server = wire(Role::Server, deflate());
    let reads = [server.peers(FIN | TEXT, "Hello"), server.peers(FIN | RSV1 | TEXT, [0xff]), server.peers(FIN | TEXT, "too late")];
    assert_eq!(server.reads(&reads.concat()), [r#"Text "Hello""#]);
    assert!(server.pipeline.is_unsettled() && !server.pipeline.has_closed());
    server.sends(Frame::text("HELLO").uncompressed());
    assert_eq!(server.settles(), ["Closed 1007 by us"]);
    assert_eq!(server.written(), [r#"Text "HELLO""#, "Close 1007 a compressed message that is not DEFLATE data (RFC 7692 §7.2.2)"]);
}

// ── out ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

fn long() -> String {
    "a text that is long enough, ".repeat(20)
}

#[test]
fn what_is_compressed_and_what_is_not() {
    let is_compressed = |stage: PerMessageDeflate, frame: Frame| {
        let mut stage = stage;
        let sent = sent(&mut stage, frame.clone()).unwrap();
        assert_eq!(sent.rsv & !0b100, 0);
        assert!(sent.rsv == 0b100 || sent.data == frame.data);
        sent.rsv == 0b100
    };
    assert!(is_compressed(deflate(), Frame::text("x".repeat(128))));
    assert!(!is_compressed(deflate(), Frame::text("x".repeat(127))));
    assert!(is_compressed(deflate().threshold(5), Frame::text("Hello")));
    assert!(is_compressed(deflate(), Frame::text("in fragments").more()));
    assert!(!is_compressed(deflate(), Frame::text(long()).uncompressed()));
    assert!(!is_compressed(deflate(), Frame::text("in fragments").more().uncompressed()));
    let only_text: fn(&Frame) -> bool = |frame| frame.opcode == OpCode::Text;
    assert!(is_compressed(deflate().when(Arc::new(only_text)), Frame::text(long())));
    assert!(!is_compressed(deflate().when(Arc::new(only_text)), Frame::binary(long())));
}

/// With takeover it must be sent compressed once it has been: the peer is to remember it.
#[test]
fn what_does_not_get_smaller_is_sent_as_it_is_only_where_nothing_is_remembered() {
    let mut random = StdRng::seed_from_u64(300);
    let noise: Vec<u8> = (0..300).map(|_| random.random()).collect();
    let alone = Context { takeover: false, ..Context::default() };
    let frame = sent(&mut PerMessageDeflate::new(alone, alone, 100), Frame::binary(noise.clone())).unwrap();
    assert_eq!((frame.rsv, frame.data.len()), (0, 300));
    let mut stage = deflate();
    let mut puff = Puff::new(15, true);
    for _ in 0..2 {
        let frame = sent(&mut stage, Frame::binary(noise.clone())).unwrap();
        assert_eq!(frame.rsv, 0b100);
        assert_eq!(puff.message(&frame.data), noise);
    }
}

#[test]
fn each_fragment_can_be_read_when_it_comes() {
    let (mut ours, mut theirs) = (deflate(), deflate());
    let fragments =
        [Frame::text("one, ").more(), Frame::continuation("").more(), Frame::continuation("two").more(), Frame::continuation("")];
    for _ in 0..3 {
        for fragment in fragments.clone() {
            let on_the_wire = sent(&mut ours, fragment.clone()).unwrap();
            assert_eq!(on_the_wire.rsv, if fragment.opcode == OpCode::Text { 0b100 } else { 0 });
            assert_eq!(read(&mut theirs, on_the_wire), Ok(fragment));
        }
    }
}

#[test]
fn what_somebody_else_has_compressed_passes_only_where_nothing_is_remembered() {
    let alone = Context { takeover: false, ..Context::default() };
    let hello = compressed(OpCode::Text, &HELLO[..]);
    assert_eq!(sent(&mut PerMessageDeflate::new(alone, alone, 100), hello.clone()), Some(hello.clone()));
    assert_eq!(sent(&mut deflate(), hello), None);
}

/// What the codec would refuse must not be remembered by our compressor: the peer never sees it.
#[test]
fn a_frame_that_may_not_be_sent_leaves_no_trace_in_what_follows() {
    let (mut ours, mut theirs) = (deflate(), deflate());
    let refused = Frame { rsv: 0b010, ..Frame::text("a text that nobody reads, of some length, again and again ".repeat(9)) };
    assert!(sent(&mut ours, refused).is_none());
    let text = "a text that nobody reads, of some length, again and again, but this one they do ".repeat(9);
    let frame = sent(&mut ours, Frame::text(text.clone())).unwrap();
    assert_eq!(read(&mut theirs, frame).unwrap().as_text(), Some(text.as_str()));
}

#[test]
fn a_chain_with_it_prints_what_was_agreed_on() {
    let stage = PerMessageDeflate::new(Context { window_bits: 9, takeover: false }, Context::default(), 1).level(3);
    assert_eq!(format!("{stage:?}"), "PerMessageDeflate(in 9 without takeover, out 15 at 3)");
}

#[test]
fn the_word_uncompressed_says_nothing_where_nothing_is_compressed() {
    let mut plain = Wire::new(Role::Server);
    plain.sends(Frame::text("Hello").uncompressed());
    assert_eq!(plain.written(), [r#"Text "Hello""#]);
}

// ── every combination ───────────────────────────────────────────────────────────────────────────────────────────────────────────

fn contexts() -> impl Strategy<Value = Context> {
    (8u8..=15, any::<bool>()).prop_map(|(window_bits, takeover)| Context { window_bits, takeover })
}

/// Data that refers back in many ways: words out of a small book, in any order, with noise between.
fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece = prop_oneof![
        (0usize..4000, 1usize..400).prop_map(|(from, length)| book()[from..from + length].to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
        (any::<u8>(), 0usize..2000).prop_map(|(byte, times)| vec![byte; times]),
    ];
    prop::collection::vec(prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat()), 1..6)
}

fn book() -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(7692);
    (0..4400).map(|_| b"etaoin shrdlu"[random.random_range(0..13)]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Ours is read by an inflater that is not ours, which minds the window; and by our own.
    #[test]
    fn what_one_end_sends_the_other_reads(
        context in contexts(), level in 1u8..=9, threshold in 0usize..300, messages in messages(), cuts in prop::collection::vec(any::<u16>(), 0..4),
    ) {
        let mut ours = PerMessageDeflate::new(Context::default(), context, 1).level(level).threshold(threshold);
        let mut theirs = PerMessageDeflate::new(context, Context::default(), 1 << 20).ratio_unlimited();
        let mut puff = Puff::new(context.window_bits, context.takeover);
        for message in messages {
            let mut cuts: Vec<usize> = cuts.iter().map(|&cut| usize::from(cut) % (message.len() + 1)).collect();
            cuts.sort_unstable();
            cuts.push(message.len());
            let (mut from, mut whole, mut on_the_wire, mut is_compressed) = (0, Vec::new(), Vec::new(), false);
            for (n, &to) in cuts.iter().enumerate() {
                let opcode = if n == 0 { OpCode::Binary } else { OpCode::Continuation };
                let fragment = Frame { fin: n + 1 == cuts.len(), ..Frame::new(opcode, message[from..to].to_vec()) };
                let frame = sent(&mut ours, fragment.clone()).unwrap();
                is_compressed |= frame.rsv == 0b100;
                on_the_wire.extend_from_slice(&frame.data);
                prop_assert_eq!((frame.rsv, frame.opcode, frame.fin), (if n == 0 { frame.rsv } else { 0 }, opcode, fragment.fin));
                let read = read(&mut theirs, frame);
                prop_assert_eq!(read.as_ref(), Ok(&fragment));
                whole.extend_from_slice(&read.unwrap().data);
                from = to;
            }
            prop_assert_eq!(&whole, &message);
            if is_compressed {
                prop_assert_eq!(puff.message(&on_the_wire), message);
            }
        }
    }

    /// Whole, or cut into any fragments and those into any reads: the same messages.
    #[test]
    fn however_the_bytes_are_cut(messages in messages(), seed in any::<u64>()) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut client = deflate().threshold(0);
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        let peer = Wire::new(Role::Server);
        for message in messages {
            expected.push(format!("Binary \"{}\"", message.escape_ascii()));
            let data = sent(&mut client, Frame::binary(message)).unwrap().data;
            let cut = random.random_range(0..=data.len());
            bytes.extend(peer.peers(RSV1 | BINARY, &data[..cut]));
            bytes.extend(peer.peers(FIN | CONTINUATION, &data[cut..]));
        }
        for most in [usize::MAX, 1, 40] {
            let mut server = wire(Role::Server, deflate());
            let (mut rest, mut heard) = (&bytes[..], Vec::new());
            while !rest.is_empty() {
                let (read, more) = rest.split_at(if most == 40 { random.random_range(1..=rest.len().min(40)) } else { rest.len().min(most) });
                heard.extend(server.reads(read));
                rest = more;
            }
            prop_assert_eq!(&heard, &expected);
        }
    }

    /// Whatever comes, it is a message or one of the documented refusals.
    #[test]
    fn nothing_panics(frames in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 1..20), text in any::<bool>()) {
        let mut stage = PerMessageDeflate::new(Context::default(), Context::default(), 10_000);
        let mut first = true;
        for (fin, data) in frames {
            let opcode = if text { OpCode::Text } else { OpCode::Binary };
            let frame = if first { compressed(opcode, data) } else { Frame::continuation(data) };
            first = fin;
            if let Err(error) = read(&mut stage, Frame { fin, ..frame }) {
                prop_assert!(["1007", "1009"].iter().any(|code| error.starts_with(code)), "{}", error);
                break;
            }
        }
    }
}

/// A window of 8 bits, which the backend does not have: its smallest one looks back no farther.
#[test]
fn no_distance_is_larger_than_the_window() {
    let mut random = StdRng::seed_from_u64(8);
    let mut data = Vec::new();
    while data.len() < 300_000 {
        // Something that was there at any distance, again.
        let back = random.random_range(1..=40_000usize).min(data.len());
        let length = random.random_range(3..=300usize).min(back);
        let from = data.len() - back;
        data.extend_from_within(from..from + length);
        data.extend((0..random.random_range(0..20)).map(|_| random.random::<u8>()));
    }
    for window_bits in 8..=15 {
        let mut farthest = 0;
        for level in 1..=9 {
            let context = Context { window_bits, takeover: true };
            let mut stage = PerMessageDeflate::new(context, context, 1).level(level);
            let mut puff = Puff::new(window_bits, true);
            for message in data.chunks(70_001) {
                let frame = sent(&mut stage, Frame::binary(message.to_vec())).unwrap();
                assert!(puff.message(&frame.data) == message);
            }
            farthest = farthest.max(puff.farthest);
        }
        println!("window bits {window_bits}: the farthest reference is {farthest}");
        assert!(farthest > (1 << window_bits) / 3, "nothing far was found: the data do not try it");
    }
}

// ── one read, many messages ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// What a peer sends in one read cannot all become events at once.
#[test]
fn much_that_comes_of_one_read_is_taken_in_turns() {
    let mut bytes = BytesMut::new();
    let peer = Wire::new(Role::Server);
    let mut client = deflate();
    for n in 0..50u8 {
        let message = vec![n; 100_000];
        bytes.extend_from_slice(&peer.peers(FIN | RSV1 | BINARY, sent(&mut client, Frame::binary(message)).unwrap().data));
    }
    assert!(bytes.len() < 64 << 10, "one read");
    let now = Instant::now();
    let chain = Chain::of(Closing::new(Role::Server, CLOSING)).and(deflate());
    let mut pipeline: Pipeline = Pipeline::new(Codec::new(Role::Server), Box::new(|| [0; 4]), chain, now);
    let mut heard = Vec::new();
    let mut turns = 0;
    loop {
        pipeline.receive(&mut bytes, now);
        let batch: Vec<u8> = std::iter::from_fn(|| pipeline.poll_event())
            .map(|event| if let Event::Frame(frame) = event { frame.data[0] } else { panic!() })
            .collect();
        assert!(batch.len() <= 3, "{} messages at once", batch.len());
        heard.extend(batch);
        turns += 1;
        if !pipeline.is_behind() {
            break;
        }
    }
    assert_eq!(heard, (0..50).collect::<Vec<u8>>());
    assert!(turns > 10 && bytes.is_empty());
}
