//! RequestRendererSpec: 17 examples.

use std::time::Instant;

use actix_sockets::HttpRequest;
use actix_sockets::http::{Client, ClientEvent, ContentEnd, HttpError, Settings, Streams};
use http::header::{AGE, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Uri, Version};

/// spray fills in the host that it is connected to. Here the URI's goes before that; what is said on the wire is in origin-form either way.
const HERE: &str = "http://test.com:8080";

fn request(method: Method, target: &str, fields: &[(HeaderName, &'static str)]) -> HttpRequest {
    let request = HttpRequest::new(method, format!("{HERE}{target}").parse().unwrap());
    fields.iter().fold(request, |request, (name, value)| request.with_header(name.clone(), HeaderValue::from_static(value)))
}

fn fancy() -> HeaderName {
    HeaderName::from_static("x-fancy")
}

struct Side {
    client: Client,
    now: Instant,
}

impl Side {
    fn new(agent: Option<&'static str>) -> Self {
        let now = Instant::now();
        Self { client: Client::new(Settings::new().user_agent(agent.map(HeaderValue::from_static)), now), now }
    }

    fn writes(&mut self) -> String {
        String::from_utf8(self.client.output().take(usize::MAX >> 1)).unwrap()
    }
}

fn rendered(request: HttpRequest) -> String {
    let mut side = Side::new(Some("spray-can/1.0.0"));
    side.client.request(request, side.now);
    side.writes()
}

/// The start of a request whose content follows, and what chunk and end add to it.
fn streamed(request: HttpRequest) -> [String; 3] {
    let mut side = Side::new(Some("spray-can/1.0.0"));
    let number = side.client.begin(request, Streams { content: true, ..Streams::default() }, side.now);
    let start = side.writes();
    side.client.chunk(number, "body123", side.now).unwrap();
    let chunk = side.writes();
    let fields = [(AGE, "30"), (CACHE_CONTROL, "public"), (HeaderName::from_static("cool-header"), "Yeah")];
    let trailers: HeaderMap = fields.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
    side.client.finish(number, ContentEnd::from(trailers), side.now).unwrap();
    [start, chunk, side.writes()]
}

const OURS: &str = "host: test.com:8080\r\nuser-agent: spray-can/1.0.0\r\n";

// ── whole ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_get_without_headers_and_body() {
    assert_eq!(rendered(request(Method::GET, "/abc", &[])), format!("GET /abc HTTP/1.1\r\n{OURS}\r\n"));
}

/// spray encodes it. A `Uri` cannot have what a URI has not; the encoding is its maker's.
#[test]
fn a_get_with_a_uri_that_needs_encoding() {
    assert!("/abc<def".parse::<Uri>().is_err());
    assert_eq!(rendered(request(Method::GET, "/abc%3Cdef", &[])), format!("GET /abc%3Cdef HTTP/1.1\r\n{OURS}\r\n"));
}

#[test]
fn a_post_with_a_few_headers_a_host_of_its_own_and_no_body() {
    let post = request(Method::POST, "/abc/xyz", &[(fancy(), "naa"), (AGE, "0"), (HOST, "spray.io:9999")]);
    let heard = rendered(post);
    assert_eq!(
        heard,
        "POST /abc/xyz HTTP/1.1\r\nuser-agent: spray-can/1.0.0\r\nx-fancy: naa\r\nage: 0\r\nhost: spray.io:9999\r\ncontent-length: 0\r\n\r\n"
    );
}

#[test]
fn a_put_with_a_few_headers_and_a_body() {
    let fields = [(fancy(), "naa"), (CACHE_CONTROL, "public"), (HOST, "spray.io"), (CONTENT_TYPE, "text/plain; charset=UTF-8")];
    let heard = rendered(request(Method::PUT, "/abc/xyz", &fields).with_content("The content please!"));
    assert_eq!(
        heard,
        "PUT /abc/xyz HTTP/1.1\r\nuser-agent: spray-can/1.0.0\r\nx-fancy: naa\r\ncache-control: public\r\nhost: spray.io\r\n\
         content-type: text/plain; charset=UTF-8\r\ncontent-length: 19\r\n\r\nThe content please!"
    );
}

/// spray has to be told so. Content has the type that it is given.
#[test]
fn a_put_with_a_body_and_no_content_type() {
    let heard = rendered(request(Method::PUT, "/abc/xyz", &[]).with_content("The content please!"));
    assert_eq!(heard, format!("PUT /abc/xyz HTTP/1.1\r\n{OURS}content-length: 19\r\n\r\nThe content please!"));
}

// ── streamed ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_start_of_a_put_without_a_body_and_with_a_content_type() {
    let [start, chunk, end] = streamed(request(Method::PUT, "/abc/xyz", &[(CONTENT_TYPE, "text/plain")]));
    assert_eq!(start, format!("PUT /abc/xyz HTTP/1.1\r\n{OURS}content-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"));
    assert_eq!((chunk.as_str(), end.as_str()), ("7\r\nbody123\r\n", "0\r\ncool-header: Yeah\r\n\r\n"));
}

#[test]
fn the_start_of_a_post_with_a_body() {
    let [start, ..] = streamed(request(Method::POST, "/abc/xyz", &[]).with_content("ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
    let head = format!("POST /abc/xyz HTTP/1.1\r\n{OURS}transfer-encoding: chunked\r\n\r\n");
    assert_eq!(start, format!("{head}1a\r\nABCDEFGHIJKLMNOPQRSTUVWXYZ\r\n"));
}

/// HTTP/1.0 has no chunks: such a request has a length.
#[test]
fn the_start_of_a_post_of_http_1_0() {
    let mut post = request(Method::POST, "/abc/xyz", &[(AGE, "30"), (CONTENT_TYPE, "text/plain"), (CONTENT_LENGTH, "7")]);
    post.version = Version::HTTP_10;
    let [start, chunk, end] = streamed(post);
    assert_eq!(start, format!("POST /abc/xyz HTTP/1.0\r\n{OURS}age: 30\r\ncontent-type: text/plain\r\ncontent-length: 7\r\n\r\n"));
    assert_eq!((chunk.as_str(), end.as_str()), ("body123", ""));
}

/// spray's `chunkless-request-streaming` is an option, and throws. Here it is what a length asks for; without one only HTTP/1.0 has nothing to send.
#[test]
fn the_start_of_a_chunkless_post_without_content_length() {
    let mut post = request(Method::POST, "/abc/xyz", &[(AGE, "30"), (CONTENT_TYPE, "text/plain")]);
    post.version = Version::HTTP_10;
    let mut side = Side::new(None);
    side.client.begin(post, Streams { content: true, ..Streams::default() }, side.now);
    assert!(matches!(side.client.poll_event(), Some(ClientEvent::Unanswered { error: HttpError::TransferEncoding, .. })));
    assert_eq!(side.writes(), "");
}

#[test]
fn the_start_of_a_chunkless_post_with_a_body() {
    let [start, ..] = streamed(request(Method::POST, "/abc/xyz", &[(CONTENT_LENGTH, "14")]).with_content("Yahoooo"));
    assert_eq!(start, format!("POST /abc/xyz HTTP/1.1\r\n{OURS}content-length: 14\r\n\r\nYahoooo"));
}

#[test]
fn a_chunkless_chunk() {
    let [_, chunk, _] = streamed(request(Method::POST, "/abc/xyz", &[(CONTENT_LENGTH, "14")]).with_content("Yahoooo"));
    assert_eq!(chunk, "body123");
}

/// There is no place for trailers.
#[test]
fn a_chunkless_end() {
    let [_, _, end] = streamed(request(Method::POST, "/abc/xyz", &[(CONTENT_LENGTH, "14")]).with_content("Yahoooo"));
    assert_eq!(end, "");
}

// ── User-Agent ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

fn asked_by(agent: Option<&'static str>, fields: &[(HeaderName, &'static str)]) -> String {
    let mut side = Side::new(agent);
    side.client.request(request(Method::GET, "/abc", fields), side.now);
    side.writes()
}

#[test]
fn the_user_agent_of_the_settings() {
    assert_eq!(asked_by(Some("spray-can/1.0.0"), &[]), format!("GET /abc HTTP/1.1\r\n{OURS}\r\n"));
}

#[test]
fn a_user_agent_of_its_own_and_none_of_the_settings() {
    let heard = asked_by(None, &[(USER_AGENT, "blah-blah/1.0")]);
    assert_eq!(heard, "GET /abc HTTP/1.1\r\nhost: test.com:8080\r\nuser-agent: blah-blah/1.0\r\n\r\n");
}

#[test]
fn a_user_agent_of_its_own_in_place_of_that_of_the_settings() {
    let heard = asked_by(Some("settings-ua/1.0"), &[(USER_AGENT, "user-ua/1.0")]);
    assert_eq!(heard, "GET /abc HTTP/1.1\r\nhost: test.com:8080\r\nuser-agent: user-ua/1.0\r\n\r\n");
}

// ── the raw target ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// spray has a header for it, in place of the URI. A `Uri` is sent as it stands; a header of that name is one as any.
#[test]
fn a_raw_target() {
    let raw = HeaderName::from_static("raw-request-uri");
    let heard = rendered(request(Method::GET, "/abc", &[(raw, "/def")]));
    assert_eq!(heard, format!("GET /abc HTTP/1.1\r\n{OURS}raw-request-uri: /def\r\n\r\n"));
}

#[test]
fn a_raw_target_that_is_no_utf_8() {
    assert_eq!(rendered(request(Method::GET, "/def%80%fe%ff", &[])), format!("GET /def%80%fe%ff HTTP/1.1\r\n{OURS}\r\n"));
}
