//! SprayCanClientSpec, as far as it is about one connection: both sides are ours, over real TCP.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::{HttpError, Settings as HttpSettings};
use actix_sockets::{
    CloseAll, ClosedAll, Connect, ConnectError, Connected, HttpClose, HttpRequest, Received, Requester, Settings, Sockets,
};
use http::{Method, Uri};
use tokio::io::AsyncReadExt as _;
use tokio::sync::oneshot;

use crate::spray_can_server::bound;

/// Gets the means to talk to a connection.
struct Asker(Option<oneshot::Sender<Requester>>);

impl Actor for Asker {
    type Context = Context<Self>;
}

impl Handler<Received<Connected, Requester>> for Asker {
    type Result = ();

    fn handle(&mut self, received: Received<Connected, Requester>, _: &mut Context<Self>) {
        let _ = self.0.take().unwrap().send(received.sender);
    }
}

pub(crate) async fn connect(to: SocketAddr) -> Requester {
    connect_with(to, Settings::new()).await
}

async fn connect_with(to: SocketAddr, settings: Settings) -> Requester {
    let (tell, told) = oneshot::channel();
    let connect = Connect::new(Asker(Some(tell)).start(), to.ip().to_string(), to.port()).settings(settings);
    Sockets::from_registry().send(connect).await.unwrap().unwrap();
    told.await.unwrap()
}

pub(crate) fn get(uri: &'static str) -> HttpRequest {
    HttpRequest::new(Method::GET, Uri::from_static(uri)).with_header(http::header::HOST, http::HeaderValue::from_static("a"))
}

#[test]
fn a_simple_cycle_and_its_end() {
    System::new().block_on(async {
        let bound = bound().await;
        let requester = connect(bound.address).await;
        assert_eq!(requester.send(get("/abc")).await.unwrap().content, "/abc");
        // The last requester ends the connection: nothing is left to be unbound for.
        drop(requester);
        let unbound = bound.listener.send(actix_sockets::Unbind::default()).await.unwrap();
        assert_eq!(unbound.cut_off(), 0);
    });
}

#[test]
fn a_pipelined_cycle_with_content() {
    System::new().block_on(async {
        let requester = connect(bound().await.address).await;
        let put = HttpRequest::new(Method::PUT, Uri::from_static("http://a/abc")).with_content("123456");
        let answers = [requester.send(put), requester.send(get("/def"))];
        for (answer, content) in answers.into_iter().zip(["123456", "/def"]) {
            assert_eq!(answer.await.unwrap().content, content);
        }
    });
}

#[test]
fn a_request_that_times_out() {
    System::new().block_on(async {
        let settings = Settings::new().http(HttpSettings::new().response_timeout(Duration::from_millis(50)));
        let requester = connect_with(bound().await.address, settings).await;
        assert_eq!(requester.send(get("/never")).await.unwrap_err(), HttpError::ResponseTimeout);
        assert_eq!(requester.send(get("/abc")).await.unwrap_err(), HttpError::NotSent);
    });
}

/// An absolute URI becomes origin-form and Host.
#[test]
fn an_absolute_uri() {
    System::new().block_on(async {
        let requester = connect(bound().await.address).await;
        for (uri, path) in [("http://a:81/abc?query", "/abc?query"), ("http://a:81", "/")] {
            let request = HttpRequest::new(Method::GET, Uri::from_static(uri));
            assert_eq!(requester.send(request).await.unwrap().content, path);
        }
    });
}

/// spray's `ChunkedRequestStart`, `MessageChunk`s and `ChunkedMessageEnd`: what arrives is the whole.
#[test]
fn a_streamed_request() {
    System::new().block_on(async {
        let requester = connect(bound().await.address).await;
        let (request, answer) = requester.start_send(HttpRequest::new(Method::POST, Uri::from_static("http://a/abc")));
        for chunk in ["1", "2345", "6789"] {
            request.send(chunk).await.unwrap();
        }
        request.finish();
        assert_eq!(answer.await.unwrap().content, "123456789");
    });
}

/// `CloseAll` lets what is asked be answered, and cuts off what is not within the grace.
#[test]
fn close_all() {
    System::new().block_on(async {
        let bound = bound().await;
        let (idle, waiting) = (connect(bound.address).await, connect(bound.address).await);
        assert_eq!(idle.send(get("/abc")).await.unwrap().content, "/abc");
        let never = waiting.send(get("/never"));
        let closed = Sockets::from_registry().send(CloseAll::within(Duration::from_millis(100))).await.unwrap();
        assert_eq!(closed, ClosedAll { cut_off: 1 });
        assert!(never.await.is_err());
        assert_eq!(idle.send(get("/abc")).await.unwrap_err(), HttpError::NotSent);
    });
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

lacking! {
    the_same_connector_for_the_same_host: "host-level client (B46): one connection at a time is all there is";
    a_request_to_a_host: "host-level client (B46)";
    a_request_to_whom_it_concerns: "request-level client (B47)";
    a_request_without_host_and_authority: "request-level client (B47): here Host is empty then";
}
