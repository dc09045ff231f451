//! The server's end: from a request to the 101 or a refusal (RFC 6455 §4.2).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use http::header::{SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE};
use http::{Method, StatusCode, Version};
use sha1::{Digest as _, Sha1};

use super::list::{self, Once};
use super::{Origin, Refusal};
use crate::http::{HttpRequest, HttpResponse};

/// What is appended to the key before hashing (RFC 6455 §1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Reads keys. The four bits by which 22 characters exceed 16 bytes may be anything, as the RFC asks only what a key decodes to.
const KEY: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// The 101 for a handshake, under the default [`Rules`]: same origin, no subprotocol.
///
/// # Errors
///
/// The first thing that is wrong, as a [`Refusal`] with its clause and its response.
///
/// ```
/// use actix_sockets::upgrade::handshake::{self, Target};
///
/// let target = Target::parse("ws://example.com/chat").unwrap();
/// let response = handshake::accept(&handshake::request(&target, *b"the sample nonce")).unwrap();
/// assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
/// ```
pub fn accept(request: &HttpRequest) -> Result<HttpResponse, Refusal> {
    Rules::new().accept(request)
}

/// The `Sec-WebSocket-Accept` that answers this `Sec-WebSocket-Key` (RFC 6455 §4.2.2 item 5). SprayWebSockets' `calculateReturnHash`.
///
/// ```
/// use actix_sockets::upgrade::handshake::accept_key;
///
/// assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[must_use]
pub fn accept_key(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Whether the request asks for a websocket: HTTP/1.1 and `websocket` in its `Upgrade` (RFC 9110 §7.8). It may ask wrongly;
/// [`accept`] tells. Of use to an application that has pages and websockets under one path.
#[must_use]
pub fn is_handshake(request: &HttpRequest) -> bool {
    request.version >= Version::HTTP_11 && list::names(&request.headers, UPGRADE, "websocket")
}

/// What a server asks of a handshake beyond the RFC: which origins it lets in, which subprotocols it speaks.
///
/// ```
/// use actix_sockets::upgrade::handshake::{Origin, Rules};
///
/// let rules = Rules::new().protocols(["v2.chat", "chat"]).origin(Origin::list(["https://app.example.com", "*.example.org"]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Rules {
    protocols: Vec<String>,
    origin: Origin,
    secure: bool,
}

impl Rules {
    /// The defaults: [`Origin::same`], no subprotocol, TLS only if the request came under it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The subprotocols that the server speaks (RFC 6455 §1.9), case-sensitive; none by default. Of those the client offers, the
    /// **first in the client's order** that stands here is chosen; the order here means nothing. When there is none in common the
    /// 101 names none, and the client decides whether it can live with that.
    #[must_use]
    pub fn protocols(mut self, protocols: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.protocols = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Which origins are let in (RFC 6455 §10.2): [`Origin::same`] by default.
    #[must_use]
    pub fn origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Whether the connection is to be taken for TLS although the [request](HttpRequest::secure) came in the clear; `false` by default. On
    /// TLS the origin's scheme must be `https` too. Behind a proxy that ends TLS the connection itself is not TLS, and schemes are not
    /// compared unless this says so.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// The 101 for a handshake that keeps the RFC and these rules. It has `Upgrade`, `Connection`, `Sec-WebSocket-Accept`, and
    /// `Sec-WebSocket-Protocol` if a subprotocol was chosen; further fields are added with [`HttpResponse::with_header`].
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, as a [`Refusal`] with its clause and its response.
    pub fn accept(&self, request: &HttpRequest) -> Result<HttpResponse, Refusal> {
        let Handshake { key, protocols } = judge(request)?;
        if !self.origin.lets_in(request, self.secure || request.secure) {
            return Err(Refusal::ForeignOrigin);
        }
        let response = HttpResponse::new(StatusCode::SWITCHING_PROTOCOLS)
            .with_header(UPGRADE, HeaderValue::from_static("websocket"))
            .with_header(CONNECTION, HeaderValue::from_static("Upgrade"))
            .with_header(SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(accept_key(key)).map_err(|_| Refusal::BadKey)?);
        Ok(match protocols.into_iter().find(|offered| self.protocols.iter().any(|known| known == offered)) {
            Some(chosen) => response.with_header(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(chosen).map_err(|_| Refusal::BadProtocols)?),
            None => response,
        })
    }
}

/// What the answer to a right handshake needs of it.
pub(super) struct Handshake<'a> {
    pub(super) key: &'a str,
    protocols: Vec<&'a str>,
}

/// What the RFC asks of every handshake, whatever the rules (RFC 6455 §4.2.1).
pub(super) fn judge(request: &HttpRequest) -> Result<Handshake<'_>, Refusal> {
    let headers = &request.headers;
    if !headers.contains_key(UPGRADE) {
        return Err(Refusal::NotAHandshake);
    }
    if request.method != Method::GET {
        return Err(Refusal::NotGet);
    }
    if request.version < Version::HTTP_11 {
        return Err(Refusal::OldHttp);
    }
    if !list::names(headers, UPGRADE, "websocket") {
        return Err(Refusal::OtherUpgrade);
    }
    if !list::names(headers, CONNECTION, "upgrade") {
        return Err(Refusal::NoConnectionToken);
    }
    match list::once(headers, SEC_WEBSOCKET_VERSION) {
        Once::One(b"13") => {}
        Once::Several => return Err(Refusal::SeveralVersions),
        _ => return Err(Refusal::OtherVersion),
    }
    let key = match list::once(headers, SEC_WEBSOCKET_KEY) {
        Once::One(key) => key,
        Once::Absent => return Err(Refusal::NoKey),
        Once::Several => return Err(Refusal::SeveralKeys),
    };
    let key = readable_key(key).ok_or(Refusal::BadKey)?;
    if has_content(request) {
        return Err(Refusal::Content);
    }
    let protocols = list::protocols(headers).ok_or(Refusal::BadProtocols)?;
    list::extensions(headers).ok_or(Refusal::BadExtensions)?;
    Ok(Handshake { key, protocols })
}

/// The key, if it is the base64 of 16 bytes. Its length is looked at first: a long one is not decoded.
fn readable_key(key: &[u8]) -> Option<&str> {
    let key = std::str::from_utf8(key).ok().filter(|key| key.len() == 24)?;
    (KEY.decode(key).ok()?.len() == 16).then_some(key)
}

/// `Content-Length: 0` is no content. A transfer coding is, even of an empty content: it is framing that a handshake has no use for.
fn has_content(request: &HttpRequest) -> bool {
    let announced = |value: &HeaderValue| value.as_bytes().iter().any(|&byte| byte != b'0');
    !request.content.is_empty()
        || request.headers.contains_key(TRANSFER_ENCODING)
        || request.headers.get_all(CONTENT_LENGTH).iter().any(announced)
}
