//! The client's end (RFC 6455 §4.1; T19).

use actix_sockets::upgrade::handshake::{HandshakeError, Target, request, verify, with_protocols};

use super::*;

fn sent() -> HttpRequest {
    request(&Target::parse("ws://server.example.com/chat").expect("a URL"), *b"the sample nonce")
}

fn verdict(status: u16, lines: &str) -> Result<Option<String>, HandshakeError> {
    verify(&sent(), &response(status, lines)).map(|agreed| agreed.protocol)
}

#[test]
fn rfc_6455_1_2_the_request_is_the_sample() {
    let request = sent();
    assert_eq!((request.method.as_str(), &request.uri), ("GET", &"/chat".parse().unwrap()));
    let lines: Vec<_> = request.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let expected = [
        ("host", "server.example.com"),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn userinfo_becomes_authorization_and_is_not_shown() {
    let request = request(&Target::parse("ws://Aladdin:open%20sesame@a.example/").unwrap(), [0; 16]);
    assert_eq!(request.header("authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
    assert_eq!(request.header("host"), Some("a.example"));
    assert!(!format!("{request:?}").contains("QWxh"));
}

#[test]
fn subprotocols_are_offered_in_order_and_replace_what_was_offered() {
    let request = with_protocols(sent(), &["old"]).unwrap();
    let request = with_protocols(request, &["superchat", "chat"]).unwrap();
    assert_eq!(request.header("sec-websocket-protocol"), Some("superchat, chat"));
    assert!(!with_protocols(request, &[]).unwrap().headers.contains_key("sec-websocket-protocol"));
    for bad in [&["chat", "chat"][..], &[""], &["chat room"], &["a,b"], &["chat\r\nX: y"], &["chät"]] {
        let error = with_protocols(sent(), bad).unwrap_err();
        assert_eq!(&error.0, bad.last().unwrap());
    }
}

#[test]
fn rfc_6455_1_2_the_sample_response_is_right() {
    assert_eq!(verdict(101, SWITCHING), Ok(None));
    assert_eq!(verdict(101, &with(SWITCHING, "Upgrade", &["WebSocket"])), Ok(None));
    assert_eq!(verdict(101, &with(SWITCHING, "Connection", &["keep-alive, upgrade"])), Ok(None));
}

#[test]
fn t19_another_status_is_an_http_response() {
    for status in [100, 200, 204, 301, 302, 400, 401, 403, 426, 500, 503] {
        let error = verdict(status, SWITCHING).unwrap_err();
        assert_eq!(error, HandshakeError::Status(http::StatusCode::from_u16(status).unwrap()));
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
}

#[test]
fn t19_a_wrong_accept_is_refused() {
    let right = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    for accept in [
        &[][..],
        &[""],
        &["dGhlIHNhbXBsZSBub25jZQ=="],
        &["S3PPLMBITXAQ9KYGZZHZRBK+XOO="],
        &["s3pPLMBiTxaQ9kYGzzhZRbK+xOo"],
        &["s3pPLMBiTxaQ9kYGzzhZRbK+xOo=, s3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
        &[right, right],
        &[right, "wrong"],
    ] {
        assert_eq!(verdict(101, &with(SWITCHING, "Sec-WebSocket-Accept", accept)), Err(HandshakeError::Accept), "{accept:?}");
    }
}

#[test]
fn t19_a_missing_upgrade_or_connection_is_refused() {
    for upgrade in [&[][..], &["h2c"], &[""], &["websocket, h2c"], &["websocket", "websocket"]] {
        assert_eq!(verdict(101, &with(SWITCHING, "Upgrade", upgrade)), Err(HandshakeError::Upgrade), "{upgrade:?}");
    }
    for connection in [&[][..], &["close"], &["keep-alive"], &[""]] {
        assert_eq!(verdict(101, &with(SWITCHING, "Connection", connection)), Err(HandshakeError::Connection), "{connection:?}");
    }
}

#[test]
fn t19_a_subprotocol_must_have_been_offered() {
    let sent = with_protocols(sent(), &["superchat", "chat"]).unwrap();
    let verdict = |lines: &str| verify(&sent, &response(101, &format!("{SWITCHING}\n{lines}"))).map(|agreed| agreed.protocol);
    assert_eq!(verdict(""), Ok(None));
    assert_eq!(verdict("Sec-WebSocket-Protocol: chat"), Ok(Some("chat".to_owned())));
    for bad in [
        "Sec-WebSocket-Protocol: other",
        "Sec-WebSocket-Protocol: CHAT",
        "Sec-WebSocket-Protocol:",
        "Sec-WebSocket-Protocol: superchat, chat",
        "Sec-WebSocket-Protocol: chat\nSec-WebSocket-Protocol: chat",
    ] {
        assert_eq!(verdict(bad), Err(HandshakeError::Protocol), "{bad}");
    }
    let unrequested = format!("{SWITCHING}\nSec-WebSocket-Protocol: chat");
    assert_eq!(super::client::verdict(101, &unrequested), Err(HandshakeError::Protocol));
}

#[test]
fn t19_an_extension_must_have_been_offered() {
    let deflate = format!("{SWITCHING}\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover");
    assert_eq!(verdict(101, &deflate), Err(HandshakeError::Extension));
    assert_eq!(verdict(101, &format!("{SWITCHING}\nSec-WebSocket-Extensions:")), Err(HandshakeError::Extension));

    let offer = "permessage-deflate; client_max_window_bits, x-other".parse().unwrap();
    let sent = sent().with_header("sec-websocket-extensions".parse().unwrap(), offer);
    let agreed = verify(&sent, &response(101, &deflate)).unwrap();
    assert_eq!(agreed.extensions, ["permessage-deflate; server_no_context_takeover"]);
    for bad in ["x-unknown", "permessage-deflate, x-unknown", "permessage-deflate;", "permessage-deflate;a=\"", "client_max_window_bits"] {
        let response = response(101, &format!("{SWITCHING}\nSec-WebSocket-Extensions: {bad}"));
        assert_eq!(verify(&sent, &response), Err(HandshakeError::Extension), "{bad}");
    }
}

#[test]
fn t19_a_request_that_was_no_handshake_has_no_right_response() {
    assert_eq!(verify(&get("Host: a.example"), &response(101, SWITCHING)), Err(HandshakeError::Key));
}
