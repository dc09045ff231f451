//! Where a client is sent in place of an upgrade (RFC 9110 §15.4, RFC 3986 §5; T19).

use actix_sockets::upgrade::handshake::{RedirectError, Redirected, Redirects, Target, UrlError, request};
use http::header::{AUTHORIZATION, COOKIE, LOCATION, ORIGIN, PROXY_AUTHORIZATION};

use super::*;

const KEY: [u8; 16] = *b"another nonce ..";

/// A handshake with all that is nobody's business but the origin's.
fn sent(url: &str) -> HttpRequest {
    let mut sent = request(&Target::parse(url).expect("a URL"), *b"the sample nonce");
    for (name, value) in
        [(AUTHORIZATION, "Bearer x"), (COOKIE, "id=1"), (PROXY_AUTHORIZATION, "Basic eA=="), (ORIGIN, "https://page.example")]
    {
        sent.headers.insert(name, HeaderValue::from_static(value));
    }
    sent
}

fn answer(status: u16, location: &[u8]) -> HttpResponse {
    let location = HeaderValue::from_bytes(location).expect("a field value");
    HttpResponse::new(StatusCode::from_u16(status).expect("a status")).with_header(LOCATION, location)
}

fn follow(from: &str, location: &str) -> Result<Option<Redirected>, RedirectError> {
    let secure = from.starts_with("wss");
    Redirects::up_to(5).follow(&sent(from), secure, &answer(302, location.as_bytes()), KEY)
}

/// The URL that is asked next, as the request says it.
fn leads(from: &str, location: &str) -> Result<String, RedirectError> {
    follow(from, location).map(|to| {
        let Redirected { target, request, .. } = to.expect("it is followed");
        assert_eq!(request.header("host"), target.authority.to_str().ok());
        assert_eq!((&request.uri, request.secure), (&target.uri, target.secure));
        format!("{}://{}{}", if target.secure { "wss" } else { "ws" }, request.header("host").expect("a host"), request.uri)
    })
}

#[test]
fn rfc_9110_15_4_five_statuses_are_followed_and_no_other() {
    for status in 100..=599 {
        let to = Redirects::up_to(1).follow(&sent("ws://a/"), false, &answer(status, b"/b"), KEY).expect("no error");
        assert_eq!(to.is_some(), [301, 302, 303, 307, 308].contains(&status), "{status}");
        let to = Redirects::default().follow(&sent("ws://a/"), false, &answer(status, b"/b"), KEY).expect("no error");
        assert!(to.is_none(), "none is followed by default");
    }
    // "If a Location header field is provided".
    let nowhere = HttpResponse::new(StatusCode::FOUND);
    assert!(Redirects::up_to(1).follow(&sent("ws://a/"), false, &nowhere, KEY).expect("no error").is_none());
}

/// The examples of the RFC, the abnormal ones too; of its base the scheme is ours.
#[test]
fn rfc_3986_5_4_a_relative_location_is_resolved() {
    for (location, url) in [
        ("g", "/b/c/g"),
        ("./g", "/b/c/g"),
        ("g/", "/b/c/g/"),
        ("/g", "/g"),
        ("?y", "/b/c/d;p?y"),
        ("g?y", "/b/c/g?y"),
        ("g#s", "/b/c/g"),
        ("g?y#s", "/b/c/g?y"),
        (";x", "/b/c/;x"),
        ("g;x", "/b/c/g;x"),
        ("g;x?y#s", "/b/c/g;x?y"),
        (".", "/b/c/"),
        ("./", "/b/c/"),
        ("..", "/b/"),
        ("../", "/b/"),
        ("../g", "/b/g"),
        ("../..", "/"),
        ("../../", "/"),
        ("../../g", "/g"),
        ("../../../g", "/g"),
        ("../../../../g", "/g"),
        ("/./g", "/g"),
        ("/../g", "/g"),
        ("g.", "/b/c/g."),
        (".g", "/b/c/.g"),
        ("g..", "/b/c/g.."),
        ("..g", "/b/c/..g"),
        ("./../g", "/b/g"),
        ("./g/.", "/b/c/g/"),
        ("g/./h", "/b/c/g/h"),
        ("g/../h", "/b/c/h"),
        ("g;x=1/./y", "/b/c/g;x=1/y"),
        ("g;x=1/../y", "/b/c/y"),
        ("g?y/../x", "/b/c/g?y/../x"),
        ("g#s/../x", "/b/c/g"),
        ("%0d%0aSet-Cookie:%20x", "/b/c/%0d%0aSet-Cookie:%20x"),
    ] {
        // A colon in the first segment would be a scheme's.
        let location = if location.starts_with('%') { format!("./{location}") } else { location.to_owned() };
        assert_eq!(leads("ws://a/b/c/d;p?q", &location), Ok(format!("ws://a{url}")), "{location}");
    }
    for (location, url) in [("//g", "ws://g/"), ("//g:81/x?y", "ws://g:81/x?y"), ("ws://g/h", "ws://g/h"), ("http://g", "ws://g/")] {
        assert_eq!(leads("ws://a/b/c/d;p?q", location), Ok(url.to_owned()), "{location}");
    }
    // All of the request that was sent: a "" and a "#s" lead to it.
    for location in ["", "#s", "d;p?q"] {
        assert_eq!(leads("ws://a/b/c/d;p?q", location), Err(RedirectError::Loop), "{location:?}");
    }
    // "http:g": for strict parsers a URI without authority, and http has none of those.
    assert!(matches!(leads("ws://a/b", "ws:g"), Err(RedirectError::Url(UrlError::Malformed(_)))));
}

#[test]
fn t19_another_origin_is_told_no_credentials() {
    for (from, location, same_origin) in [
        ("ws://a/x", "/y", true),
        ("ws://a/x", "ws://a:80/y", true),
        ("ws://a/x", "http://A/y", true),
        ("wss://a/x", "https://a:443/y", true),
        ("ws://a/x", "ws://a:81/y", false),
        ("ws://a/x", "wss://a/y", false),
        ("ws://a/x", "//b/y", false),
        ("ws://a/x", "ws://a.b/y", false),
        ("wss://a/x", "wss://b/y", false),
    ] {
        let to = follow(from, location).unwrap().unwrap();
        assert_eq!(to.same_origin, same_origin, "{from} {location}");
        for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
            assert_eq!(to.request.headers.contains_key(&name), same_origin, "{name} {from} {location}");
        }
        // All else goes along, and the nonce is another (RFC 6455 §4.1 item 7).
        assert_eq!(to.request.header("origin"), Some("https://page.example"));
        assert_eq!(to.request.header("sec-websocket-key"), Some("YW5vdGhlciBub25jZSAuLg=="));
        assert_eq!(to.request.headers.get_all("sec-websocket-key").iter().count(), 1);
        assert_eq!(to.request.headers.get_all("host").iter().count(), 1);
    }
}

/// What a second origin was not told the first hears no more either, should it lead back there: nobody can tell who is asking then.
#[test]
fn t19_credentials_do_not_come_back() {
    let to = follow("ws://a/x", "ws://b/y").unwrap().unwrap();
    let back = to.redirects.follow(&to.request, false, &answer(307, b"ws://a/z"), KEY).unwrap().unwrap();
    assert!(!back.request.headers.contains_key(AUTHORIZATION) && !back.request.headers.contains_key(COOKIE));
}

#[test]
fn t19_redirects_end_at_the_limit_and_where_they_go_round() {
    let mut at = (Redirects::up_to(3), sent("ws://a/0"));
    for n in 1..=3 {
        let to = at.0.follow(&at.1, false, &answer(308, format!("/{n}").as_bytes()), KEY).unwrap().unwrap();
        at = (to.redirects, to.request);
    }
    let (redirects, request) = at;
    let go = |location: &[u8]| redirects.follow(&request, false, &answer(301, location), KEY).map(|to| to.is_some());
    assert_eq!(go(b"/4"), Err(RedirectError::TooMany(3)));
    println!("t19: limit 3 redirects, 3 are followed; the next: {:?}", go(b"/4"));
    for been in ["/0", "/1", "ws://a:80/2", "3", "//A/0#again"] {
        assert_eq!(go(been.as_bytes()), Err(RedirectError::Loop), "{been}");
    }
    for error in [RedirectError::TooMany(3), RedirectError::Loop] {
        assert!(error.to_string().contains("RFC 9110 §15.4"), "{error}");
    }
}

#[test]
fn t19_tls_is_not_left() {
    for location in ["ws://a/y", "http://a/y", "ws://b/y", "http://a:443/x"] {
        assert_eq!(leads("wss://a/x", location), Err(RedirectError::Downgrade), "{location}");
    }
    assert_eq!(leads("wss://a/x", "//b/y"), Ok("wss://b/y".to_owned()));
    assert_eq!(leads("ws://a/x", "https://a/x"), Ok("wss://a/x".to_owned()));
    // A connection may be under TLS whatever the URL said.
    let to = Redirects::up_to(1).follow(&sent("ws://a/x"), true, &answer(302, b"ws://a/y"), KEY);
    assert_eq!(to.map(|to| to.is_some()), Err(RedirectError::Downgrade));
}

/// Response splitting, phishing, and whatever a lenient URL parser would make of it.
#[test]
fn t19_a_location_that_is_no_url_is_not_followed() {
    use RedirectError::{Url, Userinfo};
    use UrlError::{EmptyHost, ForbiddenCharacter, Scheme};
    for (location, error) in [
        (&b"/a b"[..], Url(ForbiddenCharacter)),
        (b"/a\tSet-Cookie: x", Url(ForbiddenCharacter)),
        (b"\\\\evil.example/", Url(ForbiddenCharacter)),
        (b"/\\evil.example/", Url(ForbiddenCharacter)),
        (b"ws://b/\xff", Url(ForbiddenCharacter)),
        (b"///evil.example/", Url(EmptyHost)),
        (b"ws:///evil.example/", Url(EmptyHost)),
        (b"javascript:alert(1)", Url(Scheme)),
        (b"file:///etc/passwd", Url(Scheme)),
        (b"b:80/x", Url(Scheme)),
        (b":", Url(Scheme)),
        (b"ws://a@b/", Userinfo),
        (b"ws://trusted.example:x@evil.example/", Userinfo),
        (b"//a:b@c/", Userinfo),
    ] {
        let to = Redirects::up_to(1).follow(&sent("ws://a/x"), false, &answer(302, location), KEY);
        assert_eq!(to.map(|to| to.is_some()), Err(error.clone()), "{}", location.escape_ascii());
        assert!(error.to_string().contains("RFC "), "{error}");
    }
    for malformed in ["ws://b:99999/", "ws://[::1/", "ws://b,c/"] {
        assert!(matches!(leads("ws://a/x", malformed), Err(Url(UrlError::Malformed(_)))), "{malformed}");
    }
    let twice = answer(302, b"/y").with_header(LOCATION, HeaderValue::from_static("/z"));
    assert_eq!(Redirects::up_to(1).follow(&sent("ws://a/x"), false, &twice, KEY).map(|_| ()), Err(RedirectError::Ambiguous));
    let mut nameless = sent("ws://a/x");
    nameless.headers.remove("host");
    assert_eq!(Redirects::up_to(1).follow(&nameless, false, &answer(302, b"/y"), KEY).map(|_| ()), Err(RedirectError::NoHost));
}
