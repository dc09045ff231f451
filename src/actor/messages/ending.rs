//! How listeners and connections are told to end, and how they have ended.

use std::fmt;
use std::time::Duration;

use actix::Message;

use crate::actor::SocketId;

/// Ends a listener: it accepts no more, closes HTTP connections as soon as they have no request in hand, tells its websockets 1001, and cuts off what is
/// still there after the grace. Answered with [`Unbound`] when the last connection has ended. Said a second time it cuts off at once.
///
/// Websockets are told in batches, spread over 5 s, but half the grace at most: see [`drain::plan`](crate::drain::plan) and
/// [`Settings::drain_spread`](crate::Settings::drain_spread).
#[derive(Clone, Copy, Debug)]
pub struct Unbind {
    /// How long connections may take to end.
    pub grace: Duration,
}

impl Unbind {
    /// With this grace.
    #[must_use]
    pub fn within(grace: Duration) -> Self {
        Self { grace }
    }
}

impl Default for Unbind {
    /// Within 30 seconds.
    fn default() -> Self {
        Self::within(Duration::from_secs(30))
    }
}

impl Message for Unbind {
    type Result = Unbound;
}

/// Ends all listeners of [`Sockets`](crate::Sockets), as [`Unbind`] does; said a second time it cuts off at once. Answered when the last has ended, with what
/// they tell together.
#[derive(Clone, Copy, Debug)]
pub struct Shutdown {
    /// How long connections may take to end.
    pub grace: Duration,
}

impl Default for Shutdown {
    /// Within 30 seconds.
    fn default() -> Self {
        Self { grace: Duration::from_secs(30) }
    }
}

impl Message for Shutdown {
    type Result = Unbound;
}

/// Ends all connections that [`Sockets`](crate::Sockets) has made: websockets with 1001, HTTP when its requests are answered; what is still
/// there after the grace is cut off. Answered with [`ClosedAll`] when the last has ended. Those made later are not concerned.
#[derive(Clone, Copy, Debug)]
pub struct CloseAll {
    /// How long connections may take to end.
    pub grace: Duration,
}

impl CloseAll {
    /// With this grace.
    #[must_use]
    pub fn within(grace: Duration) -> Self {
        Self { grace }
    }
}

impl Default for CloseAll {
    /// Within 30 seconds.
    fn default() -> Self {
        Self::within(Duration::from_secs(30))
    }
}

impl Message for CloseAll {
    type Result = ClosedAll;
}

/// A listener has ended, and all its connections: how. Those are counted that were there when it was told to end, or came later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unbound {
    /// How long it took.
    pub took: Duration,
    /// The connections that spoke HTTP when they ended, or nothing yet.
    pub http: Ended,
    /// Those that were websockets.
    pub websockets: Ended,
    /// The first of those that were cut off: 16 at most.
    pub cut: Vec<SocketId>,
    /// Connections that did not even end when they were cut off: their arbiters are blocked.
    pub left: usize,
}

impl Unbound {
    /// How many of those that were cut off are named.
    pub(crate) const NAMED: usize = 16;

    /// How many connections were cut off, at the end of the grace or as it was said a second time.
    #[must_use]
    pub fn cut_off(&self) -> usize {
        self.http.cut_off + self.websockets.cut_off + self.left
    }

    /// Of two listeners, together: the time is the longer one.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.took = self.took.max(other.took);
        self.left += other.left;
        self.cut.extend(other.cut);
        self.cut.truncate(Self::NAMED);
        for (ended, more) in [(&mut self.http, other.http), (&mut self.websockets, other.websockets)] {
            ended.closed += more.closed;
            ended.lost += more.lost;
            ended.cut_off += more.cut_off;
        }
        self
    }

    pub(crate) fn log(&self) {
        let Self { took, http, websockets, cut, left } = self;
        if self.cut_off() == 0 {
            tracing::info!(?took, %http, %websockets, "all connections have ended");
        } else {
            tracing::warn!(?took, %http, %websockets, ?cut, "connections were cut off");
        }
        if *left > 0 {
            tracing::warn!(left, "connections do not end: their arbiters are blocked");
        }
    }
}

/// How many connections have ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// In good order: all that was to be said has left, of a websocket behind the closing handshake.
    pub closed: usize,
    /// Otherwise, and not cut off: the peer was gone, or did not do its part of the end in time.
    pub lost: usize,
    /// We have cut them off.
    pub cut_off: usize,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { closed, lost, cut_off } = self;
        write!(f, "{closed} closed, {lost} lost, {cut_off} cut off")
    }
}

/// All connections that [`Sockets`](crate::Sockets) had made have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedAll {
    /// How many connections were cut off at the end of the grace.
    pub cut_off: usize,
}
