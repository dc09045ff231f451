//! What holds for every input.

use actix_sockets::upgrade::handshake::{Origin, Rules, Target, agreed, check_switching, is_handshake, request, verify, with_protocols};
use proptest::prelude::*;

use super::*;

/// The fields that the handshake reads.
const FIELDS: [&str; 11] = [
    "host",
    "origin",
    "upgrade",
    "connection",
    "content-length",
    "transfer-encoding",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-accept",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
];

fn any_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        "[a-z:/.*,;=\"\\\\ \\[\\]@0-9-]{0,60}".prop_map(String::into_bytes),
        prop::sample::select(vec!["websocket", "upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ==", "http://a.example", "a.example"])
            .prop_map(|value| value.as_bytes().to_vec()),
    ]
}

fn any_fields() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    prop::collection::vec((prop::sample::select(FIELDS.to_vec()), any_value()), 0..16)
}

fn headers(fields: Vec<(&'static str, Vec<u8>)>) -> http::HeaderMap {
    let lines = fields.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::from_bytes(&value).ok()?)));
    lines.map(|(name, value)| (HeaderName::from_static(name), value)).collect()
}

proptest! {
    #[test]
    fn nothing_panics_whatever_the_field_lines(asked in any_fields(), answered in any_fields(), based in any::<bool>()) {
        let mut request = if based { get(HANDSHAKE) } else { get("") };
        let mut answer = if based { response(101, SWITCHING) } else { response(101, "") };
        for (name, value) in &headers(asked) {
            request.headers.append(name, value.clone());
        }
        for (name, value) in &headers(answered) {
            answer.headers.append(name, value.clone());
        }
        for origin in [Origin::same(), Origin::list(["https://a.example", "*.example"]), Origin::check(|origin, _| origin.is_empty())] {
            match Rules::new().protocols(["chat"]).origin(origin).accept(&request) {
                // What is accepted is a handshake, and its answer may go out.
                Ok(accepted) => {
                    prop_assert!(is_handshake(&request));
                    prop_assert_eq!(check_switching(&request, &accepted), Ok(()));
                }
                Err(refusal) => prop_assert!(refusal.into_response().status.is_client_error()),
            }
        }
        let _ = (verify(&request, &answer), agreed(&answer), check_switching(&request, &answer));
    }

    #[test]
    fn an_origin_list_takes_any_entry_and_any_origin(entry in ".{0,40}", origin in "[ -~]{0,40}") {
        let rules = Rules::new().origin(Origin::list([entry]));
        let _ = rules.accept(&handshake_and(&format!("Origin: {origin}")));
    }

    #[test]
    fn a_url_is_parsed_or_refused(url in prop_oneof![".{0,60}", "wss?://[a-z0-9.:@%/?\\[\\]üß-]{0,60}"]) {
        if let Ok(target) = Target::parse(&url) {
            prop_assert!(!target.host.is_empty() && target.uri.path().starts_with('/'));
        }
    }

    /// The oracle: what one end writes, the other end takes, and both agree on what was agreed.
    #[test]
    fn what_request_writes_accept_takes_and_verify_verifies(
        key in any::<[u8; 16]>(),
        secure in any::<bool>(),
        host in "[a-z]{1,10}(\\.[a-z]{1,10}){0,2}",
        port in prop::option::of(1..=u16::MAX),
        path in "(/[a-z0-9%.~;=-]{0,8}){0,3}(\\?[a-z0-9=&/?-]{0,8})?",
        offered in prop::collection::hash_set("[a-zA-Z0-9.!#$&'*+^_`|~-]{1,12}", 0..5),
        known in prop::collection::vec("[a-z.]{1,3}", 0..3),
        taken in any::<prop::sample::Index>(),
    ) {
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        let scheme = if secure { "wss" } else { "ws" };
        let target = Target::parse(&format!("{scheme}://{host}{port}{path}")).unwrap();
        let offered: Vec<&str> = offered.iter().map(String::as_str).collect();
        let origin = format!("{}://{}", if secure { "https" } else { "http" }, target.authority.to_str().unwrap());
        let sent = with_protocols(request(&target, key), &offered).unwrap();
        let sent = sent.with_header(http::header::ORIGIN, origin.parse().unwrap());

        let mut known = known;
        if !offered.is_empty() {
            known.push(offered[taken.index(offered.len())].to_owned());
        }
        let answer = Rules::new().protocols(known).secure(secure).accept(&sent).unwrap();
        let settled = verify(&sent, &answer).unwrap();
        prop_assert_eq!(settled.protocol.is_some(), !offered.is_empty());
        prop_assert_eq!(&settled, &agreed(&answer));
        prop_assert_eq!(check_switching(&sent, &answer), Ok(()));
    }

    /// One bit of the answer's key, and it is another's.
    #[test]
    fn an_accept_for_another_key_is_refused(key in any::<[u8; 16]>(), bit in 0usize..128) {
        let target = Target::parse("ws://a.example/").unwrap();
        let mut other = key;
        other[bit / 8] ^= 1 << (bit % 8);
        let answer = Rules::new().accept(&request(&target, other)).unwrap();
        prop_assert!(verify(&request(&target, key), &answer).is_err());
    }
}
