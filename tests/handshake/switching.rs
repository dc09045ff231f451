//! A 101 that the user wrote (A16), before the connection believes it.

use actix_sockets::upgrade::handshake::{HandshakeError, Refusal, SwitchRefused, agreed, check_switching};

use super::*;

#[test]
fn a16_a_101_written_by_hand_is_right_when_it_answers_the_request() {
    let request = handshake_and("Sec-WebSocket-Protocol: chat");
    let by_hand = response(101, &format!("{SWITCHING}\nSec-WebSocket-Protocol: chat\nSet-Cookie: a=b"));
    assert_eq!(check_switching(&request, &by_hand), Ok(()));
    assert_eq!(agreed(&by_hand).protocol.as_deref(), Some("chat"));
    assert_eq!(check_switching(&request, &accepted(&request)), Ok(()));
}

#[test]
fn agreed_says_what_the_101_says() {
    let answer = response(101, &format!("{SWITCHING}\nSec-WebSocket-Extensions: permessage-deflate; a=1 , x\nSec-WebSocket-Extensions: y"));
    assert_eq!(agreed(&answer).extensions, ["permessage-deflate; a=1", "x", "y"]);
    assert_eq!(agreed(&answer).protocol, None);
}

#[test]
fn a_101_that_does_not_answer_is_refused() {
    let refused = |answer: &HttpResponse| check_switching(&get(HANDSHAKE), answer).unwrap_err();
    let ok = response(200, SWITCHING);
    assert_eq!(refused(&ok), SwitchRefused::Response(HandshakeError::Status(StatusCode::OK)));
    for (name, error) in
        [("Upgrade", HandshakeError::Upgrade), ("Connection", HandshakeError::Connection), ("Sec-WebSocket-Accept", HandshakeError::Accept)]
    {
        for values in [&[][..], &["nonsense"]] {
            assert_eq!(refused(&response(101, &with(SWITCHING, name, values))), SwitchRefused::Response(error));
        }
    }
}

#[test]
fn a_101_to_what_was_no_handshake_is_refused() {
    for (request, refusal) in [
        (get("Host: a.example"), Refusal::NotAHandshake),
        (handshake_with("Sec-WebSocket-Version", &["8"]), Refusal::OtherVersion),
        (handshake_with("Sec-WebSocket-Key", &[]), Refusal::NoKey),
        (get(HANDSHAKE).with_content("x"), Refusal::Content),
    ] {
        let error = check_switching(&request, &response(101, SWITCHING)).unwrap_err();
        assert_eq!(error, SwitchRefused::Request(refusal));
        assert_eq!(error.to_string(), format!("not switched: {refusal}"));
    }
}
