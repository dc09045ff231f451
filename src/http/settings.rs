//! The limits and deadlines of one connection.

use std::time::Duration;

use http::HeaderValue;

use super::UriParsing;

/// Limits and deadlines, of servers and clients. Sizes are bytes.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) head_timeout: Duration,
    pub(super) head_limit: usize,
    pub(super) method_limit: usize,
    pub(super) target_limit: usize,
    pub(super) field_limit: usize,
    pub(super) field_name_limit: usize,
    pub(super) field_value_limit: usize,
    pub(super) content_limit: u64,
    pub(super) streamed_content_limit: u64,
    pub(super) chunk_limit: u64,
    pub(super) chunk_size_limit: u64,
    pub(super) content_window: usize,
    pub(super) drain_limit: u64,
    pub(super) content_rate: u32,
    pub(super) content_grace: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) timeout_timeout: Duration,
    pub(super) response_timeout: Duration,
    pub(super) write_stall: Duration,
    pub(super) output_rate: u32,
    pub(super) linger: Duration,
    pub(super) pipelining_limit: usize,
    pub(super) output_soft_limit: usize,
    pub(super) output_hard_limit: usize,
    pub(super) trailer_limit: usize,
    pub(super) trailer_field_limit: usize,
    pub(super) chunk_extension_limit: usize,
    pub(super) interim_limit: u32,
    pub(super) reason_limit: usize,
    pub(super) chunkless_streaming: bool,
    pub(super) allow_half_closed: bool,
    pub(super) transparent_head_requests: bool,
    pub(super) uri_parsing: UriParsing,
    pub(super) verbose_errors: bool,
    pub(super) verbose_error_logging: bool,
    pub(super) remote_address_header: bool,
    pub(super) raw_request_target_header: bool,
    pub(super) tls_session_header: bool,
    pub(super) default_host_header: Option<HeaderValue>,
    pub(super) server_header: Option<HeaderValue>,
    pub(super) in_flight_limit: usize,
    pub(super) pipeline_any_method: bool,
    pub(super) queue_limit: usize,
    pub(super) queue_bytes_limit: usize,
    pub(super) continue_timeout: Duration,
    pub(super) user_agent: Option<HeaderValue>,
}

/// What we are called, as server and as client.
const PRODUCT: HeaderValue = HeaderValue::from_static(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")));

impl Default for Settings {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(5),
            head_limit: 16 << 10,
            method_limit: 16,
            target_limit: 8 << 10,
            field_limit: 100,
            field_name_limit: 64,
            field_value_limit: 8 << 10,
            content_limit: 8 << 20,
            streamed_content_limit: 1 << 30,
            chunk_limit: 1_000_000,
            chunk_size_limit: u64::MAX,
            content_window: 256 << 10,
            drain_limit: 256 << 10,
            content_rate: 240,
            content_grace: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(20),
            timeout_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(10),
            write_stall: Duration::from_secs(30),
            output_rate: 240,
            linger: Duration::from_secs(2),
            pipelining_limit: 1,
            output_soft_limit: 64 << 10,
            output_hard_limit: 1 << 20,
            trailer_limit: 8 << 10,
            trailer_field_limit: 32,
            chunk_extension_limit: 256,
            interim_limit: 16,
            reason_limit: usize::MAX,
            chunkless_streaming: false,
            allow_half_closed: true,
            transparent_head_requests: true,
            uri_parsing: UriParsing::Strict,
            verbose_errors: false,
            verbose_error_logging: false,
            remote_address_header: false,
            raw_request_target_header: false,
            tls_session_header: false,
            default_host_header: None,
            server_header: Some(PRODUCT),
            in_flight_limit: 16,
            pipeline_any_method: false,
            queue_limit: 1024,
            queue_bytes_limit: 8 << 20,
            continue_timeout: Duration::from_secs(1),
            user_agent: Some(PRODUCT),
        }
    }
}

/// One chained setter a line, so that the table of defaults reads as one.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $type) -> Self {
                self.$name = $name;
                self
            }
        )*
    };
}

impl Settings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Time for a request's head, from its first byte; then 408. Default 5 s.
        head_timeout: Duration,
        /// Size of a head, first line, field lines and the empty line; above it 431. Default 16 KiB.
        head_limit: usize,
        /// Server: size of the method; above it 501 (RFC 9110 §15.6.2). Default 16, which of the registered methods only `UPDATEREDIRECTREF` exceeds.
        method_limit: usize,
        /// Size of a field's name; above it 431. Default 64.
        field_name_limit: usize,
        /// Size of a field's value; above it 431. Default 8 KiB.
        field_value_limit: usize,
        /// Size of content that is told whole, however it is framed; above it 413 (RFC 9110 §15.5.14). Default 8 MiB.
        content_limit: u64,
        /// Size of content that is told as it comes; above it 413. It is never in memory as a whole. Default 1 GiB.
        streamed_content_limit: u64,
        /// Number of chunks that content may come in (RFC 9112 §7.1); above it 413. Default 1 000 000.
        chunk_limit: u64,
        /// Size of one chunk, as it is announced (RFC 9112 §7.1); above it 413. Default: none, as all of the content is judged, and what is announced costs nothing before it
        /// comes.
        chunk_size_limit: u64,
        /// Bytes of content that a handler may have in hand while it is told as it comes; above it nothing is read. Default 256 KiB.
        content_window: usize,
        /// Server: bytes of content that are read and discarded behind an answer that did not wait for them; where there are more, the
        /// connection closes. Default 256 KiB.
        drain_limit: u64,
        /// Bytes of content a second that the peer must keep up after [`content_grace`](Self::content_grace), else 408. A peer that
        /// was faster has credit, of one [`idle_timeout`](Self::idle_timeout) at most. 0 asks for no rate. A client asks for it where a response is told whole: one that is
        /// told as it comes, a stream of events say, may be silent for an [`idle_timeout`](Self::idle_timeout) at a time. Default 240.
        content_rate: u32,
        /// Time that content may take whatever its rate. Default 5 s.
        content_grace: Duration,
        /// Time without a byte either way after which the connection closes, also when it has sent nothing yet. Default 60 s.
        idle_timeout: Duration,
        /// Time for the handler's answer, from the complete request on; then [`Event::TimedOut`](super::Event::TimedOut).
        /// Default 20 s.
        request_timeout: Duration,
        /// Time after that; then 500, and the connection closes. Default 2 s.
        timeout_timeout: Duration,
        /// Client: time for a response's head, from when the last byte of the request has left and the response before has come. Default 10 s.
        response_timeout: Duration,
        /// Time that unsent bytes may wait without any being taken; then the connection is aborted. Default 30 s.
        write_stall: Duration,
        /// Unsent bytes a second that the peer must take while some wait, after a grace of [`write_stall`](Self::write_stall); else the connection is
        /// aborted. A peer that was faster has credit, of that grace at most. 0 asks for no rate. Default 240.
        output_rate: u32,
        /// Time to read and discard after our FIN, so that no reset overtakes the last response (RFC 9112 §9.6). Default 2 s.
        linger: Duration,
        /// Unsent bytes above which no further request is taken. Default 64 KiB.
        output_soft_limit: usize,
        /// Unsent bytes at which a piece of streamed content is not taken any more: the connection is cut. Below, one is taken whole. Default
        /// 1 MiB.
        output_hard_limit: usize,
        /// Size of a trailer section; above it 400 (RFC 9112 §7.1.2). Default 8 KiB.
        trailer_limit: usize,
        /// Number of trailer fields; above it 400. Default 32.
        trailer_field_limit: usize,
        /// Size of one chunk's extensions; above it 400 (RFC 9112 §7.1.1). Default 256.
        chunk_extension_limit: usize,
        /// Number of interim responses before the final one (RFC 9110 §15.2). Of a handler's, one more is refused; of a server's to our client, one more
        /// ends the connection. Default 16.
        interim_limit: u32,
        /// Client: size of a response's reason phrase, which is not kept (RFC 9112 §4); above it an error. Default: none but [`head_limit`](Self::head_limit).
        reason_limit: usize,
        /// Server: whether a HEAD is told as the GET whose answer it wants without the content (RFC 9110 §9.3.2), so that no handler need know of it; without its `Range`, which means nothing to HEAD (§14.2). One that
        /// asks for an upgrade is told as what it is. The content of an answer to HEAD is never sent, either way. Default yes.
        transparent_head_requests: bool,
        /// Server: whether the answer to a request that breaks a rule says which, and not its status only. It goes to strangers: for those who debug
        /// their own. Default no.
        verbose_errors: bool,
        /// Server: whether the log's line of a request that breaks a rule has the bytes at fault, or what precedes them: 256 of them at most, escaped. They are a
        /// stranger's, and may be a secret. Default no.
        verbose_error_logging: bool,
        /// Server: which characters a request-target may have besides those of a URI, and how it is told then (RFC 9112 §3.2). Default
        /// [`Strict`](UriParsing::Strict): none.
        uri_parsing: UriParsing,
        /// Server: whether requests have a field `Remote-Address` with the peer's IP address. The peer's own of that name is removed. Default no.
        remote_address_header: bool,
        /// Server: whether requests have a field `Raw-Request-URI` with the request-target as it was sent. The peer's own of that name is removed.
        /// Default no.
        raw_request_target_header: bool,
        /// Server: whether requests under TLS have a field `SSL-Session-Info` with version, cipher suite and the subject of the client's
        /// certificate. The peer's own of that name is removed, in the clear too. Default no.
        tls_session_header: bool,
        /// Server: the `Host` of a request that has an empty one, or none in HTTP/1.0 (RFC 9112 §3.3). Without it the former is a 400. Default none.
        default_host_header: Option<HeaderValue>,
        /// Server: whether a peer may close its side and still be answered (RFC 9112 §9.6). If not, its FIN ends the connection once it has what is
        /// ready for it: so a handler that streams knows when nobody listens any more. Default yes.
        allow_half_closed: bool,
        /// Server: whether streamed content without a length is ended by the connection's end in HTTP/1.1, too, as for HTTP/1.0: for a peer that
        /// knows no chunks. Default no.
        chunkless_streaming: bool,
        /// The value of `Server` (RFC 9110 §10.2.4), none to send none. Default: the name of this crate, a slash and its version.
        server_header: Option<HeaderValue>,
        /// Client: whether requests are pipelined whatever their methods. If the connection ends before all are answered, nobody knows what has become of
        /// those that were sent. Default: no, only behind idempotent ones, and only such (RFC 9112 §9.3.2, RFC 9110 §9.2.2).
        pipeline_any_method: bool,
        /// Client: number of requests that wait for their turn; one more fails. Default 1024.
        queue_limit: usize,
        /// Client: content of the requests that wait for their turn; once there is so much, a further request fails. Default 8 MiB.
        queue_bytes_limit: usize,
        /// Client: time that the content of a request with `Expect: 100-continue` waits to be asked for; then it is sent (RFC 9110 §10.1.1). Default 1 s.
        continue_timeout: Duration,
        /// Client: the value of `User-Agent` (RFC 9110 §10.1.5) in requests that have none, none to send none. Default: the name of this crate, a slash
        /// and its version.
        user_agent: Option<HeaderValue>,
    }

    /// Size of the request-target, up to the 65 534 that a [`Uri`](http::Uri) can hold; above it 414 (RFC 9112 §3). Default 8 KiB.
    #[must_use]
    pub fn target_limit(mut self, bytes: usize) -> Self {
        self.target_limit = bytes.min(usize::from(u16::MAX) - 1);
        self
    }

    /// Number of field lines, up to 16 384, as a [`HeaderMap`](http::HeaderMap) holds some more than these; above it 431. Default 100.
    #[must_use]
    pub fn field_limit(mut self, lines: usize) -> Self {
        self.field_limit = lines.min(1 << 14);
        self
    }

    /// Client: requests that are sent and not answered at a time, 1 to 128 (RFC 9112 §9.3.2); others wait for their turn. Default 16.
    #[must_use]
    pub fn in_flight_limit(mut self, requests: usize) -> Self {
        self.in_flight_limit = requests.clamp(1, 128);
        self
    }

    /// Requests in hand at a time, 1 to 128 (RFC 9112 §9.3.2); behind that many, bytes wait unparsed. Default 1.
    #[must_use]
    pub fn pipelining_limit(mut self, requests: usize) -> Self {
        self.pipelining_limit = requests.clamp(1, 128);
        self
    }

    /// Whether fields say something of the peer.
    pub(crate) fn describes_peer(&self) -> bool {
        self.remote_address_header || self.tls_session_header
    }

    /// How many requests may wait for their turn, and with how many bytes of content.
    pub(crate) fn queue_limits(&self) -> (usize, usize) {
        (self.queue_limit, self.queue_bytes_limit)
    }

    pub(crate) fn allows_half_closed(&self) -> bool {
        self.allow_half_closed
    }

    pub(crate) fn interim(&self) -> u32 {
        self.interim_limit
    }

    pub(crate) fn soft_limit(&self) -> usize {
        self.output_soft_limit
    }

    pub(crate) fn hard_limit(&self) -> usize {
        self.output_hard_limit.max(1)
    }

    /// Lifts the limit of the content. The peer then decides how much memory a message takes.
    #[must_use]
    pub fn unlimited_content(mut self) -> Self {
        self.content_limit = u64::MAX;
        self
    }

    /// Lifts the limits of content that is told as it comes, and of its chunks: whoever hears it decides how much is enough.
    #[must_use]
    pub fn unlimited_streamed_content(mut self) -> Self {
        self.streamed_content_limit = u64::MAX;
        self
    }
}
