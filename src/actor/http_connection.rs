//! A connection that speaks HTTP, to be told what concerns all of it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use super::socket::SocketId;

/// Whatever an [`HttpConnection`] stands for.
pub(crate) trait Controlled: Send + Sync {
    fn control(&self, control: Control);
    fn connected(&self) -> bool;
}

/// What an HTTP connection can be told at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control(pub(crate) Controls);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Controls {
    RequestTimeout(Duration),
    TimeoutTimeout(Duration),
    IdleTimeout(Duration),
    Close(HttpClose),
}

/// How long requests of this connection may wait for their answer, in place of
/// [`request_timeout`](crate::http::Settings::request_timeout). An idle timeout that is no longer than this becomes twice as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetRequestTimeout(pub Duration);

/// How long the answer may then still take, in place of [`timeout_timeout`](crate::http::Settings::timeout_timeout).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetTimeoutTimeout(pub Duration);

/// How long this connection may be idle, in place of [`idle_timeout`](crate::http::Settings::idle_timeout): twice the request timeout, if this is no
/// longer than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetIdleTimeout(pub Duration);

/// Ends an HTTP connection, whatever it is doing. The handler hears [`HttpClosed`](super::HttpClosed), if it has asked for it. (To end it
/// in order, behind an answer, give that the header `Connection: close`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpClose {
    /// What was answered is written, then FIN. Requests in hand are not answered, and those behind them not told. A streamed response that only the connection's end
    /// would end, as in HTTP/1.0, is cut with a reset: half of it must not pass for whole (RFC 9112 §8).
    Close,
    /// The same, and the peer has an idle timeout for its own end.
    ConfirmedClose,
    /// At once, with a reset.
    Abort,
}

macro_rules! controls {
    ($($message:ident => |$value:ident| $control:expr;)*) => { $(
        impl From<$message> for Control {
            fn from($value: $message) -> Self {
                Self($control)
            }
        }
    )* };
}

controls! {
    SetRequestTimeout => |within| Controls::RequestTimeout(within.0);
    SetTimeoutTimeout => |within| Controls::TimeoutTimeout(within.0);
    SetIdleTimeout => |within| Controls::IdleTimeout(within.0);
    HttpClose => |close| Controls::Close(close);
}

/// A connection that speaks HTTP, to be told what concerns all of it: [`SetRequestTimeout`], [`SetTimeoutTimeout`], [`SetIdleTimeout`],
/// [`HttpClose`]. It can be cloned and kept; once the connection has ended, or has become a websocket, what it is told goes nowhere. Two are equal
/// when they are the same connection's.
#[derive(Clone)]
pub struct HttpConnection {
    id: SocketId,
    line: Arc<dyn Controlled>,
}

impl HttpConnection {
    pub(crate) fn new(id: SocketId, line: Arc<dyn Controlled>) -> Self {
        Self { id, line }
    }

    /// The connection's name.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.id
    }

    /// Says it.
    pub fn do_send(&self, control: impl Into<Control>) {
        self.line.control(control.into());
    }

    /// Whether the connection is still there, and speaks HTTP.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.line.connected()
    }
}

impl PartialEq for HttpConnection {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for HttpConnection {}

impl Hash for HttpConnection {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl fmt::Debug for HttpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpConnection({})", self.id)
    }
}
