//! The opening handshake (RFC 6455 §4): field lines of a request, or of a response to one. The first byte chooses.

use std::time::{Instant, UNIX_EPOCH};

use actix_sockets::http::{Client, ClientEvent, Event, HttpDate, HttpRequest, Server, Settings};
use actix_sockets::upgrade::handshake::{self, Origin, Rules, Target};
use actix_sockets::upgrade::switch;
use bytes::BytesMut;

use super::client::leaves;
use super::input::Choices;

pub(crate) fn run(input: &[u8]) {
    let mut choices = Choices(input);
    match choices.byte() & 1 {
        0 => request(choices.0),
        _ => response(choices.0),
    }
}

/// A request with these bytes behind its first line. If it is let in, its answer is one that a client takes.
fn request(fields: &[u8]) {
    let (now, date) = (Instant::now(), HttpDate::from(UNIX_EPOCH));
    let mut server = Server::new(Settings::new(), now);
    server.receive(BytesMut::from(&[b"GET /chat HTTP/1.1\r\nHost: a\r\n", fields, b"\r\n\r\n"].concat()[..]), now);
    let Some(Event::Request { number, request }) = server.poll_event() else { return };
    let rules = Rules::new().protocols(["chat", "v2"]).origin(Origin::any());
    let response = match rules.accept(&request) {
        Ok(response) => response,
        Err(refusal) => {
            assert!(refusal.status().is_client_error(), "{refusal}");
            assert_eq!(refusal.into_response().status, refusal.status());
            return;
        }
    };
    assert!(handshake::is_handshake(&request));
    handshake::check_switching(&request, &response).expect("our own 101");
    let agreed = handshake::verify(&request, &response).expect("our own 101");
    assert!(agreed.extensions.is_empty() && agreed.protocol.is_none_or(|protocol| protocol == "chat" || protocol == "v2"));
    // And the switch goes, now and with nothing lost.
    match switch(server, number, response, None, &date, now) {
        Ok(mut switched) => assert_eq!(reads_101(&request, &switched.head_bytes.take(usize::MAX)), Ok(())),
        Err((_, error)) => panic!("{error}"),
    }
}

/// What a client that has sent this makes of what it reads.
fn reads_101(sent: &HttpRequest, written: &[u8]) -> Result<(), String> {
    let now = Instant::now();
    let mut client = Client::new(Settings::new(), now);
    client.request(sent.clone(), now);
    leaves(&mut client, now);
    client.receive(BytesMut::from(written), now);
    match client.poll_event() {
        Some(ClientEvent::Response { response, .. }) if client.is_switched() => {
            handshake::verify(sent, &response).map(drop).map_err(|error| error.to_string())
        }
        event => Err(format!("{event:?}")),
    }
}

/// A 101 with these bytes behind its first line, for a client that has offered two subprotocols.
fn response(fields: &[u8]) {
    let now = Instant::now();
    let target = Target::parse("ws://a/chat").expect("a right URL");
    let sent = handshake::with_protocols(handshake::request(&target, *b"the sample nonce"), &["chat", "v2"]).expect("two tokens");
    let mut client = Client::new(Settings::new(), now);
    client.request(sent.clone(), now);
    leaves(&mut client, now);
    client.receive(BytesMut::from(&[b"HTTP/1.1 101 Switching Protocols\r\n", fields, b"\r\n\r\n"].concat()[..]), now);
    let Some(ClientEvent::Response { response, .. }) = client.poll_event() else { return };
    if let Ok(agreed) = handshake::verify(&sent, &response) {
        assert_eq!(response.header("sec-websocket-accept").map(str::trim), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(agreed.extensions.is_empty(), "none was offered");
        assert!(agreed.protocol.is_none_or(|protocol| protocol == "chat" || protocol == "v2"));
        assert_eq!(handshake::check_switching(&sent, &response), Ok(()));
    }
}
