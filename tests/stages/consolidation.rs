//! Fragments (RFC 6455 §5.4).

use std::time::Instant;

use actix_sockets::stage::{Consolidation, Event, Flow, Interest, Life, Stage};
use actix_sockets::websocket::{Frame, OpCode};

use super::probe::Probe;

#[test]
fn fragments_become_one_message_of_the_first_ones_kind() {
    let mut probe = Probe::new(Consolidation::new(100));
    for (first, name) in [(Frame::text("Hel"), "Text"), (Frame::binary("Hel"), "Binary")] {
        assert_eq!(probe.reads(first.more()), [""; 0]);
        assert_eq!(probe.reads(Frame::continuation("l").more()), [""; 0]);
        assert_eq!(probe.reads(Frame::continuation("o")), [format!(r#"↑ {name} "Hello""#)]);
    }
}

#[test]
fn empty_fragments() {
    let mut probe = Probe::new(Consolidation::new(0));
    assert_eq!(probe.reads(Frame::text("").more()), [""; 0]);
    assert_eq!(probe.reads(Frame::continuation("").more()), [""; 0]);
    assert_eq!(probe.reads(Frame::continuation("")), [r#"↑ Text """#]);
}

#[test]
fn the_bits_of_the_first_fragment_are_the_messages() {
    let mut stage = Consolidation::new(100);
    let now = Instant::now();
    let mut flow = Flow::new(now, Life { last_read: now, suspended: false });
    stage.event(Event::Frame(Frame { rsv: 0b100, ..Frame::text("a").more() }), &mut flow);
    stage.event(Event::Frame(Frame::continuation("b")), &mut flow);
    let (events, _) = flow.take();
    assert!(matches!(&events[..], [Event::Frame(Frame { fin: true, rsv: 0b100, opcode: OpCode::Text, .. })]));
}

#[test]
fn control_frames_pass_between_fragments() {
    let mut probe = Probe::new(Consolidation::new(100));
    probe.reads(Frame::text("Hel").more());
    assert_eq!(probe.reads(Frame::ping("?")), [r#"↑ Ping "?""#]);
    assert_eq!(probe.reads(Frame::pong("!")), [r#"↑ Pong "!""#]);
    assert_eq!(probe.reads(Frame::continuation("lo")), [r#"↑ Text "Hello""#]);
}

#[test]
fn whole_messages_and_commands_pass() {
    let mut probe = Probe::new(Consolidation::new(4));
    assert_eq!(probe.reads(Frame::text("Hello")), [r#"↑ Text "Hello""#], "a whole frame is the codec's to judge");
    assert_eq!(probe.sends(Frame::text("Hello").more()), [r#"↓ Text "Hello" …"#]);
    assert_eq!(probe.stage.interest(), Interest::FRAGMENTS_IN);
}

#[test]
fn the_limit_is_met_by_the_fragment_that_crosses_it() {
    let mut probe = Probe::new(Consolidation::new(4));
    probe.reads(Frame::text("He").more());
    assert_eq!(probe.reads(Frame::continuation("ll").more()), [""; 0]);
    assert_eq!(probe.reads(Frame::continuation("o").more()), ["↓ Fail 1009"]);
}

#[test]
fn the_limit_is_met_by_the_first_fragment_too() {
    let mut probe = Probe::new(Consolidation::new(4));
    assert_eq!(probe.reads(Frame::text("Hello").more()), ["↓ Fail 1009"]);
}

#[test]
fn just_the_limit_is_allowed() {
    let mut probe = Probe::new(Consolidation::new(4));
    probe.reads(Frame::text("Hel").more());
    assert_eq!(probe.reads(Frame::continuation("l")), [r#"↑ Text "Hell""#]);
}
