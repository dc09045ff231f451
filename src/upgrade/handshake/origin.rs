//! Which pages may open a websocket (RFC 6455 §4.2.2 item 4, §10.2; RFC 6454).
//!
//! A browser lets any page open a websocket to any server and sends the user's cookies along. `Origin`, which a page cannot
//! forge, is all that tells the server whose page it was. Hence the default; what is no browser sends no `Origin`, or whatever it
//! likes, and has to be told apart by other means.

use std::fmt;
use std::sync::Arc;

use http::header::{HOST, ORIGIN};

use super::list::{self, Once};
use crate::http::HttpRequest;

/// A callback of [`Origin::check`].
type Check = Arc<dyn Fn(&str, &HttpRequest) -> bool + Send + Sync>;

/// Which origins a server lets in; [`same`](Self::same) by default. Under every rule a request *without* `Origin` is let in, as it
/// comes from no browser. One with two of them, or with one that cannot be read, is foreign (403), but to [`any`](Self::any).
#[derive(Clone, Default)]
pub struct Origin(Rule);

#[derive(Clone, Default)]
enum Rule {
    #[default]
    Same,
    Any,
    List(Vec<Pattern>),
    Check(Check),
}

impl Origin {
    /// The default: the origin's host and port equal those of `Host`, in any case. The port that is not written is the scheme's
    /// default, and a `Host` without port has that one too: `https://example.com` is at home at `example.com`, `example.com:443`
    /// and not at `example.com:80`. Schemes are compared only when the connection itself is TLS
    /// ([`Rules::secure`](super::Rules::secure)). `null` is foreign.
    #[must_use]
    pub fn same() -> Self {
        Self(Rule::Same)
    }

    /// Every origin.
    ///
    /// **Danger:** any page on the web can then open a websocket here in its visitor's name, cookies included (cross-site
    /// WebSocket hijacking, RFC 6455 §10.2). Fitting only where nothing is decided by cookies, by client certificates, or by the
    /// network the client is in.
    #[must_use]
    pub fn any() -> Self {
        Self(Rule::Any)
    }

    /// The origins of this list, and no others: the server's own is not included.
    ///
    /// | entry | lets in |
    /// |---|---|
    /// | `https://app.example.com`, `http://localhost:3000` | that origin |
    /// | `*.example.com` | the hosts below `example.com`, at the default port of `https` or `http`; on TLS, of `https` only. Not `example.com` itself |
    /// | `*.example.com:8443` | the same, at that port |
    /// | `https://*.example.com` | the same, with that scheme |
    /// | `example.com` | that host, as above |
    ///
    /// Case does not matter, nor does a `/` at the end. An entry that is none of these lets nobody in: neither `*` nor `null` does.
    #[must_use]
    pub fn list(origins: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self(Rule::List(origins.into_iter().filter_map(|entry| Pattern::parse(entry.as_ref())).collect()))
    }

    /// The origins for which the callback says `true`. It is given the `Origin` as sent (`null` included) and the request.
    ///
    /// ```
    /// use actix_sockets::upgrade::handshake::Origin;
    ///
    /// let for_the_app = Origin::check(|origin, request| origin == "app://chat" && request.path() == "/chat");
    /// ```
    #[must_use]
    pub fn check(callback: impl Fn(&str, &HttpRequest) -> bool + Send + Sync + 'static) -> Self {
        Self(Rule::Check(Arc::new(callback)))
    }

    /// Whether this request's origin is let in, on a connection that is TLS or not.
    pub(super) fn lets_in(&self, request: &HttpRequest, secure: bool) -> bool {
        if matches!(self.0, Rule::Any) {
            return true;
        }
        let origin = match list::once(&request.headers, ORIGIN) {
            Once::Absent => return true,
            Once::Several => return false,
            Once::One(origin) => origin,
        };
        let Ok(origin) = std::str::from_utf8(origin) else { return false };
        match &self.0 {
            Rule::Any => true,
            Rule::Same => Site::parse(origin).is_some_and(|site| site.is_home(request, secure)),
            Rule::List(patterns) => Site::parse(origin).is_some_and(|site| patterns.iter().any(|pattern| pattern.matches(&site, secure))),
            Rule::Check(callback) => callback(origin, request),
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::Same => f.write_str("same"),
            Rule::Any => f.write_str("any"),
            Rule::List(patterns) => f.debug_list().entries(patterns).finish(),
            Rule::Check(_) => f.write_str("check"),
        }
    }
}

/// An origin taken apart: `scheme "://" host [ ":" port ]` and nothing else (RFC 6454 §7).
struct Site<'a> {
    scheme: &'a str,
    host: &'a str,
    /// The port, the scheme's default filled in.
    port: Option<u16>,
}

impl<'a> Site<'a> {
    fn parse(origin: &'a str) -> Option<Self> {
        let (scheme, authority) = origin.split_once("://")?;
        let (host, port) = host_and_port(authority)?;
        let port = match port {
            Some(port) => Some(port.parse().ok()?),
            None => default_port(scheme),
        };
        is_scheme(scheme).then_some(Self { scheme, host, port })
    }

    /// Whether this is the origin of what the request is for. A request-target in absolute-form stands above `Host`
    /// (RFC 9112 §3.2.2).
    fn is_home(&self, request: &HttpRequest, secure: bool) -> bool {
        let authority = match (request.uri.authority(), list::once(&request.headers, HOST)) {
            (Some(authority), _) => authority.as_str(),
            (None, Once::One(host)) => std::str::from_utf8(host).unwrap_or_default(),
            (None, _) => return false,
        };
        let Some((host, port)) = host_and_port(authority.strip_suffix(':').unwrap_or(authority)) else { return false };
        let port = match port {
            Some(port) => port.parse().ok(),
            None => default_port(self.scheme),
        };
        host.eq_ignore_ascii_case(self.host) && port.is_some() && port == self.port && (!secure || is_secure(self.scheme))
    }
}

/// An entry of [`Origin::list`].
#[derive(Clone)]
struct Pattern {
    scheme: Option<String>,
    /// The host, or what follows `*` in it, the dot included.
    host: String,
    below: bool,
    port: Option<u16>,
}

impl Pattern {
    fn parse(entry: &str) -> Option<Self> {
        let entry = entry.strip_suffix('/').unwrap_or(entry);
        let (scheme, authority) = match entry.split_once("://") {
            Some((scheme, authority)) if is_scheme(scheme) => (Some(scheme.to_owned()), authority),
            Some(_) => return None,
            None => (None, entry),
        };
        let (host, port) = host_and_port(authority)?;
        let port = port.map(str::parse).transpose().ok()?;
        let below = host.starts_with("*.") && host.len() > 2;
        let host = if below { &host[1..] } else { host };
        (!host.contains('*')).then(|| Self { scheme, host: host.to_owned(), below, port })
    }

    fn matches(&self, site: &Site<'_>, secure: bool) -> bool {
        let scheme = match &self.scheme {
            Some(scheme) => scheme.eq_ignore_ascii_case(site.scheme),
            None => default_port(site.scheme).is_some() && (!secure || is_secure(site.scheme)),
        };
        let (host, pattern) = (site.host.as_bytes(), self.host.as_bytes());
        let host = if self.below {
            host.len() > pattern.len() && host[host.len() - pattern.len()..].eq_ignore_ascii_case(pattern)
        } else {
            host.eq_ignore_ascii_case(pattern)
        };
        scheme && host && site.port == self.port.or_else(|| default_port(site.scheme))
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, below, port } = self;
        scheme.iter().try_for_each(|scheme| write!(f, "{scheme}://"))?;
        write!(f, "{}{host}", if *below { "*" } else { "" })?;
        port.iter().try_for_each(|port| write!(f, ":{port}"))
    }
}

/// A host, IPv6 in its brackets, and the digits of a port. `None` for what is not that alone: no userinfo, path or space.
fn host_and_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let legal = match bare {
        Some(address) => !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.'),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/\\?#@:[],\"<>".contains(&byte)),
    };
    let digits = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    (legal && digits).then_some((host, port))
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn default_port(scheme: &str) -> Option<u16> {
    let is = |known: &str| scheme.eq_ignore_ascii_case(known);
    if is("https") || is("wss") {
        Some(443)
    } else if is("http") || is("ws") {
        Some(80)
    } else {
        None
    }
}

fn is_secure(scheme: &str) -> bool {
    default_port(scheme) == Some(443)
}
