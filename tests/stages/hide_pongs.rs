//! `HidePongs`: the seed's filter.

use std::time::Instant;

use actix_sockets::stage::{Event, Flow, HidePongs, Life, Stage};
use actix_sockets::websocket::{Frame, OpCode};

#[test]
fn a18_pongs_end_here_and_all_else_passes() {
    let now = Instant::now();
    let mut flow = Flow::new(now, Life { last_read: now, suspended: false });
    for frame in [Frame::pong("x"), Frame::ping("y"), Frame::text("z")] {
        HidePongs.event(Event::Frame(frame), &mut flow);
    }
    let (events, commands) = flow.take();
    let frames: Vec<_> = events.iter().map(|event| if let Event::Frame(frame) = event { frame.opcode } else { unreachable!() }).collect();
    assert_eq!((frames, commands.len()), (vec![OpCode::Ping, OpCode::Text], 0));
}
