//! Whether a 101 is right, and what it says: for the client that was sent one, and for the server that is about to send one
//! (RFC 6455 §4.1, §4.2.2).

use std::fmt;

use http::StatusCode;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};

use super::accept::judge;
use super::list::{self, Once};
use super::{Refusal, accept_key};
use crate::http::{HttpRequest, HttpResponse};

/// What the two ends settled on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agreed {
    /// The subprotocol, if there is one.
    pub protocol: Option<String>,
    /// The elements of `Sec-WebSocket-Extensions` as they stand, parameters included.
    pub extensions: Vec<String>,
}

/// Judges the response to a handshake, at the client (RFC 6455 §4.1): 101, `Upgrade: websocket`, `upgrade` in `Connection`, one
/// `Sec-WebSocket-Accept` and that the right one, at most one subprotocol and that one of those offered, no extension but those
/// offered.
///
/// # Errors
///
/// The first thing that is wrong. After [`HandshakeError::Status`] the response is an ordinary one and HTTP goes on; after any
/// other the connection is to be closed.
pub fn verify(sent: &HttpRequest, response: &HttpResponse) -> Result<Agreed, HandshakeError> {
    let Once::One(key) = list::once(&sent.headers, SEC_WEBSOCKET_KEY) else { return Err(HandshakeError::Key) };
    switches(response, std::str::from_utf8(key).map_err(|_| HandshakeError::Key)?)?;
    settle(sent, response)
}

/// What the two ends settled on with a response that switches: at most one subprotocol, and nothing that was not offered.
pub(crate) fn settle(sent: &HttpRequest, response: &HttpResponse) -> Result<Agreed, HandshakeError> {
    let protocol = match list::once(&response.headers, SEC_WEBSOCKET_PROTOCOL) {
        Once::Absent => None,
        Once::One(chosen) => Some(
            list::elements(&sent.headers, SEC_WEBSOCKET_PROTOCOL)
                .find(|offered| *offered == chosen)
                .and_then(text)
                .ok_or(HandshakeError::Protocol)?,
        ),
        Once::Several => return Err(HandshakeError::Protocol),
    };
    let offered = list::extensions(&sent.headers).unwrap_or_default();
    let extensions = list::extensions(&response.headers).ok_or(HandshakeError::Extension)?;
    let mut names = extensions.iter().map(|accepted| list::extension_name(accepted));
    if !names.all(|name| offered.iter().any(|offered| list::extension_name(offered).eq_ignore_ascii_case(name))) {
        return Err(HandshakeError::Extension);
    }
    Ok(Agreed { protocol, extensions: extensions.into_iter().map(str::to_owned).collect() })
}

/// What a 101 says, unjudged: for the server, which wrote it.
#[must_use]
pub fn agreed(response: &HttpResponse) -> Agreed {
    Agreed {
        protocol: list::elements(&response.headers, SEC_WEBSOCKET_PROTOCOL).next().and_then(text),
        extensions: list::elements(&response.headers, SEC_WEBSOCKET_EXTENSIONS).filter_map(text).collect(),
    }
}

/// Looks at a 101 that the user may have written by hand, before the server sends it and switches: the request was a handshake,
/// and the response has the status, `Upgrade`, `Connection` and the one `Sec-WebSocket-Accept` that answer it. Further fields are
/// the user's affair, `Sec-WebSocket-Protocol` among them; origins are not judged here.
///
/// # Errors
///
/// What is wrong with either. It must not go out, as the client would fail the connection, or a proxy on the way believe it: the
/// fitting answer is 500.
pub fn check_switching(request: &HttpRequest, response: &HttpResponse) -> Result<(), SwitchRefused> {
    let handshake = judge(request).map_err(SwitchRefused::Request)?;
    switches(response, handshake.key).map_err(SwitchRefused::Response)
}

/// Whether the response switches to websocket and answers this key.
fn switches(response: &HttpResponse, key: &str) -> Result<(), HandshakeError> {
    if response.status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(HandshakeError::Status(response.status));
    }
    // One value and not a list: what has been switched to, no longer what might be.
    if !matches!(list::once(&response.headers, UPGRADE), Once::One(value) if value.eq_ignore_ascii_case(b"websocket")) {
        return Err(HandshakeError::Upgrade);
    }
    if !list::names(&response.headers, CONNECTION, "upgrade") {
        return Err(HandshakeError::Connection);
    }
    if list::once(&response.headers, SEC_WEBSOCKET_ACCEPT) != Once::One(accept_key(key).as_bytes()) {
        return Err(HandshakeError::Accept);
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// Why a response does not open a websocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The status is not 101: the server answered as HTTP.
    Status(StatusCode),
    /// `Upgrade` is not `websocket`.
    Upgrade,
    /// `Connection` does not name `upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` is missing, doubled, or does not answer the key.
    Accept,
    /// A subprotocol that was not offered, or more than one.
    Protocol,
    /// An extension that was not offered, or a malformed list of them.
    Extension,
    /// permessage-deflate is agreed on, and wrongly; here is how.
    Deflate(&'static str),
    /// The request sent was no handshake: it has not one `Sec-WebSocket-Key`.
    Key,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status(status) => return write!(f, "the response's status is {status}, not 101 (RFC 6455 §4.1 item 1)"),
            Self::Deflate(what) => return write!(f, "the response's permessage-deflate: {what}"),
            Self::Upgrade => "the response's Upgrade is not websocket (RFC 6455 §4.1 item 2)",
            Self::Connection => "the response's Connection does not name upgrade (RFC 6455 §4.1 item 3)",
            Self::Accept => "the response's Sec-WebSocket-Accept does not answer the key, once (RFC 6455 §4.1 item 4)",
            Self::Extension => "the response accepts an extension that was not offered (RFC 6455 §4.1 item 5, §9.1)",
            Self::Protocol => "the response names a subprotocol that was not offered (RFC 6455 §4.1 item 6)",
            Self::Key => "the request has no Sec-WebSocket-Key (RFC 6455 §4.1 item 7)",
        })
    }
}

impl std::error::Error for HandshakeError {}

/// Why the server does not switch, though its user said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SwitchRefused {
    /// The request is no right handshake.
    Request(Refusal),
    /// The response does not answer it.
    Response(HandshakeError),
}

impl fmt::Display for SwitchRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(refusal) => write!(f, "not switched: {refusal}"),
            Self::Response(error) => write!(f, "not switched: {error}"),
        }
    }
}

impl std::error::Error for SwitchRefused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Request(refusal) => Some(refusal),
            Self::Response(error) => Some(error),
        }
    }
}
