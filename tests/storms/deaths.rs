//! Many deaths, one after the other: each peer is told, and nothing of anybody is left (D7, D11, T32).

use std::net::TcpStream;
use std::time::Duration;

use actix_sockets::Unbind;

use crate::clients::{HANDSHAKE, Wire, secured, upgrade};
use crate::site::{Site, TOLD};
use crate::{ONE_AT_A_TIME, PATIENCE};

/// How often each dies.
const ROUNDS: usize = 100;

/// All that the peer hears, to the end of the connection.
fn last_words(wire: &mut dyn Wire) -> Vec<u8> {
    let mut words = Vec::new();
    // What comes before a reset counts.
    let _ = wire.read_to_end(&mut words);
    words
}

fn connect(site: &Site, tls: bool) -> Box<dyn Wire> {
    let stream = TcpStream::connect(site.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    secured(stream, tls).unwrap()
}

/// A frame handler, or a stage, dies of this frame: 1011.
fn websocket(site: &Site, tls: bool, frame: &[u8]) {
    let mut wire = connect(site, tls);
    upgrade(&mut *wire).unwrap();
    wire.write_all(frame).unwrap();
    let words = last_words(&mut *wire);
    assert!(words.starts_with(&[0x88]) && words[2..4] == 1011_u16.to_be_bytes(), "{}", words.escape_ascii());
}

/// An HTTP handler dies of this request: 500, or nothing but the end.
fn http(site: &Site, tls: bool, request: &[u8], answer: &str) {
    let mut wire = connect(site, tls);
    wire.write_all(request).unwrap();
    let words = last_words(&mut *wire);
    assert!(words.starts_with(answer.as_bytes()) && words.is_empty() == answer.is_empty(), "{}", words.escape_ascii());
}

fn deaths(tls: bool) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or_default();
        if !message.contains(TOLD) {
            usual(panic);
        }
    }));
    let site = Site::up(tls);
    let unmade = String::from_utf8(HANDSHAKE.to_vec()).unwrap().replace("/chat", "/unmade");
    let round = || {
        websocket(&site, tls, b"\x81\x85\0\0\0\0panic");
        websocket(&site, tls, b"\x81\x84\0\0\0\0stop");
        websocket(&site, tls, b"\x81\x85\0\0\0\0stage");
        http(&site, tls, b"GET /panic HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 500 ");
        http(&site, tls, b"GET /stop HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 500 ");
        http(&site, tls, unmade.as_bytes(), "");
    };
    // The pools of the arbiter fill.
    (0..ROUNDS / 10).for_each(|_| round());
    let before = site.settled(None);
    (0..ROUNDS).for_each(|_| round());
    let after = site.settled(Some(before));
    println!(
        "deaths, {}: 6 × {ROUNDS}; descriptors {} → {}, actors {} → {}, threads {} → {}",
        if tls { "TLS" } else { "clear" },
        before.descriptors,
        after.descriptors,
        before.actors,
        after.actors,
        before.threads,
        after.threads,
    );
    assert_eq!((after.descriptors, after.actors), (before.descriptors, before.actors));
    assert!(after.threads <= before.threads, "none may have come");
    let unbound = Site::wait(site.listener.send(Unbind::within(PATIENCE))).unwrap();
    let counts = [unbound.http, unbound.websockets].map(|ended| ended.closed + ended.lost + ended.cut_off);
    assert_eq!((counts, unbound.left), ([0, 0], 0), "{unbound:?}");
    let _ = std::panic::take_hook();
    site.end();
}

#[test]
fn t32_deaths_leave_nothing_behind() {
    deaths(false);
}

#[cfg(feature = "tls")]
#[test]
fn t32_deaths_leave_nothing_behind_under_tls() {
    deaths(true);
}
