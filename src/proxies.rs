//! Which proxy a client goes by, and to which hosts by none: as its user says, or the environment does.

use core::net::IpAddr;
use std::ffi::OsString;
use std::fmt;

use crate::proxy::Network;
use crate::upgrade::handshake::{Target, UrlError};

/// Proxies of a client, and the hosts to which it goes by none.
///
/// ```
/// use actix_sockets::{Proxies, handshake::Target};
///
/// let proxy = Target::parse("http://proxy.example:3128").unwrap();
/// let proxies = Proxies::all(proxy).except("localhost, .intern.example, 10.0.0.0/8").unwrap();
/// assert!(proxies.proxy(true, "example.com", 443).is_some());
/// assert!(proxies.proxy(true, "wiki.intern.example", 443).is_none());
/// assert!(proxies.proxy(false, "10.1.2.3", 80).is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `https` and `wss`.
    secure: Option<Target>,
    /// For `http` and `ws`.
    clear: Option<Target>,
    except: Vec<Exception>,
}

/// Where one goes by no proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exception {
    hosts: Hosts,
    /// To this port only.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    Network(Network),
    /// This one, and all below it.
    Domain(String),
    /// All below it.
    Below(String),
}

impl Proxies {
    /// This proxy, whatever is spoken.
    #[must_use]
    pub fn all(proxy: Target) -> Self {
        Self { secure: Some(proxy.clone()), clear: Some(proxy), except: Vec::new() }
    }

    /// And none to these hosts. They are separated by commas: `example.com` or `.example.com` is that host and all below it, `*.example.com` what is below it only, an address or a
    /// network (`10.0.0.0/8`, `fd00::/8`) is meant where the host is an address, `*` is every host. A host with a port (`example.com:8080`, `[::1]:80`) is meant at this port only.
    ///
    /// # Errors
    ///
    /// [`ProxiesError::Exception`] for what is none of them.
    pub fn except(mut self, hosts: &str) -> Result<Self, ProxiesError> {
        for host in hosts.split(',').map(str::trim).filter(|host| !host.is_empty()) {
            self.except.push(Exception::parse(host).ok_or_else(|| ProxiesError::Exception(host.to_owned()))?);
        }
        Ok(self)
    }

    /// What the environment says, whose variables are asked for by their names: `https_proxy` for `https` and `wss`, `http_proxy` for `http` and `ws`, `no_proxy` for the
    /// [exceptions](Self::except); and where one of them is missing or empty, its name in capitals. `HTTP_PROXY` does not count where there is a `REQUEST_METHOD`: there, in a CGI program, whoever sends
    /// a request can set it. Without a scheme a proxy's URL is `http`.
    ///
    /// # Errors
    ///
    /// A [`ProxiesError`] for what cannot be understood. It is not passed over: what is meant for a proxy would go elsewhere.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ProxiesError> {
        let said = |names: &[&'static str]| {
            let mut said = names.iter().filter_map(|name| Some((*name, variable(name).filter(|value| !value.is_empty())?)));
            let text =
                said.next().map(|(name, value)| value.into_string().map(|text| (name, text)).map_err(|_| ProxiesError::NotUnicode(name)));
            text.transpose()
        };
        let proxy = |names: &[&'static str]| said(names)?.map(|(name, value)| url(name, value.trim())).transpose();
        let cgi = variable("REQUEST_METHOD").is_some();
        let clear: &[_] = if cgi { &["http_proxy"] } else { &["http_proxy", "HTTP_PROXY"] };
        let proxies = Self { secure: proxy(&["https_proxy", "HTTPS_PROXY"])?, clear: proxy(clear)?, except: Vec::new() };
        proxies.except(&said(&["no_proxy", "NO_PROXY"])?.map(|(_, hosts)| hosts).unwrap_or_default())
    }

    /// The proxy by which one goes to this host: an IPv6 address has no brackets.
    #[must_use]
    pub fn proxy(&self, secure: bool, host: &str, port: u16) -> Option<&Target> {
        let proxy = if secure { &self.secure } else { &self.clear };
        proxy.as_ref().filter(|_| !self.except.iter().any(|exception| exception.is_meant(host, port)))
    }
}

fn url(name: &'static str, value: &str) -> Result<Target, ProxiesError> {
    let scheme = value.split_once("://").map_or("http", |(scheme, _)| scheme);
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(ProxiesError::Scheme(name));
    }
    let url = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    Target::parse(&url).map_err(|error| ProxiesError::Url(name, error))
}

impl Exception {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(network) = text.parse() {
            return Some(Self { hosts: Hosts::Network(network), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => (host, Some(port.parse().ok()?)),
            _ => (text, None),
        };
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(network) = address.parse() {
            return Some(Self { hosts: Hosts::Network(network), port });
        }
        let name = |name: &str| {
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
            is_name.then(|| name.trim_end_matches('.').to_ascii_lowercase())
        };
        let hosts = match (host, host.strip_prefix("*.")) {
            ("*", _) => Hosts::All,
            (_, Some(below)) => Hosts::Below(name(below)?),
            (host, None) => Hosts::Domain(name(host.strip_prefix('.').unwrap_or(host))?),
        };
        Some(Self { hosts, port })
    }

    fn is_meant(&self, host: &str, port: u16) -> bool {
        let is_below = |name: &str, domain: &str| name.strip_suffix(domain).is_some_and(|name| name.ends_with('.'));
        if self.port.is_some_and(|only| only != port) {
            return false;
        }
        let name = || host.trim_end_matches('.').to_ascii_lowercase();
        match (&self.hosts, host.parse::<IpAddr>()) {
            (Hosts::All, _) => true,
            (Hosts::Network(network), Ok(address)) => network.contains(address),
            (Hosts::Domain(domain), Err(_)) => name() == *domain || is_below(&name(), domain),
            (Hosts::Below(domain), Err(_)) => is_below(&name(), domain),
            (Hosts::Network(_), Err(_)) | (Hosts::Domain(_) | Hosts::Below(_), Ok(_)) => false,
        }
    }
}

/// Why nobody can tell by which proxy to go. It never repeats a URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxiesError {
    /// The variable of this name holds no URL.
    Url(&'static str, UrlError),
    /// The variable of this name holds the URL of something else than an HTTP proxy.
    Scheme(&'static str),
    /// What the variable of this name holds is not Unicode.
    NotUnicode(&'static str),
    /// Among the hosts to which one goes by no proxy is something that is none.
    Exception(String),
}

impl fmt::Display for ProxiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(name, error) => write!(f, "{name}: {error}"),
            Self::Scheme(name) => write!(f, "{name}: the proxy's scheme is neither http nor https (RFC 9110 §9.3.6)"),
            Self::NotUnicode(name) => write!(f, "{name}: its value is not Unicode"),
            Self::Exception(host) => {
                write!(f, "{host:?} is no host to which one goes by no proxy: nor a domain, an address, a network or *")
            }
        }
    }
}

impl std::error::Error for ProxiesError {}

#[cfg(test)]
mod tests;
