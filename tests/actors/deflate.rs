//! Compressed messages (RFC 7692) end to end: what is agreed on is what is spoken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::handshake;
use actix_sockets::websocket::OpCode;
use actix_sockets::{Bind, Deflate, Frame, Received, Sockets, UpgradeServer, WebSockets};
use flate2::{Compress, Compression, FlushCompress};

use crate::peer::{HANDSHAKE, Host, Peer, Raw, close, raw, switching, text};
use crate::site::{Heard, Kind, Plan, Probe, Site, with, with_each_echo, with_each_handler};
use crate::transport::over_each;

const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
/// The same by a reference to the message before.
const AGAIN: [u8; 5] = [0xf2, 0x00, 0x11, 0x00, 0x00];

fn offering(offer: &str) -> String {
    HANDSHAKE.replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Extensions: {offer}\r\n\r\n"))
}

/// A peer that has made this offer, and what the 101 says to it.
fn peer(site: &Site, offer: &str) -> (Peer, Option<String>) {
    let mut peer = site.connection();
    let head = peer.says_bytes(offering(offer)).hears_101();
    (peer, extensions(&head))
}

fn extensions(head: &str) -> Option<String> {
    let lines: Vec<&str> = head.lines().filter(|line| line.to_lowercase().starts_with("sec-websocket-extensions:")).collect();
    assert!(lines.len() <= 1, "{lines:?}");
    lines.first().map(|line| line.split_once(':').unwrap().1.trim().to_owned())
}

fn compressed(first: u8, payload: impl AsRef<[u8]>) -> Raw {
    raw(first | 0x40, payload)
}

/// So many bytes, all alike, as a message.
fn alike(byte: u8, count: usize) -> Raw {
    let mut out = Vec::with_capacity(count / 100 + 1000);
    Compress::new(Compression::best(), false).compress_vec(&vec![byte; count], &mut out, FlushCompress::Sync).unwrap();
    out.truncate(out.len() - 4);
    compressed(0x82, out)
}

/// Compressed, and of what is remembered.
fn is_short(frame: &Raw) -> bool {
    frame.first == 0xc1 && frame.payload.len() <= AGAIN.len()
}

fn small() -> Deflate {
    Deflate::new().threshold(0).level(6)
}

#[test]
fn it_is_off_unless_turned_on() {
    with_each_echo(|plan| {
        let site = plan.up();
        let (mut peer, agreed) = peer(&site, "permessage-deflate");
        assert_eq!(agreed, None);
        peer.says(compressed(0x81, HELLO)).hears_close(1002);
    });
}

#[test]
fn one_call_turns_it_on() {
    with_each_echo(|plan| {
        let (kind, site) = (plan.kind, plan.deflate(small()).up());
        let (mut peer, agreed) =
            peer(&site, "foo, permessage-deflate; server_max_window_bits=20, permessage-deflate; client_max_window_bits");
        assert_eq!(agreed.as_deref(), Some("permessage-deflate"));
        if kind != Kind::Inline {
            let told = site.until(|heard| if let Heard::Upgraded(upgraded, _) = heard { Some(upgraded.extensions) } else { None });
            assert_eq!(told, ["permessage-deflate"]);
        }
        // In one write, so that a feeder has both in one scope: nothing may be encoded past the stage.
        peer.says_all(&[compressed(0x81, HELLO), compressed(0x81, AGAIN)]);
        peer.hears(compressed(0x81, HELLO)).hears(compressed(0x81, AGAIN));
        // In fragments, with a control frame between.
        peer.says_all(&[compressed(0x01, &AGAIN[..2]), raw(0x89, "between"), raw(0x80, &AGAIN[2..])]);
        let answers = [peer.next(), peer.next()];
        assert!(answers.contains(&raw(0x8a, "between")) && answers.iter().any(is_short), "{answers:?}");
        // What is not compressed is taken, too.
        peer.says(text("Hello"));
        assert!(is_short(&peer.next()));
        peer.says(close(1000, "")).hears(close(1000, ""));
    });
}

#[test]
fn who_does_not_offer_it_gets_none() {
    with_each_echo(|plan| {
        let site = plan.deflate(small()).up();
        let mut peer = site.connection();
        let head = peer.says_bytes(HANDSHAKE).hears_101();
        assert_eq!(extensions(&head), None);
        peer.says(text("Hello")).hears(text("Hello"));
        peer.says(compressed(0x81, HELLO)).hears_close(1002);
    });
}

#[test]
fn without_contexts_each_message_is_compressed_by_itself() {
    with_each_handler(|plan| {
        let site = plan.deflate(small().without_contexts()).up();
        let (mut peer, agreed) = peer(&site, "permessage-deflate");
        assert_eq!(agreed.as_deref(), Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"));
        let hello = alike(b'x', 200);
        for _ in 0..3 {
            peer.says(hello.clone());
            let answer = peer.next();
            assert!(answer.first == 0xc2 && answer.payload.len() < 20, "{answer:?}");
        }
        // A reference to what is to be forgotten.
        peer.says(compressed(0x81, AGAIN)).hears_close(1007);
    });
}

#[test]
fn a_frame_says_that_it_is_not_to_be_compressed() {
    with_each_handler(|plan| {
        let site = plan
            .deflate(small())
            .on_frame(|Received { message, sender }, _| sender.do_send(Frame::new(message.opcode, message.data).uncompressed()))
            .up();
        let (mut peer, _) = peer(&site, "permessage-deflate");
        peer.says(compressed(0x81, HELLO)).hears(text("Hello"));
        // And where nothing was agreed on it says nothing.
        site.peer().says(text("Hello")).hears(text("Hello"));
    });
}

#[test]
fn a_refusal_comes_behind_the_answers_to_what_came_before_it() {
    with_each_handler(|plan| {
        let site = plan.deflate(small()).up();
        let (mut peer, _) = peer(&site, "permessage-deflate");
        peer.says_all(&[compressed(0x81, HELLO), compressed(0x81, [0x06]), text("too late")]);
        peer.hears(compressed(0x81, HELLO)).hears_close(1007);
    });
}

/// A 101 of the user's own, at another path.
fn by_hand(plan: Plan, extensions: &'static str, deflate: Option<Deflate>) -> Site {
    plan.on_request(move |Received { message: request, sender }, ctx: &mut Context<Probe>| {
        let response = handshake::accept(&request).unwrap();
        let response = response.with_header(http::header::SEC_WEBSOCKET_EXTENSIONS, extensions.parse().unwrap());
        let upgrade = UpgradeServer::new(response, ctx);
        sender.do_send(match deflate.clone() {
            Some(deflate) => upgrade.deflate(deflate),
            None => upgrade,
        });
    })
    .up()
}

#[test]
fn a_101_by_hand_says_what_would_be_spoken_or_is_a_500() {
    let asks = |site: &Site, offer: &str| {
        let mut peer = site.connection();
        peer.says_bytes(offering(offer).replace("/chat", "/by-hand"));
        peer
    };
    with(Kind::Fed, |plan| {
        let site = by_hand(plan.clone(), "permessage-deflate", Some(small()));
        let mut fits = asks(&site, "permessage-deflate");
        assert_eq!(extensions(&fits.hears_101()).as_deref(), Some("permessage-deflate"));
        fits.says(compressed(0x81, HELLO)).hears(compressed(0x81, HELLO));
        asks(&site, "permessage-deflate; server_no_context_takeover").hears_response(500, "");
        asks(&site, "foo").hears_response(500, "");
        let site = by_hand(plan.clone(), "permessage-deflate, permessage-deflate", Some(small()));
        asks(&site, "permessage-deflate").hears_response(500, "");
        let site = by_hand(plan, "permessage-deflate", None);
        asks(&site, "permessage-deflate").hears_response(500, "");
    });
}

#[test]
fn websockets_has_the_same_call() {
    struct Echo;
    impl Actor for Echo {
        type Context = Context<Self>;
    }
    impl Handler<Received<Frame>> for Echo {
        type Result = ();
        fn handle(&mut self, Received { message, sender }: Received<Frame>, _: &mut Context<Self>) {
            sender.do_send(Frame::new(message.opcode, message.data));
        }
    }
    over_each(|transport| {
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let system = System::new();
            system.block_on(async {
                let echo = WebSockets::handled_by(|| Echo).deflate(small());
                let bound = Sockets::from_registry()
                    .send(transport.bind(Bind::factory(move || echo.clone(), "127.0.0.1:0")))
                    .await
                    .unwrap()
                    .unwrap();
                tell.send((bound.address, System::current())).unwrap();
            });
            system.run().unwrap();
        });
        let (address, system) = told.recv().unwrap();
        let mut peer = Peer::connect(address, transport);
        let head = peer.says_bytes(offering("permessage-deflate")).hears_101();
        assert_eq!(extensions(&head).as_deref(), Some("permessage-deflate"));
        peer.says(compressed(0x81, HELLO)).hears(compressed(0x81, HELLO));
        system.stop();
        thread.join().unwrap();
    });
}

// ── a client ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A server that agrees on this; and what it was offered.
fn agreeing(host: &Host, answer: &str) -> (Peer, Option<String>) {
    let mut peer = host.accepts();
    let head = peer.hears_head();
    let response = switching(&head);
    let response = match answer {
        "" => response,
        answer => response.replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Extensions: {answer}\r\n\r\n")),
    };
    peer.says_bytes(response);
    (peer, extensions(&head))
}

fn with_each_client(test: impl Fn(Plan, &Host)) {
    crate::client::with_each_client(test);
}

#[test]
fn a_client_speaks_it_when_the_server_agrees() {
    with_each_client(|plan, host| {
        let client = plan.clone().deflate(small()).visits(&host.url());
        let (mut peer, offer) = agreeing(host, "permessage-deflate");
        assert_eq!(offer.as_deref(), Some("permessage-deflate; client_max_window_bits"));
        let told = client.until(|heard| if let Heard::Upgraded(upgraded, _) = heard { Some(upgraded.extensions) } else { None });
        assert_eq!(told, ["permessage-deflate"]);
        peer.says_all(&[compressed(0x81, HELLO), compressed(0x81, AGAIN)]);
        peer.hears(compressed(0x81, HELLO)).hears(compressed(0x81, AGAIN));

        let _client = plan.clone().deflate(small().client_max_window_bits(9).server_no_context_takeover()).visits(&host.url());
        let answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        let (mut peer, offer) = agreeing(host, answer);
        assert_eq!(offer.as_deref(), Some("permessage-deflate; server_no_context_takeover; client_max_window_bits=9"));
        let message = alike(b'x', 200);
        for _ in 0..2 {
            peer.says(message.clone());
            assert_eq!(peer.next().first, 0xc2);
        }
        peer.says(compressed(0x81, AGAIN)).hears_close(1007);
    });
}

#[test]
fn a_client_does_without_when_the_server_does() {
    with_each_client(|plan, host| {
        let _client = plan.clone().deflate(small()).visits(&host.url());
        let (mut peer, offer) = agreeing(host, "");
        assert!(offer.is_some());
        peer.says(text("Hello")).hears(text("Hello"));
        peer.says(compressed(0x81, HELLO)).hears_close(1002);
    });
}

#[test]
fn t29_a_client_refuses_what_it_did_not_offer() {
    with_each_client(|plan, host| {
        for (answer, told) in [
            ("permessage-deflate; server_max_window_bits=16", "not a number from 8 to 15"),
            ("permessage-deflate; client_max_window_bits", "client_max_window_bits without a value"),
            ("permessage-deflate; foo", "an unknown parameter"),
            ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", "stands twice"),
            ("permessage-deflate, permessage-deflate", "agreed on twice"),
            ("x-webkit-deflate-frame", "an extension that was not offered"),
        ] {
            let client = plan.clone().deflate(small()).visits(&host.url());
            let _peer = agreeing(host, answer);
            let error = client.until(|heard| if let Heard::Failed(error) = heard { Some(error) } else { None });
            assert!(error.contains(told), "{answer}: {error}");
        }
        let client = plan.clone().visits(&host.url());
        let (_peer, offer) = agreeing(host, "permessage-deflate");
        assert_eq!(offer, None);
        client.until(|heard| if let Heard::Failed(error) = heard { Some(error) } else { None });
    });
}

// ── amplification ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// T29: one write of 60 KiB that is 60 MiB. A handler never has more in hand than its window, a batch and a message.
#[test]
fn t29_many_small_messages_that_become_large_wait_for_the_handler() {
    with_each_handler(|plan| {
        let (in_hand, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (kind, now, seen) = (plan.kind, in_hand.clone(), most.clone());
        let site = plan
            .deflate(small())
            .on_frame(move |Received { message, sender }, ctx| {
                let length = message.data.len();
                seen.fetch_max(now.fetch_add(length, Ordering::SeqCst) + length, Ordering::SeqCst);
                // The message is in hand for a while.
                let now = now.clone();
                ctx.run_later(Duration::from_millis(5), move |_, _| {
                    now.fetch_sub(length, Ordering::SeqCst);
                    drop(sender);
                });
            })
            .up();
        let (mut peer, _) = peer(&site, "permessage-deflate; client_no_context_takeover");
        let messages: Vec<Raw> = (0..60).map(|n| alike(n, 1 << 20)).collect();
        let bytes: usize = messages.iter().map(|message| message.payload.len()).sum();
        assert!(bytes < 64 << 10, "{bytes} bytes are one read");
        peer.says_all(&messages);
        let mut heard = Vec::new();
        while heard.len() < 60 {
            if let Heard::Frame(frame) = site.next() {
                assert_eq!((frame.opcode, frame.data.len()), (OpCode::Binary, 1 << 20));
                heard.push(frame.data[0]);
            }
        }
        assert_eq!(heard, (0..60).collect::<Vec<u8>>());
        let most = most.load(Ordering::SeqCst);
        println!("{kind:?}: {bytes} bytes, {} MiB, {} MiB in hand at most", 60, most >> 20);
        assert!(most <= 2 << 20, "{most} bytes in hand at once");
        peer.says(close(1000, "")).hears(close(1000, ""));
    });
}

/// The same with an echo: its answers do not meet the hard limit, as no more is read than is answered.
#[test]
fn t29_nor_do_their_answers_pile_up() {
    with_each_echo(|plan| {
        let site = plan.deflate(Deflate::new().when(|_| false)).up();
        let (mut peer, _) = peer(&site, "permessage-deflate; client_no_context_takeover");
        let messages: Vec<Raw> = (0..30).map(|n| alike(n, 500_000)).collect();
        peer.says_all(&messages);
        for n in 0..30 {
            let echo = peer.next();
            assert!(echo.first == 0x82 && echo.payload.len() == 500_000 && echo.payload[0] == n);
        }
        peer.says(close(1000, "")).hears(close(1000, ""));
    });
}
