//! The examples of spray's host-level and request-level client, of which we have neither (B46, B47): a connection at a time is all there is. What they say
//! of a request, of the way to a host and of an answer holds of a connection, too; what they say of many is lacking.

use std::time::Duration;

use actix::prelude::*;
use actix_sockets::handshake::{Target, UrlError};
use actix_sockets::http::HttpError;
use actix_sockets::{Bind, Bound, CloseAll, ClosedAll, Connect, HttpRequest, HttpResponse, Proxies, Register, Responder, Sockets};
use http::header::{DATE, HOST, HeaderName, HeaderValue, LOCATION};
use http::{Method, StatusCode, Uri};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{connect, get, made};
use crate::spray_can_server::{bound, listening};

fn seen(request: &HttpRequest) -> String {
    let fields = [HOST, DATE].map(|name| request.header(name).unwrap_or("-").to_owned());
    format!("{} {} {}", request.method, request.uri, fields.join(" "))
}

/// Answers with what it has seen: method, target, `Host` and `Date`.
async fn seeing() -> Bound {
    let answering = || Register::answering(|request: HttpRequest, sender: Responder| sender.do_send(HttpResponse::ok(seen(&request))));
    listening(Bind::registering(answering, "127.0.0.1:0")).await
}

/// What the server has seen of this request.
fn seen_of(method: Method, uri: &str, fields: &[(HeaderName, &'static str)]) -> String {
    let request = HttpRequest::new(method, uri.parse().unwrap());
    let request = fields.iter().fold(request, |request, (name, value)| request.with_header(name.clone(), HeaderValue::from_static(value)));
    System::new().block_on(async move {
        let response = connect(seeing().await.address).await.send(request).await.unwrap();
        String::from_utf8(response.content.to_vec()).unwrap()
    })
}

// ── a host ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_request_with_a_host() {
    let fields = [(HOST, "example.com:99"), (DATE, "Thu, 25 Aug 2011 09:10:29 GMT")];
    assert_eq!(seen_of(Method::GET, "/hij", &fields), "GET /hij example.com:99 Thu, 25 Aug 2011 09:10:29 GMT");
}

/// spray's is that of the connector; here it is the connection's, unless the URI has one.
#[test]
fn a_host_is_added_where_there_is_none() {
    assert!(seen_of(Method::GET, "/lmn", &[]).starts_with("GET /lmn 127.0.0.1:"));
    assert_eq!(seen_of(Method::GET, "http://example.com:99/lmn", &[]), "GET /lmn example.com:99 -");
}

/// spray leaves them as they are. Only a proxy is to be sent one (RFC 9112 §3.2.2): it becomes a path, and `Host`.
#[test]
fn an_absolute_uri() {
    assert_eq!(seen_of(Method::GET, "http://example.com:99/foo", &[]), "GET /foo example.com:99 -");
}

/// Lets what is asked be answered, and cuts off what is not within the grace.
#[test]
fn close_all() {
    System::new().block_on(async {
        let bound = bound().await;
        let (idle, waiting) = (connect(bound.address).await, connect(bound.address).await);
        assert_eq!(idle.send(get("/abc")).await.unwrap().content, "/abc");
        let never = waiting.send(get("/never"));
        let closed = Sockets::from_registry().send(CloseAll::within(Duration::from_millis(100))).await.unwrap();
        assert_eq!(closed, ClosedAll { cut_off: 1 });
        assert!(never.await.is_err());
        assert_eq!(idle.send(get("/abc")).await.unwrap_err(), HttpError::NotSent);
    });
}

/// spray's `ClientSSLEngineProvider`: whom a connection trusts is said with it.
#[cfg(feature = "tls")]
#[test]
fn a_tls_client_of_ones_own() {
    use actix_sockets::{ConnectError, tls};

    let (authority, other) = (crate::authority::Authority::new("ours"), crate::authority::Authority::new("another"));
    let server = tls::Server::builder(authority.signs(&["127.0.0.1"]).identity()).build().unwrap();
    System::new().block_on(async {
        let answering =
            || Register::answering(|request: HttpRequest, sender: Responder| sender.do_send(HttpResponse::ok(request.secure.to_string())));
        let bound = listening(Bind::registering(answering, "127.0.0.1:0").tls(server)).await;
        let trusting = |authority: &crate::authority::Authority| tls::Client::builder().authorities(authority.trusted()).build().unwrap();
        let requester = made(|asker| Connect::new(asker, "127.0.0.1", bound.address.port()).tls(trusting(&authority))).await;
        assert_eq!(requester.send(get("/")).await.unwrap().content, "true");
        let connect = Connect::new(super::Asker(None).start(), "127.0.0.1", bound.address.port()).tls(trusting(&other));
        let error = Sockets::from_registry().send(connect).await.unwrap().unwrap_err();
        assert!(matches!(error, ConnectError::Tls(..)), "{error}");
    });
}

// ── proxies ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

async fn head(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        heard.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(heard).unwrap()
}

/// `example.com` is reached by way of a proxy that is set so: spray's is sent the absolute URI, ours asked for a tunnel, whatever is spoken in it (B48).
fn goes_by(proxy: impl FnOnce(Connect, Target) -> Connect) {
    System::new().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let asks = made(|asker| proxy(Connect::new(asker, "example.com", 8080), target));
        let tunnel = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let connect = head(&mut stream).await;
            assert!(connect.starts_with("CONNECT example.com:8080 HTTP/1.1\r\nhost: example.com:8080\r\n"), "{connect}");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            stream
        };
        let (requester, mut stream) = tokio::join!(asks, tunnel);
        let answer = requester.send(HttpRequest::new(Method::GET, Uri::from_static("http://example.com:8080/foo")));
        let asked = head(&mut stream).await;
        assert!(asked.starts_with("GET /foo HTTP/1.1\r\nhost: example.com:8080\r\n"), "{asked}");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        assert_eq!(answer.await.unwrap().content, "ok");
    });
}

/// A host is reached without the proxy that is set, at which nobody listens.
fn goes_directly(settings: impl FnOnce(Connect, Target) -> Connect) {
    System::new().block_on(async {
        let bound = bound().await;
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let proxy = Target::parse(&format!("http://{nobody}")).unwrap();
        let requester = made(|asker| settings(Connect::new(asker, "127.0.0.1", bound.address.port()), proxy)).await;
        assert_eq!(requester.send(get("/foo")).await.unwrap().content, "/foo");
    });
}

/// What an environment would say.
fn environment(proxy: &Target, except: &str) -> Proxies {
    let proxy = format!("{}:{}", proxy.host, proxy.port);
    Proxies::of(|name| match name {
        "http_proxy" => Some(proxy.clone().into()),
        "no_proxy" => Some(except.into()),
        _ => None,
    })
    .unwrap()
}

#[test]
fn a_configured_proxy() {
    goes_by(|connect, proxy| connect.proxies(Proxies::all(proxy)));
}

#[test]
fn no_configured_proxy_to_these_hosts() {
    goes_directly(|connect, proxy| connect.proxies(Proxies::all(proxy).except("example.com, 127.0.0.1").unwrap()));
}

#[test]
fn a_proxy_of_the_connections_own() {
    goes_by(|connect, proxy| connect.proxy(&proxy));
}

#[test]
fn none_in_place_of_what_is_configured() {
    goes_directly(|connect, proxy| connect.proxy(&proxy).proxies(Proxies::default()));
}

/// Of all requests: spray's file, here the environment.
#[test]
fn a_proxy_of_the_environment() {
    goes_by(|connect, proxy| connect.proxies(environment(&proxy, "")));
}

#[test]
fn no_proxy_of_the_environment_to_these_hosts() {
    goes_directly(|connect, proxy| connect.proxies(environment(&proxy, "127.0.0.0/8")));
}

// ── redirects ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// Answers so, wherever one goes.
async fn redirecting(status: StatusCode) -> Bound {
    let answering = move || {
        Register::answering(move |request: HttpRequest, sender: Responder| {
            assert_eq!(request.path(), "/def");
            sender.do_send(HttpResponse::new(status).with_header(LOCATION, HeaderValue::from_static("/go-here")));
        })
    };
    listening(Bind::registering(answering, "127.0.0.1:0")).await
}

fn is_told_of_it(method: Method, status: StatusCode) {
    System::new().block_on(async {
        let bound = redirecting(status).await;
        // It is about upgrades only.
        let requester = made(|asker| Connect::new(asker, "127.0.0.1", bound.address.port()).redirects(5)).await;
        let response = requester.send(HttpRequest::new(method, Uri::from_static("http://a/def"))).await.unwrap();
        assert_eq!((response.status, response.header(LOCATION)), (status, Some("/go-here")));
    });
}

#[test]
fn a_redirect_is_told() {
    is_told_of_it(Method::GET, StatusCode::TEMPORARY_REDIRECT);
}

#[test]
fn a_301_of_a_post_is_told() {
    is_told_of_it(Method::POST, StatusCode::MOVED_PERMANENTLY);
}

// ── a request to whom it concerns ───────────────────────────────────────────────────────────────────────────────────────────────────

/// A fragment is nobody's but ours (RFC 9110 §7.1).
#[test]
fn an_absolute_uri_with_query_and_fragment() {
    assert_eq!(seen_of(Method::GET, "http://a:81/abc?query#fragment", &[]), "GET /abc?query a:81 -");
}

#[test]
fn an_absolute_uri_without_path() {
    assert_eq!(seen_of(Method::GET, "http://a:81", &[]), "GET / a:81 -");
}

#[test]
fn an_absolute_uri_whose_path_begins_with_two_slashes() {
    assert_eq!(seen_of(Method::GET, "http://a:81//foo", &[]), "GET //foo a:81 -");
}

/// spray knows no host to connect to. We are connected: it is that one.
#[test]
fn neither_host_nor_authority() {
    System::new().block_on(async {
        let address = seeing().await.address;
        let response = connect(address).await.send(HttpRequest::new(Method::GET, Uri::from_static("/abc"))).await.unwrap();
        assert_eq!(response.content, format!("GET /abc {address} -"));
    });
}

/// spray takes the host for one.
#[test]
fn a_url_without_a_scheme() {
    assert_eq!(Target::parse("example.com:8080/abc").unwrap_err(), UrlError::Scheme);
}

#[test]
fn a_url_of_another_scheme() {
    assert_eq!(Target::parse("blub:example.com:8080/abc").unwrap_err(), UrlError::Scheme);
}

lacking! {
    the_same_connector_for_the_same_host: "host-level client (B46)";
    another_connector_for_another_host: "host-level client (B46)";
    default_headers: "host-level client (B46): `User-Agent` is all that is added";
    the_same_connector_by_way_of_the_same_proxy: "host-level client (B46)";
    a_redirect_that_is_followed: "host-level client (B46): redirects of upgrades only are followed, see `tests/actors`";
    one_redirect_that_is_followed_and_no_more: "host-level client (B46)";
    a_302_of_a_post_that_becomes_a_get: "host-level client (B46)";
    a_302_of_a_head_that_stays_one: "host-level client (B46)";
    a_request_to_whom_it_concerns: "request-level client (B47)";
}
