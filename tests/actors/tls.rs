//! What there is under TLS only: records cut, broken and drawn out, and ends that say so or do not. The rest of TLS is in `tests/tls`.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use actix_sockets::websocket::CloseCode;

use crate::client::with_each_client;
use crate::peer::{HANDSHAKE, Peer, close, text};
use crate::sealed::Sealed;
use crate::site::{Kind, Plan, Site, with_each_echo, with_each_handler};
use crate::transport::{Transport, Wire as _};

/// A raw client of this site, without the peer around it.
fn sealed(site: &Site) -> Sealed {
    let tcp = TcpStream::connect_timeout(&site.address(), crate::peer::PATIENCE).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp.set_write_timeout(Some(crate::peer::PATIENCE)).unwrap();
    Sealed::client(tcp)
}

/// The test once for each handler, under TLS.
fn under_tls(test: impl Fn(Plan)) {
    with_each_echo(|plan| {
        if plan.transport == Transport::Tls {
            test(plan);
        }
    });
}

/// The handshake, a message in two fragments and the end of TLS: three records in two segments, whose border is at every byte.
#[test]
fn records_cut_at_every_byte() {
    let site = Plan::new(Kind::Fed, Transport::Tls).up();
    let length = |parts: &[Vec<u8>]| parts.iter().map(Vec::len).sum::<usize>();
    let parts = |wire: &mut Sealed| {
        let [first, last] = [text("one ").more(), crate::peer::continuation("two")].map(|frame| frame.bytes(Some([1, 2, 3, 4])));
        vec![wire.seals(HANDSHAKE.as_bytes()), wire.seals(&[first, last].concat()), wire.seals_the_end()]
    };
    let all = length(&parts(&mut sealed(&site)));
    for cut in (1..all).step_by(3) {
        let mut wire = sealed(&site);
        let bytes = parts(&mut wire).concat();
        wire.tcp().write_all(&bytes[..cut]).unwrap();
        std::thread::sleep(Duration::from_micros(300));
        wire.tcp().write_all(&bytes[cut..]).unwrap();
        wire.tcp().shutdown(Shutdown::Write).unwrap();
        let mut peer = Peer::over(Box::new(wire), true);
        peer.hears_101();
        peer.hears(text("one two")).hears_fin();
    }
}

/// A record for each byte.
#[test]
fn a_message_in_records_of_one_byte() {
    under_tls(|plan| {
        let site = plan.up();
        let mut wire = sealed(&site);
        let message = text("x".repeat(3000)).bytes(Some([1, 2, 3, 4]));
        let all: Vec<u8> = HANDSHAKE.as_bytes().iter().chain(&message).flat_map(|byte| wire.seals(&[*byte])).collect();
        wire.tcp().write_all(&all).unwrap();
        let mut peer = Peer::over(Box::new(wire), true);
        peer.hears_101();
        peer.hears(text("x".repeat(3000)));
    });
}

/// RFC 8446 §6.1: a close_notify ends what is said, FIN or not; what came before it is answered.
#[test]
fn a_close_notify_without_a_fin_is_the_end() {
    under_tls(|plan| {
        let site = plan.up();
        let mut wire = sealed(&site);
        let all = [wire.seals(HANDSHAKE.as_bytes()), wire.seals(&text("last words").bytes(Some([1, 2, 3, 4]))), wire.seals_the_end()];
        wire.tcp().write_all(&all.concat()).unwrap();
        let mut peer = Peer::over(Box::new(wire), true);
        peer.hears_101();
        peer.hears(text("last words")).hears_fin();
        let closed = site.closed();
        assert_eq!((closed.code, closed.clean), (CloseCode::ABNORMAL, false), "{closed:?}");
    });
}

/// A FIN without a close_notify: what came before it is answered all the same, and nothing is clean but a closing handshake that was.
#[test]
fn a_fin_without_a_close_notify_is_a_truncation() {
    under_tls(|plan| {
        let site = plan.up();
        for (last, clean) in [(text("last words"), false), (close(1000, ""), true)] {
            let mut wire = sealed(&site);
            let all = [wire.seals(HANDSHAKE.as_bytes()), wire.seals(&last.bytes(Some([1, 2, 3, 4])))];
            wire.tcp().write_all(&all.concat()).unwrap();
            wire.tcp().shutdown(Shutdown::Write).unwrap();
            let mut peer = Peer::over(Box::new(wire), true);
            peer.hears_101();
            peer.hears(last).hears_fin();
            let closed = site.closed();
            assert_eq!((closed.code == CloseCode::NORMAL, closed.clean), (clean, clean), "{closed:?}");
        }
    });
    with_each_client(|plan, host| {
        if plan.transport == Transport::Tls {
            let client = plan.visits(&host.url());
            let peer = host.upgrades(&[]);
            client.upgraded();
            peer.tcp().shutdown(Shutdown::Write).unwrap();
            let closed = client.closed();
            assert_eq!((closed.code, closed.clean), (CloseCode::ABNORMAL, false), "{closed:?}");
        }
    });
}

/// A record that was changed on its way is the end of its connection, with an alert, and of no other.
#[test]
fn a_broken_record_ends_its_connection_only() {
    with_each_handler(|plan| {
        if plan.transport != Transport::Tls {
            return;
        }
        let site = plan.on_frame(|_, _| {}).up();
        let neighbour = site.peer();
        site.upgraded();
        for at in [0, 1, 3, 5, 20, -1] {
            eprintln!("   byte {at}");
            let mut wire = sealed(&site);
            wire.write_all(HANDSHAKE.as_bytes()).unwrap();
            assert!(wire.read(&mut [0; 1000]).unwrap() > 0);
            let mut record = wire.seals(&text("to be broken").bytes(Some([1, 2, 3, 4])));
            let at = usize::try_from(at).unwrap_or(record.len() - 1);
            record[at] ^= 0x55;
            wire.tcp().write_all(&record).unwrap();
            // A length that was changed is found out when that much has come.
            wire.tcp().write_all(&vec![0; 20 << 10]).ok();
            site.upgraded();
            let closed = site.closed();
            assert_eq!((closed.code, closed.clean), (CloseCode::ABNORMAL, false), "{closed:?}");
            let error = wire.read_to_end(&mut Vec::new()).expect_err("this is no clean end");
            assert_ne!(error.kind(), std::io::ErrorKind::UnexpectedEof, "an alert, or a reset that overtook it: {error}");
        }
        drop(neighbour);
        assert!(!site.closed().clean);
    });
}

/// A peer that is busy with one record, slowly, sends no pong, and is alive.
#[test]
fn any_byte_of_a_record_is_a_sign_of_life() {
    let site = Plan::new(Kind::Fed, Transport::Tls).ping(Duration::from_millis(300)).up();
    let mut wire = sealed(&site);
    wire.write_all(HANDSHAKE.as_bytes()).unwrap();
    let record = wire.seals(&text("slow").bytes(Some([1, 2, 3, 4])));
    for byte in record {
        wire.tcp().write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(60));
    }
    let mut peer = Peer::over(Box::new(wire), true);
    peer.hears_101();
    loop {
        let frame = peer.next();
        if frame.first != 0x89 {
            assert_eq!(frame, text("slow"));
            break;
        }
    }
}
