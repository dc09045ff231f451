//! Chunked content (RFC 9112 §7.1), read by both roles, which must read the same; and written as pieces.

use std::time::{Instant, UNIX_EPOCH};

use actix_sockets::http::{Client, ClientEvent, Event, HttpDate, HttpRequest, HttpResponse, Server, Settings};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Uri, header};

use super::client::leaves;
use super::input::{Chance, cuts};

pub(crate) fn run(input: &[u8]) {
    let [by_server, by_client] = [server_reads, client_reads].map(|reads| {
        let [whole, single, pieces] = cuts(input).map(|pieces| reads(&pieces));
        assert_eq!(whole, single, "byte by byte");
        assert_eq!(whole, pieces, "in pieces");
        whole
    });
    // A line of a trailer that is continued is refused by a server, and taken by a client (RFC 9112 §5.2).
    if !input.windows(2).any(|two| matches!(two, b"\n " | b"\n\t")) {
        assert_eq!(by_server, by_client, "in both roles");
    }
    if let Content::Whole(content) = by_client {
        assert!(content.len() + 5 <= input.len(), "content out of nothing");
    }
    writes(input);
}

/// How far the content has come.
#[derive(Debug, PartialEq)]
enum Content {
    Incomplete,
    Broken,
    Whole(Bytes),
}

fn server_reads(pieces: &[&[u8]]) -> Content {
    let now = Instant::now();
    let mut server = Server::new(Settings::new(), now);
    server.receive(BytesMut::from("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), now);
    for piece in pieces {
        server.receive(BytesMut::from(*piece), now);
        match server.poll_event() {
            Some(Event::Request { request, .. }) => return Content::Whole(request.content),
            Some(Event::Failed(_)) => return Content::Broken,
            _ => {}
        }
    }
    Content::Incomplete
}

fn asks() -> HttpRequest {
    HttpRequest::new(Method::GET, Uri::from_static("/")).with_header(header::HOST, HeaderValue::from_static("a"))
}

fn client_reads(pieces: &[&[u8]]) -> Content {
    let now = Instant::now();
    let mut client = Client::new(Settings::new(), now);
    client.request(asks(), now);
    leaves(&mut client, now);
    client.receive(BytesMut::from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), now);
    for piece in pieces {
        client.receive(BytesMut::from(*piece), now);
        match client.poll_event() {
            Some(ClientEvent::Response { response, .. }) => return Content::Whole(response.content),
            Some(ClientEvent::Unanswered { .. } | ClientEvent::Failed(_)) => return Content::Broken,
            _ => {}
        }
    }
    Content::Incomplete
}

/// The input as content, streamed in pieces by a server, arrives whole at a client.
fn writes(content: &[u8]) {
    let (now, date) = (Instant::now(), HttpDate::from(UNIX_EPOCH));
    let mut server = Server::new(Settings::new(), now);
    server.receive(BytesMut::from("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), now);
    let Some(Event::Request { number, .. }) = server.poll_event() else { panic!("a right request") };
    server.start(number, HttpResponse::ok(""), &date, now).expect("it is in hand");
    let (mut chance, mut rest) = (Chance::of(content), content);
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(chance.below(300).min(rest.len()));
        server.chunk(number, Bytes::copy_from_slice(piece), now).expect("it is being streamed");
        rest = behind;
    }
    server.finish(number, now).expect("it is being streamed");
    let mut client = Client::new(Settings::new(), now);
    client.request(asks(), now);
    leaves(&mut client, now);
    client.receive(BytesMut::from(&server.output().take(usize::MAX)[..]), now);
    let Some(ClientEvent::Response { response, .. }) = client.poll_event() else { panic!("no response") };
    assert_eq!(response.content, content);
    assert!(client.poll_event().is_none());
}
