//! Our client against servers that mean it ill: whatever they do, its handler hears within a deadline that there is no websocket, and which clause or limit says so
//! (T19).

use std::time::{Duration, Instant};

use actix_sockets::http::Settings as HttpSettings;

use crate::peer::{Host, PATIENCE, Peer};
use crate::site::{Heard, Kind, Plan};
use crate::transport::over_each;

/// What a server says, until nobody listens any more.
type Says = fn(&mut Peer, &str);

/// Says this again and again, as fast as it is taken; or once in a while.
fn without_end(peer: &mut Peer, bytes: &[u8], pause: Duration) {
    let until = Instant::now() + PATIENCE;
    while peer.is_taken(bytes) {
        assert!(Instant::now() < until, "the client goes on listening");
        std::thread::sleep(pause);
    }
}

const SLOWLY: Duration = Duration::from_millis(20);
const AT_ONCE: Duration = Duration::ZERO;

/// How each is called, what it says, and what is heard in the end.
const HOSTILE: [(&str, Says, &str); 16] = [
    ("silence", |_, _| {}, "the response was not there in time (RFC 9112 §9.5)"),
    ("a slow head", |peer, _| without_end(peer, b"H", SLOWLY), "malformed status-line (RFC 9112 §4)"),
    (
        "a slow head that could be one",
        |peer, _| {
            peer.is_taken(b"HTTP/1.1 101 Switching Protocols\r\nX: ");
            without_end(peer, b"x", SLOWLY);
        },
        "the response was not there in time (RFC 9112 §9.5)",
    ),
    (
        "interim responses without end",
        |peer, _| without_end(peer, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", AT_ONCE),
        "too many interim responses (RFC 9110 §15.2)",
    ),
    (
        "an interim response now and then",
        |peer, _| without_end(peer, b"HTTP/1.1 102 Processing\r\n\r\n", Duration::from_millis(150)),
        "the response was not there in time (RFC 9112 §9.5)",
    ),
    (
        "a head without end",
        |peer, _| {
            peer.is_taken(b"HTTP/1.1 101 Switching Protocols\r\n");
            without_end(peer, &[b"Set-Cookie: ", &[b'x'; 7000][..], b"\r\n"].concat(), AT_ONCE);
        },
        "the head exceeds the limit (RFC 6585 §5)",
    ),
    (
        "a field without end",
        |peer, _| {
            peer.is_taken(b"HTTP/1.1 101 Switching Protocols\r\nX: ");
            without_end(peer, &[b'x'; 4096], AT_ONCE);
        },
        "the head exceeds the limit (RFC 6585 §5)",
    ),
    (
        "a field too many",
        |peer, _| {
            peer.is_taken(format!("HTTP/1.1 101 Switching Protocols\r\n{}\r\n", "a: b\r\n".repeat(101)).as_bytes());
        },
        "too many field lines (RFC 6585 §5)",
    ),
    (
        "content without end",
        |peer, _| {
            peer.is_taken(b"HTTP/1.1 403 Forbidden\r\n\r\n");
            without_end(peer, &[b'x'; 4096], AT_ONCE);
        },
        "the content exceeds the limit (RFC 9110 §15.5.14)",
    ),
    (
        "content that is announced and does not come",
        |peer, _| {
            peer.is_taken(b"HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: 1000\r\n\r\n");
        },
        "the content came too slowly (RFC 9110 §15.5.9)",
    ),
    (
        "a redirect whose content has no end",
        |peer, _| {
            peer.is_taken(b"HTTP/1.1 302 Found\r\nLocation: /a\r\nTransfer-Encoding: chunked\r\n\r\n");
            without_end(peer, &[b"1000\r\n", &[b'x'; 4096][..], b"\r\n"].concat(), AT_ONCE);
        },
        "the content exceeds the limit (RFC 9110 §15.5.14)",
    ),
    (
        "a flood of chunks",
        |peer, _| {
            peer.is_taken(b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n");
            without_end(peer, b"1\r\nx\r\n", AT_ONCE);
        },
        "the content has too many chunks (RFC 9112 §7.1)",
    ),
    (
        "a chunk extension without end",
        |peer, _| {
            peer.is_taken(b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n1;a=");
            without_end(peer, b"b", AT_ONCE);
        },
        "invalid chunk extension (RFC 9112 §7.1.1)",
    ),
    (
        "trailers without end",
        |peer, _| {
            peer.is_taken(b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
            without_end(peer, b"a: b\r\n", AT_ONCE);
        },
        "invalid trailer section (RFC 9112 §7.1.2)",
    ),
    (
        "an Accept that answers another key",
        |peer, head| {
            let other = head.replace("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: A").replace("sec-websocket-key: ", "sec-websocket-key: A");
            peer.is_taken(crate::peer::switching(&other).as_bytes());
        },
        "the response's Sec-WebSocket-Accept does not answer the key, once (RFC 6455 §4.1 item 4)",
    ),
    (
        "another response in the first one's field",
        |peer, _| {
            peer.is_taken(b"HTTP/1.1 302 Found\r\nLocation: /a\rHTTP/1.1 101 Switching Protocols\r\n\r\n");
        },
        "malformed field line (RFC 9112 §5)",
    ),
];

#[test]
fn t19_whatever_a_server_does_the_client_comes_to_an_end() {
    over_each(|transport| {
        std::thread::scope(|scope| {
            for (name, says, error) in HOSTILE {
                scope.spawn(move || {
                    let host = Host::up(transport);
                    let http = HttpSettings::new()
                        .response_timeout(Duration::from_millis(600))
                        .linger(Duration::from_millis(100))
                        .content_grace(Duration::from_millis(300))
                        .content_limit(64 << 10)
                        .chunk_limit(1000);
                    let plan = Plan::new(Kind::Fed, transport).redirects(3).settings(|settings| settings.http(http));
                    let client = plan.visits(&host.url());
                    let mut peer = host.accepts();
                    let head = peer.hears_head();
                    let began = Instant::now();
                    says(&mut peer, &head);
                    let failed = client.until(|heard| match heard {
                        Heard::Failed(failed) => Some(failed),
                        Heard::Stopped => None,
                        other => panic!("{name}: {other:?}"),
                    });
                    assert!(failed.ends_with(error), "{name}: {failed}");
                    println!("{transport:?} {name}: {failed}, after {:?}", began.elapsed());
                    peer.hears_the_end();
                });
            }
        });
    });
}
