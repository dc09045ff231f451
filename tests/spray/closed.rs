//! HttpServerConnectionPipelineSpec: who hears of a connection's end. The handler does, if it has asked; and whoever waits for an ack.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::{HttpEnd, Settings as HttpSettings};
use actix_sockets::{
    Bind, HttpClosed, HttpRequest, HttpResponse, Received, Register, Responder, SendError, Sending, Settings, Sockets, Streaming,
};
use http::HeaderMap;

/// What nobody's socket buffers hold.
const LARGE: usize = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Request,
    Ack(Result<(), SendError>),
    Closed(HttpEnd),
}

/// Answers as the path says, and tells what it hears.
struct Ends {
    tell: Sender<Heard>,
    open: Option<Responder>,
    stream: Option<Streaming>,
}

impl Ends {
    fn awaits(&self, sending: Sending, ctx: &mut Context<Self>) {
        let tell = self.tell.clone();
        ctx.spawn(async move { drop(tell.send(Heard::Ack(sending.await.map(drop)))) }.into_actor(self));
    }
}

impl Actor for Ends {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Ends {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<HttpRequest>, ctx: &mut Context<Self>) {
        let large = || vec![b'x'; LARGE];
        match message.path() {
            "/open" => self.open = Some(sender),
            "/response" => sender.do_send(HttpResponse::ok("end")),
            "/response-acked" => self.awaits(sender.send(HttpResponse::ok("end")), ctx),
            "/response-unread" => self.awaits(sender.send(HttpResponse::ok(large())), ctx),
            "/chunk-unread" => {
                let stream = sender.start(HttpResponse::ok(""));
                self.awaits(stream.send(large()), ctx);
                self.stream = Some(stream);
            }
            "/stream" => {
                let stream = sender.start(HttpResponse::ok("end"));
                self.stream = Some(stream);
            }
            "/final" => sender.start(HttpResponse::ok("end")).finish(),
            "/final-acked" => self.awaits(sender.start(HttpResponse::ok("end")).finish_acked(HeaderMap::new()), ctx),
            "/final-unread" => self.awaits(sender.start(HttpResponse::ok(large())).finish_acked(HeaderMap::new()), ctx),
            _ => unreachable!("no other path"),
        }
        let _ = self.tell.send(Heard::Request);
    }
}

impl Handler<Received<HttpClosed>> for Ends {
    type Result = ();
    fn handle(&mut self, Received { message, .. }: Received<HttpClosed>, ctx: &mut Context<Self>) {
        if let Some(stream) = self.stream.take() {
            assert!(!stream.connected());
            self.awaits(stream.send("more"), ctx);
        }
        let _ = self.tell.send(Heard::Closed(message.how));
    }
}

/// Asks for this path, hears so much of the answer as is named, and closes; gives what the handler has heard, which is to be so much.
fn closed_behind(path: &str, hears: &str, much: usize) -> Vec<Heard> {
    let (tell, told): (_, Receiver<Heard>) = channel();
    let (path, hears) = (path.to_owned(), hears.to_owned());
    System::new().block_on(async move {
        // Closed by the peer is closed: nobody reads any more.
        let settings = Settings::new().http(HttpSettings::new().allow_half_closed(false));
        let register = move || {
            let tell = tell.clone();
            Register::factory(move || Ends { tell, open: None, stream: None }).hears::<HttpClosed>()
        };
        let bind = Bind::registering(register, "127.0.0.1:0").workers(1).settings(settings);
        let bound = Sockets::from_registry().send(bind).await.unwrap().unwrap();
        let peer = move || {
            let mut tcp = TcpStream::connect(bound.address).unwrap();
            tcp.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut heard = Vec::new();
            if !path.is_empty() {
                tcp.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
                heard.push(told.recv_timeout(PATIENCE).unwrap());
                let mut buffer = [0; 1000];
                let mut text = String::new();
                while !text.contains(&hears) {
                    let n = tcp.read(&mut buffer).unwrap();
                    assert!(n > 0, "the end in place of {hears:?}");
                    text.push_str(&String::from_utf8_lossy(&buffer[..n]));
                }
            }
            drop(tcp);
            // And nothing more: that is waited for as long as nobody would notice.
            while let Ok(told) = told.recv_timeout(if heard.len() < much { PATIENCE } else { Duration::from_millis(200) }) {
                heard.push(told);
            }
            heard
        };
        actix::spawn(tokio::task::spawn_blocking(peer)).await.unwrap().unwrap()
    })
}

fn peer_closed() -> Heard {
    Heard::Closed(HttpEnd::PeerClosed)
}

/// An end that is found by writing: the error is the system's.
#[track_caller]
fn failed(heard: &[Heard]) {
    assert!(heard.contains(&Heard::Ack(Err(SendError::Closed))), "{heard:?}");
    let ends = heard.iter().filter(|heard| matches!(heard, Heard::Closed(HttpEnd::PeerClosed | HttpEnd::ErrorClosed(_))));
    assert_eq!((ends.count(), heard.len()), (1, 3), "{heard:?}");
}

#[test]
fn closed_to_the_handler_if_no_request_is_open() {
    assert_eq!(closed_behind("", "", 1), [peer_closed()]);
}

#[test]
fn closed_to_the_handler_if_a_request_is_open() {
    assert_eq!(closed_behind("/open", "", 2), [Heard::Request, peer_closed()]);
}

#[test]
fn closed_to_the_sender_of_a_response_not_yet_confirmed() {
    failed(&closed_behind("/response-unread", "x", 3));
}

#[test]
fn closed_to_the_handler_if_a_response_is_confirmed() {
    assert_eq!(closed_behind("/response-acked", "end", 3), [Heard::Request, Heard::Ack(Ok(())), peer_closed()]);
}

#[test]
fn closed_to_the_handler_if_a_response_was_sent_without_ack() {
    assert_eq!(closed_behind("/response", "end", 2), [Heard::Request, peer_closed()]);
}

#[test]
fn closed_to_the_sender_of_a_chunk_not_yet_confirmed() {
    let heard = closed_behind("/chunk-unread", "x", 4);
    // The second is of what the handler tries to send when it hears of the end.
    assert_eq!(heard.iter().filter(|heard| **heard == Heard::Ack(Err(SendError::Closed))).count(), 2, "{heard:?}");
}

#[test]
fn closed_to_the_last_sender_of_a_stream() {
    assert_eq!(closed_behind("/stream", "end", 3), [Heard::Request, peer_closed(), Heard::Ack(Err(SendError::Closed))]);
}

#[test]
fn closed_to_the_sender_of_a_final_chunk_not_yet_confirmed() {
    failed(&closed_behind("/final-unread", "x", 3));
}

#[test]
fn closed_to_the_handler_behind_a_final_chunk_without_ack() {
    assert_eq!(closed_behind("/final", "0\r\n\r\n", 2), [Heard::Request, peer_closed()]);
}

#[test]
fn closed_to_the_handler_behind_a_final_chunk_confirmed() {
    assert_eq!(closed_behind("/final-acked", "0\r\n\r\n", 3), [Heard::Request, Heard::Ack(Ok(())), peer_closed()]);
}
