//! Handlers that are no actors, and fast paths before those that are.

use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::Settings as HttpSettings;
use actix_sockets::{Guard, HttpRequest, HttpResponse, Received, Register, Settings, test};
use http::StatusCode;

use crate::peer::Talk;

struct Slow;

impl Actor for Slow {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Slow {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<HttpRequest>, ctx: &mut Self::Context) {
        assert!(!message.path().starts_with("/fast"));
        ctx.run_later(Duration::from_secs(1), move |_, _| sender.do_send(HttpResponse::ok(format!("slow {}\n", message.path()))));
    }
}

fn fast(request: &HttpRequest) -> Option<HttpResponse> {
    match request.path() {
        "/fast" => Some(HttpResponse::ok("fast\n")),
        "/fast-interim" => Some(HttpResponse::new(StatusCode::CONTINUE)),
        _ => None,
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn contents(heard: &str) -> Vec<&str> {
    heard.lines().filter(|line| line.starts_with("slow") || line.starts_with("fast") || line.starts_with("said")).collect()
}

fn pipelined(limit: usize) -> Settings {
    Settings::new().http(HttpSettings::new().pipelining_limit(limit))
}

/// What has panicked is a 500 in its turn, and the connection's end; its neighbours know nothing of it.
#[test]
fn a_function_that_panics_is_a_500() {
    let answer = |request: HttpRequest, responder: actix_sockets::Responder| match request.path() {
        "/panics" => panic!("on purpose"),
        "/panics-behind-its-answer" => {
            responder.do_send(HttpResponse::ok("said before\n"));
            panic!("on purpose");
        }
        "/later" => drop(actix::spawn(async move {
            actix::clock::sleep(Duration::from_secs(1)).await;
            responder.do_send(HttpResponse::ok("said later\n"));
        })),
        _ => responder.do_send(HttpResponse::ok("said\n")),
    };
    test::run(async {
        for limit in [1, 8] {
            let peer = || Talk::with(pipelined(limit), move || Register::answering(answer));
            let (mut neighbour, mut peer, mut third) = (peer(), peer(), peer());
            neighbour.says(get("/later")).await;
            peer.says(["/", "/later", "/", "/panics", "/"].map(get).concat()).await;
            let heard = peer.hears_the_rest().await;
            assert_eq!(contents(&heard), ["said", "said later", "said"], "{heard}");
            let (_, last) = heard.rsplit_once("HTTP/1.1 ").unwrap();
            assert!(last.starts_with("500 ") && last.contains("connection: close\r\n") && last.ends_with("500 Internal Server Error\n"));

            third.says(get("/panics-behind-its-answer")).await;
            assert_eq!(contents(&third.hears_the_rest().await), ["said before"]);

            neighbour.hears("said later\n").await;
            neighbour.says(get("/")).await.hears("said\n").await;
        }
    });
}

/// The same of a fast path, before a handler that has requests of its own in hand.
#[test]
fn a_fast_path_that_panics_is_a_500() {
    test::run(async {
        for limit in [1, 8] {
            let peer = || {
                Talk::with(pipelined(limit), || {
                    Register::factory(|| Slow).fast_path(|request| {
                        assert!(request.path() != "/panics", "on purpose");
                        fast(request)
                    })
                })
            };
            let (mut neighbour, mut peer) = (peer(), peer());
            neighbour.says(get("/a")).await;
            peer.says(["/fast", "/b", "/panics", "/fast"].map(get).concat()).await;
            let heard = peer.hears_the_rest().await;
            assert_eq!(contents(&heard), ["fast", "slow /b"], "{heard}");
            let (_, last) = heard.rsplit_once("HTTP/1.1 ").unwrap();
            assert!(last.starts_with("500 ") && last.contains("connection: close\r\n"), "{last}");
            neighbour.hears("slow /a\n").await;
            neighbour.says(get("/fast")).await.hears("fast\n").await;
        }
    });
}

/// B34: the whole way: the pipe to the peer is full, then our output is above its soft limit, then nothing is read, and the peer cannot say any more.
#[test]
fn who_asks_and_never_reads_is_stopped() {
    test::run(async {
        let mut peer =
            Talk::with(pipelined(16), || Register::answering(|_, responder| responder.do_send(HttpResponse::ok(vec![b'x'; 4096]))));
        let all = get("/").repeat(50_000);
        let mut said = Box::pin(peer.says(&all));
        assert!(tokio::time::timeout(Duration::from_secs(5), &mut said).await.is_err(), "1.6 MB are taken of who reads nothing");
        drop(said);
        // What it now reads is what was made for it: a pipe and the soft limit. Behind these it goes on.
        for _ in 0..100 {
            tokio::time::timeout(Duration::from_secs(5), peer.hears("HTTP/1.1 200 OK")).await.expect("it goes on when the peer reads");
        }
    });
}

/// What `Settings::on_connect` says of a connection each of its requests has, and no other's.
#[test]
fn a_connection_has_data_of_its_own() {
    #[derive(Clone, Copy)]
    struct Nth(usize);

    static CONNECTED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let settings = Settings::new().on_connect(|connected, data| {
        assert_eq!(connected.tls, None);
        let nth = CONNECTED.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        assert!(nth < 2, "on purpose");
        data.insert(Nth(nth));
    });
    let answer = |request: HttpRequest, responder: actix_sockets::Responder| {
        let Nth(nth) = *request.extensions.get().expect("its connection's data");
        responder.do_send(HttpResponse::ok(format!("said {nth} {}\n", request.content.len())));
    };
    test::run(async {
        let peer = || Talk::with(settings.clone(), move || Register::answering(answer));
        let (mut peers, mut third) = ([peer(), peer()], peer());
        for nth in [0, 1, 0] {
            let peer = &mut peers[nth];
            peer.says(get("/")).await.hears(&format!("said {nth} 0\n")).await;
            peer.says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await.hears(&format!("said {nth} 1\n")).await;
        }
        assert_eq!(third.hears_the_rest().await, "", "it has panicked: the connection is closed");
        peers[0].says(get("/")).await.hears("said 0 0\n").await;
    });
}

/// In the order of the requests, whoever answers (RFC 9112 §9.3.2).
#[test]
fn a_fast_path_before_a_handler() {
    test::run(async {
        for limit in [1, 8] {
            let mut peer = Talk::with(pipelined(limit), || Register::factory(|| Slow).fast_path(fast));
            let paths = ["/fast", "/a", "/fast", "/fast", "/b", "/fast"];
            peer.says(paths.map(get).concat()).await;
            let heard = peer.hears("slow /b\n").await + &peer.hears("fast\n").await;
            assert_eq!(contents(&heard), ["fast", "slow /a", "fast", "fast", "slow /b", "fast"]);
        }
    });
}

/// Many of them in one read, with no room for more than one at a time.
#[test]
fn a_thousand_fast_answers() {
    test::run(async {
        let mut peer = Talk::to(|| Register::factory(|| Slow).fast_path(fast));
        peer.says(get("/fast").repeat(1000) + &get("/end")).await;
        let heard = peer.hears("slow /end\n").await;
        assert_eq!(contents(&heard).len(), 1001);
    });
}

#[test]
fn what_is_no_answer_is_a_500() {
    test::run(async {
        let mut peer = Talk::to(|| Register::factory(|| Slow).fast_path(fast));
        peer.says(get("/fast-interim")).await;
        assert!(peer.hears("500 Internal Server Error\n").await.starts_with("HTTP/1.1 500 "));
    });
}

/// A function answers at once, later, or not at all.
#[test]
fn a_function_is_a_handler() {
    test::run(async {
        for limit in [1, 8] {
            let mut peer = Talk::with(pipelined(limit), || {
                Register::answering(|request, responder| match request.path() {
                    "/later" => drop(actix::spawn(async move {
                        actix::clock::sleep(Duration::from_secs(1)).await;
                        responder.do_send(HttpResponse::ok("said later\n"));
                    })),
                    "/never" => drop(responder),
                    "/stream" => {
                        let stream = responder.start(HttpResponse::ok("said "));
                        stream.do_send("in pieces\n");
                        stream.finish();
                    }
                    _ => responder.do_send(HttpResponse::ok("said\n")),
                })
            });
            peer.says(["/", "/later", "/", "/stream", "/never", "/"].map(get).concat()).await;
            let heard = peer.hears("500 Internal Server Error\n").await + &peer.hears("said\n").await;
            assert_eq!(contents(&heard), ["said", "said later", "said", "said ", "said"], "{heard}");
            assert!(heard.contains("in pieces"));
            peer.says(get("/").repeat(1000)).await;
            for _ in 0..1000 {
                peer.hears("said\n").await;
            }
        }
    });
}

/// Whoever answers, and however many come in one read: none comes past a guard.
#[test]
fn guards_stand_before_functions_and_fast_paths() {
    let settings = |limit| {
        pipelined(limit).guard(Guard::check(|asking| match asking.request.path() {
            "/secret" => Err(HttpResponse::new(StatusCode::FORBIDDEN).with_text("said no\n")),
            _ => Ok(()),
        }))
    };
    let answer = |path: &str| {
        assert_ne!(path, "/secret", "a guard has refused it");
        HttpResponse::ok("fast\n")
    };
    test::run(async {
        for limit in [1, 2, 8] {
            let fast =
                Talk::with(settings(limit), move || Register::factory(|| Slow).fast_path(move |request| Some(answer(request.path()))));
            let function = Talk::with(settings(limit), move || {
                Register::answering(move |request, responder| responder.do_send(answer(request.path())))
            });
            for mut peer in [fast, function] {
                peer.says(["/fast", "/secret", "/fast", "/secret", "/fast"].map(get).concat()).await;
                let mut heard = String::new();
                for end in ["fast\n", "said no\n", "fast\n", "said no\n", "fast\n"] {
                    heard += &peer.hears(end).await;
                }
                assert_eq!(contents(&heard), ["fast", "said no", "fast", "said no", "fast"], "{limit} at a time");
            }
        }
    });
}

/// Its handler stops, and a request waits that nobody answers: the connection waits with it, and does nothing until that is over.
#[test]
fn a_fast_path_whose_handler_is_gone() {
    let (done, is_done) = std::sync::mpsc::channel();
    // On virtual time, which stands still while there is something to be done: forever, if there always is.
    std::thread::spawn(move || {
        test::run(async {
            let http = HttpSettings::new().request_timeout(Duration::from_secs(2));
            let mut peer = Talk::with(Settings::new().http(http), || Register::factory(|| Stops).fast_path(fast));
            peer.says(get("/a")).await;
            let heard = peer.hears_the_rest().await;
            assert!(heard.starts_with("HTTP/1.1 500 ") && heard.contains("Ooops!"), "{heard}");
        });
        done.send(()).unwrap();
    });
    is_done.recv_timeout(Duration::from_secs(30)).expect("the connection comes to rest, and to its end");
}

/// Stops at its first request, whose responder is kept by somebody else, for longer than anybody waits.
struct Stops;

impl Actor for Stops {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Stops {
    type Result = ();
    fn handle(&mut self, Received { sender, .. }: Received<HttpRequest>, ctx: &mut Self::Context) {
        actix::spawn(async move {
            test::pass(Duration::from_secs(60)).await;
            drop(sender);
        });
        ctx.stop();
    }
}
