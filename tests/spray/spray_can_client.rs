//! SprayCanClientSpec: 33 examples; the four of a connection are here, those of the levels above it in [`levels`]. Both sides are ours, over real TCP.

mod levels;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_sockets::http::{Client, ClientEvent, Closing, HttpEnd, HttpError, Settings as HttpSettings, Streams};
use actix_sockets::{Connect, ConnectError, Connected, HttpClose, HttpClosed, HttpRequest, Received, Requester, Settings, Sockets, Unbind};
use http::{Method, Uri};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::spray_can_server::bound_and_ends;

/// Gets the means to talk to a connection.
pub(crate) struct Asker(Option<oneshot::Sender<Requester>>);

impl Actor for Asker {
    type Context = Context<Self>;
}

impl Handler<Received<Connected, Requester>> for Asker {
    type Result = ();

    fn handle(&mut self, received: Received<Connected, Requester>, _: &mut Context<Self>) {
        let _ = self.0.take().unwrap().send(received.sender);
    }
}

/// The means to talk to what was connected.
pub(crate) async fn made(to: impl FnOnce(Addr<Asker>) -> Connect) -> Requester {
    let (tell, told) = oneshot::channel();
    Sockets::from_registry().send(to(Asker(Some(tell)).start())).await.unwrap().unwrap();
    told.await.unwrap()
}

pub(crate) async fn connect(to: SocketAddr) -> Requester {
    made(|asker| Connect::new(asker, to.ip().to_string(), to.port())).await
}

/// Hears how a connection of ours has ended.
struct Ending(UnboundedSender<HttpEnd>);

impl Actor for Ending {
    type Context = Context<Self>;
}

impl Handler<Received<HttpClosed>> for Ending {
    type Result = ();

    fn handle(&mut self, Received { message, .. }: Received<HttpClosed>, _: &mut Context<Self>) {
        let _ = self.0.send(message.how);
    }
}

async fn connect_and_end(to: SocketAddr, http: HttpSettings) -> (Requester, UnboundedReceiver<HttpEnd>) {
    let (tell, end) = unbounded_channel();
    let connect =
        |asker| Connect::new(asker, to.ip().to_string(), to.port()).settings(Settings::new().http(http)).closed_to(Ending(tell).start());
    (made(connect).await, end)
}

pub(crate) fn get(uri: &'static str) -> HttpRequest {
    HttpRequest::new(Method::GET, Uri::from_static(uri)).with_header(http::header::HOST, http::HeaderValue::from_static("a"))
}

#[test]
fn a_simple_cycle_and_its_end() {
    System::new().block_on(async {
        let (bound, mut ends) = bound_and_ends().await;
        let (requester, mut end) = connect_and_end(bound.address, HttpSettings::new()).await;
        assert_eq!(requester.send(get("/abc")).await.unwrap().content, "/abc");
        requester.connection().do_send(HttpClose::Close);
        assert_eq!((end.recv().await, ends.recv().await), (Some(HttpEnd::Closed), Some(HttpEnd::PeerClosed)));
        // Nothing is left to be unbound for.
        assert_eq!(bound.listener.send(Unbind::default()).await.unwrap().cut_off(), 0);
    });
}

/// The last requester ends the connection.
#[test]
fn the_end_of_the_last_requester() {
    System::new().block_on(async {
        let (bound, mut ends) = bound_and_ends().await;
        let (requester, mut end) = connect_and_end(bound.address, HttpSettings::new()).await;
        assert_eq!(requester.send(get("/abc")).await.unwrap().content, "/abc");
        drop(requester);
        assert_eq!((end.recv().await, ends.recv().await), (Some(HttpEnd::Closed), Some(HttpEnd::PeerClosed)));
    });
}

/// Each chunk is acknowledged to its sender, whoever that is; the second request is answered first, and heard second.
#[test]
fn a_pipelined_cycle_with_a_chunked_request() {
    System::new().block_on(async {
        let (bound, mut ends) = bound_and_ends().await;
        let (requester, mut end) = connect_and_end(bound.address, HttpSettings::new()).await;
        let (request, first) = requester.start_send(HttpRequest::new(Method::PUT, Uri::from_static("http://a/a")));
        request.send("123").await.unwrap();
        let worker = actix::spawn(async move {
            request.send("456").await.unwrap();
            request.finish();
        });
        worker.await.unwrap();
        let second = requester.send(get("/b"));
        assert_eq!(first.await.unwrap().content, "/a123456");
        assert_eq!(second.await.unwrap().content, "/b");
        requester.connection().do_send(HttpClose::Close);
        assert_eq!((end.recv().await, ends.recv().await), (Some(HttpEnd::Closed), Some(HttpEnd::PeerClosed)));
    });
}

/// Nobody knows what a late answer would answer: the connection ends. spray's last version cuts it off, its first ones closed it; it is closed here. (The
/// request-level client's example is the same.)
#[test]
fn a_request_that_times_out() {
    System::new().block_on(async {
        let (bound, mut ends) = bound_and_ends().await;
        let settings = HttpSettings::new().response_timeout(Duration::from_millis(50));
        let (requester, mut end) = connect_and_end(bound.address, settings).await;
        assert_eq!(requester.send(get("/never")).await.unwrap_err(), HttpError::ResponseTimeout);
        assert_eq!((end.recv().await, ends.recv().await), (Some(HttpEnd::Closed), Some(HttpEnd::PeerClosed)));
        assert_eq!(requester.send(get("/abc")).await.unwrap_err(), HttpError::NotSent);
    });
}

/// The deadline is that of the head: content that follows has its own. On virtual time.
#[test]
fn a_response_that_has_begun_does_not_time_out() {
    let (begun, half_a_second) = (Instant::now(), Duration::from_millis(500));
    for head in ["", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nok-abc\r\n"] {
        let mut client = Client::new(HttpSettings::new().response_timeout(half_a_second), begun);
        client.begin(get("/abc"), Streams { response: true, ..Streams::default() }, begun);
        drop(client.output().take(usize::MAX >> 1));
        client.wrote(begun);
        client.receive(head.into(), begun);
        client.handle_timeout(begun + 2 * half_a_second);
        match client.poll_event() {
            Some(ClientEvent::ResponseStart { response, worth, .. }) => {
                assert_eq!((response.status.as_u16(), client.closing()), (200, Closing::Open));
                client.give_back(worth, begun + 2 * half_a_second);
                assert!(matches!(client.poll_event(), Some(ClientEvent::Chunk { chunk, .. }) if chunk.data == "ok-abc"));
                assert!(client.poll_event().is_none());
            }
            Some(ClientEvent::Unanswered { error, .. }) => assert_eq!((error, head), (HttpError::ResponseTimeout, "")),
            other => panic!("{other:?}"),
        }
    }
}

/// spray's `CommandFailed(Connect)`: what was tried, and what came of it. Nobody hears that he is connected.
#[test]
fn b44_connections_that_cannot_be_made() {
    System::new().block_on(async {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let to = |host: String, port| {
            let (tell, told) = oneshot::channel();
            (Sockets::from_registry().send(Connect::new(Asker(Some(tell)).start(), host, port).timeout(Duration::from_secs(30))), told)
        };
        let (made, told) = to("127.0.0.1".to_owned(), nobody.port());
        let error = made.await.unwrap().unwrap_err();
        assert!(matches!(&error, ConnectError::Refused(name, _) if *name == nobody.to_string()), "{error}");
        assert!(told.await.is_err());
        let (made, told) = to("host.invalid".to_owned(), 80);
        let error = made.await.unwrap().unwrap_err();
        assert!(matches!(&error, ConnectError::Resolve(name, _) if name == "host.invalid:80"), "{error}");
        assert!(told.await.is_err());
    });
}

/// On the wire: `Close` is what waits, and FIN; `Abort` is RST.
#[test]
fn b35_the_ends_of_a_connection() {
    System::new().block_on(async {
        for (close, end) in
            [(HttpClose::Close, Ok(())), (HttpClose::ConfirmedClose, Ok(())), (HttpClose::Abort, Err(ErrorKind::ConnectionReset))]
        {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let requester = connect(listener.local_addr().unwrap()).await;
            let (mut stream, _) = listener.accept().await.unwrap();
            requester.do_send(get("/abc"));
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                heard.push(stream.read_u8().await.unwrap());
            }
            requester.connection().do_send(close);
            let rest = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut heard)).await.expect("an end");
            assert_eq!(rest.map(|rest| assert_eq!(rest, 0)).map_err(|error| error.kind()), end, "{close:?}");
        }
    });
}
