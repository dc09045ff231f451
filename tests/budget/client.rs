//! HTTP connections that we have made.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::HttpError;
use actix_sockets::test::{self, Peer};
use actix_sockets::{
    Budget, Chunk, Connect, Connected, Content, ContentAborted, ContentEnd, Frame, HttpRequest, HttpResponse, Received, Requester,
    ResponseStart,
};
use tokio::time::Instant;

use crate::{KIB, LIMIT, READ, STEP, a_moment, heard, lets_go, limited, peer};

thread_local! {
    /// Pieces of responses that are kept.
    static KEPT: RefCell<Vec<Content>> = const { RefCell::new(Vec::new()) };
    /// How many bytes were told, and how many ends.
    static TOLD: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    static REQUESTER: Cell<Option<Requester>> = const { Cell::new(None) };
}

/// Keeps the content that it is told.
struct Keeps;

impl Actor for Keeps {
    type Context = Context<Self>;
}

macro_rules! hears {
    ($message:ty, |$received:pat_param| $body:expr) => {
        impl Handler<$message> for Keeps {
            type Result = ();
            fn handle(&mut self, $received: $message, _: &mut Context<Self>) {
                $body
            }
        }
    };
}

hears!(Received<Connected, Requester>, |connected| REQUESTER.set(Some(connected.sender)));
hears!(Received<ResponseStart>, |start| drop(start.message.content));
hears!(Received<Chunk>, |chunk| {
    TOLD.set((TOLD.get().0 + chunk.message.data.len(), TOLD.get().1));
    KEPT.with_borrow_mut(|kept| kept.push(chunk.sender));
});
hears!(Received<ContentEnd>, |_| TOLD.set((TOLD.get().0, TOLD.get().1 + 1)));
hears!(Received<ContentAborted>, |aborted| panic!("{:?}", aborted.message));

fn gives_back() {
    drop(KEPT.take());
}

/// A connection, and the server at its other end.
async fn connected() -> (Peer, Requester) {
    let keeps = Keeps.start();
    let server = test::connected(Connect::new(keeps.clone(), "nowhere", 0).streams_responses_to(keeps));
    a_moment().await;
    (server, REQUESTER.take().expect("it has heard that it is connected"))
}

/// The head of a response, and so much of its content.
fn response(length: usize, of_it: usize) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    bytes.extend(vec![b'x'; of_it]);
    bytes
}

/// So many that have each asked, and were told the beginning of a response of this length.
async fn responding(number: usize, length: usize) -> Vec<(Peer, Requester)> {
    let mut all = Vec::new();
    for _ in 0..number {
        let (mut server, requester) = connected().await;
        requester.do_send(test::get("/"));
        server.hears_bytes().await.expect("a request");
        server.says_bytes(&response(length, 0)).await;
        all.push((server, requester));
    }
    a_moment().await;
    all
}

/// Above the limit whoever has something of a response in hand is not read, and giving it back is all that is needed to go on. Websockets share the budget.
#[test]
fn responses_in_hand_count_until_they_are_given_back() {
    const CLIENTS: usize = 16;
    let _limited = limited(Budget::bytes(LIMIT));
    test::run(async {
        let mut servers = responding(CLIENTS, 64 * KIB).await;
        let mut websocket = peer().await;
        for piece in [48 * KIB, 16 * KIB] {
            for (server, _) in &mut servers {
                server.says_bytes(&vec![b'x'; piece]).await;
                a_moment().await;
            }
        }
        websocket.says(Frame::text("me, too")).await;
        // No server that waits is taken for slow.
        test::pass(Duration::from_secs(300)).await;
        // Which is told its first piece when the limit is passed is read once.
        let (counted, bound) = (Budget::buffered(), LIMIT + READ + (CLIENTS - LIMIT / (48 * KIB)) * 48 * KIB);
        println!("limit {LIMIT}, counted {counted} of {CLIENTS} responses whose content is kept, at most {bound}");
        assert!(counted > LIMIT && counted <= bound && bound < CLIENTS * 64 * KIB, "{counted}");
        assert_eq!(heard(), 0, "the websocket waits, too");
        // They go on: what is given back is all that they wait for.
        while TOLD.get().0 < CLIENTS * 64 * KIB {
            let before = TOLD.get().0;
            gives_back();
            a_moment().await;
            assert!(TOLD.get().0 > before, "{before}");
        }
        gives_back();
        a_moment().await;
        assert_eq!((TOLD.get().1, heard()), (CLIENTS, 1));
        lets_go();
        a_moment().await;
        assert_eq!(Budget::buffered(), 0, "all is given back");
    });
}

/// n and n + 1.
#[test]
fn at_the_limit_a_response_goes_on() {
    let _limited = limited(Budget::bytes(48 * KIB));
    test::run(async {
        let mut servers = responding(1, 144 * KIB).await;
        let mut told = Vec::new();
        for _ in 0..3 {
            servers[0].0.says_bytes(&[b'x'; 48 * KIB]).await;
            a_moment().await;
            told.push((TOLD.get().0 / KIB, Budget::buffered() / KIB));
        }
        assert_eq!(told, [(48, 48), (96, 96), (96, 96)], "the first fills it, the second passes it, the third waits");
        gives_back();
        a_moment().await;
        assert_eq!(TOLD.get(), (144 * KIB, 1));
        gives_back();
    });
}

/// Responses that are told whole and are not all there: one after the other is read to its end. Then they are their askers'.
#[test]
fn responses_that_fill_it_are_finished_one_by_one() {
    let _limited = limited(Budget::bytes(LIMIT));
    test::run(async {
        let length = 60 * KIB;
        let (mut servers, mut answers) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            let (mut server, requester) = connected().await;
            answers.push(requester.send(test::get("/")));
            server.hears_bytes().await.expect("a request");
            server.says_bytes(&response(length, length - 1)).await;
            a_moment().await;
            servers.push((server, requester));
        }
        let counted = Budget::buffered();
        println!("limit {LIMIT}, counted {counted} of responses that are not all there");
        assert!(counted > LIMIT && counted <= LIMIT + length + STEP + READ, "the one that passes it, and one more: {counted}");
        for (server, _) in &mut servers {
            server.says_bytes(b"x").await;
        }
        for answer in answers {
            assert_eq!(answer.await.expect("a response").content.len(), length);
        }
        a_moment().await;
        assert_eq!(Budget::buffered(), 0);
    });
}

/// A request that its server does not read counts, and keeps others waiting until its time is over.
#[test]
fn requests_that_are_not_read_count() {
    let _limited = limited(Budget::bytes(LIMIT));
    test::run(async {
        let (server, requester) = connected().await;
        let mut websocket = peer().await;
        let mut request = test::get("/");
        request.method = "POST".parse().unwrap();
        request.content = vec![b'x'; 2 * LIMIT].into();
        let answer = requester.send(request);
        a_moment().await;
        let counted = Budget::buffered();
        println!("limit {LIMIT}, counted {counted} of a request that is not read");
        assert!(counted > LIMIT && counted < 2 * LIMIT, "{counted}");
        websocket.says(Frame::text("me, too")).await;
        a_moment().await;
        assert_eq!(heard(), 0);
        assert!(matches!(answer.await, Err(HttpError::WriteTimeout | HttpError::ResponseTimeout)), "it is given up");
        a_moment().await;
        assert_eq!((heard(), Budget::buffered()), (1, 0));
        lets_go();
        drop(server);
    });
}

/// The largest offender is a client's connection: it is cut, and whoever asked hears so.
#[test]
fn the_largest_is_cut_where_that_is_wanted() {
    let _limited = limited(Budget::bytes(LIMIT).close_largest());
    test::run(async {
        let (mut large, requester) = connected().await;
        let answer = requester.send(test::get("/"));
        large.hears_bytes().await.expect("a request");
        for piece in response(1 << 20, 1 << 20).chunks(48 * KIB).take(6) {
            large.says_bytes(piece).await;
            a_moment().await;
        }
        large.hears_the_end().await;
        assert_eq!(answer.await.expect_err("it is cut"), HttpError::Truncated);
        assert_eq!(Budget::buffered(), 0);
    });
}

/// Answers with more than there is room for.
struct Much;

impl Actor for Much {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Much {
    type Result = ();
    fn handle(&mut self, request: Received<HttpRequest>, _: &mut Self::Context) {
        request.sender.do_send(HttpResponse::ok(vec![b'x'; 2 * LIMIT]));
    }
}

/// Both ends are in this process: what one has to write fills the budget, and only the other's reading frees it.
#[test]
fn who_waits_for_a_response_may_read_it() {
    let _limited = limited(Budget::bytes(LIMIT));
    test::run(async {
        let began = Instant::now();
        let clients: Vec<_> = (0..4).map(|_| test::connection(|| Much)).collect();
        let answers: Vec<_> = clients.iter().map(|client| client.send(test::get("/"))).collect();
        a_moment().await;
        for answer in answers {
            assert_eq!(answer.await.expect("a response").content.len(), 2 * LIMIT);
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        a_moment().await;
        assert_eq!(Budget::buffered(), 0);
    });
}
