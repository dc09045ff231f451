//! The client's side of HTTP/1.1 as transcripts. Each input is fed whole, byte by byte and in cuts, and must tell the same.

use std::time::{Duration, Instant};

use actix_sockets::http::{Client, ClientEvent, Closing, HttpError, HttpRequest, Settings};
use bytes::BytesMut;
use http::header::{self, HeaderValue};
use http::{Method, Uri};

struct Peer {
    client: Client,
    now: Instant,
}

impl Peer {
    fn new(settings: Settings) -> Self {
        let now = Instant::now();
        Self { client: Client::new(settings, now), now }
    }

    fn asks(&mut self, request: HttpRequest) -> String {
        self.client.request(request, self.now);
        let bytes = self.client.output().take(usize::MAX >> 1);
        self.client.wrote(self.now);
        String::from_utf8(bytes).expect("requests of these tests are text")
    }

    fn hears(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.client.receive(BytesMut::from(bytes.as_ref()), self.now);
        self
    }

    fn events(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(event) = self.client.poll_event() {
            said.push(match event {
                ClientEvent::Response { number, response } => {
                    format!("{number} {} {}", response.status.as_u16(), String::from_utf8_lossy(&response.content))
                }
                ClientEvent::Failed(error) => format!("{error:?}"),
                _ => unreachable!("no other event"),
            });
        }
        said
    }
}

fn get(uri: &'static str) -> HttpRequest {
    HttpRequest::new(Method::GET, Uri::from_static(uri))
}

/// The events of `input` in answer to `requests`, the same in all cuts; `eof` when FIN follows.
#[track_caller]
fn told(requests: &[HttpRequest], input: impl AsRef<[u8]>, eof: bool) -> Vec<String> {
    let input = input.as_ref();
    let mut first = None;
    for cut in [usize::MAX, 1, 2, 3, 5, 7, 11, 13, 17, 64] {
        let mut peer = Peer::new(Settings::new().content_limit(1000));
        for request in requests {
            peer.asks(request.clone());
        }
        for piece in input.chunks(cut) {
            peer.hears(piece);
        }
        if eof {
            peer.client.receive_eof(peer.now);
        }
        let mut said = peer.events();
        said.push(format!("{:?}", peer.client.closing()));
        match &first {
            None => first = Some(said),
            Some(first) => assert_eq!(*first, said, "cut {cut} of {:?}", String::from_utf8_lossy(input)),
        }
    }
    first.expect("there were cuts")
}

#[test]
fn requests_are_written_as_http_needs_them() {
    let mut peer = Peer::new(Settings::new());
    assert_eq!(peer.asks(get("http://user@example.com:81/a?b")), "GET /a?b HTTP/1.1\r\nhost: example.com:81\r\n\r\n");
    let own = get("/x").with_header(header::HOST, HeaderValue::from_static("h"));
    assert_eq!(peer.asks(own.clone()), "GET /x HTTP/1.1\r\nhost: h\r\n\r\n");
    let lying = own.clone().with_header(header::CONTENT_LENGTH, HeaderValue::from_static("99")).with_content("abc");
    assert_eq!(peer.asks(lying), "GET /x HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc");
    assert_eq!(peer.asks(HttpRequest { method: Method::POST, ..own }), "POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n");
    let connect = HttpRequest::new(Method::CONNECT, Uri::from_static("a:80"));
    assert_eq!(peer.asks(connect), "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n");
    assert_eq!(peer.asks(HttpRequest::new(Method::OPTIONS, Uri::from_static("*"))), "OPTIONS * HTTP/1.1\r\nhost: \r\n\r\n");
}

/// RFC 9112 §6.3.
#[test]
fn content_ends_where_the_framing_says() {
    let ok = "HTTP/1.1 200 OK\r\n";
    for (response, eof, said) in [
        ("Content-Length: 5\r\n\r\nhello", false, &["0 200 hello", "Open"][..]),
        ("Content-Length: 0\r\n\r\n", false, &["0 200 ", "Open"]),
        ("Transfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nt: u\r\n\r\n", false, &["0 200 abcde", "Open"]),
        ("\r\nuntil the end", true, &["0 200 until the end", "Done"]),
        ("Connection: close\r\nContent-Length: 1\r\n\r\nx", false, &["0 200 x", "AfterFlush"]),
        ("Content-Length: 5\r\n\r\nhell", true, &["Truncated", "Done"]),
        ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true, &["Truncated", "Done"]),
        ("Content-Le", true, &["Truncated", "Done"]),
        ("Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", false, &["ContentLength", "AfterFlush"]),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", false, &["AmbiguousLength", "AfterFlush"]),
        ("Transfer-Encoding: gzip, chunked\r\n\r\n", false, &["UnknownTransferCoding", "AfterFlush"]),
        ("Content-Length: 1001\r\n\r\n", false, &["ContentTooLarge", "AfterFlush"]),
        ("Content-Length:\r\n\t1\r\n\r\nx", false, &["0 200 x", "Open"]),
        ("Content-Length: 1\r\n 0\r\n\r\nx", false, &["ContentLength", "AfterFlush"]),
        (" a: b\r\n\r\n", false, &["FieldLine", "AfterFlush"]),
        ("Content-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", false, &["0 200 ", "UnexpectedResponse", "AfterFlush"]),
    ] {
        assert_eq!(told(&[get("/")], format!("{ok}{response}"), eof), said, "{response:?}");
    }
    assert_eq!(told(&[get("/")], format!("{ok}\r\n{}", "x".repeat(1001)), true), ["ContentTooLarge", "Done"]);
    assert_eq!(told(&[get("/")], "", true), ["Closed", "Done"]);
    assert_eq!(told(&[get("/")], "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false), ["0 200 x", "AfterFlush"]);
}

/// "Any response to a HEAD request and any response with a 1xx …, 204 …, or 304 … status code is always terminated by the first empty
/// line" (RFC 9112 §6.3).
#[test]
fn responses_without_content() {
    let head = HttpRequest::new(Method::HEAD, Uri::from_static("/"));
    let input = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 \r\nContent-Length: 5\r\n\r\nHTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(told(&[head, get("/"), get("/")], input, false), ["0 200 ", "1 204 ", "2 304 ", "Open"]);
}

#[test]
fn malformed_heads() {
    for head in [
        "HTTP/1.1 20\r\n\r\n",
        "HTTP/1.1 0000 x\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "\r\n",
        "HTTP/1.1 200 a\x01\r\n\r\n",
        "HTTP/1.1 200x\r\n\r\n",
    ] {
        assert_eq!(told(&[get("/")], head, false), ["StatusLine", "AfterFlush"], "{head:?}");
    }
    assert_eq!(told(&[get("/")], "HTTP/2.0 200 OK\r\n\r\n", false), ["Version", "AfterFlush"]);
    assert_eq!(told(&[get("/")], "HTTP/1.1 200 OK\n\r\n", false), ["BareLineFeed", "AfterFlush"]);
    assert_eq!(told(&[get("/")], "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false), ["0 200 ", "Open"]);
    assert_eq!(told(&[get("/")], format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(17 << 10)), false), ["HeadTooLarge", "AfterFlush"]);
}

/// RFC 9110 §15.2.
#[test]
fn interim_responses_are_passed_over_up_to_a_limit() {
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let input = format!("HTTP/1.1 100 Continue\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", hint.repeat(15));
    assert_eq!(told(&[get("/")], input, false), ["0 200 x", "Open"]);
    assert_eq!(told(&[get("/")], hint.repeat(17), false), ["TooManyInterim", "AfterFlush"]);
}

/// RFC 9110 §7.8: what follows the head of the 101 is of the new protocol.
#[test]
fn a_101_ends_http() {
    let input = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x01\x05HTTP/";
    let upgrade = get("/").with_header(header::UPGRADE, HeaderValue::from_static("websocket"));
    for cut in 1..=input.len() {
        let mut peer = Peer::new(Settings::new());
        peer.asks(upgrade.clone());
        for piece in input.as_bytes().chunks(cut) {
            peer.hears(piece);
        }
        assert_eq!(peer.events(), ["0 101 "]);
        assert!(peer.client.is_switched() && peer.client.deadline().is_none());
        assert_eq!(&peer.client.into_unread()[..], b"\x01\x05HTTP/");
    }
    assert_eq!(told(&[get("/")], input, false), ["UnexpectedSwitch", "AfterFlush"]);
}

#[test]
fn pipelined_requests_are_answered_in_order_and_lost_behind_a_close() {
    let all = [get("/0"), get("/1"), get("/2")];
    let ok = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    assert_eq!(told(&all, ok("a") + &ok("b") + &ok("c"), false), ["0 200 a", "1 200 b", "2 200 c", "Open"]);
    let close = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(told(&all, ok("a") + close, false), ["0 200 a", "1 200 ", "Closed", "AfterFlush"]);
    let mut peer = Peer::new(Settings::new());
    peer.asks(get("/").with_header(header::CONNECTION, HeaderValue::from_static("close")));
    assert_eq!(peer.asks(get("/late")), "");
    assert_eq!(peer.hears(ok("x")).events(), ["Closed", "0 200 x"]);
    assert_eq!(peer.client.closing(), Closing::AfterFlush);
}

#[test]
fn each_silence_ends_within_its_deadline() {
    const SECOND: Duration = Duration::from_secs(1);
    for (input, seconds, said) in [
        ("", 10, "ResponseTimeout"),
        ("HTTP/1.1 200 O", 10, "ResponseTimeout"),
        ("HTTP/1.1 100 Continue\r\n\r\n", 10, "ResponseTimeout"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 5, "ContentTimeout"),
    ] {
        let mut peer = Peer::new(Settings::new());
        peer.asks(get("/"));
        peer.hears(input);
        assert_eq!(peer.client.deadline(), Some(peer.now + SECOND * seconds), "{input:?}");
        peer.client.handle_timeout(peer.now + SECOND * seconds);
        assert_eq!((peer.events(), peer.client.closing()), (vec![said.to_owned()], Closing::AfterFlush));
    }
    let mut peer = Peer::new(Settings::new());
    assert_eq!(peer.client.deadline(), Some(peer.now + SECOND * 60));
    peer.client.handle_timeout(peer.now + SECOND * 60);
    assert_eq!((peer.events().len(), peer.client.closing()), (0, Closing::AfterFlush));
    // A server that takes no bytes.
    let mut peer = Peer::new(Settings::new().response_timeout(SECOND * 100));
    peer.client.request(get("/"), peer.now);
    peer.client.handle_timeout(peer.now + SECOND * 30);
    assert_eq!((peer.events(), peer.client.closing()), (vec!["WriteTimeout".to_owned()], Closing::Abort));
    assert_eq!(HttpError::ResponseTimeout.status(), http::StatusCode::GATEWAY_TIMEOUT);
}
