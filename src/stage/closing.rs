//! The closing handshake (RFC 6455 §7): one state machine.
//!
//! ```text
//!              our Close frame               the peer's
//!      Open ──────────────────────▶ Sent ──────────────────┐
//!       │                            │ deadline, failure,  ▼
//!       │ the peer's: echoed         │ end           ┌── Both (client: until the server's FIN)
//!       ├────────────────────────────┼──────────────▶│
//!       │ failure, end               ▼               ▼
//!       └───────────────────────▶ Closed ◀───────────┘   (server: at once)
//! ```
//!
//! Every state with everything that can happen in it stands as a table in `docs/architecture.md`, which a test prints from this code.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, Instant};

use super::{Close, Command, Event, Flow, Interest, Stage};
use crate::websocket::{CloseCode, Frame, OpCode, Role};

/// How a websocket ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The code of the Close frame that began the closing handshake, [`CloseCode::NO_STATUS`] if it had none; [`CloseCode::ABNORMAL`]
    /// if there was no Close frame at all.
    pub code: CloseCode,
    /// The reason in that frame, or what happened in place of one.
    pub reason: Cow<'static, str>,
    /// Who began.
    pub by: By,
    /// Whether a Close frame passed in both directions (RFC 6455 §7.1.4).
    pub clean: bool,
}

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// This end.
    Us,
    /// The other end, or the network.
    Peer,
}

/// Conducts the closing handshake: echoes the peer's Close frame, waits for the echo of ours, fails the websocket when the protocol is
/// broken, and tells [`Event::Closed`] exactly once. The lowest stage of all chains, but for one that compresses.
pub struct Closing {
    role: Role,
    within: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    Open,
    /// Our Close frame has gone, the peer's has not come.
    Sent {
        outcome: Outcome,
        until: Option<Instant>,
    },
    /// Both Close frames have passed: the server is to close the TCP connection, and we are the client (RFC 6455 §7.1.1).
    Both {
        outcome: Outcome,
        until: Option<Instant>,
    },
    Closed,
}

impl Closing {
    /// For this end; the closing handshake must end within the time given.
    #[must_use]
    pub fn new(role: Role, within: Duration) -> Self {
        Self { role, within, state: State::Open }
    }

    /// Our Close frame goes out, and the peer's is awaited.
    fn begin(&mut self, close: Frame, flow: &mut Flow<'_>) {
        let close = sendable(close);
        let (code, reason) = read(&close);
        let until = if planted!(ClosingForever) { None } else { flow.now().checked_add(self.within) };
        self.state = State::Sent { outcome: Outcome { code, reason, by: By::Us, clean: false }, until };
        flow.down(Command::Frame(close));
    }

    /// Fails the websocket: Close, then FIN at once. The peer's Close is not awaited, yet what it sends is read and thrown away, so that
    /// no reset overtakes our Close on its way.
    fn fail(&mut self, code: CloseCode, reason: Cow<'static, str>, flow: &mut Flow<'_>) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open => {
                let close = sendable(Close::new(code, reason.clone()).frame());
                let code = read(&close).0;
                flow.down(Command::Frame(close));
                self.end(Outcome { code, reason, by: By::Us, clean: false }, Command::Finish, flow);
            }
            State::Sent { outcome, .. } | State::Both { outcome, .. } => self.end(outcome, Command::Finish, flow),
            State::Closed => {}
        }
    }

    /// The peer's Close frame.
    fn received(&mut self, close: &Frame, flow: &mut Flow<'_>) {
        let outcome = match std::mem::replace(&mut self.state, State::Closed) {
            State::Open => {
                let (code, reason) = read(close);
                // The echo: the same code, no reason (RFC 6455 §5.5.1).
                flow.down(Command::Frame(Close::new(code, "").frame()));
                Outcome { code, reason, by: By::Peer, clean: true }
            }
            State::Sent { outcome, .. } => Outcome { clean: true, ..outcome },
            other => return self.state = other,
        };
        match self.role {
            Role::Server => self.end(outcome, Command::Finish, flow),
            Role::Client => self.state = State::Both { outcome, until: flow.now().checked_add(self.within) },
        }
    }

    fn end(&mut self, outcome: Outcome, how: Command, flow: &mut Flow<'_>) {
        self.state = State::Closed;
        flow.down(how);
        flow.up(Event::Closed(outcome));
    }
}

impl Stage for Closing {
    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        match event {
            Event::Frame(close) if close.opcode == OpCode::Close => self.received(&close, flow),
            Event::Failed(error) => self.fail(error.close_code(), error.to_string().into(), flow),
            Event::Ended => match std::mem::replace(&mut self.state, State::Closed) {
                State::Open => {
                    let reason = "the connection ended without a Close frame".into();
                    self.end(Outcome { code: CloseCode::ABNORMAL, reason, by: By::Peer, clean: false }, Command::Finish, flow);
                }
                State::Sent { outcome, .. } | State::Both { outcome, .. } => self.end(outcome, Command::Finish, flow),
                State::Closed => {}
            },
            other => flow.up(other),
        }
    }

    fn command(&mut self, command: Command, flow: &mut Flow<'_>) {
        match command {
            Command::Frame(close) if close.opcode == OpCode::Close => {
                if matches!(self.state, State::Open) {
                    self.begin(close, flow);
                }
            }
            Command::Close(close) => {
                if matches!(self.state, State::Open) {
                    self.begin(close.frame(), flow);
                }
            }
            Command::Fail(code, reason) => self.fail(code, reason, flow),
            other => flow.down(other),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Sent { until, .. } | State::Both { until, .. } => *until,
            State::Open | State::Closed => None,
        }
    }

    fn timeout(&mut self, flow: &mut Flow<'_>) {
        match std::mem::replace(&mut self.state, State::Closed) {
            // Clean already: it is only that the server takes its time to close the TCP connection.
            State::Both { outcome, .. } => self.end(outcome, Command::Finish, flow),
            State::Sent { outcome, .. } => self.end(outcome, Command::Abort, flow),
            other => self.state = other,
        }
    }

    fn interest(&self) -> Interest {
        Interest::CONTROL_IN.and(Interest::SIGNALS_IN).and(Interest::CONTROL_OUT).and(Interest::SIGNALS_OUT)
    }
}

impl fmt::Debug for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Closing({:?})", self.within)
    }
}

/// A Close frame that may be on the wire: this one, or, if the codec would refuse it, one that says that we meant to close. Without it
/// the closing handshake would have begun and nothing been sent.
fn sendable(close: Frame) -> Frame {
    if close.fin && close.rsv == 0 && close.data.len() <= 125 && close.close_reason().is_some() {
        return close;
    }
    tracing::error!(?close, "a Close frame may not be sent as it is: 1011 is");
    Frame::close(CloseCode::INTERNAL_ERROR, "a Close frame that may not be sent")
}

/// What a Close frame says. Its payload has been judged: by the codec when it was read, by its constructor when it is ours.
fn read(close: &Frame) -> (CloseCode, Cow<'static, str>) {
    match close.data.split_first_chunk() {
        Some((code, reason)) => (CloseCode(u16::from_be_bytes(*code)), String::from_utf8_lossy(reason).into_owned().into()),
        None => (CloseCode::NO_STATUS, "".into()),
    }
}
