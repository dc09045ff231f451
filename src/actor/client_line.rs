//! What a client's connection shares with those who talk to it: a queue of what they say, and what is counted at the call.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use tokio::sync::{Notify, oneshot};

use super::client_ears::Ears;
use super::client_upgrade::refuse;
use super::http_connection::{Control, Controlled};
use super::line::{Ack, Peer, Signal, Signals};
use super::messages::UpgradeError;
use super::queue::Queue;
use super::response_body::Streamed;
use super::socket::{SendError, SocketId};
use super::upgrade::Handling;
use crate::http::{Chunk, ContentEnd, HttpError, HttpRequest, HttpResponse, RequestNumber, Settings};

/// What is said to a client's connection.
pub(crate) enum ClientCommand {
    Ask(Box<HttpRequest>, Asker, bool, Option<Ack>),
    Chunk(RequestNumber, Chunk, Option<Ack>),
    Finish(RequestNumber, ContentEnd),
    /// A streamed request was dropped before its end.
    Abandon(RequestNumber),
    /// A response is wanted no more.
    Cancel(RequestNumber),
    Control(Control),
}

/// Who waits for a response.
pub(crate) enum Asker {
    /// Those who were named when the connection was made.
    Ears,
    /// Those of them who hear a response as it comes, and have heard its beginning.
    Begun,
    Whole(oneshot::Sender<Result<HttpResponse, HttpError>>),
    Streamed(Streamed),
    /// Whoever is to handle the websocket's frames.
    Upgrade(Box<Handling>),
}

/// What a client's connection shares with those who talk to it.
pub(crate) struct ClientLine {
    pub(super) id: SocketId,
    pub(super) queue: Queue<ClientCommand, Side>,
    pub(super) ears: Arc<Ears>,
    /// Requesters that are there.
    requesters: AtomicUsize,
    limits: Limits,
    /// Tells who waits that there is room to send again.
    pub(super) drained: Notify,
}

/// What acts at the call.
struct Limits {
    requests: usize,
    bytes: usize,
    soft: usize,
    hard: usize,
}

#[derive(Default)]
pub(super) struct Side {
    pub(super) signals: Signals,
    /// The number of the next request.
    next: u64,
    /// Requests that wait: in this queue, and in the connection's as it was at the end of its last turn.
    asked: usize,
    queued: usize,
    /// Bytes of content that are not written: given since the last turn, and left at its end.
    given: usize,
    unsent: usize,
    /// The request whose content is being sent.
    streaming: Option<Sent>,
    /// Somebody waits for room.
    waits: bool,
    /// What was in hand of content that is told as it comes, and no longer is.
    returned: usize,
}

/// How a streamed request stands: its bytes that are not written, with those of all before it. It waits for no room that only its own end makes: what
/// waits behind it does not count.
struct Sent {
    number: RequestNumber,
    given: usize,
    unsent: usize,
}

impl Side {
    /// What stands between a piece of this request's content and the wire.
    fn before(&self, number: RequestNumber) -> usize {
        match &self.streaming {
            Some(sent) if sent.number == number => sent.given + sent.unsent,
            _ => self.given + self.unsent,
        }
    }
}

/// What was said since the last turn.
pub(super) struct Taken {
    pub(super) commands: VecDeque<ClientCommand>,
    pub(super) signals: Signals,
    pub(super) returned: usize,
}

impl ClientLine {
    pub(super) fn new(id: SocketId, ears: Arc<Ears>, settings: &Settings) -> Arc<Self> {
        let (requests, bytes) = settings.queue_limits();
        let (soft, hard) = (settings.soft_limit(), settings.hard_limit());
        let limits = Limits { requests, bytes, soft, hard };
        Arc::new(Self { id, queue: Queue::new(Side::default()), ears, requesters: AtomicUsize::new(0), limits, drained: Notify::new() })
    }

    /// Asks for something, unless the connection has ended or too much waits.
    pub(super) fn ask(&self, request: HttpRequest, asker: Asker, streams: bool, ack: Option<Ack>) -> Result<RequestNumber, HttpError> {
        let mut line = self.queue.lock();
        let full = line.side.asked + line.side.queued >= self.limits.requests || line.side.given >= self.limits.bytes;
        if line.closed || full {
            drop(line);
            let error = if full { HttpError::QueueFull } else { HttpError::NotSent };
            let about = (request.method, request.uri);
            self.unanswered(asker, error, &about);
            return Err(error);
        }
        let number = RequestNumber::behind(line.side.next);
        line.side.next += 1;
        line.side.asked += 1;
        line.side.given += request.content.len();
        line.items.push_back(ClientCommand::Ask(Box::new(request), asker, streams, ack));
        line.wake();
        Ok(number)
    }

    /// Gives content of a request that is streamed. At the hard limit it is not taken.
    pub(super) fn give(&self, number: RequestNumber, chunk: Chunk, ack: Option<Ack>) -> Result<(), SendError> {
        let mut line = self.queue.lock();
        if line.closed {
            return Err(SendError::Closed);
        }
        if line.side.before(number) >= self.limits.hard {
            return Err(SendError::Full);
        }
        line.side.given += chunk.data.len();
        if let Some(sent) = line.side.streaming.as_mut().filter(|sent| sent.number == number) {
            sent.given += chunk.data.len();
        }
        line.items.push_back(ClientCommand::Chunk(number, chunk, ack));
        line.wake();
        Ok(())
    }

    pub(super) fn push(&self, command: ClientCommand) {
        let mut line = self.queue.lock();
        if !line.closed {
            line.items.push_back(command);
            line.wake();
        }
    }

    pub(super) fn take(&self, waker: &Waker) -> Taken {
        let mut line = self.queue.lock();
        let commands = line.take(waker);
        let side = &mut line.side;
        side.unsent += std::mem::take(&mut side.given);
        if let Some(sent) = &mut side.streaming {
            sent.unsent += std::mem::take(&mut sent.given);
        }
        side.queued += std::mem::take(&mut side.asked);
        Taken { commands, signals: std::mem::take(&mut side.signals), returned: std::mem::take(&mut side.returned) }
    }

    /// How things stand at the end of a turn.
    pub(super) fn report(&self, queued: usize, unsent: usize, streaming: Option<(RequestNumber, usize)>) {
        let mut line = self.queue.lock();
        let side = &mut line.side;
        (side.queued, side.unsent) = (queued, unsent);
        // What was given since this turn has taken is still to be taken.
        let given = |number| side.streaming.as_ref().filter(|sent| sent.number == number).map_or(0, |sent| sent.given);
        side.streaming = streaming.map(|(number, unsent)| Sent { number, given: given(number), unsent });
        let room = unsent.min(streaming.map_or(unsent, |(_, unsent)| unsent)) <= self.limits.soft;
        let told = room && std::mem::take(&mut side.waits);
        drop(line);
        if told && !planted!(RoomUntold) {
            self.drained.notify_waiters();
        }
    }

    /// Bytes that were given and are not written.
    pub(super) fn unsent(&self) -> usize {
        let line = self.queue.lock();
        line.side.given + line.side.unsent
    }

    /// Whether there is room to send; and nobody needs wait for it where nothing is written any more.
    pub(super) fn has_room(&self, number: RequestNumber) -> Result<bool, SendError> {
        let mut line = self.queue.lock();
        if line.closed {
            return Err(SendError::Closed);
        }
        let room = line.side.before(number) <= self.limits.soft;
        line.side.waits |= !room;
        Ok(room)
    }

    /// Takes no more. What was said and not heard was not sent.
    pub(super) fn close(&self) {
        let items = {
            let mut line = self.queue.lock();
            line.closed = true;
            std::mem::take(&mut line.items)
        };
        for command in items {
            if let ClientCommand::Ask(request, asker, ..) = command {
                self.unanswered(asker, HttpError::NotSent, &(request.method, request.uri));
            }
        }
        self.drained.notify_waiters();
    }

    /// Tells who asked that there will be no response.
    pub(super) fn unanswered(&self, asker: Asker, error: HttpError, (method, uri): &(http::Method, http::Uri)) {
        match asker {
            Asker::Ears | Asker::Begun => {
                tracing::warn!(connection = %self.id, %method, %uri, %error, "a request is not answered");
                self.ears.failed(method, uri, error, self.id);
            }
            Asker::Whole(tell) => drop(tell.send(Err(error))),
            Asker::Streamed(streamed) => streamed.fails(error),
            Asker::Upgrade(handling) => {
                let what = match error {
                    HttpError::Insecure => {
                        "the URL is wss, and the connection is not TLS: Connect::target or Connect::tls makes one that is".into()
                    }
                    error => error.to_string(),
                };
                refuse(*handling, self.id, None, UpgradeError::Connection(what));
            }
        }
    }

    /// A requester more.
    pub(super) fn enter(&self) {
        self.requesters.fetch_add(1, Ordering::AcqRel);
    }

    /// A requester less; the last wakes the connection, which may have nothing to do any more.
    pub(super) fn leave(&self) {
        if self.requesters.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.queue.lock().wake();
        }
    }

    /// Whether nobody can ask for anything any more.
    pub(super) fn is_deserted(&self) -> bool {
        self.requesters.load(Ordering::Acquire) == 0
    }
}

impl Peer for ClientLine {
    fn signal(&self, signal: Signal) {
        let mut line = self.queue.lock();
        line.side.signals.add(signal);
        line.wake();
    }

    fn take_back(&self, worth: usize) {
        let mut line = self.queue.lock();
        line.side.returned = line.side.returned.saturating_add(worth);
        line.wake();
    }

    fn nudge(&self) {
        self.queue.lock().wake();
    }
}

impl Controlled for ClientLine {
    fn control(&self, control: Control) {
        self.push(ClientCommand::Control(control));
    }

    fn connected(&self) -> bool {
        !self.queue.lock().closed
    }
}

impl fmt::Debug for ClientLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientLine({})", self.id)
    }
}
