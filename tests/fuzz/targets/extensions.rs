//! The parameters of permessage-deflate (RFC 7692 §5, §7.1): offers, answers, and what two of ours agree on. The first bytes are preferences.

use actix_sockets::http::{HttpRequest, HttpResponse};
use actix_sockets::upgrade::handshake::deflate::{Parameters, Preferences};
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::{HeaderValue, Method, StatusCode, Uri};

use super::input::Choices;

pub(crate) fn run(input: &[u8]) {
    let mut choices = Choices(input);
    let [server, client] = [preferences(&mut choices), preferences(&mut choices)];
    // Any value as an offer: what is agreed on is legal, and is what the client that has offered this may be told.
    let (mut request, mut response) = (request(), HttpResponse::new(StatusCode::SWITCHING_PROTOCOLS));
    for line in choices.0.split(|&byte| byte == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(line) else { continue };
        request.headers.append(SEC_WEBSOCKET_EXTENSIONS, value.clone());
        response.headers.append(SEC_WEBSOCKET_EXTENSIONS, value);
    }
    if let Some(agreed) = server.accept(&request) {
        legal(agreed);
        assert!(agreed.server_max_window_bits.unwrap_or(15) <= server.server_max_window_bits.clamp(8, 15));
    }
    // The same value as an answer.
    if let Ok(Some(agreed)) = client.judge(&response) {
        legal(agreed);
        assert!(agreed.server_max_window_bits.unwrap_or(15) <= client.server_max_window_bits.clamp(8, 15), "what was asked for holds");
        assert!(agreed.server_no_context_takeover || !client.server_no_context_takeover, "what was asked for holds");
    }
    // Two of ours agree, whatever they want.
    let (mut request, mut response) = (self::request(), HttpResponse::new(StatusCode::SWITCHING_PROTOCOLS));
    client.offer(&mut request);
    let agreed = server.accept(&request).expect("an offer of ours");
    response.headers.append(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::try_from(agreed.to_string()).expect("tokens"));
    let heard = client.judge(&response).expect("an answer of ours").expect("it is named");
    legal(heard);
    assert_eq!(
        (heard.server_no_context_takeover, heard.server_max_window_bits),
        (agreed.server_no_context_takeover, agreed.server_max_window_bits)
    );
    // The client may do with less than it was allowed, never with more.
    assert!(heard.client_no_context_takeover || !agreed.client_no_context_takeover);
    assert!(heard.client_max_window_bits.unwrap_or(15) <= agreed.client_max_window_bits.unwrap_or(15));
}

fn preferences(choices: &mut Choices<'_>) -> Preferences {
    let flags = choices.byte();
    let mut preferences = Preferences::default();
    preferences.server_no_context_takeover = flags & 1 != 0;
    preferences.client_no_context_takeover = flags & 2 != 0;
    if flags & 4 != 0 {
        preferences.server_max_window_bits = choices.byte();
    }
    if flags & 8 != 0 {
        preferences.client_max_window_bits = choices.byte();
    }
    preferences
}

fn request() -> HttpRequest {
    HttpRequest::new(Method::GET, Uri::from_static("/"))
}

fn legal(agreed: Parameters) {
    for bits in [agreed.server_max_window_bits, agreed.client_max_window_bits].into_iter().flatten() {
        assert!((8..=15).contains(&bits), "{agreed} (RFC 7692 §7.1.2)");
    }
}
