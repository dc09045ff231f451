//! A whole websocket without its socket: verdicts, deadlines, the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use actix_sockets::output::Output;
use actix_sockets::stage::{AutoPing, AutoPong, Chain, Close, Closing, Command, Flow, Interest, Masks, Pause, Phase, Pipeline, Stage};
use actix_sockets::websocket::{CloseCode, Codec, Frame, Role};
use bytes::{Bytes, BytesMut};

use super::wire::{BINARY, CLOSE, CLOSING, CONTINUATION, FIN, KEY, PING, Panics, TEXT, Wire};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);
const NOTHING: [&str; 0] = [];

// ── a verdict waits its turn ────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_close_waits_for_the_answers_to_what_came_before_it() {
    let mut server = Wire::new(Role::Server);
    let one_read = [server.peers(FIN | TEXT, "Hello"), server.peers(FIN | CLOSE, b"\x03\xe8")].concat();
    assert_eq!(server.reads(&one_read), [r#"Text "Hello""#]);
    assert_eq!(server.written(), NOTHING);
    assert!(server.pipeline.is_unsettled() && !server.pipeline.wants_read() && !server.pipeline.has_closed());
    server.sends(Frame::text("HELLO"));
    assert_eq!(server.settles(), ["Closed 1000 by the peer, clean"]);
    assert_eq!(server.written(), [r#"Text "HELLO""#, "Close 1000"]);
    assert_eq!(server.pipeline.phase(), Phase::Finishing);
}

#[test]
fn so_does_a_broken_rule() {
    let mut server = Wire::new(Role::Server);
    let one_read = [server.peers(FIN | TEXT, "Hello"), server.peers(FIN | 3, "")].concat();
    assert_eq!(server.reads(&one_read), [r#"Text "Hello""#]);
    server.sends(Frame::text("HELLO"));
    assert_eq!(server.settles(), ["Closed 1002 by us"]);
    assert_eq!(server.written(), [r#"Text "HELLO""#, "Close 1002 reserved opcode 3 (RFC 6455 §5.2)"]);
}

#[test]
fn but_no_longer_than_a_quarter_of_a_second() {
    let mut server = Wire::new(Role::Server);
    server.frame(FIN | TEXT, "Hello");
    assert_eq!(server.frame(FIN | CLOSE, b"\x03\xe8"), NOTHING);
    assert_eq!(server.waits(249 * MILLI), NOTHING);
    assert_eq!(server.waits(MILLI), ["Closed 1000 by the peer, clean"]);
    assert_eq!(server.written(), ["Close 1000"]);
    server.sends(Frame::text("too late"));
    assert_eq!(server.written(), NOTHING);
}

#[test]
fn nothing_behind_a_verdict_is_decoded() {
    let mut server = Wire::new(Role::Server);
    let one_read = [server.peers(FIN | CLOSE, b"\x03\xe8"), server.peers(FIN | TEXT, "after")].concat();
    assert_eq!(server.reads(&one_read), NOTHING);
    assert_eq!(server.frame(FIN | TEXT, "long after"), NOTHING);
    assert_eq!(server.settles(), ["Closed 1000 by the peer, clean"]);
    assert_eq!(server.frame(FIN | TEXT, "and after that"), NOTHING);
}

#[test]
fn a_fin_does_not_overtake_a_verdict() {
    for role in [Role::Server, Role::Client] {
        let mut wire = Wire::new(role);
        wire.frame(FIN | CLOSE, b"\x0b\xb8");
        assert_eq!(wire.fin_too_soon(), NOTHING);
        assert_eq!(wire.settles(), ["Closed 3000 by the peer, clean"]);
        assert_eq!(wire.pipeline.phase(), Phase::Finishing, "the echo is still to be written");
        assert_eq!(wire.written(), ["Close 3000"]);
        assert_eq!(wire.pipeline.phase(), Phase::Done);
    }
}

/// Nor the answers to what came before it.
#[test]
fn a_fin_does_not_overtake_answers() {
    let mut server = Wire::new(Role::Server);
    server.frame(FIN | TEXT, "question");
    assert_eq!(server.fin_too_soon(), NOTHING);
    server.sends(Frame::text("answer"));
    assert_eq!(server.settles(), ["Closed 1006 by the peer"]);
    assert_eq!(server.written(), [r#"Text "answer""#]);
}

#[test]
fn a_failure_of_ours_does_not_wait() {
    let mut server = Wire::new(Role::Server);
    server.frame(FIN | CLOSE, b"\x03\xe8");
    server.pipeline.fail(CloseCode::INTERNAL_ERROR, "the frame handler is gone", server.now);
    assert_eq!(server.heard(), ["Closed 1011 by us"]);
    assert_eq!(server.written(), ["Close 1011 the frame handler is gone"]);
    assert!(!server.pipeline.is_unsettled());
}

// ── deadlines ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_message_may_be_incomplete_for_a_minute() {
    for begun in ["half a header", "half a payload", "a fragment"] {
        let mut server = Wire::new(Role::Server);
        let frame = server.peers(FIN | TEXT, "Hello");
        match begun {
            "half a header" => server.reads(&frame[..1]),
            "half a payload" => server.reads(&frame[..8]),
            _ => server.frame(TEXT, "Hel"),
        };
        assert_eq!(server.waits(59 * SECOND), NOTHING, "{begun}");
        assert_eq!(server.waits(SECOND), ["Closed 1008 by us"], "{begun}");
        assert_eq!(server.written(), ["Close 1008 a message incomplete for 60s"]);
    }
}

#[test]
fn neither_a_trickle_nor_control_frames_make_the_minute_longer() {
    let mut server = Wire::new(Role::Server);
    server.frame(TEXT, "Hel");
    for _ in 0..59 {
        assert_eq!(server.waits(SECOND), NOTHING);
        server.frame(CONTINUATION, "l");
        server.frame(FIN | PING, "");
    }
    assert_eq!(server.waits(SECOND), ["Closed 1008 by us"]);
}

/// A peer that sends without pause, so that every read ends within a message, has no message that is incomplete for long.
#[test]
fn each_message_has_a_minute_of_its_own() {
    for first in [FIN | TEXT, TEXT] {
        let mut server = Wire::new(Role::Server);
        let mut message = server.peers(first, "Hel");
        if first == TEXT {
            message.extend(server.peers(FIN | CONTINUATION, "lo"));
        }
        let half = message.len() / 2;
        server.reads(&message[..half]);
        let rest_and_half = [&message[half..], &message[..half]].concat();
        for _ in 0..10 {
            assert_eq!(server.waits(40 * SECOND), NOTHING);
            assert_eq!(server.reads(&rest_and_half).len(), 1);
        }
        assert_eq!(server.waits(59 * SECOND), NOTHING);
        assert_eq!(server.waits(SECOND), ["Closed 1008 by us"]);
    }
}

#[test]
fn a_complete_message_ends_the_minute() {
    let mut server = Wire::new(Role::Server);
    server.frame(TEXT, "Hel");
    server.waits(59 * SECOND);
    assert_eq!(server.frame(FIN | CONTINUATION, "lo"), [r#"Text "Hello""#]);
    assert_eq!(server.waits(3600 * SECOND), NOTHING);
    assert_eq!(server.pipeline.deadline(), None);
}

#[test]
fn the_minute_stands_still_while_we_do_not_read() {
    let mut server = Wire::new(Role::Server);
    server.frame(TEXT, "Hel");
    server.waits(40 * SECOND);
    for _ in 0..10 {
        server.pipeline.suspend(Some(Pause::Ours), server.now);
        assert_eq!(server.waits(600 * SECOND), NOTHING);
        // It goes on with the time that it had left.
        server.pipeline.suspend(None, server.now);
        assert_eq!(server.waits(SECOND), NOTHING);
    }
    assert_eq!(server.waits(9 * SECOND), NOTHING);
    assert_eq!(server.waits(SECOND), ["Closed 1008 by us"]);
}

/// Bursts of pings whose pongs are not read, between the fragments: it is the peer that keeps us from reading, and it wins no time by it.
#[test]
fn the_minute_goes_on_while_the_peer_does_not_read() {
    let mut server = Wire::new(Role::Server);
    server.frame(TEXT, "Hel");
    for _ in 0..5 {
        server.pipeline.suspend(Some(Pause::Peers), server.now);
        assert_eq!(server.waits(10 * SECOND), NOTHING);
        server.pipeline.suspend(None, server.now);
        assert_eq!(server.waits(SECOND), NOTHING);
    }
    server.pipeline.suspend(Some(Pause::Peers), server.now);
    assert_eq!(server.waits(5 * SECOND - MILLI), NOTHING);
    assert_eq!(server.waits(MILLI), ["Closed 1008 by us"]);
}

#[test]
fn output_may_stand_still_for_half_a_minute() {
    let mut server = Wire::new(Role::Server);
    server.sends(Frame::text("Hello"));
    server.pipeline.wrote(false, server.now);
    server.waits(20 * SECOND);
    server.pipeline.wrote(true, server.now);
    server.pipeline.wrote(false, server.now);
    assert_eq!(server.waits(29 * SECOND), NOTHING, "some of it went out at second 20");
    assert_eq!(server.waits(SECOND), ["Closed 1008 by us"]);
    assert_eq!(server.pipeline.phase(), Phase::Done);
}

#[test]
fn output_that_is_all_written_does_not_stand_still() {
    let mut server = Wire::new(Role::Server);
    server.sends(Frame::text("Hello"));
    server.pipeline.wrote(false, server.now);
    server.waits(20 * SECOND);
    server.written();
    assert_eq!(server.waits(3600 * SECOND), NOTHING);
}

#[test]
fn the_end_lingers_for_the_peers_fin() {
    let mut server = Wire::new(Role::Server);
    server.frame(FIN | CLOSE, b"\x03\xe8");
    server.settles();
    server.written();
    assert_eq!(server.pipeline.phase(), Phase::Finishing);
    assert!(server.pipeline.wants_read(), "to throw away what comes, so that no reset overtakes our Close");
    server.waits(5 * SECOND - MILLI);
    assert_eq!(server.pipeline.phase(), Phase::Finishing);
    server.waits(MILLI);
    assert_eq!(server.pipeline.phase(), Phase::Done);
}

#[test]
fn the_peers_fin_ends_it_once_all_is_written() {
    let mut server = Wire::new(Role::Server);
    server.told(Command::Close(Close::default()));
    server.frame(FIN | CLOSE, b"\x03\xe8");
    assert_eq!(server.settles(), ["Closed 1000 by us, clean"]);
    assert_eq!(server.fin(), NOTHING);
    assert_eq!(server.pipeline.phase(), Phase::Finishing);
    assert_eq!(server.written(), ["Close 1000"]);
    assert_eq!(server.pipeline.phase(), Phase::Done);
}

#[test]
fn no_answer_to_our_close() {
    for role in [Role::Server, Role::Client] {
        let mut wire = Wire::new(role);
        wire.told(Command::Close(Close::default()));
        assert_eq!(wire.frame(FIN | TEXT, "still talking"), [r#"Text "still talking""#]);
        assert_eq!(wire.waits(CLOSING - MILLI), NOTHING);
        assert_eq!(wire.waits(MILLI), ["Closed 1000 by us"]);
        assert_eq!(wire.pipeline.phase(), Phase::Done);
    }
}

/// RFC 6455 §7.1.1: the server closes the TCP connection, and the client waits for that.
#[test]
fn the_client_waits_for_the_servers_fin() {
    let mut client = Wire::new(Role::Client);
    client.frame(FIN | CLOSE, b"\x03\xe8");
    assert_eq!(client.settles(), NOTHING);
    assert_eq!(client.written(), ["Close 1000"]);
    assert_eq!(client.pipeline.phase(), Phase::Open);
    assert_eq!(client.fin(), ["Closed 1000 by the peer, clean"]);
    assert_eq!(client.pipeline.phase(), Phase::Done);
}

#[test]
fn the_client_does_not_wait_for_ever() {
    let mut client = Wire::new(Role::Client);
    client.frame(FIN | CLOSE, b"\x03\xe8");
    client.settles();
    client.written();
    assert_eq!(client.waits(CLOSING), ["Closed 1000 by the peer, clean"]);
    client.waits(5 * SECOND);
    assert_eq!(client.pipeline.phase(), Phase::Done);
}

#[test]
fn a_silent_peer_is_pinged_and_given_up() {
    let mut server = Wire::with(Role::Server, AutoPing::every(20 * SECOND).body(|| "?".into()).then(AutoPong));
    assert_eq!(server.waits(20 * SECOND), NOTHING);
    assert_eq!(server.written(), [r#"Ping "?""#]);
    assert_eq!(server.frame(FIN | 10, "?")[0], "round trip 0ns");
    server.waits(20 * SECOND);
    assert_eq!(server.written(), [r#"Ping "?""#]);
    assert_eq!(server.waits(20 * SECOND), ["Closed 1011 by us"]);
    assert_eq!(server.written(), ["Close 1011 no sign of life for 40s after a ping"]);
}

#[test]
fn a_peer_that_we_do_not_read_is_not_silent() {
    let mut server = Wire::with(Role::Server, Chain::of(AutoPing::every(20 * SECOND)));
    server.pipeline.suspend(Some(Pause::Ours), server.now);
    assert_eq!(server.waits(600 * SECOND), NOTHING);
    server.written();
    server.pipeline.suspend(None, server.now);
    assert_eq!(server.waits(19 * SECOND), NOTHING);
    assert_eq!(server.waits(41 * SECOND), ["Closed 1011 by us"]);
}

#[test]
fn the_longest_durations_are_for_ever() {
    let mut server = Wire::of(Role::Server, Codec::new(Role::Server), Chain::of(Closing::new(Role::Server, Duration::MAX)));
    server.pipeline =
        std::mem::replace(&mut server.pipeline, Pipeline::new(Codec::new(Role::Server), Box::new(|| KEY), Chain::new(), server.now))
            .linger(Duration::MAX)
            .message_within(Duration::MAX)
            .stall_within(Duration::MAX);
    server.frame(TEXT, "Hel");
    server.told(Command::Close(Close::default()));
    server.pipeline.wrote(false, server.now);
    assert_eq!(server.pipeline.deadline(), None);
    server.pipeline.fail(CloseCode::NORMAL, "", server.now);
    assert_eq!(server.pipeline.deadline(), None);
    assert_eq!(server.pipeline.phase(), Phase::Finishing);
}

// ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn nothing_follows_a_close_frame() {
    for role in [Role::Server, Role::Client] {
        let mut wire = Wire::with(role, AutoPing::every(SECOND).then(AutoPong));
        wire.sends(Frame::text("before"));
        wire.sends(Frame::close(CloseCode::NORMAL, ""));
        wire.sends(Frame::text("after"));
        wire.sends(Frame::close(CloseCode::GOING_AWAY, ""));
        wire.frame(FIN | PING, "?");
        wire.waits(2 * SECOND);
        assert_eq!(wire.written(), [r#"Text "before""#, "Close 1000"]);
        assert!(wire.pipeline.has_closed());
    }
}

/// The peer is gone without a Close frame: what waits is tried, and nothing is added to it.
#[test]
fn nothing_follows_the_end_either() {
    let mut server = Wire::with(Role::Server, AutoPing::every(SECOND).then(AutoPong));
    server.sends(Frame::text("before"));
    assert_eq!(server.fin(), ["Closed 1006 by the peer"]);
    server.sends(Frame::text("after"));
    server.waits(2 * SECOND);
    assert_eq!(server.written(), [r#"Text "before""#]);
    assert_eq!(server.pipeline.phase(), Phase::Done);
}

#[test]
fn a_lost_transport_is_told_once() {
    let mut server = Wire::new(Role::Server);
    server.sends(Frame::text("never read"));
    server.pipeline.lost(server.now);
    server.pipeline.lost(server.now);
    assert_eq!(server.heard(), ["Closed 1006 by the peer"]);
    assert_eq!(server.pipeline.phase(), Phase::Done);
    assert_eq!(server.written(), NOTHING);
}

#[test]
fn a_lost_transport_with_a_verdict_waiting() {
    let mut server = Wire::new(Role::Server);
    server.frame(FIN | CLOSE, b"\x0b\xb8");
    server.pipeline.lost(server.now);
    assert_eq!(server.heard(), ["Closed 3000 by the peer, clean"]);
}

#[test]
fn a_stage_that_panics_closes_with_1011() {
    for role in [Role::Server, Role::Client] {
        let mut wire = Wire::with(role, Chain::of(Panics));
        let bytes = [wire.peers(FIN | TEXT, "Hello"), wire.peers(FIN | TEXT, "panic"), wire.peers(FIN | TEXT, "after")].concat();
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let panicked = catch_unwind(AssertUnwindSafe(|| wire.reads(&bytes))).is_err();
        std::panic::set_hook(hook);
        assert!(panicked);
        wire.pipeline.panicked(wire.now);
        assert_eq!(wire.heard(), [r#"Text "Hello""#, "Closed 1011 by us"]);
        assert_eq!(wire.written(), ["Close 1011 a stage panicked"]);
        assert_eq!(wire.frame(FIN | TEXT, "Hello"), NOTHING);
        wire.pipeline.panicked(wire.now);
        wire.pipeline.lost(wire.now);
        assert_eq!(wire.heard(), NOTHING, "`Closed` is the last event");
    }
}

#[test]
fn a_stage_that_panics_afterwards_changes_nothing() {
    let mut server = Wire::new(Role::Server);
    server.frame(FIN | CLOSE, b"\x03\xe8");
    assert_eq!(server.settles(), ["Closed 1000 by the peer, clean"]);
    server.pipeline.panicked(server.now);
    assert_eq!(server.heard(), NOTHING);
    assert_eq!(server.written(), ["Close 1000"]);
}

/// Fails before anything has happened.
#[derive(Debug)]
struct Never;

impl Stage for Never {
    fn started(&mut self, flow: &mut Flow<'_>) {
        flow.down(Command::Fail(CloseCode::TRY_AGAIN_LATER, "not today".into()));
    }
}

#[test]
fn a_stage_may_fail_at_once_and_that_ends_too() {
    let mut server = Wire::with(Role::Server, Chain::of(Never));
    assert_eq!(server.heard(), ["Closed 1013 by us"]);
    assert_eq!(server.written(), ["Close 1013 not today"]);
    server.waits(5 * SECOND);
    assert_eq!(server.pipeline.phase(), Phase::Done);
}

#[test]
fn without_a_closing_stage_a_close_is_the_end_of_the_transport() {
    for command in [Command::Close(Close::default()), Command::Fail(CloseCode::NORMAL, "".into()), Command::Finish] {
        let mut server = Wire::of(Role::Server, Codec::new(Role::Server), Chain::new());
        server.told(command);
        assert_eq!(server.pipeline.phase(), Phase::Finishing);
    }
    let mut server = Wire::of(Role::Server, Codec::new(Role::Server), Chain::new());
    server.told(Command::Abort);
    assert_eq!(server.pipeline.phase(), Phase::Done);
}

// ── bytes ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn limits_are_judged_on_the_header() {
    let codec = Codec::new(Role::Server).frame_size_limit(1024).message_size_limit(1024);
    let chain = || Chain::of(Closing::new(Role::Server, CLOSING));
    let mut server = Wire::of(Role::Server, codec.clone(), chain());
    assert_eq!(server.frame(FIN | BINARY, vec![0; 1024]).len(), 1);
    let frame = server.peers(FIN | BINARY, vec![0; 1025]);
    assert_eq!(server.reads(&frame[..4]), NOTHING);
    assert!(server.pipeline.is_unsettled(), "the length is known");
    assert_eq!(server.settles(), ["Closed 1009 by us"]);

    let mut server = Wire::of(Role::Server, codec, chain());
    server.frame(BINARY, vec![0; 257]);
    server.frame(CONTINUATION, vec![0; 256]);
    server.frame(CONTINUATION, vec![0; 256]);
    let last = server.peers(FIN | CONTINUATION, vec![0; 256]);
    server.reads(&last[..4]);
    assert_eq!(server.settles(), ["Closed 1009 by us"], "the seed's 257 and three times 256");
}

#[test]
fn a_hint_how_much_to_read() {
    let mut server = Wire::new(Role::Server);
    let frame = server.peers(FIN | BINARY, vec![0; 100_000]);
    server.reads(&frame[..14]);
    assert_eq!(server.pipeline.missing(0), 100_000);
    server.told(Command::Fail(CloseCode::NORMAL, "".into()));
    assert_eq!(server.pipeline.missing(0), 0, "there is nothing more to be read");
}

#[test]
fn what_http_has_not_written_comes_first() {
    let mut server = Wire::new(Role::Server);
    let mut head = Output::new();
    head.put(b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
    server.pipeline.take_over(head);
    server.sends(Frame::text("Hello"));
    assert_eq!(server.bytes(), b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05Hello");
}

#[test]
fn a_frame_that_may_not_be_sent_is_not_and_the_rest_is() {
    let mut server = Wire::new(Role::Server);
    server.sends(Frame::ping(vec![b'x'; 126]));
    server.sends(Frame { rsv: 0b100, ..Frame::text("bits") });
    server.sends(Frame::ping("").more());
    server.sends(Frame::text("Hello"));
    assert_eq!(server.written(), [r#"Text "Hello""#]);
}

// ── masking-keys ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A pipeline whose masking-keys are counted.
fn counted(role: Role) -> Pipeline {
    let mut count = 0u8;
    let masks: Masks = Box::new(move || {
        count += 1;
        [count; 4]
    });
    let chain = AutoPong.then(Closing::new(role, CLOSING));
    Pipeline::new(Codec::new(role), masks, chain, Instant::now())
}

/// RFC 6455 §5.3: a fresh key for each frame, also for the library's own pongs and closes (D4).
#[test]
fn every_frame_of_a_client_has_a_key_of_its_own() {
    let mut client = counted(Role::Client);
    let now = Instant::now();
    client.command(Command::Frame(Frame::text("")), now);
    client.receive(&mut BytesMut::from(&b"\x89\x00"[..]), now);
    client.command(Command::Close(Close::new(CloseCode::NO_STATUS, "")), now);
    assert_eq!(client.output().take(18), b"\x81\x80\x01\x01\x01\x01\x8a\x80\x02\x02\x02\x02\x88\x80\x03\x03\x03\x03");
}

#[test]
fn a_frames_own_key_is_used() {
    let mut client = counted(Role::Client);
    let now = Instant::now();
    client.command(Command::Frame(Frame { masking_key: Some(KEY), ..Frame::text("Hello") }), now);
    assert_eq!(client.output().take(11), b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "RFC 6455 §5.7");
    client.command(Command::Frame(Frame::text("")), now);
    assert_eq!(client.output().take(6), b"\x81\x80\x01\x01\x01\x01", "no key was drawn for it");
}

#[test]
fn a_server_draws_no_keys() {
    let masks: Masks = Box::new(|| panic!("a server does not mask"));
    let now = Instant::now();
    let mut server: Pipeline = Pipeline::new(Codec::new(Role::Server), masks, Chain::new(), now);
    server.command(Command::Frame(Frame { masking_key: Some(KEY), ..Frame::text("Hello") }), now);
    server.command(Command::Frame(Frame::binary(Bytes::from(vec![0; 100_000]))), now);
    assert_eq!(server.output().take(7), b"\x81\x05Hello");
}

#[test]
fn what_the_stages_want_is_known() {
    let server = Wire::with(Role::Server, Chain::of(AutoPong));
    assert!(server.pipeline.wants(Interest::CONTROL_IN) && !server.pipeline.wants(Interest::DATA_OUT));
}

/// Says that it is over, by itself.
#[derive(Debug)]
struct Over;

impl Stage for Over {
    fn interest(&self) -> actix_sockets::stage::Interest {
        actix_sockets::stage::Interest::CONTROL_IN
    }

    fn event(&mut self, event: actix_sockets::stage::Event, flow: &mut Flow<'_>) {
        flow.up(event);
        flow.up(actix_sockets::stage::Event::Closed(actix_sockets::stage::Outcome {
            code: CloseCode::NORMAL,
            reason: "".into(),
            by: actix_sockets::stage::By::Us,
            clean: true,
        }));
    }
}

#[test]
fn nothing_comes_behind_closed_whoever_says_it() {
    let mut server = Wire::with(Role::Server, Chain::of(Over));
    server.frame(FIN | 9, b"");
    let mut bare = Wire::of(Role::Server, actix_sockets::websocket::Codec::new(Role::Server), Chain::of(Over));
    bare.frame(FIN | 9, b"");
    assert_eq!(bare.frame(FIN | TEXT, "late"), NOTHING);
    assert_eq!(server.frame(FIN | TEXT, "late"), NOTHING);
}
