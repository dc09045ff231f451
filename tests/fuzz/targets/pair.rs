//! A client's websocket and a server's, with a network between them that cuts and delays as the input says: what one sends the other hears, all
//! of it and in order.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use actix_sockets::stage::{Close, Command, Event, Outcome, Phase, Pipeline};
use actix_sockets::websocket::{CloseCode, Codec, Frame, OpCode, Role};
use bytes::{Bytes, BytesMut};

use super::input::Choices;
use super::session::chain;

pub(crate) fn run(input: &[u8]) {
    let mut choices = Choices(input);
    let how = choices.byte() & 1;
    let now = Instant::now();
    let mut ends = [End::new(Role::Client, how, now), End::new(Role::Server, how, now)];
    let mut time = now;
    while !choices.is_empty() {
        let step = choices.byte();
        let (who, much) = (usize::from(step >> 7), usize::from(choices.byte()));
        match step & 7 {
            0 => ends[who].sends(OpCode::Binary, choices.take(much).repeat(1 + much % 7)),
            1 => ends[who].sends(OpCode::Text, vec![b'a' + step % 26; much * 16]),
            2 | 3 => carries(&mut ends, who, much * 8, time),
            4 => {
                time += Duration::from_millis(40) * (much * much) as u32;
                for end in &mut ends {
                    end.waits(time);
                }
            }
            5 => ends[who].told(Command::Frame(Frame::ping(choices.take(much.min(125)).to_vec())), time),
            6 if much < 16 => ends[who].closes(time),
            _ => ends[who].settles(time),
        }
        ends.iter_mut().for_each(|end| end.now = time);
    }
    // The network delivers all, and nobody was slow: what was sent is heard.
    flows(&mut ends, time);
    let [client, server] = &mut ends;
    let undisturbed = client.outcome.is_none() && server.outcome.is_none() && !client.closing && !server.closing;
    for (sender, receiver) in [(&*client, &*server), (&*server, &*client)] {
        let sent: Vec<_> = sender.sent.iter().take(receiver.heard.len()).collect();
        assert!(receiver.heard.iter().eq(sent), "in order, and nothing else");
        assert!(!undisturbed || receiver.heard.len() == sender.sent.len(), "all of it");
    }
    // And they part in peace.
    if undisturbed {
        client.closes(time);
    }
    for _ in 0..20 {
        flows(&mut ends, time);
        time += Duration::from_secs(10);
        for end in &mut ends {
            end.waits(time);
        }
    }
    for end in &mut ends {
        assert_eq!(end.pipeline.phase(), Phase::Done);
        let outcome = end.outcome.as_ref().expect("it has said Closed");
        assert!(!undisturbed || (outcome.clean && outcome.code == CloseCode::NORMAL), "{outcome:?}");
    }
}

/// All that is on its way arrives.
fn flows(ends: &mut [End; 2], time: Instant) {
    for _ in 0..8 {
        for who in [0, 1] {
            ends[who].settles(time);
            carries(ends, who, usize::MAX, time);
        }
    }
}

/// Takes bytes from one end to the other.
fn carries(ends: &mut [End; 2], from: usize, bytes: usize, time: Instant) {
    let [client, server] = ends;
    let (from, to) = if from == 0 { (client, server) } else { (server, client) };
    let carried = from.pipeline.output().take(bytes);
    from.pipeline.wrote(!carried.is_empty(), time);
    if to.pipeline.wants_read() {
        to.buffer.extend_from_slice(&carried);
        loop {
            to.pipeline.receive(&mut to.buffer, time);
            to.turns();
            if !to.pipeline.is_behind() {
                break;
            }
        }
    }
    let over = from.pipeline.output().is_empty() && from.pipeline.phase() != Phase::Open;
    if over && !std::mem::replace(&mut to.eof, true) {
        to.pipeline.receive_eof(time);
        to.turns();
    }
}

/// One end, and its handler.
struct End {
    pipeline: Pipeline,
    buffer: BytesMut,
    now: Instant,
    sent: VecDeque<(OpCode, Bytes)>,
    heard: Vec<(OpCode, Bytes)>,
    outcome: Option<Outcome>,
    closing: bool,
    eof: bool,
}

impl End {
    fn new(role: Role, how: u8, now: Instant) -> Self {
        let mut key = 0u32;
        let masks = Box::new(move || {
            key = key.wrapping_mul(0x9e37_79b9).wrapping_add(0x7f4a_7c15);
            key.to_be_bytes()
        });
        let pipeline = Pipeline::new(Codec::new(role), masks, chain(role, 0, how == 1, 8 << 20), now);
        Self { pipeline, buffer: BytesMut::new(), now, sent: VecDeque::new(), heard: Vec::new(), outcome: None, closing: false, eof: false }
    }

    fn sends(&mut self, opcode: OpCode, data: Vec<u8>) {
        // What is sent behind a Close frame goes nowhere; and what nobody reads is bounded by the handler.
        if self.pipeline.has_closed() || self.pipeline.output().len() > 1 << 20 {
            return;
        }
        let data = Bytes::from(data);
        self.sent.push_back((opcode, data.clone()));
        let now = self.now;
        self.told(Command::Frame(Frame::new(opcode, data)), now);
    }

    fn told(&mut self, command: Command, now: Instant) {
        self.pipeline.command(command, now);
        self.turns();
    }

    fn closes(&mut self, now: Instant) {
        self.closing = true;
        self.told(Command::Close(Close::default()), now);
    }

    fn settles(&mut self, now: Instant) {
        self.pipeline.settle(now);
        self.turns();
    }

    fn waits(&mut self, until: Instant) {
        let mut met = 0;
        while let Some(deadline) = self.pipeline.deadline().filter(|deadline| *deadline <= until && self.pipeline.phase() != Phase::Done) {
            self.now = self.now.max(deadline);
            self.pipeline.handle_timeout(self.now);
            self.turns();
            met += 1;
            assert!(met < 1000, "deadlines without end");
        }
        self.now = until;
    }

    fn turns(&mut self) {
        while let Some(event) = self.pipeline.poll_event() {
            assert!(self.outcome.is_none(), "nothing is told behind Closed");
            match event {
                Event::Frame(frame) if frame.opcode.is_data() => self.heard.push((frame.opcode, frame.data)),
                Event::Closed(outcome) => self.outcome = Some(outcome),
                _ => {}
            }
        }
    }
}
