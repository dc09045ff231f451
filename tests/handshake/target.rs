//! The URL of a websocket (RFC 6455 §3).

use actix_sockets::upgrade::handshake::{Target, UrlError};

#[track_caller]
fn parsed(url: &str) -> Target {
    Target::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

#[test]
fn a_url_says_where_to_connect_and_what_to_ask_for() {
    for (url, secure, host, port, authority, uri) in [
        ("ws://a.example", false, "a.example", 80, "a.example", "/"),
        ("wss://a.example", true, "a.example", 443, "a.example", "/"),
        ("http://a.example/x", false, "a.example", 80, "a.example", "/x"),
        ("https://a.example/x", true, "a.example", 443, "a.example", "/x"),
        ("WSS://A.Example/Chat", true, "a.example", 443, "a.example", "/Chat"),
        // Ports: the default one is not said.
        ("ws://a.example:80/", false, "a.example", 80, "a.example", "/"),
        ("wss://a.example:443/", true, "a.example", 443, "a.example", "/"),
        ("ws://a.example:443/", false, "a.example", 443, "a.example:443", "/"),
        ("wss://a.example:80/", true, "a.example", 80, "a.example:80", "/"),
        ("ws://a.example:9001", false, "a.example", 9001, "a.example:9001", "/"),
        ("ws://a.example:/", false, "a.example", 80, "a.example", "/"),
        // Addresses.
        ("ws://127.0.0.1:9001/", false, "127.0.0.1", 9001, "127.0.0.1:9001", "/"),
        ("ws://[::1]/", false, "::1", 80, "[::1]", "/"),
        ("wss://[2001:DB8:0::1]:8443/x", true, "2001:db8::1", 8443, "[2001:db8::1]:8443", "/x"),
        // IDNA.
        ("ws://bücher.example/", false, "xn--bcher-kva.example", 80, "xn--bcher-kva.example", "/"),
        ("ws://BÜCHER.example:81/", false, "xn--bcher-kva.example", 81, "xn--bcher-kva.example:81", "/"),
        ("ws://例え.テスト/", false, "xn--r8jz45g.xn--zckzah", 80, "xn--r8jz45g.xn--zckzah", "/"),
        // Path and query.
        ("ws://a.example?x=1", false, "a.example", 80, "a.example", "/?x=1"),
        ("ws://a.example/a/b;c?x=1&y=%20?", false, "a.example", 80, "a.example", "/a/b;c?x=1&y=%20?"),
        ("ws://a.example/ü?ü", false, "a.example", 80, "a.example", "/%C3%BC?%C3%BC"),
        ("ws://a.example/%0d%0aX:y", false, "a.example", 80, "a.example", "/%0d%0aX:y"),
        ("ws://a.example/a/../b", false, "a.example", 80, "a.example", "/b"),
        ("ws://a.example//b", false, "a.example", 80, "a.example", "//b"),
        ("ws://a.example/x?", false, "a.example", 80, "a.example", "/x?"),
        ("ws://a.example/{}`\"<>'", false, "a.example", 80, "a.example", "/%7B%7D%60%22%3C%3E'"),
    ] {
        let target = parsed(url);
        let got = (target.secure, target.host.as_str(), target.port, target.authority.to_str().unwrap(), target.uri.to_string());
        assert_eq!(got, (secure, host, port, authority, uri.to_owned()), "{url}");
        assert_eq!(target.authorization, None, "{url}");
    }
}

#[test]
fn userinfo_becomes_basic_credentials() {
    for (url, credentials) in [
        ("ws://user:pass@a.example/", Some("Basic dXNlcjpwYXNz")),
        ("ws://user@a.example/", Some("Basic dXNlcjo=")),
        ("ws://:pass@a.example/", Some("Basic OnBhc3M=")),
        ("ws://user:p%40ss%3A%2F@a.example/", Some("Basic dXNlcjpwQHNzOi8=")),
        ("ws://%C3%BC:x@a.example/", Some("Basic w7w6eA==")),
        ("ws://@a.example/", None),
        ("ws://:@a.example/", None),
    ] {
        let target = parsed(url);
        assert_eq!(target.authorization.as_ref().map(|value| value.to_str().unwrap()), credentials, "{url}");
        assert_eq!(target.authority, "a.example");
        assert!(!format!("{target:?}").contains("Basic"), "{target:?}");
    }
}

#[test]
fn what_is_no_websocket_url_is_refused() {
    let malformed = UrlError::Malformed(String::new());
    for (url, error) in [
        // White space and control characters, which a browser would remove.
        (" ws://a.example/", UrlError::ForbiddenCharacter),
        ("ws://a.example/ ", UrlError::ForbiddenCharacter),
        ("ws://a.example/a b", UrlError::ForbiddenCharacter),
        ("ws://a.exa\tmple/", UrlError::ForbiddenCharacter),
        ("ws://a.example/\r\nX: y", UrlError::ForbiddenCharacter),
        ("ws://a.example/\0", UrlError::ForbiddenCharacter),
        ("ws://a.example/\u{7f}", UrlError::ForbiddenCharacter),
        ("ws://a.example/\u{85}", UrlError::ForbiddenCharacter),
        ("ws://a.example/\u{a0}", UrlError::ForbiddenCharacter),
        ("ws://a.example\\@b.example/", UrlError::ForbiddenCharacter),
        // Fragments.
        ("ws://a.example/#", UrlError::Fragment),
        ("ws://a.example/x#y", UrlError::Fragment),
        ("ws://a.example#y", UrlError::Fragment),
        // Other schemes.
        ("ftp://a.example/", UrlError::Scheme),
        ("file:///etc/passwd", UrlError::Scheme),
        ("a.example/chat", UrlError::Scheme),
        ("a.example:80", UrlError::Scheme),
        ("/chat", UrlError::Scheme),
        ("", UrlError::Scheme),
        ("://a.example", UrlError::Scheme),
        // No host, and nothing that is made one.
        ("ws://", UrlError::EmptyHost),
        ("ws:///chat", UrlError::EmptyHost),
        ("ws://?x", UrlError::EmptyHost),
        ("ws://:80/", UrlError::EmptyHost),
        ("ws://user@/", UrlError::EmptyHost),
        ("ws:a.example", malformed.clone()),
        ("ws:/a.example", malformed.clone()),
        // Hosts and ports that are none.
        ("ws://a.example:65536/", malformed.clone()),
        ("ws://a.example:x/", malformed.clone()),
        ("ws://a.example:-1/", malformed.clone()),
        ("ws://[::1/", malformed.clone()),
        ("ws://[::g]/", malformed.clone()),
        ("ws://::1/", UrlError::EmptyHost),
        ("ws://a%00b.example/", malformed.clone()),
        ("ws://a%0d%0ab.example/", malformed.clone()),
        ("ws://a%2Fb.example/", malformed.clone()),
        ("ws://a<b.example/", malformed.clone()),
        ("ws://256.1.1.1/", malformed.clone()),
        // Hosts that no Host field can say; the comma would make it a list.
        ("ws://1.2.3,/", malformed.clone()),
        ("ws://a,b.example/", malformed.clone()),
        ("ws://a\"b.example/", malformed.clone()),
        ("ws://a{b}`.example/", malformed.clone()),
        // Userinfo that cannot be sent (RFC 7617 §2).
        ("ws://us%3Aer:pass@a.example/", UrlError::Userinfo),
        ("ws://user:pa%0ass@a.example/", UrlError::Userinfo),
    ] {
        let got = Target::parse(url).expect_err(url);
        match (&got, &error) {
            (UrlError::Malformed(what), UrlError::Malformed(_)) => assert!(!what.is_empty(), "{url:?}"),
            _ => assert_eq!(got, error, "{url:?}"),
        }
        assert!(got.to_string().contains("RFC "), "{got}");
    }
}

#[test]
fn a_url_longer_than_a_request_target_may_be_is_refused() {
    let long = format!("ws://a.example/{}", "x".repeat(1 << 17));
    assert!(matches!(Target::parse(&long), Err(UrlError::Malformed(_))));
}
