//! The actor of one TCP connection that we made, for as long as it speaks HTTP.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use actix::{Actor, ActorContext, ActorFuture, AsyncContext, Context};
use tokio::sync::oneshot;

use super::buffers;
use super::clock;
use super::delivery::Delivery;
use super::line::{Line, Signal};
use super::messages::{Connected, Received, UpgradeError, UpgradeFailed, Upgraded};
use super::requester::{ClientCommand, ClientLine, Requester};
use super::settings::Settings;
use super::socket::SocketId;
use super::timer::Timer;
use super::transport::Transport;
use super::upgrade::{Handled, Handling};
use super::websocket::{Takeover, WebSocket};
use crate::http::{self, ClientEvent, Closing, HttpError, HttpRequest, HttpResponse, RequestNumber};
use crate::output::Output;
use crate::upgrade::handshake::deflate::Parameters;
use crate::upgrade::handshake::{self, HandshakeError};
use crate::websocket::Role;

/// The actor behind a [`Requester`]: a client's connection for as long as it speaks HTTP.
pub struct ClientConnection {
    /// `None` once the connection has been handed over.
    parts: Option<Parts>,
    line: Arc<ClientLine>,
    settings: Settings,
    connected: Connected,
    /// Who waits for which response.
    awaited: VecDeque<(RequestNumber, oneshot::Sender<Result<HttpResponse, HttpError>>)>,
    respond: Option<Box<dyn Fn(Received<HttpResponse>) + Send>>,
    /// The upgrade that was asked for.
    upgrade: Option<(RequestNumber, Box<HttpRequest>, Handling)>,
    /// Nobody can ask for anything any more.
    closing: bool,
    timer: Timer,
}

struct Parts {
    http: http::Client,
    transport: Transport,
}

impl ClientConnection {
    /// Starts the actor on this arbiter. The connection is to be talked to by what is given back.
    pub(crate) fn start(
        transport: Transport,
        connected: Connected,
        settings: Settings,
        respond: Option<Box<dyn Fn(Received<HttpResponse>) + Send>>,
    ) -> Requester {
        let line = ClientLine::new(connected.id);
        transport.seat().take(&line);
        let http = http::Client::new(settings.http.clone(), clock::now());
        let requester = Requester::new(line.clone());
        Self::create(move |ctx| {
            ctx.set_mailbox_capacity(0);
            ctx.spawn(Driver);
            Self {
                parts: Some(Parts { http, transport }),
                line,
                settings,
                connected,
                awaited: VecDeque::new(),
                respond,
                upgrade: None,
                closing: false,
                timer: Timer::default(),
            }
        });
        requester
    }

    /// One turn. Ready when this actor's work is over.
    fn turn(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Some(mut parts) = self.parts.take() else { return Poll::Ready(()) };
        let now = clock::now();
        let (commands, signals) = {
            let mut line = self.line.queue.lock();
            (line.take(cx.waker()), std::mem::take(&mut line.side))
        };
        if signals.has(Signal::Abort) {
            return Poll::Ready(());
        }
        if signals.has(Signal::GoAway) {
            parts.http.close_gracefully(now);
        }
        for command in commands {
            self.obey(command, &mut parts, now);
        }
        if self.timer.rings(now) {
            parts.http.handle_timeout(now);
        }
        if let Err(error) = parts.exchange(now, cx) {
            self.fail(HttpError::Closed, &error.to_string());
            return Poll::Ready(());
        }
        let Some(mut parts) = self.events(parts) else { return Poll::Ready(()) };
        if self.closing && self.awaited.is_empty() && self.upgrade.is_none() && parts.http.in_hand() == 0 {
            parts.http.close_gracefully(now);
        }
        match parts.http.closing() {
            Closing::Open => {}
            Closing::AfterFlush if parts.http.output().is_empty() => parts.transport.finish(cx),
            Closing::AfterFlush => {}
            Closing::Done => {
                parts.transport.finish(cx);
                return Poll::Ready(());
            }
            Closing::Abort => return Poll::Ready(()),
        }
        self.timer.arm(parts.http.deadline(), now, cx);
        self.parts = Some(parts);
        Poll::Pending
    }

    fn obey(&mut self, command: ClientCommand, parts: &mut Parts, now: Instant) {
        match command {
            ClientCommand::Close => self.closing = true,
            ClientCommand::Request(request, tell) => {
                if let Err(error) = self.may_send(&request, parts) {
                    tracing::warn!(connection = %self.line.id, %error, "a request is not sent");
                    if let Some(tell) = tell {
                        let _ = tell.send(Err(error));
                    }
                    return;
                }
                let number = parts.http.request(*request, now);
                if let Some(tell) = tell {
                    self.awaited.push_back((number, tell));
                }
            }
            ClientCommand::Upgrade(upgrade) => {
                let (mut request, handling) = *upgrade;
                if let Err(error) = self.may_send(&request, parts) {
                    let what = match error {
                        HttpError::Insecure => {
                            "the URL is wss, and the connection is not TLS: Connect::target or Connect::tls makes one that is"
                        }
                        _ => "no request can be sent on this connection any more",
                    };
                    return refuse(handling, self.line.id, None, UpgradeError::Connection(what.into()));
                }
                if let Some(deflate) = handling.deflate() {
                    deflate.offer(&mut request);
                }
                let number = parts.http.request(request.clone(), now);
                self.upgrade = Some((number, Box::new(request), handling));
            }
        }
    }

    /// What is for https is not said in the clear: its credentials, to begin with. Behind the last request of a connection, and behind one
    /// that may end HTTP, nothing can be asked (RFC 9110 §7.8).
    fn may_send(&self, request: &HttpRequest, parts: &Parts) -> Result<(), HttpError> {
        match () {
            () if request.secure && self.connected.tls.is_none() => Err(HttpError::Insecure),
            () if !parts.http.can_request() => Err(HttpError::Closed),
            () => Ok(()),
        }
    }

    /// Tells what has come. Gives the parts back if HTTP goes on.
    fn events(&mut self, mut parts: Parts) -> Option<Parts> {
        while let Some(event) = parts.http.poll_event() {
            match event {
                ClientEvent::Response { number, response } => {
                    if self.upgrade.as_ref().is_some_and(|(asked, ..)| *asked == number) {
                        let (_, request, handling) = self.upgrade.take()?;
                        let verified = handshake::verify(&request, &response).and_then(|agreed| {
                            handling.check_extensions(&response)?;
                            let deflate = handling.deflate().map_or(Ok(None), |deflate| deflate.judge(&response))?;
                            Ok((agreed, deflate))
                        });
                        match verified {
                            Ok((agreed, deflate)) => {
                                self.take_over(parts, *request, response, agreed, deflate, handling);
                                return None;
                            }
                            Err(error) => {
                                refuse(handling, self.line.id, Some(response), UpgradeError::Handshake(error));
                                if parts.http.is_switched() {
                                    // Whatever it speaks now, it is not what we asked for.
                                    return None;
                                }
                            }
                        }
                    } else if let Some(at) = self.awaited.iter().position(|(asked, _)| *asked == number) {
                        let tell = self.awaited.remove(at).map(|(_, tell)| tell)?;
                        let _ = tell.send(Ok(response));
                    } else if let Some(respond) = &self.respond {
                        respond(Received { message: response, sender: Requester::new(self.line.clone()) });
                    }
                }
                ClientEvent::Failed(error) => self.fail(error, &error.to_string()),
            }
        }
        Some(parts)
    }

    fn fail(&mut self, error: HttpError, what: &str) {
        for (_, tell) in self.awaited.drain(..) {
            let _ = tell.send(Err(error));
        }
        if let Some((_, _, handling)) = self.upgrade.take() {
            refuse(handling, self.line.id, None, UpgradeError::Connection(what.to_owned()));
        }
    }

    fn take_over(
        &mut self,
        parts: Parts,
        request: HttpRequest,
        response: HttpResponse,
        agreed: handshake::Agreed,
        deflate: Option<Parameters>,
        handling: Handling,
    ) {
        let Parts { mut http, transport } = parts;
        let unsent: Output = std::mem::take(http.output());
        let unread = if planted!(UnreadLost) { bytes::BytesMut::new() } else { http.into_unread() };
        let handled = handling.open(Role::Client, &self.settings.websocket, deflate.as_ref());
        let requester = Requester::new(self.line.clone());
        let message = Upgraded {
            request,
            remote: self.connected.remote,
            tls: self.connected.tls.clone(),
            protocol: agreed.protocol,
            extensions: agreed.extensions,
        };
        let first = VecDeque::from([
            Delivery::Response(Box::new(Received { message: response, sender: requester })),
            Delivery::Upgraded(Box::new(message)),
        ]);
        WebSocket::take_over(Takeover { transport, role: Role::Client, handled, unsent, unread, first });
    }
}

impl Parts {
    /// Writes what there is to write and reads what there is to read.
    fn exchange(&mut self, now: Instant, cx: &mut TaskContext<'_>) -> io::Result<()> {
        let Self { http, transport } = self;
        if !http.output().is_empty() {
            let mut progress = false;
            let result = transport.poll_write(cx, http.output(), &mut progress);
            if progress {
                http.wrote(now);
            }
            if let Poll::Ready(Err(error)) = result {
                return Err(error);
            }
        }
        while http.wants_read() || http.closing() == Closing::AfterFlush {
            let mut buffer = buffers::take_read_buffer();
            let read = transport.poll_read(cx, &mut buffer);
            let arrived = buffer.split();
            buffers::give_read_buffer(buffer);
            match read {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) if transport.is_truncated() => {
                    http.receive_truncation(now);
                    break;
                }
                Poll::Ready(Ok(0)) => {
                    http.receive_eof(now);
                    break;
                }
                Poll::Ready(Ok(_)) => http.receive(arrived, now),
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Tells a frame handler that there will be no websocket.
pub(super) fn refuse(handling: Handling, id: SocketId, response: Option<HttpResponse>, error: UpgradeError) {
    tracing::debug!(connection = %id, %error, "no upgrade");
    let Handled { upstream: Some(mut upstream), .. } = handling.open(Role::Client, &Settings::default().websocket, None) else { return };
    let message = UpgradeFailed { response, error };
    // There is no websocket at the other end.
    upstream.attach(&Line::dead(id));
    let mut deliveries = VecDeque::from([Delivery::Failed(Box::new(Received { message, sender: id }))]);
    upstream.deliver(&mut deliveries);
}

impl From<HandshakeError> for UpgradeError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        let items = {
            let mut line = self.line.queue.lock();
            line.closed = true;
            std::mem::take(&mut line.items)
        };
        drop(items);
        self.fail(HttpError::Closed, "the connection ended before the handshake did");
    }
}

impl Actor for ClientConnection {
    type Context = Context<Self>;
}

impl fmt::Debug for ClientConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientConnection({})", self.line.id)
    }
}

/// Takes turns for as long as the connection speaks HTTP.
struct Driver;

impl ActorFuture<ClientConnection> for Driver {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        connection: &mut ClientConnection,
        ctx: &mut Context<ClientConnection>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let over = connection.turn(cx);
        if over.is_ready() {
            ctx.stop();
        }
        over
    }
}
