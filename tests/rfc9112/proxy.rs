//! RFC 9110 §9.3.6, CONNECT: our client by way of a scripted proxy, which is the host behind the tunnel, too.

use std::io::{Read as _, Write as _};
#[cfg(feature = "tls")]
use std::net::SocketAddr;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use actix_sockets::handshake::Target;
use actix_sockets::{CloseAll, Connect, HttpRequest, Proxies, Requester, Sockets};
use http::Method;

use crate::client::{Asker, CLIENTS, ask, get, spawn};
use crate::peer::{Cut, PATIENCE, Peer};
#[cfg(feature = "tls")]
use crate::transport::Wire;
use crate::transport::{Transport, over_each};

/// A client that goes to `localhost:99` by way of a proxy, how that ends, and the proxy's stream. The first transport is that of what is said to the host, the second that of what is said to the
/// proxy.
fn by_way_of([transport, leg]: [Transport; 2], credentials: &str, within: Duration) -> (Receiver<Requester>, Receiver<String>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = match leg {
        Transport::Clear => format!("http://{credentials}{address}"),
        #[cfg(feature = "tls")]
        Transport::Tls => format!("https://{credentials}{}", terminates(address, true)),
    };
    let proxy = Proxies::all(Target::parse(&proxy).unwrap()).except("example.com").unwrap();
    let ((tell, told), (say, said)) = (channel(), channel());
    CLIENTS.spawn_fn(move || {
        use actix::prelude::*;
        let connect = transport.connect(Connect::new(Asker(tell).start(), "localhost", 99)).proxies(proxy).timeout(within);
        #[cfg(feature = "tls")]
        let connect = connect.proxy_tls(crate::sealed::our_client());
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

/// What stands before a proxy and speaks TLS in its stead; in the end it says so, or only FIN.
#[cfg(feature = "tls")]
fn terminates(proxy: SocketAddr, properly: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut wire: Box<dyn Wire> = Box::new(crate::sealed::Sealed::server(listener.accept().unwrap().0));
        let mut stream = TcpStream::connect(proxy).unwrap();
        wire.set_nonblocking(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        let (mut to_proxy, mut to_client) = (Relay::default(), Relay::default());
        while !(to_proxy.ended && to_client.ended) {
            let moved = [to_proxy.moves(&mut wire, &mut stream), to_client.moves(&mut stream, &mut wire)];
            match moved.into_iter().collect::<std::io::Result<Vec<_>>>() {
                Err(_) => return,
                Ok(moved) if moved.contains(&true) => {}
                Ok(_) => std::thread::sleep(Duration::from_millis(1)),
            }
            if std::mem::take(&mut to_proxy.ends) {
                stream.shutdown(std::net::Shutdown::Write).unwrap();
            }
            if std::mem::take(&mut to_client.ends) {
                let _ = if properly { wire.finish() } else { wire.tcp().shutdown(std::net::Shutdown::Write) };
            }
        }
    });
    address
}

/// One direction: what was read and not written, 64 KiB at most, and whether there is no more.
#[cfg(feature = "tls")]
#[derive(Default)]
struct Relay {
    held: Vec<u8>,
    finished: bool,
    /// The end is to be said.
    ends: bool,
    ended: bool,
}

#[cfg(feature = "tls")]
impl Relay {
    fn moves(&mut self, from: &mut impl std::io::Read, to: &mut impl std::io::Write) -> std::io::Result<bool> {
        use crate::peer::is_timeout;
        let mut moved = false;
        if self.held.is_empty() && !self.finished {
            let mut read = vec![0; 64 << 10];
            match from.read(&mut read) {
                Ok(n) => {
                    self.held.extend_from_slice(&read[..n]);
                    (self.finished, moved) = (n == 0, true);
                }
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
        }
        match to.write(&self.held) {
            Ok(n) => {
                self.held.drain(..n);
                moved |= n > 0;
            }
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(error),
        }
        if self.finished && self.held.is_empty() && !self.ended && to.flush().is_ok() {
            (self.ends, self.ended) = (true, true);
        }
        Ok(moved)
    }
}

/// The test for every transport to the host, and every one to the proxy.
fn over_each_leg(test: impl Fn([Transport; 2])) {
    over_each(|transport| {
        for leg in Transport::ALL {
            eprintln!("   to the proxy: {leg:?}");
            test([transport, leg]);
        }
    });
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
    over_each_leg(|[transport, leg]| {
        for (credentials, field) in [("", ""), ("user:pass@", "proxy-authorization: Basic dXNlcjpwYXNz\r\n")] {
            let (requester, said, mut stream) = by_way_of([transport, leg], credentials, PATIENCE);
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
        let (_requester, said, mut stream) = by_way_of([Transport::Clear; 2], "", PATIENCE);
        head(&mut stream);
        stream.write_all(answer.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let heard = said.recv_timeout(PATIENCE).unwrap();
        assert!(heard.starts_with("no connection to localhost:99 by way of the proxy: ") && heard.contains(error), "{heard}");
    }
    // A proxy that says nothing has as long as all of it may take.
    let (_requester, said, _stream) = by_way_of([Transport::Clear; 2], "", Duration::from_millis(200));
    assert_eq!(said.recv_timeout(PATIENCE).unwrap(), "no connection to localhost:99 within 200ms");
}

/// More than all buffers on the way hold, both ways.
#[test]
fn much_through_a_tunnel() {
    let content: Vec<u8> = (0..900_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    over_each_leg(|legs| {
        let (requester, said, mut stream) = by_way_of(legs, "", PATIENCE);
        head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let mut peer = Peer::accepted(stream, legs[0]);
        assert_eq!(said.recv_timeout(PATIENCE).unwrap(), "connected");
        let requester = requester.recv_timeout(PATIENCE).unwrap();
        let request = HttpRequest::new(Method::POST, "http://a/".parse().unwrap()).with_content(content.clone());
        let (tell, told) = channel();
        let answer = requester.send(request);
        CLIENTS.spawn(async move { tell.send(answer.await).unwrap() });
        peer.hears_up_to("\r\n\r\n");
        // It is not read yet, so that all on the way is full.
        std::thread::sleep(Duration::from_millis(50));
        assert!(peer.hears_exactly(content.len()) == content, "all that was sent");
        peer.says(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len()), Cut::Whole).says(&content, Cut::Whole);
        let response = told.recv_timeout(PATIENCE).unwrap().expect("a response");
        assert!(response.content == content, "all that was answered");
    });
}

/// What ends without a close_notify of the proxy may have been cut off (RFC 8446 §6.1).
#[cfg(feature = "tls")]
#[test]
fn the_proxys_end_is_no_end_of_the_hosts() {
    for properly in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Target::parse(&format!("https://{}", terminates(listener.local_addr().unwrap(), properly))).unwrap();
        let (tell, told) = channel();
        CLIENTS.spawn_fn(move || {
            use actix::prelude::*;
            let connect = Connect::new(Asker(tell).start(), "localhost", 99).proxy(&proxy).proxy_tls(crate::sealed::our_client());
            Sockets::from_registry().do_send(connect);
        });
        let mut stream = listener.accept().unwrap().0;
        head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let answer = ask(&told.recv_timeout(PATIENCE).unwrap(), get("http://a/x"));
        head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let heard = answer.recv_timeout(PATIENCE).unwrap();
        assert_eq!(heard, if properly { "200 hello" } else { "Truncated" });
    }
}

/// Nobody is asked for a tunnel before he has shown who he is: here to a client that does not know his authority.
#[cfg(feature = "tls")]
#[test]
fn the_proxys_certificate_is_looked_at() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Target::parse(&format!("https://user:pass@{}", listener.local_addr().unwrap())).unwrap();
    let (say, said) = channel();
    CLIENTS.spawn_fn(move || {
        use actix::prelude::*;
        // What is said of the host holds for the host only.
        let connect = Connect::new(Asker(channel().0).start(), "localhost", 99).tls(crate::sealed::our_client()).proxy(&proxy);
        let made = Sockets::from_registry().send(connect);
        spawn(async move { say.send(made.await.unwrap().map(|_| ()).expect_err("no tunnel").to_string()).unwrap() });
    });
    let accepted =
        std::thread::spawn(move || std::panic::catch_unwind(|| crate::sealed::Sealed::server(listener.accept().unwrap().0)).is_ok());
    let heard = said.recv_timeout(PATIENCE).unwrap();
    assert!(heard.starts_with("no connection to localhost:99 by way of the proxy: no TLS session with the proxy: "), "{heard}");
    assert!(!accepted.join().unwrap(), "there was no handshake");
}

/// `CloseAll` waits for nobody who has no connection yet.
#[test]
fn all_are_closed_while_a_proxy_thinks() {
    use actix::prelude::*;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Target::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let ((say, said), (close, closed)) = (channel(), channel());
    // Others have connections of their own.
    let (tell, told) = channel();
    CLIENTS.spawn_fn(move || tell.send(Sockets::default().start()).unwrap());
    let sockets = told.recv_timeout(PATIENCE).unwrap();
    let service = sockets.clone();
    CLIENTS.spawn_fn(move || {
        let connect = Connect::new(Asker(channel().0).start(), "localhost", 99).proxy(&proxy).timeout(2 * PATIENCE);
        let made = service.send(connect);
        spawn(async move { say.send(made.await.unwrap().map(|_| ()).expect_err("no tunnel").to_string()).unwrap() });
    });
    let mut stream = listener.accept().unwrap().0;
    head(&mut stream);
    spawn(async move { close.send(sockets.send(CloseAll::within(2 * PATIENCE)).await.unwrap()).unwrap() });
    assert_eq!(said.recv_timeout(PATIENCE).unwrap(), "no connection to localhost:99: all connections are being closed");
    assert_eq!(closed.recv_timeout(PATIENCE).unwrap().cut_off, 0);
}

/// In a process of its own, whose environment is the test's.
#[test]
fn by_the_environment() {
    const HERE: &str = "proxy::by_the_environment";
    const CLIENT: &str = "TESTS_OF_ACTIX_SOCKETS_CLIENT";
    if std::env::var_os(CLIENT).is_none() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::process::Command::new(std::env::current_exe().unwrap());
        client.args(["--exact", HERE, "--nocapture"]).env(CLIENT, "").env("http_proxy", listener.local_addr().unwrap().to_string());
        client.env_remove("NO_PROXY").env("no_proxy", ".invalid:81").env_remove("REQUEST_METHOD");
        let client = client.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        assert!(head(&mut stream).starts_with("CONNECT host.invalid:80 HTTP/1.1\r\n"));
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let output = client.wait_with_output().unwrap();
        let heard = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && heard.contains("by proxy: connected") && heard.contains("by none: no address"), "{heard}");
        return;
    }
    let to = |port| {
        let ((tell, told), (asks, _asked)) = (channel(), channel());
        CLIENTS.spawn_fn(move || {
            use actix::prelude::*;
            let connect = Connect::new(Asker(asks).start(), "host.invalid", port).proxy_from_environment().unwrap();
            let made = Sockets::from_registry().send(connect);
            spawn(async move { tell.send(made.await.unwrap().map(|_| ())).unwrap() });
        });
        told.recv_timeout(PATIENCE).unwrap()
    };
    println!("by none: {}", if matches!(to(81), Err(actix_sockets::ConnectError::Resolve(..))) { "no address" } else { "an address" });
    println!("by proxy: {}", if to(80).is_ok() { "connected" } else { "no connection" });
}
