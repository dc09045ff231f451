//! What stands above a server's connection: the handler, what it has asked for, and what it says.

use std::collections::vec_deque::Drain;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use ::http::header::CONNECTION;
use ::http::{HeaderValue, StatusCode};
use actix::Recipient;
use bytes::BytesMut;

use super::buffers;
use super::clock;
use super::connection::Parts;
use super::http_connection::{Control, Controls, HttpClose};
use super::http_line::{HttpCommand, HttpLine, Who};
use super::line::{Ack, Signal, Signals};
use super::lobby::Lobby;
use super::messages::{HttpClosed, Received, TimedOut};
use super::register::{FastPath, Registration};
use super::socket::SendStatus;
use super::stats::count;
use super::transport::Transport;
use super::upgrade::Handling;
use super::upstream::Upstream;
use super::watch::Gone;
use super::websocket::LOOK;
use crate::http::{self, Event, HttpDate, HttpEnd, HttpResponse, RequestNumber, RespondError};

mod telling;

/// The handler, and what it has asked for.
#[derive(Default)]
pub(super) struct Above {
    pub(super) upstream: Option<Box<dyn Upstream<Event>>>,
    /// What was read before there was a handler.
    pub(super) unread: BytesMut,
    /// Until when a handler must have been registered.
    pub(super) register_by: Option<Instant>,
    /// When to look after a handler that was given by its address.
    pub(super) look: Option<Instant>,
    /// Where requests wait until they are let in, if there are guards, and answers until they are made.
    pub(super) lobby: Option<Box<Lobby>>,
    /// Who waits for which mark in the output.
    pub(super) acks: BTreeMap<u64, Ack>,
    pub(super) next_mark: u64,
    /// Who waits for room in the output, to go on with which response.
    pub(super) room: Vec<(RequestNumber, Ack)>,
    /// Requests whose streamed answer is that of the second who was asked.
    pub(super) seconds: BTreeSet<RequestNumber>,
    /// The handler is a function: it answers while it is told.
    pub(super) is_function: bool,
    /// Answers some requests before the handler hears of them.
    pub(super) fast: Option<FastPath>,
    /// Who else hears of requests that are not answered in time.
    pub(super) timeouts: Option<Recipient<Received<TimedOut>>>,
    /// Who answers the latest of the requests whose answerer wants to hear of the end, too.
    pub(super) closed_to: Option<(RequestNumber, Recipient<Received<HttpClosed>>)>,
    /// How the connection has ended, where HTTP does not know.
    pub(super) end: Option<HttpEnd>,
    /// Upgrades that wait for their turn behind earlier responses. At most one of them can take place, the others are answered with a 500.
    pub(super) upgrades: Vec<(RequestNumber, HttpResponse, Box<Handling>)>,
}

impl Above {
    /// Signals from outside. Tells whether all is over.
    #[cold]
    pub(super) fn heed(&mut self, signals: Signals, line: &HttpLine, parts: &mut Parts, now: Instant) -> bool {
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
        if signals.has(Signal::OverBudget) {
            tracing::warn!(connection = %line.id, "all together have buffered too much, and this connection most of it: it is cut");
        }
        let cut = [Signal::Abort, Signal::Overflow, Signal::OverBudget].into_iter().any(|signal| signals.has(signal));
        if cut {
            self.end = Some(HttpEnd::Aborted);
        }
        cut
    }

    /// Does what a handler says. Breaks when all is over.
    pub(super) fn obey(
        &mut self,
        mut commands: VecDeque<HttpCommand>,
        line: &Arc<HttpLine>,
        parts: &mut Parts,
        now: Instant,
    ) -> ControlFlow<()> {
        if commands.is_empty() {
            return ControlFlow::Continue(());
        }
        let date = clock::http_date(now);
        buffers::lend_write_buffer(parts.http.output());
        // Most are whole answers that nobody waits for: they are given where they lie.
        let mut answered = 0;
        while let Some(HttpCommand::Respond(number, response, None)) = commands.get_mut(answered)
            && !response.status.is_informational()
        {
            if let Err(error) = parts.http.answer_with(*number, response, &date, now) {
                came_late(line, *number, error);
            }
            answered += 1;
        }
        if answered < commands.len() {
            self.obey_others(commands.drain(answered..), line, parts, &date, now)?;
        }
        HttpLine::done_with(commands);
        ControlFlow::Continue(())
    }

    /// Does what is no answer, or one of which more is to be known. Breaks when all is over.
    #[inline(never)]
    fn obey_others(
        &mut self,
        commands: Drain<'_, HttpCommand>,
        line: &Arc<HttpLine>,
        Parts { http, transport }: &mut Parts,
        date: &HttpDate,
        now: Instant,
    ) -> ControlFlow<()> {
        for command in commands {
            let (number, done, ack) = match command {
                HttpCommand::Register(open) => {
                    self.register(open(), line, http);
                    self.look = self.upstream.as_ref().is_some_and(|upstream| upstream.must_be_asked()).then(|| now + LOOK);
                    self.register_by = None;
                    continue;
                }
                HttpCommand::Respond(number, response, _) | HttpCommand::Start(number, response, _)
                    if response.status.is_informational() =>
                {
                    tracing::error!(connection = %line.id, status = %response.status, "an interim status is no answer: answered with a 500");
                    (number, http.respond(number, internal_error(), date, now), None)
                }
                HttpCommand::Respond(number, response, ack) => (number, http.respond(number, response, date, now), ack),
                HttpCommand::Start(number, response, who) => {
                    let started = http.start(number, response, date, now);
                    if started.is_ok() && who == Who::Second {
                        // Those that have ended are not asked about any more.
                        self.seconds.retain(|number| http.is_streaming(*number));
                        self.seconds.insert(number);
                    }
                    if http.is_without_content(number) {
                        // Its head is all there is: whoever asks next need not wait for what is never sent.
                        let _ = http.finish(number, now);
                    }
                    (number, started, None)
                }
                HttpCommand::Chunk(number, _, who, _) | HttpCommand::Finish(number, _, who, _) if !self.streams(number, who) => {
                    (number, Err(RespondError::NotInHand), None)
                }
                HttpCommand::Chunk(number, chunk, _, ack) => (number, http.chunk(number, chunk, now), ack),
                HttpCommand::Finish(number, end, _, ack) => (number, http.finish_with(number, &end, now), ack),
                HttpCommand::Unfinished(number, who) => {
                    if self.streams(number, who) && http.is_streaming(number) {
                        self.end = Some(HttpEnd::Aborted);
                        return ControlFlow::Break(());
                    }
                    continue;
                }
                HttpCommand::Interim(number, response) => (number, http.interim(number, &response, now), None),
                HttpCommand::Control(control) => {
                    self.control(control, http, transport, now)?;
                    continue;
                }
                HttpCommand::Room(number, who, ack) => {
                    if http.is_streaming(number) && self.streams(number, who) {
                        self.room.push((number, ack));
                    }
                    continue;
                }
                HttpCommand::Unanswered(number) => {
                    let answered = http.respond(number, internal_error(), date, now);
                    if answered.is_ok() {
                        tracing::warn!(connection = %line.id, request = %number, "a request's responder was dropped without an answer");
                    }
                    (number, answered, None)
                }
                HttpCommand::ClosedTo(number, recipient) => {
                    if self.closed_to.as_ref().is_none_or(|(earlier, _)| *earlier <= number) {
                        self.closed_to = Some((number, recipient));
                    }
                    continue;
                }
                HttpCommand::Panicked(number) => {
                    self.panicked(number, http, now);
                    continue;
                }
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
                (Err(error @ (RespondError::Length | RespondError::NotInterim | RespondError::TooManyInterim)), _) => {
                    tracing::error!(connection = %line.id, request = %number, %error, "an answer that cannot be sent");
                }
                (Err(error), _) => came_late(line, number, error),
            }
        }
        ControlFlow::Continue(())
    }

    /// From now on this is the handler.
    pub(super) fn register(&mut self, registration: Registration, line: &Arc<HttpLine>, http: &mut http::Server) {
        let Registration { mut upstream, is_function, fast, streams, keeps, timeouts, knows_head } = registration;
        upstream.attach(line);
        self.upstream = Some(upstream);
        (self.is_function, self.fast, self.timeouts) = (is_function, fast, timeouts);
        if keeps {
            http.keep_requests();
        }
        if streams {
            http.stream_content();
        }
        if knows_head {
            http.tell_head();
        }
        if !self.unread.is_empty() {
            http.receive(std::mem::take(&mut self.unread), clock::now());
        }
    }

    /// Whether a streamed answer is this one's to go on with: of two who may answer only one has begun.
    fn streams(&self, number: RequestNumber, who: Who) -> bool {
        self.seconds.contains(&number) == (who == Who::Second)
    }

    /// Of whoever was to answer this nothing is to be expected any more: unless it has answered that is a 500, and no other request is taken.
    fn panicked(&mut self, number: RequestNumber, http: &mut http::Server, now: Instant) {
        let last = internal_error().with_header(CONNECTION, HeaderValue::from_static("close"));
        if http.respond(number, last, &clock::http_date(now), now).is_err() {
            http.close_gracefully(now);
        }
    }

    /// Does what concerns the whole connection. Breaks when all is over.
    fn control(&mut self, control: Control, http: &mut http::Server, transport: &mut Transport, now: Instant) -> ControlFlow<()> {
        match control.0 {
            Controls::RequestTimeout(within) => http.set_request_timeout(within),
            Controls::TimeoutTimeout(within) => http.set_timeout_timeout(within),
            Controls::IdleTimeout(within) => http.set_idle_timeout(within),
            Controls::Close(HttpClose::Close) => http.close(now),
            Controls::Close(HttpClose::ConfirmedClose) => http.close_confirmed(now),
            Controls::Close(HttpClose::Abort) => {
                self.end = Some(HttpEnd::Aborted);
                transport.reset();
                // What has not been told is not told any more.
                http.close(now);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Whether somebody waits for something to have been written, or for room.
    pub(super) fn owes_acks(&self) -> bool {
        !self.acks.is_empty() || !self.room.is_empty()
    }

    /// Answers those whose bytes have been written, or for whom there is room.
    #[inline(never)]
    pub(super) fn acknowledge(&mut self, parts: &mut Parts) {
        while let Some(ack) = parts.http.poll_written().and_then(|mark| self.acks.remove(&mark)) {
            let _ = ack.send(Ok(SendStatus::Sent));
        }
        if !self.room.is_empty() {
            for (_, ack) in self.room.extract_if(.., |(number, _)| parts.http.has_room(*number)) {
                let _ = ack.send(Ok(SendStatus::Sent));
            }
        }
    }

    /// Whether there is a handler, as far as it is time to ask. Breaks when there was none in time.
    pub(super) fn look_after(&mut self, line: &HttpLine, parts: &mut Parts, now: Instant) -> ControlFlow<()> {
        if self.register_by.is_some_and(|by| by <= now) {
            tracing::warn!(connection = %line.id, "no handler was registered in time");
            self.end = Some(HttpEnd::Aborted);
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

    /// Whether the feeder of the handler may read: nobody comes between.
    pub(super) fn may_be_fed(&self) -> bool {
        self.lobby.is_none() && self.fast.is_none() && self.upstream.is_some() && self.upgrades.is_empty()
    }

    /// The peer is gone, of which nothing is read. Tells whether all is over.
    pub(super) fn is_gone(&mut self, gone: Gone, http: &mut http::Server, now: Instant) -> bool {
        match gone {
            Gone::Finished => http.receive_eof(now),
            Gone::Broken(error) => self.end = Some(HttpEnd::ErrorClosed(error.to_string())),
        }
        self.end.is_some()
    }

    /// The transport has failed.
    #[cold]
    pub(super) fn broken<T>(&mut self, error: &io::Error) -> ControlFlow<(), T> {
        self.end = Some(HttpEnd::ErrorClosed(error.to_string()));
        ControlFlow::Break(())
    }
}

#[cold]
fn came_late(line: &HttpLine, request: RequestNumber, error: RespondError) {
    tracing::debug!(connection = %line.id, %request, %error, "an answer came too late");
}

pub(super) fn internal_error() -> HttpResponse {
    HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR).with_text("500 Internal Server Error\n")
}
