//! The opening handshake (RFC 6455 §4), from outside: what a server answers to a request, what a client makes of a response.

mod client;
mod deflate;
mod origin;
mod properties;
mod redirect;
mod server;
mod switching;
mod target;

use actix_sockets::http::{HttpRequest, HttpResponse};
use actix_sockets::upgrade::handshake::{Refusal, accept};
use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode};

/// The request of RFC 6455 §1.2, but for its Origin and subprotocols.
const HANDSHAKE: &str = "\
    Host: server.example.com
    Upgrade: websocket
    Connection: Upgrade
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
    Sec-WebSocket-Version: 13";

/// The response of RFC 6455 §1.2, but for its subprotocol.
const SWITCHING: &str = "\
    Upgrade: websocket
    Connection: Upgrade
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// `GET /chat` with these field lines.
fn get(lines: &str) -> HttpRequest {
    let request = HttpRequest::new(Method::GET, "/chat".parse().expect("a path"));
    fields(lines).fold(request, |request, (name, value)| request.with_header(name, value))
}

/// A response with these field lines.
fn response(status: u16, lines: &str) -> HttpResponse {
    let response = HttpResponse::new(StatusCode::from_u16(status).expect("a status"));
    fields(lines).fold(response, |response, (name, value)| response.with_header(name, value))
}

fn fields(lines: &str) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    lines.lines().filter(|line| !line.trim().is_empty()).map(|line| {
        let (name, value) = line.trim().split_once(':').expect("a field line");
        (name.parse().expect("a field name"), value.trim().parse().expect("a field value"))
    })
}

/// The lines, with every line that has this name replaced by others: by none, or by several.
fn with(lines: &str, name: &str, others: &[&str]) -> String {
    let prefix = format!("{name}:");
    assert!(lines.contains(&prefix), "{name} is there to be replaced");
    let kept = lines.lines().filter(|line| !line.trim().starts_with(&prefix)).map(str::to_owned);
    kept.chain(others.iter().map(|value| format!("{name}: {value}"))).collect::<Vec<_>>().join("\n")
}

/// The handshake with that one field otherwise.
fn handshake_with(name: &str, values: &[&str]) -> HttpRequest {
    get(&with(HANDSHAKE, name, values))
}

/// The handshake with one field line more.
fn handshake_and(line: &str) -> HttpRequest {
    get(&format!("{HANDSHAKE}\n{line}"))
}

#[track_caller]
fn accepted(request: &HttpRequest) -> HttpResponse {
    let response = accept(request).unwrap_or_else(|refusal| panic!("refused: {refusal}\n{request:?}"));
    assert_eq!(response.status, 101);
    response
}

/// Refused so, with that status.
#[track_caller]
fn refused(request: &HttpRequest, status: u16, refusal: Refusal) {
    match accept(request) {
        Ok(_) => panic!("accepted: {request:?}"),
        Err(got) => assert_eq!((got, got.status().as_u16(), got.into_response().status.as_u16()), (refusal, status, status)),
    }
}
