//! The switch itself: HTTP goes in, and what a websocket needs comes out.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use bytes::BytesMut;

use super::handshake::deflate::{self, Parameters, Preferences};
use super::handshake::{self, Agreed, SwitchRefused};
use crate::http::{HttpDate, HttpRequest, HttpResponse, Parts, RequestNumber, Server, SwitchError};
use crate::output::Output;

/// What is left of an HTTP connection that has switched protocols. Nothing of it is lost: bytes that came behind the handshake are
/// `unread`, bytes that have not left yet are `head_bytes`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Switched {
    /// What waits to be written: responses to earlier requests, and last the head of the 101. The first frame comes behind it.
    pub head_bytes: Output,
    /// What came behind the request: frames, never to be parsed as HTTP.
    pub unread: BytesMut,
    /// The request that asked for the upgrade.
    pub request: HttpRequest,
    /// What the response agrees to.
    pub agreed: Agreed,
    /// How messages are compressed, if that was wanted and the client offers it.
    pub deflate: Option<Parameters>,
    /// Whether the peer's FIN has come already.
    pub eof: bool,
    /// Who wants to know when what precedes the 101 has left: [`Parts::marks`](crate::http::Parts::marks).
    pub marks: VecDeque<(u64, u64)>,
}

/// Why a connection did not switch.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotSwitched {
    /// Earlier requests are not answered yet: try again when they are.
    NotYet,
    /// The request is not in hand (any more), or did not ask for an upgrade.
    Request(SwitchError),
    /// The response does not accept the request (RFC 6455 §4.2.2).
    Response(SwitchRefused),
}

impl fmt::Display for NotSwitched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYet => f.write_str("earlier requests are not answered yet"),
            Self::Request(error) => error.fmt(f),
            Self::Response(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NotSwitched {}

/// Switches protocols (RFC 9110 §7.8), all at once: the 101 is written, HTTP is gone, and every byte that it had is in the answer.
///
/// With `deflate`, permessage-deflate is agreed on if the client offers it, and the 101 says so: a header without the extension, or the extension
/// without its header, cannot be.
///
/// # Errors
///
/// The connection is given back as it was, with the reason.
#[expect(clippy::result_large_err, reason = "the connection goes on, and is moved once in its life")]
pub fn switch(
    http: Server,
    number: RequestNumber,
    mut response: HttpResponse,
    deflate: Option<&Preferences>,
    date: &HttpDate,
    now: Instant,
) -> Result<Switched, (Server, NotSwitched)> {
    let Some(request) = http.upgrade_request(number) else {
        return Err((http, NotSwitched::Request(SwitchError::NotAsked)));
    };
    let (agreed, deflate) = match agree(request, &mut response, deflate) {
        Ok(agreed) => agreed,
        Err(error) => return Err((http, NotSwitched::Response(error))),
    };
    match http.into_switched(number, response, date, now) {
        Ok(Parts { output, unread, request, eof, marks }) => {
            Ok(Switched { head_bytes: output, unread, request, agreed, deflate, eof, marks })
        }
        Err((http, SwitchError::NotYet)) => Err((http, NotSwitched::NotYet)),
        Err((http, error)) => Err((http, NotSwitched::Request(error))),
    }
}

/// What request and response agree on: what [`switch`] asks, for where the HTTP is somebody else's. With `deflate`, the response is made to say so if
/// the client offers it.
///
/// # Errors
///
/// The response does not accept the request.
pub fn agree(
    request: &HttpRequest,
    response: &mut HttpResponse,
    deflate: Option<&Preferences>,
) -> Result<(Agreed, Option<Parameters>), SwitchRefused> {
    handshake::check_switching(request, response)?;
    let deflate = deflate::answer(deflate, request, response).map_err(SwitchRefused::Response)?;
    // What was not offered cannot be agreed on (RFC 6455 §4.2.2): the peer would fail the connection.
    let agreed = handshake::settle(request, response).map_err(SwitchRefused::Response)?;
    Ok((agreed, deflate))
}
