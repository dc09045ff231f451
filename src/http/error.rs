//! What a peer can do wrong, the clause it breaks, and the status that tells it so.

use std::fmt;

use http::{Method, StatusCode};

use super::HttpResponse;

/// A message that breaks HTTP or one of our limits. On the server it is answered with [`status`](Self::status), and the connection
/// closes; on the client it ends the connection.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HttpError {
    /// A line ends in LF without CR, or a CR stands alone.
    BareLineFeed,
    /// More than one empty line precedes the request-line.
    EmptyLines,
    /// The request-line is not `method SP request-target SP HTTP-version`.
    RequestLine,
    /// The request-target holds bytes that no URI has, or a fragment.
    RequestTarget,
    /// The request-target's form does not go with the method.
    TargetForm,
    /// A field line is malformed: obs-fold, whitespace around the name, an empty name, a control byte.
    FieldLine,
    /// `Host` is missing, empty, repeated, a list, malformed, or contradicts the request-target.
    Host,
    /// `Content-Length` is not one number below 2^63.
    ContentLength,
    /// `Transfer-Encoding` is malformed, repeated, not `chunked` in the end, or sent in HTTP/1.0.
    TransferEncoding,
    /// Both `Content-Length` and `Transfer-Encoding` are there.
    AmbiguousLength,
    /// A chunk-size line is malformed, or has too many digits.
    ChunkSize,
    /// A chunk extension is malformed or too long.
    ChunkExtension,
    /// Chunk data is not followed by CRLF.
    ChunkData,
    /// The trailer section is malformed or too large.
    Trailers,
    /// The head was not complete in time.
    HeadTimeout,
    /// The content came more slowly than the minimum rate; of a response that is told as it comes, nothing came for an idle timeout.
    ContentTimeout,
    /// The content exceeds the limit.
    ContentTooLarge,
    /// The content has more chunks than the limit.
    TooManyChunks,
    /// The connection ended inside a request.
    Incomplete,
    /// The handler did not answer in time.
    Unanswered,
    /// The request-target exceeds the limit.
    TargetTooLong,
    /// An expectation other than `100-continue`.
    Expectation,
    /// The request-target is of `https`, and the connection is not TLS.
    Misdirected,
    /// The head exceeds its limit.
    HeadTooLarge,
    /// There are too many field lines.
    TooManyFields,
    /// A field's name or value exceeds its limit.
    FieldTooLarge,
    /// The method is longer than any that exists.
    MethodTooLong,
    /// A transfer coding that we do not have.
    UnknownTransferCoding,
    /// A major version other than 1.
    Version,
    /// Client: the status-line is malformed.
    StatusLine,
    /// Client: the reason phrase exceeds its limit.
    ReasonTooLong,
    /// Client: too many interim responses.
    TooManyInterim,
    /// Client: bytes came that answer no request.
    UnexpectedResponse,
    /// Client: a 101 to a request that did not ask for it.
    UnexpectedSwitch,
    /// Client: the response's head was not there in time.
    ResponseTimeout,
    /// Client: the connection ended inside a response.
    Truncated,
    /// Client: the connection ended, or is ending, before the response began.
    Closed,
    /// Client: the connection ended, or is ending, and nothing of the request was sent.
    NotSent,
    /// Client: too many requests wait for their turn. It was not sent.
    QueueFull,
    /// Client: the request's content was given up, or nobody went on with it. The request was cut off.
    Abandoned,
    /// Client: the content that was given is not as long as the request's `Content-Length` says.
    ContentMismatch,
    /// Client: a request that is for `https` or `wss`, on a connection that is not TLS. It was not sent.
    Insecure,
    /// The peer did not take our bytes in time.
    WriteTimeout,
    /// The peer took our bytes more slowly than it must.
    SlowReader,
}

impl HttpError {
    /// The status that answers this error. Those of the client's side are what a gateway would answer: 502, 504.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::BareLineFeed
            | Self::EmptyLines
            | Self::RequestLine
            | Self::RequestTarget
            | Self::TargetForm
            | Self::FieldLine
            | Self::Host
            | Self::ContentLength
            | Self::TransferEncoding
            | Self::AmbiguousLength
            | Self::ChunkSize
            | Self::ChunkExtension
            | Self::ChunkData
            | Self::Trailers
            | Self::Incomplete => StatusCode::BAD_REQUEST,
            Self::HeadTimeout | Self::ContentTimeout | Self::WriteTimeout | Self::SlowReader => StatusCode::REQUEST_TIMEOUT,
            Self::ContentTooLarge | Self::TooManyChunks => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::HeadTooLarge | Self::TooManyFields | Self::FieldTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::MethodTooLong | Self::UnknownTransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Unanswered => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ResponseTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::StatusLine
            | Self::ReasonTooLong
            | Self::TooManyInterim
            | Self::UnexpectedResponse
            | Self::UnexpectedSwitch
            | Self::Truncated
            | Self::NotSent
            | Self::Abandoned
            | Self::ContentMismatch
            | Self::Insecure
            | Self::Closed => StatusCode::BAD_GATEWAY,
            Self::QueueFull => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Client: whether a request with this method that has ended so may be sent again without being asked: when nothing of it was sent, or when
    /// doing it twice is meant to do what doing it once does (RFC 9110 §9.2.2).
    #[must_use]
    pub fn may_be_sent_again(self, method: &Method) -> bool {
        match self {
            Self::NotSent | Self::QueueFull => true,
            Self::Closed | Self::Truncated | Self::ResponseTimeout | Self::ContentTimeout | Self::WriteTimeout | Self::SlowReader => {
                method.is_idempotent()
            }
            _ => false,
        }
    }

    /// The answer: a small text that names the status only, for it goes to strangers.
    #[must_use]
    pub fn into_response(self) -> HttpResponse {
        let status = self.status();
        HttpResponse::new(status).with_text(format!("{status}\n"))
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BareLineFeed => "a line does not end in CRLF (RFC 9112 §2.2)",
            Self::EmptyLines => "more than one empty line before the request-line (RFC 9112 §2.2)",
            Self::RequestLine => "malformed request-line (RFC 9112 §3)",
            Self::RequestTarget => "the request-target is no URI reference without fragment (RFC 9112 §3.2)",
            Self::TargetForm => "the request-target's form does not go with the method (RFC 9112 §3.2)",
            Self::FieldLine => "malformed field line (RFC 9112 §5)",
            Self::Host => "Host is missing, invalid, repeated or contradicts the request-target (RFC 9112 §3.2)",
            Self::ContentLength => "invalid Content-Length (RFC 9112 §6.3)",
            Self::TransferEncoding => "invalid Transfer-Encoding (RFC 9112 §6.1)",
            Self::AmbiguousLength => "Content-Length together with Transfer-Encoding (RFC 9112 §6.1)",
            Self::ChunkSize => "invalid chunk-size (RFC 9112 §7.1)",
            Self::ChunkExtension => "invalid chunk extension (RFC 9112 §7.1.1)",
            Self::ChunkData => "chunk data does not end in CRLF (RFC 9112 §7.1)",
            Self::Trailers => "invalid trailer section (RFC 9112 §7.1.2)",
            Self::HeadTimeout => "the request's head was not complete in time (RFC 9110 §15.5.9)",
            Self::ContentTimeout => "the content came too slowly (RFC 9110 §15.5.9)",
            Self::ContentTooLarge => "the content exceeds the limit (RFC 9110 §15.5.14)",
            Self::TooManyChunks => "the content has too many chunks (RFC 9112 §7.1)",
            Self::Incomplete => "the connection ended inside a request (RFC 9112 §8)",
            Self::Unanswered => "the request was not answered in time",
            Self::TargetTooLong => "the request-target exceeds the limit (RFC 9110 §15.5.15)",
            Self::Expectation => "unknown expectation (RFC 9110 §10.1.1)",
            Self::Misdirected => "a request for https, on a connection that is not TLS (RFC 9110 §7.4)",
            Self::HeadTooLarge => "the head exceeds the limit (RFC 6585 §5)",
            Self::TooManyFields => "too many field lines (RFC 6585 §5)",
            Self::FieldTooLarge => "a field exceeds its limit (RFC 6585 §5)",
            Self::MethodTooLong => "unknown method (RFC 9110 §15.6.2)",
            Self::UnknownTransferCoding => "unknown transfer coding (RFC 9112 §6.1)",
            Self::Version => "HTTP version not supported (RFC 9110 §15.6.6)",
            Self::StatusLine => "malformed status-line (RFC 9112 §4)",
            Self::ReasonTooLong => "the reason phrase exceeds the limit (RFC 9112 §4)",
            Self::TooManyInterim => "too many interim responses (RFC 9110 §15.2)",
            Self::UnexpectedResponse => "a response that answers no request (RFC 9112 §9.2)",
            Self::UnexpectedSwitch => "101 to a request without Upgrade (RFC 9110 §7.8)",
            Self::ResponseTimeout => "the response was not there in time (RFC 9112 §9.5)",
            Self::Truncated => "the connection ended inside a response (RFC 9112 §8)",
            Self::Closed => "the connection ended before the response (RFC 9112 §9.5)",
            Self::NotSent => "the connection ended, and nothing of the request was sent (RFC 9112 §9.6)",
            Self::QueueFull => "too many requests wait for their turn (RFC 9112 §9.3.2)",
            Self::Abandoned => "the request's content was given up before its end (RFC 9112 §8)",
            Self::ContentMismatch => "the request's content is not as long as its Content-Length (RFC 9110 §8.6)",
            Self::Insecure => "a request for https or wss, on a connection that is not TLS (RFC 9110 §4.2.2)",
            Self::WriteTimeout => "the peer takes no bytes (RFC 9112 §9.5)",
            Self::SlowReader => "the peer takes our bytes too slowly (RFC 9112 §9.5)",
        })
    }
}

impl std::error::Error for HttpError {}

/// Why an answer was not taken. The connection goes on as before.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RespondError {
    /// No request of that number is in hand: it was never there, is answered already, or the connection is ending.
    NotInHand,
    /// A response is being streamed and takes chunks only, or none is and a chunk was offered.
    OutOfTurn,
    /// 1xx is no answer (RFC 9110 §15.2); 101 is given to [`Server::into_switched`](super::Server::into_switched).
    Interim,
    /// What is sent ahead of an answer is 1xx and not 101 (RFC 9110 §15.2).
    NotInterim,
    /// As many interim responses as may have gone ahead of the answer already ([`Settings::interim_limit`](super::Settings::interim_limit)).
    TooManyInterim,
    /// The content is longer or shorter than the `Content-Length` it was given (RFC 9110 §8.6). The connection is aborted.
    Length,
}

impl fmt::Display for RespondError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotInHand => "no such request is waiting for an answer",
            Self::OutOfTurn => "the request's response is not, or is already, being streamed",
            Self::Interim => "an interim status is no answer (RFC 9110 §15.2)",
            Self::NotInterim => "only 1xx goes ahead of an answer, and not 101 (RFC 9110 §15.2)",
            Self::TooManyInterim => "as many interim responses as may go ahead of an answer have gone (RFC 9110 §15.2)",
            Self::Length => "the content has not the length that was announced (RFC 9110 §8.6): the connection is cut",
        })
    }
}

impl std::error::Error for RespondError {}

/// Why the connection did not leave HTTP. It goes on as before.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SwitchError {
    /// No request of that number is in hand.
    NotInHand,
    /// The request did not ask for an upgrade (RFC 9110 §7.8).
    NotAsked,
    /// Earlier requests are still to be answered: try again when [`Server::can_switch`](super::Server::can_switch) says so.
    NotYet,
    /// The response's status is not 101.
    Status,
}

impl fmt::Display for SwitchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotInHand => "no such request is waiting for an answer",
            Self::NotAsked => "the request did not ask for an upgrade (RFC 9110 §7.8)",
            Self::NotYet => "earlier requests are not answered yet (RFC 9112 §9.3.2)",
            Self::Status => "the status of an upgrade is 101 (RFC 9110 §15.2.2)",
        })
    }
}

impl std::error::Error for SwitchError {}
