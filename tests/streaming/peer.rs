//! The peer of a server's connection that tells content as it comes.

use std::time::{Duration, Instant, SystemTime};

use actix_sockets::http::{Closing, Event, HttpDate, HttpError, HttpRequest, HttpResponse, RequestNumber, Server, Settings};
use bytes::BytesMut;
use http::HeaderMap;

/// What a handler hears, without what it is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Request(String, String),
    Start(String, Option<u64>),
    Data(String, String),
    End(HeaderMap),
    Aborted(HttpError),
    TimedOut,
    Failed(HttpError),
}

pub(crate) struct Peer {
    pub(crate) server: Server,
    pub(crate) now: Instant,
    date: HttpDate,
    /// The handler lets go of what it hears at once.
    pub(crate) lets_go: bool,
    /// What it has in hand.
    pub(crate) in_hand: Vec<usize>,
    /// The request it has heard of last.
    pub(crate) number: Option<RequestNumber>,
}

impl Peer {
    pub(crate) fn new(settings: Settings) -> Self {
        let now = Instant::now();
        let date = HttpDate::from(SystemTime::UNIX_EPOCH);
        let mut server = Server::new(settings.server_header(None), now).with_date(&date, now);
        server.stream_content();
        Self { server, now, date, lets_go: true, in_hand: Vec::new(), number: None }
    }

    /// Keeps what it hears.
    pub(crate) fn keeping(mut self) -> Self {
        self.lets_go = false;
        self
    }

    pub(crate) fn says(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.server.receive(BytesMut::from(text.as_ref()), self.now);
        self
    }

    pub(crate) fn finishes(&mut self) -> &mut Self {
        self.server.receive_eof(self.now);
        self
    }

    pub(crate) fn later(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self.server.handle_timeout(self.now, &self.date);
        self
    }

    /// What the handler hears now.
    pub(crate) fn handler(&mut self) -> Vec<Heard> {
        let mut heard = Vec::new();
        while let Some(event) = self.server.poll_event() {
            let mut worth = 0;
            heard.push(match event {
                Event::Request { number, request } => {
                    self.number = Some(number);
                    Heard::Request(request.path().to_owned(), text(&request.content))
                }
                Event::RequestStart { number, request, length, worth: its } => {
                    self.number = Some(number);
                    worth = its;
                    Heard::Start(path(&request), length)
                }
                Event::Chunk { number, chunk, worth: its } => {
                    assert_eq!(Some(number), self.number);
                    assert!(!chunk.data.is_empty());
                    worth = its;
                    Heard::Data(text(&chunk.data), text(&chunk.extensions))
                }
                Event::ContentEnd { number, end } => {
                    assert_eq!(Some(number), self.number);
                    Heard::End(end.trailers)
                }
                Event::ContentAborted { number, error } => {
                    assert_eq!(Some(number), self.number);
                    Heard::Aborted(error)
                }
                Event::TimedOut { .. } => Heard::TimedOut,
                Event::Failed(error) => Heard::Failed(error),
                other => panic!("{other:?}"),
            });
            match (self.lets_go, worth) {
                (_, 0) => {}
                (true, _) => self.server.give_back(worth, self.now),
                (false, _) => self.in_hand.push(worth),
            }
        }
        heard
    }

    /// The handler lets go of what it has heard first.
    pub(crate) fn lets_go_of_one(&mut self) -> &mut Self {
        let worth = self.in_hand.remove(0);
        self.server.give_back(worth, self.now);
        self
    }

    pub(crate) fn answers(&mut self, response: HttpResponse) -> &mut Self {
        self.server.respond(self.number.unwrap(), response, &self.date, self.now).unwrap();
        self
    }

    pub(crate) fn starts(&mut self, response: HttpResponse) -> &mut Self {
        self.server.start(self.number.unwrap(), response, &self.date, self.now).unwrap();
        self
    }

    /// What the peer reads.
    pub(crate) fn hears(&mut self) -> String {
        let bytes = self.server.output().take(usize::MAX >> 1);
        self.server.wrote(self.now);
        text(&bytes)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.server.closing() != Closing::Open
    }
}

fn path(request: &HttpRequest) -> String {
    assert!(request.content.is_empty());
    request.path().to_owned()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn start(length: Option<u64>) -> Heard {
    Heard::Start("/up".to_owned(), length)
}

pub(crate) fn end() -> Heard {
    Heard::End(HeaderMap::new())
}

pub(crate) const CHUNKED: &str = "POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

pub(crate) fn sized(length: usize) -> String {
    format!("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}
