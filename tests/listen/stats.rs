//! `GetStats`, `ClearStats` (B31): leak-free, whatever ends a connection (D7, T32).

use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::Settings as HttpSettings;
use actix_sockets::{
    Bind, ClearStats, Connect, Connected, GetStats, HttpResponse, Received, Register, Requester, Settings, Sockets, Stats,
};

use crate::site::{Guest, HANDSHAKE, Over, Site, over_each, tcp, wait};

fn is_at_rest(stats: &Stats) -> bool {
    (stats.open_connections, stats.open_requests, stats.open_websockets) == (0, 0, 0)
}

#[test]
fn the_eight_fields_of_spray() {
    over_each(|over| {
        // Time enough to see a request that is open.
        let http = HttpSettings::new().request_timeout(Duration::from_secs(5)).timeout_timeout(Duration::from_millis(100));
        let site = Site::up(over, |bind| bind.settings(Settings::new().http(http)));
        assert!(is_at_rest(&site.stats()));
        let mut one = site.client();
        one.asks("/").hears_content();
        one.asks("/").hears_content();
        let mut other = site.client();
        other.asks("/never");
        let stats = site.stats_when("one request is open", |stats| stats.open_requests == 1);
        assert_eq!((stats.total_requests, stats.max_open_requests), (3, 1));
        assert_eq!((stats.total_connections, stats.open_connections, stats.max_open_connections), (2, 2, 2));
        assert!(stats.uptime > Duration::ZERO);
        drop((one, other));
        let stats = site.stats_when("all have gone", is_at_rest);
        assert_eq!((stats.total_connections, stats.max_open_connections), (2, 2));
    });
}

/// What a function answers it answers in the connection's own turn: it is not open any more while the connection is.
#[test]
fn what_a_function_has_answered_is_not_open() {
    over_each(|over| {
        let site = Site::up(over, |_| {
            let answer = || Register::answering(|_, responder| responder.do_send(HttpResponse::ok("hello")));
            Bind::registering(answer, "127.0.0.1:0").workers(1)
        });
        let mut client = site.client();
        for answered in 1..4 {
            client.asks("/").hears_content();
            let stats = site.stats_when("it is answered", |stats| stats.total_requests == answered);
            assert_eq!((stats.open_requests, stats.open_connections), (0, 1), "{stats:?}");
        }
    });
}

/// Never are more open than may be, whoever answers them, and however many come at once.
#[test]
fn no_more_are_open_than_may_be() {
    const LIMIT: u64 = 4;
    for who in ["an actor", "a function", "a fast path"] {
        let site = Site::up(Over::Clear, move |actor| {
            let hello = || HttpResponse::ok("hello");
            let bind = match who {
                "a function" => {
                    Bind::registering(move || Register::answering(move |_, responder| responder.do_send(hello())), "127.0.0.1:0")
                }
                "a fast path" => Bind::registering(move || Register::factory(|| Guest).fast_path(move |_| Some(hello())), "127.0.0.1:0"),
                _ => actor,
            };
            let http = HttpSettings::new().pipelining_limit(LIMIT as usize);
            bind.workers(1).settings(Settings::new().http(http))
        });
        let mut client = site.client();
        client.says("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50));
        for _ in 0..50 {
            client.hears_content();
        }
        let stats = site.stats_when("all are answered", |stats| (stats.total_requests, stats.open_requests) == (50, 0));
        assert!((1..=LIMIT).contains(&stats.max_open_requests), "{who}: {stats:?}");
    }
}

#[test]
fn requests_that_time_out() {
    let site = Site::up(Over::Clear, |bind| bind);
    let said = site.client().asks("/never").hears_the_end();
    assert!(said.starts_with("HTTP/1.1 500 "), "{said}");
    let stats = site.stats_when("all have gone", is_at_rest);
    assert_eq!((stats.request_timeouts, stats.total_requests), (1, 1));
}

#[test]
fn websockets() {
    over_each(|over| {
        let site = Site::up(over, |bind| bind);
        let mut first = site.client();
        first.upgrades().says_text("hello").hears_text("hello");
        let stats = site.stats();
        assert_eq!((stats.total_websockets, stats.open_websockets, stats.open_connections), (1, 1, 1));
        assert_eq!((stats.total_requests, stats.open_requests), (1, 0), "the request is answered");
        first.says_text("bye").hears_text("bye").says_close(1000).hears_the_end();
        let mut second = site.client();
        second.upgrades().says_close(4321).hears_the_end();
        let mut third = site.client();
        third.upgrades().says([0x81, 0x02, b'h', b'i']).hears_the_end();
        let mut fourth = site.client();
        fourth.upgrades().says_text("die").hears_the_end();
        let mut fifth = site.client();
        fifth.upgrades();
        drop(fifth);
        let stats = site.stats_when("all have gone", is_at_rest);
        assert_eq!((stats.total_websockets, stats.closes.total()), (5, 5));
        let closes = stats.closes;
        assert_eq!((closes.normal, closes.application, closes.protocol, closes.server, closes.abnormal), (1, 1, 1, 1, 1));
        assert_eq!((stats.messages_received, stats.messages_sent, stats.handler_deaths), (3, 2, 1));
        let said = 5 * HANDSHAKE.len() as u64 + 2 * 8 + 4 + 11 + 9 + 9;
        assert!(stats.bytes_received.abs_diff(said) < 32 && stats.bytes_sent > 5 * 100, "{said}: {stats:?}");
    });
}

/// T34: a handshake that fails, or does not come to an end, is counted.
#[cfg(feature = "tls")]
#[test]
fn t34_failed_handshakes_are_counted() {
    use std::io::Write as _;
    let settings = Settings::new().tls_handshake_timeout(Duration::from_secs(3));
    let site = Site::up(Over::Tls, |bind| bind.settings(settings));
    tcp(site.bound.address).write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let silent = tcp(site.bound.address);
    assert_eq!(site.client().asks("/").hears_content(), "hello");
    let stats = site.stats_when("both have failed", |stats| stats.failed_tls_handshakes == 2 && is_at_rest(stats));
    assert_eq!(stats.total_connections, 3);
    drop(silent);
}

#[test]
fn cleared_what_is_open_stays_open() {
    let site = Site::up(Over::Clear, |bind| bind);
    let mut one = site.client();
    one.upgrades().says_text("x").hears_text("x");
    site.client().asks("/").hears_content();
    site.stats_when("the other has gone", |stats| stats.open_connections == 1);
    wait(site.listener().send(ClearStats)).unwrap();
    let stats = site.stats();
    assert_eq!((stats.total_connections, stats.open_connections, stats.max_open_connections), (0, 1, 1));
    assert_eq!((stats.total_websockets, stats.open_websockets, stats.max_open_websockets), (0, 1, 1));
    assert_eq!((stats.total_requests, stats.open_requests, stats.bytes_received), (0, 0, 0));
    one.says_close(1000).hears_the_end();
    assert!(is_at_rest(&site.stats_when("all have gone", |stats| stats.open_connections == 0)));
}

/// An actor that has connected.
struct Visitor(std::sync::mpsc::Sender<Requester>);

impl Actor for Visitor {
    type Context = Context<Self>;
}

impl Handler<Received<Connected, Requester>> for Visitor {
    type Result = ();

    fn handle(&mut self, received: Received<Connected, Requester>, _: &mut Context<Self>) {
        self.0.send(received.sender).unwrap();
    }
}

#[test]
fn of_the_service_the_sum_and_what_it_has_made() {
    System::new().block_on(async {
        let service = Sockets::default().start();
        let mut listeners = Vec::new();
        for _ in 0..2 {
            listeners.push(service.send(actix_sockets::Bind::factory(|| Guest, "127.0.0.1:0").workers(1)).await.unwrap().unwrap());
        }
        let (tell, told) = std::sync::mpsc::channel();
        for bound in &listeners {
            service.send(Connect::new(Visitor(tell.clone()).start(), "127.0.0.1", bound.address.port())).await.unwrap().unwrap();
        }
        let requesters: Vec<_> = told.try_iter().collect();
        for requester in &requesters {
            let request = actix_sockets::HttpRequest::new(http::Method::GET, "/".parse().unwrap())
                .with_header(http::header::HOST, http::HeaderValue::from_static("localhost"));
            requester.send(request).await.unwrap();
        }
        let never = || actix_sockets::HttpRequest::get("/never".parse().unwrap());
        requesters[0].do_send(never());
        requesters[0].do_send(never());
        let mut made = service.send(GetStats::made()).await.unwrap();
        for _ in 0..1000 {
            if made.open_requests == 2 {
                break;
            }
            actix::clock::sleep(Duration::from_millis(1)).await;
            made = service.send(GetStats::made()).await.unwrap();
        }
        assert_eq!((made.total_connections, made.open_connections), (2, 2));
        assert_eq!(
            (made.total_requests, made.open_requests, made.max_open_requests),
            (4, 2, 2),
            "of two that are answered, two that are not"
        );
        let all = service.send(GetStats::all()).await.unwrap();
        assert_eq!((all.total_connections, all.open_connections), (4, 4), "each of them has two ends here");
        assert_eq!(listeners[0].listener.send(GetStats::made()).await.unwrap(), Stats::default());
        assert_eq!(listeners[1].listener.send(GetStats::all()).await.unwrap().total_requests, 1);
        requesters[0].connection().do_send(actix_sockets::HttpClose::Abort);
        drop(requesters);
        for _ in 0..1000 {
            if is_at_rest(&service.send(GetStats::all()).await.unwrap()) {
                return;
            }
            actix::clock::sleep(Duration::from_millis(10)).await;
        }
        panic!("something is left: {:?}", service.send(GetStats::all()).await.unwrap());
    });
}

/// T32: an arbiter that stops takes its connections along, and leaves nothing behind; the next connections go elsewhere.
#[test]
fn t32_an_arbiter_that_stops_leaves_nothing_behind() {
    over_each(|over| {
        let site = Site::up(over, |bind| bind.workers(2));
        let mut clients: Vec<_> = (0..6).map(|_| site.client()).collect();
        for client in &mut clients {
            client.upgrades().says_text("x").hears_text("x");
        }
        let mut fatal = site.client();
        fatal.asks("/stops-its-arbiter").hears_the_end();
        // Of the seven every second was there.
        let stats = site.stats_when("its connections are gone", |stats| stats.open_connections == 3 && stats.open_requests == 0);
        assert_eq!(stats.open_websockets, 3);
        let answered = (0..6).filter(|_| {
            let Ok(wire) = over.client(tcp(site.bound.address)) else { return false };
            crate::site::Client::new(wire).asks_and_hears("/") == Some("hello".to_owned())
        });
        assert!(answered.count() >= 5, "one finds that the arbiter has gone");
        drop(clients);
        site.stats_when("all have gone", is_at_rest);
    });
}

/// Random histories: whatever happens to connections, in the end nothing is open and all was counted.
#[test]
fn after_any_history_nothing_is_open() {
    over_each(|over| {
        let site = Site::up(over, |bind| bind.workers(2));
        let (mut connections, mut requests, mut websockets, mut deaths) = (0, 0, 0, 0);
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        let mut held = Vec::new();
        for _ in 0..50 {
            let mut client = site.client();
            connections += 1;
            for _ in 0..random(3) {
                client.asks("/").hears_content();
                requests += 1;
            }
            match random(11) {
                0 => {}
                1 => {
                    client.says("GET / HT");
                }
                2 => drop(client.says("nonsense\r\n\r\n").hears_the_end()),
                3 => {
                    client.asks("/never");
                    requests += 1;
                    // Or it may be gone before it is read.
                    client.says("GET /pipelined HTTP/1.1\r\nHost: a\r\n\r\n");
                    site.stats_when("it is asked", |stats| stats.total_requests >= requests);
                }
                4 => {
                    client.asks("/dies").hears_the_end();
                    (requests, deaths) = (requests + 1, deaths + 1);
                }
                5 => {
                    client.asks("/panics").hears_the_end();
                    (requests, deaths) = (requests + 1, deaths + 1);
                }
                action => {
                    client.upgrades();
                    (requests, websockets) = (requests + 1, websockets + 1);
                    match action {
                        6 => drop(client.says_text("a").hears_text("a").says_close(1000).hears_the_end()),
                        7 => {
                            client.says_text("panic").hears_the_end();
                            deaths += 1;
                        }
                        8 => {
                            client.says_text("die").hears_the_end();
                            deaths += 1;
                        }
                        9 => drop(client.says([0xff; 32]).hears_the_end()),
                        _ => {}
                    }
                }
            }
            match random(3) {
                0 => held.push(client),
                _ => drop(client),
            }
            let stats = site.stats();
            assert!(
                stats.open_connections <= connections && stats.open_requests <= requests && stats.open_websockets <= websockets,
                "{stats:?}"
            );
        }
        drop(held);
        let stats = site.stats_when("all have gone", is_at_rest);
        assert_eq!((stats.total_connections, stats.total_requests, stats.total_websockets), (connections, requests, websockets));
        assert_eq!((stats.closes.total(), stats.handler_deaths), (websockets, deaths), "{stats:?}");
        assert!(stats.max_open_connections <= connections && stats.max_open_requests >= 1);
    });
}
