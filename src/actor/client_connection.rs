//! One TCP connection that we made, for as long as it speaks HTTP.
//!
//! The mirror of [`Connection`](super::Connection): a task that takes turns, around a protocol that is pure ([`http::Client`](crate::http::Client)). What it is told comes by its
//! line's queue; what it tells goes to who asked, or by mail to the actors that were named when the connection was made.

use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use http::{Method, Uri};

use super::budget::{Held, Lazy};
use super::client_line::{Asker, ClientCommand, ClientLine, Taken};
use super::clock;
use super::content::{Content, ContentAborted, RequestId};
use super::exchange::{Reading, read, write};
use super::http_connection::{Control, Controls, HttpClose};
use super::line::{Ack, Signal};
use super::messages::{Connected, Received, ResponseStart};
use super::requester::Requester;
use super::socket::SendStatus;
use super::stats::count;
use super::timer::Timer;
use super::transport::Transport;
use super::way::Way;
use crate::http::{self as ours, ClientEvent, Closing, ContentEnd, HttpEnd, HttpError, HttpRequest, HttpResponse, RequestNumber, Streams};

/// What is behind a [`Requester`]: a client's connection for as long as it speaks HTTP. It ends with the connection, or with the upgrade, which hands the
/// connection over to a [`WebSocket`](super::WebSocket).
///
/// All that it is told comes by a queue, so it needs no mailbox: it is a task of its arbiter.
pub struct ClientConnection {
    /// `None` once the connection has been handed over.
    parts: Option<Parts>,
    pub(super) line: Arc<ClientLine>,
    /// How it was made, and its settings.
    pub(super) way: Arc<Way>,
    pub(super) connected: Connected,
    /// Who waits for what, oldest first.
    asked: VecDeque<Question>,
    /// How many have asked since the last turn.
    came: usize,
    /// Who waits for something to have been written: of which request, and the mark.
    acks: VecDeque<(RequestNumber, u64, Ack)>,
    marks: u64,
    timer: Timer,
    /// What it has of the process's budget.
    share: Lazy,
    /// When the last turn was.
    now: Instant,
}

/// What an upgrade takes over.
pub(super) struct Parts {
    pub(super) http: ours::Client,
    pub(super) transport: Transport,
}

/// A request that waits for its response.
struct Question {
    number: RequestNumber,
    about: (Method, Uri),
    /// All of it, if the response is to be held against it.
    request: Option<Box<HttpRequest>>,
    asker: Asker,
}

impl ClientConnection {
    /// Starts the connection on this arbiter.
    pub(crate) fn start(transport: Transport, connected: Connected, way: Arc<Way>) -> Requester {
        let line = ClientLine::new(connected.id, way.ears.clone(), &way.settings.http);
        transport.seat().take(&line);
        let share = Lazy::new(transport.seat().whose());
        let now = clock::now();
        let http = ours::Client::new(way.settings.http.clone(), now).secure(connected.tls.is_some()).host(way.authority());
        let requester = Requester::new(line.clone());
        drop(actix_rt::spawn(Self {
            parts: Some(Parts { http, transport }),
            line,
            way,
            connected,
            asked: VecDeque::new(),
            came: 0,
            acks: VecDeque::new(),
            marks: 0,
            timer: Timer::default(),
            share,
            now,
        }));
        requester
    }

    /// One turn. Ready when all is over.
    fn turn(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Some(mut parts) = self.parts.take() else { return Poll::Ready(()) };
        self.now = clock::now();
        let now = self.now;
        let Taken { commands, signals, returned } = self.line.take(cx.waker());
        if signals.has(Signal::OverBudget) {
            tracing::warn!(connection = %self.line.id, "all together have buffered too much, and this connection much of it: it is cut");
        }
        if signals.has(Signal::Abort) || signals.has(Signal::OverBudget) {
            return self.over(parts, Some(HttpEnd::Aborted));
        }
        if signals.has(Signal::GoAway) {
            parts.http.close_gracefully(now);
        }
        for command in commands {
            if matches!(command, ClientCommand::Control(Control(Controls::Close(HttpClose::Abort)))) {
                parts.transport.reset();
                return self.over(parts, Some(HttpEnd::Aborted));
            }
            self.obey(command, &mut parts.http);
        }
        parts.transport.seat().requests(std::mem::take(&mut self.came), parts.http.in_hand());
        if returned > 0 {
            parts.http.give_back(returned, now);
        }
        let Self { share, line, .. } = self;
        let may = |http: &ours::Client| {
            // What the last read brought.
            share.settle(|| held(http), line);
            share.may_read(|| http.is_within_message(), line) || http.closing() == Closing::AfterFlush
        };
        let read = read(&mut parts.http, &mut parts.transport, wants, may, now, cx);
        let mut written = ControlFlow::Continue(());
        if let ControlFlow::Continue(reading) = read
            && self.timer.rings(now)
        {
            // We may be late: what the server did in time, all that can be read and written by now, was in time.
            if parts.transport.press(parts.http.output()) {
                parts.http.wrote(now);
            }
            written = write(&mut parts.http, &mut parts.transport, now, cx);
            if written.is_continue() {
                parts.http.suspend(reading == Reading::Suspended, now);
                parts.http.handle_timeout(now);
            }
        }
        let Some(mut parts) = self.events(parts) else { return Poll::Ready(()) };
        if written.is_continue() {
            written = write(&mut parts.http, &mut parts.transport, now, cx);
        }
        let reading = match (read, written) {
            (ControlFlow::Continue(reading), ControlFlow::Continue(())) => reading,
            (ControlFlow::Break(error), _) | (_, ControlFlow::Break(error)) => {
                return self.over(parts, Some(HttpEnd::ErrorClosed(error.to_string())));
            }
        };
        self.acknowledge(&mut parts.http);
        // What waited for output to be written, or was not taken, may be told.
        let Some(mut parts) = self.events(parts) else { return Poll::Ready(()) };
        if self.line.is_deserted() && parts.http.in_hand() == 0 {
            parts.http.close_gracefully(now);
        }
        match parts.http.closing() {
            Closing::Open => {}
            Closing::AfterFlush if parts.http.output().is_empty() => parts.transport.finish(cx),
            Closing::AfterFlush => {}
            Closing::Done => {
                parts.transport.finish(cx);
                return self.over(parts, None);
            }
            Closing::Abort => return self.over(parts, None),
        }
        parts.http.suspend(reading == Reading::Suspended, now);
        if reading == Reading::Rests && wants(&parts.http) {
            cx.waker().wake_by_ref();
        }
        parts.transport.seat().requests(0, parts.http.in_hand());
        self.line.report(parts.http.queued(), parts.http.unsent(), parts.http.streaming());
        self.share.settle(|| held(&parts.http), &self.line);
        self.timer.arm(parts.http.deadline(), now, cx);
        self.parts = Some(parts);
        Poll::Pending
    }

    fn obey(&mut self, command: ClientCommand, http: &mut ours::Client) {
        let now = self.now;
        let done = match command {
            ClientCommand::Ask(request, asker, streams, ack) => {
                self.ask(*request, asker, streams, ack, http);
                Ok(())
            }
            ClientCommand::Chunk(number, chunk, ack) => {
                let done = http.chunk(number, chunk, now);
                if done.is_ok() {
                    self.mark(number, ack, http);
                }
                if done == Err(HttpError::ContentMismatch) {
                    http.abandon(number, now);
                }
                done
            }
            ClientCommand::Finish(number, end) => http.finish(number, end, now),
            ClientCommand::Abandon(number) => {
                http.abandon(number, now);
                Ok(())
            }
            ClientCommand::Cancel(number) => {
                http.cancel(number, now);
                Ok(())
            }
            ClientCommand::Control(Control(control)) => {
                match control {
                    Controls::RequestTimeout(within) => http.set_response_timeout(within),
                    Controls::IdleTimeout(time) => http.set_idle_timeout(time),
                    // A server's.
                    Controls::TimeoutTimeout(_) => {}
                    Controls::Close(HttpClose::ConfirmedClose) => http.close_confirmed(now),
                    Controls::Close(_) => http.close(now),
                }
                Ok(())
            }
        };
        if let Err(error) = done {
            tracing::debug!(connection = %self.line.id, %error, "content that is not sent");
        }
    }

    fn ask(&mut self, mut request: HttpRequest, asker: Asker, content: bool, ack: Option<Ack>, http: &mut ours::Client) {
        let mut kept = None;
        if let Asker::Upgrade(handling) = &asker {
            if let Some(deflate) = handling.deflate() {
                deflate.offer(&mut request);
            }
            kept = Some(Box::new(request.clone()));
        }
        let response = match &asker {
            Asker::Ears => self.line.ears.stream(),
            Asker::Streamed(_) => true,
            Asker::Whole(_) | Asker::Upgrade(_) | Asker::Begun => false,
        };
        let about = (request.method.clone(), request.uri.clone());
        self.came += 1;
        let number = http.begin(request, Streams { content, response }, self.now);
        self.asked.push_back(Question { number, about, request: kept, asker });
        self.mark(number, ack, http);
    }

    /// Answers the ack when all that was said of the request until now has been written.
    fn mark(&mut self, number: RequestNumber, ack: Option<Ack>, http: &mut ours::Client) {
        if let Some(ack) = ack {
            self.marks += 1;
            http.mark(number, self.marks);
            self.acks.push_back((number, self.marks, ack));
        }
    }

    fn acknowledge(&mut self, http: &mut ours::Client) {
        while let Some(mark) = http.poll_written() {
            if let Some(at) = self.acks.iter().position(|(_, waits, _)| *waits == mark)
                && let Some((_, _, ack)) = self.acks.remove(at)
            {
                let _ = ack.send(Ok(SendStatus::Sent));
            }
        }
    }

    fn question(&mut self, number: RequestNumber) -> Option<Question> {
        let at = self.asked.iter().position(|question| question.number == number)?;
        self.asked.remove(at)
    }

    /// Tells what has come. Gives the parts back if HTTP goes on.
    fn events(&mut self, mut parts: Parts) -> Option<Parts> {
        while let Some(event) = parts.http.poll_event() {
            self.share.told();
            match event {
                ClientEvent::Response { number, response } => {
                    let Some(Question { request, asker, .. }) = self.question(number) else { continue };
                    match asker {
                        Asker::Ears | Asker::Begun => {
                            let sender = Requester::new(self.line.clone());
                            self.line.ears.response(Received { message: response, sender });
                        }
                        Asker::Whole(tell) => drop(tell.send(Ok(response))),
                        Asker::Upgrade(handling) => parts = self.upgrade(parts, request?, response, *handling)?,
                        Asker::Streamed(streamed) => {
                            streamed.starts(&self.line, response, self.content(number, 0)).ends(ContentEnd::default());
                        }
                    }
                }
                ClientEvent::ResponseStart { number, response, length, worth } => {
                    let content = self.content(number, worth);
                    self.starts(number, response, length, content);
                }
                ClientEvent::Chunk { number, chunk, worth } => {
                    let sender = self.content(number, worth);
                    match self.asked.front().map(|question| &question.asker) {
                        Some(Asker::Streamed(streamed)) => streamed.chunk(chunk, sender),
                        _ => self.line.ears.chunk(Received { message: chunk, sender }),
                    }
                }
                ClientEvent::ContentEnd { number, end } => match self.question(number) {
                    Some(Question { asker: Asker::Streamed(streamed), .. }) => streamed.ends(end),
                    _ => self.line.ears.end(Received { message: end, sender: self.content(number, 0) }),
                },
                ClientEvent::Unanswered { number, error } => {
                    if error == HttpError::ResponseTimeout {
                        count(&parts.transport.seat().counters().request_timeouts);
                    }
                    self.acks.retain(|(of, ..)| *of != number);
                    match self.question(number) {
                        Some(Question { asker: Asker::Begun, .. }) => {
                            self.line.ears.aborted(Received { message: ContentAborted { error }, sender: self.content(number, 0) });
                        }
                        Some(Question { asker, about, .. }) => self.line.unanswered(asker, error, &about),
                        None => {}
                    }
                }
                ClientEvent::Failed(error) => tracing::debug!(connection = %self.line.id, %error, "the connection failed"),
            }
        }
        if parts.http.is_switched() {
            // Whatever it speaks now, it is not what we asked for.
            self.line.ears.closed(self.line.id, HttpEnd::Closed);
            return None;
        }
        Some(parts)
    }

    fn starts(&mut self, number: RequestNumber, response: HttpResponse, length: Option<u64>, content: Content) {
        let Some(question) = self.asked.iter_mut().find(|question| question.number == number) else { return };
        question.asker = match std::mem::replace(&mut question.asker, Asker::Begun) {
            Asker::Streamed(streamed) => Asker::Streamed(streamed.starts(&self.line, response, content)),
            _ => {
                let sender = Requester::new(self.line.clone());
                self.line.ears.start(Received { message: ResponseStart { response, length, content }, sender });
                Asker::Begun
            }
        };
    }

    /// What stands for content of the response to this request.
    fn content(&self, number: RequestNumber, worth: usize) -> Content {
        Content::new(self.line.clone(), RequestId { connection: self.line.id, number }, worth)
    }

    /// The end: in order, or because the stream is broken, or cut.
    fn over(&mut self, mut parts: Parts, how: Option<HttpEnd>) -> Poll<()> {
        let how = how.unwrap_or_else(|| parts.http.ended());
        parts.http.receive_reset(self.now);
        let _ = self.events(parts);
        self.line.ears.closed(self.line.id, how);
        Poll::Ready(())
    }
}

/// What counts in the budget of the process.
fn held(http: &ours::Client) -> Held {
    Held::of(http.buffered(), http.unsent(), http.is_within_message())
}

/// Whether there is something to be read for.
fn wants(http: &ours::Client) -> bool {
    http.wants_read() || http.closing() == Closing::AfterFlush
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            let _ = self.over(parts, Some(HttpEnd::Aborted));
        }
        self.line.close();
    }
}

impl Future for ClientConnection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.turn(cx)
    }
}

impl fmt::Debug for ClientConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientConnection({})", self.line.id)
    }
}
