//! The sender of a client's HTTP messages: what a server may be asked.

use std::fmt;
use std::sync::Arc;

use actix::Actor;
use tokio::sync::oneshot;

use super::client_line::{Asker, ClientCommand, ClientLine};
use super::content::RequestId;
use super::http_connection::HttpConnection;
use super::response_body::{Answered, Streamed};
use super::socket::{SendError, Sending, SocketId};
use super::streaming_request::StreamingRequest;
use super::upgrade::{Handling, UpgradeClient};
use crate::http::{HttpError, HttpRequest, HttpResponse};

/// A client's connection, to be talked to: the sender of its [`Connected`](super::Connected), which takes an [`HttpRequest`] or an [`UpgradeClient`].
///
/// Any number of requests can be sent at once. They leave in their order, each in its turn, and are answered in it (RFC 9112 §9.3.2): up to 16 are in flight, and
/// behind a request that is not idempotent, as behind any other, only what is idempotent ([`Settings::in_flight_limit`](crate::http::Settings::in_flight_limit),
/// [`pipeline_any_method`](crate::http::Settings::pipeline_any_method)). When the connection ends, each request without a response hears so, and whether it was
/// sent: [`HttpError::NotSent`], or what happened to it; [`HttpError::may_be_sent_again`] tells what follows.
///
/// A request that has neither `Host` nor an authority in its target is for the host and port of the connection, and says so (RFC 9110 §7.2).
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
pub struct Requester {
    line: Arc<ClientLine>,
}

impl Requester {
    pub(super) fn new(line: Arc<ClientLine>) -> Self {
        line.enter();
        Self { line }
    }

    /// The connection's name.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.line.id
    }

    /// Sends an [`HttpRequest`], whose response goes to the actor named with [`Connect::responses_to`](super::Connect::responses_to), or, as it comes, to that
    /// named with [`Connect::streams_responses_to`](super::Connect::streams_responses_to); or an [`UpgradeClient`].
    ///
    /// If there will be no response, the actor named with [`Connect::failures_to`](super::Connect::failures_to) hears [`RequestFailed`](super::RequestFailed).
    pub fn do_send(&self, message: impl Into<Asked>) {
        let _ = match message.into().0 {
            What::Request(request) => self.line.ask(request, Asker::Ears, false, None),
            What::Upgrade(request, handling) => self.line.ask(request, Asker::Upgrade(handling), false, None),
        };
    }

    /// Sends a request, and is answered with its response.
    ///
    /// # Errors
    ///
    /// What the server did wrong, that the connection has ended, or that the request was not sent.
    pub fn send(&self, request: HttpRequest) -> impl Future<Output = Result<HttpResponse, HttpError>> + use<> {
        let (tell, told) = oneshot::channel();
        let _ = self.line.ask(request, Asker::Whole(tell), false, None);
        async move { told.await.unwrap_or(Err(HttpError::NotSent)) }
    }

    /// Sends a request, and is answered with the head of its response and the way to its content, which is taken as it comes.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); what happens behind the head is told by [`ResponseBody::next`](super::ResponseBody::next).
    pub fn send_streaming(&self, request: HttpRequest) -> impl Future<Output = Answered> + use<> {
        let (tell, told) = oneshot::channel();
        let _ = self.line.ask(request, Asker::Streamed(Streamed::Head(tell)), false, None);
        async move { told.await.unwrap_or(Err(HttpError::NotSent)) }
    }

    /// Sends a request as [`do_send`](Self::do_send) does, and is answered when it has been written to the socket.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the connection ended first, or the request cannot be sent; [`SendError::Full`] when too many wait.
    pub fn write(&self, request: HttpRequest) -> Sending {
        let (ack, written) = oneshot::channel();
        match self.line.ask(request, Asker::Ears, false, Some(ack)) {
            Ok(_) => Sending::awaited(written),
            Err(HttpError::QueueFull) => Sending::failed(SendError::Full),
            Err(_) => Sending::failed(SendError::Closed),
        }
    }

    /// Begins a request whose content is to follow: chunked (RFC 9112 §7.1), or as long as its `Content-Length` says and held to it. What content it
    /// has is the beginning. Its response goes where [`do_send`](Self::do_send) sends it.
    ///
    /// Such a request waits until all before it are answered, and no other is sent before its content is complete. With `Expect: 100-continue` the content
    /// waits to be asked for, or for a second ([`Settings::continue_timeout`](crate::http::Settings::continue_timeout)), and is not sent behind a final response
    /// (RFC 9110 §10.1.1).
    pub fn start(&self, request: HttpRequest) -> StreamingRequest {
        StreamingRequest::new(self.clone(), self.line.ask(request, Asker::Ears, true, None).ok())
    }

    /// Begins a request as [`start`](Self::start) does, and is answered with its response.
    ///
    /// # Errors
    ///
    /// Those of the future are [`send`](Self::send)'s.
    pub fn start_send(&self, request: HttpRequest) -> (StreamingRequest, impl Future<Output = Result<HttpResponse, HttpError>> + use<>) {
        let (tell, told) = oneshot::channel();
        let number = self.line.ask(request, Asker::Whole(tell), true, None).ok();
        (StreamingRequest::new(self.clone(), number), async move { told.await.unwrap_or(Err(HttpError::NotSent)) })
    }

    /// Begins a request as [`start`](Self::start) does, and is answered with the head of its response and the way to its content: both go in pieces,
    /// and at the same time.
    ///
    /// # Errors
    ///
    /// Those of the future are [`send_streaming`](Self::send_streaming)'s.
    pub fn start_streaming(&self, request: HttpRequest) -> (StreamingRequest, impl Future<Output = Answered> + use<>) {
        let (tell, told) = oneshot::channel();
        let number = self.line.ask(request, Asker::Streamed(Streamed::Head(tell)), true, None).ok();
        (StreamingRequest::new(self.clone(), number), async move { told.await.unwrap_or(Err(HttpError::NotSent)) })
    }

    /// Gives a response up. HTTP/1.1 has no other way for that than to end the connection, and with it all requests that wait behind.
    pub fn cancel(&self, request: RequestId) {
        if request.connection == self.line.id {
            self.line.push(ClientCommand::Cancel(request.number));
        }
    }

    /// The connection, to be told what concerns all of it: how long a response's head may take ([`SetRequestTimeout`](super::SetRequestTimeout), in place of
    /// [`response_timeout`](crate::http::Settings::response_timeout)), how long it may be idle ([`SetIdleTimeout`](super::SetIdleTimeout)), and to
    /// [end](super::HttpClose). It does not keep the connection open.
    #[must_use]
    pub fn connection(&self) -> HttpConnection {
        HttpConnection::new(self.line.id, self.line.clone())
    }

    pub(super) fn line(&self) -> &Arc<ClientLine> {
        &self.line
    }
}

impl Clone for Requester {
    fn clone(&self) -> Self {
        Self::new(self.line.clone())
    }
}

impl Drop for Requester {
    fn drop(&mut self) {
        self.line.leave();
    }
}

impl fmt::Debug for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Requester({})", self.line.id)
    }
}

/// What a [`Requester`] takes: an [`HttpRequest`] or an [`UpgradeClient`].
pub struct Asked(What);

enum What {
    Request(HttpRequest),
    Upgrade(HttpRequest, Box<Handling>),
}

impl Asked {
    pub(super) fn upgrade((request, handling): (HttpRequest, Handling)) -> Self {
        Self(What::Upgrade(request, Box::new(handling)))
    }
}

impl From<HttpRequest> for Asked {
    fn from(request: HttpRequest) -> Self {
        Self(What::Request(request))
    }
}

impl<A: Actor> From<UpgradeClient<A>> for Asked {
    fn from(upgrade: UpgradeClient<A>) -> Self {
        Self::upgrade(upgrade.into_parts())
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            What::Request(request) => request.fmt(f),
            What::Upgrade(request, _) => f.debug_tuple("UpgradeClient").field(request).finish(),
        }
    }
}
