//! SprayCanServerSpec: 23 examples. Both sides are ours, over real TCP.

mod targets;

use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::{HttpEnd, Settings as HttpSettings};
use actix_sockets::{
    Bind, Bound, Chunk, ContentAborted, ContentEnd, HttpClosed, HttpRequest, HttpResponse, Received, Register, RequestStart, Responder,
    SetRequestTimeout, SetTimeoutTimeout, Settings, Sockets, Streaming, TimedOut, Unbind,
};
use bytes::Bytes;
use http::{Method, Uri};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::spray_can_client::{connect, get};

/// Answers with the path; `/a` waits for `/b`, and is answered with its content, too.
#[derive(Default)]
pub(crate) struct Echo {
    waiting: Option<(Responder, Bytes)>,
    never: Option<Responder>,
    stream: Option<Streaming>,
    /// Who hears how a connection has ended.
    ends: Option<UnboundedSender<HttpEnd>>,
}

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Echo {
    type Result = ();

    fn handle(&mut self, Received { message, sender }: Received<HttpRequest>, _: &mut Context<Self>) {
        match message.path() {
            "/a" => self.waiting = Some((sender, message.content)),
            "/never" => self.never = Some(sender),
            "/b" => {
                sender.do_send(HttpResponse::ok("/b"));
                if let Some((first, content)) = self.waiting.take() {
                    first.do_send(HttpResponse::ok([b"/a", &content[..]].concat()));
                }
            }
            "/begins" => self.stream = Some(sender.start(HttpResponse::ok("ok-abc"))),
            "/stream" => {
                let stream = sender.start(HttpResponse::ok("yeah"));
                stream.do_send("234");
                stream.do_send("345");
                stream.finish();
            }
            _ if message.content.is_empty() => sender.do_send(HttpResponse::ok(message.uri.to_string())),
            _ => sender.do_send(HttpResponse::ok(message.content)),
        }
    }
}

impl Handler<Received<HttpClosed>> for Echo {
    type Result = ();

    fn handle(&mut self, Received { message, .. }: Received<HttpClosed>, _: &mut Context<Self>) {
        let _ = self.ends.as_ref().unwrap().send(message.how);
    }
}

/// As spray's: four requests are in hand, and a peer that has closed is gone, whether it still reads or not.
pub(crate) async fn listening(bind: Bind) -> Bound {
    let settings = Settings::new().http(HttpSettings::new().pipelining_limit(4).allow_half_closed(false));
    Sockets::from_registry().send(bind.workers(1).settings(settings)).await.unwrap().unwrap()
}

pub(crate) async fn bound() -> Bound {
    listening(Bind::factory(Echo::default, "127.0.0.1:0")).await
}

/// And who hears how its connections end.
pub(crate) async fn bound_and_ends() -> (Bound, UnboundedReceiver<HttpEnd>) {
    let (tell, ends) = unbounded_channel();
    let echo = move || {
        let ends = Some(tell.clone());
        Register::factory(move || Echo { ends, ..Echo::default() }).hears::<HttpClosed>()
    };
    (listening(Bind::registering(echo, "127.0.0.1:0")).await, ends)
}

#[test]
fn bind_and_unbind() {
    System::new().block_on(async {
        let bound = bound().await;
        let unbound = bound.listener.send(Unbind::default()).await.unwrap();
        assert_eq!(unbound.cut_off(), 0);
        assert!(std::net::TcpStream::connect(bound.address).is_err(), "nobody listens any more");
    });
}

/// spray says `Unbound` at once, and the listener ends with its last connection. Here `Unbound` waits for that, or for the grace to be over: a connection
/// with nothing in hand is closed, one with a response on its way is cut off then.
#[test]
fn unbind_with_grace() {
    System::new().block_on(async {
        let bound = bound().await;
        let (idle, requester) = (connect(bound.address).await, connect(bound.address).await);
        assert_eq!(idle.send(get("/abc")).await.unwrap().content, "/abc");
        let (_, mut body) = requester.send_streaming(get("/begins")).await.unwrap();
        assert_eq!(body.next().await.unwrap().unwrap().data, "ok-abc");
        assert_eq!(bound.listener.send(Unbind::within(Duration::from_millis(100))).await.unwrap().cut_off(), 1);
        assert!(body.next().await.unwrap().is_err() && idle.send(get("/abc")).await.is_err());
        assert!(std::net::TcpStream::connect(bound.address).is_err(), "nobody listens any more");
    });
}

#[test]
fn a_simple_cycle() {
    System::new().block_on(async {
        let requester = connect(bound().await.address).await;
        assert_eq!(requester.send(get("/abc")).await.unwrap().content, "/abc");
    });
}

/// Who answers need be no actor, nor on the arbiter of the connection.
#[test]
fn an_answer_from_anywhere() {
    System::new().block_on(async {
        let elsewhere = || {
            Register::answering(|request: HttpRequest, sender: Responder| {
                let thread = std::thread::spawn(move || sender.do_send(HttpResponse::ok(format!("{} yeah", request.path()))));
                thread.join().unwrap();
            })
        };
        let bound = listening(Bind::registering(elsewhere, "127.0.0.1:0")).await;
        assert_eq!(connect(bound.address).await.send(get("/abc")).await.unwrap().content, "/abc yeah");
    });
}

#[test]
fn the_order_of_pipelined_requests() {
    System::new().block_on(async {
        let requester = connect(bound().await.address).await;
        let (a, b) = (requester.send(get("/a")), requester.send(get("/b")));
        assert_eq!(a.await.unwrap().content, "/a");
        assert_eq!(b.await.unwrap().content, "/b");
    });
}

/// Hears content as it comes, and answers in the same way: with `yeah`, what it has heard, and `345`.
#[derive(Default)]
struct Pieces(Vec<Bytes>, Option<Responder>);

impl Actor for Pieces {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Pieces {
    type Result = ();
    fn handle(&mut self, _: Received<HttpRequest>, _: &mut Context<Self>) {
        panic!("its content is told as it comes");
    }
}

impl Handler<Received<RequestStart>> for Pieces {
    type Result = ();
    fn handle(&mut self, start: Received<RequestStart>, _: &mut Context<Self>) {
        assert_eq!(start.message.request.path(), "/abc");
        self.1 = Some(start.sender);
    }
}

impl Handler<Received<Chunk>> for Pieces {
    type Result = ();
    fn handle(&mut self, chunk: Received<Chunk>, _: &mut Context<Self>) {
        self.0.push(chunk.message.data);
    }
}

impl Handler<Received<ContentEnd>> for Pieces {
    type Result = ();
    fn handle(&mut self, _: Received<ContentEnd>, _: &mut Context<Self>) {
        let stream = self.1.take().unwrap().start(HttpResponse::ok("yeah"));
        for piece in self.0.drain(..) {
            stream.do_send(piece);
        }
        stream.do_send("345");
        stream.finish();
    }
}

impl Handler<Received<ContentAborted>> for Pieces {
    type Result = ();
    fn handle(&mut self, aborted: Received<ContentAborted>, _: &mut Context<Self>) {
        panic!("{:?}", aborted.message);
    }
}

/// spray's `RegisterChunkHandler` is asked for with the registration. A chunk goes out before the next is made: it is acknowledged.
#[test]
fn a_chunked_cycle() {
    System::new().block_on(async {
        let pieces = || Register::factory(Pieces::default).hears::<RequestStart>();
        let bound = listening(Bind::registering(pieces, "127.0.0.1:0")).await;
        let requester = connect(bound.address).await;
        let (request, answer) = requester.start_streaming(HttpRequest::new(Method::POST, Uri::from_static("http://a/abc")));
        for chunk in ["123", "456"] {
            request.send(chunk).await.unwrap();
        }
        request.finish();
        let (head, mut body) = answer.await.unwrap();
        assert_eq!((head.header("transfer-encoding"), head.content.len()), (Some("chunked"), 0));
        let mut heard = Vec::new();
        while let Some(chunk) = body.next().await {
            heard.extend_from_slice(&chunk.unwrap().data);
        }
        assert_eq!(heard, b"yeah123456345");
    });
}

/// The handler does not hear of what the fast path answers.
#[test]
fn responses_on_the_fast_path() {
    System::new().block_on(async {
        let fast = |request: &HttpRequest| (request.path() == "/fast").then(|| HttpResponse::ok("on the fast path"));
        let bind = Bind::registering(move || Register::factory(Echo::default).fast_path(fast), "127.0.0.1:0").workers(1);
        let bound = Sockets::from_registry().send(bind).await.unwrap().unwrap();
        let requester = connect(bound.address).await;
        assert_eq!(requester.send(get("/fast")).await.unwrap().content, "on the fast path");
        assert_eq!(requester.send(get("/slow")).await.unwrap().content, "/slow");
    });
}

/// Gives itself 100 ms and 100 more, and answers neither then nor when it hears that they are over.
struct Late(Vec<Responder>, UnboundedSender<String>);

impl Actor for Late {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Late {
    type Result = ();
    fn handle(&mut self, Received { sender, .. }: Received<HttpRequest>, _: &mut Context<Self>) {
        let connection = sender.connection();
        connection.do_send(SetRequestTimeout(Duration::from_millis(100)));
        connection.do_send(SetTimeoutTimeout(Duration::from_millis(100)));
        self.0.push(sender);
    }
}

impl Handler<Received<TimedOut>> for Late {
    type Result = ();
    fn handle(&mut self, timed_out: Received<TimedOut>, _: &mut Context<Self>) {
        self.1.send(timed_out.message.request.path().to_owned()).unwrap();
        self.0.push(timed_out.sender);
    }
}

#[test]
fn timeouts_are_changed_while_a_request_waits() {
    System::new().block_on(async {
        let (tell, mut told) = unbounded_channel();
        let late = move || {
            let tell = tell.clone();
            Register::factory(move || Late(Vec::new(), tell)).hears::<TimedOut>()
        };
        let bound = listening(Bind::registering(late, "127.0.0.1:0")).await;
        let response = connect(bound.address).await.send(get("/abc")).await.unwrap();
        assert_eq!(told.recv().await.unwrap(), "/abc");
        let text = "Ooops! The server was not able to produce a timely response to your request.\r\nPlease try again in a short while!";
        assert_eq!((response.status.as_u16(), response.content.as_ref()), (500, text.as_bytes()));
    });
}
