//! A whole pipeline between a handler and a peer. The peer writes and reads raw bytes, by its own means.

use std::time::{Duration, Instant};

use actix_sockets::stage::{Chain, Closing, Command, Consolidation, Event, Phase, Pipeline, Stage};
use actix_sockets::websocket::{Codec, Frame, Role};
use bytes::BytesMut;

use super::probe::event_line;

/// The masking-key of everything that is masked here, on either side.
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) const CLOSING: Duration = Duration::from_secs(5);

/// A pipeline, and a clock.
pub(crate) struct Wire {
    pub(crate) pipeline: Pipeline,
    role: Role,
    input: BytesMut,
    pub(crate) now: Instant,
}

impl Wire {
    /// Settings of the pipeline that have their own methods.
    pub(crate) fn adjust(&mut self, adjust: impl FnOnce(Pipeline) -> Pipeline) {
        let spare = Pipeline::new(Codec::new(self.role), Box::new(|| KEY), Chain::new(), self.now);
        self.pipeline = adjust(std::mem::replace(&mut self.pipeline, spare));
    }

    /// Of a server, or a client, with what every websocket has.
    pub(crate) fn new(role: Role) -> Self {
        Self::with(role, Chain::new())
    }

    /// With stages above that.
    pub(crate) fn with(role: Role, stages: Chain) -> Self {
        let chain = stages.and(Consolidation::new(8 << 20)).and(Closing::new(role, CLOSING));
        Self::of(role, Codec::new(role), chain)
    }

    pub(crate) fn of(role: Role, codec: Codec, chain: Chain) -> Self {
        let now = Instant::now();
        Self { pipeline: Pipeline::new(codec, Box::new(|| KEY), chain, now), role, input: BytesMut::new(), now }
    }

    /// The peer's bytes arrive in one read. Gives what the handler hears.
    pub(crate) fn reads(&mut self, bytes: &[u8]) -> Vec<String> {
        self.input.extend_from_slice(bytes);
        self.pipeline.receive(&mut self.input, self.now);
        self.heard()
    }

    /// One frame of the peer's arrives.
    pub(crate) fn frame(&mut self, first: u8, payload: impl AsRef<[u8]>) -> Vec<String> {
        let bytes = self.peers(first, payload);
        self.reads(&bytes)
    }

    /// A frame as this peer writes it.
    pub(crate) fn peers(&self, first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
        frame(first, if self.role == Role::Server { Some(KEY) } else { None }, payload.as_ref())
    }

    /// The handler sends a frame.
    pub(crate) fn sends(&mut self, frame: Frame) {
        self.told(Command::Frame(frame));
    }

    pub(crate) fn told(&mut self, command: Command) {
        self.pipeline.command(command, self.now);
    }

    /// The peer's FIN, when everything before it has been answered.
    pub(crate) fn fin(&mut self) -> Vec<String> {
        self.fin_too_soon();
        self.settles()
    }

    /// The peer's FIN, while something before it is in hand.
    pub(crate) fn fin_too_soon(&mut self) -> Vec<String> {
        self.pipeline.receive_eof(self.now);
        self.heard()
    }

    /// Nobody has anything in hand.
    pub(crate) fn settles(&mut self) -> Vec<String> {
        self.pipeline.settle(self.now);
        self.heard()
    }

    /// Time passes, and each deadline is met when it comes.
    pub(crate) fn waits(&mut self, how_long: Duration) -> Vec<String> {
        let until = self.now + how_long;
        let mut heard = Vec::new();
        while let Some(deadline) = self.pipeline.deadline().filter(|deadline| *deadline <= until) {
            if self.pipeline.phase() == Phase::Done {
                break;
            }
            self.now = self.now.max(deadline);
            self.pipeline.handle_timeout(self.now);
            heard.extend(self.heard());
        }
        self.now = until;
        heard
    }

    /// What the handler hears.
    pub(crate) fn heard(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.pipeline.poll_event()).map(|event: Event| event_line(&event)).collect()
    }

    /// All that waits is written to the socket; here are the bytes.
    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !self.pipeline.output().is_empty() {
            let front = self.pipeline.output().front().to_vec();
            self.pipeline.output().advance(front.len());
            bytes.extend(front);
        }
        self.pipeline.wrote(true, self.now);
        bytes
    }

    /// All that waits is written; here is what the peer reads.
    pub(crate) fn written(&mut self) -> Vec<String> {
        let bytes = self.bytes();
        frames(&bytes, self.role)
    }
}

pub(crate) const FIN: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// A frame, byte by byte (RFC 6455 §5.2).
pub(crate) fn frame(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mask = if key.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(mask | length as u8),
        length @ 126..=0xffff => {
            bytes.push(mask | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(mask | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(key.iter().flatten());
    let key = key.unwrap_or_default();
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]));
    bytes
}

/// Reads what `role` has written, frame by frame; masked or not as the role must.
fn frames(mut bytes: &[u8], role: Role) -> Vec<String> {
    let mut read = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert_eq!(second & 0x80 != 0, role == Role::Client, "a client masks, a server does not (RFC 6455 §5.1)");
        let (length, rest) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().unwrap()) as usize, &rest[8..]),
            length => (usize::from(length), rest),
        };
        let (key, rest) = if role == Role::Client { (<[u8; 4]>::try_from(&rest[..4]).unwrap(), &rest[4..]) } else { ([0; 4], rest) };
        let payload: Vec<u8> = rest[..length].iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]).collect();
        let more = if first & FIN == 0 { " …" } else { "" };
        read.push(match (first & 0x0f, &payload[..]) {
            (CLOSE, []) => "Close".into(),
            (CLOSE, [high, low, reason @ ..]) => {
                let code = u16::from_be_bytes([*high, *low]);
                format!("Close {code} {}", String::from_utf8_lossy(reason)).trim_end().to_owned()
            }
            (opcode, payload) => {
                let name = match opcode {
                    CONTINUATION => "Continuation",
                    TEXT => "Text",
                    BINARY => "Binary",
                    PING => "Ping",
                    PONG => "Pong",
                    _ => panic!("opcode {opcode} was written"),
                };
                format!("{name} \"{}\"{more}", payload.escape_ascii())
            }
        });
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty(), "half a frame was written");
    read
}

/// A stage that panics when it sees a text that says so.
#[derive(Debug)]
pub(crate) struct Panics;

impl Stage for Panics {
    fn event(&mut self, event: Event, flow: &mut actix_sockets::stage::Flow<'_>) {
        assert!(!matches!(&event, Event::Frame(frame) if frame.as_text() == Some("panic")), "as it was told");
        flow.up(event);
    }
}
