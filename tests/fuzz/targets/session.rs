//! A whole connection on virtual time: an HTTP server that switches to a websocket, a peer that says anything, a handler that answers, waits,
//! sends and closes as the input says, and a network that cuts.
//!
//! Byte 0 chooses what is agreed on, byte 1 how many bytes of script follow; what is behind the script is what the peer says in frames.

use std::time::{Duration, Instant, UNIX_EPOCH};

use actix_sockets::http::{Event as HttpEvent, HttpDate, HttpResponse, Server, Settings};
use actix_sockets::stage::{AutoPing, AutoPong, Chain, Close, Closing, Command, Consolidation, Event, Pause, Phase, Pipeline, Stage};
use actix_sockets::upgrade::handshake::{self, deflate::Preferences};
use actix_sockets::upgrade::switch;
use actix_sockets::websocket::{CloseCode, Codec, Frame, OpCode, Role};
use bytes::BytesMut;

use super::input::{Choices, cuts};

const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
const BEFORE: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// What is agreed on.
const DEFLATE: u8 = 1;
const FRAGMENTS: u8 = 2;
const EARLIER: u8 = 4;

const MESSAGE_LIMIT: usize = 2000;

pub(crate) fn run(input: &[u8]) {
    let mut choices = Choices(input);
    let how = choices.byte();
    let length = choices.byte();
    let script = choices.take(length.into());
    let frames = choices.0;
    let mut said = if how & EARLIER == 0 { String::new() } else { BEFORE.to_owned() }.into_bytes();
    said.extend_from_slice(HANDSHAKE.as_bytes());
    said.extend_from_slice(frames);
    Session::new(how).plays(script, &said);
    // Without a script, the same is heard and written whatever the cuts: also when frames come in one piece with the handshake.
    let [whole, single, pieces] = cuts(&said).map(|pieces| Session::new(how).hears(&pieces));
    assert_eq!(whole, single, "byte by byte");
    assert_eq!(whole, pieces, "in pieces");
}

enum Protocol {
    Http(Server),
    WebSocket(Pipeline),
    /// In between.
    None,
}

struct Session {
    how: u8,
    now: Instant,
    protocol: Protocol,
    /// What was read and not taken yet, once it is a websocket.
    buffer: BytesMut,
    written: Vec<u8>,
    heard: Vec<String>,
    closed: bool,
    suspended: bool,
    eof: bool,
}

impl Session {
    fn new(how: u8) -> Self {
        let now = Instant::now();
        let protocol = Protocol::Http(Server::new(Settings::new(), now));
        Self {
            how,
            now,
            protocol,
            buffer: BytesMut::new(),
            written: Vec::new(),
            heard: Vec::new(),
            closed: false,
            suspended: false,
            eof: false,
        }
    }

    /// All pieces, each followed by all that is to be done about it; then the end.
    fn hears(mut self, pieces: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
        for piece in pieces {
            self.receives(piece);
            self.settles();
            self.writes(usize::MAX);
        }
        self.ends()
    }

    fn plays(mut self, script: &[u8], said: &[u8]) {
        let mut said = Choices(said);
        // The handshake comes in the first reads, or as the script cuts it.
        for step in script {
            let much = usize::from(step >> 3);
            match step & 7 {
                0 if !self.eof => self.receives(said.take(if much == 31 { 400 } else { much })),
                1 => self.waits(Duration::from_millis(100) * (much * much * much) as u32),
                2 => self.says(Command::Frame(Frame::text("s".repeat(much * 8)))),
                3 => self.says(Command::Close(Close::new(CloseCode::GOING_AWAY, "as the script says"))),
                4 => self.writes(much * 32),
                5 => self.settles(),
                6 => self.suspends(much & 1 == 0),
                7 if much == 31 => self.lost(),
                7 if much > 15 && !self.eof => self.fin(),
                _ => {}
            }
        }
        if !self.eof {
            self.receives(said.0);
        }
        self.ends();
    }

    fn receives(&mut self, piece: &[u8]) {
        match &mut self.protocol {
            Protocol::Http(server) => server.receive(BytesMut::from(piece), self.now),
            Protocol::WebSocket(pipeline) => {
                if !pipeline.wants_read() {
                    return;
                }
                self.buffer.extend_from_slice(piece);
                pipeline.receive(&mut self.buffer, self.now);
                assert!(self.buffer.len() <= piece.len() + MESSAGE_LIMIT || pipeline.is_behind(), "{} bytes are kept", self.buffer.len());
            }
            Protocol::None => {}
        }
        self.turns();
    }

    /// What has happened is told, until nothing more does.
    fn turns(&mut self) {
        self.switches();
        let Protocol::WebSocket(pipeline) = &mut self.protocol else { return };
        loop {
            while let Some(event) = pipeline.poll_event() {
                assert!(!self.closed, "nothing is told behind Closed: {event:?}");
                if let Event::Frame(frame) = &event {
                    assert!(frame.data.len() <= MESSAGE_LIMIT);
                    assert!(self.how & FRAGMENTS != 0 || frame.is_whole(), "{frame:?}");
                    assert_eq!(frame.rsv, 0);
                }
                self.closed = matches!(event, Event::Closed(_));
                self.heard.push(format!("{event:?}"));
            }
            if !pipeline.is_behind() {
                break;
            }
            pipeline.receive(&mut self.buffer, self.now);
        }
    }

    /// HTTP's events: an ordinary request is answered, a handshake leads to the websocket.
    fn switches(&mut self) {
        let date = HttpDate::from(UNIX_EPOCH);
        let Protocol::Http(server) = &mut self.protocol else { return };
        let mut upgrade = None;
        while let Some(event) = server.poll_event() {
            let HttpEvent::Request { number, request } = event else { continue };
            match handshake::accept(&request) {
                Ok(response) => upgrade = Some((number, response)),
                Err(_) => server.respond(number, HttpResponse::ok("earlier"), &date, self.now).expect("it is in hand"),
            }
        }
        let Some((number, response)) = upgrade else { return };
        let Protocol::Http(server) = std::mem::replace(&mut self.protocol, Protocol::None) else { return };
        let wanted = Preferences::default();
        let wanted = if cfg!(feature = "deflate") && self.how & DEFLATE != 0 { Some(&wanted) } else { None };
        let switched = match switch(server, number, response, wanted, &date, self.now) {
            Ok(switched) => switched,
            Err((_, error)) => panic!("{error}"),
        };
        let codec = Codec::new(Role::Server).frame_size_limit(1000).message_size_limit(MESSAGE_LIMIT as u64).fragments_limit(20);
        let chain = chain(Role::Server, self.how, switched.deflate.is_some(), MESSAGE_LIMIT as u64);
        let mut pipeline = Pipeline::new(codec, Box::new(|| unreachable!("a server does not mask")), chain, self.now);
        pipeline.take_over(switched.head_bytes);
        self.buffer = switched.unread;
        pipeline.receive(&mut self.buffer, self.now);
        if switched.eof {
            pipeline.receive_eof(self.now);
        }
        self.protocol = Protocol::WebSocket(pipeline);
    }

    fn says(&mut self, command: Command) {
        if let Protocol::WebSocket(pipeline) = &mut self.protocol {
            pipeline.command(command, self.now);
        }
        self.turns();
    }

    fn settles(&mut self) {
        if let Protocol::WebSocket(pipeline) = &mut self.protocol {
            pipeline.settle(self.now);
        }
        self.turns();
    }

    fn suspends(&mut self, suspended: bool) {
        if let Protocol::WebSocket(pipeline) = &mut self.protocol {
            pipeline.suspend(suspended.then_some(Pause::Ours), self.now);
            self.suspended = suspended;
        }
    }

    fn fin(&mut self) {
        self.eof = true;
        match &mut self.protocol {
            Protocol::Http(server) => server.receive_eof(self.now),
            Protocol::WebSocket(pipeline) => pipeline.receive_eof(self.now),
            Protocol::None => {}
        }
        self.turns();
    }

    fn lost(&mut self) {
        self.eof = true;
        if let Protocol::WebSocket(pipeline) = &mut self.protocol {
            pipeline.lost(self.now);
            assert_eq!(pipeline.phase(), Phase::Done);
        }
        self.turns();
    }

    fn writes(&mut self, bytes: usize) {
        match &mut self.protocol {
            Protocol::Http(server) => {
                self.written.extend(server.output().take(bytes));
                server.wrote(self.now);
            }
            Protocol::WebSocket(pipeline) => {
                let taken = pipeline.output().take(bytes);
                pipeline.wrote(!taken.is_empty(), self.now);
                self.written.extend(taken);
            }
            Protocol::None => {}
        }
        self.turns();
    }

    fn deadline(&mut self) -> Option<Instant> {
        match &mut self.protocol {
            Protocol::Http(server) => server.deadline(),
            Protocol::WebSocket(pipeline) if pipeline.phase() != Phase::Done => pipeline.deadline(),
            _ => None,
        }
    }

    /// Time passes, and each deadline is met when it comes.
    fn waits(&mut self, how_long: Duration) {
        let until = self.now + how_long;
        let mut met = 0;
        while let Some(deadline) = self.deadline().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            match &mut self.protocol {
                Protocol::Http(server) => server.handle_timeout(self.now, &HttpDate::from(UNIX_EPOCH)),
                Protocol::WebSocket(pipeline) => pipeline.handle_timeout(self.now),
                Protocol::None => {}
            }
            self.turns();
            met += 1;
            assert!(met < 2000, "deadlines without end in {how_long:?}");
        }
        self.now = until;
    }

    /// The peer has said all it says, and answers nothing any more: it ends by itself, and everything that was written was right.
    fn ends(mut self) -> (Vec<String>, Vec<u8>) {
        self.settles();
        self.writes(usize::MAX);
        self.suspends(false);
        // A ping, its deadline, the closing handshake, the lingering: in five minutes at most.
        for _ in 0..10 {
            self.waits(Duration::from_secs(30));
            self.writes(usize::MAX);
        }
        let Protocol::WebSocket(pipeline) = &mut self.protocol else { return (self.heard, self.written) };
        assert_eq!(pipeline.phase(), Phase::Done, "{:?}", self.heard);
        assert!(self.closed && pipeline.has_ended(), "it has said Closed: {:?}", self.heard);
        assert_eq!(self.heard.iter().filter(|event| event.starts_with("Closed")).count(), 1);
        reads(&self.written);
        (self.heard, self.written)
    }
}

/// A peer can read all of it: heads, then frames, of which a Close is the last. Where the transport was lost the last frame may be cut.
fn reads(written: &[u8]) {
    let Some(at) = written.windows(17).position(|bytes| bytes == b"HTTP/1.1 101 Swit") else { return };
    let Some(head) = written[at..].windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return };
    let mut frames = BytesMut::from(&written[at + head + 4..]);
    let mut codec = Codec::new(Role::Client).allow_rsv1(true);
    let mut closed = false;
    while let Some(frame) = codec.decode(&mut frames).expect("only right frames are written") {
        assert!(!closed, "no frame follows a Close frame (RFC 6455 §5.5.1): {frame:?}");
        closed = frame.opcode == OpCode::Close;
    }
    assert!(!closed || frames.is_empty());
}

/// The stages of a websocket as the actors put them together.
pub(super) fn chain(role: Role, how: u8, deflate: bool, limit: u64) -> Chain {
    let ping = AutoPing::every(Duration::from_secs(20)).within(Duration::from_secs(20));
    let mut chain = ping.then(AutoPong);
    if how & FRAGMENTS == 0 {
        chain = chain.and(Consolidation::new(limit));
    }
    chain = chain.and(Closing::new(role, Duration::from_secs(5)));
    #[cfg(feature = "deflate")]
    if deflate {
        use actix_sockets::stage::PerMessageDeflate;
        use actix_sockets::stage::deflate::Context;
        chain = chain.and(PerMessageDeflate::new(Context::default(), Context::default(), limit).threshold(0));
    }
    let _ = deflate;
    chain
}
