//! A client that keeps the rules for a while, and then breaks one.

use std::time::Duration;

use actix_sockets::test::End;
use actix_sockets::websocket::{Codec, Frame, OpCode, Role};
use bytes::BytesMut;
use tokio::time::{sleep, timeout};

use super::ledger::{Said, Shared};
use super::plan::Deed;

/// What the server must say when it is done, if anything.
const RULES: [(&[u8], Option<u16>); 9] = [
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

/// How long it stays, if it is let.
const LIFE: Duration = Duration::from_secs(13);

const OPENING: &str = "GET /socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Takes the client's end, and does its worst.
pub(crate) fn comes(books: &Shared) {
    let books = books.clone();
    actix::spawn(async move {
        let raw = books.link.raw(End::Client);
        let mut chance = super::Chance::of(books.plan.seed, "worst");
        let mut bytes = BytesMut::from(OPENING);
        let codec = Codec::new(Role::Client);
        // Messages behind the handshake, without waiting for its answer.
        for number in 0..chance.between(0, 8) {
            let said = Said::new(chance.between(0, books.plan.longest.min(3_000)), chance.percent(50));
            let data = books.content(End::Client, number, &said);
            let frame = Frame::new(if said.text { OpCode::Text } else { OpCode::Binary }, data);
            books.open().sides[0].said.push(said);
            let _ = codec.encode(&frame, || (chance.next() as u32).to_be_bytes(), &mut bytes);
            if chance.percent(20) {
                let _ = codec.encode(&Frame::ping("there?"), || [0; 4], &mut bytes);
            }
        }
        let (worst, code) = chance.one_of(&RULES);
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
            let _ = timeout(Duration::from_secs(9), writes).await;
            if finishes {
                raw.finish();
            }
        };
        // Nobody tells it that its cable is pulled.
        let _ = timeout(LIFE, async { tokio::join!(reads, writes) }).await;
        books.open().sides[0].socket = None;
        let plan = &books.plan;
        let undisturbed = plan.fault.is_none() && plan.wind_down.is_none() && plan.jump.is_none();
        // What the server's own handler does to its connection, or does not hear in time.
        let own = |deed: &Deed| matches!(deed, Deed::Stop | Deed::Panic | Deed::Close(_) | Deed::Wait(_));
        let scripted = plan.ends[1].script.iter().any(|(.., deed)| own(deed));
        if undisturbed && !scripted && !plan.ends[1].overloads && !plan.ends[1].deflate && !silent && !noise {
            let (heard, said, overflown) = {
                let inner = books.open();
                (inner.sides[1].heard, inner.sides[0].said.len(), inner.sides[1].overflown)
            };
            let told = books.tap(End::Server, super::tap::Tap::close_code);
            if !overflown && (told != code || heard != said) {
                books.wrong(format_args!("the server says {told:?} for what is {code:?}, and has heard {heard} of {said} messages"));
            }
        }
    });
}
