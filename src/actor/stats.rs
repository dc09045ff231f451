//! Statistics: what a listener has had to do.
//!
//! What is open is counted by guards that move with the stream, so nothing of it is left over, whatever has ended a connection.

use std::iter::Sum;
use std::ops::AddAssign;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use actix::Message;

use super::clock;
use crate::websocket::CloseCode;

/// Asks for statistics. A [`Listener`](super::Listener) answers with its own; [`Sockets`](super::Sockets) with the sum of all its listeners that are there,
/// and of the connections that it has made.
#[derive(Clone, Copy, Debug, Default)]
pub struct GetStats {
    pub(crate) made_only: bool,
}

impl GetStats {
    /// Of all that whoever is asked has.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Of connections that were made, not accepted: a listener has none.
    #[must_use]
    pub fn made() -> Self {
        Self { made_only: true }
    }
}

impl Message for GetStats {
    type Result = Stats;
}

/// Begins to count anew, wherever [`GetStats`] would ask: totals are zero, what is open stays open, and the most that was open is what is open now.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClearStats;

impl Message for ClearStats {
    type Result = ();
}

/// Statistics, since the listener was started or they were [cleared](ClearStats).
///
/// The fields are read one by one while connections go on: each is right by itself. In a sum over several listeners the `max_open_…` are sums too, and so an upper
/// bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// For how long has been counted; in a sum, the longest.
    pub uptime: Duration,
    /// Requests, those that asked for an upgrade with them: at listeners those that have come, on connections that were made those that were asked.
    pub total_requests: u64,
    /// Requests that wait for their answer, or for its end.
    pub open_requests: u64,
    /// The most that did so at a time.
    pub max_open_requests: u64,
    /// Connections: those with them that became websockets, or that have not got beyond their TLS handshake.
    pub total_connections: u64,
    /// Connections that are there, whatever they speak.
    pub open_connections: u64,
    /// The most that were there at a time.
    pub max_open_connections: u64,
    /// Requests that were not answered in time.
    pub request_timeouts: u64,
    /// Upgrades.
    pub total_websockets: u64,
    /// Websockets that are there.
    pub open_websockets: u64,
    /// The most that were there at a time.
    pub max_open_websockets: u64,
    /// Messages that were handed to frame handlers; of a websocket they are counted when it has ended.
    pub messages_received: u64,
    /// Messages that handlers have sent, and that were encoded; counted in the same way.
    pub messages_sent: u64,
    /// Bytes received, HTTP and websockets together, without what TLS adds; of a connection they are counted when it has ended.
    pub bytes_received: u64,
    /// Bytes sent, in the same way.
    pub bytes_sent: u64,
    /// How websockets were closed.
    pub closes: Closes,
    /// Handshakes of TLS that failed, or took too long.
    pub failed_tls_handshakes: u64,
    /// Connections that were accepted and closed at once: too many from one address, or without the PROXY header that they owe; and those that had said nothing, as too
    /// many did.
    pub refused_connections: u64,
    /// Handlers that were gone before their connections.
    pub handler_deaths: u64,
}

/// How websockets were closed, by the code of the first Close frame (RFC 6455 §7.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closes {
    /// 1000, or a Close frame without a code (1005).
    pub normal: u64,
    /// 1001: one of the ends goes away.
    pub going_away: u64,
    /// 1002, 1003, 1007, 1009, 1010: what was received cannot be.
    pub protocol: u64,
    /// 1008: a policy, as our limits are.
    pub policy: u64,
    /// 1011 to 1014: the server cannot go on.
    pub server: u64,
    /// 3000 to 4999: the application's own.
    pub application: u64,
    /// 1006: there was no Close frame.
    pub abnormal: u64,
}

impl Closes {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self { normal, going_away, protocol, policy, server, application, abnormal } = self;
        normal + going_away + protocol + policy + server + application + abnormal
    }
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.uptime = self.uptime.max(other.uptime);
        for (field, more) in [
            (&mut self.total_requests, other.total_requests),
            (&mut self.open_requests, other.open_requests),
            (&mut self.max_open_requests, other.max_open_requests),
            (&mut self.total_connections, other.total_connections),
            (&mut self.open_connections, other.open_connections),
            (&mut self.max_open_connections, other.max_open_connections),
            (&mut self.request_timeouts, other.request_timeouts),
            (&mut self.total_websockets, other.total_websockets),
            (&mut self.open_websockets, other.open_websockets),
            (&mut self.max_open_websockets, other.max_open_websockets),
            (&mut self.messages_received, other.messages_received),
            (&mut self.messages_sent, other.messages_sent),
            (&mut self.bytes_received, other.bytes_received),
            (&mut self.bytes_sent, other.bytes_sent),
            (&mut self.closes.normal, other.closes.normal),
            (&mut self.closes.going_away, other.closes.going_away),
            (&mut self.closes.protocol, other.closes.protocol),
            (&mut self.closes.policy, other.closes.policy),
            (&mut self.closes.server, other.closes.server),
            (&mut self.closes.application, other.closes.application),
            (&mut self.closes.abnormal, other.closes.abnormal),
            (&mut self.failed_tls_handshakes, other.failed_tls_handshakes),
            (&mut self.refused_connections, other.refused_connections),
            (&mut self.handler_deaths, other.handler_deaths),
        ] {
            *field += more;
        }
    }
}

impl Sum for Stats {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum += one;
            sum
        })
    }
}

/// Something of which some are open.
#[derive(Debug, Default)]
pub(crate) struct Level {
    total: AtomicU64,
    open: AtomicU64,
    max: AtomicU64,
}

impl Level {
    #[inline]
    pub(crate) fn up(&self, more: u64) {
        self.total.fetch_add(more, Relaxed);
        self.opened(more);
    }

    fn opened(&self, more: u64) {
        let open = self.open.fetch_add(more, Relaxed) + more;
        if open > self.max.load(Relaxed) {
            self.max.fetch_max(open, Relaxed);
        }
    }

    pub(crate) fn down(&self, less: u64) {
        self.open.fetch_sub(less, Relaxed);
    }

    fn read(&self) -> [u64; 3] {
        [&self.total, &self.open, &self.max].map(|count| count.load(Relaxed))
    }

    fn clear(&self) {
        self.total.store(0, Relaxed);
        self.max.store(self.open.load(Relaxed), Relaxed);
    }
}

/// The counters of one listener, or of the connections that one [`Sockets`](super::Sockets) has made.
#[derive(Debug)]
pub(crate) struct Counters {
    since: Mutex<Instant>,
    pub(crate) requests: Level,
    pub(crate) connections: Level,
    pub(crate) websockets: Level,
    pub(crate) request_timeouts: AtomicU64,
    messages_received: AtomicU64,
    messages_sent: AtomicU64,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
    pub(crate) failed_tls_handshakes: AtomicU64,
    pub(crate) refused_connections: AtomicU64,
    pub(crate) handler_deaths: AtomicU64,
    /// As the fields of [`Closes`].
    closes: [AtomicU64; 7],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            since: Mutex::new(clock::now()),
            requests: Level::default(),
            connections: Level::default(),
            websockets: Level::default(),
            request_timeouts: AtomicU64::default(),
            messages_received: AtomicU64::default(),
            messages_sent: AtomicU64::default(),
            bytes_received: AtomicU64::default(),
            bytes_sent: AtomicU64::default(),
            failed_tls_handshakes: AtomicU64::default(),
            refused_connections: AtomicU64::default(),
            handler_deaths: AtomicU64::default(),
            closes: Default::default(),
        }
    }
}

/// One more of these.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Counters {
    /// A websocket has handed so many frames to its handler, and sent so many messages of it.
    pub(crate) fn messages(&self, received: u64, sent: u64) {
        self.messages_received.fetch_add(received, Relaxed);
        self.messages_sent.fetch_add(sent, Relaxed);
    }

    /// A connection has received and sent so much.
    pub(crate) fn bytes(&self, received: u64, sent: u64) {
        self.bytes_received.fetch_add(received, Relaxed);
        self.bytes_sent.fetch_add(sent, Relaxed);
    }

    /// A websocket was closed with this code.
    pub(crate) fn closed(&self, code: CloseCode) {
        count(
            &self.closes[match code.0 {
                1000 | 1005 => 0,
                1001 => 1,
                1008 => 3,
                1011..=1014 => 4,
                3000..=4999 => 5,
                1006 => 6,
                _ => 2,
            }],
        );
    }

    pub(crate) fn read(&self) -> Stats {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let [total_requests, open_requests, max_open_requests] = self.requests.read();
        let [total_connections, open_connections, max_open_connections] = self.connections.read();
        let [total_websockets, open_websockets, max_open_websockets] = self.websockets.read();
        let [normal, going_away, protocol, policy, server, application, abnormal] =
            std::array::from_fn(|class| self.closes[class].load(Relaxed));
        Stats {
            uptime: clock::now().saturating_duration_since(since),
            total_requests,
            open_requests,
            max_open_requests,
            total_connections,
            open_connections,
            max_open_connections,
            request_timeouts: self.request_timeouts.load(Relaxed),
            total_websockets,
            open_websockets,
            max_open_websockets,
            messages_received: self.messages_received.load(Relaxed),
            messages_sent: self.messages_sent.load(Relaxed),
            bytes_received: self.bytes_received.load(Relaxed),
            bytes_sent: self.bytes_sent.load(Relaxed),
            closes: Closes { normal, going_away, protocol, policy, server, application, abnormal },
            failed_tls_handshakes: self.failed_tls_handshakes.load(Relaxed),
            refused_connections: self.refused_connections.load(Relaxed),
            handler_deaths: self.handler_deaths.load(Relaxed),
        }
    }

    pub(crate) fn clear(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = clock::now();
        [&self.requests, &self.connections, &self.websockets].into_iter().for_each(Level::clear);
        let single = [
            &self.request_timeouts,
            &self.messages_received,
            &self.messages_sent,
            &self.bytes_received,
            &self.bytes_sent,
            &self.failed_tls_handshakes,
            &self.refused_connections,
            &self.handler_deaths,
        ];
        single.into_iter().chain(&self.closes).for_each(|counter| counter.store(0, Relaxed));
    }
}
