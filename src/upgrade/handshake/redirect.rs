//! Where a server sends the client in place of an upgrade (RFC 9110 §15.4, RFC 6455 §4.1).

use std::fmt;

use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderValue, LOCATION, PROXY_AUTHORIZATION, SEC_WEBSOCKET_KEY};
use http::{HeaderMap, StatusCode};
use url::Url;

use super::request::key_value;
use super::target::is_forbidden;
use super::{Target, UrlError};
use crate::http::{HttpRequest, HttpResponse};

/// What is said to one origin and not to another.
const CREDENTIALS: [http::HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];

/// How many redirects are followed from here, and where the way has led. None by default.
#[derive(Clone, Debug, Default)]
pub struct Redirects {
    limit: usize,
    been: Vec<Target>,
}

/// Where a client is to go, and what it is to say there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Redirected {
    /// Where to connect.
    pub target: Target,
    /// The same handshake for that place, with a new key. Elsewhere than at the same origin it has neither `Authorization` nor `Cookie` nor
    /// `Proxy-Authorization` (RFC 9110 §15.4).
    pub request: HttpRequest,
    /// Whether scheme, host and port are those of the request that was sent (RFC 6454 §4).
    pub same_origin: bool,
    /// What may be followed from there.
    pub redirects: Redirects,
}

impl Redirects {
    /// As many as this, one after the other.
    #[must_use]
    pub fn up_to(limit: usize) -> Self {
        Self { limit, been: Vec::new() }
    }

    /// What this response to a handshake asks for: `None` if it is no redirect, or none is to be followed. Of the statuses 301, 302, 303, 307 and 308 with a
    /// `Location` are; all of them mean the same to a GET. `secure` says whether the request was sent under TLS, `key` is the new nonce.
    ///
    /// A relative `Location` is resolved against the request's target (RFC 3986 §5); its fragment is nobody's but the client's (RFC 9110 §10.2.2).
    ///
    /// # Errors
    ///
    /// A redirect that is not followed, and why: the upgrade has failed.
    pub fn follow(
        &self,
        sent: &HttpRequest,
        secure: bool,
        response: &HttpResponse,
        key: [u8; 16],
    ) -> Result<Option<Redirected>, RedirectError> {
        if self.limit == 0 || !redirects(response.status) {
            return Ok(None);
        }
        let Some(location) = location(&response.headers)? else { return Ok(None) };
        let here = here(sent, secure)?;
        let target = resolve(location, &here)?;
        if here.secure && !target.secure {
            return Err(RedirectError::Downgrade);
        }
        let mut been = self.been.clone();
        been.push(here);
        if been.contains(&target) {
            return Err(RedirectError::Loop);
        }
        if been.len() > self.limit {
            return Err(RedirectError::TooMany(self.limit));
        }
        let same_origin = been.last().is_some_and(|here| here.is_same_origin(&target));
        let request = again(sent.clone(), &target, same_origin, key);
        Ok(Some(Redirected { target, request, same_origin, redirects: Self { limit: self.limit, been } }))
    }
}

fn redirects(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn location(headers: &HeaderMap) -> Result<Option<&str>, RedirectError> {
    let mut lines = headers.get_all(LOCATION).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        // Not `to_str`, which lets a tab pass: that is found below, with all that a URL must not have.
        (Some(line), None) => std::str::from_utf8(line.as_bytes()).map(Some).map_err(|_| UrlError::ForbiddenCharacter.into()),
        (Some(_), Some(_)) => Err(RedirectError::Ambiguous),
    }
}

/// The target of the request that was sent (RFC 9110 §7.1).
fn here(sent: &HttpRequest, secure: bool) -> Result<Target, RedirectError> {
    let host = sent.headers.get(HOST).map(HeaderValue::as_bytes);
    let authority = host.or(sent.uri.authority().map(|authority| authority.as_str().as_bytes()));
    let authority = authority.and_then(|authority| std::str::from_utf8(authority).ok()).ok_or(RedirectError::NoHost)?;
    let path = sent.uri.path_and_query().map_or("/", |path| path.as_str());
    let here = Target::parse(&format!("{}://{authority}{path}", scheme(secure))).map_err(|_| RedirectError::NoHost)?;
    // What was said for it stands in the request.
    Ok(Target { authorization: None, ..here })
}

fn scheme(secure: bool) -> &'static str {
    if secure { "wss" } else { "ws" }
}

/// The target that a `Location` names, seen from here (RFC 3986 §5.2).
fn resolve(location: &str, here: &Target) -> Result<Target, RedirectError> {
    // A URL parser would leave some of them out, and take the backslash for a slash.
    if location.chars().any(is_forbidden) {
        return Err(UrlError::ForbiddenCharacter.into());
    }
    let location = location.split('#').next().unwrap_or_default();
    let first = location.split(['/', '?']).next().unwrap_or_default();
    let url = if first.contains(':') {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{}:{location}", scheme(here.secure))
    } else {
        let malformed = |error: url::ParseError| UrlError::Malformed(error.to_string());
        let base = format!("{}://{}{}", scheme(here.secure), here.authority.to_str().unwrap_or_default(), here.uri);
        Url::parse(&base).and_then(|base| base.join(location)).map_err(malformed)?.into()
    };
    let target = Target::parse(&url)?;
    if target.authorization.is_some() {
        return Err(RedirectError::Userinfo);
    }
    Ok(target)
}

/// The handshake, for another place.
fn again(mut request: HttpRequest, target: &Target, same_origin: bool, key: [u8; 16]) -> HttpRequest {
    request.uri = target.uri.clone();
    request.secure = target.secure;
    request.headers.insert(HOST, target.authority.clone());
    request.headers.insert(SEC_WEBSOCKET_KEY, key_value(key));
    if !same_origin {
        for name in &CREDENTIALS {
            request.headers.remove(name);
        }
    }
    request
}

/// Why a redirect was not followed. It never repeats the URL, which may hold what is nobody's business.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectError {
    /// The server, or the next, redirects more often than this.
    TooMany(usize),
    /// It leads to where we have been.
    Loop,
    /// It leads from TLS to the clear.
    Downgrade,
    /// There is more than one `Location`.
    Ambiguous,
    /// There are credentials in it.
    Userinfo,
    /// The request that was sent has no host that a URL can have, so nobody can tell what is another origin.
    NoHost,
    /// It is no URL of a websocket, nor of HTTP.
    Url(UrlError),
}

impl From<UrlError> for RedirectError {
    fn from(error: UrlError) -> Self {
        match error {
            UrlError::Userinfo => Self::Userinfo,
            error => Self::Url(error),
        }
    }
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the redirect is not followed: ")?;
        match self {
            Self::TooMany(limit) => write!(f, "there are more than {limit}, one after the other (RFC 9110 §15.4)"),
            Self::Loop => f.write_str("it leads to where we have been (RFC 9110 §15.4)"),
            Self::Downgrade => f.write_str("it leads from TLS to the clear (RFC 6455 §10.6)"),
            Self::Ambiguous => f.write_str("there is more than one Location (RFC 9110 §10.2.2)"),
            Self::Userinfo => f.write_str("its Location has a userinfo (RFC 9110 §4.2.4)"),
            Self::NoHost => f.write_str("the request that was sent has no Host to resolve Location against (RFC 9110 §7.1)"),
            Self::Url(error) => write!(f, "Location: {error}"),
        }
    }
}

impl std::error::Error for RedirectError {}
