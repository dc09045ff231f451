//! `Host`, and what a host is (RFC 9110 §7.2, RFC 9112 §3.2).

use core::net::Ipv6Addr;

use http::header::{HOST, HeaderName};
use http::uri::Authority;
use http::{Uri, Version};

use super::HttpError;

/// The `Host` of a request, seen as its fields are collected.
#[derive(Clone, Copy)]
pub(super) enum Host<'a> {
    None,
    One(&'a [u8]),
    Several,
}

impl<'a> Host<'a> {
    /// A field of this name has this value.
    #[inline]
    pub(super) fn see(&mut self, name: &HeaderName, value: &'a [u8]) {
        if *name == HOST {
            *self = if matches!(self, Self::None) { Self::One(value) } else { Self::Several };
        }
    }

    /// Whether a request has no host of its own, where it may be given a default: an empty `Host`, or none at all in HTTP/1.0 (RFC 9112 §3.3).
    pub(super) fn is_lacking(self, version: Version) -> bool {
        match self {
            Self::None => version == Version::HTTP_10,
            Self::One(value) => value.is_empty(),
            Self::Several => false,
        }
    }

    /// `Host`: exactly one in HTTP/1.1, one at most before, valid, and the same as an absolute target's authority (RFC 9112 §3.2).
    ///
    /// An empty one is refused, unless there is a default (RFC 9112 §3.3): `http` needs a host (RFC 9110 §4.2.1).
    #[inline]
    pub(super) fn check(self, uri: &Uri, version: Version) -> Result<(), HttpError> {
        let bytes = match self {
            Self::One(value @ [_, ..]) => value,
            Self::None if version == Version::HTTP_10 => return Ok(()),
            _ => return Err(HttpError::Host),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        if uri.authority().is_none() {
            // The common kinds, `name` and `name:port`, need no parser.
            let name = bytes.iter().take_while(|&&byte| plain(byte)).count();
            let number =
                |digits: &[u8]| digits.iter().try_fold(0, |n: u32, byte| byte.is_ascii_digit().then(|| 10 * n + u32::from(byte - b'0')));
            let port = match &bytes[name..] {
                [] => true,
                [b':', digits @ ..] => digits.len() <= 5 && number(digits).is_some_and(|port| port <= u32::from(u16::MAX)),
                _ => false,
            };
            if name > 0 && port {
                return Ok(());
            }
        }
        check_authority(bytes, uri)
    }
}

/// Any other host, by a parser.
#[cold]
fn check_authority(host: &[u8], uri: &Uri) -> Result<(), HttpError> {
    let host = Authority::try_from(host).map_err(|_| HttpError::Host)?;
    if !is_host(&host) {
        return Err(HttpError::Host);
    }
    match uri.authority() {
        Some(authority) if !same_authority(authority, &host, uri.scheme_str()) => Err(HttpError::Host),
        _ => Ok(()),
    }
}

/// Whether both name the same host and port, the scheme's default filled in.
fn same_authority(a: &Authority, b: &Authority, scheme: Option<&str>) -> bool {
    let default = match scheme {
        Some("http" | "ws") => Some(80),
        Some("https" | "wss") => Some(443),
        _ => None,
    };
    let port = |authority: &Authority| authority.port_u16().or(default);
    a.host().eq_ignore_ascii_case(b.host()) && port(a) == port(b)
}

/// A host, not empty, with a port or not, and without userinfo, which is an attack (RFC 9110 §4.2.4).
pub(super) fn is_host(authority: &Authority) -> bool {
    let text = authority.as_str();
    let port = text.rsplit_once(':').map_or("", |(_, port)| if port.ends_with(']') { "" } else { port });
    let port = port.is_empty() || port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let host = match authority.host().strip_prefix('[').map(|host| host.strip_suffix(']')) {
        Some(literal) => literal.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => !authority.host().is_empty(),
    };
    host && port && !text.contains(['@', ','])
}
