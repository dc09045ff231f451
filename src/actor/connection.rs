//! One accepted TCP connection, for as long as it speaks HTTP.
//!
//! As with [`WebSocket`](super::WebSocket), everything that decides anything is pure ([`http::Server`]); here are the waiting, the waking, and the handler.
//!
//! It works in turns as a websocket does, and what a turn has to say leaves in one write. A handler that lives in a context (see
//! [`upstream`](super::upstream)) and answers in its own turn has the connection's next turn taken right there, at the end of its own: the
//! answers leave, and what waited for them is parsed, without the connection being woken. The feeder of a handler that was made for the
//! connection is also who the socket wakes next, and who reads.

use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow::{self, Break, Continue};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Instant;

use bytes::BytesMut;

use super::above::Above;
use super::bind::Acceptor;
use super::budget::Lazy;
use super::buffers;
use super::clock;
use super::http_line::HttpLine;
use super::lobby::Lobby;
use super::messages::{HttpClosed, Received};
use super::register::Registrar;
use super::settings::Settings;
use super::timer::Timer;
use super::transport::Transport;
use super::upstream::Parcel;
use super::watch::Watch;
use crate::hint::seldom;
use crate::http::{self, Closing, Event};
use crate::tls::Info;

mod steps;
mod upgrading;

use steps::{finish, hear, judge, tell_the_rest};

/// Reads in one turn: then others on this arbiter have theirs.
const READS: usize = 4;

/// What is behind a [`Responder`](super::Responder). A [`Listener`](super::Listener) starts one for each TCP connection; it ends with the
/// connection, or with the upgrade, which hands the connection over to a [`WebSocket`](super::WebSocket).
///
/// All that it is told comes by a queue, so it needs no mailbox: it is a task of its arbiter, which has the connection take
/// turns. That lies beside the queue, where a handler whose answers are there finds it, too.
pub struct Connection {
    line: Arc<HttpLine>,
}

impl Connection {
    /// Starts it on this arbiter, with what was read of the stream already.
    pub(crate) fn start(transport: Transport, unread: BytesMut, acceptor: &Acceptor, settings: &Arc<Settings>) {
        let now = clock::now();
        let line = HttpLine::new(&transport, &settings.http);
        transport.seat().take(&line);
        let mut above = Above { unread, ..Above::default() };
        if !settings.guards.is_empty() {
            above.lobby = Some(Box::new(Lobby::new(settings.guards.clone())));
        }
        let mut http = http::Server::new(settings.http.clone(), now).secure(transport.tls.is_some()).with_date(&clock::http_date(now), now);
        if settings.http.describes_peer() {
            let session = transport.tls.as_deref().map(session);
            http = http.describe_peer(
                &transport.remote.ip().map_or_else(|| transport.remote.to_string(), |ip| ip.to_string()),
                session.as_deref(),
            );
        }
        if let Some(on_connect) = &settings.on_connect {
            let Ok(connected) = transport.connected() else { return };
            let Some(data) = on_connect.data(&connected) else {
                tracing::error!(connection = %line.id, "what is called for each connection panicked: the connection is closed");
                return;
            };
            http = http.with_extensions(data);
        }
        match acceptor {
            Acceptor::Registering(recipient) => {
                above.register_by = now.checked_add(settings.registration);
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
        let share = Lazy::new(transport.seat().whose());
        let parts = Some(Parts { http, transport });
        line.begin(Conversation {
            parts,
            above,
            settings: settings.clone(),
            timer: Timer::default(),
            awaits_bytes: false,
            watch: Watch::Off,
            is_fed: false,
            is_armed: false,
            is_broken: false,
            share,
        });
        drop(actix_rt::spawn(Self { line }));
    }
}

/// Who takes a turn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn<'a> {
    /// The connection's own task.
    Own,
    /// The feeder of the handler, which has answered. It comes back for what the turn has for it, and if it reads, when there is something to
    /// be read.
    Feeder(Option<&'a Waker>),
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
    /// The socket wakes the connection, or the feeder of its handler, when there is something to read.
    awaits_bytes: bool,
    /// Looks after a peer that is not read.
    watch: Watch,
    /// It is the feeder that it wakes.
    is_fed: bool,
    /// The feeder has read just now, and been told that it is woken: nobody need tell the socket again.
    is_armed: bool,
    /// What the feeder has read, or failed to read, has ended the connection.
    is_broken: bool,
    /// What it has of the process's budget.
    share: Lazy,
}

/// What an upgrade takes over.
pub(super) struct Parts {
    pub(super) http: http::Server,
    pub(super) transport: Transport,
}

impl Conversation {
    /// One turn. Ready when all is over.
    pub(super) fn turn(&mut self, line: &Arc<HttpLine>, turn: Turn<'_>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Self { parts: Some(parts), above, timer, awaits_bytes, is_fed, is_armed, is_broken: false, share, .. } = self else {
            return Poll::Ready(());
        };
        let now = clock::now();
        let own = matches!(turn, Turn::Own);
        let is_armed = std::mem::take(is_armed);
        if hear(parts, above, line, now, cx).is_break() {
            return Poll::Ready(());
        }
        if own {
            match read(parts, above, (share, line), false, now, cx) {
                Continue(Reading { awaits, .. }) => (*awaits_bytes, *is_fed) = (awaits, false),
                Break(()) => return Poll::Ready(()),
            }
            // It wakes the connection, whose turn is its own then: a feeder's need not look.
            if seldom(timer.rings(now)) && judge(parts, above, line, now, cx).is_break() {
                return Poll::Ready(());
            }
        }
        if seldom(above.lobby.is_some()) {
            above.let_in(line, parts, now, cx);
        }
        if seldom(above.is_function) {
            if above.call(line, parts, now, cx).is_break() {
                return Poll::Ready(());
            }
        } else if above.deliver(line, parts, now, cx) && matches!(turn, Turn::Feeder(_)) {
            // More answers are to come at once: they leave together.
            return Poll::Pending;
        }
        if seldom(!above.upgrades.is_empty()) {
            // It makes actors, and what it runs of theirs is no business of the handler's.
            if !own {
                cx.waker().wake_by_ref();
            } else if self.upgrade(line, now).is_ready() {
                return Poll::Ready(());
            }
        }
        let Self { parts: Some(parts), above, share, .. } = self else { return Poll::Ready(()) };
        if write(parts, above, now, cx).is_break() {
            return Poll::Ready(());
        }
        tell_the_rest(parts, above, line, now, cx);
        if finish(parts, cx).is_break() {
            return Poll::Ready(());
        }
        share.settle(|| parts.http.buffered(), line);
        if self.reads_on(turn, is_armed, line, now, cx) {
            self.watch.rest();
        } else if self.watches(now, cx).is_ready() {
            return Poll::Ready(());
        }
        self.wakes_again(line, now, cx);
        Poll::Pending
    }

    /// Reads for the feeder that the socket has woken, and gives it what has come. Tells whether something has: then the feeder has the
    /// connection take a turn.
    pub(super) fn read(&mut self, line: &Arc<HttpLine>, events: &mut VecDeque<Event>, cx: &mut TaskContext<'_>) -> bool {
        let Self { parts: Some(parts), above, awaits_bytes, is_fed, is_armed, is_broken, share, .. } = self else { return false };
        if !*is_fed {
            return false;
        }
        let now = clock::now();
        match read(parts, above, (share, line), true, now, cx) {
            Continue(Reading { reads: 0, awaits: true }) => return false,
            Continue(Reading { awaits, .. }) => (*awaits_bytes, *is_fed, *is_armed) = (awaits, awaits, awaits),
            Break(()) => *is_broken = true,
        }
        above.deliver_into(events, line, parts);
        true
    }
}

/// A TLS session, in one line.
fn session(tls: &Info) -> String {
    let subject = tls.certificate.as_ref().map(|certificate| format!(", {}", certificate.subject)).unwrap_or_default();
    format!("{}, {}{subject}", tls.version, tls.cipher)
}

/// Whether there is something to be read for.
#[inline]
fn wants(parts: &Parts, registered: bool) -> bool {
    let discarding = parts.http.closing() == Closing::AfterFlush;
    discarding || registered && parts.http.wants_read()
}

/// What came of reading.
struct Reading {
    /// How often there was something, the end of the stream among it.
    reads: usize,
    /// The socket wakes the task when there is more.
    awaits: bool,
}

/// Whether the budget of the process lets it read. What is thrown away may always come.
#[inline]
fn may_read(parts: &mut Parts, share: &mut Lazy, line: &Arc<HttpLine>, now: Instant) -> bool {
    let may = share.may_read(|| parts.http.is_within_message(), line) || parts.http.closing() == Closing::AfterFlush;
    parts.http.suspend(!may, now);
    may
}

/// Reads while there is something and HTTP wants it; at first without asking, where the socket has said so. Breaks when the connection is broken.
fn read(
    parts: &mut Parts,
    above: &mut Above,
    (share, line): (&mut Lazy, &Arc<HttpLine>),
    is_woken: bool,
    now: Instant,
    cx: &mut TaskContext<'_>,
) -> ControlFlow<(), Reading> {
    // Of the arbiter, as all buffers are: at rest a connection owns none.
    Event::pool_lend(parts.http.events());
    let registered = above.upstream.is_some();
    for reads in 0..READS {
        if !wants(parts, registered) {
            // It is not for the budget that it is not read.
            parts.http.suspend(false, now);
            return Continue(Reading { reads, awaits: false });
        }
        // Who has nothing to read holds up nobody: above the budget that is asked first.
        if seldom(share.is_pressed()) {
            match parts.transport.poll_readable(cx) {
                Poll::Pending => {
                    parts.http.suspend(false, now);
                    return Continue(Reading { reads, awaits: true });
                }
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return above.broken(&error),
            }
        }
        if !may_read(parts, share, line, now) {
            return Continue(Reading { reads, awaits: false });
        }
        if reads > 0 || !is_woken {
            match parts.transport.poll_readable(cx) {
                Poll::Pending => return Continue(Reading { reads, awaits: true }),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return above.broken(&error),
            }
        }
        let mut buffer = buffers::take_read_buffer();
        let read = parts.transport.poll_read(cx, &mut buffer);
        let arrived: BytesMut = buffer.split();
        buffers::give_read_buffer(buffer);
        match read {
            Poll::Pending => return Continue(Reading { reads, awaits: true }),
            Poll::Ready(Ok(0)) => {
                parts.http.receive_eof(now);
                return Continue(Reading { reads: reads + 1, awaits: true });
            }
            Poll::Ready(Ok(_)) => {
                buffers::pieces(arrived, |piece| parts.http.receive(piece, now));
                if !parts.http.events().is_empty() {
                    share.told();
                }
                share.settle(|| parts.http.buffered(), line);
            }
            Poll::Ready(Err(error)) => return above.broken(&error),
        }
    }
    // There may be more; the others first.
    Continue(Reading { reads: READS, awaits: false })
}

/// Writes what there is to write. Breaks when the connection is broken.
fn write(parts: &mut Parts, above: &mut Above, now: Instant, cx: &mut TaskContext<'_>) -> ControlFlow<()> {
    let Parts { http, transport } = parts;
    if !http.output().is_empty() {
        let mut progress = false;
        let result = transport.poll_write(cx, http.output(), &mut progress);
        if progress {
            http.wrote(now);
        }
        if let Poll::Ready(Err(error)) = result {
            return above.broken(&error);
        }
    }
    if http.output().has_buffer() {
        buffers::take_write_buffer(http.output());
    }
    Continue(())
}

impl Drop for Conversation {
    /// A connection ends: its handler is told so, and before that, where content was under way, that no more will come.
    fn drop(&mut self) {
        let Some(Parts { http, transport }) = &mut self.parts else { return };
        if http.is_cut_short() {
            // A FIN would say that all has been said.
            transport.reset();
        }
        let how = self.above.end.take().unwrap_or_else(|| http.ended());
        if let Some((_, recipient)) = self.above.closed_to.take() {
            let id = transport.seat().id();
            recipient.do_send(Received { message: HttpClosed { id, how: how.clone() }, sender: id });
        }
        let Some(upstream) = &mut self.above.upstream else { return };
        http.abort();
        if let Some(lobby) = &self.above.lobby {
            // What has just come was not let in, and will not be any more.
            http.events().retain(|event| lobby.is_in(event));
        }
        http.events().push_back(Event::Ended(how));
        upstream.deliver(http.events());
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
