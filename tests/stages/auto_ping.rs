//! Pings, round-trip times, and the end of a silent peer (RFC 6455 §5.5.2, §5.5.3).

use std::time::{Duration, Instant};

use actix_sockets::stage::{AutoPing, Command, Flow, Life, Stage};
use actix_sockets::websocket::{CloseCode, Frame};
use bytes::Bytes;

use super::probe::Probe;

const SECOND: Duration = Duration::from_secs(1);

/// Pings are called a, b, c …
fn letters() -> impl FnMut() -> Bytes {
    let mut letters = b'a'..;
    move || Bytes::from(vec![letters.next().unwrap()])
}

fn every_ten() -> AutoPing {
    AutoPing::every(10 * SECOND).body(letters())
}

#[test]
fn the_defaults_are_twenty_seconds() {
    let mut probe = Probe::new(AutoPing::default());
    assert_eq!(probe.waits(19 * SECOND), [""; 0]);
    assert_eq!(probe.waits(SECOND), [r#"20 ↓ Ping "\x00\x00\x00\x00\x00\x00\x00\x01""#]);
    assert_eq!(probe.waits(19 * SECOND), [""; 0]);
    assert_eq!(probe.waits(SECOND), ["40 ↓ Fail 1011"]);
    assert_eq!(probe.waits(3600 * SECOND), [""; 0], "it has said its last word");
}

/// Both would be 1011 at once.
#[test]
fn a_time_of_zero_is_none() {
    let mut probe = Probe::new(AutoPing::every(Duration::ZERO));
    assert_eq!(probe.waits(3600 * SECOND), [""; 0]);
    let mut probe = Probe::new(every_ten().within(Duration::ZERO));
    assert_eq!(probe.waits(20 * SECOND), [r#"10 ↓ Ping "a""#, r#"20 ↓ Ping "b""#]);
}

#[test]
fn an_hour_of_pings_that_are_answered() {
    let mut probe = Probe::new(AutoPing::default());
    for at in (20..=3600).step_by(20) {
        let pinged = probe.waits(20 * SECOND);
        assert_eq!(pinged.len(), 1);
        assert!(pinged[0].starts_with(&format!("{at} ↓ Ping")), "{pinged:?}");
        probe.byte_is_read();
    }
}

#[test]
fn a_pong_tells_the_round_trip_time_and_is_heard_above() {
    let mut probe = Probe::new(every_ten());
    assert_eq!(probe.waits(10 * SECOND), [r#"10 ↓ Ping "a""#]);
    probe.waits(SECOND / 4);
    assert_eq!(probe.reads(Frame::pong("a")), ["↑ round trip 250ms", r#"↑ Pong "a""#]);
    assert_eq!(probe.reads(Frame::pong("a")), [r#"↑ Pong "a""#], "once");
}

#[test]
fn unsolicited_pongs_pass() {
    let mut probe = Probe::new(every_ten());
    assert_eq!(probe.reads(Frame::pong("")), [r#"↑ Pong """#]);
    probe.waits(10 * SECOND);
    assert_eq!(probe.reads(Frame::pong("b")), [r#"↑ Pong "b""#]);
}

/// RFC 6455 §5.5.3: a pong may answer the newest ping only.
#[test]
fn a_pong_settles_the_pings_before_it() {
    let mut probe = Probe::new(every_ten());
    assert_eq!(probe.sends(Frame::ping("1")), [r#"↓ Ping "1""#]);
    probe.waits(SECOND);
    assert_eq!(probe.sends(Frame::ping("2")), [r#"↓ Ping "2""#]);
    probe.waits(SECOND);
    assert_eq!(probe.reads(Frame::pong("2")), ["↑ round trip 1s", r#"↑ Pong "2""#]);
    assert_eq!(probe.reads(Frame::pong("1")), [r#"↑ Pong "1""#], "forgotten");
}

#[test]
fn the_handlers_own_pings_are_measured() {
    let mut probe = Probe::new(AutoPing::every(Duration::MAX));
    assert_eq!(probe.sends(Frame::ping("mine")), [r#"↓ Ping "mine""#]);
    assert_eq!(probe.waits(3 * SECOND), [""; 0], "and nothing else is ever sent");
    assert_eq!(probe.reads(Frame::pong("mine")), ["↑ round trip 3s", r#"↑ Pong "mine""#]);
}

#[test]
fn sixteen_are_remembered_or_as_many_as_wanted() {
    for (stage, memory) in [(every_ten(), 16), (every_ten().memory(3), 3), (every_ten().memory(1), 1), (every_ten().memory(0), 0)] {
        let mut probe = Probe::new(stage);
        for ping in 0..20u8 {
            probe.sends(Frame::ping(vec![ping]));
        }
        let measured = |probe: &mut Probe<AutoPing>, ping: u8| probe.reads(Frame::pong(vec![ping])).len() == 2;
        if memory < 20 && memory > 0 {
            assert!(!measured(&mut probe, 19 - memory), "the oldest is forgotten first");
            assert!(measured(&mut probe, 20 - memory));
        }
        assert_eq!(measured(&mut probe, 19), memory > 1, "the newest, unless it was the one above");
    }
}

#[test]
fn any_byte_is_life() {
    let mut probe = Probe::new(every_ten());
    assert_eq!(probe.waits(10 * SECOND), [r#"10 ↓ Ping "a""#]);
    // Half a frame, no pong.
    probe.waits(SECOND);
    probe.byte_is_read();
    assert_eq!(probe.waits(9 * SECOND), [r#"20 ↓ Ping "b""#]);
    assert_eq!(probe.waits(10 * SECOND), ["30 ↓ Fail 1011"], "silent since second 11");
}

/// Over loopback a pong takes less than a timer is late.
#[test]
fn a_prompt_pong_is_life_also_when_the_timer_is_late() {
    let mut probe = Probe::new(every_ten());
    for ping in ["a", "b", "c"] {
        assert_eq!(probe.oversleeps(10 * SECOND), [format!("↓ Ping {ping:?}")]);
        probe.oversleeps(Duration::from_micros(50));
        assert_eq!(probe.reads(Frame::pong(ping)).len(), 2);
        assert_eq!(probe.oversleeps(Duration::from_millis(3)), [""; 0]);
    }
}

#[test]
fn silence_before_the_ping_does_not_count() {
    let mut probe = Probe::new(AutoPing::every(60 * SECOND).within(SECOND).body(letters()));
    assert_eq!(probe.waits(60 * SECOND + SECOND / 2), [r#"60 ↓ Ping "a""#]);
    assert_eq!(probe.reads(Frame::pong("a")), ["↑ round trip 500ms", r#"↑ Pong "a""#]);
    assert_eq!(probe.waits(59 * SECOND), [""; 0]);
}

#[test]
fn the_deadline_may_be_longer_than_the_interval() {
    let mut probe = Probe::new(AutoPing::every(SECOND).within(3 * SECOND + SECOND / 2).body(letters()));
    assert_eq!(probe.waits(4 * SECOND), [r#"1 ↓ Ping "a""#, r#"2 ↓ Ping "b""#, r#"3 ↓ Ping "c""#, r#"4 ↓ Ping "d""#]);
    assert_eq!(probe.waits(SECOND), ["4.5 ↓ Fail 1011"], "3.5 s after the first ping");
}

/// While we do not read, silence is not the peer's.
#[test]
fn the_deadline_stands_still_while_reading_is_suspended() {
    let mut probe = Probe::new(every_ten());
    probe.waits(10 * SECOND);
    probe.life.suspended = true;
    let pings = probe.waits(60 * SECOND);
    assert!(pings.iter().all(|line| line.contains("Ping")), "{pings:?}");
    assert_eq!(pings.len(), 6, "pings go on");
    // Reading is taken up again: from here on it counts.
    probe.life.suspended = false;
    probe.byte_is_read();
    let last = probe.waits(60 * SECOND);
    assert_eq!(last.last().unwrap(), "90 ↓ Fail 1011", "{last:?}");
}

/// The seed's way: measure, and let a silent peer be.
#[test]
fn measuring_only() {
    let mut probe = Probe::new(every_ten().within(Duration::MAX));
    let pings = probe.waits(100 * SECOND);
    assert_eq!(pings.len(), 10);
    assert!(pings.iter().all(|line| line.contains("Ping")));
}

#[test]
fn a_body_that_is_too_long_is_cut() {
    let mut probe = Probe::new(AutoPing::every(SECOND).body(|| Bytes::from_static(&[b'x'; 200])));
    assert_eq!(probe.waits(SECOND), [format!(r#"1 ↓ Ping "{}""#, "x".repeat(125))]);
    let measured = probe.reads(Frame::pong("x".repeat(125)));
    assert_eq!(measured[0], "↑ round trip 0ns");
}

/// A flow at this time, of a peer that was last heard then.
fn flow_at(now: Instant, last_read: Instant) -> Flow<'static> {
    Flow::new(now, Life { last_read, suspended: false })
}

/// A peer that answers at once and then is silent is alive: the clock may ring any time after the deadline.
#[test]
fn an_answer_is_life_however_late_the_clock_rings() {
    let (start, second) = (Instant::now(), Duration::from_secs(1));
    let mut stage = AutoPing::every(second);
    stage.started(&mut flow_at(start, start));
    let mut ping = start;
    for _ in 0..3 {
        ping += second + Duration::from_millis(20);
        stage.timeout(&mut flow_at(ping, ping - second));
        let mut flow = flow_at(ping + second + Duration::from_millis(19), ping + Duration::from_millis(1));
        stage.timeout(&mut flow);
        let (_, said) = flow.take();
        assert!(!said.iter().any(|command| matches!(command, Command::Fail(..))), "{said:?}");
        ping = flow.now();
    }
    // And silence is death.
    let mut flow = flow_at(ping + second, ping - Duration::from_millis(1));
    stage.timeout(&mut flow);
    assert!(matches!(flow.take().1[..], [Command::Fail(CloseCode::INTERNAL_ERROR, _)]));
}
