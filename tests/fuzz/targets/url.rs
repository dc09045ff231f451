//! The URL of a websocket (RFC 6455 §3): what is taken for one leads to a request that a server takes.

use std::time::Instant;

use actix_sockets::http::{Client, Event, HttpError, Server, Settings, UriParsing};
use actix_sockets::upgrade::handshake::{self, Target};
use bytes::BytesMut;

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let target = match Target::parse(text) {
        Ok(target) => target,
        Err(error) => {
            let error = error.to_string();
            assert!(text.len() < 12 || !error.contains(text), "an error does not repeat what may hold a password");
            return;
        }
    };
    if let Some(secret) = target.authorization.as_ref().and_then(|value| value.to_str().ok()) {
        assert!(!format!("{target:?}").contains(secret), "nor does Debug");
    }
    let authority = target.authority.to_str().expect("ASCII").to_owned();
    let scheme = if target.secure { "wss" } else { "ws" };
    let again = Target::parse(&format!("{scheme}://{authority}{}", target.uri)).expect("its parts are one");
    assert_eq!(
        (&again.host, again.port, &again.authority, &again.uri, again.secure),
        (&target.host, target.port, &target.authority, &target.uri, target.secure)
    );
    // What is written for it is one request, for that host and target.
    let now = Instant::now();
    let mut client = Client::new(Settings::new(), now).secure(target.secure);
    client.request(handshake::request(&target, *b"the sample nonce"), now);
    let written = client.output().take(usize::MAX);
    // A URL is taken as browsers take it: what no URI may have it keeps.
    let settings = Settings::new().uri_parsing(UriParsing::RelaxedWithRawQuery);
    let mut server = Server::new(settings.head_limit(1 << 20).target_limit(1 << 20).field_value_limit(1 << 20), now).secure(target.secure);
    server.receive(BytesMut::from(&written[..]), now);
    let event = server.poll_event();
    let escapes =
        |path: &str| path.split('%').skip(1).all(|rest| rest.len() > 1 && rest.bytes().take(2).all(|digit| digit.is_ascii_hexdigit()));
    if !escapes(target.uri.path()) {
        return assert!(matches!(event, Some(Event::Failed(HttpError::RequestTarget))), "{event:?}");
    }
    let Some(Event::Request { request, .. }) = event else { panic!("{event:?}: {}", written.escape_ascii()) };
    assert_eq!((request.raw_target().as_ref(), request.headers.get("host")), (target.uri.to_string().as_str(), Some(&target.authority)));
    assert!(handshake::accept(&request).is_ok() && server.poll_event().is_none());
}
