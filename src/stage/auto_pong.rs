//! Answers pings (RFC 6455 §5.5.2).

use super::{Command, Event, Flow, Interest, Stage};
use crate::websocket::{Frame, OpCode};

/// Answers each ping with a pong of the same data; neither is seen above. Take it out of the chain and pings reach the handler, whose
/// duty the pongs are then.
///
/// While more than the soft limit waits to be written nothing is read, so that a flood of pings can make at most one read's worth of
/// pongs wait behind it.
#[derive(Clone, Copy, Debug, Default)]
pub struct AutoPong;

impl Stage for AutoPong {
    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        match event {
            Event::Frame(ping) if ping.opcode == OpCode::Ping => flow.down(Command::Frame(Frame::pong(ping.data))),
            other => flow.up(other),
        }
    }

    fn interest(&self) -> Interest {
        Interest::CONTROL_IN
    }
}
