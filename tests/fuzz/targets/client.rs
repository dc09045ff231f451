//! What a client reads: responses, with their content (RFC 9112 §4–§7). The first byte chooses what they answer.

use std::time::{Instant, UNIX_EPOCH};

use actix_sockets::http::{Client, ClientEvent, Closing, Event, HttpDate, HttpRequest, HttpResponse, Server, Settings, Streams};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, StatusCode, Uri, header};

use super::input::cuts;

const SMALL: u8 = 1;
const FIN: u8 = 2;
const HEAD: u8 = 4;
const UPGRADE: u8 = 8;
/// How many requests wait: two bits.
const MORE: u8 = 4;
/// Content is told as it comes.
const TOLD: u8 = 64;

pub(crate) fn run(input: &[u8]) {
    let Some((&how, bytes)) = input.split_first() else { return };
    let [whole, single, pieces] = cuts(bytes).map(|pieces| hears(how, &pieces));
    assert_eq!(whole.said(), single.said(), "byte by byte");
    assert_eq!(whole.said(), pieces.said(), "in pieces");
    // As it comes or whole, content is the same.
    if how & SMALL == 0 {
        assert_eq!(whole.said(), hears(how ^ TOLD, &[bytes]).said(), "the one told as it comes, the other whole");
    }
    if how & HEAD == 0 {
        for response in whole.responses {
            passes_on(response);
        }
    }
}

struct Heard {
    responses: Vec<HttpResponse>,
    failed: bool,
    closing: Closing,
    unread: Vec<u8>,
}

impl Heard {
    fn said(&self) -> (Vec<String>, bool, Closing, &[u8]) {
        (self.responses.iter().map(|response| format!("{response:?}")).collect(), self.failed, self.closing, &self.unread)
    }
}

fn asks(how: u8) -> HttpRequest {
    let method = if how & HEAD == 0 { Method::GET } else { Method::HEAD };
    let request = HttpRequest::new(method, Uri::from_static("/")).with_header(header::HOST, HeaderValue::from_static("a"));
    if how & UPGRADE == 0 {
        return request;
    }
    request
        .with_header(header::UPGRADE, HeaderValue::from_static("websocket"))
        .with_header(header::CONNECTION, HeaderValue::from_static("upgrade"))
}

/// What the client says is taken: what it has not said nobody can answer.
pub(super) fn leaves(client: &mut Client, now: Instant) {
    let written = client.output().len();
    client.output().advance(written);
    client.wrote(now);
}

fn hears(how: u8, pieces: &[&[u8]]) -> Heard {
    let mut now = Instant::now();
    let settings = match how & SMALL {
        0 => Settings::new(),
        _ => Settings::new().head_limit(512).field_limit(8).field_value_limit(128).content_limit(64).trailer_limit(64).interim_limit(2),
    };
    let mut client = Client::new(settings.pipelining_limit(4), now);
    let asked = 1 + usize::from(how >> MORE & 3);
    let streams = Streams { response: how & TOLD != 0, ..Streams::default() };
    for _ in 1..asked {
        client.begin(asks(how & !UPGRADE), streams, now);
    }
    client.begin(asks(how), streams, now);
    leaves(&mut client, now);
    let mut heard = Heard { responses: Vec::new(), failed: false, closing: Closing::Open, unread: Vec::new() };
    let mut incoming: Option<(HttpResponse, Vec<u8>)> = None;
    let mut turn = |client: &mut Client, heard: &mut Heard| {
        while let Some(event) = client.poll_event() {
            match event {
                ClientEvent::Response { response, .. } => {
                    assert!(!heard.failed, "nothing is heard behind an error");
                    heard.responses.push(response);
                }
                ClientEvent::ResponseStart { response, worth, .. } => {
                    assert!(incoming.is_none(), "one response after the other");
                    incoming = Some((response, Vec::new()));
                    client.give_back(worth, now);
                }
                ClientEvent::Chunk { chunk, worth, .. } => {
                    assert!(!chunk.data.is_empty());
                    incoming.as_mut().expect("content of a response").1.extend_from_slice(&chunk.data);
                    client.give_back(worth, now);
                }
                ClientEvent::ContentEnd { .. } => {
                    let (response, content) = incoming.take().expect("content of a response");
                    heard.responses.push(response.with_content(content));
                }
                ClientEvent::Failed(_) => assert!(!std::mem::replace(&mut heard.failed, true), "an error is told once"),
                _ => {}
            }
        }
        assert!(client.output().is_empty(), "a client answers to nothing");
    };
    let mut came = 0;
    for piece in pieces {
        if client.is_switched() {
            heard.unread.extend_from_slice(piece);
        } else {
            client.receive(BytesMut::from(*piece), now);
            turn(&mut client, &mut heard);
        }
        came += piece.len();
    }
    if how & FIN != 0 {
        client.receive_eof(now);
        turn(&mut client, &mut heard);
    }
    assert!(heard.responses.len() <= asked, "no more answers than questions");
    assert!(heard.responses.iter().map(|response| response.content.len()).sum::<usize>() <= came);
    heard.closing = client.closing();
    if client.is_switched() {
        let mut unread = client.into_unread().to_vec();
        unread.append(&mut heard.unread);
        return Heard { unread, ..heard };
    }
    for _ in 0..8 {
        let Some(deadline) = client.deadline() else { break };
        now = now.max(deadline);
        client.handle_timeout(now);
    }
    assert!(matches!(client.closing(), Closing::Done | Closing::Abort), "{:?}", client.closing());
    heard
}

/// A response that was heard can be given on, and is one response then, with the same content; 205 has none (RFC 9110 §15.3.6).
fn passes_on(response: HttpResponse) {
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    let (now, date) = (Instant::now(), HttpDate::from(UNIX_EPOCH));
    let status = response.status;
    let content = if status == StatusCode::RESET_CONTENT { Bytes::new() } else { response.content.clone() };
    let mut server = Server::new(Settings::new(), now);
    server.receive(BytesMut::from("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), now);
    let Some(Event::Request { number, .. }) = server.poll_event() else { panic!("a right request") };
    let mut given = response;
    given.headers.remove(header::CONNECTION);
    server.respond(number, given, &date, now).expect("it is in hand");
    let written = server.output().take(usize::MAX);
    let mut client = Client::new(Settings::new().head_limit(64 << 10).field_limit(1000), now);
    client.request(asks(0), now);
    leaves(&mut client, now);
    client.receive(BytesMut::from(&written[..]), now);
    let Some(ClientEvent::Response { response, .. }) = client.poll_event() else { panic!("no response: {}", written.escape_ascii()) };
    assert_eq!((response.status, response.content), (status, content));
    assert!(client.poll_event().is_none(), "one response and nothing behind it: {}", written.escape_ascii());
}
