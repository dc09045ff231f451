//! A connection over a [`Network`]: either end a handler's, or a test's own.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::{Actor, Context, Handler};
use bytes::{Bytes, BytesMut};

use super::super::budget::{Budget, Whose};
use super::super::messages::Unbound;
use super::super::network::{Wire, WireReader, WireWriter};
use super::{
    Acceptor, ClientConnection, Connection, HttpRequest, NOWHERE, Network, Received, Register, Requester, Roster, Settings, Transport, Way,
};

/// One of the two ends of a [`Link`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Who makes connections.
    Client,
    /// Who takes them.
    Server,
}

impl End {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// The process that an end of a [`Link`] is in, as far as the [`Budget`] goes: this one by default, whose budget is set with [`Budget::set`]. One of its own
/// has a budget of its own, for all the ends that are in it. Clones are the same process.
///
/// ```
/// use actix_sockets::Budget;
/// use actix_sockets::test::{Link, Network, Process};
///
/// # actix_sockets::test::rerun(async {
/// let (clients, server) = (Process::default(), Process::with(Budget::bytes(64 << 10)));
/// let [one, other] = [1, 2].map(|seed| Link::between(&clients, &server, &Network::seeded(seed)));
/// assert_eq!(server.buffered(), 0);
/// # drop((one, other));
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Process(Whose);

impl Process {
    /// One of its own, with this budget.
    pub fn with(budget: Budget) -> Self {
        Self(Whose::own(budget))
    }

    /// Another budget from now on.
    pub fn set(&self, budget: Budget) {
        self.0.set(budget);
    }

    /// How much its ends have buffered, as [`Budget::buffered`] counts it.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.0.buffered()
    }
}

/// A connection over a [`Network`], from outside: what becomes of it is for the test to say, and to see. Clones are the same connection.
///
/// ```
/// # use std::time::Duration;
/// # use actix::prelude::*;
/// # use actix_sockets::{HttpRequest, HttpResponse, Received, Settings, http::HttpError};
/// # use actix_sockets::test::{self, End, Link, Network};
/// # struct Hello;
/// # impl Actor for Hello { type Context = Context<Self>; }
/// # impl Handler<Received<HttpRequest>> for Hello {
/// #     type Result = ();
/// #     fn handle(&mut self, received: Received<HttpRequest>, _: &mut Self::Context) {
/// #         received.sender.do_send(HttpResponse::ok("Hello!"));
/// #     }
/// # }
/// test::rerun(async {
///     let link = Link::over(&Network::seeded(1).latency(Duration::from_millis(5), Duration::from_millis(50)).pieces(7));
///     link.serve(Settings::default(), || Hello);
///     let client = link.connect(Settings::default());
///     assert_eq!(client.send(test::get("/")).await.unwrap().content, "Hello!");
///     link.darken(End::Server); // its cable is pulled
///     assert_eq!(client.send(test::get("/")).await.unwrap_err(), HttpError::ResponseTimeout);
/// });
/// ```
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    /// From the client, from the server.
    wires: [Arc<Wire>; 2],
    /// What has not been taken of the two ends.
    ends: Mutex<[Option<(WireReader, WireWriter)>; 2]>,
    rosters: [Arc<Roster>; 2],
}

impl Link {
    /// Two ends that nobody has taken yet.
    #[must_use]
    pub fn over(network: &Network) -> Self {
        Self::between(&Process::default(), &Process::default(), network)
    }

    /// The same between two processes: that of the client, that of the server.
    #[must_use]
    pub fn between(client: &Process, server: &Process, network: &Network) -> Self {
        let wires = network.wires();
        let [from_client, from_server] = &wires;
        let end = |out: &Arc<Wire>, back: &Arc<Wire>| Some((WireReader { wire: back.clone(), back: out.clone() }, WireWriter(out.clone())));
        let ends = Mutex::new([end(from_client, from_server), end(from_server, from_client)]);
        let rosters = [client, server].map(|process| Arc::new(Roster::of(process.0.clone())));
        Self(Arc::new(Inner { wires, ends, rosters }))
    }

    fn take(&self, end: End) -> (WireReader, WireWriter) {
        self.0.ends.lock().unwrap_or_else(PoisonError::into_inner)[end as usize].take().expect("an end can be taken once")
    }

    fn transport(&self, end: End) -> Transport {
        let (incoming, outgoing) = self.take(end);
        Transport::over(incoming, outgoing, self.0.rosters[end as usize].seat(), NOWHERE.into(), NOWHERE.into())
    }

    /// The server's end is that of an HTTP handler, as [`Bind::factory`](crate::Bind::factory) makes it.
    ///
    /// # Panics
    ///
    /// When it has been taken.
    pub fn serve<A>(&self, settings: Settings, make: impl Fn() -> A + Send + Sync + 'static)
    where
        A: Actor<Context = Context<A>> + Handler<Received<HttpRequest>>,
    {
        Connection::start(self.transport(End::Server), BytesMut::new(), &Acceptor::made(make), &Arc::new(settings));
    }

    /// The server's end is that of an HTTP handler that is registered with this, as [`Bind::registering`](crate::Bind::registering) makes it.
    ///
    /// # Panics
    ///
    /// When it has been taken.
    pub fn registering<A: Actor>(&self, settings: Settings, register: impl Fn() -> Register<A> + Send + Sync + 'static) {
        Connection::start(self.transport(End::Server), BytesMut::new(), &Acceptor::registering(register), &Arc::new(settings));
    }

    /// The client's end is to be asked by what is given back.
    ///
    /// # Panics
    ///
    /// When it has been taken.
    #[must_use]
    pub fn connect(&self, settings: Settings) -> Requester {
        let transport = self.transport(End::Client);
        let connected = transport.connected().expect("a wire knows where it is");
        ClientConnection::start(transport, connected, Way::nowhere(settings))
    }

    /// This end speaks and hears bytes, whatever they are.
    ///
    /// # Panics
    ///
    /// When it has been taken.
    #[must_use]
    pub fn raw(&self, end: End) -> Raw {
        let (incoming, outgoing) = self.take(end);
        Raw { incoming, outgoing }
    }

    /// Nothing of this end arrives for so long; then all of it does.
    pub fn stall(&self, from: End, time: Duration) {
        self.0.wires[from as usize].stall(time);
    }

    /// From now on nothing of this end arrives, and nobody is told: a cable is pulled.
    pub fn darken(&self, from: End) {
        self.0.wires[from as usize].darken();
    }

    /// The connection is reset, for both ends.
    pub fn reset(&self) {
        self.0.wires.iter().for_each(|wire| wire.reset());
    }

    /// Looks at all bytes that this end has ever written.
    pub fn written<T>(&self, by: End, look: impl FnOnce(&[u8]) -> T) -> T {
        self.0.wires[by as usize].written(look)
    }

    /// How many connections there are at this end, whatever they speak: one or none.
    #[must_use]
    pub fn connections(&self, at: End) -> usize {
        self.0.rosters[at as usize].count()
    }

    /// Whether both ends have let go of the network.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.0.wires.iter().all(|wire| wire.is_abandoned())
    }

    /// This end winds down within this grace, as [`Unbind`](crate::Unbind) and [`CloseAll`](crate::CloseAll) have it. Said again, it is cut off at once.
    pub async fn wind_down(&self, at: End, grace: Duration) -> Unbound {
        self.0.rosters[at as usize].clone().wind_down(grace, Duration::ZERO).await
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.0.wires).finish()
    }
}

/// An end of a [`Link`] that speaks and hears bytes. Dropped, it is gone: what it has not read is answered with a reset.
#[derive(Debug)]
pub struct Raw {
    incoming: WireReader,
    outgoing: WireWriter,
}

impl Raw {
    /// Says bytes, once there is room for them.
    ///
    /// # Errors
    ///
    /// The connection was reset, or has been [finished](Self::finish) here.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.outgoing.write(bytes).await
    }

    /// The next bytes, as they come; `None` at the end.
    ///
    /// # Errors
    ///
    /// The connection was reset.
    pub async fn read(&self) -> io::Result<Option<Bytes>> {
        self.incoming.read().await
    }

    /// Says that nothing more is said: a FIN.
    pub fn finish(&self) {
        self.outgoing.finish();
    }
}
