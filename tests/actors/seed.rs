//! The seed's own network tests (SocketsTest, SocketExample), one for one.

use std::time::{Duration, Instant};

use actix_sockets::Frame;
use actix_sockets::stage::{Command, Flow, Stage};

use crate::peer::{close, continuation, ping, pong, raw, text};
use crate::site::{Heard, Kind, with, with_each_echo, with_each_handler};
use crate::transport::over_each;

#[test]
fn seed_echo_hello_world() {
    with_each_echo(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        peer.says(text("hello world")).hears(text("hello world"));
    });
}

/// Both ends ours.
#[test]
fn seed_echo_hello_world_between_two_of_ours() {
    with_each_handler(|plan| {
        for client in [Kind::Fed, Kind::Made, Kind::Shared, Kind::SharedHosted] {
            let server = plan.clone().up();
            let mut visitor = plan.clone().on_frame(|_, _| {});
            visitor.kind = client;
            let visitor = visitor.visits(&server.url());
            assert!(matches!(visitor.next(), Heard::Response(101)), "the response comes before Upgraded");
            visitor.upgraded().do_send(Frame::text("hello world"));
            visitor.hears_text("hello world");
        }
    });
}

/// Twice, with masks and without any (a key of zeros).
#[test]
fn seed_fragmented_message_twice_with_mixed_masks() {
    with_each_echo(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        let fragments = [text("i am ").more(), continuation("cow ").more(), continuation("hear me ").more(), continuation("moo")];
        for keys in [[[1, 2, 3, 4]; 4], [[0; 4], [9, 8, 7, 6], [0; 4], [255; 4]]] {
            for (fragment, key) in fragments.iter().zip(keys) {
                peer.says_bytes(fragment.bytes(Some(key)));
            }
            peer.hears(text("i am cow hear me moo"));
        }
    });
}

#[test]
fn seed_clean_close() {
    with_each_echo(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        peer.says(text("hello")).hears(text("hello"));
        peer.says(close(1000, "bye")).hears(close(1000, ""));
        peer.hears_fin();
        let closed = site.closed();
        assert_eq!((closed.code.0, &*closed.reason, closed.clean), (1000, "bye", true));
    });
}

#[test]
fn seed_unmasked_frame_is_1002() {
    with_each_echo(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        peer.says_bytes(text("no mask").bytes(None)).hears_close(1002);
        peer.hears_fin();
        assert_eq!(site.closed().code.0, 1002);
    });
}

#[test]
fn seed_size_limit_of_a_single_frame() {
    with_each_echo(|plan| {
        let site = plan.websocket(|settings| settings.frame_size_limit(1024)).up();
        let mut peer = site.peer();
        let fits = text("x".repeat(1024));
        peer.says(fits.clone()).hears(fits);
        // The header is enough.
        peer.says_bytes([0x81, 0x80 | 126, 0x04, 0x01]).hears_close(1009);
        peer.hears_fin();
    });
}

#[test]
fn seed_size_limit_of_a_fragmented_message() {
    with_each_echo(|plan| {
        let site = plan.websocket(|settings| settings.message_size_limit(1024)).up();
        let part = "y".repeat(256);
        let mut peer = site.peer();
        peer.says_all(&[text(&part).more(), continuation(&part).more(), continuation(&part).more(), continuation(&part)]);
        peer.hears(text("y".repeat(1024)));
        // One byte more, and it is said at the fragment that crosses, whose payload is not even there.
        peer.says_all(&[text(format!("{part}y")).more(), continuation(&part).more(), continuation(&part).more()]);
        peer.says_bytes([0x00, 0x80 | 126, 0x01, 0x00]).hears_close(1009);
        peer.hears_fin();
    });
}

#[test]
fn seed_auto_ping_is_seen_twice() {
    with_each_handler(|plan| {
        let site = plan.ping(Duration::from_millis(400)).up();
        let mut peer = site.peer();
        let first = peer.next();
        assert_eq!((first.first, first.payload.len()), (0x89, 8));
        peer.says(pong(&first.payload));
        let second = peer.next();
        assert_eq!(second.first, 0x89);
        assert_ne!(second.payload, first.payload, "a pong must tell which ping it answers");
    });
}

#[test]
fn seed_ping_within_a_fragmented_message() {
    with_each_echo(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        peer.says(text("hello ").more()).says(ping("are you there")).hears(pong("are you there"));
        peer.says(continuation("world")).hears(text("hello world"));
    });
}

/// And told to the handler and to an observer, with the pong itself, in order.
#[test]
fn seed_round_trip_time_of_a_late_pong() {
    with_each_handler(|plan| {
        let site = plan.ping(Duration::from_millis(800)).observed().up();
        let mut peer = site.peer();
        site.upgraded();
        let sent = peer.next();
        std::thread::sleep(Duration::from_millis(210));
        peer.says(pong(&sent.payload));
        let (mut told, mut observed, mut seen) = (None, None, false);
        while told.is_none() || !seen || observed.is_none() {
            match site.next() {
                Heard::RoundTripTime(time) => told = Some(time),
                Heard::Frame(frame) => {
                    assert!(told.is_some(), "the time comes before its pong");
                    assert_eq!(frame.data, sent.payload);
                    seen = true;
                }
                Heard::Observed(heard) => match *heard {
                    Heard::RoundTripTime(time) => observed = Some(time),
                    other => panic!("{other:?}"),
                },
                Heard::Stopped => {}
                other => panic!("{other:?}"),
            }
        }
        let told = told.unwrap();
        assert!((200..2000).contains(&told.as_millis()), "{told:?}");
        assert_eq!(observed, Some(told));
    });
}

#[test]
fn seed_server_speaks_first() {
    with_each_handler(|plan| {
        let site = plan.on_upgraded(|upgraded, _| upgraded.sender.do_send(Frame::text("Hello"))).up();
        let mut peer = site.connection();
        peer.says_bytes(crate::peer::HANDSHAKE).hears_101();
        peer.hears(text("Hello"));
    });
}

/// A stage may, too: behind the 101, before all else.
#[test]
fn a_stage_speaks_first() {
    #[derive(Debug)]
    struct Greeter;
    impl Stage for Greeter {
        fn started(&mut self, flow: &mut Flow<'_>) {
            flow.down(Command::Frame(Frame::text("Hello")));
        }
    }
    with_each_echo(|plan| {
        let site = plan.stage(|| Greeter).up();
        let mut peer = site.peer();
        peer.hears(text("Hello")).says(text("hello world")).hears(text("hello world"));
    });
}

/// A ping body of our own length, as the seed's test has one; and what is measured is the newest ping's.
#[test]
fn seed_pings_are_answered_whatever_their_body() {
    with_each_echo(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        for n in [0, 1, 125] {
            let body = vec![b'p'; n];
            peer.says(ping(&body)).hears(pong(&body));
        }
        // The handler saw none of them.
        peer.says(text("end")).hears(text("end"));
    });
}

mod readme {
    //! The seed's README example, in this library's words.

    use std::sync::mpsc::Sender;

    use actix::prelude::*;
    use actix_sockets::handshake::{self, Target};
    use actix_sockets::*;

    pub(super) struct ShoutServer;

    impl Actor for ShoutServer {
        type Context = Context<Self>;
    }

    impl Handler<Received<Connected>> for ShoutServer {
        type Result = ();
        fn handle(&mut self, connected: Received<Connected>, ctx: &mut Self::Context) {
            connected.sender.do_send(Register::new(ctx.address()));
        }
    }

    impl Handler<Received<HttpRequest>> for ShoutServer {
        type Result = ();
        fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, ctx: &mut Self::Context) {
            match handshake::accept(&request) {
                Ok(response) => sender.do_send(UpgradeServer::new(response, ctx.address())),
                Err(refusal) => sender.do_send(refusal.into_response()),
            }
        }
    }

    impl Handler<Received<Frame>> for ShoutServer {
        type Result = ();
        fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, _: &mut Self::Context) {
            if let Some(text) = frame.as_text() {
                sender.do_send(Frame::text(text.to_uppercase()));
            }
        }
    }

    pub(super) struct SocketClient {
        pub(super) target: Target,
        pub(super) result: Sender<String>,
    }

    impl Actor for SocketClient {
        type Context = Context<Self>;
    }

    impl Handler<Received<Connected, Requester>> for SocketClient {
        type Result = ();
        fn handle(&mut self, connected: Received<Connected, Requester>, ctx: &mut Self::Context) {
            connected.sender.do_send(UpgradeClient::to(&self.target, ctx).hears::<Upgraded>());
        }
    }

    impl Handler<Received<Upgraded>> for SocketClient {
        type Result = ();
        fn handle(&mut self, upgraded: Received<Upgraded>, _: &mut Self::Context) {
            upgraded.sender.do_send(Frame::text("i am cow"));
        }
    }

    impl Handler<Received<Frame>> for SocketClient {
        type Result = ();
        fn handle(&mut self, received: Received<Frame>, _: &mut Self::Context) {
            self.result.send(received.message.as_text().unwrap().to_owned()).unwrap();
        }
    }
}

#[test]
fn seed_readme_example() {
    use actix::prelude::*;
    use actix_sockets::handshake::Target;
    use actix_sockets::{Bind, Connect, Sockets};

    over_each(|transport| {
        let (result, results) = std::sync::mpsc::channel();
        System::new().block_on(async {
            let bound = Sockets::from_registry()
                .send(transport.bind(Bind::new(readme::ShoutServer.start(), "127.0.0.1:0")))
                .await
                .unwrap()
                .unwrap();
            let target = Target::parse(&format!("{}://{}/mychat", transport.scheme(), bound.address)).unwrap();
            let client = readme::SocketClient { target, result }.start();
            Sockets::from_registry()
                .send(transport.connect(Connect::new(client, "127.0.0.1", bound.address.port())))
                .await
                .unwrap()
                .unwrap();
            let until = Instant::now() + crate::peer::PATIENCE;
            let heard = loop {
                match results.try_recv() {
                    Ok(heard) => break heard,
                    Err(_) if Instant::now() < until => tokio::time::sleep(Duration::from_millis(1)).await,
                    Err(error) => panic!("{error}"),
                }
            };
            assert_eq!(heard, "I AM COW");
        });
    });
}

#[test]
fn a40_bad_utf8_fails_at_the_very_byte() {
    with(Kind::Fed, |plan| {
        let site = plan.up();
        let mut peer = site.peer();
        // The message is announced with 100 bytes, and 5 are there.
        let header = [0x81, 0x80 | 100, 0, 0, 0, 0];
        peer.says_bytes([&header[..], b"good\xff"].concat()).hears_close(1007);
        peer.hears_fin();
    });
}

#[test]
fn a37_a38_a39_a41_broken_rules_are_1002() {
    with_each_echo(|plan| {
        let site = plan.up();
        for broken in [
            vec![raw(0x89, [0; 126])],
            vec![raw(0x09, "fragmented ping")],
            vec![raw(0xc1, "RSV1")],
            vec![raw(0x83, "opcode 3")],
            vec![raw(0x8b, "opcode 11")],
            vec![continuation("of nothing")],
            vec![text("a").more(), text("b")],
            vec![raw(0x88, [3])],
            vec![close(1005, "")],
            vec![close(1006, "")],
            vec![close(999, "")],
            vec![close(2999, "")],
        ] {
            let mut peer = site.peer();
            peer.says_all(&broken).hears_close(1002);
            peer.hears_fin();
        }
    });
}

#[test]
fn a42_the_peers_code_is_echoed() {
    with_each_echo(|plan| {
        let site = plan.up();
        for code in [1000, 1001, 1011, 3000, 4999] {
            let mut peer = site.peer();
            peer.says(close(code, "why")).hears(close(code, ""));
            peer.hears_fin();
            let closed = site.closed();
            assert_eq!((closed.code.0, &*closed.reason), (code, "why"));
        }
        let mut peer = site.peer();
        peer.says(raw(0x88, "")).hears(raw(0x88, ""));
        peer.hears_fin();
        assert_eq!(site.closed().code.0, 1005);
    });
}
