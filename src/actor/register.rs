//! Who hears a connection's requests.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::dev::ToEnvelope;
use actix::{Actor, Context, Handler, Recipient};

use super::http_connection::HttpConnection;
use super::http_delivery::{HttpNotice, HttpRoutes};
use super::http_line::{HttpCommand, HttpLine};
use super::messages::{Received, TimedOut};
use super::responder::Responder;
use super::socket::SocketId;
use super::upgrade::Nobody;
use super::upstream::{IntoHandler, Place, Upstream};
use crate::http::{Event, HttpRequest, HttpResponse, RequestNumber};

/// The sender of a [`Connected`](super::Connected): takes a [`Register`].
#[derive(Debug)]
pub struct Registrar {
    line: Arc<HttpLine>,
}

impl Registrar {
    pub(crate) fn new(line: Arc<HttpLine>) -> Self {
        Self { line }
    }

    /// The connection's name.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.line.id
    }

    /// The connection, to be told what concerns all of it.
    #[must_use]
    pub fn connection(&self) -> HttpConnection {
        HttpConnection::new(self.line.id, self.line.clone())
    }

    /// Registers the actor that is to hear the connection's requests. Without it the connection is closed after a second
    /// ([`registration_timeout`](super::Settings::registration_timeout)).
    pub fn do_send<A: Actor>(self, register: Register<A>) {
        self.line.push(HttpCommand::Register(Box::new(move || register.open())));
    }
}

/// Names the actor that is to hear a connection's requests: its address, or, in one of its own methods, its context `ctx`; and what else it
/// hears.
pub struct Register<A: Actor> {
    handler: Who<A>,
    fast: Option<FastPath>,
    timeouts: Option<Recipient<Received<TimedOut>>>,
    /// The handler knows what to do about HEAD.
    knows_head: bool,
}

/// Who hears requests.
enum Who<A: Actor> {
    Actor(Place<A, Event>, HttpRoutes<A>),
    Function(Function),
}

/// Answers a request at once, or leaves it to the handler.
pub(crate) type FastPath = Box<dyn Fn(&HttpRequest) -> Option<HttpResponse> + Send>;

/// A handler that is no actor.
type Function = Box<dyn Fn(HttpRequest, Responder) + Send>;

impl<A> Register<A>
where
    A: Actor + Handler<Received<HttpRequest>>,
    A::Context: ToEnvelope<A, Received<HttpRequest>>,
{
    /// This actor.
    #[must_use]
    pub fn new(handler: impl IntoHandler<A>) -> Self {
        Self::of(Who::Actor(handler.place(), HttpRoutes::new()))
    }

    /// An actor that is made for the connection, on the connection's arbiter.
    #[must_use]
    pub fn factory(make: impl FnOnce() -> A + Send + 'static) -> Self
    where
        A: Actor<Context = Context<A>>,
    {
        Self::of(Who::Actor(Place::made(make), HttpRoutes::new()))
    }
}

impl Register<Nobody> {
    /// No actor: a function that is called in the connection's own turn. It answers at once, or moves the [`Responder`] elsewhere; what it answers at
    /// once leaves with that turn. It must not block: all connections of the arbiter wait for it. If it panics the request is answered with a 500, behind the answers
    /// to earlier ones, and the connection closes; others go on.
    #[must_use]
    pub fn answering(answer: impl Fn(HttpRequest, Responder) + Send + 'static) -> Self {
        Self::of(Who::Function(Box::new(answer)))
    }
}

impl<A: Actor> Register<A> {
    fn of(handler: Who<A>) -> Self {
        Self { handler, fast: None, timeouts: None, knows_head: false }
    }

    /// HEAD is told as HEAD, whatever the settings say.
    #[cfg(feature = "actix-web")]
    pub(crate) fn knows_head(mut self) -> Self {
        self.knows_head = true;
        self
    }

    /// What this answers is answered in the connection's own turn, without the handler hearing of it: spray's `fastPath`. It must not block. If it panics,
    /// the request is answered with a 500, and the connection closes.
    ///
    /// Not asked about requests whose content is told as it comes.
    #[must_use]
    pub fn fast_path(mut self, answer: impl Fn(&HttpRequest) -> Option<HttpResponse> + Send + 'static) -> Self {
        self.fast = Some(Box::new(answer));
        self
    }

    /// The handler hears this too, in order with its requests: [`RequestStart`](super::RequestStart), and with it content as it comes;
    /// [`TimedOut`]; [`HttpClosed`](super::HttpClosed).
    #[must_use]
    pub fn hears<M: HttpNotice<A>>(mut self) -> Self {
        if let Who::Actor(_, routes) = &mut self.handler {
            M::route(routes);
        }
        self
    }

    /// Another actor hears of the requests that are not answered in time, with a [`Responder`] of its own for each: for a handler
    /// that is too busy to hear of them itself.
    #[must_use]
    pub fn timeouts_to(mut self, recipient: impl Into<Recipient<Received<TimedOut>>>) -> Self {
        self.timeouts = Some(recipient.into());
        self
    }

    /// Opens the way to the handler: on the connection's arbiter.
    pub(crate) fn open(self) -> Registration {
        let Self { handler, fast, timeouts, knows_head } = self;
        let elsewhere = timeouts.is_some();
        match handler {
            Who::Actor(place, routes) => {
                let (streams, keeps) = (routes.streams(), routes.hears_timeouts() || elsewhere);
                Registration { upstream: place.open(routes), is_function: false, streams, keeps, fast, timeouts, knows_head }
            }
            Who::Function(function) => {
                let upstream = Box::new(Called { function, line: None });
                Registration { upstream, is_function: true, streams: false, keeps: elsewhere, fast, timeouts, knows_head }
            }
        }
    }
}

impl<A: Actor> fmt::Debug for Register<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.handler {
            Who::Actor(place, _) => f.debug_tuple("Register").field(place).finish(),
            Who::Function(_) => f.write_str("Register(a function)"),
        }
    }
}

/// The way to a handler, whatever its type, and what it has asked for.
pub(crate) struct Registration {
    pub(crate) upstream: Box<dyn Upstream<Event>>,
    /// The handler is a function, which answers while it is told.
    pub(crate) is_function: bool,
    pub(crate) fast: Option<FastPath>,
    /// Content as it comes.
    pub(crate) streams: bool,
    /// Somebody wants to hear of requests that are not answered in time.
    pub(crate) keeps: bool,
    /// Who does, if it is not the handler.
    pub(crate) timeouts: Option<Recipient<Received<TimedOut>>>,
    /// HEAD is told as HEAD.
    pub(crate) knows_head: bool,
}

/// The way to a handler that is no actor.
struct Called {
    function: Function,
    line: Option<Arc<HttpLine>>,
}

impl Upstream<Event> for Called {
    fn deliver(&mut self, events: &mut VecDeque<Event>) {
        let Some(line) = &self.line else { return events.clear() };
        for event in events.drain(..) {
            if let Event::Request { number, request } = event {
                let responder = Responder::new(line.clone(), number);
                if unpanicked(line, number, || (self.function)(request, responder)).is_none() {
                    line.panicked(number);
                }
            }
        }
    }

    fn connected(&self) -> bool {
        true
    }

    fn must_be_asked(&self) -> bool {
        false
    }

    fn attach(&mut self, line: &Arc<HttpLine>) {
        self.line = Some(line.clone());
    }
}

/// What a function of the user's says, which is called in the connection's own turn; `None` if it panics, which is told in the log.
pub(super) fn unpanicked<T>(line: &HttpLine, number: RequestNumber, call: impl FnOnce() -> T) -> Option<T> {
    let said = catch_unwind(AssertUnwindSafe(call));
    said.inspect_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let panic = text.unwrap_or("of no text");
        tracing::error!(connection = %line.id, request = %number, panic, "the function that answers panicked: a 500, and the connection closes");
    })
    .ok()
}
