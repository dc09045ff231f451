//! The sender of a request: what it can be told is what the connection can take.

use std::fmt;
use std::sync::Arc;

use actix::{Actor, Recipient};
use tokio::sync::oneshot;

use super::address::Address;
use super::content::RequestId;
use super::guard::Asking;
use super::http_connection::HttpConnection;
use super::http_line::{HttpCommand, HttpLine, Who};
use super::lobby::{Later, Made};
use super::messages::{HttpClosed, Received};
use super::proxied::Proxied;
use super::socket::{SendError, Sending, SocketId};
use super::streaming::Streaming;
use super::upgrade::{Handling, UpgradeServer};
use crate::http::{HttpRequest, HttpResponse, RequestNumber};
use crate::tls::Info;

/// The sender of an [`HttpRequest`]: takes one answer, an [`HttpResponse`] or an [`UpgradeServer`], or the
/// [start](Self::start) of a streamed response.
///
/// It is used up by that: a second answer to a request does not compile.
///
/// ```compile_fail
/// # use actix_sockets::{Responder, HttpResponse};
/// fn answer(responder: Responder) {
///     responder.do_send(HttpResponse::ok("once"));
///     responder.do_send(HttpResponse::ok("twice"));
/// }
/// ```
///
/// Nor does a frame to a connection that is not a websocket yet:
///
/// ```compile_fail
/// # use actix_sockets::{Responder, websocket::Frame};
/// fn answer(responder: Responder) {
///     responder.do_send(Frame::text("too soon"));
/// }
/// ```
///
/// Dropped without an answer, it answers `500 Internal Server Error`. Requests of one connection are answered in their order, whatever the
/// order of the answers; an answer to a connection that has ended goes nowhere.
#[must_use = "a request whose responder is dropped is answered with a 500"]
pub struct Responder {
    line: Arc<HttpLine>,
    number: RequestNumber,
    who: Who,
    answered: bool,
    /// Interim responses sent.
    interim: u32,
}

impl Responder {
    pub(crate) fn new(line: Arc<HttpLine>, number: RequestNumber) -> Self {
        Self { line, number, who: Who::First, answered: false, interim: 0 }
    }

    /// Another for the same request, for whoever is told that it was not answered in time. Dropped, it answers nothing.
    pub(crate) fn second(line: Arc<HttpLine>, number: RequestNumber) -> Self {
        Self { line, number, who: Who::Second, answered: false, interim: 0 }
    }

    /// The connection, to be told what concerns all of it.
    #[must_use]
    pub fn connection(&self) -> HttpConnection {
        HttpConnection::new(self.line.id, self.line.clone())
    }

    /// The connection's name.
    #[must_use]
    pub fn id(&self) -> SocketId {
        self.line.id
    }

    /// Which request is to be answered.
    #[must_use]
    pub fn request(&self) -> RequestId {
        RequestId { connection: self.line.id, number: self.number }
    }

    /// The peer's address.
    #[must_use]
    pub fn remote(&self) -> &Address {
        &self.line.remote
    }

    /// The proxy that the connection came by, and what it has said: then [`remote`](Self::remote) is what it says of the client.
    #[must_use]
    pub fn proxied(&self) -> Option<&Proxied> {
        self.line.proxied.as_deref()
    }

    /// What the TLS handshake has agreed on, the peer's certificate with it; `None` in the clear.
    #[must_use]
    pub fn tls(&self) -> Option<&Info> {
        self.line.tls.as_deref()
    }

    /// The same, for those who keep it.
    #[cfg(feature = "actix-web")]
    pub(crate) fn shared_tls(&self) -> Option<Arc<Info>> {
        self.line.tls.clone()
    }

    /// Answers: an [`HttpResponse`] or an [`UpgradeServer`].
    pub fn do_send(mut self, answer: impl Into<Answer>) {
        self.answered = true;
        self.line.push(answer.into().of(self.number));
    }

    /// Answers with what this future comes to, which the connection waits for by itself: it is dropped when the connection ends, or when the request should
    /// have been answered and is a 500. If it panics that is a 500, too.
    ///
    /// ```
    /// # use actix_sockets::{HttpRequest, HttpResponse, Received};
    /// # async fn look_up(path: String) -> String { path }
    /// # fn handle(Received { message: request, sender }: Received<HttpRequest>) {
    /// sender.answer_with(async move { HttpResponse::ok(look_up(request.path().to_owned()).await) });
    /// # }
    /// ```
    pub fn answer_with<A: Into<Answer>>(self, answer: impl Future<Output = A> + Send + 'static) {
        let answer = async move { Made { answer: answer.await.into(), found: None } };
        self.later(Later { answer: Box::pin(answer), guarded: false });
    }

    pub(super) fn later(mut self, later: Later) {
        self.answered = true;
        self.line.push(HttpCommand::Later(self.number, later));
    }

    pub(super) fn asking(&self, request: HttpRequest) -> Asking {
        self.line.asking(request)
    }

    /// Answers, and is told when the response has been written to the socket. The future need not be awaited for it to be sent.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] when the connection ended first.
    pub fn send(mut self, response: HttpResponse) -> Sending {
        self.answered = true;
        let (ack, written) = oneshot::channel();
        self.line.push(HttpCommand::Respond(self.number, response, Some(ack)));
        Sending::awaited(written)
    }

    /// This actor hears how the connection ends, too, as its handler does that has asked for it: spray tells it to the sender of the last response. Of several the one that
    /// was named for the latest request does. Not told behind an upgrade.
    pub fn closed_to(self, recipient: impl Into<Recipient<Received<HttpClosed>>>) -> Self {
        self.line.push(HttpCommand::ClosedTo(self.number, recipient.into()));
        self
    }

    /// Begins an answer whose content is sent piece by piece: in chunks (RFC 9112 §7.1); to HTTP/1.0 as it is, ended by the connection's end.
    /// A response with a `Content-Length` has that length instead, and is held to it: with more, or with less, the connection is cut.
    pub fn start(mut self, response: HttpResponse) -> Streaming {
        self.answered = true;
        Streaming::begin(self.line.clone(), self.number, response, self.who)
    }

    /// Sends an interim response ahead of the answer, 103 Early Hints say (RFC 9110 §15.2). HTTP/1.0 has none, and gets none.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] when there have been as many as may be ([`interim_limit`](crate::http::Settings::interim_limit), 16), or as much as the hard limit
    /// allows is unsent; [`SendError::Closed`] when the connection has ended. Nothing was sent then.
    pub fn interim(&mut self, response: HttpResponse) -> Result<(), SendError> {
        if self.interim >= self.line.interim_limit {
            return Err(SendError::Full);
        }
        self.line.push_interim(self.number, response)?;
        self.interim += 1;
        Ok(())
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if !self.answered && self.who == Who::First {
            self.line.push(HttpCommand::Unanswered(self.number));
        }
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Responder({})", self.request())
    }
}

/// What a [`Responder`] takes: an [`HttpResponse`] or an [`UpgradeServer`].
pub struct Answer(Answered);

enum Answered {
    Response(HttpResponse),
    Upgrade(HttpResponse, Box<Handling>),
}

impl Answer {
    /// The command that answers this request with it.
    pub(super) fn of(self, number: RequestNumber) -> HttpCommand {
        match self.0 {
            Answered::Response(response) => HttpCommand::Respond(number, response, None),
            Answered::Upgrade(response, handling) => HttpCommand::Upgrade(number, response, handling),
        }
    }

    pub(crate) fn upgrade(response: HttpResponse, handling: Handling) -> Self {
        Self(Answered::Upgrade(response, Box::new(handling)))
    }
}

impl From<HttpResponse> for Answer {
    fn from(response: HttpResponse) -> Self {
        Self(Answered::Response(response))
    }
}

impl<A: Actor> From<UpgradeServer<A>> for Answer {
    fn from(upgrade: UpgradeServer<A>) -> Self {
        let (response, handling) = upgrade.into_parts();
        Self::upgrade(response, handling)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Answered::Response(response) => response.fmt(f),
            Answered::Upgrade(response, _) => f.debug_tuple("UpgradeServer").field(response).finish(),
        }
    }
}
