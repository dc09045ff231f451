//! permessage-deflate's stage (RFC 7692 §7.2): anything as compressed messages; and anything compressed and inflated again. The first bytes
//! choose contexts, limits and lengths.

use std::time::Instant;

use actix_sockets::stage::deflate::Context;
use actix_sockets::stage::{Command, Event, Flow, Life, PerMessageDeflate, Stage};
use actix_sockets::websocket::{Frame, OpCode, ProtocolError};

use super::input::{Chance, Choices, cuts};

const RSV1: u8 = 0b100;
const RATIO: usize = 10;
/// How far the ratio does not matter.
const FREE: usize = 1 << 20;

pub(crate) fn run(input: &[u8]) {
    let mut choices = Choices(input);
    let how = choices.byte();
    let context = Context { window_bits: 8 + (how & 7), takeover: how & 8 != 0 };
    if how & 16 == 0 { bad(context, how, choices.0) } else { there_and_back(context, choices) }
}

/// A stage, alone.
struct Alone {
    stage: PerMessageDeflate,
    flow: Flow<'static>,
}

impl Alone {
    fn new(incoming: Context, outgoing: Context, limit: u64) -> Self {
        let now = Instant::now();
        let stage = PerMessageDeflate::new(incoming, outgoing, limit).ratio_limit(RATIO as u32).threshold(0);
        Self { stage, flow: Flow::new(now, Life { last_read: now, suspended: false }) }
    }

    /// What is handed up of a frame that was read.
    fn reads(&mut self, frame: Frame) -> Result<Option<Frame>, ProtocolError> {
        self.stage.event(Event::Frame(frame), &mut self.flow);
        let (mut events, mut commands) = self.flow.take();
        assert!(events.len() + commands.len() <= 1);
        match (events.pop(), commands.pop()) {
            (None, None) => Ok(None),
            (Some(Event::Frame(frame)), None) => Ok(Some(frame)),
            (None, Some(Command::Refuse(error))) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    /// What is handed down of a frame that is sent.
    fn sends(&mut self, frame: Frame) -> Option<Frame> {
        self.stage.command(Command::Frame(frame), &mut self.flow);
        let (events, mut commands) = self.flow.take();
        assert!(events.is_empty() && commands.len() <= 1);
        match commands.pop() {
            None => None,
            Some(Command::Frame(frame)) => Some(frame),
            other => panic!("{other:?}"),
        }
    }
}

fn bad(context: Context, how: u8, bytes: &[u8]) {
    let opcode = if how & 32 == 0 { OpCode::Binary } else { OpCode::Text };
    let limit = if how & 64 == 0 { 1000 } else { 3 * FREE };
    let heard = cuts(bytes).map(|pieces| inflates(context, opcode, limit, &pieces));
    let [whole, ..] = &heard;
    for other in &heard {
        // How far a broken message gets before it is refused depends on its frames; what it says does not.
        assert_eq!(whole.is_ok(), other.is_ok(), "{:?}", heard.each_ref().map(|end| end.as_ref().map(Vec::len)));
        if whole.is_ok() {
            assert!(whole == other, "fragments mean nothing");
        }
    }
    if let Ok(content) = whole {
        assert!(opcode == OpCode::Binary || std::str::from_utf8(content).is_ok());
        // It was said twice. Each time four bytes more are taken as read behind its end.
        assert!(content.len() / 2 <= FREE || content.len() / 2 <= RATIO * (bytes.len() + 4));
    }
}

/// The content of a message in these fragments, the same twice: the second may refer to the first.
fn inflates(context: Context, opcode: OpCode, limit: usize, pieces: &[&[u8]]) -> Result<Vec<u8>, ProtocolError> {
    let mut alone = Alone::new(context, context, limit as u64);
    let mut content = Vec::new();
    for _ in 0..2 {
        let before = content.len();
        for (n, piece) in pieces.iter().enumerate() {
            let frame = Frame { fin: n + 1 == pieces.len(), ..Frame::continuation(piece.to_vec()) };
            let frame = if n == 0 { Frame { opcode, rsv: RSV1, ..frame } } else { frame };
            if let Some(up) = alone.reads(frame)? {
                assert_eq!(up.rsv, 0, "nobody above sees RSV1");
                content.extend_from_slice(&up.data);
            }
            assert!(content.len() - before <= limit, "{} bytes of {limit}", content.len() - before);
        }
    }
    Ok(content)
}

/// Messages of any bytes, in any fragments, compressed by one end and inflated by the other.
fn there_and_back(context: Context, mut choices: Choices<'_>) {
    let mut sender = Alone::new(context, context, 0);
    sender.stage = sender.stage.level(choices.byte() % 10);
    let mut receiver = Alone::new(context, context, 1 << 20);
    let (mut chance, mut messages) = (Chance::of(choices.0), 0);
    while !choices.is_empty() && messages < 8 {
        messages += 1;
        let length = usize::from(choices.byte()) * 4;
        let message = choices.take(length).repeat(1 + usize::from(choices.byte() % 16));
        let cut = 1 + chance.below(message.len() + 1);
        let (mut inflated, mut compressed) = (Vec::new(), 0);
        let mut pieces = message.chunks(cut).collect::<Vec<_>>();
        pieces.resize(pieces.len().max(1), b"");
        for (n, piece) in pieces.iter().enumerate() {
            let frame = Frame { fin: n + 1 == pieces.len(), ..Frame::continuation(piece.to_vec()) };
            let frame = if n == 0 { Frame { opcode: OpCode::Binary, ..frame } } else { frame };
            let Some(sent) = sender.sends(frame) else { continue };
            compressed += sent.data.len();
            // Whole messages that are not compressed pass by the receiver's stage.
            let Ok(up) = receiver.reads(sent) else { panic!("what we compress we inflate") };
            inflated.extend(up.into_iter().flat_map(|frame| frame.data));
        }
        assert!(inflated == message, "{} bytes are {}", message.len(), inflated.len());
        // What zlib says of itself for any level and window (`deflateBound`), and a flush for each fragment.
        let most = message.len() + message.len() / 8 + message.len() / 64 + 16 * (pieces.len() + 1);
        assert!(compressed <= most, "{compressed} for {}", message.len());
    }
}
