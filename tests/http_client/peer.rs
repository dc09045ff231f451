//! The server, on virtual time and without a socket.

use std::time::{Duration, Instant};

use actix_sockets::http::{Chunk, Client, ClientEvent, ContentEnd, HttpError, HttpRequest, RequestNumber, Settings, Streams};
use bytes::BytesMut;
use http::{Method, Uri};

/// In front of a client's connection.
pub(crate) struct Peer {
    pub(crate) client: Client,
    pub(crate) now: Instant,
}

impl Peer {
    pub(crate) fn new(settings: Settings) -> Self {
        let now = Instant::now();
        Self { client: Client::new(settings, now), now }
    }

    /// A client that does not say its name.
    pub(crate) fn nameless() -> Self {
        Self::new(Settings::new().user_agent(None))
    }

    pub(crate) fn begins(&mut self, request: HttpRequest, content: bool, response: bool) -> RequestNumber {
        self.client.begin(request, Streams { content, response }, self.now)
    }

    pub(crate) fn gives(&mut self, number: RequestNumber, chunk: impl Into<Chunk>) -> Result<(), HttpError> {
        self.client.chunk(number, chunk, self.now)
    }

    pub(crate) fn finishes(&mut self, number: RequestNumber) -> Result<(), HttpError> {
        self.client.finish(number, ContentEnd::default(), self.now)
    }

    /// What the client has to say, which is taken.
    pub(crate) fn takes(&mut self) -> String {
        let mut all = Vec::new();
        while !self.client.output().is_empty() {
            all.extend(self.client.output().take(usize::MAX >> 1));
            self.client.wrote(self.now);
        }
        String::from_utf8(all).expect("requests of these tests are text")
    }

    /// The client is asked for this, and says that.
    pub(crate) fn asks(&mut self, request: HttpRequest) -> String {
        self.client.request(request, self.now);
        self.takes()
    }

    pub(crate) fn hears(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.client.receive(BytesMut::from(bytes.as_ref()), self.now);
        self
    }

    pub(crate) fn later(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self.client.handle_timeout(self.now);
        self
    }

    /// What the client tells, one line an event. Content is in nobody's hands any more then.
    pub(crate) fn events(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(event) = self.client.poll_event() {
            said.push(described(&event));
            self.client.give_back(worth(&event), self.now);
        }
        said
    }
}

/// What is to be given back for it.
pub(crate) fn worth(event: &ClientEvent) -> usize {
    match event {
        ClientEvent::ResponseStart { worth, .. } | ClientEvent::Chunk { worth, .. } => *worth,
        _ => 0,
    }
}

fn described(event: &ClientEvent) -> String {
    match event {
        ClientEvent::Response { number, response } => {
            format!("{number} {} {}", response.status.as_u16(), String::from_utf8_lossy(&response.content))
        }
        ClientEvent::ResponseStart { number, response, length, .. } => {
            let length = length.map_or(String::new(), |length| length.to_string());
            format!("{number} {} …{length}", response.status.as_u16())
        }
        ClientEvent::Chunk { number, chunk, worth } => {
            assert!(!chunk.data.is_empty() && *worth > chunk.data.len());
            format!("{number} + {}", String::from_utf8_lossy(&chunk.data))
        }
        ClientEvent::ContentEnd { number, end } => format!("{number} . {:?}", end.trailers),
        ClientEvent::Unanswered { number, error } => format!("{number} {error:?}"),
        ClientEvent::Failed(error) => format!("{error:?}"),
        _ => unreachable!("no other event"),
    }
}

pub(crate) fn get(uri: &'static str) -> HttpRequest {
    HttpRequest::new(Method::GET, Uri::from_static(uri))
}

pub(crate) fn post(uri: &'static str) -> HttpRequest {
    HttpRequest::new(Method::POST, Uri::from_static(uri))
}

/// `200 OK`, with this as content.
pub(crate) fn ok(content: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{content}", content.len())
}

/// The events of `input` in answer to `requests`, the same in all cuts; `eof` when FIN follows.
#[track_caller]
pub(crate) fn told(requests: &[HttpRequest], input: impl AsRef<[u8]>, eof: bool) -> Vec<String> {
    let input = input.as_ref();
    let mut first = None;
    for cut in [usize::MAX, 1, 2, 3, 5, 7, 11, 13, 17, 64] {
        let mut peer = Peer::new(Settings::new().content_limit(1000).user_agent(None));
        for request in requests {
            peer.asks(request.clone());
        }
        for piece in input.chunks(cut) {
            peer.hears(piece);
        }
        if eof {
            peer.client.receive_eof(peer.now);
        }
        let mut said = peer.events();
        said.push(format!("{:?}", peer.client.closing()));
        match &first {
            None => first = Some(said),
            Some(first) => assert_eq!(*first, said, "cut {cut} of {:?}", String::from_utf8_lossy(input)),
        }
    }
    first.expect("there were cuts")
}
