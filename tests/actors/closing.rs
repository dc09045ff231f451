//! The closing handshake over TCP (T26, A21, A43).

use std::time::{Duration, Instant};

use actix_sockets::stage::By;
use actix_sockets::websocket::CloseCode;
use actix_sockets::{Close, Frame};

use crate::peer::{binary, close, raw, text};
use crate::site::{Kind, with, with_each_echo, with_each_handler};

#[test]
fn t26_we_close_and_the_peer_answers() {
    with_each_handler(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        site.upgraded().do_send(Close::new(CloseCode(4000), "enough"));
        peer.hears(close(4000, "enough")).says(close(4000, ""));
        // The server closes TCP first, and at once.
        peer.hears_fin();
        let closed = site.closed();
        assert_eq!((closed.code.0, &*closed.reason, closed.by, closed.clean), (4000, "enough", By::Us, true));
    });
}

#[test]
fn t26_simultaneous_close() {
    with_each_handler(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        let socket = site.upgraded();
        socket.do_send(Close::new(CloseCode(4001), ""));
        peer.says(close(4002, ""));
        // Whichever was first; there is one Close from us, and the end.
        let code = u16::from_be_bytes(peer.next().payload[..2].try_into().unwrap());
        assert!([4001, 4002].contains(&code), "{code}");
        peer.hears_fin();
        let closed = site.closed();
        assert_eq!((closed.code.0, closed.clean), (code, true));
    });
}

#[test]
fn t26_no_answer_to_our_close() {
    with_each_handler(|plan| {
        let site = plan.websocket(|settings| settings.closing_timeout(Duration::from_millis(300))).up();
        let mut peer = site.peer();
        let began = Instant::now();
        site.upgraded().do_send(Close::default());
        peer.hears(close(1000, ""));
        let closed = site.closed();
        let waited = began.elapsed().as_millis();
        eprintln!("t26: limit 300 ms, no answer was waited for {waited} ms");
        assert!((290..2000).contains(&waited), "it waited for {waited} ms");
        assert_eq!((closed.code.0, closed.by, closed.clean), (1000, By::Us, false));
        peer.hears_the_end();
    });
}

#[test]
fn t26_rst_in_place_of_an_answer() {
    with_each_handler(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        site.upgraded().do_send(Close::default());
        peer.hears(close(1000, ""));
        peer.resets();
        assert!(!site.closed().clean);
    });
}

#[test]
fn t26_data_after_close_is_not_heard() {
    with_each_handler(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        peer.says_all(&[close(1000, ""), text("behind"), raw(0xf1, "and garbage")]);
        peer.hears(close(1000, ""));
        peer.hears_fin();
        site.upgraded();
        assert!(site.closed().clean);
        site.hears_no_more_for(Duration::from_millis(30));
    });
}

#[test]
fn t26_close_flood() {
    with_each_echo(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        peer.says_all(&vec![close(1000, "again"); 1000]);
        peer.hears(close(1000, ""));
        peer.hears_fin();
        println!("t26: limit 1 Close, 1 in answer to 1000");
        site.closed();
        site.hears_no_more_for(Duration::from_millis(30));
    });
}

/// A21: the seed's way, a Close frame and then `Close`, is one Close on the wire; so is the frame alone, and `Close` alone.
#[test]
fn a21_every_way_to_close_is_one_close_frame() {
    with_each_handler(|plan| {
        for way in 0..3 {
            let site = plan
                .clone()
                .on_upgraded(move |upgraded, _| {
                    if way != 2 {
                        upgraded.sender.do_send(Frame::close(CloseCode::NORMAL, "bye"));
                    }
                    if way != 1 {
                        upgraded.sender.do_send(Close::new(CloseCode::NORMAL, "bye"));
                    }
                })
                .up();
            let mut peer = site.peer();
            peer.hears(close(1000, "bye")).says(close(1000, ""));
            peer.hears_fin();
            let closed = site.closed();
            assert_eq!((closed.by, closed.clean), (By::Us, true));
        }
    });
}

#[test]
fn a43_a_long_reason_is_cut_on_a_characters_border() {
    with_each_handler(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        site.upgraded().do_send(Close::new(CloseCode::NORMAL, "ä".repeat(100)));
        assert_eq!(peer.hears_close(1000), "ä".repeat(61));
    });
}

#[test]
fn t26_a_close_that_may_not_be_sent_closes_all_the_same() {
    with(Kind::Fed, |plan| {
        let site = plan.websocket(|settings| settings.closing_timeout(Duration::from_millis(300))).up();
        let mut peer = site.peer();
        site.upgraded().do_send(Close::new(CloseCode::NO_STATUS, ""));
        peer.hears(raw(0x88, "")).says(raw(0x88, ""));
        peer.hears_fin();
        // 1006 may not be on the wire (RFC 6455 §7.4.1).
        let mut peer = site.peer();
        site.closed();
        site.upgraded().do_send(Close::new(CloseCode::ABNORMAL, ""));
        peer.hears_the_end();
        site.closed();
    });
}

/// No reset overtakes our Close on its way to a peer that is still writing.
#[test]
fn a_failures_close_is_readable_by_a_peer_that_keeps_writing() {
    with_each_echo(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        peer.says(raw(0xf1, "bad"));
        let more = peer.encoded(&[binary(vec![7; 1 << 20])]);
        peer.says_bytes(&more);
        std::thread::sleep(Duration::from_millis(50));
        peer.says_bytes(&more);
        peer.hears_close(1002);
        peer.hears_fin();
    });
}

/// And it does not keep the connection open for ever.
#[test]
fn a_failed_connection_ends_though_the_peer_never_does() {
    with(Kind::Fed, |plan| {
        let site = plan.websocket(|settings| settings.closing_timeout(Duration::from_millis(300))).up();
        let mut peer = site.peer();
        peer.says(raw(0xf1, "bad")).hears_close(1002);
        let until = Instant::now() + crate::peer::PATIENCE;
        let socket = site.upgraded();
        while socket.connected() {
            assert!(Instant::now() < until, "it never ends");
            let _ = peer.tries_to_say(b"more", Duration::from_millis(10));
            std::thread::sleep(Duration::from_millis(5));
        }
    });
}

/// RFC 6455 §5.4: an incomplete message has its time.
#[test]
fn t23_an_incomplete_message_times_out_with_1008() {
    with_each_echo(|plan| {
        let site = plan.websocket(|settings| settings.message_timeout(Duration::from_millis(200))).up();
        let mut peer = site.peer();
        let began = Instant::now();
        peer.says(text("begun").more()).hears_close(1008);
        eprintln!("t23: limit 200 ms, an incomplete message was waited for {} ms", began.elapsed().as_millis());
        peer.hears_fin();
    });
}

#[test]
fn t23_too_many_fragments_are_1008() {
    with_each_echo(|plan| {
        let site = plan.websocket(|settings| settings.fragments_limit(100)).up();
        let mut peer = site.peer();
        let mut frames = vec![text("").more()];
        frames.extend(vec![raw(0x00, ""); 100]);
        peer.says_all(&frames).hears_close(1008);
        eprintln!("t23: limit 100 fragments, 1008 behind {} frames", frames.len());
        peer.hears_fin();
    });
}
