//! By way of an HTTP proxy: it is asked for a tunnel to where we want to go (RFC 9110 §9.3.6).

use std::fmt;
use std::io;

use bytes::BytesMut;
use http::header::PROXY_AUTHORIZATION;
use http::{Method, StatusCode, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::clock;
use super::stream::Stream;
use crate::http::{Client, ClientEvent, HttpError, HttpRequest, Settings};
use crate::tls::TlsError;
use crate::upgrade::handshake::Target;

/// Read at a time of a proxy's answer.
const READ: usize = 4 << 10;

/// Why a proxy made no tunnel.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProxyError {
    /// There is no TLS session with the proxy, whose URL is `https`.
    Tls(TlsError),
    /// The host or the port to be reached cannot be said in a request.
    Target,
    /// It answered with this status: 407 when it wants (other) credentials, 502 or 504 when it cannot reach the host.
    Refused(StatusCode),
    /// What it answered is not HTTP, or breaks it.
    Http(HttpError),
    /// The connection to the proxy is broken.
    Broken(io::Error),
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => write!(f, "no TLS session with the proxy: {error}"),
            Self::Target => f.write_str("the host and port are no authority (RFC 9112 §3.2.3)"),
            Self::Refused(status) => write!(f, "the proxy answered CONNECT with {status} (RFC 9110 §9.3.6)"),
            Self::Http(error) => write!(f, "the proxy: {error}"),
            Self::Broken(error) => write!(f, "the connection to the proxy is broken: {error}"),
        }
    }
}

impl std::error::Error for ProxyError {}

/// The host and port as CONNECT says them: a port always, an IPv6 address in brackets (RFC 9112 §3.2.3).
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Has the proxy at the other end make this stream a tunnel to `authority`.
pub(super) async fn tunnel(stream: &mut Stream, proxy: &Target, authority: &str) -> Result<(), ProxyError> {
    let uri = Uri::builder().authority(authority).build().map_err(|_| ProxyError::Target)?;
    let mut request = HttpRequest::new(Method::CONNECT, uri);
    if let Some(credentials) = &proxy.authorization {
        request = request.with_header(PROXY_AUTHORIZATION, credentials.clone());
    }
    // Its deadline is that of connecting, whose part it is.
    let mut http = Client::new(Settings::new(), clock::now());
    http.request(request, clock::now());
    let asked = http.output().take(usize::MAX);
    stream.write_all(&asked).await.map_err(ProxyError::Broken)?;
    http.wrote(clock::now());
    loop {
        match http.poll_event() {
            Some(ClientEvent::Response { .. }) if http.is_switched() => {
                // Who is behind the tunnel does not speak first: neither HTTP nor TLS has its server do that.
                return if http.into_unread().is_empty() { Ok(()) } else { Err(ProxyError::Http(HttpError::UnexpectedResponse)) };
            }
            Some(ClientEvent::Response { response, .. }) => return Err(ProxyError::Refused(response.status)),
            Some(ClientEvent::Failed(error)) => return Err(ProxyError::Http(error)),
            Some(_) => continue,
            None => {}
        }
        let mut read = BytesMut::with_capacity(READ);
        match stream.read_buf(&mut read).await.map_err(ProxyError::Broken)? {
            0 => http.receive_eof(clock::now()),
            _ => http.receive(read, clock::now()),
        }
    }
}
