//! The sender of a client's HTTP messages: what a server may be asked.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use actix::Actor;
use tokio::sync::oneshot;

use super::client_connection::refuse;
use super::line::{Peer, Signal, Signals};
use super::messages::UpgradeError;
use super::queue::Queue;
use super::socket::SocketId;
use super::upgrade::{Handling, UpgradeClient};
use crate::http::{HttpError, HttpRequest, HttpResponse};

/// What is said to a client's HTTP connection.
pub(crate) enum ClientCommand {
    Request(Box<HttpRequest>, Option<oneshot::Sender<Result<HttpResponse, HttpError>>>),
    Upgrade(Box<(HttpRequest, Handling)>),
    Close,
}

/// What a client's HTTP connection shares with those who talk to it.
pub(crate) struct ClientLine {
    pub(super) id: SocketId,
    pub(super) queue: Queue<ClientCommand, Signals>,
}

impl ClientLine {
    pub(super) fn new(id: SocketId) -> Arc<Self> {
        Arc::new(Self { id, queue: Queue::new(Signals::default()) })
    }

    fn push(&self, command: ClientCommand) {
        let mut line = self.queue.lock();
        if line.closed {
            drop(line);
            // An acked request hears that from its dropped sender; an upgrade from its handling.
            if let ClientCommand::Upgrade(upgrade) = command {
                let (_, handling) = *upgrade;
                refuse(handling, self.id, None, UpgradeError::Connection("the connection has ended".into()));
            }
            return;
        }
        line.items.push_back(command);
        line.wake();
    }
}

impl Peer for ClientLine {
    fn signal(&self, signal: Signal) {
        let mut line = self.queue.lock();
        line.side.add(signal);
        line.wake();
    }
}

/// A client's connection, to be talked to: the sender of its [`Connected`](super::Connected), which takes an [`HttpRequest`] or an [`UpgradeClient`].
///
/// It can be cloned. When all are dropped and every request has its response, the connection ends.
///
/// What a websocket takes, it does not:
///
/// ```compile_fail
/// # use actix_sockets::{Requester, websocket::Frame};
/// fn too_soon(requester: &Requester) {
///     requester.do_send(Frame::text("not a websocket yet"));
/// }
/// ```
#[derive(Clone)]
pub struct Requester {
    line: Arc<ClientLine>,
    _open: Arc<Open>,
}

/// Dropped with the last requester.
struct Open(Arc<ClientLine>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.push(ClientCommand::Close);
    }
}

impl Requester {
    pub(super) fn new(line: Arc<ClientLine>) -> Self {
        Self { _open: Arc::new(Open(line.clone())), line }
    }

    /// The connection's name.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.line.id
    }

    pub(super) fn command(&self, command: ClientCommand) {
        self.line.push(command);
    }

    /// Sends an [`HttpRequest`], whose response goes to the actor named with [`Connect::responses_to`](super::Connect::responses_to); or an [`UpgradeClient`].
    pub fn do_send(&self, message: impl Into<Asked>) {
        self.line.push(message.into().0);
    }

    /// Sends a request, and is answered with its response.
    ///
    /// # Errors
    ///
    /// What the server did wrong, or that the connection has ended.
    pub fn send(&self, request: HttpRequest) -> impl Future<Output = Result<HttpResponse, HttpError>> + use<> {
        let (tell, told) = oneshot::channel();
        self.line.push(ClientCommand::Request(Box::new(request), Some(tell)));
        async move { told.await.unwrap_or(Err(HttpError::Closed)) }
    }
}

impl fmt::Debug for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Requester({})", self.line.id)
    }
}

/// What a [`Requester`] takes: an [`HttpRequest`] or an [`UpgradeClient`].
pub struct Asked(ClientCommand);

impl From<HttpRequest> for Asked {
    fn from(request: HttpRequest) -> Self {
        Self(ClientCommand::Request(Box::new(request), None))
    }
}

impl<A: Actor> From<UpgradeClient<A>> for Asked {
    fn from(upgrade: UpgradeClient<A>) -> Self {
        Self(ClientCommand::Upgrade(Box::new(upgrade.into_parts())))
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked")
    }
}
