//! The two messages of HTTP, as plain data (RFC 9110 §6).

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Extensions, HeaderMap, Method, StatusCode, Uri, Version};

use super::target::RawTarget;

/// A request: head and aggregated content (RFC 9110 §6).
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// The method, case-sensitive (RFC 9110 §9).
    pub method: Method,
    /// The request-target (RFC 9112 §3.2), as it was sent unless [`UriParsing`](super::UriParsing) says otherwise: then [`raw_target`](Self::raw_target) is.
    pub uri: Uri,
    /// The version in the request-line. HTTP/1.2–1.9 is given as 1.1 (RFC 9110 §2.5).
    pub version: Version,
    /// The field lines, in order, trailers not among them.
    pub headers: HeaderMap,
    /// The content, transfer coding removed. Empty when there is none.
    pub content: Bytes,
    /// Whether it came under TLS: the scheme of its URI is `https` then (RFC 9110 §7.1). One that is sent with this set is not sent in the
    /// clear: it fails with [`HttpError::Insecure`](super::HttpError::Insecure).
    pub secure: bool,
    /// What is known of it besides: what [guards](crate::Guard) have found out, and what
    /// [`on_connect`](crate::Settings::on_connect) has said of its connection. Never sent.
    pub extensions: Extensions,
}

impl HttpRequest {
    /// A request of HTTP/1.1 without headers and content.
    #[must_use]
    pub fn new(method: Method, uri: Uri) -> Self {
        Self {
            method,
            uri,
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            content: Bytes::new(),
            secure: false,
            extensions: Extensions::new(),
        }
    }

    /// A GET of this (RFC 9110 §9.3.1).
    #[must_use]
    pub fn get(uri: Uri) -> Self {
        Self::new(Method::GET, uri)
    }

    /// A POST to this, of this content (RFC 9110 §9.3.3).
    #[must_use]
    pub fn post(uri: Uri, content: impl Into<Bytes>) -> Self {
        Self::new(Method::POST, uri).with_content(content)
    }

    /// The path of the request-target: `/` where it has none.
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The value of the first field line of that name, if it is visible ASCII.
    #[must_use]
    pub fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The same request with one field line more.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Copies the head into memory of its own: it may be kept for as long as a websocket lives, and what it was read with is not to be.
    #[cold]
    pub(super) fn detach(&mut self) {
        for value in self.headers.values_mut() {
            if let Ok(mut copy) = HeaderValue::from_bytes(value.as_bytes()) {
                copy.set_sensitive(value.is_sensitive());
                *value = copy;
            }
        }
        if let Ok(uri) = Uri::try_from(self.uri.to_string()) {
            self.uri = uri;
        }
        if let Some(RawTarget(raw)) = self.extensions.get_mut::<RawTarget>() {
            *raw = Bytes::copy_from_slice(raw);
        }
    }

    /// The same request with this content.
    #[must_use]
    pub fn with_content(mut self, content: impl Into<Bytes>) -> Self {
        self.content = content.into();
        self
    }
}

/// A piece of content that is told as it comes, or said as it is made (RFC 9112 §7.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// The bytes, transfer coding removed. Where the peer cut them means nothing (RFC 9112 §7.1).
    pub data: Bytes,
    /// The chunk's extensions as they stand behind its size, without the first semicolon (RFC 9112 §7.1.1). Empty when there are none.
    pub extensions: Bytes,
}

impl<B: Into<Bytes>> From<B> for Chunk {
    fn from(data: B) -> Self {
        Self { data: data.into(), extensions: Bytes::new() }
    }
}

/// The end of content that was told, or is said, in [pieces](Chunk).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContentEnd {
    /// The trailer fields, those that frame, route or authenticate a message not among them (RFC 9110 §6.5.1).
    pub trailers: HeaderMap,
}

impl From<HeaderMap> for ContentEnd {
    fn from(trailers: HeaderMap) -> Self {
        Self { trailers }
    }
}

/// A response: head and content (RFC 9110 §6).
///
/// `Content-Length`, `Transfer-Encoding`, `Connection`, `Date` and `Server` are the library's business: they are written as the
/// connection and the request need them.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// The status code (RFC 9110 §15).
    pub status: StatusCode,
    /// The version; the library writes HTTP/1.1 whatever stands here.
    pub version: Version,
    /// The field lines, in order.
    pub headers: HeaderMap,
    /// The content. Not sent in answer to HEAD, nor with 1xx, 204, 205 and 304.
    pub content: Bytes,
}

impl HttpResponse {
    /// A response without headers and content.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self { status, version: Version::HTTP_11, headers: HeaderMap::new(), content: Bytes::new() }
    }

    /// `200 OK` with this content.
    #[must_use]
    pub fn ok(content: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK).with_content(content)
    }

    /// `404 Not Found`, and a line that says so.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND).with_text("404 Not Found\n")
    }

    /// The value of the first field line of that name, if it is visible ASCII.
    #[must_use]
    pub fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The same response with one field line more.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same response with this content.
    #[must_use]
    pub fn with_content(mut self, content: impl Into<Bytes>) -> Self {
        self.content = content.into();
        self
    }

    /// The same response with this text as content, as `text/plain; charset=utf-8`.
    #[must_use]
    pub fn with_text(self, text: impl Into<String>) -> Self {
        self.with_typed("text/plain; charset=utf-8", text.into())
    }

    /// The same response with this page as content, as `text/html; charset=utf-8`.
    #[must_use]
    pub fn with_html(self, page: impl Into<String>) -> Self {
        self.with_typed("text/html; charset=utf-8", page.into())
    }

    fn with_typed(mut self, media_type: &'static str, text: String) -> Self {
        self.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        self.with_content(text)
    }
}
