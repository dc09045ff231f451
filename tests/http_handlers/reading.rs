//! A handler made for its connection is whom the socket wakes, and reads in its own turn: nothing is lost when it waits for something else,
//! answers later, or ends.

use std::time::Duration;

use actix::prelude::*;
use actix_sockets::{HttpClose, HttpClosed, HttpRequest, HttpResponse, Received, Register, SetRequestTimeout, Settings, test};
use tokio::time::{Instant, sleep};

use crate::peer::{Talk, heard, log};

/// Does what the path says, and answers with it.
#[derive(Default)]
struct Reads;

impl Actor for Reads {
    type Context = Context<Self>;
}

/// The actor does nothing else for so long.
fn rest(ctx: &mut Context<Reads>, seconds: u64) {
    ctx.wait(sleep(Duration::from_secs(seconds)).into_actor(&Reads).map(|(), _, _| ()));
}

impl Handler<Received<HttpRequest>> for Reads {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<HttpRequest>, ctx: &mut Self::Context) {
        let path = message.path().to_string();
        let connection = sender.connection();
        match path.as_str() {
            "/later" => {
                ctx.run_later(Duration::from_secs(1), |_, _| sender.do_send(HttpResponse::ok("/later")));
                return;
            }
            "/rests" => rest(ctx, 5),
            "/rests-soon" => {
                connection.do_send(SetRequestTimeout(Duration::from_secs(300)));
                ctx.run_later(Duration::from_secs(1), |_, ctx| rest(ctx, 100));
            }
            "/rests-and-closes" => {
                let close = move |_: &mut Self, ctx: &mut Self::Context| {
                    rest(ctx, 100);
                    actix::spawn(async move {
                        sleep(Duration::from_secs(1)).await;
                        connection.do_send(HttpClose::Close);
                    });
                };
                ctx.run_later(Duration::from_secs(1), close);
            }
            "/stops" => ctx.stop(),
            _ => {}
        }
        sender.do_send(HttpResponse::ok(path));
    }
}

impl Handler<Received<HttpClosed>> for Reads {
    type Result = ();
    fn handle(&mut self, Received { message, .. }: Received<HttpClosed>, _: &mut Self::Context) {
        log(format!("{:?}", message.how));
    }
}

fn with(settings: Settings) -> Talk {
    Talk::with(settings, || Register::factory(|| Reads).hears::<HttpClosed>())
}

fn peer() -> Talk {
    with(Settings::new())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn answers_at_once_and_later_by_turns_are_all_heard() {
    test::run(async {
        let mut peer = peer();
        for path in ["/now", "/later", "/now", "/now", "/later", "/later", "/now"] {
            peer.says(get(path)).await.hears(&format!("\r\n\r\n{path}")).await;
        }
        // A head in pieces, and two heads at once.
        for piece in ["GET /n", "ow HTTP/1.1\r\nHo", "st: a\r\n\r", "\n"] {
            peer.says(piece).await;
        }
        peer.hears("\r\n\r\n/now").await;
        peer.says(get("/now") + &get("/later")).await.hears("\r\n\r\n/now").await;
        peer.hears("\r\n\r\n/later").await;
        peer.hears_nothing().await;
    });
}

#[test]
fn what_comes_while_the_actor_waits_is_answered_behind_that() {
    test::run(async {
        let mut peer = peer();
        peer.says(get("/now")).await.hears("\r\n\r\n/now").await;
        peer.says(get("/rests")).await.hears("\r\n\r\n/rests").await;
        let asked = Instant::now();
        peer.says(get("/now")).await.hears("\r\n\r\n/now").await;
        assert_eq!(asked.elapsed().as_secs(), 5);
    });
}

/// The actor begins to wait when it is the one that the socket wakes: nobody reads, and yet the connection is not idle.
#[test]
fn a_request_that_comes_while_the_actor_waits_does_not_meet_the_idle_timeout() {
    test::run(async {
        let mut peer = peer();
        peer.says(get("/rests-soon")).await.hears("\r\n\r\n/rests-soon").await;
        sleep(Duration::from_secs(2)).await;
        let asked = Instant::now();
        peer.says(get("/now")).await;
        sleep(Duration::from_secs(98)).await;
        peer.hears("\r\n\r\n/now").await;
        assert_eq!(asked.elapsed().as_secs(), 99);
    });
}

#[test]
fn the_connection_can_be_closed_while_the_actor_waits() {
    test::run(async {
        let mut peer = peer();
        peer.says(get("/rests-and-closes")).await.hears("\r\n\r\n/rests-and-closes").await;
        let asked = Instant::now();
        assert_eq!(peer.hears_the_rest().await, "");
        assert_eq!(asked.elapsed().as_secs(), 2);
    });
}

#[test]
fn the_peers_end_is_read_in_the_actors_turn() {
    test::run(async {
        let mut peer = peer();
        peer.says(get("/now")).await.hears("\r\n\r\n/now").await;
        assert_eq!(peer.finishes().hears_the_rest().await, "");
        assert_eq!(heard(), ["PeerClosed"]);
    });
}

#[test]
fn what_is_no_http_is_refused_in_the_actors_turn() {
    test::run(async {
        let mut peer = peer();
        peer.says(get("/now")).await.hears("\r\n\r\n/now").await;
        let refused = peer.says("\0\0\r\n\r\n").await.hears_the_rest().await;
        assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
    });
}

/// The connection's task takes over from a feeder that is gone.
#[test]
fn an_actor_that_stops_takes_the_connection_along() {
    test::run(async {
        let mut peer = peer();
        peer.says(get("/now")).await.hears("\r\n\r\n/now").await;
        peer.says(get("/stops")).await.hears("\r\n\r\n/stops").await;
        assert_eq!(peer.hears_the_rest().await, "");
    });
}

/// Unlike the time of a request, which an actor that waits has too little of.
#[test]
fn an_idle_connection_ends_as_ever() {
    test::run(async {
        let mut peer = peer();
        peer.says(get("/now")).await.hears("\r\n\r\n/now").await;
        let asked = Instant::now();
        sleep(Duration::from_secs(59)).await;
        peer.hears_nothing().await;
        assert_eq!(peer.hears_the_rest().await, "");
        assert_eq!(asked.elapsed().as_secs(), 60);
    });
}
