//! The peer of a connection of ours, on virtual time and without a socket.

use std::time::{Duration, Instant, SystemTime};

use actix_sockets::http::{Client, ClientEvent, Closing, Event, HttpDate, HttpRequest, HttpResponse, RequestNumber, Server, Settings};
use bytes::{Bytes, BytesMut};
use http::header::HeaderValue;
use http::{Method, Uri};

/// spray's samples are written with bare line ends, and a margin.
pub(crate) fn wire(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_start().strip_prefix('|').unwrap_or(line));
    let text = lines.collect::<Vec<_>>().join("\r\n");
    text.replace("\\n", "\r\n")
}

/// In front of a server's connection.
pub(crate) struct Peer {
    pub(crate) server: Server,
    pub(crate) now: Instant,
    pub(crate) date: HttpDate,
}

impl Peer {
    pub(crate) fn new(settings: Settings) -> Self {
        let now = Instant::now();
        // Thu, 25 Aug 2011 09:10:29 GMT, the date of spray's samples.
        let date = HttpDate::from(SystemTime::UNIX_EPOCH + Duration::from_secs(1_314_263_429));
        let settings = settings.server_header(Some(HeaderValue::from_static("spray/test")));
        Self { server: Server::new(settings, now).with_date(&date, now), now, date }
    }

    pub(crate) fn says(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.server.receive(BytesMut::from(text.as_ref()), self.now);
        self
    }

    pub(crate) fn hears(&mut self) -> String {
        let bytes = self.server.output().take(usize::MAX >> 1);
        self.server.wrote(self.now);
        String::from_utf8(bytes).unwrap()
    }

    #[track_caller]
    pub(crate) fn request(&mut self) -> (RequestNumber, HttpRequest) {
        match self.server.poll_event() {
            Some(Event::Request { number, request }) => (number, request),
            other => panic!("{other:?} in place of a request"),
        }
    }

    pub(crate) fn nothing_else(&mut self) -> bool {
        self.server.poll_event().is_none()
    }

    #[track_caller]
    pub(crate) fn answers(&mut self, number: RequestNumber, response: HttpResponse) -> &mut Self {
        self.server.respond(number, response, &self.date, self.now).unwrap();
        self
    }

    #[track_caller]
    pub(crate) fn starts(&mut self, number: RequestNumber, response: HttpResponse) -> &mut Self {
        self.server.start(number, response, &self.date, self.now).unwrap();
        self
    }

    #[track_caller]
    pub(crate) fn chunk(&mut self, number: RequestNumber, text: &'static str) -> &mut Self {
        self.server.chunk(number, Bytes::from_static(text.as_bytes()), self.now).unwrap();
        self
    }

    #[track_caller]
    pub(crate) fn finishes(&mut self, number: RequestNumber) -> &mut Self {
        self.server.finish(number, self.now).unwrap();
        self
    }

    pub(crate) fn later(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self.server.handle_timeout(self.now, &self.date);
        self
    }
}

/// The answer to a request of which no handler hears, and with which the connection ends. The input comes whole and byte by byte.
#[track_caller]
pub(crate) fn refused(status: u16, text: &str) {
    for cut in [usize::MAX, 1] {
        let mut peer = Peer::new(Settings::new());
        for piece in text.as_bytes().chunks(cut) {
            peer.says(piece);
        }
        assert!(matches!(peer.server.poll_event(), Some(Event::Failed(_))), "{text:?}");
        assert!(peer.nothing_else());
        let heard = peer.hears();
        assert!(heard.starts_with(&format!("HTTP/1.1 {status} ")), "{heard}");
        assert_eq!(peer.server.closing(), Closing::AfterFlush);
    }
}

/// What becomes of a response to a request with this method, and how the connection stands then: status and content, or the error.
pub(crate) fn answered(method: Method, text: &str, fin: bool) -> (String, Closing) {
    let mut outcomes = [usize::MAX, 1].map(|cut| {
        let now = Instant::now();
        let mut client = Client::new(Settings::new(), now);
        client.request(HttpRequest::new(method.clone(), Uri::from_static("http://a/")), now);
        drop(client.output().take(usize::MAX >> 1));
        client.wrote(now);
        text.as_bytes().chunks(cut).for_each(|piece| client.receive(BytesMut::from(piece), now));
        if fin {
            client.receive_eof(now);
        }
        let first = match client.poll_event() {
            Some(ClientEvent::Response { response, .. }) => {
                format!("{} {}", response.status.as_u16(), String::from_utf8_lossy(&response.content))
            }
            Some(ClientEvent::Unanswered { error, .. } | ClientEvent::Failed(error)) => format!("{error:?}"),
            other => format!("{other:?}"),
        };
        (first, client.closing())
    });
    assert_eq!(outcomes[0], outcomes[1], "whole and byte by byte: {text:?}");
    std::mem::replace(&mut outcomes[0], (String::new(), Closing::Open))
}

/// A response to a GET, complete.
#[track_caller]
pub(crate) fn whole(text: &str) -> HttpResponse {
    let now = Instant::now();
    let mut client = Client::new(Settings::new(), now);
    client.request(HttpRequest::new(Method::GET, Uri::from_static("http://a/")), now);
    drop(client.output().take(usize::MAX >> 1));
    client.wrote(now);
    client.receive(BytesMut::from(text), now);
    match client.poll_event() {
        Some(ClientEvent::Response { response, .. }) => response,
        other => panic!("{other:?} in place of a response"),
    }
}
