//! Our client against a raw server.

use std::time::Duration;

use actix_sockets::websocket::CloseCode;
use actix_sockets::{Close, Frame};

use crate::peer::{Host, binary, close, ping, pong, text};
use crate::site::{Heard, Kind, Plan};
use crate::transport::Transport;

/// For every way that a client's handler can be attached.
pub(crate) fn with_each_client(test: impl Fn(Plan, &Host)) {
    for transport in Transport::ALL {
        for kind in [Kind::Fed, Kind::Made, Kind::Shared, Kind::SharedHosted] {
            eprintln!("── {transport:?} {kind:?}");
            test(Plan::new(kind, transport), &Host::up(transport));
        }
    }
}

/// Data, pings, pongs and every Close that the library makes by itself: [`Peer`](crate::peer::Peer) refuses what is not masked.
#[test]
fn d4_d13_t27_all_that_a_client_sends_is_masked_with_fresh_keys() {
    with_each_client(|plan, host| {
        let keys = |mut peer: crate::peer::Peer| std::mem::take(&mut peer.keys);
        let mut seen = Vec::new();
        // Frames, an auto ping, a pong.
        let client = plan.clone().ping(Duration::from_millis(500)).visits(&host.url());
        let mut peer = host.upgrades(&[]);
        client.upgraded().do_send(Frame::text("hello"));
        peer.hears(text("hello")).says(ping("ho"));
        let both = [peer.next().first, peer.next().first];
        assert!(both.contains(&0x8a) && both.contains(&0x89), "{both:02x?}");
        seen.extend(keys(peer));
        // The echo of the peer's Close.
        let _client = plan.clone().visits(&host.url());
        let mut peer = host.upgrades(&[close(1000, "")]);
        peer.hears(close(1000, ""));
        seen.extend(keys(peer));
        // A failure.
        let _client = plan.clone().visits(&host.url());
        let mut peer = host.upgrades(&[]);
        peer.says_bytes(text("masked by a server").bytes(Some([1, 2, 3, 4]))).hears_close(1002);
        seen.extend(keys(peer));
        // Ours.
        let client = plan.clone().visits(&host.url());
        let mut peer = host.upgrades(&[]);
        client.upgraded().do_send(Close::new(CloseCode::GOING_AWAY, "home"));
        peer.hears(close(1001, "home"));
        seen.extend(keys(peer));
        assert_eq!(seen.len(), 6);
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        println!("t27: {count} frames, {} keys", seen.len());
        assert_eq!((seen.len(), seen.contains(&[0; 4])), (count, false), "{seen:?}");
    });
}

/// A22: the bytes behind the 101's head are frames.
#[test]
fn d9_frames_in_the_same_segment_as_the_101() {
    with_each_client(|plan, host| {
        let client = plan.on_frame(|_, _| {}).visits(&host.url());
        let mut peer = host.upgrades(&[text("one"), binary("two"), ping("three")]);
        assert!(matches!(client.next(), Heard::Response(101)));
        client.upgraded();
        client.hears_text("one");
        assert!(matches!(client.next(), Heard::Frame(frame) if frame.data == "two"));
        peer.hears(pong("three"));
    });
}

/// RFC 6455 §7.1.1: the server closes TCP first.
#[test]
fn t26_the_client_waits_for_the_servers_fin() {
    with_each_client(|plan, host| {
        let client = plan.visits(&host.url());
        let mut peer = host.upgrades(&[]);
        client.upgraded().do_send(Close::default());
        peer.hears(close(1000, "")).says(close(1000, ""));
        peer.hears_nothing_for(Duration::from_millis(200));
        peer.finishes().hears_fin();
        let closed = client.closed();
        assert_eq!((closed.code.0, closed.clean), (1000, true));
    });
}

/// But not for ever.
#[test]
fn t26_the_client_waits_for_the_servers_fin_in_vain() {
    with_each_client(|plan, host| {
        let client = plan.websocket(|settings| settings.closing_timeout(Duration::from_millis(300))).visits(&host.url());
        let mut peer = host.upgrades(&[]);
        let began = std::time::Instant::now();
        peer.says(close(1000, "")).hears(close(1000, ""));
        peer.hears_fin();
        assert!(client.closed().clean);
        println!("t26: limit 300 ms, the server's FIN was waited for {} ms", began.elapsed().as_millis());
    });
}

#[test]
fn t19_an_upgrade_that_is_refused_is_told() {
    with_each_client(|plan, host| {
        let answers: [(&str, &str); 3] = [
            ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403"),
            (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
                "",
            ),
            ("", ""),
        ];
        for (answer, what) in answers {
            let client = plan.clone().visits(&host.url());
            let mut peer = host.accepts();
            peer.hears_head();
            peer.says_bytes(answer).finishes();
            let failed = client.until(|heard| match heard {
                Heard::Failed(error) => Some(error),
                Heard::Stopped => None,
                other => panic!("{other:?} after {answer:?}"),
            });
            assert!(failed.contains(what), "{failed} after {answer:?}");
            peer.hears_the_end();
        }
    });
}

#[test]
fn d10_a_client_hears_one_closed() {
    with_each_client(|plan, host| {
        type End = fn(crate::peer::Peer);
        let ends: [(&str, u16, End); 3] = [
            ("clean", 1000, |mut peer| {
                peer.says(close(1000, ""));
                peer.hears(close(1000, "")).finishes().hears_fin();
            }),
            ("FIN", 1006, |mut peer| peer.finishes().hears_fin()),
            ("RST", 1006, crate::peer::Peer::resets),
        ];
        for (end, code, act) in ends {
            eprintln!("   {end}");
            let client = plan.clone().visits(&host.url());
            let peer = host.upgrades(&[]);
            client.upgraded();
            act(peer);
            assert_eq!(client.closed().code.0, code, "{end}");
            client.hears_no_more_for(Duration::from_millis(100));
        }
    });
}
