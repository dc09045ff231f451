//! An end that keeps the rules for a while, and then breaks one: a client, or a server.

use std::time::Duration;

use actix_sockets::handshake;
use actix_sockets::test::{End, Raw};
use actix_sockets::websocket::{Codec, Frame, OpCode, Role};
use bytes::BytesMut;
use tokio::time::{sleep, timeout};

use super::ledger::{Said, Shared};
use super::plan::Deed;

/// What a client breaks, and what the server must say when it is done, if anything.
const BY_A_CLIENT: [(&[u8], Option<u16>); 9] = [
    // Unmasked; a reserved bit; an opcode that is none; a control frame in two, and one that is too long.
    (&[0x81, 0x01, b'x'], Some(1002)),
    (&[0xc1, 0x81, 0, 0, 0, 0, b'x'], Some(1002)),
    (&[0x83, 0x80, 0, 0, 0, 0], Some(1002)),
    (&[0x09, 0x80, 0, 0, 0, 0], Some(1002)),
    (&[0x89, 0xfe, 0, 126, 0, 0, 0, 0], Some(1002)),
    // A continuation of nothing; no text; a frame of 2^40 bytes; a Close frame.
    (&[0x80, 0x80, 0, 0, 0, 0], Some(1002)),
    (&[0x81, 0x81, 0, 0, 0, 0, 0xff], Some(1007)),
    (&[0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], Some(1009)),
    (&[0x88, 0x82, 0, 0, 0, 0, 0x0f, 0xa0], Some(4000)),
];

/// The same of a server: masked; and all the others without a mask.
const BY_A_SERVER: [(&[u8], Option<u16>); 9] = [
    (&[0x81, 0x81, 0, 0, 0, 0, b'x'], Some(1002)),
    (&[0xc1, 0x01, b'x'], Some(1002)),
    (&[0x83, 0x00], Some(1002)),
    (&[0x09, 0x00], Some(1002)),
    (&[0x89, 0x7e, 0, 126], Some(1002)),
    (&[0x80, 0x00], Some(1002)),
    (&[0x81, 0x01, 0xff], Some(1007)),
    (&[0x82, 0x7f, 0, 0, 1, 0, 0, 0, 0, 0], Some(1009)),
    (&[0x88, 0x02, 0x0f, 0xa0], Some(4000)),
];

/// Answers to a handshake that is none of a websocket.
const REFUSALS: [&str; 8] = [
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {accept}\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Extensions: x-of-its-own\r\n\r\n",
    "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "SSH-2.0-OpenSSH_9.9\r\n\r\n",
];

/// How long it stays, if it is let.
const LIFE: Duration = Duration::from_secs(13);

const OPENING: &str = "GET /socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Takes this end, and does its worst to the other.
pub(crate) fn comes(books: &Shared, end: End) {
    let books = books.clone();
    actix::spawn(async move {
        let raw = books.link.raw(end);
        let mut chance = super::Chance::of(books.plan.seed, "worst");
        let mut bytes = BytesMut::new();
        let mut refused = false;
        let (role, rules) = match end {
            End::Client => (Role::Client, BY_A_CLIENT),
            End::Server => (Role::Server, BY_A_SERVER),
        };
        match end {
            End::Client => bytes.extend_from_slice(OPENING.as_bytes()),
            End::Server => {
                if timeout(LIFE, is_asked(&raw)).await.is_err() {
                    return;
                }
                refused = chance.percent(40);
                bytes.extend_from_slice(answer(&books, refused.then(|| chance.one_of(&REFUSALS))).as_bytes());
            }
        }
        let codec = Codec::new(role);
        // Messages behind the handshake: of a client, without waiting for its answer.
        for number in 0..if refused { 0 } else { chance.between(0, 8) } {
            let said = Said::new(chance.between(0, books.plan.longest.min(3_000)), chance.percent(50));
            let data = books.content(end, number, &said);
            let frame = Frame::new(if said.text { OpCode::Text } else { OpCode::Binary }, data);
            books.open().sides[end as usize].said.push(said);
            let _ = codec.encode(&frame, || (chance.next() as u32).to_be_bytes(), &mut bytes);
            if chance.percent(20) {
                let _ = codec.encode(&Frame::ping("there?"), || [0; 4], &mut bytes);
            }
        }
        let (worst, code) = chance.one_of(&rules);
        let mut garbage: Vec<u8> = (0..chance.between(0, 300)).map(|_| chance.next() as u8).collect();
        // Or it might be a right frame, by chance, and heard.
        if let Some(first) = garbage.first_mut() {
            *first |= 0x30;
        }
        let (silent, noise) = (chance.percent(20), chance.percent(20));
        if !silent && !noise {
            bytes.extend_from_slice(worst);
        }
        if !silent {
            bytes.extend_from_slice(&garbage);
        }
        let reads = async { while let Ok(Some(_)) = raw.read().await {} };
        let finishes = chance.percent(50);
        let mut pauses = super::Chance::of(books.plan.seed, "pauses");
        let writes = async {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (now, later) = rest.split_at(pauses.between(1, rest.len()));
                if raw.write(now).await.is_err() {
                    return;
                }
                rest = later;
                sleep(Duration::from_millis(pauses.one_of(&[0, 0, 0, 1, 40]))).await;
            }
        };
        let writes = async {
            let wrote = timeout(Duration::from_secs(9), writes).await.is_ok();
            if finishes {
                raw.finish();
            }
            wrote
        };
        // Nobody tells it that its cable is pulled.
        let served = matches!(timeout(LIFE, async { tokio::join!(reads, writes) }).await, Ok(((), true)));
        // What has been said last is heard.
        sleep(Duration::from_millis(500)).await;
        let there = end.other();
        books.open().sides[end as usize].socket = None;
        let plan = &books.plan;
        let undisturbed = plan.fault.is_none() && plan.wind_down.is_none() && plan.jump.is_none() && !plan.accompanied;
        // What the other end's own handler does to its connection, or does not hear in time.
        let own = |deed: &Deed| matches!(deed, Deed::Stop | Deed::Panic | Deed::Close(_) | Deed::Wait(_));
        let other = &plan.ends[there as usize];
        let scripted = other.script.iter().any(|(.., deed)| own(deed));
        // Or holds on to what it hears for longer than this one stays.
        let slow = other.holds > 0 && !served;
        if !undisturbed || scripted || slow || other.overloads || other.deflate {
            return;
        }
        let (heard, said, overflown, upgraded, refusals) = {
            let inner = books.open();
            let (here, there) = (&inner.sides[end as usize], &inner.sides[there as usize]);
            (there.heard, here.said.len(), there.overflown, there.upgraded, there.refused)
        };
        if refused {
            if (upgraded, refusals) != (0, 1) {
                books.wrong(format_args!("{there:?}: {upgraded} times Upgraded, {refusals} times UpgradeFailed for what is no upgrade"));
            }
            return;
        }
        let told = books.tap(there, super::tap::Tap::close_code);
        if !silent && !noise && !overflown && (told != code || heard != said) {
            books.wrong(format_args!("{there:?} says {told:?} for what is {code:?}, and has heard {heard} of {said} messages"));
        }
    });
}

/// A client's request has come.
async fn is_asked(raw: &Raw) {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        match raw.read().await {
            Ok(Some(bytes)) => heard.extend_from_slice(&bytes),
            _ => std::future::pending().await,
        }
    }
}

/// What it is answered: rightly, or with this.
fn answer(books: &Shared, refusal: Option<&str>) -> String {
    let accepted = handshake::accept(&super::handshake_of(books)).expect("a handshake");
    let accept = accepted.headers["sec-websocket-accept"].to_str().expect("base64");
    let right = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n";
    refusal.unwrap_or(right).replace("{accept}", accept)
}
