//! The client's request (RFC 6455 §4.1).

use std::collections::HashSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use http::header::{AUTHORIZATION, CONNECTION, HOST, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL};
use http::header::{SEC_WEBSOCKET_VERSION, UPGRADE};

use super::{Target, list};
use crate::http::HttpRequest;

/// The request that opens a websocket to `target`: GET with `Host`, `Upgrade`, `Connection`, `Sec-WebSocket-Key` and
/// `Sec-WebSocket-Version`, and `Authorization` if the URL had userinfo. `Origin` and others are added with
/// [`HttpRequest::with_header`], subprotocols with [`with_protocols`].
///
/// The key is a nonce: 16 random bytes, fresh for each request (RFC 6455 §4.1 item 7).
#[must_use]
pub fn request(target: &Target, key: [u8; 16]) -> HttpRequest {
    let mut request = HttpRequest::new(Method::GET, target.uri.clone()).with_header(HOST, target.authority.clone());
    request.secure = target.secure;
    if let Some(authorization) = &target.authorization {
        request = request.with_header(AUTHORIZATION, authorization.clone());
    }
    request
        .with_header(UPGRADE, HeaderValue::from_static("websocket"))
        .with_header(CONNECTION, HeaderValue::from_static("Upgrade"))
        .with_header(SEC_WEBSOCKET_KEY, key_value(key))
        .with_header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
}

/// The nonce as it is said.
pub(super) fn key_value(key: [u8; 16]) -> HeaderValue {
    // Base64 is visible ASCII: the other value is never taken.
    HeaderValue::try_from(STANDARD.encode(key)).unwrap_or(HeaderValue::from_static(""))
}

/// The same request, offering these subprotocols, the most wanted first (RFC 6455 §4.1 item 10). It replaces what was offered
/// before; an empty list offers none.
///
/// # Errors
///
/// [`BadProtocols`] if a name is no token or stands twice.
pub fn with_protocols(mut request: HttpRequest, protocols: &[&str]) -> Result<HttpRequest, BadProtocols> {
    let mut seen = HashSet::new();
    if let Some(bad) = protocols.iter().find(|protocol| !list::is_token(protocol.as_bytes()) || !seen.insert(**protocol)) {
        return Err(BadProtocols((*bad).to_owned()));
    }
    request.headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if !protocols.is_empty() {
        let value = HeaderValue::try_from(protocols.join(", ")).map_err(|_| BadProtocols(protocols.concat()))?;
        request.headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    Ok(request)
}

/// A subprotocol that cannot be offered, and its name: it is no token, or it was given twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadProtocols(pub String);

impl fmt::Display for BadProtocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the subprotocol {:?} is no token, or is offered twice (RFC 6455 §4.1 item 10)", self.0)
    }
}

impl std::error::Error for BadProtocols {}
