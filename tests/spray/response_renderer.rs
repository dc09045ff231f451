//! ResponseRendererSpec.

use actix_sockets::HttpResponse;
use actix_sockets::http::{Chunk, Closing, Settings};
use http::header::{AGE, CONNECTION, HeaderName, HeaderValue};
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

#[test]
fn a_response_to_a_head_request() {
    let heard = rendered("HEAD", with(200, "Small f*ck up overhere!", &[(AGE, "30")]));
    assert_eq!(heard.0, format!("HTTP/1.1 200 OK\r\n{HEAD}age: 30\r\ncontent-length: 23\r\n\r\n"));
}

#[test]
fn a_chunked_response_piece_by_piece() {
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says("GET / HTTP/1.1\r\nHost: a\r\n\r\n").request();
    let start = peer.starts(number, with(200, "", &[(AGE, "30")])).hears();
    assert_eq!(start, format!("HTTP/1.1 200 OK\r\n{HEAD}age: 30\r\ntransfer-encoding: chunked\r\n\r\n"));
    assert_eq!(peer.chunk(number, "body123").hears(), "7\r\nbody123\r\n");
    assert_eq!(peer.finishes(number).hears(), "0\r\n\r\n");
    assert_eq!(peer.server.closing(), Closing::Open);
}

#[test]
fn a_chunked_response_with_a_body_at_its_start() {
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says("GET / HTTP/1.1\r\nHost: a\r\n\r\n").request();
    let start = peer.starts(number, with(200, "Yahoooo", &[])).hears();
    assert_eq!(start, format!("HTTP/1.1 200 OK\r\n{HEAD}transfer-encoding: chunked\r\n\r\n7\r\nYahoooo\r\n"));
}

/// spray has an option for it; here it is how HTTP/1.0 is answered (RFC 9112 §6.1).
#[test]
fn a_chunkless_response_piece_by_piece() {
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says("GET / HTTP/1.0\r\n\r\n").request();
    let start = peer.starts(number, with(200, "Yahoooo", &[(AGE, "30")])).hears();
    assert_eq!(start, format!("HTTP/1.1 200 OK\r\n{HEAD}age: 30\r\nconnection: close\r\n\r\nYahoooo"));
    assert_eq!(peer.chunk(number, "body123").hears(), "body123");
    assert_eq!(peer.finishes(number).hears(), "");
    assert_eq!(peer.server.closing(), Closing::AfterFlush);
}

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

#[test]
fn a_response_chunk_with_an_extension() {
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says("GET / HTTP/1.1\r\nHost: a\r\n\r\n").request();
    peer.starts(number, with(200, "", &[])).hears();
    let chunk = Chunk { data: "body123".into(), extensions: r#"key=value;another="tl;dr""#.into() };
    peer.server.chunk(number, chunk, peer.now).unwrap();
    assert_eq!(peer.hears(), "7;key=value;another=\"tl;dr\"\r\nbody123\r\n");
}

#[test]
fn a_final_response_chunk_with_trailers() {
    let mut peer = Peer::new(Settings::new());
    let (number, _) = peer.says("GET / HTTP/1.1\r\nHost: a\r\n\r\n").request();
    peer.starts(number, with(200, "", &[])).hears();
    let mut trailers = HeaderMap::new();
    trailers.insert(AGE, HeaderValue::from_static("30"));
    trailers.insert("cool-header", HeaderValue::from_static("Yeah"));
    peer.server.finish_with(number, &trailers.into(), peer.now).unwrap();
    // RFC 9110 §6.5.1: Age says how the response may be used, and is no trailer.
    assert_eq!(peer.hears(), "0\r\ncool-header: Yeah\r\n\r\n");
}

#[test]
fn chunkless_streaming_to_http_1_1() {
    let mut peer = Peer::new(Settings::new().chunkless_streaming(true));
    let (number, _) = peer.says("GET / HTTP/1.1\r\nHost: a\r\n\r\n").request();
    let start = peer.starts(number, with(200, "Yahoooo", &[(AGE, "30")])).hears();
    assert_eq!(start, format!("HTTP/1.1 200 OK\r\n{HEAD}age: 30\r\nconnection: close\r\n\r\nYahoooo"));
    assert_eq!(peer.chunk(number, "body123").hears(), "body123");
    assert_eq!(peer.finishes(number).hears(), "");
    assert_eq!(peer.server.closing(), Closing::AfterFlush);
}
