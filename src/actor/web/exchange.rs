//! A request of ours as one of actix-web's, and the response back.

use std::future::poll_fn;
use std::pin::Pin;

use actix_http::{Message, Request};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, RequestHead, Response};
use actix_web::http::{ConnectionType, uri as their_uri};
use actix_web::{HttpMessage, http as theirs};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method, StatusCode, Version};

use super::super::responder::{Answer, Responder};
use super::super::streaming::Streaming;
use super::Carrier;
use crate::http::{HttpRequest, HttpResponse};

/// What of a request its answer depends on.
pub(super) struct Asked {
    head: bool,
}

impl Asked {
    pub(super) fn of(request: &HttpRequest) -> Self {
        Self { head: request.method == Method::HEAD }
    }
}

/// A request as an `App` knows them, its [`Carrier`] among its extensions.
pub(super) fn request(request: HttpRequest, payload: Payload, responder: &Responder) -> Request {
    let mut head = Message::<RequestHead>::new();
    // Both stand for what came over the wire: what one can say the other can.
    head.method = theirs::Method::from_bytes(request.method.as_str().as_bytes()).unwrap_or_default();
    head.version = if request.version == Version::HTTP_10 { theirs::Version::HTTP_10 } else { theirs::Version::HTTP_11 };
    head.uri = uri(&request);
    head.peer_addr = responder.remote().socket_addr();
    let mut connection = if request.version == Version::HTTP_10 { ConnectionType::Close } else { ConnectionType::KeepAlive };
    for (name, value) in &request.headers {
        if *name == CONNECTION {
            connection = connection_type(value, connection);
        }
        let (name, value) =
            (theirs::header::HeaderName::from_bytes(name.as_ref()), theirs::header::HeaderValue::from_bytes(value.as_bytes()));
        if let (Ok(name), Ok(value)) = (name, value) {
            head.headers.append(name, value);
        }
    }
    head.set_connection_type(connection);
    let (request, _) = Request::from(head).replace_payload(payload);
    request.extensions_mut().insert(Carrier { id: responder.id(), tls: responder.shared_tls() });
    request
}

/// The request-target. Under TLS with scheme and authority, as HTTP/2 has it: an `App` has no other way to know that its scheme is `https`,
/// since one of ours may be reached by both.
fn uri(request: &HttpRequest) -> theirs::Uri {
    let target: theirs::Uri = request.uri.to_string().parse().unwrap_or_default();
    if !request.secure || target.authority().is_some() || target.path_and_query().is_none() || request.uri.path() == "*" {
        return target;
    }
    let Some(host) = request.headers.get(HOST).and_then(|host| host.to_str().ok()) else { return target };
    let mut parts = target.clone().into_parts();
    parts.scheme = Some(their_uri::Scheme::HTTPS);
    parts.authority = host.parse().ok();
    theirs::Uri::from_parts(parts).unwrap_or(target)
}

fn connection_type(value: &HeaderValue, otherwise: ConnectionType) -> ConnectionType {
    let has = |token: &str| value.to_str().is_ok_and(|value| value.split(',').any(|element| element.trim().eq_ignore_ascii_case(token)));
    match otherwise {
        _ if has("close") => ConnectionType::Close,
        _ if has("upgrade") => ConnectionType::Upgrade,
        _ if has("keep-alive") => ConnectionType::KeepAlive,
        otherwise => otherwise,
    }
}

/// Answers as the `App` did. Ready when all of it has been said.
pub(super) async fn answer(mut answer: Response<BoxBody>, asked: &Asked, responder: Responder) {
    if let Some(Passed(upgrade)) = answer.extensions_mut().remove() {
        return responder.do_send(upgrade);
    }
    let mut response = HttpResponse::new(StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    if response.status.is_informational() {
        // Its responder answers with a 500.
        return tracing::error!(status = %response.status, "an App answers with an interim status: web::start is what upgrades here");
    }
    let size = answer.body().size();
    // `no_chunking`: it has said how long its stream is.
    let told = size.is_eof() || (size == BodySize::Stream && !answer.head().chunked());
    for (name, value) in answer.headers() {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_ref()), HeaderValue::from_bytes(value.as_bytes())) {
            // Content is framed as its size says; the App's own word counts where there is none.
            if name != CONNECTION && name != TRANSFER_ENCODING && (name != CONTENT_LENGTH || told) {
                response.headers.append(name, value);
            }
        }
    }
    if answer.head().connection_type() == ConnectionType::Close {
        response.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    match (size, answer.into_body().try_into_bytes()) {
        (_, Ok(content)) => responder.do_send(response.with_content(content)),
        (BodySize::Sized(length), Err(body)) => {
            response.headers.insert(CONTENT_LENGTH, length.into());
            if asked.head {
                return responder.do_send(response);
            }
            stream(body, responder.start(response)).await;
        }
        (_, Err(_)) if asked.head => responder.start(response).finish(),
        (_, Err(body)) => stream(body, responder.start(response)).await,
    }
}

/// Carries a body to the peer, as far as it takes it. An error cuts the connection, so that nobody takes for complete what is not.
async fn stream(mut body: BoxBody, streaming: Streaming) {
    while let Some(piece) = poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
        match piece {
            Ok(piece) => {
                streaming.do_send(piece);
                if streaming.ready().await.is_err() {
                    return; // the peer has gone
                }
            }
            Err(error) => return tracing::error!(%error, "an App's response is cut off: its body failed"),
        }
    }
    streaming.finish();
}

/// An upgrade that a handler of an `App` wants, on its way to the connection: in the extensions of the response that the handler returns.
pub(super) struct Passed(pub(super) Answer);
