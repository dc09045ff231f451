//! What a request is told with besides what the peer has sent, where the settings ask for it.

use http::header::{HeaderName, HeaderValue};
use http::{Extensions, HeaderMap};

use super::{HttpRequest, Server, Settings};

const REMOTE_ADDRESS: HeaderName = HeaderName::from_static("remote-address");
const RAW_REQUEST_URI: HeaderName = HeaderName::from_static("raw-request-uri");
const SSL_SESSION_INFO: HeaderName = HeaderName::from_static("ssl-session-info");

/// What is known of the peer, as values of fields.
#[derive(Debug, Default)]
pub(super) struct Dress {
    remote: Option<HeaderValue>,
    session: Option<HeaderValue>,
    data: Extensions,
}

impl Dress {
    /// Whether [`Server::dress`] would change anything.
    pub(super) fn is_asked_for(settings: &Settings) -> bool {
        settings.remote_address_header || settings.raw_request_target_header || settings.tls_session_header
    }
}

impl Server {
    /// The same connection, with what fields are to say of its peer: see [`Settings::remote_address_header`] and
    /// [`Settings::tls_session_header`].
    #[must_use]
    pub fn describe_peer(mut self, remote: &str, session: Option<&str>) -> Self {
        let value = |text: &str| HeaderValue::from_str(text).ok();
        self.dress = Dress { remote: value(remote), session: session.and_then(value), ..self.dress };
        self
    }

    /// The same connection: each of its requests is told with these [extensions](HttpRequest::extensions).
    #[must_use]
    pub fn with_extensions(mut self, data: Extensions) -> Self {
        self.dresses |= !data.is_empty();
        self.dress.data = data;
        self
    }

    /// Gives a request the fields that were asked for. Those of the peer's own that are named so are taken away: nobody can forge them.
    pub(super) fn dress(&self, request: &mut HttpRequest) {
        let settings = &self.settings;
        if !self.dress.data.is_empty() {
            request.extensions.extend(self.dress.data.clone());
        }
        if settings.remote_address_header {
            set(&mut request.headers, REMOTE_ADDRESS, self.dress.remote.clone());
        }
        if settings.raw_request_target_header {
            let target = HeaderValue::from_str(&request.raw_target()).ok();
            set(&mut request.headers, RAW_REQUEST_URI, target);
        }
        if settings.tls_session_header {
            set(&mut request.headers, SSL_SESSION_INFO, self.dress.session.clone());
        }
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => drop(headers.insert(name, value)),
        None => drop(headers.remove(name)),
    }
}
