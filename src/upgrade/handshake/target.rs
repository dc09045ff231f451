//! Where a client goes: a `ws` or `wss` URL, taken apart (RFC 6455 §3).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use http::header::HeaderValue;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// What a client needs to know of a URL: where to connect, and what the handshake says.
///
/// ```
/// use actix_sockets::upgrade::handshake::Target;
///
/// let target = Target::parse("wss://bücher.example/chat?room=1").unwrap();
/// assert!(target.secure);
/// assert_eq!((target.host.as_str(), target.port), ("xn--bcher-kva.example", 443));
/// assert_eq!(target.authority, "xn--bcher-kva.example");
/// assert_eq!(target.uri, "/chat?room=1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// Whether the connection is TLS: `wss` or `https`.
    pub secure: bool,
    /// The host to connect to, as ASCII (IDNA); an IPv6 address without brackets.
    pub host: String,
    /// The port to connect to: the URL's, or 443 and 80.
    pub port: u16,
    /// What `Host` says: the host, IPv6 in brackets, and the port unless it is the scheme's default (RFC 9110 §7.2).
    pub authority: HeaderValue,
    /// The request-target in origin-form: path and query (RFC 9112 §3.2.1).
    pub uri: Uri,
    /// `Basic` credentials, if the URL had userinfo (RFC 7617). Marked sensitive, so that `Debug` does not show them.
    pub authorization: Option<HeaderValue>,
}

impl Target {
    /// Takes a URL apart. Its scheme is `ws` or `wss`; `http` and `https` mean the same. A userinfo becomes `Authorization`.
    ///
    /// # Errors
    ///
    /// A [`UrlError`] for what is no such URL. Stricter than a browser: white space, control characters, `\` and a missing `//` are
    /// errors and are not repaired.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        if url.chars().any(is_forbidden) {
            return Err(UrlError::ForbiddenCharacter);
        }
        let (scheme, rest) = url.split_once(':').ok_or(UrlError::Scheme)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "wss" | "https" => true,
            "ws" | "http" => false,
            _ => return Err(UrlError::Scheme),
        };
        // A URL parser repairs `ws:host` and `ws:///host` to `ws://host`.
        match rest.strip_prefix("//") {
            None => return Err(UrlError::Malformed("no // behind the scheme".to_owned())),
            Some(rest) if rest.starts_with('/') => return Err(UrlError::EmptyHost),
            Some(_) => {}
        }
        let url = Url::parse(url).map_err(|error| match error {
            url::ParseError::EmptyHost => UrlError::EmptyHost,
            error => UrlError::Malformed(error.to_string()),
        })?;
        if url.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        let (host, bracketed) = match url.host().ok_or(UrlError::EmptyHost)? {
            // What a URL may have and no `Host` can say, or only as a list: found by a fuzzer.
            Host::Domain(domain) if !domain.bytes().all(is_host_byte) => {
                return Err(UrlError::Malformed("a host with characters that no host has".to_owned()));
            }
            Host::Domain(domain) => (domain.to_owned(), domain.to_owned()),
            Host::Ipv4(address) => (address.to_string(), address.to_string()),
            Host::Ipv6(address) => (address.to_string(), format!("[{address}]")),
        };
        // `port` is the one that is not the default of its scheme.
        let authority = url.port().map_or_else(|| bracketed.clone(), |port| format!("{bracketed}:{port}"));
        let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        Ok(Self {
            secure,
            host,
            port: url.port().unwrap_or(if secure { 443 } else { 80 }),
            authority: HeaderValue::try_from(authority).map_err(malformed)?,
            uri: Uri::try_from(target).map_err(malformed)?,
            authorization: authorization(&url)?,
        })
    }

    /// Whether scheme, host and port are the same (RFC 6454 §4): `ws` and `http` are one scheme here, as are `wss` and `https`.
    #[must_use]
    pub fn is_same_origin(&self, other: &Self) -> bool {
        (self.secure, &self.host, self.port) == (other.secure, &other.host, other.port)
    }
}

/// What a URL parser would leave out, repair or take for something else.
pub(super) fn is_forbidden(c: char) -> bool {
    c.is_control() || c.is_whitespace() || c == '\\'
}

/// A `reg-name` (RFC 3986 §3.2.2), but for `%`, which is decoded here, and the comma, which would make a list of `Host`.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte)
}

fn malformed(error: impl fmt::Display) -> UrlError {
    UrlError::Malformed(error.to_string())
}

/// `Basic`, of the percent-decoded userinfo (RFC 7617 §2).
fn authorization(url: &Url) -> Result<Option<HeaderValue>, UrlError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let user: Vec<u8> = percent_decode_str(url.username()).collect();
    let password: Vec<u8> = percent_decode_str(url.password().unwrap_or_default()).collect();
    if user.contains(&b':') || user.iter().chain(&password).any(u8::is_ascii_control) {
        return Err(UrlError::Userinfo);
    }
    let credentials = STANDARD.encode([&user[..], b":", &password].concat());
    let mut value = HeaderValue::try_from(format!("Basic {credentials}")).map_err(malformed)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Why a text is not the URL of a websocket. It never repeats the URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// White space, a control character or `\`.
    ForbiddenCharacter,
    /// The scheme is none of `ws`, `wss`, `http`, `https`.
    Scheme,
    /// There is no host.
    EmptyHost,
    /// There is a fragment, be it an empty one.
    Fragment,
    /// The userinfo cannot be sent: a colon in the user's name, or a control character.
    Userinfo,
    /// Anything else: a host or a port that is none, a URL too long.
    Malformed(String),
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForbiddenCharacter => f.write_str("the URL has white space, a control character or a backslash (RFC 3986 §2)"),
            Self::Scheme => f.write_str("the URL's scheme is neither ws nor wss (RFC 6455 §3)"),
            Self::EmptyHost => f.write_str("the URL has no host (RFC 6455 §3, RFC 9110 §4.2.1)"),
            Self::Fragment => f.write_str("the URL has a fragment (RFC 6455 §3)"),
            Self::Userinfo => f.write_str("the URL's userinfo cannot be sent as Basic credentials (RFC 7617 §2)"),
            Self::Malformed(what) => write!(f, "the URL is malformed: {what} (RFC 6455 §3, RFC 3986)"),
        }
    }
}

impl std::error::Error for UrlError {}
