//! ResponseRendererSpec: the 13 examples of the version we have seen, and what its last version has besides, as far as what came of it tells.

use std::time::{Instant, SystemTime};

use actix_sockets::HttpResponse;
use actix_sockets::http::{Chunk, Closing, Event, HttpDate, RequestNumber, Server, Settings};
use http::header::{AGE, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, SERVER};
use http::{HeaderMap, StatusCode};

use crate::peer::Peer;

const HEAD: &str = "date: Thu, 25 Aug 2011 09:10:29 GMT\r\nserver: spray/test\r\n";

/// What is written in answer to a request with this method, and how the connection stands then.
fn rendered(method: &str, response: HttpResponse) -> (String, Closing) {
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).request();
    let heard = peer.answers(number, response).hears();
    (heard, peer.server.closing())
}

fn with(status: u16, content: &'static str, fields: &[(HeaderName, &'static str)]) -> HttpResponse {
    let response = HttpResponse::new(StatusCode::from_u16(status).unwrap()).with_content(content);
    fields.iter().fold(response, |response, (name, value)| response.with_header(name.clone(), HeaderValue::from_static(value)))
}

#[test]
fn a_200_without_headers_and_body() {
    assert_eq!(rendered("GET", with(200, "", &[])), (format!("HTTP/1.1 200 OK\r\n{HEAD}content-length: 0\r\n\r\n"), Closing::Open));
}

/// spray adds `Content-Length: 0`. RFC 9110 §8.6: that would be the length of the 200, which we do not know.
#[test]
fn a_304_with_a_few_headers_and_no_body() {
    let fancy = HeaderName::from_static("x-fancy");
    let heard = rendered("GET", with(304, "", &[(fancy, "of course"), (AGE, "0")]));
    assert_eq!(heard, (format!("HTTP/1.1 304 Not Modified\r\n{HEAD}x-fancy: of course\r\nage: 0\r\n\r\n"), Closing::Open));
}

/// HTTP/1.1 goes on without saying so: `Connection` is ours to write.
#[test]
fn a_400_with_a_few_headers_and_a_body() {
    let heard = rendered("GET", with(400, "Small f*ck up overhere!", &[(AGE, "30"), (CONNECTION, "Keep-Alive")]));
    let wire = format!("HTTP/1.1 400 Bad Request\r\n{HEAD}age: 30\r\ncontent-length: 23\r\n\r\nSmall f*ck up overhere!");
    assert_eq!(heard, (wire, Closing::Open));
}

/// spray knows the reason of a status that was registered with one. A reason means nothing (RFC 9112 §4), and none is said here.
#[test]
fn a_status_of_ones_own() {
    let heard = rendered("GET", with(330, "", &[])).0;
    assert_eq!(heard, format!("HTTP/1.1 330 \r\n{HEAD}content-length: 0\r\n\r\n"));
}

/// Content has the type that it is given, and none of itself.
#[test]
fn a_400_with_a_body_and_no_content_type() {
    let (plain, typed) = (with(400, "Small f*ck up overhere!", &[]), HttpResponse::new(StatusCode::BAD_REQUEST).with_text("f*ck"));
    assert!(!rendered("GET", plain).0.contains("content-type"));
    assert!(rendered("GET", typed).0.contains("\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 4\r\n\r\nf*ck"));
    assert!(rendered("GET", with(400, "{}", &[(CONTENT_TYPE, "application/json")])).0.contains("\r\ncontent-type: application/json\r\n"));
}

#[test]
fn a_response_to_a_head_request() {
    let heard = rendered("HEAD", with(200, "Small f*ck up overhere!", &[(AGE, "30")]));
    assert_eq!(heard.0, format!("HTTP/1.1 200 OK\r\n{HEAD}age: 30\r\ncontent-length: 23\r\n\r\n"));
}

/// Chunked, to a GET of this version that is asked for with these settings: its start, what then happens to it, and how the connection stands.
fn streamed(
    settings: Settings,
    version: &str,
    start: HttpResponse,
    then: impl FnOnce(&mut Peer, RequestNumber),
) -> (String, String, Closing) {
    let mut peer = Peer::new(settings);
    let (number, _) = peer.says(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n")).request();
    let start = peer.starts(number, start).hears();
    then(&mut peer, number);
    let rest = peer.hears();
    (start, rest, peer.server.closing())
}

/// A chunk with extensions, a quoted semicolon among them.
fn with_extensions() -> Chunk {
    Chunk { data: "body123".into(), extensions: r#"key=value;another="tl;dr""#.into() }
}

/// RFC 9110 §6.5.1: Age and Cache-Control say how the response may be used, and are no trailers. spray writes them.
fn trailers() -> HeaderMap {
    let fields = [(AGE, "30"), (CACHE_CONTROL, "public"), (HeaderName::from_static("cool-header"), "Yeah")];
    fields.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}

// ── chunked ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_chunked_response_without_a_body() {
    let (start, rest, closing) = streamed(Settings::new(), "1.1", with(200, "", &[(AGE, "30")]), |_, _| ());
    assert_eq!(start, format!("HTTP/1.1 200 OK\r\n{HEAD}age: 30\r\ntransfer-encoding: chunked\r\n\r\n"));
    assert_eq!((rest.as_str(), closing), ("", Closing::Open));
}

#[test]
fn a_chunked_response_with_a_body() {
    let (start, _, _) = streamed(Settings::new(), "1.1", with(200, "Yahoooo", &[]), |_, _| ());
    assert_eq!(start, format!("HTTP/1.1 200 OK\r\n{HEAD}transfer-encoding: chunked\r\n\r\n7\r\nYahoooo\r\n"));
}

#[test]
fn a_response_chunk() {
    let chunk = |peer: &mut Peer, number| {
        peer.server.chunk(number, with_extensions(), peer.now).unwrap();
        peer.chunk(number, "body456");
    };
    let (_, rest, _) = streamed(Settings::new(), "1.1", with(200, "", &[]), chunk);
    assert_eq!(rest, "7;key=value;another=\"tl;dr\"\r\nbody123\r\n7\r\nbody456\r\n");
}

#[test]
fn a_final_response_chunk() {
    let finish = |peer: &mut Peer, number| peer.server.finish_with(number, &trailers().into(), peer.now).unwrap();
    let (_, rest, closing) = streamed(Settings::new(), "1.1", with(200, "", &[]), finish);
    assert_eq!((rest.as_str(), closing), ("0\r\ncool-header: Yeah\r\n\r\n", Closing::Open));
}

// ── chunkless: by the option, and to HTTP/1.0 (RFC 9112 §6.1) ───────────────────────────────────────────────────────────────────────

fn chunkless(start: &HttpResponse, then: impl Fn(&mut Peer, RequestNumber)) -> (String, String, Closing) {
    let [option, old] = [(Settings::new().chunkless_streaming(true), "1.1"), (Settings::new(), "1.0")]
        .map(|(settings, version)| streamed(settings, version, start.clone(), &then));
    assert_eq!(option, old);
    option
}

/// The connection's end is the content's: that is said (RFC 9112 §9.6), which spray leaves out.
#[test]
fn a_chunkless_chunked_response_without_a_body() {
    let (start, rest, closing) = chunkless(&with(200, "", &[(AGE, "30")]), |_, _| ());
    assert_eq!(start, format!("HTTP/1.1 200 OK\r\n{HEAD}age: 30\r\nconnection: close\r\n\r\n"));
    assert_eq!((rest.as_str(), closing), ("", Closing::Open));
}

#[test]
fn a_chunkless_chunked_response_with_a_body() {
    let (start, _, closing) = chunkless(&with(200, "Yahoooo", &[]), |_, _| ());
    assert_eq!((start, closing), (format!("HTTP/1.1 200 OK\r\n{HEAD}connection: close\r\n\r\nYahoooo"), Closing::Open));
}

#[test]
fn a_chunkless_response_chunk() {
    let chunk = |peer: &mut Peer, number| peer.server.chunk(number, with_extensions(), peer.now).unwrap();
    let (_, rest, closing) = chunkless(&with(200, "", &[]), chunk);
    assert_eq!((rest.as_str(), closing), ("body123", Closing::Open));
}

/// There is no place for trailers.
#[test]
fn a_chunkless_final_response_chunk() {
    let finish = |peer: &mut Peer, number| peer.server.finish_with(number, &trailers().into(), peer.now).unwrap();
    let (_, rest, closing) = chunkless(&with(200, "", &[]), finish);
    assert_eq!((rest.as_str(), closing), ("", Closing::AfterFlush));
}

/// With a length of its own it needs neither chunks nor an end.
#[test]
fn a_streamed_response_with_its_content_length() {
    let finish = |peer: &mut Peer, number| {
        peer.chunk(number, "123").finishes(number);
    };
    let start = with(200, "Yahoooo", &[(CONTENT_LENGTH, "10")]);
    let (head, rest, closing) = streamed(Settings::new().chunkless_streaming(true), "1.1", start, finish);
    assert_eq!(head, format!("HTTP/1.1 200 OK\r\n{HEAD}content-length: 10\r\n\r\nYahoooo"));
    assert_eq!((rest.as_str(), closing), ("123", Closing::Open));
}

// ── the fields that are ours ────────────────────────────────────────────────────────────────────────────────────────────────────────

/// spray's table. Two rows differ: who closes says so (RFC 9112 §9.6 has it as SHOULD), and what the peer asked to close is not kept open.
#[test]
fn the_connection_header() {
    for (version, asked, answered, says, closes) in [
        ("1.1", "", "", "", false),
        ("1.1", "close", "", "connection: close\r\n", true),
        ("1.1", "Keep-Alive", "", "", false),
        ("1.0", "", "", "connection: close\r\n", true),
        ("1.0", "close", "", "connection: close\r\n", true),
        ("1.0", "Keep-Alive", "", "connection: keep-alive\r\n", false),
        ("1.1", "", "close", "connection: close\r\n", true),
        ("1.0", "close", "Keep-Alive", "connection: close\r\n", true),
    ] {
        let mut peer = Peer::new(Settings::new());
        let field = if asked.is_empty() { String::new() } else { format!("Connection: {asked}\r\n") };
        let (number, _) = peer.says(format!("GET / HTTP/{version}\r\nHost: a\r\n{field}\r\n")).request();
        let fields: &[_] = if answered.is_empty() { &[] } else { &[(CONNECTION, answered)] };
        let heard = peer.answers(number, with(200, "", fields)).hears();
        assert_eq!(heard, format!("HTTP/1.1 200 OK\r\n{HEAD}content-length: 0\r\n{says}\r\n"), "{version} {asked:?} {answered:?}");
        assert_eq!(peer.server.closing() == Closing::AfterFlush, closes, "{version} {asked:?} {answered:?}");
    }
}

/// Three more of its examples: the option's `Server`, none, or that of the response, which goes before the option's there. Here it is the library's to say
/// (B22), and a response's own is left out.
#[test]
fn the_server_header() {
    let explicit = || with(200, "", &[(SERVER, "explicit/1.0")]);
    for (option, response, server) in [
        (Some("spray/test"), with(200, "", &[]), "server: spray/test\r\n"),
        (None, with(200, "", &[]), ""),
        (Some("spray/test"), explicit(), "server: spray/test\r\n"),
        (None, explicit(), ""),
    ] {
        let now = Instant::now();
        let date = HttpDate::from(SystemTime::UNIX_EPOCH);
        let mut server_side = Server::new(Settings::new().server_header(option.map(HeaderValue::from_static)), now);
        server_side.receive("GET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), now);
        let Some(Event::Request { number, .. }) = server_side.poll_event() else { panic!("a request") };
        server_side.respond(number, response, &date, now).unwrap();
        let heard = String::from_utf8(server_side.output().take(usize::MAX >> 1)).unwrap();
        let lines = "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
        assert_eq!(heard, format!("{lines}{server}content-length: 0\r\n\r\n"));
    }
}
