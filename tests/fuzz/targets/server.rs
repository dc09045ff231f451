//! What a server reads: requests, with their content (RFC 9112 §3, §5–§7). The first byte chooses settings.

use std::time::{Instant, UNIX_EPOCH};

use actix_sockets::http::{Client, Closing, Event, HttpDate, HttpRequest, HttpResponse, RequestNumber, Server, Settings};
use bytes::BytesMut;
use http::{Method, Version, header};

use super::input::cuts;

const SMALL: u8 = 1;
const PIPELINED: u8 = 2;
const FIN: u8 = 4;
const STREAMED: u8 = 8;
/// Content is told as it comes.
const TOLD: u8 = 16;

pub(crate) fn run(input: &[u8]) {
    let Some((&how, bytes)) = input.split_first() else { return };
    // A head that is not complete may be refused or not, as its pieces come: so it is completed, or cut off.
    let bytes = if how & FIN == 0 { [bytes, b"\r\n\r\n"].concat() } else { bytes.to_vec() };
    let [whole, single, pieces] = cuts(&bytes).map(|pieces| hears(how, &pieces));
    assert_eq!(whole.said(how), single.said(how), "byte by byte");
    assert_eq!(whole.said(how), pieces.said(how), "in pieces");
    // As it comes or whole, content is the same.
    let told = hears(how ^ TOLD, &[&bytes]);
    if how & SMALL == 0 {
        assert_eq!(whole.said(how), told.said(how), "the one told as it comes, the other whole");
    }
    for request in whole.requests {
        passes_on(request);
    }
}

/// What a server has heard.
struct Heard {
    requests: Vec<HttpRequest>,
    failed: bool,
    closing: Closing,
}

impl Heard {
    fn said(&self, how: u8) -> (Vec<String>, bool, Closing) {
        (self.requests.iter().map(line).collect(), self.failed && how & FIN == 0, self.closing)
    }
}

fn line(request: &HttpRequest) -> String {
    format!("{request:?}")
}

fn settings(how: u8) -> Settings {
    let settings = Settings::new().pipelining_limit(if how & PIPELINED == 0 { 1 } else { 4 });
    match how & SMALL {
        0 => settings,
        _ => settings.head_limit(512).target_limit(64).field_limit(8).field_value_limit(128).content_limit(64).trailer_limit(64),
    }
}

fn hears(how: u8, pieces: &[&[u8]]) -> Heard {
    let mut now = Instant::now();
    let date = HttpDate::from(UNIX_EPOCH);
    let mut server = Server::new(settings(how), now);
    if how & TOLD != 0 {
        server.stream_content();
    }
    let mut incoming: Option<(RequestNumber, HttpRequest, Vec<u8>)> = None;
    let mut heard = Heard { requests: Vec::new(), failed: false, closing: Closing::Open };
    let mut turn = |server: &mut Server, heard: &mut Heard, now| {
        while let Some(event) = server.poll_event() {
            match event {
                Event::RequestStart { number, request, worth, .. } => {
                    assert!(!heard.failed && incoming.is_none(), "one request after the other");
                    incoming = Some((number, request, Vec::new()));
                    server.give_back(worth, now);
                    continue;
                }
                Event::Chunk { number, chunk, worth } => {
                    let (whose, _, content) = incoming.as_mut().expect("content of a request");
                    assert!(*whose == number && !chunk.data.is_empty());
                    content.extend_from_slice(&chunk.data);
                    server.give_back(worth, now);
                    continue;
                }
                Event::ContentAborted { number, .. } => {
                    let (whose, ..) = incoming.take().expect("content of a request");
                    assert_eq!(whose, number);
                    continue;
                }
                Event::Request { .. } | Event::ContentEnd { .. } => {
                    let (number, request) = match event {
                        Event::Request { number, request } => (number, request),
                        _ => {
                            let (number, request, content) = incoming.take().expect("content of a request");
                            (number, request.with_content(content))
                        }
                    };
                    assert!(!heard.failed, "nothing is heard behind an error");
                    heard.requests.push(request);
                    if how & STREAMED == 0 {
                        server.respond(number, HttpResponse::ok("answer"), &date, now).expect("it is in hand");
                    } else {
                        server.start(number, HttpResponse::ok(""), &date, now).expect("it is in hand");
                        server.chunk(number, "answer", now).expect("it is being streamed");
                        server.finish(number, now).expect("it is being streamed");
                    }
                }
                Event::Failed(_) => {
                    assert!(!std::mem::replace(&mut heard.failed, true), "an error is told once");
                    assert_ne!(server.closing(), Closing::Open, "an error ends the connection");
                }
                _ => {}
            }
        }
        let output = server.output();
        assert!(output.len() <= (heard.requests.len() + 2) * 1024, "{} bytes to write", output.len());
        let written = output.len();
        output.advance(written);
        server.wrote(now);
    };
    let mut came = 0;
    for piece in pieces {
        server.receive(BytesMut::from(*piece), now);
        turn(&mut server, &mut heard, now);
        came += piece.len();
    }
    if how & FIN != 0 {
        server.receive_eof(now);
        turn(&mut server, &mut heard, now);
    }
    // The shortest request has 16 bytes: what came has not been heard twice.
    assert!(heard.requests.len() <= came / 16);
    assert!(heard.requests.iter().map(|request| request.content.len()).sum::<usize>() <= came);
    heard.closing = server.closing();
    // Whatever it waits for, it does not wait for ever.
    for _ in 0..8 {
        let Some(deadline) = server.deadline() else { break };
        now = now.max(deadline);
        server.handle_timeout(now, &date);
        while server.poll_event().is_some() {}
        let output = server.output();
        let written = output.len();
        output.advance(written);
        server.wrote(now);
    }
    assert!(matches!(server.closing(), Closing::Done | Closing::Abort), "{:?} with {:?}", server.closing(), server.deadline());
    heard
}

/// A request that was heard can be sent on, and is one request then, with the same content: nobody behind us is told another story.
fn passes_on(request: HttpRequest) {
    let now = Instant::now();
    // A proxy's affair (RFC 9110 §7.6), and the hosts that only an absolute-form names.
    if request.method == Method::CONNECT || request.version == Version::HTTP_10 || request.uri.scheme().is_some() {
        return;
    }
    let (method, content, target) = (request.method.clone(), request.content.clone(), request.uri.to_string());
    let mut sent = request;
    for hop_by_hop in [header::EXPECT, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::CONNECTION, header::UPGRADE] {
        sent.headers.remove(hop_by_hop);
    }
    let mut client = Client::new(Settings::new(), now);
    client.request(sent, now);
    let written = client.output().take(usize::MAX);
    let mut server = Server::new(Settings::new().head_limit(64 << 10).field_limit(1000).pipelining_limit(8), now);
    server.receive(BytesMut::from(&written[..]), now);
    let Some(Event::Request { request, .. }) = server.poll_event() else { panic!("no request: {}", written.escape_ascii()) };
    assert_eq!((request.method, request.content, request.uri.to_string()), (method, content, target));
    assert!(server.poll_event().is_none(), "one request and nothing behind it: {}", written.escape_ascii());
}
