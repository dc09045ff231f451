//! The server's end (RFC 6455 §4.2; T15, D12).

use actix_sockets::upgrade::handshake::{Refusal, Rules, accept, accept_key, agreed, is_handshake};
use http::{HeaderMap, HeaderValue, Method, Version};

use super::*;

#[test]
fn rfc_6455_1_2_the_sample_handshake_is_accepted() {
    let request = handshake_and("Origin: http://server.example.com");
    let response = accepted(&request);
    let lines: Vec<_> = response.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let expected = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")];
    assert_eq!(lines, expected);
    assert!(response.content.is_empty());
}

#[test]
fn d14_a_101_has_no_content_length_and_no_transfer_encoding() {
    let response = accepted(&get(HANDSHAKE));
    assert!(!response.headers.contains_key("content-length") && !response.headers.contains_key("transfer-encoding"));
}

#[test]
fn a_refusal_says_its_reason_with_its_clause_as_text() {
    let response = Refusal::NoKey.into_response();
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(&response.content[..], b"Sec-WebSocket-Key is missing (RFC 6455 \xc2\xa74.2.1 item 5)\n");
    assert!(!response.headers.contains_key("upgrade") && !response.headers.contains_key("allow"));
}

// T15: what is wrong, and what is merely unusual.

#[test]
fn t15_post_is_405_with_allow() {
    for method in [Method::POST, Method::HEAD, Method::PUT, Method::OPTIONS, Method::from_bytes(b"get").unwrap()] {
        let mut request = get(HANDSHAKE);
        request.method = method;
        refused(&request, 405, Refusal::NotGet);
    }
    assert_eq!(Refusal::NotGet.into_response().header("allow"), Some("GET"));
}

#[test]
fn t15_http_1_0_is_400() {
    for version in [Version::HTTP_10, Version::HTTP_09] {
        let mut request = get(HANDSHAKE);
        request.version = version;
        refused(&request, 400, Refusal::OldHttp);
    }
}

#[test]
fn t15_a_missing_key_is_400() {
    refused(&handshake_with("Sec-WebSocket-Key", &[]), 400, Refusal::NoKey);
}

#[test]
fn t15_a_duplicate_key_is_400_even_when_both_are_the_same() {
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    refused(&handshake_with("Sec-WebSocket-Key", &[key, key]), 400, Refusal::SeveralKeys);
    refused(&handshake_with("Sec-WebSocket-Key", &[key, "AAAAAAAAAAAAAAAAAAAAAA=="]), 400, Refusal::SeveralKeys);
    refused(&handshake_with("Sec-WebSocket-Key", &[&format!("{key}, {key}")]), 400, Refusal::BadKey);
}

#[test]
fn t15_a_key_of_other_than_16_bytes_is_400() {
    // 0, 1, 12, 15, 17, 18, 19 and 24 bytes.
    for key in [
        "",
        "AA==",
        "AAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAA=",
        "AAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAA==",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        &"A".repeat(1 << 16),
    ] {
        refused(&handshake_with("Sec-WebSocket-Key", &[key]), 400, Refusal::BadKey);
    }
}

#[test]
fn t15_a_key_that_is_not_base64_is_400() {
    for key in [
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZ===",
        "dGhlIHNhbXBsZS-ub25jZQ==",
        "dGhlIHNhbXBsZ_Bub25jZQ==",
        "dGhl IHNhbXBsZSBub25jZQ=",
        "========================",
        "!!!!!!!!!!!!!!!!!!!!!!==",
    ] {
        refused(&handshake_with("Sec-WebSocket-Key", &[key]), 400, Refusal::BadKey);
    }
    let mut request = get(HANDSHAKE);
    request.headers.insert("sec-websocket-key", HeaderValue::from_bytes(&[0xff; 24]).unwrap());
    refused(&request, 400, Refusal::BadKey);
}

#[test]
fn rfc_4648_3_5_the_unused_bits_of_a_key_may_be_anything() {
    let response = accepted(&handshake_with("Sec-WebSocket-Key", &["dGhlIHNhbXBsZSBub25jZR=="]));
    assert_eq!(response.header("sec-websocket-accept"), Some(&*accept_key("dGhlIHNhbXBsZSBub25jZR==")));
}

#[test]
fn t15_versions_7_8_12_and_14_are_426_with_the_version_we_speak() {
    for version in ["7", "8", "12", "14", "0", "013", "+13", "13.0", "13, 8", "8, 13", "", "thirteen"] {
        refused(&handshake_with("Sec-WebSocket-Version", &[version]), 426, Refusal::OtherVersion);
    }
    let answer = Refusal::OtherVersion.into_response();
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    assert_eq!((answer.header("upgrade"), answer.header("connection")), (Some("websocket"), Some("Upgrade")));
}

#[test]
fn t15_a_missing_version_is_426_and_a_duplicate_one_400() {
    refused(&handshake_with("Sec-WebSocket-Version", &[]), 426, Refusal::OtherVersion);
    refused(&handshake_with("Sec-WebSocket-Version", &["13", "13"]), 400, Refusal::SeveralVersions);
    refused(&handshake_with("Sec-WebSocket-Version", &["13", "8"]), 400, Refusal::SeveralVersions);
}

#[test]
fn t15_a_missing_connection_token_is_400() {
    for lines in [&[][..], &["keep-alive"], &["keep-alive, close"], &["upgraded"], &["up grade"], &["\"upgrade\""], &[","]] {
        refused(&handshake_with("Connection", lines), 400, Refusal::NoConnectionToken);
    }
}

#[test]
fn t15_a_connection_list_with_upgrade_anywhere_is_accepted() {
    for lines in [&["keep-alive, Upgrade"][..], &["Upgrade,keep-alive"], &["keep-alive", "x , upgrade\t,"], &[",,UPGRADE"]] {
        accepted(&handshake_with("Connection", lines));
    }
}

#[test]
fn t15_an_upgrade_to_something_else_is_400() {
    for lines in [&["h2c"][..], &["websocket/13"], &["web socket"], &["websockets"], &["h2c", "TLS/1.0"], &[""], &[",,,"]] {
        refused(&handshake_with("Upgrade", lines), 400, Refusal::OtherUpgrade);
    }
}

#[test]
fn t15_an_upgrade_list_with_websocket_not_first_is_accepted() {
    for lines in [&["h2c, WebSocket"][..], &["TLS/1.0,h2c,websocket"], &["h2c", "websocket"], &[" , websocket, h2c"]] {
        accepted(&handshake_with("Upgrade", lines));
    }
}

#[test]
fn t15_mixed_case_is_accepted() {
    accepted(&get("hOST: server.example.com
        uPGRADE: WebSocKET
        cONNECTION: uPGRADE
        sEC-wEBsOCKET-kEY: dGhlIHNhbXBsZSBub25jZQ==
        SEC-WEBSOCKET-VERSION: 13"));
}

#[test]
fn t15_without_upgrade_it_is_an_ordinary_request_and_426() {
    refused(&get("Host: server.example.com"), 426, Refusal::NotAHandshake);
    refused(&handshake_with("Upgrade", &[]), 426, Refusal::NotAHandshake);
    let answer = Refusal::NotAHandshake.into_response();
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    assert_eq!((answer.header("upgrade"), answer.header("connection")), (Some("websocket"), Some("Upgrade")));
}

#[test]
fn t15_content_on_a_handshake_is_400_and_content_length_0_is_none() {
    accepted(&handshake_and("Content-Length: 0"));
    refused(&handshake_and("Content-Length: 1"), 400, Refusal::Content);
    refused(&handshake_and("Content-Length: 0, 5"), 400, Refusal::Content);
    refused(&handshake_and("Transfer-Encoding: chunked"), 400, Refusal::Content);
    refused(&get(HANDSHAKE).with_content("frames?"), 400, Refusal::Content);
}

#[test]
fn t15_bad_subprotocol_lists_are_400() {
    for lines in ["chat, chat", "chat room", "chat/1", "\"chat\"", ",", "chät"] {
        refused(&handshake_and(&format!("Sec-WebSocket-Protocol: {lines}")), 400, Refusal::BadProtocols);
    }
    refused(&handshake_and("Sec-WebSocket-Protocol: chat\nSec-WebSocket-Protocol: chat"), 400, Refusal::BadProtocols);
}

#[test]
fn t15_bad_extension_lists_are_400_and_good_ones_are_not_taken_up() {
    for list in ["permessage-deflate;", "a b", "a;b=\"c", "a;=1", ","] {
        refused(&handshake_and(&format!("Sec-WebSocket-Extensions: {list}")), 400, Refusal::BadExtensions);
    }
    let response = accepted(&handshake_and("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"));
    assert!(!response.headers.contains_key("sec-websocket-extensions"));
}

/// How long it takes to judge this, in the middle of some times.
fn time(request: &HttpRequest) -> std::time::Duration {
    let mut took: Vec<_> = (0..15)
        .map(|_| {
            let began = std::time::Instant::now();
            let _ = std::hint::black_box(Rules::new().accept(request));
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    took[7]
}

#[test]
fn t15_2000_headers_change_nothing() {
    let many: String = (0..2000).map(|n| format!("\nX-{n}: {n}")).collect();
    let (few, request) = (get(HANDSHAKE), get(&format!("{HANDSHAKE}{many}")));
    println!("t15: judged in {:?}; with 2000 fields more in {:?}", time(&few), time(&request));
    accepted(&get(&format!("{HANDSHAKE}{many}")));
    refused(&get(&format!("{}{many}", with(HANDSHAKE, "Sec-WebSocket-Key", &[]))), 400, Refusal::NoKey);
    let same: String = "\nConnection: x".repeat(2000);
    accepted(&get(&format!("{HANDSHAKE}{same}")));
}

#[test]
fn t15_64_kib_lists_get_the_right_status() {
    let size = 1 << 16;
    for hostile in [",".repeat(size), " ,".repeat(size / 2), ";".repeat(size), "a;".repeat(size / 2), "a;b=\"\\".repeat(size / 6)] {
        refused(&handshake_and(&format!("Sec-WebSocket-Protocol: {hostile}")), 400, Refusal::BadProtocols);
        refused(&handshake_and(&format!("Sec-WebSocket-Extensions: {hostile}")), 400, Refusal::BadExtensions);
        refused(&handshake_with("Connection", &[&hostile]), 400, Refusal::NoConnectionToken);
        refused(&handshake_with("Upgrade", &[&hostile]), 400, Refusal::OtherUpgrade);
    }
    refused(&handshake_and(&format!("Sec-WebSocket-Protocol: {}", "a,".repeat(size / 2))), 400, Refusal::BadProtocols);
    // Linear: what is judged to its end takes twice as long if it is twice as long, not four times. Four times of that are for a busy machine.
    let long = |parameters: usize| handshake_and(&format!("Sec-WebSocket-Extensions: a{}", ";b=c".repeat(parameters)));
    let (one, eight) = (time(&long(size / 8)), time(&long(size)));
    println!("t15: a list of {size} parameters is judged in {eight:?}, an eighth of it in {one:?}: limit 32 times");
    assert!(eight < 32 * one.max(std::time::Duration::from_micros(20)), "{one:?} {eight:?}");
    // The last of ten thousand is the one.
    let names: Vec<String> = (0..10_000).map(|n| format!("p{n}")).collect();
    let request = handshake_and(&format!("Sec-WebSocket-Protocol: {}", names.join(",")));
    assert_eq!(Rules::new().protocols(["p9999"]).accept(&request).unwrap().header("sec-websocket-protocol"), Some("p9999"));
    // Well-formed to its end, long, and nothing in it is known.
    accepted(&handshake_and(&format!("Sec-WebSocket-Extensions: a{}", ";b=\"\\c\"".repeat(size / 8))));
}

#[test]
fn d12_the_seeds_accept_all_threw_or_accepted_where_we_refuse() {
    // It threw on a missing key, and checked neither method, version, Upgrade nor Connection.
    refused(&handshake_with("Sec-WebSocket-Key", &[]), 400, Refusal::NoKey);
    refused(&get("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 426, Refusal::NotAHandshake);
    let mut post = get(HANDSHAKE);
    post.method = Method::POST;
    refused(&post, 405, Refusal::NotGet);
    refused(&handshake_with("Sec-WebSocket-Version", &["8"]), 426, Refusal::OtherVersion);
    refused(&handshake_with("Upgrade", &["h2c"]), 400, Refusal::OtherUpgrade);
    refused(&handshake_with("Connection", &["close"]), 400, Refusal::NoConnectionToken);
    let mut nothing = get("");
    nothing.headers = HeaderMap::new();
    refused(&nothing, 426, Refusal::NotAHandshake);
}

// Subprotocols (RFC 6455 §1.9, §4.2.2).

#[test]
fn the_clients_first_known_subprotocol_is_chosen() {
    let rules = Rules::new().protocols(["v1.chat", "v2.chat"]);
    for (offer, chosen) in [
        ("v2.chat, v1.chat", Some("v2.chat")),
        ("v1.chat, v2.chat", Some("v1.chat")),
        ("other,v2.chat", Some("v2.chat")),
        ("other\nSec-WebSocket-Protocol: v1.chat", Some("v1.chat")),
        ("other", None),
        ("V1.CHAT", None),
    ] {
        let response = rules.accept(&handshake_and(&format!("Sec-WebSocket-Protocol: {offer}"))).unwrap();
        assert_eq!(response.header("sec-websocket-protocol"), chosen, "{offer}");
        assert_eq!(agreed(&response).protocol.as_deref(), chosen, "{offer}");
    }
    assert!(!rules.accept(&get(HANDSHAKE)).unwrap().headers.contains_key("sec-websocket-protocol"));
    let response = accept(&handshake_and("Sec-WebSocket-Protocol: v1.chat")).unwrap();
    assert!(!response.headers.contains_key("sec-websocket-protocol"));
}

#[test]
fn is_handshake_tells_a_websocket_from_a_page() {
    assert!(is_handshake(&get(HANDSHAKE)));
    assert!(is_handshake(&handshake_with("Upgrade", &["h2c, WebSocket"])));
    // Asked for wrongly, and yet asked for.
    assert!(is_handshake(&handshake_with("Sec-WebSocket-Key", &[])));
    assert!(!is_handshake(&get("Host: server.example.com")));
    assert!(!is_handshake(&handshake_with("Upgrade", &["h2c"])));
    let mut old = get(HANDSHAKE);
    old.version = Version::HTTP_10;
    assert!(!is_handshake(&old));
}
