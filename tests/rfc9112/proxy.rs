//! RFC 9110 §9.3.6, CONNECT: our client by way of a scripted proxy, which is the host behind the tunnel, too.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use actix_sockets::handshake::Target;
use actix_sockets::{Connect, Requester, Sockets};

use crate::client::{Asker, CLIENTS, ask, get, spawn};
use crate::peer::{Cut, PATIENCE, Peer};
use crate::transport::{Transport, over_each};

/// A client that goes to `localhost:99` by way of this proxy, how that ends, and its stream.
fn by_way_of(transport: Transport, credentials: &str, within: Duration) -> (Receiver<Requester>, Receiver<String>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Target::parse(&format!("http://{credentials}127.0.0.1:{}", listener.local_addr().unwrap().port())).unwrap();
    let ((tell, told), (say, said)) = (channel(), channel());
    CLIENTS.spawn_fn(move || {
        use actix::prelude::*;
        let connect = transport.connect(Connect::new(Asker(tell).start(), "localhost", 99)).proxy(&proxy).timeout(within);
        let made = Sockets::from_registry().send(connect);
        spawn(async move {
            let _ = say.send(match made.await.unwrap() {
                Ok(_) => "connected".to_owned(),
                Err(error) => error.to_string(),
            });
        });
    });
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    (told, said, stream)
}

fn head(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a request");
        heard.push(byte[0]);
    }
    String::from_utf8(heard).unwrap()
}

/// The tunnel, then whatever is spoken through it: TLS is between the client and the host.
#[test]
fn through_a_tunnel() {
    over_each(|transport| {
        for (credentials, field) in [("", ""), ("user:pass@", "proxy-authorization: Basic dXNlcjpwYXNz\r\n")] {
            let (requester, said, mut stream) = by_way_of(transport, credentials, PATIENCE);
            let asked = head(&mut stream);
            assert!(asked.starts_with("CONNECT localhost:99 HTTP/1.1\r\nhost: localhost:99\r\n"), "{asked}");
            assert!(
                asked.contains(field) && asked.contains("user-agent: ") && (field.is_empty() != asked.contains("proxy-auth")),
                "{asked}"
            );
            // An interim one, and a length that means nothing (RFC 9110 §9.3.6).
            for byte in b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n" {
                stream.write_all(&[*byte]).unwrap();
            }
            let mut peer = Peer::accepted(stream, transport);
            assert_eq!(said.recv_timeout(PATIENCE).unwrap(), "connected");
            let requester = requester.recv_timeout(PATIENCE).unwrap();
            let answer = ask(&requester, get("http://a/x"));
            assert!(peer.hears_up_to("\r\n\r\n").starts_with("GET /x HTTP/1.1\r\nhost: a\r\n"), "its credentials are the proxy's only");
            peer.says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Cut::Bytes);
            assert_eq!(answer.recv_timeout(PATIENCE).unwrap(), "200 hello");
        }
    });
}

#[test]
fn there_is_no_tunnel() {
    for (answer, error) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "407"),
        ("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno", "502"),
        ("SSH-2.0\r\n", "malformed status-line"),
        ("HTTP/1.1 200 OK\r\n\r\nsomething", "answers no request"),
        ("", "the connection ended"),
    ] {
        let (_requester, said, mut stream) = by_way_of(Transport::Clear, "", PATIENCE);
        head(&mut stream);
        stream.write_all(answer.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let heard = said.recv_timeout(PATIENCE).unwrap();
        assert!(heard.starts_with("no connection to localhost:99 by way of the proxy: ") && heard.contains(error), "{heard}");
    }
    // A proxy that says nothing has as long as all of it may take.
    let (_requester, said, _stream) = by_way_of(Transport::Clear, "", Duration::from_millis(200));
    assert_eq!(said.recv_timeout(PATIENCE).unwrap(), "no connection to localhost:99 within 200ms");
}
