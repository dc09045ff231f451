//! T25: control frames that a peer sends without end. What they cost is bounded, by the pure part alone.

use actix_sockets::stage::{AutoPing, AutoPong, Closing, Consolidation, Stage};
use actix_sockets::websocket::{Codec, Frame, Role};

use super::wire::{BINARY, CLOSING, CONTINUATION, FIN, PING, PONG, TEXT, Wire};

const NOTHING: [&str; 0] = [];
const SOFT: usize = 64 << 10;

/// A server that answers pings, with the soft limit that a websocket has.
fn server() -> Wire {
    let chain = AutoPing::default().then(AutoPong).and(Consolidation::new(8 << 20)).and(Closing::new(Role::Server, CLOSING));
    let mut wire = Wire::of(Role::Server, Codec::new(Role::Server), chain);
    wire.adjust(|pipeline| pipeline.pongs_within(SOFT));
    wire
}

#[test]
fn t25_while_output_flows_every_ping_has_its_pong() {
    let mut server = server();
    for n in 0..100_000_u32 {
        assert_eq!(server.frame(FIN | PING, n.to_be_bytes()), NOTHING);
        if n % 1000 == 999 {
            assert_eq!(server.bytes().len(), 1000 * 6, "each of 4 bytes, with a header of 2");
        }
    }
}

#[test]
fn t25_while_it_is_blocked_only_the_newest_unanswered_is_kept() {
    let mut server = server();
    server.sends(Frame::binary(vec![0; SOFT + 1]));
    let before = server.pipeline.output().len();
    for n in 0..100_000 {
        server.frame(FIN | PING, format!("{n}"));
    }
    let waiting = server.pipeline.output().len();
    eprintln!("limit {before}, {waiting} bytes wait behind 100 000 pings");
    assert_eq!(waiting, before);
    // Released by the write, once, behind what was blocked.
    server.bytes();
    assert_eq!(server.written(), [r#"Pong "99999""#]);
    assert_eq!(server.written(), NOTHING);
    server.frame(FIN | PING, "flows again");
    assert_eq!(server.written(), [r#"Pong "flows again""#]);
}

/// A flood in one read: the pongs stop at the soft limit and one, the last ping is answered.
#[test]
fn t25_the_pongs_of_one_read_are_bounded() {
    let mut server = server();
    let flood: Vec<u8> = (0..100_000).flat_map(|n| server.peers(FIN | PING, format!("{n:06}"))).collect();
    assert_eq!(server.reads(&flood), NOTHING);
    let waiting = server.pipeline.output().len();
    eprintln!("limit {}, {waiting} bytes wait behind {} bytes of pings", SOFT + 8, flood.len());
    assert!(waiting <= SOFT + 8, "{waiting}");
    assert!(server.written().len() > SOFT / 8 - 2);
    assert_eq!(server.written(), [r#"Pong "099999""#]);
}

/// What a handler says is its own, and no answer.
#[test]
fn t25_a_handlers_own_pongs_are_not_kept_back() {
    let mut server = server();
    server.sends(Frame::binary(vec![0; SOFT + 1]));
    server.sends(Frame::pong("one"));
    server.sends(Frame::pong("two"));
    assert_eq!(server.written()[1..], [r#"Pong "one""#, r#"Pong "two""#]);
}

/// Unsolicited pongs, and pongs with a body that no ping had, cost nothing and say nothing but that the peer lives.
#[test]
fn t25_unsolicited_pongs_and_pongs_of_unknown_body_cost_nothing() {
    let mut server = server();
    for n in 0..100_000 {
        let heard = server.frame(FIN | PONG, format!("unknown {n}"));
        assert!(heard.iter().all(|line| line.starts_with("Pong ")), "{heard:?}");
        assert_eq!(server.pipeline.output().len(), 0);
    }
    assert!(!server.pipeline.has_closed());
}

/// Control frames between fragments, more of them than fragments: the message is whole, and each ping is answered.
#[test]
fn t25_control_frames_between_fragments() {
    let mut server = server();
    server.frame(BINARY, "a");
    for _ in 0..1000 {
        assert_eq!(server.frame(FIN | PING, "?"), NOTHING);
        server.frame(FIN | PONG, "!");
        server.frame(CONTINUATION, "a");
    }
    assert_eq!(server.written().len(), 1000);
    let heard = server.frame(FIN | CONTINUATION, "z");
    assert_eq!(heard.len(), 1);
    server.frame(FIN | TEXT, "next");
}
