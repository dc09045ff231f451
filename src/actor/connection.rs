//! The actor of one accepted TCP connection, for as long as it speaks HTTP.
//!
//! As with [`WebSocket`], everything that decides anything is pure ([`http::Server`]); here are the waiting, the waking, and the handler.

use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use ::http::StatusCode;
use actix::{Actor, ActorContext, ActorFuture, AsyncContext, Context};
use bytes::BytesMut;

use super::buffers;
use super::clock;
use super::delivery::Delivery;
use super::line::{Signal, Signals};
use super::listener::Acceptor;
use super::messages::{Connected, Received, Upgraded};
use super::responder::{HttpCommand, HttpDelivery, HttpLine, Registrar, Responder};
use super::settings::Settings;
use super::timer::Timer;
use super::transport::Transport;
use super::upgrade::Handling;
use super::upstream::Upstream;
use super::websocket::{LOOK, Takeover, WebSocket};
use crate::http::{self, Closing, Event, HttpResponse, RequestNumber};
use crate::upgrade::handshake::SwitchRefused;
use crate::upgrade::{NotSwitched, Switched, switch};
use crate::websocket::Role;

/// Reads in one turn: then others on this arbiter have theirs.
const READS: usize = 4;

/// The actor behind a [`Responder`]. A [`Listener`](super::Listener) starts one for each TCP connection; it ends with the connection, or
/// with the upgrade, which hands the connection over to a [`WebSocket`].
pub struct Connection {
    /// `None` once the connection has been handed over.
    parts: Option<Parts>,
    line: Arc<HttpLine>,
    settings: Arc<Settings>,
    upstream: Option<Box<dyn Upstream<HttpDelivery>>>,
    /// Until when a handler must have been registered.
    register_by: Option<Instant>,
    /// When to look after a handler that was given by its address.
    look: Option<Instant>,
    /// Upgrades that wait for their turn behind earlier responses. At most one of them can take place, the others are answered with a 500.
    upgrades: Vec<(RequestNumber, HttpResponse, Box<Handling>)>,
    timer: Timer,
}

/// What an upgrade takes over.
struct Parts {
    http: http::Server,
    transport: Transport,
}

impl Connection {
    /// Starts the actor on this arbiter.
    pub(crate) fn start(transport: Transport, acceptor: &Acceptor, settings: Arc<Settings>) {
        let now = clock::now();
        let line = HttpLine::new(transport.seat().id());
        transport.seat().take(&line);
        let (mut upstream, mut register_by) = (None, None);
        match acceptor {
            Acceptor::Registering(recipient) => {
                register_by = Some(now + settings.registration);
                let message = Connected { id: line.id, remote: transport.remote, local: transport.local, tls: transport.tls.clone() };
                recipient.do_send(Received { message, sender: Registrar::new(line.clone()) });
            }
            Acceptor::Made(make) => {
                let mut made = make();
                made.attach(&line);
                upstream = Some(made);
            }
        }
        let http = http::Server::new(settings.http.clone(), now).secure(transport.tls.is_some()).with_date(&clock::http_date(), now);
        Self::create(move |ctx| {
            ctx.set_mailbox_capacity(0);
            ctx.spawn(Driver);
            let parts = Some(Parts { http, transport });
            Self { parts, line, settings, upstream, register_by, look: None, upgrades: Vec::new(), timer: Timer::default() }
        });
    }

    /// One turn. Ready when this actor's work is over.
    fn turn(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Some(mut parts) = self.parts.take() else { return Poll::Ready(()) };
        let now = clock::now();
        let (commands, signals) = {
            let mut line = self.line.queue.lock();
            (line.take(cx.waker()), std::mem::take(&mut line.side))
        };
        if !signals.is_empty() && self.heed(signals, &mut parts, now) {
            return Poll::Ready(());
        }
        buffers::lend_write_buffer(parts.http.output());
        for command in commands {
            if self.obey(command, &mut parts, now) {
                return Poll::Ready(());
            }
        }
        if self.timer.rings(now) {
            parts.http.handle_timeout(now, &clock::http_date());
            if self.register_by.is_some_and(|by| by <= now) {
                tracing::warn!(connection = %self.line.id, "no handler was registered in time");
                return Poll::Ready(());
            }
            if self.look.is_some_and(|look| look <= now) {
                self.look = Some(now + LOOK);
                if self.upstream.as_ref().is_some_and(|upstream| !upstream.connected()) {
                    self.look = None;
                    tracing::warn!(connection = %self.line.id, "the handler is gone: the connection ends");
                    parts.http.close_gracefully(now);
                }
            }
        }
        let waits = match read(&mut parts, self.upstream.is_some(), now, cx) {
            ControlFlow::Continue(waits) => waits,
            ControlFlow::Break(()) => return Poll::Ready(()),
        };
        self.deliver(&mut parts);
        let Some(mut parts) = self.upgraded(parts, now) else { return Poll::Ready(()) };
        if write(&mut parts, now, cx).is_break() {
            return Poll::Ready(());
        }
        // What waited for output to be written may have been parsed.
        self.deliver(&mut parts);
        match parts.http.closing() {
            Closing::Open => {}
            Closing::AfterFlush if parts.http.output().is_empty() => parts.transport.finish(cx),
            Closing::AfterFlush => {}
            Closing::Done => {
                parts.transport.finish(cx);
                return Poll::Ready(());
            }
            Closing::Abort => return Poll::Ready(()),
        }
        // What kept us from reading was written in this turn, or only our turn is over.
        if !waits && wants(&parts, self.upstream.is_some()) {
            cx.waker().wake_by_ref();
        }
        let deadline = [parts.http.deadline(), self.register_by, self.look].into_iter().flatten().min();
        self.timer.arm(deadline, now, cx);
        self.parts = Some(parts);
        Poll::Pending
    }

    /// Signals from outside. Tells whether all is over.
    fn heed(&mut self, signals: Signals, parts: &mut Parts, now: Instant) -> bool {
        if signals.has(Signal::HandlerGone) {
            tracing::warn!(connection = %self.line.id, "the handler is gone: the connection ends");
            self.upstream = None;
            parts.http.close_gracefully(now);
        }
        if signals.has(Signal::GoAway) {
            parts.http.close_gracefully(now);
        }
        signals.has(Signal::Abort)
    }

    /// Does what a handler says. Tells whether all is over.
    fn obey(&mut self, command: HttpCommand, parts: &mut Parts, now: Instant) -> bool {
        let http = &mut parts.http;
        let done = match command {
            HttpCommand::Register(open) => {
                let mut upstream = open();
                upstream.attach(&self.line);
                self.look = upstream.must_be_asked().then(|| now + LOOK);
                self.upstream = Some(upstream);
                self.register_by = None;
                Ok(())
            }
            HttpCommand::Respond(number, response) => http.respond(number, response, &clock::http_date(), now),
            HttpCommand::Start(number, response) => http.start(number, response, &clock::http_date(), now),
            HttpCommand::Chunk(number, bytes) => http.chunk(number, bytes, now),
            HttpCommand::Finish(number) => http.finish(number, now),
            HttpCommand::Unanswered(number) => {
                tracing::warn!(connection = %self.line.id, request = %number, "a request's responder was dropped without an answer");
                http.respond(number, internal_error(), &clock::http_date(), now)
            }
            HttpCommand::Unfinished => return true,
            HttpCommand::Upgrade(number, response, handling) => {
                self.upgrades.push((number, response, handling));
                Ok(())
            }
        };
        if let Err(error) = done {
            tracing::debug!(connection = %self.line.id, %error, "an answer came too late");
        }
        false
    }

    /// Hands requests to the handler.
    fn deliver(&mut self, parts: &mut Parts) {
        let Some(upstream) = &mut self.upstream else { return };
        let mut deliveries = VecDeque::new();
        while let Some(event) = parts.http.poll_event() {
            match event {
                Event::Request { number, request } => {
                    let sender = Responder::new(self.line.clone(), number, parts.transport.remote, parts.transport.tls.clone());
                    deliveries.push_back(HttpDelivery::Request(Received { message: request, sender }));
                }
                Event::TimedOut { number } => {
                    tracing::warn!(connection = %self.line.id, request = %number, "a request is not answered in time");
                }
                Event::Failed(error) => tracing::debug!(connection = %self.line.id, %error, "the connection failed"),
            }
        }
        if !deliveries.is_empty() {
            upstream.deliver(&mut deliveries);
        }
    }

    /// Performs the upgrade that waits, if its turn has come: the 101 is written, and stream, unread and unsent bytes move to a
    /// [`WebSocket`] actor, all in this turn. Gives the parts back if HTTP goes on.
    fn upgraded(&mut self, mut parts: Parts, now: Instant) -> Option<Parts> {
        for (number, response, handling) in std::mem::take(&mut self.upgrades) {
            let Parts { http, transport } = parts;
            let switched = match handling.check_extensions(&response) {
                Ok(()) => switch(http, number, response.clone(), handling.deflate(), &clock::http_date(), now),
                Err(error) => Err((http, NotSwitched::Response(SwitchRefused::Response(error)))),
            };
            let http = match switched {
                Ok(switched) => {
                    take_over(switched, *handling, transport, &self.settings);
                    return None;
                }
                Err((http, NotSwitched::NotYet)) => {
                    self.upgrades.push((number, response, handling));
                    http
                }
                Err((mut http, error)) => {
                    tracing::error!(connection = %self.line.id, %error, "an upgrade message that does not fit its request: answered with a 500");
                    if let Err(error) = http.respond(number, internal_error(), &clock::http_date(), now) {
                        tracing::debug!(connection = %self.line.id, %error, "nor can it be answered otherwise");
                    }
                    http
                }
            };
            parts = Parts { http, transport };
        }
        Some(parts)
    }
}

fn take_over(switched: Switched, handling: Handling, transport: Transport, settings: &Settings) {
    let Switched { head_bytes, unread, request, agreed, deflate, .. } = switched;
    let handled = handling.open(Role::Server, &settings.websocket, deflate.as_ref());
    let message = Upgraded {
        request,
        remote: transport.remote,
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
    buffers::take_write_buffer(http.output());
    ControlFlow::Continue(())
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.line.close();
    }
}

impl Actor for Connection {
    type Context = Context<Self>;
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.line.id)
    }
}

/// Takes turns for as long as the connection speaks HTTP.
struct Driver;

impl ActorFuture<Connection> for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, connection: &mut Connection, ctx: &mut Context<Connection>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let over = connection.turn(cx);
        if over.is_ready() {
            ctx.stop();
        }
        over
    }
}
