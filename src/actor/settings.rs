//! Every limit and every default, in one place.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use ::http::Extensions;

use super::gate::ConnectionCap;
use super::guard::Guard;
use super::line::Limits;
use super::messages::Connected;
use super::socket_options::SocketOptions;
use crate::http;
use crate::stage::{AutoPing, AutoPong, Chain, Overflow, Stage};
use crate::websocket::{Codec, Role};

/// How a listener and its connections behave. Chained setters; sizes are bytes.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) http: Arc<http::Settings>,
    pub(crate) websocket: WebSocketSettings,
    pub(crate) backlog: u32,
    pub(crate) max_connections: usize,
    pub(crate) per_address: usize,
    pub(crate) ipv6_prefix: u8,
    pub(crate) rate: Option<u32>,
    pub(crate) max_tls_handshakes: usize,
    pub(crate) cap: Option<ConnectionCap>,
    pub(crate) bind_within: Duration,
    pub(crate) registration: Duration,
    pub(crate) tls_handshake: Duration,
    pub(crate) drain_spread: Duration,
    pub(crate) nodelay: bool,
    pub(crate) options: SocketOptions,
    pub(crate) only_v6: Option<bool>,
    pub(crate) guards: Arc<[Guard]>,
    pub(crate) on_connect: Option<OnConnect>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            http: Arc::new(http::Settings::default()),
            websocket: WebSocketSettings::default(),
            backlog: 1024,
            max_connections: 25_600,
            per_address: usize::MAX,
            ipv6_prefix: 64,
            rate: None,
            max_tls_handshakes: 256,
            cap: None,
            bind_within: Duration::from_secs(1),
            registration: Duration::from_secs(1),
            tls_handshake: Duration::from_secs(3),
            drain_spread: Duration::from_secs(5),
            nodelay: true,
            options: SocketOptions::default(),
            only_v6: None,
            guards: Arc::default(),
            on_connect: None,
        }
    }
}

impl Settings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What concerns sockets that listen, and nothing else.
    pub(crate) fn of_sockets(&self) -> impl PartialEq + use<> {
        (self.backlog, self.options, self.only_v6)
    }

    /// The limits and deadlines of HTTP.
    #[must_use]
    pub fn http(mut self, http: http::Settings) -> Self {
        self.http = Arc::new(http);
        self
    }

    /// What holds for websockets whose upgrade says nothing else.
    #[must_use]
    pub fn websocket(mut self, websocket: WebSocketSettings) -> Self {
        self.websocket = websocket;
        self
    }

    /// How many connections may wait to be accepted: 1024.
    #[must_use]
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// How many connections a worker may have at a time, from all addresses of a listener or of a [`Server`](super::Server): 25 600. While all have as many, none is
    /// accepted. Where TLS or a PROXY header comes first half of them may have said nothing yet: one more, and the oldest of these is closed. With zero nobody is ever accepted, which a warning tells.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// How many connections there may be at a time from one address, all workers (and all listeners of a [`Server`](super::Server)) together: any number. One more
    /// is accepted and closed at once, counted in [`Stats::refused_connections`](super::Stats::refused_connections), and told of in the log once a second at most. Behind a
    /// [proxy](super::Bind::proxy_protocol) it is the client's address that counts. Connections of Unix sockets have none, and are not limited.
    #[must_use]
    pub fn connections_per_address(mut self, connections: usize) -> Self {
        self.per_address = connections;
        self
    }

    /// How many leading bits of an IPv6 address make an address for [`connections_per_address`](Self::connections_per_address): 64, as whoever has one address has its
    /// network, as a rule.
    #[must_use]
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        self.ipv6_prefix = bits;
        self
    }

    /// How many new connections are accepted in a second, all workers (and all listeners of a [`Server`](super::Server)) together: any number. At first,
    /// and after a pause, as many at once. While there are more they wait in the [`backlog`](Self::backlog).
    #[must_use]
    pub fn connection_rate(mut self, per_second: u32) -> Self {
        self.rate = Some(per_second.max(1));
        self
    }

    /// How many TLS handshakes a worker begins before all else has its turn: 256. To answer a hello costs far more than all that comes later. The next wait, within
    /// [their time](Self::tls_handshake_timeout). Who has not sent its hello is not counted, nor who has been answered: whom we wait for holds up nobody. With zero there is no
    /// TLS, which a warning tells.
    #[must_use]
    pub fn max_tls_handshakes(mut self, handshakes: usize) -> Self {
        self.max_tls_handshakes = handshakes;
        self
    }

    /// A cap that this listener shares with others: none. Each of them accepts while all their connections together are fewer.
    #[must_use]
    pub fn cap(mut self, cap: &ConnectionCap) -> Self {
        self.cap = Some(cap.clone());
        self
    }

    /// How long a [`Bind`](super::Bind) may take, its name's lookup most of all: 1 s. Then it is answered with
    /// [`BindError::Timeout`](super::BindError::Timeout).
    #[must_use]
    pub fn bind_timeout(mut self, within: Duration) -> Self {
        self.bind_within = within;
        self
    }

    /// How long a [`Connected`] may wait for its [`Register`](super::Register): 1 s. Then the connection is closed.
    #[must_use]
    pub fn registration_timeout(mut self, within: Duration) -> Self {
        self.registration = within;
        self
    }

    /// How long a TLS handshake may take, on accepted connections: 3 s. Then the connection is closed. On connections that we make it is
    /// part of [`Connect::timeout`](super::Connect::timeout).
    #[must_use]
    pub fn tls_handshake_timeout(mut self, within: Duration) -> Self {
        self.tls_handshake = within;
        self
    }

    /// Over how long a time the websockets of a listener that ends are told so, in batches: 5 s, and never more than half the grace of its
    /// [`Unbind`](super::Unbind). See [`drain::plan`](crate::drain::plan).
    #[must_use]
    pub fn drain_spread(mut self, spread: Duration) -> Self {
        self.drain_spread = spread;
        self
    }

    /// Whether `TCP_NODELAY` is set: it is. All that is sent in one turn leaves in one write anyway.
    #[must_use]
    pub fn tcp_nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// After how long without traffic TCP asks whether the peer is there (`SO_KEEPALIVE`, `TCP_KEEPIDLE`): never. An idle HTTP connection is closed sooner, and websockets
    /// have pings.
    #[must_use]
    pub fn tcp_keepalive(mut self, after: Duration) -> Self {
        self.options.keepalive = Some(after);
        self
    }

    /// The operating system's buffer for what is sent on a connection, in bytes (`SO_SNDBUF`): what it chooses, and adapts.
    #[must_use]
    pub fn send_buffer(mut self, bytes: usize) -> Self {
        self.options.send_buffer = Some(bytes);
        self
    }

    /// The operating system's buffer for what is received on a connection, in bytes (`SO_RCVBUF`): what it chooses, and adapts.
    #[must_use]
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.options.receive_buffer = Some(bytes);
        self
    }

    /// Whether a socket that listens at an IPv6 address takes IPv6 only (`IPV6_V6ONLY`), or IPv4 too: as the operating system is set, on Linux both.
    #[must_use]
    pub fn only_v6(mut self, only: bool) -> Self {
        self.only_v6 = Some(only);
        self
    }

    /// Is called for each connection before it is read, on its arbiter: none by default. What it puts into the extensions is in those of each request of the
    /// connection ([`HttpRequest::extensions`](crate::HttpRequest::extensions)), and of its upgrade: so it is cloned for each. It must not block; if it panics
    /// the connection is closed.
    ///
    /// ```
    /// # use actix_sockets::Settings;
    /// #[derive(Clone)]
    /// struct Since(std::time::Instant);
    ///
    /// let settings = Settings::new().on_connect(|_connected, data| {
    ///     data.insert(Since(std::time::Instant::now())); // request.extensions.get::<Since>()
    /// });
    /// # drop(settings);
    /// ```
    #[must_use]
    pub fn on_connect(mut self, call: impl Fn(&Connected, &mut Extensions) + Send + Sync + 'static) -> Self {
        self.on_connect = Some(OnConnect(Arc::new(call)));
        self
    }

    /// A guard before all requests of all connections, behind those that are there: none by default. See [`Guard`].
    #[must_use]
    pub fn guard(mut self, guard: impl Into<Guard>) -> Self {
        self.guards = self.guards.iter().cloned().chain([guard.into()]).collect();
        self
    }
}

/// What is called for each connection: see [`Settings::on_connect`].
#[derive(Clone)]
pub(crate) struct OnConnect(Arc<Connecting>);

type Connecting = dyn Fn(&Connected, &mut Extensions) + Send + Sync;

impl OnConnect {
    /// What it has to say of this connection; `None` if it panics.
    pub(crate) fn data(&self, connected: &Connected) -> Option<Extensions> {
        let mut data = Extensions::new();
        catch_unwind(AssertUnwindSafe(|| (self.0)(connected, &mut data))).ok().map(|()| data)
    }
}

impl fmt::Debug for OnConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a function")
    }
}

/// How a websocket behaves. Chained setters; sizes are bytes.
#[derive(Clone, Debug)]
pub struct WebSocketSettings {
    pub(crate) frame_size: u64,
    pub(crate) message_size: u64,
    pub(crate) fragments: u32,
    pub(crate) message_within: Duration,
    pub(crate) soft: usize,
    pub(crate) hard: usize,
    pub(crate) overflow: Overflow,
    pub(crate) window: usize,
    pub(crate) closing: Duration,
    pub(crate) write_stall: Duration,
    pub(crate) output_rate: u32,
    pub(crate) ping: Option<Duration>,
}

impl Default for WebSocketSettings {
    fn default() -> Self {
        Self {
            frame_size: 1 << 20,
            message_size: 8 << 20,
            fragments: 16_384,
            message_within: Duration::from_secs(60),
            soft: 64 << 10,
            hard: 1 << 20,
            overflow: Overflow::Close,
            window: 256 << 10,
            closing: Duration::from_secs(5),
            write_stall: Duration::from_secs(30),
            output_rate: 240,
            ping: Some(Duration::from_secs(20)),
        }
    }
}

impl WebSocketSettings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The payload of a frame read: 1 MiB. A longer one: close 1009, judged on its header.
    #[must_use]
    pub fn frame_size_limit(mut self, bytes: u64) -> Self {
        self.frame_size = bytes;
        self
    }

    /// A message read, all its fragments together: 8 MiB. A longer one: close 1009, at the header of the fragment that crosses.
    #[must_use]
    pub fn message_size_limit(mut self, bytes: u64) -> Self {
        self.message_size = bytes;
        self
    }

    /// Frames and messages of any size, in any number of fragments: a peer can fill the memory.
    #[must_use]
    pub fn unlimited(self) -> Self {
        self.frame_size_limit(u64::MAX).message_size_limit(u64::MAX).fragments_limit(u32::MAX)
    }

    /// How many fragments a message may have: 16 384. More: close 1008.
    #[must_use]
    pub fn fragments_limit(mut self, fragments: u32) -> Self {
        self.fragments = fragments;
        self
    }

    /// How long a message may be incomplete: 60 s. Longer: close 1008.
    #[must_use]
    pub fn message_timeout(mut self, within: Duration) -> Self {
        self.message_within = within;
        self
    }

    /// Unsent bytes: above `soft` (64 KiB) nothing is read, and [`Drained`](super::Drained) follows later; a frame offered at or above
    /// `hard` (1 MiB) meets the policy: see [`overflow`](Self::overflow).
    ///
    /// A message that waits as a frame counts its payload and 64 bytes, which is about what it costs to keep one; a [key](crate::Frame::keyed) counts its
    /// name and 64 bytes, once for all messages of it. What is encoded counts as it is.
    #[must_use]
    pub fn unsent_limits(mut self, soft: usize, hard: usize) -> Self {
        self.soft = soft;
        self.hard = hard.max(1);
        self
    }

    /// What becomes of a message that is offered at the hard limit of unsent bytes: [`Overflow::Close`], the websocket is closed with 1008. With another
    /// policy all that waits beyond the soft limit waits as frames, neither encoded nor compressed.
    #[must_use]
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Bytes that a handler may have in hand: 256 KiB. Above, nothing is read.
    #[must_use]
    pub fn window(mut self, bytes: usize) -> Self {
        self.window = bytes;
        self
    }

    /// How long the closing handshake may take: 5 s. Longer: the connection is cut.
    #[must_use]
    pub fn closing_timeout(mut self, within: Duration) -> Self {
        self.closing = within;
        self
    }

    /// How long output may make no progress: 30 s. Longer: the connection is cut.
    #[must_use]
    pub fn write_stall(mut self, within: Duration) -> Self {
        self.write_stall = within;
        self
    }

    /// How many bytes a second the peer must take while output waits, after a grace of [`write_stall`](Self::write_stall): 240. Fewer: the connection is
    /// cut. A peer that was faster has credit, of that grace at most. 0 asks for no rate.
    #[must_use]
    pub fn output_rate(mut self, bytes: u32) -> Self {
        self.output_rate = bytes;
        self
    }

    /// How often the default stages ping: every 20 s, and close with 1011 if nothing at all was read for as long after it. `None`, or zero: never.
    #[must_use]
    pub fn ping_every(mut self, every: Option<Duration>) -> Self {
        self.ping = every;
        self
    }

    /// The values of SprayWebSockets: no ping, and no limit below its `Int.MaxValue`, 2 GiB less one byte.
    #[must_use]
    pub fn seed_compatible() -> Self {
        let limit = i32::MAX as u64;
        Self::default().frame_size_limit(limit).message_size_limit(limit).fragments_limit(u32::MAX).ping_every(None)
    }

    pub(crate) fn unsent(&self) -> Limits {
        Limits { soft: self.soft, hard: self.hard, overflow: self.overflow }
    }

    pub(crate) fn codec(&self, role: Role) -> Codec {
        Codec::new(role).frame_size_limit(self.frame_size).message_size_limit(self.message_size).fragments_limit(self.fragments)
    }

    /// The stages that a websocket has unless told otherwise: `AutoPing` then `AutoPong`.
    pub(crate) fn default_stages(&self) -> Chain {
        match self.ping {
            Some(every) => AutoPing::every(every).then(AutoPong),
            None => Chain::of(AutoPong),
        }
    }
}
