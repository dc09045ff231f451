//! [actix-web](https://docs.rs/actix-web) and this, either way round.
//!
//! # Our websockets inside actix-web
//!
//! One of its handlers upgrades its request, and from then on a frame handler hears and says what it would at a server of ours: the same
//! messages, stages, limits and back-pressure.
//!
//! What `actix_web_actors::ws::start` did, [`start`] does:
//!
//! ```no_run
//! use actix::prelude::*;
//! use actix_sockets::{Frame, Received, web::start};
//! use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, web};
//!
//! struct Echo;
//!
//! impl Actor for Echo {
//!     type Context = Context<Self>;
//! }
//!
//! impl Handler<Received<Frame>> for Echo {
//!     type Result = ();
//!     fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, _: &mut Self::Context) {
//!         if frame.opcode.is_data() {
//!             sender.do_send(frame);
//!         }
//!     }
//! }
//!
//! async fn echo(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Error> {
//!     start(Echo, &request, payload)
//! }
//!
//! #[actix::main]
//! async fn main() -> std::io::Result<()> {
//!     HttpServer::new(|| App::new().route("/echo", web::get().to(echo))).bind("127.0.0.1:8080")?.run().await
//! }
//! ```
//!
//! Everything else goes by [`upgrade`], which takes an [`UpgradeServer`] as a [`Responder`](super::Responder) does: subprotocols, origins, stages,
//! compression, what the handler hears.
//!
//! ```
//! # use actix::prelude::*;
//! # use actix_sockets::{Closed, Frame, Received, UpgradeServer, Upgraded};
//! # use actix_web::{Error, HttpRequest, HttpResponse, web::Payload};
//! # struct Chat;
//! # impl Actor for Chat { type Context = Context<Self>; }
//! # macro_rules! hears { ($($message:ty)*) => { $(impl Handler<Received<$message>> for Chat {
//! #     type Result = ();
//! #     fn handle(&mut self, _: Received<$message>, _: &mut Self::Context) {}
//! # })* } }
//! # hears!(Frame Upgraded Closed);
//! use actix_sockets::{handshake::Rules, web};
//!
//! async fn chat(request: HttpRequest, payload: Payload) -> Result<HttpResponse, Error> {
//!     let response = Rules::new().protocols(["chat"]).accept(&web::request(&request))?;
//!     let upgrade = UpgradeServer::factory(response, || Chat).frame_size_limit(4096).hears::<Upgraded>().hears::<Closed>();
//!     web::upgrade(upgrade, &request, payload)
//! }
//! ```
//!
//! **Where the socket is.** actix-web keeps it. What it reads comes as the payload, and goes into a pipe of 64 KiB, from which is read only while the
//! handler has room for more; what is written goes into another one, which is the response's body, and actix-web takes from it while its peer takes more. So the limits hold, and
//! bytes count as written when actix-web has taken them. A websocket ends with its response: also when nobody sends that. After the closing handshake
//! actix-web waits for the peer's FIN for as long as its `client_disconnect_timeout` says, 1 s, before it sends its own.
//!
//! # An actix-web `App` on a server of ours
//!
//! [`app()`] makes a handler of an `App`, for a [`Server`](crate::Server) or a [`Bind`](crate::Bind): all that stands below the handler is ours
//! then, and routes, extractors, middleware and bodies are actix-web's. What upgrades above upgrades here too, with nothing between the
//! websocket and its socket.
//!
//! ```no_run
//! # use actix::prelude::*;
//! # use actix_sockets::{Frame, Received};
//! # use actix_web::{Error, HttpRequest, HttpResponse, web::Payload};
//! # struct Echo;
//! # impl Actor for Echo { type Context = Context<Self>; }
//! # impl Handler<Received<Frame>> for Echo { type Result = (); fn handle(&mut self, _: Received<Frame>, _: &mut Self::Context) {} }
//! # async fn echo(request: HttpRequest, payload: Payload) -> Result<HttpResponse, Error> { actix_sockets::web::start(Echo, &request, payload) }
//! use actix_sockets::Server;
//! use actix_web::{App, web};
//!
//! #[actix::main]
//! async fn main() -> std::io::Result<()> {
//!     let server = Server::app(|| App::new().route("/", web::get().to(async || "Hello!")).route("/echo", web::get().to(echo)));
//!     server.bind("127.0.0.1:8080")?.workers(2).run().await;
//!     Ok(())
//! }
//! ```
//!
//! What differs from `HttpServer`:
//!
//! - The limits and deadlines are those of [`Settings`](crate::Settings): a handler has 20 s to begin its answer, say.
//! - Content is streamed both ways, and `Expect: 100-continue` is answered when a handler first looks at the content.
//! - `HttpRequest::conn_data` finds nothing, as nobody but actix-web can fill it; [`carrier`] tells what is known of the connection.
//! - `AppConfig` has its defaults: one `App` serves all addresses of its server. Under TLS the request's URI has scheme and authority, so
//!   that `ConnectionInfo` and `full_url` say `https`.
//! - A handler that panics is a 500, and its connection goes on.
//! - `Date` and `Server` are written by the server, whatever the `App` says; a reason phrase of its own is not sent.
//! - `actix-ws` and `actix-web-actors` cannot upgrade here, as they want the socket's bytes: a 500.

mod app;
mod exchange;
mod payload;

pub use app::{AppHandler, app};
use exchange::Passed;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix::{Actor, Context, Handler};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Payload;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use super::address::Address;
use super::delivery::Delivery;
use super::line::Signal;
use super::messages::{Received, Upgraded};
use super::pipe::{PipeReader, PipeWriter, pipe};
use super::responder::Answer;
use super::roster::Roster;
use super::settings::WebSocketSettings;
use super::socket::SocketId;
use super::transport::Transport;
use super::upgrade::UpgradeServer;
use super::websocket::{Takeover, WebSocket};
use crate::http as ours;
use crate::output::Output;
use crate::tls::Info;
use crate::upgrade::agree;
use crate::upgrade::handshake::{self, Refusal, SwitchRefused};
use crate::websocket::{Frame, Role};

/// Upgrades a request to a websocket whose frame handler is this actor; it stops with the websocket unless something else holds its address.
/// Who is let in, the default [`Rules`](handshake::Rules) say: pages of the same origin.
///
/// # Errors
///
/// The request is no right handshake: as an answer, the [`Refusal`]'s own.
pub fn start<A>(actor: A, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, Error>
where
    A: Actor<Context = Context<A>> + Handler<Received<Frame>>,
{
    let response = handshake::accept(&self::request(request))?;
    let mut ctx = Context::new();
    let opening = UpgradeServer::new(response, &mut ctx);
    ctx.run(actor);
    upgrade(opening, request, payload)
}

/// Upgrades a request to a websocket, as this says. The response is to be the handler's answer.
///
/// # Errors
///
/// The response inside the upgrade does not accept this request: as an answer, a 500; or what the [`Refusal`] says, if the request is no right
/// handshake.
pub fn upgrade<A: Actor>(upgrade: UpgradeServer<A>, request: &HttpRequest, payload: Payload) -> Result<HttpResponse, Error> {
    let (mut response, handling) = upgrade.into_parts();
    let local = Address::Tcp(request.app_config().local_addr());
    // Only the peer of a Unix socket has none.
    let remote = request.peer_addr().map_or(Address::Unix(None), Address::Tcp);
    let ours = self::request(request);
    let was = carrier(request).map(|_| response.clone());
    let (agreed, deflate) = handling
        .check_extensions(&response)
        .map_err(SwitchRefused::Response)
        .and_then(|()| agree(&ours, &mut response, handling.deflate()))
        .map_err(|error| match error {
            SwitchRefused::Request(refusal) => refusal.into(),
            SwitchRefused::Response(error) => actix_web::error::ErrorInternalServerError(error),
        })?;
    if let Some(response) = was {
        // The connection is ours, and does all of this by itself; it is known to go now.
        let mut passed = HttpResponse::new(actix_web::http::StatusCode::SWITCHING_PROTOCOLS);
        passed.extensions_mut().insert(Passed(Answer::upgrade(response, handling)));
        return Ok(passed);
    }
    let ((to_us, incoming), (outgoing, from_us)) = (pipe(), pipe());
    let roster = Arc::<Roster>::default();
    let transport = Transport::of(incoming, outgoing, roster.seat(), remote.clone(), local);
    actix_rt::spawn(carry(payload, to_us));
    let handled = handling.open(Role::Server, &WebSocketSettings::default(), deflate.as_ref());
    let message = Upgraded { request: ours, remote, tls: None, protocol: agreed.protocol, extensions: agreed.extensions };
    let first = VecDeque::from([Delivery::Upgraded(Box::new(message))]);
    let (unsent, unread) = (Output::new(), BytesMut::new());
    WebSocket::take_over(Takeover { transport, role: Role::Server, handled, unsent, unread, acks: VecDeque::new(), first });
    Ok(theirs(response).body(Outgoing { from_us, roster }))
}

/// A request of actix-web's as one of ours, without its content: for [`Rules::accept`](handshake::Rules::accept).
#[must_use]
pub fn request(request: &HttpRequest) -> ours::HttpRequest {
    // Both stand for what came over the wire: what one can say the other can, but for versions that are no handshake's.
    let method = http::Method::from_bytes(request.method().as_str().as_bytes()).unwrap_or_default();
    let uri = request.uri().to_string().parse().unwrap_or_default();
    let mut copy = ours::HttpRequest::new(method, uri);
    copy.secure = carrier(request).map_or(request.app_config().secure(), |carrier| carrier.tls.is_some());
    copy.version = match request.version() {
        actix_web::http::Version::HTTP_10 => http::Version::HTTP_10,
        actix_web::http::Version::HTTP_2 => http::Version::HTTP_2,
        _ => http::Version::HTTP_11,
    };
    for (name, value) in request.headers() {
        if let (Ok(name), Ok(value)) = (name.as_str().parse::<http::HeaderName>(), http::HeaderValue::from_bytes(value.as_bytes())) {
            copy.headers.append(name, value);
        }
    }
    copy
}

/// What is known of the connection of ours that an `App`'s request came by. `None` where actix-web has the connection.
///
/// ```
/// # use actix_web::HttpRequest;
/// async fn who(request: HttpRequest) -> String {
///     let carrier = actix_sockets::web::carrier(&request);
///     let certificate = carrier.and_then(|carrier| carrier.tls?.certificate.clone());
///     certificate.map_or("somebody".to_owned(), |certificate| certificate.subject)
/// }
/// ```
#[must_use]
pub fn carrier(request: &HttpRequest) -> Option<Carrier> {
    request.extensions().get::<Carrier>().cloned()
}

/// A connection of ours that carries an `App`'s requests.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Carrier {
    /// The connection's name.
    pub id: SocketId,
    /// What the TLS handshake has agreed on, the peer's certificate with it; `None` in the clear.
    pub tls: Option<Arc<Info>>,
}

/// A response of ours as one of actix-web's, without its content.
fn theirs(response: ours::HttpResponse) -> actix_web::HttpResponseBuilder {
    let status = actix_web::http::StatusCode::from_u16(response.status.as_u16()).unwrap_or_default();
    let mut copy = HttpResponse::build(status);
    for (name, value) in &response.headers {
        // Theirs writes `Connection`, if it is told so.
        if name != http::header::CONNECTION && name != http::header::UPGRADE {
            copy.append_header((name.as_str(), value.as_bytes()));
        }
    }
    if let Some(protocol) = response.header(http::header::UPGRADE) {
        copy.upgrade(protocol);
    }
    copy
}

/// A handshake that is refused is answered as the refusal says.
impl ResponseError for Refusal {
    fn status_code(&self) -> actix_web::http::StatusCode {
        actix_web::http::StatusCode::from_u16(self.status().as_u16()).unwrap_or_default()
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let response = self.into_response();
        let content = response.content.clone();
        theirs(response).body(content)
    }
}

/// Carries what the peer sends to the websocket, as far as that has room. FIN, or whatever else ends the payload, ends the pipe.
async fn carry(mut payload: Payload, to_us: PipeWriter) {
    while let Some(Ok(chunk)) = poll_fn(|cx| Pin::new(&mut payload).poll_next(cx)).await {
        if to_us.write(&chunk).await.is_err() {
            return;
        }
    }
}

/// What is sent to the peer: the body of the response.
struct Outgoing {
    from_us: PipeReader,
    roster: Arc<Roster>,
}

impl MessageBody for Outgoing {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        self.from_us.poll_chunk(cx).map(|chunk| chunk.map(Ok))
    }
}

impl Drop for Outgoing {
    /// Nobody will send anything any more: the websocket is over, if it is not already.
    fn drop(&mut self) {
        self.roster.signal(Signal::Abort);
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outgoing").field(&self.from_us).finish()
    }
}
