//! What a handler says is not lost, whatever ends the connection, and only what it says too much of ends it.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_sockets::websocket::CloseCode;
use actix_sockets::{
    Close, CloseAll, Connect, Connected, Frame, HttpRequest, HttpResponse, Received, Requester, Responder, SendError, SendStatus, Sockets,
    Unbind, UpgradeClient, handshake,
};
use http::{HeaderValue, Method, header};

use crate::peer::{Host, binary, close, text};
use crate::site::{Kind, Plan, Site, with_each_handler};
use crate::transport::{Transport, over_each};

const MIB: usize = 1 << 20;

/// Design §6: a handler that only answers can never reach the hard limit, which is as much as one of the largest frames.
#[test]
fn large_messages_back_to_back_are_all_echoed() {
    with_each_handler(|plan| {
        let site = plan.up();
        for (size, count) in [(MIB, 12), (300 << 10, 20), (3 << 10, 2000)] {
            let mut peer = site.peer();
            let frames: Vec<_> = (0..count).map(|n| binary(vec![n as u8; size])).collect();
            let bytes = peer.encoded(&frames);
            peer.says_bytes_and_listens(&bytes);
            for n in 0..count {
                peer.hears(binary(vec![n as u8; size]));
            }
        }
    });
}

/// A peer that says its last words and sends FIN hears the answers (RFC 9293 §3.6: its end is still open for reading).
#[test]
fn frames_before_a_fin_are_answered() {
    with_each_handler(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        peer.says_all(&[text("one"), text("two"), text("three")]).finishes();
        peer.hears(text("one")).hears(text("two")).hears(text("three")).hears_fin();
        assert_eq!(site.closed().code, CloseCode::ABNORMAL);
    });
}

/// What was said goes out, then the Close that was said, and not one that follows from the handler's having stopped.
#[test]
fn what_a_handler_said_before_it_stopped_goes_out() {
    with_each_handler(|plan| {
        let shared = matches!(plan.kind, Kind::Shared | Kind::SharedHosted);
        let site = plan
            .on_frame(move |received, ctx| {
                for word in ["I", "am", "going"] {
                    received.sender.do_send(Frame::text(word));
                }
                received.sender.do_send(Close::new(CloseCode::NORMAL, "bye"));
                if !shared {
                    ctx.stop();
                }
            })
            .up();
        let mut peer = site.peer();
        peer.says(text("go"));
        peer.hears(text("I")).hears(text("am")).hears(text("going")).hears(close(1000, "bye"));
    });
}

/// What was sent before an `Unbind` goes before its 1001. Above hosted stages it may still be on its way down.
#[test]
fn what_was_sent_before_the_listener_ends_goes_out() {
    with_each_handler(|plan| {
        if matches!(plan.kind, Kind::Hosted | Kind::Elsewhere | Kind::SharedHosted) {
            return;
        }
        let site = plan.up();
        let mut peer = site.peer();
        let socket = site.upgraded();
        socket.do_send(Frame::text("announcement"));
        site.listener.as_ref().expect("a server").do_send(Unbind::within(Duration::from_secs(2)));
        peer.hears(text("announcement")).hears_close(1001);
    });
}

/// The sender of an `Upgraded` is there to be kept: a Close need not wait for it.
#[test]
fn a_kept_sender_does_not_delay_the_closing_handshake() {
    with_each_handler(|plan| {
        let (keep, _kept) = mpsc::channel();
        let site = plan.on_upgraded(move |upgraded, _| drop(keep.send(upgraded.sender))).up();
        let mut peer = site.peer();
        peer.says(text("first")).hears(text("first"));
        let since = Instant::now();
        peer.says(close(1000, "")).hears(close(1000, ""));
        assert!(since.elapsed() < Duration::from_millis(200), "a verdict waits 250 ms for what is in hand: {:?}", since.elapsed());
    });
}

/// An ack says that it was written; what may not be written is not acknowledged.
#[test]
fn a_frame_that_may_not_be_sent_is_not_acknowledged() {
    with_each_handler(|plan| {
        let site = plan.up();
        let _peer = site.peer();
        let socket = site.upgraded();
        let sending = socket.send(Frame::ping(vec![0; 126]));
        assert_eq!(Site::wait(sending), Err(SendError::Closed));
        assert_eq!(Site::wait(socket.send(Frame::ping("short"))), Ok(SendStatus::Sent));
    });
}

/// Control frames pass the hard limit, but not without end.
#[test]
fn a_flood_of_our_own_pings_is_bounded() {
    with_each_handler(|plan| {
        let elsewhere = plan.kind == Kind::Elsewhere;
        let (tell, told) = mpsc::channel();
        let site = plan
            .websocket(|settings| settings.closing_timeout(Duration::from_millis(300)))
            .on_upgraded(move |upgraded, _| {
                let mut most = 0;
                for _ in 0..60_000 {
                    upgraded.sender.do_send(Frame::ping(vec![0; 125]));
                    most = most.max(upgraded.sender.buffered_amount());
                }
                let _ = tell.send(most);
            })
            .up();
        let _peer = site.peer();
        let most = told.recv_timeout(Duration::from_secs(20)).expect("the handler returns");
        assert!(most <= if elsewhere { 3 * MIB } else { MIB + (64 << 10) + 200 }, "{most} bytes were unsent");
    });
}

fn get(path: &str) -> HttpRequest {
    let host = HeaderValue::from_static("localhost");
    HttpRequest::new(Method::GET, path.parse().expect("a path")).with_header(header::HOST, host)
}

type Asks = Box<dyn FnOnce(Requester) + Send>;

/// A client that asks as it is told once it is connected.
struct Client(Option<Asks>);

impl Actor for Client {
    type Context = Context<Self>;
}

impl Handler<Received<Connected, Requester>> for Client {
    type Result = ();
    fn handle(&mut self, connected: Received<Connected, Requester>, _: &mut Context<Self>) {
        self.0.take().expect("connected once")(connected.sender);
    }
}

impl Handler<Received<Frame>> for Client {
    type Result = ();
    fn handle(&mut self, _: Received<Frame>, _: &mut Context<Self>) {}
}

/// Runs `asks` with a connection to our server, on an arbiter of its own.
fn asking(transport: Transport, address: SocketAddr, asks: impl FnOnce(Requester, Addr<Client>) + Send + 'static) {
    std::thread::spawn(move || {
        System::new().block_on(async move {
            let client = Client::create(|ctx| {
                let own = ctx.address();
                Client(Some(Box::new(move |requester| asks(requester, own))))
            });
            let connect = Connect::new(client, address.ip().to_string(), address.port());
            Sockets::from_registry().send(transport.connect(connect)).await.expect("the service runs").expect("connected");
            actix::clock::sleep(Duration::from_secs(3)).await;
        });
    });
}

fn answers(transport: Transport) -> Site {
    let answer = |Received { message, sender }: Received<HttpRequest>, _: &mut _| {
        Responder::do_send(sender, HttpResponse::ok(message.path().to_owned()));
    };
    Plan::new(Kind::Fed, transport).on_request(answer).up()
}

/// While much is unsent nothing is read; when all of it leaves in one write, reading goes on, also if half a request has been read before.
#[test]
fn a_request_that_came_while_nothing_was_read_is_answered() {
    over_each(|transport| {
        let echo = |Received { message, sender }: Received<HttpRequest>, _: &mut _| {
            Responder::do_send(sender, HttpResponse::ok(message.content));
        };
        for first in [3 * MIB, 4 * MIB, 5 * MIB, 6 * MIB] {
            let site = Plan::new(Kind::Fed, transport).on_request(echo).up();
            let mut peer = site.connection();
            socket2::SockRef::from(peer.tcp()).set_recv_buffer_size(100_000).expect("a small buffer");
            let post = |length: usize| {
                [format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n").into_bytes(), vec![b'x'; length]]
                    .concat()
            };
            let second = post(100_000);
            peer.says_bytes([&post(first), &second[..60_000]].concat());
            std::thread::sleep(Duration::from_millis(300));
            peer.hears_content(first);
            peer.says_bytes(&second[60_000..]).hears_content(100_000);
        }
    });
}

/// RFC 9112 §9.6: nothing is sent behind a request that closes; it is that one that fails, not the one before it.
#[test]
fn a_request_behind_the_last_one_fails_alone() {
    over_each(|transport| {
        let site = answers(transport);
        let (tell, told) = mpsc::channel();
        asking(transport, site.address(), move |requester, _| {
            let last = requester.send(get("/one").with_header(header::CONNECTION, HeaderValue::from_static("close")));
            let behind = requester.send(get("/two"));
            actix::spawn(async move {
                let last = last.await.map(|response| response.content);
                let _ = tell.send((last, behind.await.is_err()));
            });
        });
        let (last, behind) = told.recv_timeout(Duration::from_secs(5)).expect("both are answered");
        assert_eq!((last.as_deref().expect("it is answered"), behind), (&b"/one"[..], true));
    });
}

/// RFC 6455 §4.1: nothing is sent behind a handshake until it is answered.
#[test]
fn a_request_behind_an_upgrade_is_not_sent() {
    over_each(|transport| {
        let site = answers(transport);
        let (tell, told) = mpsc::channel();
        let (address, url) = (site.address(), site.url());
        asking(transport, address, move |requester, client| {
            let target = handshake::Target::parse(&url).expect("a URL");
            requester.do_send(UpgradeClient::to(&target, client));
            let behind = requester.send(get("/two"));
            actix::spawn(async move {
                let _ = tell.send(behind.await.is_err());
            });
        });
        assert!(told.recv_timeout(Duration::from_secs(5)).expect("it is answered"));
        // The websocket is there, and nothing but frames comes through it.
        site.upgraded();
        site.hears_no_more_for(Duration::from_millis(100));
    });
}

/// A23: all that was connected is closed, with 1001; what is connected from a certain address comes from there (A22).
#[test]
fn a23_close_all_ends_what_was_connected() {
    over_each(|transport| {
        let site = answers(transport);
        let (tell, told) = mpsc::channel();
        let url = site.url();
        std::thread::spawn(move || {
            System::new().block_on(async move {
                let target = handshake::Target::parse(&url).expect("a URL");
                let sockets = Sockets::from_registry();
                let upgrade = UpgradeClient::to(&target, Client(None).start());
                let from = SocketAddr::from(([127, 0, 0, 7], 0));
                let connected = sockets
                    .send(transport.connect(Connect::websocket(&target, upgrade)).local_address(from))
                    .await
                    .expect("the service runs");
                let local = connected.expect("connected").local.socket_addr().expect("of TCP");
                actix::clock::sleep(Duration::from_millis(200)).await;
                let closed = sockets.send(CloseAll::within(Duration::from_secs(3))).await.expect("the service runs");
                let _ = tell.send((local.ip(), closed.cut_off));
            });
        });
        let from = std::net::IpAddr::from([127, 0, 0, 7]);
        assert_eq!(told.recv_timeout(Duration::from_secs(5)), Ok((from, 0)));
        let closed = site.closed();
        assert_eq!((closed.code, closed.clean), (CloseCode::GOING_AWAY, true), "{closed:?}");
    });
}

/// A7: the seed's `maskGen`.
#[test]
fn a7_masking_keys_can_come_from_elsewhere() {
    over_each(|transport| {
        let host = Host::up(transport);
        let target = handshake::Target::parse(&host.url()).expect("a URL");
        std::thread::spawn(move || {
            System::new().block_on(async move {
                let upgrade = UpgradeClient::to(&target, Client(None).start()).masks(|| [1, 2, 3, 4]);
                let connected =
                    Sockets::from_registry().send(transport.connect(Connect::websocket(&target, upgrade))).await.expect("the service runs");
                connected.expect("connected");
                actix::clock::sleep(Duration::from_secs(2)).await;
            });
        });
        let mut peer = host.upgrades(&[close(1000, "")]);
        peer.hears(close(1000, ""));
        assert_eq!(peer.keys, [[1, 2, 3, 4]]);
    });
}

/// B37: a handler that is known by its address only is found dead, though nothing happens on its connection.
#[test]
fn d11_an_http_handler_that_stopped_ends_its_idle_connection() {
    over_each(|transport| {
        let stop = |Received { sender, .. }: Received<HttpRequest>, ctx: &mut Context<_>| {
            sender.do_send(HttpResponse::ok("bye"));
            ctx.stop();
        };
        let site = Plan::new(Kind::Shared, transport).on_request(stop).up();
        let mut peer = site.connection();
        peer.says_bytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").hears_response(200, "bye");
        let since = Instant::now();
        peer.hears_fin();
        assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
    });
}

/// What one read has brought to a handler that dies over the first of it is answered all the same, at once.
#[test]
fn d11_requests_that_an_http_handler_has_not_heard_are_answered_when_it_stops() {
    over_each(|transport| {
        for kind in [Kind::Fed, Kind::Made] {
            let http = actix_sockets::http::Settings::new().pipelining_limit(4);
            let site = Plan::new(kind, transport)
                .settings(|settings| settings.http(http))
                .on_request(|Received { sender, .. }: Received<HttpRequest>, ctx: &mut Context<_>| {
                    sender.do_send(HttpResponse::ok("bye"));
                    ctx.stop();
                })
                .up();
            let mut peer = site.connection();
            let since = Instant::now();
            peer.says_bytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(3));
            peer.hears_response(200, "bye");
            peer.hears_response(500, "500 Internal Server Error\n");
            peer.hears_response(500, "500 Internal Server Error\n");
            peer.hears_fin();
            assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
        }
    });
}

/// With one request in hand at a time, as by default.
#[test]
fn answers_to_pipelined_requests_leave_in_order() {
    over_each(|transport| {
        for kind in [Kind::Fed, Kind::Made, Kind::Shared] {
            let site = Plan::new(kind, transport)
                .on_request(|Received { message: request, sender }: Received<HttpRequest>, _: &mut Context<_>| {
                    sender.do_send(HttpResponse::ok(request.path().to_owned()));
                })
                .up();
            let mut peer = site.connection();
            peer.says_bytes((0..200).map(|n| format!("GET /{n}. HTTP/1.1\r\nHost: localhost\r\n\r\n")).collect::<String>());
            (0..200).for_each(|n| peer.hears_response(200, &format!("/{n}.")));
        }
    });
}
