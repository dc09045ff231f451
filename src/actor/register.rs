//! Who hears a connection's requests.

use std::fmt;
use std::sync::Arc;

use actix::dev::ToEnvelope;
use actix::{Actor, Context, Handler};

use super::http_delivery::{HttpNotice, HttpRoutes};
use super::http_line::{HttpCommand, HttpLine};
use super::messages::Received;
use super::socket::SocketId;
use super::upstream::{IntoHandler, Place, Upstream};
use crate::http::{Event, HttpRequest};

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

    /// Registers the actor that is to hear the connection's requests. Without it the connection is closed after a second.
    pub fn do_send<A: Actor>(self, register: Register<A>) {
        self.line.push(HttpCommand::Register(Box::new(move || register.open())));
    }
}

/// Names the actor that is to hear a connection's requests: its address, or, in one of its own methods, its context `ctx`; and what else it
/// hears.
pub struct Register<A: Actor> {
    handler: Place<A, Event>,
    routes: HttpRoutes<A>,
}

impl<A> Register<A>
where
    A: Actor + Handler<Received<HttpRequest>>,
    A::Context: ToEnvelope<A, Received<HttpRequest>>,
{
    /// This actor.
    #[must_use]
    pub fn new(handler: impl IntoHandler<A>) -> Self {
        Self { handler: handler.place(), routes: HttpRoutes::new() }
    }

    /// An actor that is made for the connection, on the connection's arbiter.
    #[must_use]
    pub fn factory(make: impl FnOnce() -> A + Send + 'static) -> Self
    where
        A: Actor<Context = Context<A>>,
    {
        Self { handler: Place::made(make), routes: HttpRoutes::new() }
    }
}

impl<A: Actor> Register<A> {
    /// The handler hears this too, in order with its requests: [`RequestStart`](super::RequestStart), and with it content as it comes.
    #[must_use]
    pub fn hears<M: HttpNotice<A>>(mut self) -> Self {
        M::route(&mut self.routes);
        self
    }

    /// Opens the way to the handler: on the connection's arbiter.
    pub(crate) fn open(self) -> Registration {
        let streams = self.routes.streams();
        Registration { upstream: self.handler.open(self.routes), streams }
    }
}

impl<A: Actor> fmt::Debug for Register<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Register").field(&self.handler).finish()
    }
}

/// The way to a handler, whatever its type, and what it has asked for.
pub(crate) struct Registration {
    pub(crate) upstream: Box<dyn Upstream<Event>>,
    /// Content as it comes.
    pub(crate) streams: bool,
}
