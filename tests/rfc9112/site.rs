//! Our side: one system with its listeners for all tests, and a handler for each connection that notes what it sees.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::sync::{Condvar, LazyLock, Mutex};
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::handshake::Rules;
use actix_sockets::http::Settings as HttpSettings;
use actix_sockets::{Bind, Connected, Frame, HttpRequest, HttpResponse, Received, Register, Responder, Settings, Sockets, UpgradeServer};
use http::header::{self, HeaderName, HeaderValue};
use http::{StatusCode, Version};

use crate::peer::PATIENCE;
use crate::transport::Transport;

/// How many requests of a connection may be in hand.
pub(crate) const LIMITS: [usize; 2] = [1, 8];

/// Both ends of a connection, the peer's first: a peer may have the same port towards two listeners.
pub(crate) type Ends = (SocketAddr, SocketAddr);

/// What the handlers have seen, by the ends of their connection.
#[derive(Default)]
struct Notes {
    seen: HashMap<Ends, (Vec<String>, bool)>,
}

static NOTES: LazyLock<(Mutex<Notes>, Condvar)> = LazyLock::new(Default::default);

/// The listeners, by transport and pipelining limit. They live as long as the process.
static LISTENERS: LazyLock<Vec<(Transport, usize, SocketAddr)>> = LazyLock::new(|| {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        System::new().block_on(async move {
            let mut listeners = Vec::new();
            for transport in Transport::ALL {
                for limit in LIMITS {
                    // HEAD is seen as HEAD, so that a row knows how each response is to be read.
                    let http = HttpSettings::new().pipelining_limit(limit).content_limit(100_000).transparent_head_requests(false);
                    let settings = Settings::new().http(http);
                    let bind = Bind::new(Greeter.start(), "127.0.0.1:0").settings(settings);
                    let bound = Sockets::from_registry().send(transport.bind(bind)).await.unwrap().unwrap();
                    listeners.push((transport, limit, bound.address));
                }
            }
            tell.send(listeners).unwrap();
            std::future::pending::<()>().await;
        });
    });
    told.recv_timeout(PATIENCE).expect("the listeners are up")
});

pub(crate) fn address(transport: Transport, limit: usize) -> SocketAddr {
    LISTENERS.iter().find(|(of, at, _)| (*of, *at) == (transport, limit)).unwrap().2
}

/// All that the handler of this connection has seen, once that handler has stopped: nothing can come any more.
pub(crate) fn seen_by_handler_of(ends: Ends) -> Vec<String> {
    let (notes, change) = &*NOTES;
    let (mut notes, late) =
        change.wait_timeout_while(notes.lock().unwrap(), PATIENCE, |notes| !notes.seen.get(&ends).is_some_and(|(_, over)| *over)).unwrap();
    assert!(!late.timed_out(), "the handler has not stopped");
    notes.seen.remove(&ends).unwrap().0
}

fn note(ends: Ends, change: impl FnOnce(&mut (Vec<String>, bool))) {
    change(NOTES.0.lock().unwrap().seen.entry(ends).or_default());
    NOTES.1.notify_all();
}

/// Registers a handler for each connection.
struct Greeter;

impl Actor for Greeter {
    type Context = Context<Self>;
}

impl Handler<Received<Connected>> for Greeter {
    type Result = ();

    fn handle(&mut self, Received { message, sender }: Received<Connected>, _: &mut Context<Self>) {
        let ends = (message.remote.socket_addr().unwrap(), message.local.socket_addr().unwrap());
        // Ports come again, and not every test asks what was seen.
        note(ends, |before| *before = Default::default());
        sender.do_send(Register::factory(move || Recorder(ends)));
    }
}

/// Notes each request, then answers as its path says.
struct Recorder(Ends);

impl Actor for Recorder {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Context<Self>) {
        note(self.0, |(_, over)| *over = true);
    }
}

impl Handler<Received<HttpRequest>> for Recorder {
    type Result = ();

    fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, _: &mut Context<Self>) {
        note(self.0, |(seen, _)| seen.push(described(&request)));
        answer(&request, sender);
    }
}

impl Handler<Received<Frame>> for Recorder {
    type Result = ();

    fn handle(&mut self, _: Received<Frame>, _: &mut Context<Self>) {}
}

/// The ends of a websocket, of which nobody asks.
fn nowhere() -> Ends {
    let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
    (unspecified, unspecified)
}

/// Method, request-target, and what else there is: `HTTP/1.0`, the values of the field `x`, the content.
fn described(request: &HttpRequest) -> String {
    let mut text = format!("{} {}", request.method, request.uri);
    if request.version == Version::HTTP_10 {
        text.push_str(" HTTP/1.0");
    }
    for value in request.headers.get_all("x") {
        write!(text, " x={}", value.as_bytes().escape_ascii()).unwrap();
    }
    if !request.content.is_empty() {
        write!(text, " {}", request.content.escape_ascii()).unwrap();
    }
    text
}

fn answer(request: &HttpRequest, responder: Responder) {
    let path = request.path();
    let response = HttpResponse::ok("ok");
    let field = |name, value| HttpResponse::ok("ok").with_header(name, HeaderValue::from_static(value));
    match path {
        "/close" => responder.do_send(field(header::CONNECTION, "close")),
        "/length" => {
            let announced = HeaderValue::from_static("7");
            responder.do_send(HttpResponse::new(StatusCode::OK).with_header(header::CONTENT_LENGTH, announced));
        }
        "/twice" => {
            let name = HeaderName::from_static("y");
            let [one, two] = ["1", "2"].map(HeaderValue::from_static);
            responder.do_send(response.with_header(name.clone(), one).with_header(name, two));
        }
        "/managed" => {
            let mut response = response;
            for (name, value) in [
                (header::CONTENT_LENGTH, "99"),
                (header::TRANSFER_ENCODING, "gzip, chunked"),
                (header::DATE, "never"),
                (header::SERVER, "mine"),
                (header::CONNECTION, "keep-alive, upgrade"),
            ] {
                response = response.with_header(name, HeaderValue::from_static(value));
            }
            responder.do_send(response);
        }
        "/stream" => {
            let stream = responder.start(HttpResponse::ok("one "));
            stream.do_send("two ");
            stream.do_send("");
            stream.do_send("three");
            stream.finish();
        }
        "/unfinished" => {
            let stream = responder.start(HttpResponse::ok("half"));
            actix::spawn(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                drop(stream);
            });
        }
        "/dropped" => drop(responder),
        "/slow" => drop(actix::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            responder.do_send(HttpResponse::ok("slow"));
        })),
        "/upgrade" => match Rules::new().accept(request) {
            Ok(switching) => responder.do_send(UpgradeServer::factory(switching, || Recorder(nowhere()))),
            Err(refusal) => responder.do_send(refusal.into_response()),
        },
        // A 101 that nobody asked for.
        "/switch" => responder.do_send(HttpResponse::new(StatusCode::SWITCHING_PROTOCOLS)),
        _ => match path.strip_prefix("/status/") {
            Some(status) => responder.do_send(HttpResponse::new(status.parse().unwrap()).with_content("no")),
            None => responder.do_send(response),
        },
    }
}
