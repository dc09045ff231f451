//! Which origins are let in (RFC 6455 §10.2; T18).

use actix_sockets::upgrade::handshake::{Origin, Refusal, Rules};
use http::HeaderValue;

use super::*;

/// A handshake to this Host from this Origin: let in, or 403?
#[track_caller]
fn lets_in(rules: &Rules, host: &str, origin: &str) -> bool {
    judged(rules, &get(&format!("{}\nOrigin: {origin}", with(HANDSHAKE, "Host", &[host]))))
}

#[track_caller]
fn judged(rules: &Rules, request: &HttpRequest) -> bool {
    match rules.accept(request) {
        Ok(_) => true,
        Err(refusal) => {
            assert_eq!((refusal, refusal.status().as_u16()), (Refusal::ForeignOrigin, 403));
            false
        }
    }
}

#[test]
fn t18_an_absent_origin_is_accepted_under_every_rule() {
    for origin in [Origin::same(), Origin::any(), Origin::list(["https://a.example"]), Origin::check(|_, _| false)] {
        for secure in [false, true] {
            assert!(judged(&Rules::new().origin(origin.clone()).secure(secure), &get(HANDSHAKE)), "{origin:?}");
        }
    }
}

#[test]
fn t18_same_origin_is_the_default() {
    for (host, origin, same) in [
        // The same, and the scheme's default port filled in on either side.
        ("example.com", "http://example.com", true),
        ("example.com", "https://example.com", true),
        ("example.com:8080", "http://example.com:8080", true),
        ("example.com:80", "http://example.com", true),
        ("example.com:443", "https://example.com", true),
        ("example.com", "http://example.com:80", true),
        ("example.com", "https://example.com:443", true),
        ("example.com:", "http://example.com", true),
        ("EXAMPLE.com", "HTTP://example.COM", true),
        ("[::1]:8080", "http://[::1]:8080", true),
        ("[::1]", "http://[::1]", true),
        ("[2001:DB8::1]", "https://[2001:db8::1]", true),
        ("127.0.0.1:9001", "http://127.0.0.1:9001", true),
        // Another port.
        ("example.com", "http://example.com:8080", false),
        ("example.com:8080", "http://example.com", false),
        ("example.com:80", "https://example.com", false),
        ("example.com:443", "http://example.com", false),
        ("example.com", "http://example.com:443", false),
        // Another host.
        ("example.com", "http://example.org", false),
        ("example.com", "http://www.example.com", false),
        ("www.example.com", "http://example.com", false),
        ("example.com", "http://example.com.evil.example", false),
        ("example.com", "http://notexample.com", false),
        ("example.com", "http://example.com.", false),
        ("localhost", "http://127.0.0.1", false),
        // No origin at all.
        ("example.com", "null", false),
        ("null", "null", false),
        ("example.com", "", false),
        ("example.com", "example.com", false),
        ("example.com", "//example.com", false),
        ("example.com", "://example.com", false),
        ("example.com", "http:example.com", false),
        ("example.com", "http://", false),
        ("example.com", "http://example.com/", false),
        ("example.com", "http://example.com/path", false),
        ("example.com", "http://example.com?", false),
        ("example.com", "http://example.com#", false),
        ("example.com", "http://evil.example@example.com", false),
        ("example.com", "http://example.com:80@evil.example", false),
        ("example.com", "http://example.com:", false),
        ("example.com", "http://example.com:+80", false),
        ("example.com", "http://example.com:80x", false),
        ("example.com", "http://example.com:65616", false),
        ("example.com", "http://example.com http://evil.example", false),
        ("example.com", "http://evil.example http://example.com", false),
        ("example.com:80", "evil http://example.com:80", false),
        ("example.com", "http://evil.example\\example.com", false),
        ("example.com", "*", false),
        // A scheme without a default port.
        ("example.com", "app://example.com", false),
        ("example.com", "file://", false),
    ] {
        assert_eq!(lets_in(&Rules::new(), host, origin), same, "Host: {host}, Origin: {origin}");
    }
}

#[test]
fn t18_schemes_are_compared_on_tls_only() {
    for (secure, host, origin, same) in [
        (false, "example.com", "https://example.com", true),
        (true, "example.com", "https://example.com", true),
        (true, "example.com:443", "https://example.com", true),
        (true, "example.com:8443", "https://example.com:8443", true),
        (false, "example.com:8443", "http://example.com:8443", true),
        (true, "example.com:8443", "http://example.com:8443", false),
        (true, "example.com", "http://example.com", false),
        (true, "example.com:80", "http://example.com", false),
    ] {
        let rules = Rules::new().secure(secure);
        assert_eq!(lets_in(&rules, host, origin), same, "secure: {secure}, Host: {host}, Origin: {origin}");
    }
}

#[test]
fn t18_two_origins_or_one_that_is_not_ascii_are_foreign() {
    let twice = get(&format!("{HANDSHAKE}\nOrigin: http://server.example.com\nOrigin: http://server.example.com"));
    let mut obscure = get(HANDSHAKE);
    obscure.headers.insert("origin", HeaderValue::from_bytes(b"http://server.example.com\xff").unwrap());
    for request in [twice, obscure] {
        assert!(!judged(&Rules::new(), &request));
        assert!(!judged(&Rules::new().origin(Origin::check(|_, _| true)), &request));
        assert!(judged(&Rules::new().origin(Origin::any()), &request));
    }
}

#[test]
fn t18_an_origin_without_a_host_to_compare_with_is_foreign() {
    let hostless = get(&format!("{}\nOrigin: http://server.example.com", with(HANDSHAKE, "Host", &[])));
    assert!(!judged(&Rules::new(), &hostless));
    let two = get(&format!("{}\nOrigin: http://a.example", with(HANDSHAKE, "Host", &["a.example", "b.example"])));
    assert!(!judged(&Rules::new(), &two));
}

#[test]
fn rfc_9112_3_2_2_a_request_target_in_absolute_form_stands_above_host() {
    let mut request = get(&format!("{}\nOrigin: http://a.example:8080", with(HANDSHAKE, "Host", &["b.example"])));
    assert!(!judged(&Rules::new(), &request));
    request.uri = "http://a.example:8080/chat".parse().unwrap();
    assert!(judged(&Rules::new(), &request));
}

#[test]
fn t18_any_lets_everybody_in() {
    let rules = Rules::new().origin(Origin::any()).secure(true);
    for origin in ["http://evil.example", "null", "", "nonsense"] {
        assert!(lets_in(&rules, "example.com", origin), "{origin}");
    }
}

#[test]
fn t18_a_list_has_origins_and_host_patterns() {
    let list = ["https://app.example.com", "http://localhost:3000", "*.example.org", "*.example.net:8443", "https://*.example.edu"];
    let rules = Rules::new().origin(Origin::list(list));
    for (origin, listed) in [
        ("https://app.example.com", true),
        ("https://app.example.com:443", true),
        ("HTTPS://APP.example.com", true),
        ("http://app.example.com", false),
        ("https://app.example.com:8443", false),
        ("https://x.app.example.com", false),
        ("https://app.example.com.evil.example", false),
        ("http://localhost:3000", true),
        ("http://localhost", false),
        ("https://localhost:3000", false),
        ("https://a.example.org", true),
        ("http://a.example.org", true),
        ("https://a.b.EXAMPLE.org", true),
        ("https://example.org", false),
        ("https://.example.org", false),
        ("https://aexample.org", false),
        ("https://a.example.org:8443", false),
        ("https://a.example.org.evil.example", false),
        ("https://evil.example/.example.org", false),
        ("https://evil.example#.example.org", false),
        ("app://a.example.org", false),
        ("https://a.example.net:8443", true),
        ("https://a.example.net", false),
        ("https://a.example.edu", true),
        ("http://a.example.edu", false),
        ("null", false),
        // The server's own is listed or it is not let in.
        ("http://server.example.com", false),
    ] {
        assert_eq!(lets_in(&rules, "server.example.com", origin), listed, "{origin}");
    }
}

#[test]
fn t18_a_host_pattern_wants_https_when_the_connection_is_tls() {
    let rules = Rules::new().origin(Origin::list(["*.example.org", "http://listed.example.com"])).secure(true);
    assert!(lets_in(&rules, "example.org", "https://a.example.org"));
    assert!(!lets_in(&rules, "example.org", "http://a.example.org"));
    assert!(lets_in(&rules, "example.org", "http://listed.example.com"), "an origin that is written out is meant");
}

#[test]
fn t18_an_entry_that_is_no_origin_lets_nobody_in() {
    for entry in
        ["*", "null", "", "https://*", "*.*.example.com", "https://", "://a.example", "https://a.example/path", "a.example:x", "*."]
    {
        let rules = Rules::new().origin(Origin::list([entry]));
        for origin in ["null", "https://a.example", "https://a.b.example.com", "http://*", ""] {
            assert!(!lets_in(&rules, "example.com", origin), "{entry} lets in {origin}");
        }
    }
    let slash = Rules::new().origin(Origin::list(["https://a.example/", "app://chat"]));
    assert!(lets_in(&slash, "example.com", "https://a.example"));
    assert!(lets_in(&slash, "example.com", "app://chat"));
    assert_eq!(format!("{:?}", Origin::list(["https://a.example/", "*.b.example:1"])), "[https://a.example, *.b.example:1]");
}

#[test]
fn t18_a_callback_sees_the_origin_and_the_request() {
    let rules = Rules::new().origin(Origin::check(|origin, request| origin == "null" && request.path() == "/chat"));
    assert!(lets_in(&rules, "example.com", "null"));
    assert!(!lets_in(&rules, "example.com", "http://example.com"));
    let mut elsewhere = handshake_and("Origin: null");
    elsewhere.uri = "/other".parse().unwrap();
    assert!(!judged(&rules, &elsewhere));
}
