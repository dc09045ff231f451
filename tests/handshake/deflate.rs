//! permessage-deflate as it is negotiated (RFC 7692 §5, §7.1).

use actix_sockets::upgrade::handshake::deflate::{Parameters, Preferences, is_named};
use actix_sockets::upgrade::handshake::{HandshakeError, verify};
use http::header::SEC_WEBSOCKET_EXTENSIONS;
use proptest::prelude::*;

use super::*;

fn offers(lines: &[&str]) -> HttpRequest {
    lines.iter().fold(get(HANDSHAKE), |request, line| {
        request.with_header(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(line).expect("a field value"))
    })
}

fn answers(line: &str) -> HttpResponse {
    response(101, &format!("{SWITCHING}\nSec-WebSocket-Extensions: {line}"))
}

/// What a server with these wishes answers.
fn accepts(wishes: &Preferences, lines: &[&str]) -> String {
    wishes.accept(&offers(lines)).map_or_else(|| "declined".into(), |agreed| agreed.to_string())
}

fn wishes(set: impl FnOnce(&mut Preferences)) -> Preferences {
    let mut wishes = Preferences::default();
    set(&mut wishes);
    wishes
}

#[test]
fn a_server_with_the_defaults() {
    for (offer, answer) in [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        ("permessage-deflate;client_max_window_bits=15", "permessage-deflate"),
        ("permessage-deflate ; client_max_window_bits = 10", "permessage-deflate; client_max_window_bits=10"),
        ("permessage-deflate; client_max_window_bits=\"9\"", "permessage-deflate; client_max_window_bits=9"),
        ("permessage-deflate; client_max_window_bits=8", "permessage-deflate; client_max_window_bits=8"),
        // The parameter asks for an answer (§7.1.2.1).
        ("permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"),
        ("permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=8"),
        ("permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
        ("permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover"),
        (
            "permessage-deflate; client_max_window_bits=11; server_max_window_bits=12; client_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=11",
        ),
        ("x-webkit-deflate-frame", "declined"),
        ("permessage-deflates", "declined"),
    ] {
        assert_eq!(accepts(&Preferences::default(), &[offer]), answer, "{offer}");
    }
}

#[test]
fn a_server_with_wishes() {
    let small = wishes(|wishes| {
        wishes.server_max_window_bits = 10;
        wishes.client_max_window_bits = 11;
        wishes.server_no_context_takeover = true;
    });
    for (offer, answer) in [
        // What the client has not said it would understand is not asked of it.
        ("permessage-deflate", "permessage-deflate; server_no_context_takeover; server_max_window_bits=10"),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=11",
        ),
        (
            "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9",
        ),
        ("permessage-deflate; server_max_window_bits=14", "permessage-deflate; server_no_context_takeover; server_max_window_bits=10"),
    ] {
        assert_eq!(accepts(&small, &[offer]), answer, "{offer}");
    }
}

/// Each of these makes an offer one that is declined, and a response one that fails the handshake.
const BAD: [&str; 21] = [
    "server_max_window_bits=0",
    "server_max_window_bits=7",
    "server_max_window_bits=16",
    "server_max_window_bits=08",
    "server_max_window_bits=015",
    "server_max_window_bits=+9",
    "server_max_window_bits=1",
    "server_max_window_bits=99999999999999999999",
    "server_max_window_bits=ten",
    "server_max_window_bits",
    "client_max_window_bits=0",
    "client_max_window_bits=7",
    "client_max_window_bits=16",
    "client_max_window_bits=08",
    "server_no_context_takeover=1",
    "client_no_context_takeover=true",
    "server_no_context_takeover; server_no_context_takeover",
    "client_no_context_takeover; client_no_context_takeover",
    "server_max_window_bits=9; server_max_window_bits=9",
    "client_max_window_bits=9; client_max_window_bits=10",
    "unknown",
];

#[test]
fn t29_an_offer_with_a_bad_parameter_is_declined_and_the_next_one_looked_at() {
    for bad in BAD {
        let offer = format!("permessage-deflate; {bad}");
        assert_eq!(accepts(&Preferences::default(), &[&offer]), "declined", "{offer}");
        let good = "permessage-deflate; server_max_window_bits=12";
        assert_eq!(accepts(&Preferences::default(), &[&format!("foo; x=1, {offer}, {good}, permessage-deflate")]), good);
        assert_eq!(accepts(&Preferences::default(), &[&offer, "foo", good]), good, "over several lines");
        assert_eq!(accepts(&Preferences::default(), &[good, &offer]), good);
    }
}

#[test]
fn t29_a_response_with_a_bad_parameter_fails_the_handshake() {
    for bad in BAD.into_iter().chain(["client_max_window_bits"]) {
        let error = Preferences::default().judge(&answers(&format!("permessage-deflate; {bad}"))).unwrap_err();
        assert!(matches!(error, HandshakeError::Deflate(_)));
        let told = error.to_string();
        assert!(told.starts_with("the response's permessage-deflate: ") && told.contains("(RFC 7692 §7.1"), "{told}");
    }
    let error = Preferences::default().judge(&answers("permessage-deflate, permessage-deflate")).unwrap_err();
    assert_eq!(error.to_string(), "the response's permessage-deflate: it is agreed on twice (RFC 7692 §5)");
}

#[test]
fn a_client_offers_what_it_wants() {
    for (wishes, offer) in [
        (Preferences::default(), "permessage-deflate; client_max_window_bits"),
        (
            wishes(|wishes| {
                wishes.server_no_context_takeover = true;
                wishes.client_no_context_takeover = true;
                wishes.server_max_window_bits = 9;
                wishes.client_max_window_bits = 10;
            }),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=10",
        ),
    ] {
        let mut request = get(HANDSHAKE);
        wishes.offer(&mut request);
        assert_eq!(request.header("sec-websocket-extensions"), Some(offer));
    }
}

#[test]
fn a_client_takes_what_it_offered_and_no_less() {
    let judge = |wishes: Preferences, line: &str| match wishes.judge(&answers(line)) {
        Ok(agreed) => agreed.map_or_else(|| "without".into(), |agreed| agreed.to_string()),
        Err(error) => error.to_string(),
    };
    let plain = Preferences::default();
    // What a server may say unasked (§7.1.1.1, §7.1.1.2, §7.1.2.1), and what we offered it to say.
    for line in [
        "permessage-deflate",
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; client_max_window_bits=9",
    ] {
        assert_eq!(judge(plain, line), line);
    }
    assert_eq!(judge(plain, "other"), "without");
    let small = wishes(|wishes| wishes.server_max_window_bits = 10);
    assert_eq!(judge(small, "permessage-deflate; server_max_window_bits=9"), "permessage-deflate; server_max_window_bits=9");
    for line in ["permessage-deflate", "permessage-deflate; server_max_window_bits=11"] {
        assert!(judge(small, line).contains("server_max_window_bits is missing, or more than was asked for"));
    }
    let alone = wishes(|wishes| wishes.server_no_context_takeover = true);
    assert!(judge(alone, "permessage-deflate").contains("server_no_context_takeover was asked for"));
    let ours = wishes(|wishes| wishes.client_max_window_bits = 10);
    assert_eq!(judge(ours, "permessage-deflate"), "permessage-deflate; client_max_window_bits=10", "as we said that we would");
    assert!(judge(ours, "permessage-deflate; client_max_window_bits=11").contains("client_max_window_bits is more than was offered"));
}

#[test]
fn what_was_not_offered_cannot_be_agreed_on() {
    assert_eq!(verify(&get(HANDSHAKE), &answers("permessage-deflate")), Err(HandshakeError::Extension));
    assert!(is_named(&answers("foo, permessage-deflate; x").headers) && !is_named(&answers("foo").headers));
}

fn any_wishes() -> impl Strategy<Value = Preferences> {
    (any::<bool>(), any::<bool>(), 8u8..=15, 8u8..=15).prop_map(|(server, client, server_bits, client_bits)| {
        wishes(|wishes| {
            wishes.server_no_context_takeover = server;
            wishes.client_no_context_takeover = client;
            wishes.server_max_window_bits = server_bits;
            wishes.client_max_window_bits = client_bits;
        })
    })
}

proptest! {
    /// Whatever the two want, they agree on one thing.
    #[test]
    fn both_ends_agree_on_the_same(client in any_wishes(), server in any_wishes()) {
        let mut request = get(HANDSHAKE);
        client.offer(&mut request);
        let agreed: Parameters = server.accept(&request).expect("every offer of ours can be accepted");
        let judged = client.judge(&answers(&agreed.to_string())).expect("an answer to our offer").expect("an agreement");
        prop_assert_eq!(judged, agreed);
    }

    #[test]
    fn nothing_panics_whatever_is_offered_or_answered(line in "(permessage-deflate)?[a-z_;=,\" 0-9\\\\]{0,60}", client in any_wishes()) {
        if let Ok(value) = HeaderValue::from_str(&line) {
            let _ = client.accept(&get(HANDSHAKE).with_header(SEC_WEBSOCKET_EXTENSIONS, value.clone()));
            let answer = response(101, SWITCHING).with_header(SEC_WEBSOCKET_EXTENSIONS, value);
            match client.judge(&answer) {
                Ok(agreed) => prop_assert!(agreed.is_some() == is_named(&answer.headers)),
                Err(error) => prop_assert!(matches!(error, HandshakeError::Deflate(_))),
            }
        }
    }
}
