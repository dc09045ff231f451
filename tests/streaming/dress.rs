//! What a request is told with, and its refusal, where the settings ask for more than there is.

use std::time::Instant;

use actix_sockets::HttpRequest;
use actix_sockets::http::{Event, Server, Settings};
use bytes::BytesMut;
use http::header::HeaderValue;

fn server(settings: Settings) -> Server {
    Server::new(settings, Instant::now()).describe_peer("192.0.2.1", Some("TLSv1.3, TLS_AES_256_GCM_SHA384"))
}

fn told(server: &mut Server, text: &str) -> HttpRequest {
    server.receive(BytesMut::from(text.as_bytes()), Instant::now());
    match server.poll_event() {
        Some(Event::Request { request, .. } | Event::RequestStart { request, .. }) => request,
        other => panic!("{other:?}"),
    }
}

/// B30: what is known of the peer; what it says of itself under these names is not heard.
#[test]
fn the_peers_own_fields_of_these_names_are_not_heard() {
    let all = || Settings::new().remote_address_header(true).raw_request_target_header(true).tls_session_header(true);
    let forged = "Remote-Address: 127.0.0.1\r\nRaw-Request-URI: /admin\r\nSSL-Session-Info: CN=root\r\nREMOTE-ADDRESS: ::1\r\n";
    for streams in [false, true] {
        let mut server = server(all());
        if streams {
            server.stream_content();
        }
        let request = told(&mut server, &format!("POST /f%6f?q HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n{forged}\r\nx"));
        for (name, value) in
            [("remote-address", "192.0.2.1"), ("raw-request-uri", "/f%6f?q"), ("ssl-session-info", "TLSv1.3, TLS_AES_256_GCM_SHA384")]
        {
            assert_eq!(request.headers.get_all(name).iter().collect::<Vec<_>>(), [value], "{name}");
        }
    }
    // In the clear there is nothing to say, and nothing is heard.
    let mut server = Server::new(all(), Instant::now()).describe_peer("192.0.2.1", None);
    assert_eq!(told(&mut server, &format!("GET / HTTP/1.1\r\nHost: a\r\n{forged}\r\n")).header("ssl-session-info"), None);
}

/// B26: what no URI has is refused, or told encoded; what was sent is there in any case, and goes into the field that was asked for.
#[test]
fn a_target_that_is_no_uri() {
    use actix_sockets::http::UriParsing::{self, Relaxed, RelaxedWithRawQuery, Strict};
    let settings = |mode: UriParsing| Settings::new().uri_parsing(mode).raw_request_target_header(true);
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let sent = "/f{1}%20?ids[]=1|2";
    for (mode, uri) in [(Relaxed, "/f%7B1%7D%20?ids%5B%5D=1%7C2"), (RelaxedWithRawQuery, "/f%7B1%7D%20?ids[]=1|2")] {
        let request = told(&mut server(settings(mode)), &request(sent));
        assert_eq!((request.uri.to_string().as_str(), request.raw_target().as_ref()), (uri, sent));
        assert_eq!(request.header("raw-request-uri"), Some(sent));
    }
    let told_as_sent = told(&mut server(settings(Strict)), &request("/f%7B1%7D%20?ids%5B%5D=1%7C2"));
    assert_eq!(told_as_sent.raw_target(), "/f%7B1%7D%20?ids%5B%5D=1%7C2");
    for mode in [Strict, Relaxed, RelaxedWithRawQuery] {
        let nowhere =
            ["/\u{1}", "/\u{7f}", "/\u{e9}", "/#", "/?#", "/a b", "/?a b", "/\t", "/%", "http://a|b/", "http://a b/", "http://{a}/"];
        for target in nowhere.iter().chain((mode == Strict).then_some(&sent)) {
            let mut server = server(settings(mode));
            server.receive(BytesMut::from(request(target).as_bytes()), Instant::now());
            assert!(matches!(server.poll_event(), Some(Event::Failed(_))), "{mode:?}: {target:?}");
            assert!(server.poll_event().is_none());
        }
    }
}

/// B20: the handler sees a GET, the peer hears no content.
#[test]
fn a_head_may_be_told_as_a_get() {
    for (settings, method) in [
        (Settings::new(), "GET"),
        (Settings::new().transparent_head_requests(true), "GET"),
        (Settings::new().transparent_head_requests(false), "HEAD"),
    ] {
        let mut server = server(settings);
        server.receive(BytesMut::from("HEAD / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n"), Instant::now());
        let Some(Event::Request { number, request }) = server.poll_event() else { panic!("a request") };
        assert_eq!(request.method, method);
        assert_eq!(request.header("range").is_some(), method == "HEAD", "RFC 9110 §14.2: it means nothing to HEAD");
        let date = std::time::SystemTime::UNIX_EPOCH.into();
        server.respond(number, actix_sockets::HttpResponse::ok("content"), &date, Instant::now()).unwrap();
        let heard = String::from_utf8(server.output().take(usize::MAX >> 1)).unwrap();
        assert!(heard.contains("content-length: 7\r\n") && heard.ends_with("\r\n\r\n"), "{heard}");
    }
}

/// What a handler can do on its own it is left to.
#[test]
fn a_handler_may_know_of_head() {
    let mut server = server(Settings::new());
    server.tell_head();
    assert_eq!(told(&mut server, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").method, "HEAD");
}

/// RFC 6455 §4.1: a handshake is a GET, and no HEAD becomes one; whether it has content or not.
#[test]
fn a_head_that_asks_for_an_upgrade_is_told_as_what_it_is() {
    for (content, end) in [("", ""), ("Content-Length: 1\r\n", "x")] {
        for streams in [false, true] {
            let mut server = server(Settings::new());
            if streams {
                server.stream_content();
            }
            let handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
            let request = told(&mut server, &format!("HEAD / HTTP/1.1\r\nHost: a\r\n{handshake}{content}\r\n{end}"));
            assert_eq!(request.method, "HEAD");
            assert!(actix_sockets::handshake::accept(&request).is_err(), "it is no handshake");
        }
    }
}

/// B24: an empty Host, or none in HTTP/1.0; never in place of one that is there, nor of one that must be.
#[test]
fn a_default_host() {
    let default = || Settings::new().default_host_header(Some(HeaderValue::from_static("spray.io")));
    for (text, host) in [
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Some("spray.io")),
        ("GET / HTTP/1.0\r\n\r\n", Some("spray.io")),
        ("GET / HTTP/1.0\r\nHost: \r\n\r\n", Some("spray.io")),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Some("a")),
    ] {
        assert_eq!(told(&mut server(default()), text).header("host"), host, "{text:?}");
    }
    for text in ["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost:\r\nHost:\r\n\r\n"] {
        let mut server = server(default());
        server.receive(BytesMut::from(text), Instant::now());
        assert!(matches!(server.poll_event(), Some(Event::Failed(_))), "{text:?}");
    }
}

/// B29: which rule, where that is asked for.
#[test]
fn a_refusal_may_say_why() {
    for (verbose, content) in [(false, "400 Bad Request\n"), (true, "400 Bad Request: invalid Content-Length (RFC 9112 §6.3)\n")] {
        let mut server = server(Settings::new().verbose_errors(verbose));
        server.receive(BytesMut::from("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"), Instant::now());
        let heard = String::from_utf8(server.output().take(usize::MAX >> 1)).unwrap();
        assert!(heard.ends_with(&format!("\r\n\r\n{content}")), "{heard}");
    }
}
