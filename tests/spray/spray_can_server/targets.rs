//! The examples about request-targets and `Host`: what is refused, by which words; the default host; the raw target.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::http::{HttpEnd, Settings as HttpSettings};
use actix_sockets::{Bind, HttpClosed, Register, Settings, Sockets};
use http::{HeaderValue, Version};
use tokio::sync::mpsc::unbounded_channel;

use super::Echo;
use crate::peer::Peer;

/// With spray's `verbose-error-messages`: the answer says what is wrong. The handler hears of no request, and how the connection ends: in order, and
/// we began. (spray waits for the peer's end without being asked to, and calls it confirmed.)
#[track_caller]
fn refused(request: &str, says: &str) {
    let text = System::new().block_on(async {
        let (tell, mut ends) = unbounded_channel();
        let echo = move || {
            let ends = Some(tell.clone());
            Register::factory(move || Echo { ends, ..Echo::default() }).hears::<HttpClosed>()
        };
        let settings = Settings::new().http(HttpSettings::new().verbose_errors(true));
        let bind = Bind::registering(echo, "127.0.0.1:0").workers(1).settings(settings);
        let bound = Sockets::from_registry().send(bind).await.unwrap().unwrap();
        let request = format!("{request}\r\n\r\n");
        let peer = tokio::task::spawn_blocking(move || {
            let mut tcp = TcpStream::connect(bound.address).unwrap();
            tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            tcp.write_all(request.as_bytes()).unwrap();
            let mut text = String::new();
            tcp.read_to_string(&mut text).unwrap();
            text
        });
        let text = actix::spawn(peer).await.unwrap().unwrap();
        assert_eq!(ends.recv().await, Some(HttpEnd::Closed));
        text
    });
    assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{text}");
    assert!(text.ends_with(&format!("\r\n\r\n400 Bad Request: {says}\n")), "{text}");
}

const HOST: &str = "Host is missing, invalid, repeated or contradicts the request-target (RFC 9112 §3.2)";
const FORM: &str = "the request-target's form does not go with the method (RFC 9112 §3.2)";
const TARGET: &str = "the request-target is no URI reference without fragment (RFC 9112 §3.2)";

#[test]
fn no_host_in_1_1() {
    refused("GET / HTTP/1.1", HOST);
}

/// spray refuses it: it makes a whole URI of each target. HTTP/1.0 needs no host (RFC 9112 §3.2), and the handler is asked here.
#[test]
fn no_host_in_1_0() {
    let (_, request) = Peer::new(HttpSettings::new()).says("GET / HTTP/1.0\r\n\r\n").request();
    assert_eq!((request.uri.to_string().as_str(), request.header("host")), ("/", None));
}

#[test]
fn an_empty_host_in_1_1() {
    refused("GET / HTTP/1.1\r\nHost:", HOST);
}

#[test]
fn an_empty_host_in_1_0() {
    refused("GET / HTTP/1.0\r\nHost:", HOST);
}

#[test]
fn an_ill_formed_uri() {
    refused("GET http://host:naaa HTTP/1.1", FORM);
}

#[test]
fn a_uri_with_a_fragment() {
    refused("GET /path?query#fragment HTTP/1.1", TARGET);
}

#[test]
fn an_absolute_uri_without_authority() {
    refused("GET http:/foo HTTP/1.1\r\nHost: spray.io", TARGET);
}

#[test]
fn an_absolute_uri_whose_authority_is_not_the_host() {
    refused("GET http://foo/bar HTTP/1.1\r\nHost: spray.io", HOST);
}

// ── the default host ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Version, target and host of a request, where `spray.io:8765` is the default of the latter.
fn with_default_host(request: &str) -> (Version, String, Option<String>) {
    let settings = HttpSettings::new().default_host_header(Some(HeaderValue::from_static("spray.io:8765")));
    let (_, request) = Peer::new(settings).says(format!("{request}\r\n\r\n")).request();
    (request.version, request.uri.to_string(), request.header("host").map(str::to_owned))
}

/// An absolute target has its own authority: it needs no default (RFC 9112 §3.3).
#[test]
fn a_default_host_for_1_0_with_an_absolute_uri() {
    assert_eq!(with_default_host("GET http://foo/bar HTTP/1.0"), (Version::HTTP_10, "http://foo/bar".to_owned(), None));
}

/// spray puts it into the URI; here it is the `Host` that the request lacks.
#[test]
fn a_default_host_for_1_0_with_a_path() {
    assert_eq!(with_default_host("GET /foo HTTP/1.0"), (Version::HTTP_10, "/foo".to_owned(), Some("spray.io:8765".to_owned())));
}

#[test]
fn a_default_host_for_1_1_with_an_empty_one() {
    let told = with_default_host("GET /foo HTTP/1.1\r\nHost:");
    assert_eq!(told, (Version::HTTP_11, "/foo".to_owned(), Some("spray.io:8765".to_owned())));
}

// ── the raw target ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// spray's URI is decoded, and a header has the raw one. Ours is not: header and URI are the same.
#[track_caller]
fn raw(target: &str, version: &str, host: &str) {
    let settings = HttpSettings::new().raw_request_target_header(true);
    let (_, request) = Peer::new(settings).says(format!("GET {target} HTTP/{version}\r\n{host}\r\n")).request();
    assert_eq!((request.header("raw-request-uri"), request.uri.to_string().as_str()), (Some(target), target));
}

const EXAMPLE: &str = "Host: example.com\r\n";

#[test]
fn a_raw_path_in_1_1() {
    raw("/f%6f%6fbar?q=b%61z", "1.1", EXAMPLE);
}

/// spray decodes a host, too: `ex%61mple.com`. Here it is the one that `Host` names, or none.
#[test]
fn a_raw_absolute_uri_in_1_1() {
    raw("http://example.com/f%6f%6fbar?q=b%61z", "1.1", EXAMPLE);
    crate::peer::refused(400, &format!("GET http://ex%61mple.com/f%6f%6fbar?q=b%61z HTTP/1.1\r\n{EXAMPLE}\r\n"));
}

#[test]
fn a_raw_path_in_1_0() {
    raw("/f%6f%6fbar?q=b%61z", "1.0", EXAMPLE);
}

#[test]
fn a_raw_absolute_uri_in_1_0() {
    raw("http://example.com/f%6f%6fbar?q=b%61z", "1.0", "");
}
