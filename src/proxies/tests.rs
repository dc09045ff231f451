//! By which proxy, and by none.

use super::*;

/// An environment with these variables.
fn environment(variables: &[(&str, &str)]) -> Result<Proxies, ProxiesError> {
    Proxies::of(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
}

/// The proxies for `wss` and for `ws`.
fn of(variables: &[(&str, &str)]) -> [Option<String>; 2] {
    let proxies = environment(variables).expect("it is understood");
    [true, false].map(|secure| {
        let proxy = proxies.proxy(secure, "example.com", 443)?;
        Some(format!("{}:{}{}", proxy.host, proxy.port, if proxy.secure { " by TLS" } else { "" }))
    })
}

#[test]
fn each_scheme_has_its_variable() {
    let some = |proxy: &str| Some(proxy.to_owned());
    assert_eq!(of(&[]), [None, None]);
    assert_eq!(of(&[("https_proxy", "http://p:1"), ("http_proxy", "http://q:2")]), [some("p:1"), some("q:2")]);
    assert_eq!(of(&[("HTTPS_PROXY", "https://p")]), [some("p:443 by TLS"), None]);
    assert_eq!(of(&[("HTTP_PROXY", " q:3128 ")]), [None, some("q:3128")]);
    assert_eq!(of(&[("https_proxy", "p"), ("HTTPS_PROXY", "other")]), [some("p:80"), None]);
    assert_eq!(of(&[("https_proxy", ""), ("HTTPS_PROXY", "other")]), [some("other:80"), None]);
    assert_eq!(of(&[("https_proxy", "p"), ("no_proxy", "*")]), [None, None]);
    assert_eq!(of(&[("https_proxy", "p"), ("NO_PROXY", "example.com:443")]), [None, None]);
    let proxies = environment(&[("https_proxy", "http://user:pass@p")]).expect("it is understood");
    let proxy = proxies.proxy(true, "a", 443).expect("a proxy");
    assert_eq!(proxy.authorization.as_ref().map(http::HeaderValue::as_bytes), Some(&b"Basic dXNlcjpwYXNz"[..]));
    assert!(!format!("{proxies:?}").contains("pass"));
}

/// The header `Proxy` of a request to a CGI program is `HTTP_PROXY` in its environment.
#[test]
fn who_sends_a_request_does_not_choose_our_proxy() {
    assert_eq!(of(&[("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "evil.example")]), [None, None]);
    assert_eq!(of(&[("REQUEST_METHOD", "GET"), ("http_proxy", "p")]), [None, Some("p:80".to_owned())]);
}

#[test]
fn what_is_not_understood_is_an_error_and_tells_no_password() {
    for (name, value, error) in [
        ("https_proxy", "socks5://p:1080", ProxiesError::Scheme("https_proxy")),
        ("HTTP_PROXY", "ws://p", ProxiesError::Scheme("HTTP_PROXY")),
        ("HTTPS_PROXY", "http://user:secret@p q", ProxiesError::Url("HTTPS_PROXY", UrlError::ForbiddenCharacter)),
        ("http_proxy", "http://", ProxiesError::Url("http_proxy", UrlError::EmptyHost)),
        ("no_proxy", "a, b*c", ProxiesError::Exception("b*c".to_owned())),
    ] {
        let found = environment(&[(name, value)]).expect_err(value);
        assert_eq!(found, error);
        assert!(!found.to_string().contains("secret"), "{found}");
    }
    for host in ["a:b", "a:99999", "*.", ".", "a b", "[::1", "http://a", "10.0.0.0/33", "*.*", "a:"] {
        assert_eq!(Proxies::default().except(host), Err(ProxiesError::Exception(host.to_owned())));
    }
}

#[test]
fn to_some_hosts_one_goes_by_no_proxy() {
    let cases = [
        ("example.com", "example.com", 443, true),
        ("example.com", "EXAMPLE.com.", 443, true),
        ("Example.Com.", "example.com", 443, true),
        ("example.com", "www.example.com", 443, true),
        ("example.com", "a.b.example.com", 80, true),
        ("example.com", "notexample.com", 443, false),
        ("example.com", "example.com.evil.example", 443, false),
        ("example.com", "com", 443, false),
        (".example.com", "example.com", 443, true),
        (".example.com", "www.example.com", 443, true),
        (".example.com", "notexample.com", 443, false),
        ("*.example.com", "www.example.com", 443, true),
        ("*.example.com", "example.com", 443, false),
        ("example.com:8080", "www.example.com", 8080, true),
        ("example.com:8080", "www.example.com", 443, false),
        ("localhost", "localhost", 1, true),
        ("*", "anything", 1, true),
        ("*", "::1", 1, true),
        ("*:80", "a", 80, true),
        ("*:80", "a", 443, false),
        ("127.0.0.1", "127.0.0.1", 1, true),
        ("127.0.0.1", "127.0.0.10", 1, false),
        ("0.0.1", "127.0.0.1", 1, false),
        ("127.0.0.1:80", "127.0.0.1", 80, true),
        ("127.0.0.1:80", "127.0.0.1", 81, false),
        ("10.0.0.0/8", "10.20.30.40", 1, true),
        ("10.0.0.0/8", "11.0.0.1", 1, false),
        ("10.0.0.0/8", "ten.example", 1, false),
        ("::1", "::1", 1, true),
        ("[::1]", "::1", 1, true),
        ("[::1]:80", "::1", 80, true),
        ("[::1]:80", "::1", 81, false),
        ("fd00::/8", "fd12::1", 1, true),
        (" a ,, b:80 ,c ", "b", 80, true),
        (" a ,, b:80 ,c ", "c", 80, true),
        ("", "a", 80, false),
    ];
    let proxy = Target::parse("http://proxy").expect("a URL");
    for (except, host, port, is_meant) in cases {
        let proxies = Proxies::all(proxy.clone()).except(except).expect(except);
        for secure in [false, true] {
            assert_eq!(proxies.proxy(secure, host, port).is_none(), is_meant, "{host}:{port} and {except:?}");
        }
    }
}
