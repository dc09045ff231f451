//! The PROXY protocol, versions 1 and 2, in front of HTTP, of websockets and of TLS.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use actix_sockets::Settings;
use actix_sockets::proxy::ProxyProtocol;

use crate::site::{Client, Over, Site, over_each, tcp};

const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";

/// Version 2, of the same client, who has asked for `chat.example`.
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x1b\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb\x02\0\x0cchat.example";

/// What a load balancer says that only looks whether we are there.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn site(over: Over) -> Site {
    Site::up(over, |bind| bind.workers(2).proxy_protocol(ProxyProtocol::required()))
}

fn behind(site: &Site, header: &[u8]) -> Client {
    let mut stream = tcp(site.bound.address);
    stream.write_all(header).unwrap();
    Client::new(site.over.client(stream).unwrap())
}

#[test]
fn the_client_is_who_the_proxy_says() {
    over_each(|over| {
        let site = site(over);
        let secure = over != Over::Clear;
        for (header, authority) in [(LINE, "None"), (BINARY, "Some(\"chat.example\")")] {
            let said = behind(&site, header).asks("/who").hears_content();
            assert!(said.starts_with("from 192.0.2.7:56324 ") && said.contains(&format!(" secure {secure} by 127.0.0.1:")), "{said}");
            assert!(said.ends_with(&format!(" for {authority}")), "{said}");
        }
        for header in [LOCAL, b"PROXY UNKNOWN\r\n"] {
            let said = behind(&site, header).asks("/who").hears_content();
            assert!(said.starts_with("from 127.0.0.1:") && said.contains(" by 127.0.0.1:"), "{said}");
        }
        behind(&site, BINARY).upgrades().says_text("hello").hears_text("hello").says_close(1000).hears_the_end();
        assert_eq!(site.stats().refused_connections, 0);
    });
}

/// B31: what came in one read with the header is the connection's; the header is not.
#[test]
fn what_comes_with_the_header_is_counted() {
    let site = site(Over::Clear);
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for header in [LINE, BINARY] {
        behind(&site, &[header, request.as_bytes()].concat()).hears_the_end();
    }
    let received = 2 * request.len() as u64;
    site.stats_when("all of both requests is counted, and nothing else", |stats| stats.bytes_received == received);
}

/// Header, request and upgrade in one write, and the header cut at every byte.
#[test]
fn however_it_is_cut() {
    let site = site(Over::Clear);
    for header in [LINE, BINARY] {
        let request = "GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let whole = [header, request.as_bytes()].concat();
        for cut in (0..whole.len()).step_by(3) {
            let mut client = Client::new(Box::new(tcp(site.bound.address)));
            client.says(&whole[..cut]);
            if cut % 4 == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
            assert!(client.says(&whole[cut..]).hears_content().starts_with("from 192.0.2.7:56324 "), "cut at {cut}");
        }
        let mut client = Client::new(Box::new(tcp(site.bound.address)));
        for byte in &whole {
            client.says([*byte]);
        }
        assert!(client.hears_content().starts_with("from 192.0.2.7:56324 "));
    }
    let all = [BINARY, crate::site::HANDSHAKE.as_bytes(), &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']].concat();
    Client::new(Box::new(tcp(site.bound.address))).says(&all).hears_text("hi").says_close(1000).hears_the_end();
}

#[test]
fn who_says_none_or_lies_is_closed() {
    over_each(|over| {
        let site = site(over);
        let wrong: [&[u8]; 6] = [
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 65536\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
            &[b'P'; 200],
            &[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat(),
        ];
        for header in wrong {
            let mut stream = tcp(site.bound.address);
            stream.write_all(header).unwrap();
            assert_eq!(rest(&mut stream), "", "not a word is said to {:?}", header.escape_ascii().to_string());
        }
        // Nor does it end in the middle.
        let mut stream = tcp(site.bound.address);
        stream.write_all(&LINE[..20]).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(rest(&mut stream), "");
        let stats = site.stats_when("all are closed", |stats| stats.open_connections == 0);
        assert_eq!((stats.refused_connections, stats.total_requests, stats.failed_tls_handshakes), (7, 0, 0));
    });
}

fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => panic!("no end comes"),
        // What was sent and not read makes it a reset.
        _ => String::from_utf8_lossy(&rest).into_owned(),
    }
}

#[test]
fn a_header_that_does_not_come_has_a_deadline() {
    over_each(|over| {
        let proxy = ProxyProtocol::required().within(Duration::from_millis(200));
        let site = Site::up(over, |bind| bind.proxy_protocol(proxy));
        let mut stream = tcp(site.bound.address);
        stream.write_all(&BINARY[..BINARY.len() - 1]).unwrap();
        assert_eq!(rest(&mut stream), "");
        assert_eq!(site.stats_when("it is closed", |stats| stats.open_connections == 0).refused_connections, 1);
    });
}

/// The end of the listener does not wait for it.
#[test]
fn unbind_ends_who_has_not_said_it() {
    let proxy = ProxyProtocol::required().within(Duration::from_secs(60));
    let site = Site::up(Over::Clear, |bind| bind.proxy_protocol(proxy));
    let mut stream = tcp(site.bound.address);
    site.stats_when("it is there", |stats| stats.open_connections == 1);
    crate::site::wait(site.listener().send(actix_sockets::Unbind::within(Duration::from_secs(20)))).unwrap();
    assert_eq!(rest(&mut stream), "");
}

#[test]
fn only_who_is_trusted_is_believed() {
    over_each(|over| {
        let trusted = |networks: [&str; 2]| ProxyProtocol::required().trusted(networks).unwrap();
        let ours = Site::up(over, move |bind| bind.proxy_protocol(trusted(["127.0.0.0/8", "::1"])));
        assert!(behind(&ours, LINE).asks("/who").hears_content().starts_with("from 192.0.2.7:56324 "));
        let others = Site::up(over, move |bind| bind.proxy_protocol(trusted(["10.0.0.0/8", "fd00::/8"])));
        let mut stream = tcp(others.bound.address);
        let _ = stream.write_all(LINE);
        assert_eq!(rest(&mut stream), "", "closed at once");
        let stats = others.stats_when("it is refused", |stats| stats.refused_connections == 1);
        assert_eq!((stats.open_connections, stats.total_connections), (0, 0));
    });
}

/// Where that is wanted, the others are served as who they are: what they say of somebody else is not heard, and they are limited like anybody.
#[test]
fn who_is_not_trusted_may_be_served_directly() {
    over_each(|over| {
        let proxy = |trusted: &str| ProxyProtocol::required().trusted([trusted]).unwrap().others_directly();
        let settings = || Settings::new().connections_per_address(2);
        let site = Site::up(over, move |bind| bind.proxy_protocol(proxy("192.0.2.0/24")).settings(settings()));
        let mut first = site.client();
        assert!(first.asks("/who").hears_content().starts_with("from 127.0.0.1:"));
        // One that says it comes by way of a proxy has said nothing that is HTTP, or TLS.
        let mut stream = tcp(site.bound.address);
        stream.write_all(LINE).unwrap();
        stream.write_all(b"GET /who HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let said = rest(&mut stream);
        assert!(!said.contains("from ") && !said.contains("192.0.2.7"), "{said}");
        site.stats_when("only the first is there", |stats| stats.open_connections == 1);
        let _second = site.client();
        let mut third = tcp(site.bound.address);
        assert_eq!(rest(&mut third), "", "there are two from there already");
        assert_eq!(site.stats_when("it is refused", |stats| stats.refused_connections == 1).open_connections, 2);

        let believing = Site::up(over, move |bind| bind.proxy_protocol(proxy("127.0.0.0/8")));
        assert!(behind(&believing, LINE).asks("/who").hears_content().starts_with("from 192.0.2.7:56324 "));
    });
}

/// The limit per address counts clients, not the proxy.
#[test]
fn clients_are_limited_by_their_own_address() {
    let site =
        Site::up(Over::Clear, |bind| bind.proxy_protocol(ProxyProtocol::required()).settings(Settings::new().connections_per_address(2)));
    let from = |last: u8| format!("PROXY TCP4 192.0.2.{last} 198.51.100.1 56324 443\r\n");
    let mut clients: Vec<_> = [7, 7, 8, 9, 9].map(|last| behind(&site, from(last).as_bytes())).into_iter().collect();
    for client in &mut clients {
        client.asks("/").hears_content();
    }
    let mut stream = tcp(site.bound.address);
    stream.write_all(from(7).as_bytes()).unwrap();
    assert_eq!(rest(&mut stream), "");
    assert_eq!(site.stats_when("five are there", |stats| stats.open_connections == 5).refused_connections, 1);
    // A proxy that looks whether we are there is never too many.
    for _ in 0..3 {
        let mut local = behind(&site, LOCAL);
        local.asks("/").hears_content();
        clients.push(local);
    }
}
