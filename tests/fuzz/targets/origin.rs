//! `Origin` against `Host` (RFC 6454 §7, RFC 6455 §10.2): an origin, a host and an entry of a list, one a line.

use actix_sockets::http::HttpRequest;
use actix_sockets::upgrade::handshake::{self, Origin, Rules, Target};
use http::{HeaderValue, header};

pub(crate) fn run(input: &[u8]) {
    let mut lines = input.split(|&byte| byte == b'\n');
    let [origin, host, entry] = [(); 3].map(|()| lines.next().unwrap_or_default());
    let (Ok(origin), Ok(host)) = (HeaderValue::from_bytes(origin), HeaderValue::from_bytes(host)) else { return };
    let target = Target::parse("ws://a/").expect("a right URL");
    let mut request = handshake::request(&target, *b"the sample nonce");
    request.headers.insert(header::HOST, host);
    let lets_in = |request: &HttpRequest, origin: Origin, secure| Rules::new().origin(origin).secure(secure).accept(request).is_ok();
    assert!(lets_in(&request, Origin::same(), false), "an absent origin is let in");
    request.headers.insert(header::ORIGIN, origin.clone());
    assert!(lets_in(&request, Origin::any(), true), "any is any");
    assert!(!lets_in(&request, Origin::check(|_, _| false), false), "nobody is nobody");
    let text = origin.to_str().map(str::trim).ok();
    for secure in [false, true] {
        if lets_in(&request, Origin::same(), secure) {
            let home = request.header(header::HOST).expect("a host that was compared").trim().to_ascii_lowercase();
            let (scheme, site) = text.expect("an origin that was compared").split_once("://").expect("an origin has a scheme");
            assert!(!secure || ["https", "wss"].iter().any(|tls| scheme.eq_ignore_ascii_case(tls)));
            assert_eq!(bare(&site.to_ascii_lowercase(), scheme), bare(&home, scheme), "the same host and port");
        }
        let Ok(entry) = std::str::from_utf8(entry) else { continue };
        if lets_in(&request, Origin::list([entry]), secure) {
            let (scheme, site) = text.expect("an origin that was compared").split_once("://").expect("an origin has a scheme");
            let named = entry.rsplit("://").next().unwrap_or_default().trim_end_matches('/').trim_start_matches('*');
            let (site, named) = (site.to_ascii_lowercase(), named.to_ascii_lowercase());
            let (site, named) = (bare(&site, scheme), bare(&named, scheme));
            assert!(site.ends_with(&named), "{site} is not {named}");
        }
    }
}

/// Host and port without the scheme's own.
fn bare(site: &str, scheme: &str) -> String {
    let own = if ["https", "wss"].iter().any(|tls| scheme.eq_ignore_ascii_case(tls)) { 443 } else { 80 };
    let site = site.strip_suffix(':').unwrap_or(site);
    match site.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => match port.parse::<u16>() {
            Ok(port) if port == own => host.to_owned(),
            Ok(port) => format!("{host}:{port}"),
            Err(_) => site.to_owned(),
        },
        _ => site.to_owned(),
    }
}
