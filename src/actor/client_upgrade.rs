//! The end of a client's HTTP by an upgrade: its answer is judged, and a websocket takes over; or a redirect is followed, or the handler hears that there is none.

use std::collections::VecDeque;

use super::client_connection::{ClientConnection, Parts};
use super::delivery::Delivery;
use super::line::Line;
use super::messages::{Received, UpgradeError, UpgradeFailed, Upgraded};
use super::requester::Requester;
use super::settings::Settings;
use super::socket::SocketId;
use super::transport::Transport;
use super::upgrade::{Handled, Handling};
use super::websocket::{Takeover, WebSocket};
use crate::http::{HttpRequest, HttpResponse};
use crate::output::Output;
use crate::upgrade::handshake::deflate::Parameters;
use crate::upgrade::handshake::{self, HandshakeError};
use crate::websocket::Role;

impl ClientConnection {
    /// The answer to the handshake. Gives the parts back if HTTP goes on.
    pub(super) fn upgrade(&self, parts: Parts, request: Box<HttpRequest>, response: HttpResponse, handling: Handling) -> Option<Parts> {
        let verified = handshake::verify(&request, &response).and_then(|agreed| {
            handling.check_extensions(&response)?;
            let deflate = handling.deflate().map_or(Ok(None), |deflate| deflate.judge(&response))?;
            Ok((agreed, deflate))
        });
        match verified {
            Ok((agreed, deflate)) => {
                self.take_over(parts, *request, response, agreed, deflate, handling);
                None
            }
            Err(error) => {
                self.declined(&parts.transport, &request, response, handling, error);
                Some(parts)
            }
        }
    }

    /// There is no websocket here. There may be one where the server sends us: then another connection goes on.
    fn declined(&self, transport: &Transport, sent: &HttpRequest, response: HttpResponse, handling: Handling, error: HandshakeError) {
        let secure = self.connected.tls.is_some();
        match self.way.redirects.follow(sent, secure, &response, rand::random()) {
            Ok(Some(to)) => self.way.goes_on(to, response, handling, self.line.id, transport.seat().another()),
            Ok(None) => refuse(handling, self.line.id, Some(response), UpgradeError::Handshake(error)),
            Err(error) => refuse(handling, self.line.id, Some(response), UpgradeError::Redirect(error)),
        }
    }

    fn take_over(
        &self,
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
        let handled = handling.open(Role::Client, &self.way.settings.websocket, deflate.as_ref());
        let requester = Requester::new(self.line.clone());
        let message = Upgraded {
            request,
            remote: self.connected.remote.clone(),
            tls: self.connected.tls.clone(),
            protocol: agreed.protocol,
            extensions: agreed.extensions,
        };
        let first = VecDeque::from([
            Delivery::Response(Box::new(Received { message: response, sender: requester })),
            Delivery::Upgraded(Box::new(message)),
        ]);
        WebSocket::take_over(Takeover { transport, role: Role::Client, handled, unsent, unread, acks: VecDeque::new(), first });
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
