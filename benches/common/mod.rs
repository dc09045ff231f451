//! What the benches of an echo have in common.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use actix_sockets::stage::{Chain, Closing, Command, Consolidation, Event, Flow, Pipeline, Stage};
use actix_sockets::websocket::{Codec, Frame, Role};

/// A server's websocket without its socket.
pub(crate) fn pipeline(chain: Chain) -> Pipeline {
    let chain = chain.and(Consolidation::new(8 << 20)).and(Closing::new(Role::Server, Duration::from_secs(5)));
    Pipeline::new(Codec::new(Role::Server), Box::new(|| [0; 4]), chain, Instant::now())
}

/// Echoes every message that waits.
pub(crate) fn answer(pipeline: &mut Pipeline, events: &mut VecDeque<Event>, now: Instant) {
    pipeline.swap_events(events);
    for event in events.drain(..) {
        if let Event::Frame(frame) = event {
            pipeline.command(Command::Frame(Frame::new(frame.opcode, frame.data)), now);
        }
    }
}

/// The echo as a stage.
#[derive(Debug)]
pub(crate) struct EchoStage;

impl Stage for EchoStage {
    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        match event {
            Event::Frame(frame) if frame.opcode.is_data() => flow.down(Command::Frame(Frame::new(frame.opcode, frame.data))),
            other => flow.up(other),
        }
    }
}
