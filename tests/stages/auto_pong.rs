//! Pongs (RFC 6455 §5.5.3).

use std::time::Instant;

use actix_sockets::stage::{AutoPong, Command, Event, Flow, Interest, Life, Stage};
use actix_sockets::websocket::Frame;

use super::probe::Probe;

#[test]
fn a_ping_is_answered_with_its_own_data_and_not_heard_above() {
    let mut probe = Probe::new(AutoPong);
    assert_eq!(probe.reads(Frame::ping("")), [r#"↓ Pong """#]);
    assert_eq!(probe.reads(Frame::ping("Hello")), [r#"↓ Pong "Hello""#]);
    let longest = "x".repeat(125);
    assert_eq!(probe.reads(Frame::ping(longest.clone())), [format!(r#"↓ Pong "{longest}""#)]);
}

#[test]
fn a_pong_does_not_take_over_the_pings_masking_key() {
    let ping = Frame { masking_key: Some([1, 2, 3, 4]), ..Frame::ping("Hello") };
    let now = Instant::now();
    let mut flow = Flow::new(now, Life { last_read: now, suspended: false });
    AutoPong.event(Event::Frame(ping), &mut flow);
    let (_, commands) = flow.take();
    assert!(matches!(&commands[..], [Command::Frame(pong)] if pong.masking_key.is_none()));
}

#[test]
fn all_else_passes() {
    let mut probe = Probe::new(AutoPong);
    assert_eq!(probe.reads(Frame::pong("x")), [r#"↑ Pong "x""#]);
    assert_eq!(probe.reads(Frame::text("x")), [r#"↑ Text "x""#]);
    assert_eq!(probe.sends(Frame::ping("x")), [r#"↓ Ping "x""#]);
}

#[test]
fn it_asks_for_control_frames_only() {
    assert_eq!(AutoPong.interest(), Interest::CONTROL_IN);
}
