//! Keeps pongs from the handler.

use super::{Event, Flow, Interest, Stage};
use crate::websocket::OpCode;

/// Lets no pong up. Above [`AutoPing`](super::AutoPing), which measures them first: `HidePongs.then(AutoPing::default()).then(AutoPong)` shows
/// the handler neither pings nor pongs.
#[derive(Clone, Copy, Debug, Default)]
pub struct HidePongs;

impl Stage for HidePongs {
    fn event(&mut self, event: Event, flow: &mut Flow) {
        match event {
            Event::Frame(pong) if pong.opcode == OpCode::Pong => {}
            other => flow.up(other),
        }
    }

    fn interest(&self) -> Interest {
        Interest::CONTROL_IN
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::stage::Life;
    use crate::websocket::Frame;

    #[test]
    fn a18_pongs_end_here_and_all_else_passes() {
        let now = Instant::now();
        let mut flow = Flow::new(now, Life { last_read: now, suspended: false });
        for frame in [Frame::pong("x"), Frame::ping("y"), Frame::text("z")] {
            HidePongs.event(Event::Frame(frame), &mut flow);
        }
        let (events, commands) = flow.take();
        let frames: Vec<_> =
            events.iter().map(|event| if let Event::Frame(frame) = event { frame.opcode } else { unreachable!() }).collect();
        assert_eq!((frames, commands.len()), (vec![OpCode::Ping, OpCode::Text], 0));
    }
}
