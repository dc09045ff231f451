//! SprayCanServerSpec: both sides are ours, over real TCP.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::Settings as HttpSettings;
use actix_sockets::{
    Bind, Bound, Chunk, ContentAborted, ContentEnd, HttpRequest, HttpResponse, Received, Register, RequestStart, Responder, Settings,
    Sockets, Unbind,
};
use http::{HeaderValue, Method, Uri};

use crate::peer::{Peer, refused};
use crate::spray_can_client::{connect, get};

/// Answers with the path; `/a` waits for `/b`.
#[derive(Default)]
pub(crate) struct Echo {
    waiting: HashMap<String, Responder>,
}

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Echo {
    type Result = ();

    fn handle(&mut self, Received { message, sender }: Received<HttpRequest>, _: &mut Context<Self>) {
        match message.path() {
            "/a" => drop(self.waiting.insert("/a".to_owned(), sender)),
            "/never" => drop(self.waiting.insert("/never".to_owned(), sender)),
            "/b" => {
                sender.do_send(HttpResponse::ok("/b"));
                if let Some(first) = self.waiting.remove("/a") {
                    first.do_send(HttpResponse::ok("/a"));
                }
            }
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

pub(crate) async fn bound() -> Bound {
    let settings = Settings::new().http(HttpSettings::new().pipelining_limit(4));
    let bind = Bind::factory(Echo::default, "127.0.0.1:0").workers(1).settings(settings);
    Sockets::from_registry().send(bind).await.unwrap().unwrap()
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

/// A request in hand is answered, and `Unbound` waits for it.
#[test]
fn unbind_with_grace() {
    System::new().block_on(async {
        let bound = bound().await;
        let requester = connect(bound.address).await;
        let first = requester.send(get("/a"));
        let second = requester.send(get("/x"));
        actix::clock::sleep(Duration::from_millis(50)).await;
        let unbound = actix::spawn(bound.listener.send(Unbind::within(Duration::from_millis(300))));
        actix::clock::sleep(Duration::from_millis(50)).await;
        assert!(!unbound.is_finished(), "a connection has requests in hand");
        assert_eq!(unbound.await.unwrap().unwrap().cut_off(), 1, "the handler never answers: the grace is over");
        assert!(first.await.is_err() && second.await.is_err());
    });
}

#[test]
fn a_simple_cycle() {
    System::new().block_on(async {
        let requester = connect(bound().await.address).await;
        assert_eq!(requester.send(get("/abc")).await.unwrap().content, "/abc");
    });
}

/// Streamed out; in, it is content that was complete.
#[test]
fn a_cycle_with_content_and_a_streamed_response() {
    System::new().block_on(async {
        let requester = connect(bound().await.address).await;
        let upload = HttpRequest::new(Method::POST, Uri::from_static("http://a/up")).with_content("123456");
        assert_eq!(requester.send(upload).await.unwrap().content, "123456");
        let streamed = requester.send(get("/stream")).await.unwrap();
        assert_eq!((streamed.header("transfer-encoding"), streamed.content.as_ref()), (Some("chunked"), &b"yeah234345"[..]));
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

/// spray says what is wrong; we say the status only, for it goes to strangers.
#[test]
fn errors_are_answered_by_the_server() {
    refused(400, "GET / HTTP/1.1\r\n\r\n");
    refused(400, "GET / HTTP/1.1\r\nHost:\r\n\r\n");
    refused(400, "GET / HTTP/1.0\r\nHost:\r\n\r\n");
    refused(400, "GET http://host:naaa HTTP/1.1\r\nHost: host\r\n\r\n");
    refused(400, "GET /path?query#fragment HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(400, "GET http:/foo HTTP/1.1\r\nHost: spray.io\r\n\r\n");
    refused(400, "GET http://foo/bar HTTP/1.1\r\nHost: spray.io\r\n\r\n");
}

/// spray refuses an HTTP/1.0 request without Host unless it has a default for it; the handler is asked here.
#[test]
fn http_1_0_without_host() {
    for target in ["/foo", "http://foo/bar"] {
        let (_, request) = Peer::new(HttpSettings::new()).says(format!("GET {target} HTTP/1.0\r\n\r\n")).request();
        assert_eq!((request.uri.to_string().as_str(), request.header("host")), (target, None));
    }
}

/// spray has a header for it; `uri` is never decoded here.
#[test]
fn the_raw_request_target() {
    for (target, version) in [("/f%6f%6fbar?q=b%61z", "1.1"), ("/f%6f%6fbar?q=b%61z", "1.0"), ("http://example.com/f%6f?q=b%61z", "1.1")] {
        let (_, request) =
            Peer::new(HttpSettings::new()).says(format!("GET {target} HTTP/{version}\r\nHost: example.com\r\n\r\n")).request();
        assert_eq!(request.uri, target);
    }
}

/// Answers with what came, in the pieces in which it came.
#[derive(Default)]
struct Pieces(Vec<String>, Option<Responder>);

impl Actor for Pieces {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Pieces {
    type Result = ();
    fn handle(&mut self, _: Received<HttpRequest>, _: &mut Context<Self>) {}
}

impl Handler<Received<RequestStart>> for Pieces {
    type Result = ();
    fn handle(&mut self, start: Received<RequestStart>, _: &mut Context<Self>) {
        self.1 = Some(start.sender);
    }
}

impl Handler<Received<Chunk>> for Pieces {
    type Result = ();
    fn handle(&mut self, chunk: Received<Chunk>, _: &mut Context<Self>) {
        self.0.push(String::from_utf8_lossy(&chunk.message.data).into_owned());
    }
}

impl Handler<Received<ContentEnd>> for Pieces {
    type Result = ();
    fn handle(&mut self, _: Received<ContentEnd>, _: &mut Context<Self>) {
        self.1.take().unwrap().do_send(HttpResponse::ok(std::mem::take(&mut self.0).join("|")));
    }
}

impl Handler<Received<ContentAborted>> for Pieces {
    type Result = ();
    fn handle(&mut self, _: Received<ContentAborted>, _: &mut Context<Self>) {}
}

/// spray's `RegisterChunkHandler` is asked for with the registration.
#[test]
fn a_chunked_request_is_handed_out_as_it_comes() {
    System::new().block_on(async {
        let bind = Bind::registering(|| Register::factory(Pieces::default).hears::<RequestStart>(), "127.0.0.1:0").workers(1);
        let bound = Sockets::from_registry().send(bind).await.unwrap().unwrap();
        let heard = actix::spawn(tokio::task::spawn_blocking(move || {
            let mut tcp = std::net::TcpStream::connect(bound.address).unwrap();
            tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            tcp.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
            tcp.write_all(b"3\r\n123\r\n3\r\n456\r\n0\r\n\r\n").unwrap();
            let mut heard = String::new();
            tcp.read_to_string(&mut heard).unwrap();
            heard
        }));
        let heard = heard.await.unwrap().unwrap();
        assert!(heard.ends_with("\r\n\r\n123|456"), "{heard}");
    });
}

/// spray's `default-host-header`.
#[test]
fn a_default_host_for_1_1_with_an_empty_one() {
    let settings = HttpSettings::new().default_host_header(Some(HeaderValue::from_static("spray.io")));
    let (_, request) = Peer::new(settings).says("GET /foo HTTP/1.1\r\nHost:\r\n\r\n").request();
    assert_eq!(request.header("host"), Some("spray.io"));
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
