//! HTTP connections that were accepted.

use std::cell::RefCell;
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::Settings as HttpSettings;
use actix_sockets::test::{self, Peer};
use actix_sockets::{
    Budget, Chunk, Content, ContentAborted, ContentEnd, Frame, HttpRequest, HttpResponse, Received, Register, RequestStart, Responder,
    Settings,
};

use crate::{KIB, LIMIT, READ, STEP, a_moment, heard, lets_go, limited, peer};

thread_local! {
    /// Requests that are not answered.
    static ASKED: RefCell<Vec<(HttpRequest, Responder)>> = RefCell::default();
}

/// A connection to a handler that keeps all requests.
fn asker() -> Peer {
    let http = HttpSettings::new().request_timeout(Duration::from_secs(3600));
    test::registering(Settings::new().http(http), || {
        Register::answering(|request, responder| ASKED.with(|asked| asked.borrow_mut().push((request, responder))))
    })
}

fn asked() -> usize {
    ASKED.with(|asked| asked.borrow().len())
}

/// Answers all, with so many bytes.
fn answers(length: usize) {
    for (_, responder) in ASKED.with(|asked| std::mem::take(&mut *asked.borrow_mut())) {
        responder.do_send(HttpResponse::ok(vec![b'a'; length]));
    }
}

/// A request with content of this length, but for so many bytes at its end.
fn post(length: usize, without: usize) -> Vec<u8> {
    let mut bytes = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    bytes.extend(vec![b'x'; length - without]);
    bytes
}

async fn hears_an_answer(peer: &mut Peer) {
    let heard = peer.hears_bytes().await.expect("an answer");
    assert!(heard.starts_with(b"HTTP/1.1 200 "), "{}", heard.escape_ascii());
}

/// Requests in hand: their content counts until they are answered. Websockets and HTTP share one budget.
#[test]
fn requests_in_hand_count_until_they_are_answered() {
    let _limited = limited(Budget::bytes(LIMIT));
    test::run(async {
        let mut peers: Vec<_> = (0..8).map(|_| asker()).collect();
        let mut websocket = peer().await;
        for peer in &mut peers {
            peer.says_bytes(&post(48 * KIB, 0)).await;
            a_moment().await;
        }
        let (told, counted) = (asked(), Budget::buffered());
        println!("limit {LIMIT}, counted {counted}, {told} of 8 requests with 48 KiB are in hand");
        assert_eq!(told, 6, "the one that passes the limit is the last");
        assert!(counted > LIMIT && counted <= LIMIT + READ + STEP, "{counted}");
        websocket.says(Frame::text("me, too")).await;
        // Nobody who waits is taken for idle, or slow.
        test::pass(Duration::from_secs(300)).await;
        assert_eq!((asked(), heard()), (6, 0));
        answers(3);
        a_moment().await;
        assert_eq!((asked(), heard()), (2, 1));
        answers(3);
        lets_go();
        for peer in &mut peers {
            hears_an_answer(peer).await;
        }
        a_moment().await;
        assert_eq!(Budget::buffered(), 0, "all is given back");
    });
}

/// Requests that are not all there fill the budget: one after the other is read to its end, and the deadlines of the others stand still.
#[test]
fn requests_that_fill_it_are_finished_one_by_one() {
    let _limited = limited(Budget::bytes(LIMIT));
    test::run(async {
        let length = 60 * KIB;
        let mut peers: Vec<_> = (0..6).map(|_| asker()).collect();
        for peer in &mut peers {
            peer.says_bytes(&post(length, 1)).await;
            a_moment().await;
        }
        let counted = Budget::buffered();
        println!("limit {LIMIT}, counted {counted} of requests that are not all there");
        assert!(counted > LIMIT && counted <= LIMIT + length + STEP, "{counted}");
        assert_eq!(asked(), 0);
        for peer in &mut peers {
            peer.says_bytes(b"x").await;
        }
        a_moment().await;
        assert_eq!(asked(), 5, "those that had begun; the sixth is not to begin");
        answers(3);
        a_moment().await;
        assert_eq!(asked(), 1);
        answers(3);
        a_moment().await;
        assert_eq!(Budget::buffered(), 0);
    });
}

/// An answer that its peer does not read counts, and keeps others waiting until it is read or its time is over.
#[test]
fn answers_that_are_not_read_count() {
    let _limited = limited(Budget::bytes(LIMIT));
    test::run(async {
        let (mut slow, mut other) = (asker(), asker());
        slow.says_bytes(&post(1, 0)).await;
        a_moment().await;
        answers(2 * LIMIT);
        a_moment().await;
        let counted = Budget::buffered();
        println!("limit {LIMIT}, counted {counted} of an answer that is not read");
        assert!(counted > LIMIT && counted < 2 * LIMIT, "{counted}");
        other.says_bytes(&post(1, 0)).await;
        a_moment().await;
        assert_eq!(asked(), 0);
        // It gives up a peer that takes nothing for 30 s.
        test::pass(Duration::from_secs(60)).await;
        assert_eq!((asked(), Budget::buffered()), (1, 0));
        answers(3);
        hears_an_answer(&mut other).await;
        drop(slow);
    });
}

/// The largest offender is an HTTP connection: it is cut.
#[test]
fn the_largest_http_connection_is_cut_where_that_is_wanted() {
    let _limited = limited(Budget::bytes(LIMIT).close_largest());
    test::run(async {
        let (mut large, mut small) = (asker(), asker());
        small.says_bytes(&post(60 * KIB, 0)).await;
        a_moment().await;
        // It is cut within its request.
        let content = post(1 << 20, 0);
        for piece in content.chunks(48 * KIB).take(5) {
            large.says_bytes(piece).await;
            a_moment().await;
        }
        large.hears_the_end().await;
        answers(3);
        hears_an_answer(&mut small).await;
        assert_eq!(Budget::buffered(), 0);
    });
}

/// Keeps the content that it is told, and answers when all of it has come.
#[derive(Default)]
struct Upload {
    responder: Option<Responder>,
}

thread_local! {
    /// How many bytes were told, and the pieces that are kept.
    static PIECES: RefCell<(usize, Vec<Content>)> = const { RefCell::new((0, Vec::new())) };
}

impl Actor for Upload {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Upload {
    type Result = ();
    fn handle(&mut self, _: Received<HttpRequest>, _: &mut Self::Context) {}
}

impl Handler<Received<RequestStart>> for Upload {
    type Result = ();
    fn handle(&mut self, start: Received<RequestStart>, _: &mut Self::Context) {
        self.responder = Some(start.sender);
    }
}

impl Handler<Received<Chunk>> for Upload {
    type Result = ();
    fn handle(&mut self, chunk: Received<Chunk>, _: &mut Self::Context) {
        PIECES.with_borrow_mut(|(told, kept)| {
            *told += chunk.message.data.len();
            kept.push(chunk.sender);
        });
    }
}

impl Handler<Received<ContentEnd>> for Upload {
    type Result = ();
    fn handle(&mut self, _: Received<ContentEnd>, _: &mut Self::Context) {
        self.responder.take().unwrap().do_send(HttpResponse::ok("all of it"));
    }
}

impl Handler<Received<ContentAborted>> for Upload {
    type Result = ();
    fn handle(&mut self, aborted: Received<ContentAborted>, _: &mut Self::Context) {
        panic!("{:?}", aborted.message);
    }
}

/// How many bytes were told.
fn told() -> usize {
    PIECES.with_borrow(|(told, _)| *told)
}

fn gives_back() {
    drop(PIECES.with_borrow_mut(|(_, kept)| std::mem::take(kept)));
}

/// Content that is told as it comes: above the limit whoever has something of it in hand is not read, and giving it back is all that is needed to go on.
#[test]
fn content_in_hand_counts_until_it_is_given_back() {
    const UPLOADS: usize = 16;
    let _limited = limited(Budget::bytes(LIMIT));
    test::run(async {
        let mut peers: Vec<_> = (0..UPLOADS)
            .map(|_| test::registering(Settings::new(), || Register::factory(Upload::default).hears::<RequestStart>()))
            .collect();
        for peer in &mut peers {
            peer.says_bytes(&post(64 * KIB, 64 * KIB)).await;
        }
        a_moment().await;
        for piece in [48 * KIB, 16 * KIB] {
            for peer in &mut peers {
                peer.says_bytes(&vec![b'x'; piece]).await;
                a_moment().await;
            }
        }
        // Nobody who waits is taken for slow.
        test::pass(Duration::from_secs(300)).await;
        // Who comes when the limit is passed is read once.
        let (counted, bound) = (Budget::buffered(), LIMIT + READ + (UPLOADS - LIMIT / (48 * KIB)) * 48 * KIB);
        println!("limit {LIMIT}, counted {counted} of {UPLOADS} uploads whose content is kept, at most {bound}");
        assert!(counted > LIMIT && counted <= bound && bound < UPLOADS * 64 * KIB, "{counted}");
        // They go on: what is given back is all that they wait for.
        while told() < UPLOADS * 64 * KIB {
            let before = told();
            gives_back();
            a_moment().await;
            assert!(told() > before, "{before}");
        }
        gives_back();
        for peer in &mut peers {
            hears_an_answer(peer).await;
        }
        a_moment().await;
        assert_eq!(Budget::buffered(), 0, "all is given back");
    });
}
