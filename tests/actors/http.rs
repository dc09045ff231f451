//! HTTP that is streamed, over the wire: uploads as they come, responses as they are made, and an end by reset.

use std::io::ErrorKind;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::HttpEnd;
use actix_sockets::{
    Bind, Bound, Chunk, ContentAborted, ContentEnd, HttpClose, HttpClosed, HttpRequest, HttpResponse, Received, Register, RequestStart,
    Responder, Sockets, Streaming,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::peer::{PATIENCE, Peer};
use crate::transport::{Transport, over_each};

/// Echoes content as it comes, and says how much it was in a trailer; what else it does is in the path.
#[derive(Default)]
struct Echo {
    stream: Option<Streaming>,
    responder: Option<Responder>,
    bytes: usize,
    tell: Option<std::sync::mpsc::Sender<HttpEnd>>,
}

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Echo {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<HttpRequest>, ctx: &mut Self::Context) {
        match message.path() {
            "/abort" => sender.connection().do_send(HttpClose::Abort),
            "/gib" => {
                let stream = sender.start(HttpResponse::ok(""));
                ctx.spawn(
                    async move {
                        let piece = bytes::Bytes::from(vec![b'x'; 1 << 20]);
                        for _ in 0..64 {
                            stream.do_send(piece.clone());
                            assert!(stream.buffered_amount() < 3 << 20);
                            if stream.ready().await.is_err() {
                                return;
                            }
                        }
                        stream.finish();
                    }
                    .into_actor(self),
                );
            }
            _ => sender.do_send(HttpResponse::ok("whole")),
        }
    }
}

impl Handler<Received<RequestStart>> for Echo {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<RequestStart>, _: &mut Self::Context) {
        match message.request.path() {
            "/refused" => sender.do_send(HttpResponse::new(StatusCode::PAYLOAD_TOO_LARGE)),
            "/count" => self.responder = Some(sender),
            _ => self.stream = Some(sender.start(HttpResponse::ok(""))),
        }
    }
}

impl Handler<Received<Chunk>> for Echo {
    type Result = ();
    fn handle(&mut self, Received { message, .. }: Received<Chunk>, _: &mut Self::Context) {
        self.bytes += message.data.len();
        if let Some(stream) = &self.stream {
            stream.do_send(message);
        }
    }
}

impl Handler<Received<ContentEnd>> for Echo {
    type Result = ();
    fn handle(&mut self, _: Received<ContentEnd>, _: &mut Self::Context) {
        if let Some(responder) = self.responder.take() {
            responder.do_send(HttpResponse::ok(self.bytes.to_string()));
        }
        if let Some(stream) = self.stream.take() {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-bytes", HeaderValue::from(self.bytes));
            stream.finish_with(trailers);
        }
    }
}

impl Handler<Received<ContentAborted>> for Echo {
    type Result = ();
    fn handle(&mut self, _: Received<ContentAborted>, _: &mut Self::Context) {
        self.stream = None;
    }
}

impl Handler<Received<HttpClosed>> for Echo {
    type Result = ();
    fn handle(&mut self, Received { message, .. }: Received<HttpClosed>, _: &mut Self::Context) {
        if let Some(tell) = &self.tell {
            let _ = tell.send(message.how);
        }
    }
}

/// With an echo for each connection; what a peer does, and what the echo hears of its end.
fn with_echo(transport: Transport, peer: impl FnOnce(Peer, Receiver<HttpEnd>) + Send + 'static) {
    let (tell, told) = channel();
    System::new().block_on(async move {
        let register = move || {
            let tell = tell.clone();
            let make = move || Echo { tell: Some(tell), ..Echo::default() };
            Register::factory(make).hears::<RequestStart>().hears::<HttpClosed>()
        };
        let bind = transport.bind(Bind::registering(register, "127.0.0.1:0").workers(1));
        let Bound { address, .. } = Sockets::from_registry().send(bind).await.unwrap().unwrap();
        let peer = tokio::task::spawn_blocking(move || peer(Peer::connect(address, transport), told));
        actix::spawn(peer).await.unwrap().unwrap();
    });
}

#[test]
fn an_upload_is_echoed_as_it_comes() {
    over_each(|transport| {
        with_echo(transport, |mut peer, _| {
            peer.says_bytes("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
            assert!(peer.hears_head().contains("transfer-encoding: chunked\r\n"));
            for word in ["one", "two;x"] {
                // The answer to a piece comes before the next is said.
                peer.says_bytes(format!("{:x};a=1\r\n{word}\r\n", word.len()));
                assert_eq!(peer.hears_up_to(&format!("{word}\r\n")), format!("{:x};a=1\r\n{word}\r\n", word.len()));
            }
            peer.says_bytes("0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(peer.hears_up_to("\r\n\r\n"), "0\r\nx-bytes: 8\r\n\r\n");
            peer.hears_response(200, "whole");
        });
    });
}

/// Sixteen MiB, of which the handler never has more than a window.
#[test]
fn a_large_upload_of_a_known_length() {
    over_each(|transport| {
        with_echo(transport, |mut peer, _| {
            let length = 16 << 20;
            peer.says_bytes(format!("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
            for _ in 0..16 {
                peer.says_bytes(vec![b'x'; 1 << 20]);
            }
            peer.hears_response(200, &length.to_string());
        });
    });
}

/// T08, over the wire: neither is the rest of the content a request, nor does a reset overtake the answer.
#[test]
fn t08_an_upload_that_is_refused() {
    over_each(|transport| {
        with_echo(transport, |mut peer, _| {
            let content = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
            peer.says_bytes(format!("POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{content}", content.len()));
            peer.hears_response(413, "");
            peer.says_bytes("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
            peer.hears_response(200, "whole");
            peer.says_bytes("POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
            peer.says_bytes(content.repeat(1000));
            assert!(peer.hears_head().contains("connection: close\r\n"));
            peer.finishes().hears_the_end();
        });
    });
}

/// A producer that waits for room, and a peer that takes its time.
#[test]
fn a_large_response_to_a_slow_reader() {
    over_each(|transport| {
        with_echo(transport, |mut peer, _| {
            peer.says_bytes("GET /gib HTTP/1.1\r\nHost: a\r\n\r\n").hears_head();
            std::thread::sleep(Duration::from_millis(200));
            let chunk = "x".repeat(1 << 20) + "\r\n";
            for _ in 0..64 {
                assert_eq!(peer.hears_up_to("\r\n"), "100000\r\n");
                peer.hears_up_to(&chunk);
            }
            assert_eq!(peer.hears_up_to("\r\n\r\n"), "0\r\n\r\n");
        });
    });
}

/// B35: an abort is a reset, and the handler hears that it was one.
#[test]
fn an_abort_is_a_reset() {
    over_each(|transport| {
        with_echo(transport, |mut peer, told| {
            peer.says_bytes("GET /abort HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(told.recv_timeout(PATIENCE).unwrap(), HttpEnd::Aborted);
            // What came before it is read before it.
            let end = loop {
                match std::io::Read::read(&mut peer.tcp(), &mut [0; 100]) {
                    Ok(1..) => {}
                    end => break end.map_err(|error| error.kind()),
                }
            };
            assert_eq!(end, Err(ErrorKind::ConnectionReset));
        });
    });
}
