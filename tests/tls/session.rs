//! Two sessions, and the bytes between them cut as it pleases nobody.

use actix_sockets::tls::{Client, Identity, Plain, Server, Session, TlsError};
use bytes::BytesMut;
use proptest::prelude::*;

use crate::authority::Authority;

/// How the bytes of one direction are cut into reads.
type Cuts<'a> = &'a mut dyn FnMut() -> usize;

/// Carries what one end has to say to the other, in pieces. Tells whether there was anything.
fn carry(from: &mut Session, to: &mut Session, cuts: Cuts<'_>, mut taken: impl FnMut(&mut Session)) -> bool {
    let mut bytes = std::mem::take(from.outgoing());
    let some = !bytes.is_empty();
    while !bytes.is_empty() {
        let n = cuts().clamp(1, bytes.len());
        to.incoming().extend_from_slice(&bytes.split_to(n));
        taken(to);
    }
    some
}

/// Both ends shake hands. Gives what each of them says of it.
fn shake(client: &mut Session, server: &mut Session, cuts: Cuts<'_>) -> (Result<bool, TlsError>, Result<bool, TlsError>) {
    let (mut ours, mut theirs) = (client.handshake(), server.handshake());
    loop {
        let mut moved = carry(client, server, cuts, |server| {
            if theirs == Ok(false) {
                theirs = server.handshake();
            }
        });
        moved |= carry(server, client, cuts, |client| {
            if ours == Ok(false) {
                ours = client.handshake();
            }
        });
        if !moved {
            return (ours, theirs);
        }
    }
}

/// Everything that can be read now, and how it went on.
fn read_all(session: &mut Session, into: &mut Vec<u8>) -> Plain {
    let mut plain = [0; 1000];
    loop {
        match session.read(&mut plain).unwrap() {
            Plain::Bytes(n) => into.extend_from_slice(&plain[..n]),
            other => return other,
        }
    }
}

fn pair() -> (Session, Session) {
    let authority = Authority::new("A");
    let server = Server::builder(authority.signs(&["localhost"]).identity()).build().unwrap();
    let client = Client::builder().authorities(authority.trusted()).build().unwrap();
    (client.session("localhost").unwrap(), server.session().unwrap())
}

fn says(cut: usize, message: &[u8]) {
    let (mut client, mut server) = pair();
    let mut cuts = || cut;
    assert_eq!(shake(&mut client, &mut server, &mut cuts), (Ok(true), Ok(true)));
    client.write(message).unwrap();
    let mut got = Vec::new();
    carry(&mut client, &mut server, &mut cuts, |server| assert_eq!(read_all(server, &mut got), Plain::Wanting));
    assert!(got == message, "{} of {} bytes", got.len(), message.len());
    server.write(message).unwrap();
    server.close();
    let (mut got, mut end) = (Vec::new(), Plain::Wanting);
    carry(&mut server, &mut client, &mut cuts, |client| end = read_all(client, &mut got));
    assert!(got == message && end == Plain::End, "{} bytes, then {end:?}", got.len());
    // The other direction is still open (RFC 8446 §6.1).
    client.write(b"and now?").unwrap();
    let mut got = Vec::new();
    carry(&mut client, &mut server, &mut cuts, |server| assert_eq!(read_all(server, &mut got), Plain::Wanting));
    assert_eq!(got, b"and now?");
}

#[test]
fn what_is_said_is_heard_whole_byte_by_byte_and_in_between() {
    let long: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    for cut in [1, 2, 3, 5, 6, 1000, 16_384, usize::MAX] {
        says(cut, b"hello");
        says(cut.max(100), &long);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn cut_at_random(cuts in prop::collection::vec(1..3000_usize, 1..50), messages in prop::collection::vec(0..40_000_usize, 1..6)) {
        let (mut client, mut server) = pair();
        let mut cuts = cuts.into_iter().cycle();
        let mut cut = || cuts.next().unwrap();
        prop_assert_eq!(shake(&mut client, &mut server, &mut cut), (Ok(true), Ok(true)));
        let (mut sent, mut got) = (Vec::new(), Vec::new());
        for (n, length) in messages.into_iter().enumerate() {
            let message = vec![n as u8; length];
            server.write(&message).unwrap();
            sent.extend(message);
            carry(&mut server, &mut client, &mut cut, |client| { read_all(client, &mut got); });
        }
        prop_assert!(got == sent);
    }

    /// Whatever a peer says in place of a hello: an error, or more is wanted; no panic, and no plaintext.
    #[test]
    fn garbage_is_an_error(garbage in prop::collection::vec(any::<u8>(), 1..600)) {
        let (_, mut server) = pair();
        server.incoming().extend_from_slice(&garbage);
        prop_assert_ne!(server.handshake(), Ok(true));
    }

    /// A record that was changed on its way is refused, and nothing of it is handed out.
    #[test]
    fn a_changed_byte_breaks_the_session(at in 0..500_usize, change in 1..=255_u8) {
        let (mut client, mut server) = pair();
        prop_assert_eq!(shake(&mut client, &mut server, &mut || 1 << 20), (Ok(true), Ok(true)));
        client.write(&[b'x'; 478]).unwrap();
        let mut bytes = std::mem::take(client.outgoing());
        prop_assert_eq!(bytes.len(), 500);
        bytes[at] ^= change;
        server.incoming().extend_from_slice(&bytes);
        let read = server.read(&mut [0; 1000]);
        // A length made longer is not broken before the rest has come.
        let longer = matches!(at, 3 | 4) && read == Ok(Plain::Wanting);
        prop_assert!(longer || matches!(read, Err(TlsError::Broken(_))), "{read:?}");
    }
}

#[test]
fn what_is_agreed_on_can_be_told() {
    let (mut client, mut server) = pair();
    assert_eq!(shake(&mut client, &mut server, &mut || 1 << 20), (Ok(true), Ok(true)));
    for info in [client.info(), server.info()] {
        assert_eq!((info.version.as_str(), info.protocol.as_deref()), ("TLSv1.3", Some("http/1.1")));
        assert_eq!(info.server_name.as_deref(), Some("localhost"));
        assert!(info.cipher.starts_with("TLS_"), "{}", info.cipher);
    }
    let certificate = client.info().certificate.expect("the server's");
    assert_eq!((certificate.subject.as_str(), certificate.common_name.as_deref()), ("CN=localhost", Some("localhost")));
    assert_eq!(certificate.names, ["localhost"]);
    assert!(server.info().certificate.is_none(), "none was asked for");
}

#[test]
fn http_in_the_clear_is_not_tls() {
    for hello in ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "PATCH / HTTP/1.1\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n"] {
        let (mut client, mut server) = pair();
        server.incoming().extend_from_slice(hello.as_bytes());
        assert_eq!(server.handshake(), Err(TlsError::NotTls), "{hello:?}");
        client.handshake().unwrap();
        client.incoming().extend_from_slice(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        assert_eq!(client.handshake(), Err(TlsError::NotTls));
    }
}

#[test]
fn a_session_at_rest_holds_no_buffers() {
    let (mut client, mut server) = pair();
    assert_eq!(shake(&mut client, &mut server, &mut || 1 << 20), (Ok(true), Ok(true)));
    for _ in 0..3 {
        client.write(b"ping").unwrap();
        let mut got = Vec::new();
        carry(&mut client, &mut server, &mut || 1 << 20, |server| {
            read_all(server, &mut got);
            *server.incoming() = BytesMut::new();
        });
        assert_eq!(got, b"ping");
        assert_eq!(server.incoming().capacity() + client.outgoing().capacity(), 0);
        assert!(!server.has_input());
    }
}

#[test]
fn what_cannot_be_set_up_says_why() {
    let (authority, other) = (Authority::new("A"), Authority::new("B"));
    let (ours, theirs) = (authority.signs(&["localhost"]), other.signs(&["localhost"]));
    let why = |chain: &[u8], key: &[u8]| Identity::pem(chain, key).unwrap_err().to_string();
    assert_eq!(why(&ours.chain_pem(), &theirs.key_pem()), "TLS cannot be set up: the private key is not the certificate's");
    assert!(why(b"nothing", &ours.key_pem()).contains("certificate"), "no certificate");
    assert!(why(&ours.chain_pem(), b"nothing").starts_with("TLS cannot be set up: the private key: "));
    let sealed = ours.key.private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_256_cbc(), b"secret").unwrap();
    assert!(why(&ours.chain_pem(), &sealed).starts_with("TLS cannot be set up: the private key: "), "nobody is asked for the passphrase");
    let missing = Server::pem("/no/such/chain.pem", "/no/such/key.pem").unwrap_err().to_string();
    assert!(missing.contains("/no/such/chain.pem: No such file"), "{missing}");
}
