//! Keeps pongs from the handler.

use super::{Event, Flow, Interest, Stage};
use crate::websocket::OpCode;

/// Lets no pong up. Above [`AutoPing`](super::AutoPing), which measures them first: `HidePongs.then(AutoPing::default()).then(AutoPong)` shows
/// the handler neither pings nor pongs.
#[derive(Clone, Copy, Debug, Default)]
pub struct HidePongs;

impl Stage for HidePongs {
    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        match event {
            Event::Frame(pong) if pong.opcode == OpCode::Pong => {}
            other => flow.up(other),
        }
    }

    fn interest(&self) -> Interest {
        Interest::CONTROL_IN
    }
}
