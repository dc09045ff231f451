//! A peer that goes while it is not read: its handler hears so long before any deadline.

use std::io::Write;
use std::net::Shutdown;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::{HttpEnd, Settings as HttpSettings};
use actix_sockets::{
    At, Bind, Chunk, Content, ContentAborted, ContentEnd, HttpClosed, HttpRequest, Received, Register, RequestStart, Responder, Settings,
};

use crate::site::{Over, PATIENCE, Site, Wire, tcp};

/// Takes no content, and answers nothing.
struct Holds {
    tell: Sender<String>,
    held: Vec<(Option<Content>, Responder)>,
}

impl Holds {
    fn tells(&self, what: impl Into<String>) {
        let _ = self.tell.send(what.into());
    }
}

impl Actor for Holds {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Holds {
    type Result = ();
    fn handle(&mut self, Received { sender, .. }: Received<HttpRequest>, _: &mut Context<Self>) {
        self.held.push((None, sender));
        self.tells("asked");
    }
}

impl Handler<Received<RequestStart>> for Holds {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<RequestStart>, _: &mut Context<Self>) {
        self.held.push((Some(message.content), sender));
        self.tells("asked");
    }
}

impl Handler<Received<Chunk>> for Holds {
    type Result = ();
    fn handle(&mut self, _: Received<Chunk>, _: &mut Context<Self>) {
        self.tells("a chunk");
    }
}

impl Handler<Received<ContentEnd>> for Holds {
    type Result = ();
    fn handle(&mut self, _: Received<ContentEnd>, _: &mut Context<Self>) {
        self.tells("all of it");
    }
}

impl Handler<Received<ContentAborted>> for Holds {
    type Result = ();
    fn handle(&mut self, Received { message, .. }: Received<ContentAborted>, _: &mut Context<Self>) {
        self.tells(format!("aborted: {:?}", message.error));
    }
}

impl Handler<Received<HttpClosed>> for Holds {
    type Result = ();
    fn handle(&mut self, Received { message, .. }: Received<HttpClosed>, _: &mut Context<Self>) {
        self.tells(match message.how {
            HttpEnd::ErrorClosed(_) => "broken".to_owned(),
            how => format!("{how:?}"),
        });
    }
}

/// No deadline is anywhere near.
fn site(at: impl Into<At> + Send + 'static, over: Over, half_closed: bool) -> (Site, Receiver<String>) {
    let (tell, told) = channel();
    let long = 10 * PATIENCE;
    let http = HttpSettings::new().allow_half_closed(half_closed).request_timeout(long).idle_timeout(2 * long).write_stall(long);
    let register = move || {
        let tell = tell.clone();
        Register::factory(move || Holds { tell, held: Vec::new() }).hears::<RequestStart>().hears::<HttpClosed>()
    };
    let at = at.into();
    let site = Site::up(over, move |_| Bind::registering(register, at).workers(1).settings(Settings::new().http(http)));
    (site, told)
}

/// What nobody reads: content, or requests behind one that is in hand.
fn unread() -> [Vec<u8>; 2] {
    let upload = b"POST /up HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
    let pipelined = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    [[upload.as_slice(), &[b'x'; 100_000]].concat(), pipelined.repeat(1000)]
}

#[track_caller]
fn hears(told: &Receiver<String>, all: &[&str]) {
    for expected in all {
        assert_eq!(told.recv_timeout(PATIENCE).as_deref(), Ok(*expected), "of {all:?}");
    }
}

/// What it hears of this end, with content under way or without.
fn of(content: bool, end: &'static str) -> Vec<&'static str> {
    if content { vec!["aborted: Incomplete", end] } else { vec![end] }
}

fn overs() -> Vec<Over> {
    vec![
        Over::Clear,
        #[cfg(feature = "tls")]
        Over::Tls,
    ]
}

/// A reset, whatever is in between; behind a FIN that ends nothing, too.
#[test]
fn a_reset_is_noticed_while_nothing_is_read() {
    thread::scope(|scope| {
        for over in overs() {
            for (content, says) in [true, false].into_iter().zip(unread()) {
                for finishes in [false, true] {
                    let says = says.clone();
                    scope.spawn(move || {
                        let (site, told) = site("127.0.0.1:0", over, true);
                        let socket = tcp(site.bound.address);
                        let mut peer = over.client(socket.try_clone().unwrap()).unwrap();
                        peer.write_all(&says).unwrap();
                        hears(&told, &["asked"]);
                        if finishes {
                            socket.shutdown(Shutdown::Write).unwrap();
                            assert!(told.recv_timeout(Duration::from_millis(1500)).is_err(), "it can still be answered");
                        }
                        socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
                        drop((peer, socket));
                        hears(&told, &of(content, "broken"));
                    });
                }
            }
        }
    });
}

/// A FIN, where it ends the connection.
#[test]
fn an_end_is_noticed_while_nothing_is_read() {
    thread::scope(|scope| {
        for over in overs() {
            for (content, says) in [true, false].into_iter().zip(unread()) {
                scope.spawn(move || {
                    let (site, told) = site("127.0.0.1:0", over, false);
                    let socket = tcp(site.bound.address);
                    let mut peer = over.client(socket.try_clone().unwrap()).unwrap();
                    peer.write_all(&says).unwrap();
                    hears(&told, &["asked"]);
                    socket.shutdown(Shutdown::Write).unwrap();
                    hears(&told, &of(content, "PeerClosed"));
                    ends(&mut *peer);
                });
            }
        }
    });
}

/// Nothing is said but the end.
fn ends(peer: &mut dyn Wire) {
    let mut rest = Vec::new();
    let _ = peer.read_to_end(&mut rest);
    assert!(rest.is_empty(), "{}", rest.escape_ascii());
}

#[cfg(unix)]
#[test]
fn of_a_unix_socket_too() {
    use std::os::unix::net::UnixStream;

    thread::scope(|scope| {
        for (content, says) in [true, false].into_iter().zip(unread()) {
            for finishes in [false, true] {
                let says = says.clone();
                scope.spawn(move || {
                    let name = format!("actix-sockets-{}-gone-{content}-{finishes}.sock", std::process::id());
                    let path = std::env::temp_dir().join(name);
                    let (_site, told) = site(At::unix(&path), Over::Clear, !finishes);
                    let mut peer = UnixStream::connect(&path).unwrap();
                    peer.set_write_timeout(Some(PATIENCE)).unwrap();
                    peer.write_all(&says).unwrap();
                    hears(&told, &["asked"]);
                    if finishes {
                        peer.shutdown(Shutdown::Write).unwrap();
                    } else {
                        drop(peer);
                    }
                    hears(&told, &of(content, if finishes { "PeerClosed" } else { "broken" }));
                });
            }
        }
    });
}
