//! One accepted TCP connection, for as long as it speaks HTTP.
//!
//! As with [`WebSocket`], everything that decides anything is pure ([`http::Server`]); here are the waiting, the waking, and the handler.
//!
//! It works in turns as a websocket does, and what a turn has to say leaves in one write. A handler that lives in a context (see
//! [`upstream`](super::upstream)) and answers in its own turn has the connection's next turn taken right there, at the end of its own: the
//! answers leave, and what waited for them is parsed, without the connection being woken.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use ::http::StatusCode;
use bytes::BytesMut;

use super::bind::Acceptor;
use super::buffers;
use super::clock;
use super::delivery::Delivery;
use super::http_line::{HttpCommand, HttpLine};
use super::line::{Ack, Signal, Signals};
use super::lobby::Lobby;
use super::messages::{Received, Upgraded};
use super::register::{Registrar, Registration};
use super::settings::Settings;
use super::socket::SendStatus;
use super::stats::count;
use super::timer::Timer;
use super::transport::Transport;
use super::upgrade::Handling;
use super::upstream::{Parcel, Upstream};
use super::websocket::{LOOK, Takeover, WebSocket};
use crate::http::{self, Closing, Event, HttpResponse, RequestNumber, RespondError};
use crate::upgrade::handshake::SwitchRefused;
use crate::upgrade::{NotSwitched, Switched, switch};
use crate::websocket::Role;

/// Reads in one turn: then others on this arbiter have theirs.
const READS: usize = 4;

/// What is behind a [`Responder`](super::Responder). A [`Listener`](super::Listener) starts one for each TCP connection; it ends with the
/// connection, or with the upgrade, which hands the connection over to a [`WebSocket`].
///
/// All that it is told comes by a queue, so it needs no mailbox: it is a task of its arbiter, which has the connection take
/// turns. That lies beside the queue, where a handler whose answers are there finds it, too.
pub struct Connection {
    line: Arc<HttpLine>,
}

impl Connection {
    /// Starts the actor on this arbiter, with what was read of the stream already.
    pub(crate) fn start(transport: Transport, unread: BytesMut, acceptor: &Acceptor, settings: &Arc<Settings>) {
        let now = clock::now();
        let line = HttpLine::new(&transport, &settings.http);
        transport.seat().take(&line);
        let mut above = Above { unread, ..Above::default() };
        if !settings.guards.is_empty() {
            above.lobby = Some(Box::new(Lobby::new(settings.guards.clone())));
        }
        let mut http = http::Server::new(settings.http.clone(), now).secure(transport.tls.is_some()).with_date(&clock::http_date(now), now);
        match acceptor {
            Acceptor::Registering(recipient) => {
                above.register_by = Some(now + settings.registration);
                // A connection that is gone already is nobody's business.
                let Ok(message) = transport.connected() else { return };
                recipient.do_send(Received { message, sender: Registrar::new(line.clone()) });
            }
            Acceptor::Made(make) => {
                // It is somebody else's code, and we may be in the listener's turn.
                let Ok(made) = catch_unwind(AssertUnwindSafe(|| make())) else {
                    tracing::error!(connection = %line.id, "a handler panicked while it was made: the connection is closed");
                    return;
                };
                above.register(made, &line, &mut http);
            }
        }
        let parts = Some(Parts { http, transport });
        line.begin(Conversation { parts, above, settings: settings.clone(), timer: Timer::default(), awaits_bytes: false });
        drop(actix_rt::spawn(Self { line }));
    }
}

/// Who takes a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The connection's own task.
    Own,
    /// The feeder of the handler, which has answered. It comes back for what the turn has for it.
    Feeder,
    /// The feeder of a handler that waits for something else now.
    LastOfFeeder,
}

/// One connection while it speaks HTTP, and how its handler stands.
pub(crate) struct Conversation {
    /// `None` once the connection has been handed over.
    parts: Option<Parts>,
    above: Above,
    settings: Arc<Settings>,
    timer: Timer,
    /// The socket wakes the connection when there is something to read.
    awaits_bytes: bool,
}

/// What an upgrade takes over.
struct Parts {
    http: http::Server,
    transport: Transport,
}

/// The handler, and what it has asked for.
#[derive(Default)]
struct Above {
    upstream: Option<Box<dyn Upstream<Event>>>,
    /// What was read before there was a handler.
    unread: BytesMut,
    /// Until when a handler must have been registered.
    register_by: Option<Instant>,
    /// When to look after a handler that was given by its address.
    look: Option<Instant>,
    /// Where requests wait until they are let in, if there are guards, and answers until they are made.
    lobby: Option<Box<Lobby>>,
    /// Who waits for which mark in the output.
    acks: BTreeMap<u64, Ack>,
    next_mark: u64,
    /// Who waits for room in the output.
    room: Vec<Ack>,
    /// Upgrades that wait for their turn behind earlier responses. At most one of them can take place, the others are answered with a 500.
    upgrades: Vec<(RequestNumber, HttpResponse, Box<Handling>)>,
}

impl Conversation {
    /// One turn. Ready when all is over.
    pub(super) fn turn(&mut self, line: &Arc<HttpLine>, turn: Turn, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Self { parts: Some(parts), above, timer, awaits_bytes, .. } = self else { return Poll::Ready(()) };
        let now = clock::now();
        let (commands, signals) = line.take(cx.waker());
        if !signals.is_empty() && above.heed(signals, line, parts, now) {
            return Poll::Ready(());
        }
        if above.obey(commands, line, parts, now).is_break() {
            return Poll::Ready(());
        }
        let back = line.given_back();
        if back > 0 {
            parts.http.give_back(back, now);
        }
        if timer.rings(now) {
            parts.http.handle_timeout(now, &clock::http_date(now));
            if above.look_after(line, parts, now).is_break() {
                return Poll::Ready(());
            }
        }
        if turn == Turn::Own {
            // Of the arbiter, as all buffers are: at rest a connection owns none.
            if parts.http.events().capacity() == 0 {
                *parts.http.events() = Event::pool_get();
            }
            match read(parts, above.upstream.is_some(), now, cx) {
                ControlFlow::Continue(awaits) => *awaits_bytes = awaits,
                ControlFlow::Break(()) => return Poll::Ready(()),
            }
        }
        if above.lobby.is_some() {
            above.let_in(line, parts, now, cx);
        }
        if above.deliver(line, parts) && turn == Turn::Feeder {
            // More answers are to come at once: they leave together.
            return Poll::Pending;
        }
        if !above.upgrades.is_empty() {
            // It makes actors, and what it runs of theirs is no business of the handler's.
            if turn != Turn::Own {
                cx.waker().wake_by_ref();
            } else if self.upgrade(line, now).is_ready() {
                return Poll::Ready(());
            }
        }
        let Self { parts: Some(parts), above, timer, awaits_bytes, .. } = self else { return Poll::Ready(()) };
        if write(parts, now, cx).is_break() {
            return Poll::Ready(());
        }
        // What waited for output to be written may have been parsed.
        if above.lobby.is_some() {
            above.let_in(line, parts, now, cx);
        }
        above.deliver(line, parts);
        above.acknowledge(parts);
        line.report(parts.http.unsent());
        if parts.http.events().is_empty() {
            Event::pool_put(std::mem::take(parts.http.events()));
        }
        match parts.http.closing() {
            Closing::Open => {}
            Closing::AfterFlush if parts.http.output().is_empty() => {
                parts.transport.seat().ends_well();
                parts.transport.finish(cx);
            }
            Closing::AfterFlush => {}
            Closing::Done => {
                parts.transport.seat().ends_well();
                parts.transport.finish(cx);
                return Poll::Ready(());
            }
            Closing::Abort => return Poll::Ready(()),
        }
        if parts.http.awaits_back().is_some_and(|back| line.wake_at(back)) {
            cx.waker().wake_by_ref();
        }
        // What kept us from reading was written in this turn, or only our turn is over.
        if !*awaits_bytes && wants(parts, above.upstream.is_some()) {
            cx.waker().wake_by_ref();
        }
        let deadline = [parts.http.deadline(), above.register_by, above.look].into_iter().flatten().min();
        timer.arm(deadline, now, cx);
        Poll::Pending
    }

    /// Performs the upgrade that waits, if its turn has come: the 101 is written, and stream, unread and unsent bytes move to a
    /// [`WebSocket`] actor, all in this turn. Ready if they have; pending if HTTP goes on.
    fn upgrade(&mut self, line: &HttpLine, now: Instant) -> Poll<()> {
        for (number, response, handling) in std::mem::take(&mut self.above.upgrades) {
            let Some(Parts { http, transport }) = self.parts.take() else { return Poll::Ready(()) };
            if http.must_wait(number) {
                self.above.upgrades.push((number, response, handling));
                self.parts = Some(Parts { http, transport });
                continue;
            }
            let switched = match handling.check_extensions(&response) {
                Ok(()) => switch(http, number, response, handling.deflate(), &clock::http_date(now), now),
                Err(error) => Err((http, NotSwitched::Response(SwitchRefused::Response(error)))),
            };
            let http = match switched {
                Ok(switched) => {
                    take_over(switched, *handling, transport, &self.settings);
                    return Poll::Ready(());
                }
                Err((mut http, error)) => {
                    tracing::error!(connection = %line.id, %error, "an upgrade message that does not fit its request: answered with a 500");
                    if let Err(error) = http.respond(number, internal_error(), &clock::http_date(now), now) {
                        tracing::debug!(connection = %line.id, %error, "nor can it be answered otherwise");
                    }
                    http
                }
            };
            self.parts = Some(Parts { http, transport });
        }
        Poll::Pending
    }
}

impl Above {
    /// Signals from outside. Tells whether all is over.
    fn heed(&mut self, signals: Signals, line: &HttpLine, parts: &mut Parts, now: Instant) -> bool {
        if signals.has(Signal::HandlerGone) {
            tracing::warn!(connection = %line.id, "the handler is gone: the connection ends");
            count(&parts.transport.seat().counters().handler_deaths);
            self.upstream = None;
            parts.http.close_gracefully(now);
        }
        if signals.has(Signal::GoAway) {
            parts.http.close_gracefully(now);
        }
        if let Some(lobby) = &mut self.lobby
            && (signals.has(Signal::HandlerGone) || signals.has(Signal::GoAway))
        {
            lobby.shut();
        }
        if signals.has(Signal::Overflow) {
            tracing::warn!(connection = %line.id, "a streamed response has met the limit of unsent bytes: the connection is cut");
        }
        signals.has(Signal::Abort) || signals.has(Signal::Overflow)
    }

    /// Does what a handler says. Breaks when all is over.
    fn obey(&mut self, mut commands: VecDeque<HttpCommand>, line: &Arc<HttpLine>, parts: &mut Parts, now: Instant) -> ControlFlow<()> {
        if commands.is_empty() {
            return ControlFlow::Continue(());
        }
        let (http, date) = (&mut parts.http, clock::http_date(now));
        buffers::lend_write_buffer(http.output());
        for command in commands.drain(..) {
            let (number, done, ack) = match command {
                HttpCommand::Register(open) => {
                    self.register(open(), line, http);
                    self.look = self.upstream.as_ref().is_some_and(|upstream| upstream.must_be_asked()).then(|| now + LOOK);
                    self.register_by = None;
                    continue;
                }
                HttpCommand::Respond(number, response, ack) | HttpCommand::Start(number, response, ack)
                    if response.status.is_informational() =>
                {
                    tracing::error!(connection = %line.id, status = %response.status, "an interim status is no answer: answered with a 500");
                    (number, http.respond(number, internal_error(), &date, now), ack)
                }
                HttpCommand::Respond(number, response, ack) => (number, http.respond(number, response, &date, now), ack),
                HttpCommand::Start(number, response, ack) => (number, http.start(number, response, &date, now), ack),
                HttpCommand::Interim(number, response) => (number, http.interim(number, &response, now), None),
                HttpCommand::Chunk(number, chunk, ack) => (number, http.chunk(number, chunk, now), ack),
                HttpCommand::Finish(number, end, ack) => (number, http.finish_with(number, &end, now), ack),
                HttpCommand::Room(ack) => {
                    self.room.push(ack);
                    continue;
                }
                HttpCommand::Unanswered(number) => {
                    tracing::warn!(connection = %line.id, request = %number, "a request's responder was dropped without an answer");
                    (number, http.respond(number, internal_error(), &date, now), None)
                }
                HttpCommand::Unfinished => return ControlFlow::Break(()),
                HttpCommand::Later(number, later) => {
                    self.lobby.get_or_insert_default().add(number, later);
                    continue;
                }
                HttpCommand::Upgrade(number, ..) if !http.is_awaited(number) => (number, Err(RespondError::NotInHand), None),
                HttpCommand::Upgrade(number, response, handling) => {
                    self.upgrades.push((number, response, handling));
                    continue;
                }
            };
            match (done, ack) {
                (Ok(()), Some(ack)) => {
                    http.mark(number, self.next_mark);
                    self.acks.insert(self.next_mark, ack);
                    self.next_mark += 1;
                }
                (Ok(()), None) => {}
                (Err(error @ (RespondError::Length | RespondError::NotInterim)), _) => {
                    tracing::error!(connection = %line.id, request = %number, %error, "an answer that cannot be sent");
                }
                (Err(error), _) => tracing::debug!(connection = %line.id, request = %number, %error, "an answer came too late"),
            }
        }
        HttpLine::done_with(commands);
        ControlFlow::Continue(())
    }

    /// From now on this is the handler.
    fn register(&mut self, Registration { mut upstream, streams }: Registration, line: &Arc<HttpLine>, http: &mut http::Server) {
        upstream.attach(line);
        self.upstream = Some(upstream);
        if streams {
            http.stream_content();
        }
        if !self.unread.is_empty() {
            http.receive(std::mem::take(&mut self.unread), clock::now());
        }
    }

    /// Answers who waits for something to have been written, or for room.
    fn acknowledge(&mut self, parts: &mut Parts) {
        while let Some(ack) = parts.http.poll_written().and_then(|mark| self.acks.remove(&mark)) {
            let _ = ack.send(Ok(SendStatus::Sent));
        }
        if !self.room.is_empty() && parts.http.has_room() {
            self.room.drain(..).for_each(|ack| {
                let _ = ack.send(Ok(SendStatus::Sent));
            });
        }
    }

    /// Whether there is a handler, as far as it is time to ask. Breaks when there was none in time.
    fn look_after(&mut self, line: &HttpLine, parts: &mut Parts, now: Instant) -> ControlFlow<()> {
        if self.register_by.is_some_and(|by| by <= now) {
            tracing::warn!(connection = %line.id, "no handler was registered in time");
            return ControlFlow::Break(());
        }
        if self.look.is_some_and(|look| look <= now) {
            self.look = Some(now + LOOK);
            if self.upstream.as_ref().is_some_and(|upstream| !upstream.connected()) {
                self.look = None;
                tracing::warn!(connection = %line.id, "the handler is gone: the connection ends");
                count(&parts.transport.seat().counters().handler_deaths);
                parts.http.close_gracefully(now);
            }
        }
        ControlFlow::Continue(())
    }

    /// Lets those in whom the guards have nothing against, and sends the answers that have been made.
    fn let_in(&mut self, line: &Arc<HttpLine>, parts: &mut Parts, now: Instant, cx: &mut TaskContext<'_>) {
        while let Some(lobby) = &mut self.lobby {
            let answers = lobby.turn(line, &mut parts.http, cx);
            if answers.is_empty() {
                return;
            }
            // An upgrade may be among them, which is the connection's own business.
            cx.waker().wake_by_ref();
            // There are answers only, which end nothing.
            let _ = self.obey(answers, line, parts, now);
        }
    }

    /// Hands over what the handler hears. Tells whether there was something that wants an answer.
    fn deliver(&mut self, line: &HttpLine, parts: &mut Parts) -> bool {
        let Some(upstream) = &mut self.upstream else { return false };
        let events = parts.http.events();
        let (mut requests, mut others) = (0, false);
        for event in &*events {
            match event {
                Event::Request { .. } => requests += 1,
                Event::RequestStart { .. } => (requests, others) = (requests + 1, true),
                Event::Chunk { .. } | Event::ContentEnd { .. } | Event::ContentAborted { .. } => others = true,
                Event::TimedOut { number } => {
                    count(&parts.transport.seat().counters().request_timeouts);
                    tracing::warn!(connection = %line.id, request = %number, "a request is not answered in time");
                }
                Event::Failed(error) => tracing::debug!(connection = %line.id, %error, "the connection failed"),
            }
        }
        if requests > 0 || others {
            upstream.deliver(events);
        }
        events.clear();
        parts.transport.seat().requests(requests, parts.http.in_hand());
        requests > 0 || others
    }
}

fn take_over(switched: Switched, handling: Handling, transport: Transport, settings: &Settings) {
    let Switched { head_bytes, unread, request, agreed, deflate, .. } = switched;
    let handled = handling.open(Role::Server, &settings.websocket, deflate.as_ref());
    let message = Upgraded {
        request,
        remote: transport.remote.clone(),
        tls: transport.tls.clone(),
        protocol: agreed.protocol,
        extensions: agreed.extensions,
    };
    let first = VecDeque::from([Delivery::Upgraded(Box::new(message))]);
    WebSocket::take_over(Takeover { transport, role: Role::Server, handled, unsent: head_bytes, unread, first });
}

fn internal_error() -> HttpResponse {
    HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR).with_text("500 Internal Server Error\n")
}

/// Whether there is something to be read for.
fn wants(parts: &Parts, registered: bool) -> bool {
    let discarding = parts.http.closing() == Closing::AfterFlush;
    discarding || registered && parts.http.wants_read()
}

/// Reads while there is something and HTTP wants it. Tells whether the socket will wake the task when there is more; breaks when the
/// connection is broken.
fn read(parts: &mut Parts, registered: bool, now: Instant, cx: &mut TaskContext<'_>) -> ControlFlow<(), bool> {
    use ControlFlow::{Break, Continue};
    for _ in 0..READS {
        if !wants(parts, registered) {
            return Continue(false);
        }
        match parts.transport.poll_readable(cx) {
            Poll::Pending => return Continue(true),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return Break(()),
        }
        let mut buffer = buffers::take_read_buffer();
        let read = parts.transport.poll_read(cx, &mut buffer);
        let arrived: BytesMut = buffer.split();
        buffers::give_read_buffer(buffer);
        match read {
            Poll::Pending => return Continue(true),
            Poll::Ready(Ok(0)) => {
                parts.http.receive_eof(now);
                return Continue(true);
            }
            Poll::Ready(Ok(_)) => parts.http.receive(arrived, now),
            Poll::Ready(Err(_)) => return Break(()),
        }
    }
    // There may be more; the others first.
    Continue(false)
}

/// Writes what there is to write. Breaks when the connection is broken.
fn write(parts: &mut Parts, now: Instant, cx: &mut TaskContext<'_>) -> ControlFlow<()> {
    let Parts { http, transport } = parts;
    if !http.output().is_empty() {
        let mut progress = false;
        let result = transport.poll_write(cx, http.output(), &mut progress);
        if progress {
            http.wrote(now);
        }
        if matches!(result, Poll::Ready(Err(_))) {
            return ControlFlow::Break(());
        }
    }
    if http.output().has_buffer() {
        buffers::take_write_buffer(http.output());
    }
    ControlFlow::Continue(())
}

impl Drop for Conversation {
    /// A connection that ends as it is: who hears content that was under way is told that no more will come.
    fn drop(&mut self) {
        let (Some(parts), Some(upstream)) = (&mut self.parts, &mut self.above.upstream) else { return };
        parts.http.abort();
        let events = parts.http.events();
        if !events.is_empty() {
            upstream.deliver(events);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.line.close();
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        self.line.turn(Turn::Own, cx)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.line.id)
    }
}
