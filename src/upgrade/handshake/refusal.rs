//! Why a request is not answered with 101, and with what instead (RFC 6455 §4.2.1, §4.2.2, §4.4).

use std::fmt;

use http::StatusCode;
use http::header::{ALLOW, CONNECTION, HeaderValue, SEC_WEBSOCKET_VERSION, UPGRADE};

use crate::http::HttpResponse;

/// Why the server does not switch. [`into_response`](Self::into_response) is the answer to send; the connection goes on as HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no `Upgrade` at all: an ordinary request, for which a page may be a better answer than this 426. (A proxy that
    /// drops hop-by-hop fields makes one out of a handshake.)
    NotAHandshake,
    /// The method is not GET: 405.
    NotGet,
    /// HTTP/1.0, in which `Upgrade` means nothing: 400.
    OldHttp,
    /// `Upgrade` does not name `websocket`: 400.
    OtherUpgrade,
    /// `Connection` does not name `upgrade`: 400.
    NoConnectionToken,
    /// `Sec-WebSocket-Version` is missing or not 13: 426. The same answer for both, as it tells the client which version we speak
    /// and the drafts before version 4 had no such field.
    OtherVersion,
    /// `Sec-WebSocket-Version` stands more than once: 400.
    SeveralVersions,
    /// `Sec-WebSocket-Key` is missing: 400.
    NoKey,
    /// `Sec-WebSocket-Key` stands more than once: 400.
    SeveralKeys,
    /// `Sec-WebSocket-Key` is not the base64 of 16 bytes: 400.
    BadKey,
    /// The request has content, or `Transfer-Encoding`: 400. What would be content to one reader is frames to another.
    Content,
    /// `Sec-WebSocket-Protocol` is no list of different tokens: 400.
    BadProtocols,
    /// `Sec-WebSocket-Extensions` is no list of extensions: 400.
    BadExtensions,
    /// `Origin` is not one that the rules let in: 403.
    ForeignOrigin,
}

impl Refusal {
    /// The status code of the answer: 400, 403, 405 or 426.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NotAHandshake | Self::OtherVersion => StatusCode::UPGRADE_REQUIRED,
            Self::NotGet => StatusCode::METHOD_NOT_ALLOWED,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The answer: the status, the fields it calls for and the reason as a line of text. 405 has `Allow: GET`; 426 has
    /// `Upgrade: websocket`, `Connection: Upgrade` (RFC 9110 §15.5.22) and `Sec-WebSocket-Version: 13` (RFC 6455 §4.4).
    ///
    /// ```
    /// use actix_sockets::upgrade::handshake::Refusal;
    ///
    /// let response = Refusal::OtherVersion.into_response();
    /// assert_eq!(response.status, 426);
    /// assert_eq!(response.header("sec-websocket-version"), Some("13"));
    /// ```
    #[must_use]
    pub fn into_response(self) -> HttpResponse {
        let response = HttpResponse::new(self.status()).with_text(format!("{self}\n"));
        match self.status() {
            StatusCode::METHOD_NOT_ALLOWED => response.with_header(ALLOW, HeaderValue::from_static("GET")),
            StatusCode::UPGRADE_REQUIRED => response
                .with_header(UPGRADE, HeaderValue::from_static("websocket"))
                .with_header(CONNECTION, HeaderValue::from_static("Upgrade"))
                .with_header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
            _ => response,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAHandshake => "this resource speaks WebSocket, and the request has no Upgrade field (RFC 9110 §7.8, §15.5.22)",
            Self::NotGet => "the method of a WebSocket handshake is GET (RFC 6455 §4.1 item 2)",
            Self::OldHttp => "a WebSocket handshake needs HTTP/1.1 (RFC 6455 §4.1 item 2, RFC 9110 §7.8)",
            Self::OtherUpgrade => "Upgrade does not name websocket (RFC 6455 §4.2.1 item 3)",
            Self::NoConnectionToken => "Connection does not name upgrade (RFC 6455 §4.2.1 item 4)",
            Self::OtherVersion => "Sec-WebSocket-Version is not 13 (RFC 6455 §4.2.2 item 4, §4.4)",
            Self::SeveralVersions => "Sec-WebSocket-Version stands more than once (RFC 6455 §11.3.5)",
            Self::NoKey => "Sec-WebSocket-Key is missing (RFC 6455 §4.2.1 item 5)",
            Self::SeveralKeys => "Sec-WebSocket-Key stands more than once (RFC 6455 §11.3.1)",
            Self::BadKey => "Sec-WebSocket-Key is not the base64 of 16 bytes (RFC 6455 §4.2.1 item 5)",
            Self::Content => "a WebSocket handshake has no content (RFC 6455 §4.1, RFC 9110 §9.3.1)",
            Self::BadProtocols => "Sec-WebSocket-Protocol is not a list of different tokens (RFC 6455 §4.1 item 10)",
            Self::BadExtensions => "Sec-WebSocket-Extensions is not a list of extensions (RFC 6455 §9.1)",
            Self::ForeignOrigin => "this Origin is not let in (RFC 6455 §4.2.2 item 4, §10.2)",
        })
    }
}

impl std::error::Error for Refusal {}
