//! The echo path: first the pipeline alone, bytes to bytes; then the whole server over loopback, one connection.
//!
//! ```text
//! cargo bench --bench echo
//! ```

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Instant;

use actix::prelude::*;
use actix_sockets::http::HttpRequest;
use actix_sockets::stage::{AutoPing, AutoPong, Chain, Stage};
use actix_sockets::websocket::{Frame, masking};
use actix_sockets::{Bind, Received, Sockets, UpgradeServer, handshake};
use bytes::BytesMut;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

use common::{EchoStage, answer, pipeline};
use opening::HANDSHAKE;

mod common;
#[path = "common/opening.rs"]
mod opening;

const FRAMES: usize = 64;

fn main() {
    divan::main();
}

/// What a client writes for so many text messages of this size.
fn masked(frames: usize, size: usize) -> Vec<u8> {
    let key = [0x11, 0x22, 0x33, 0x44];
    let mut bytes = Vec::new();
    for _ in 0..frames {
        bytes.push(0x81);
        match size {
            0..=125 => bytes.push(0x80 | size as u8),
            _ => {
                bytes.push(0x80 | 126);
                bytes.extend_from_slice(&(size as u16).to_be_bytes());
            }
        }
        bytes.extend_from_slice(&key);
        let start = bytes.len();
        bytes.resize(start + size, b'x');
        masking::mask(key, 0, &mut bytes[start..]);
    }
    bytes
}

/// Bytes in, 64 events up, 64 commands down, bytes out: the default stages, without any actor.
#[divan::bench(args = [64, 1024])]
fn pipeline_default_stages(bencher: Bencher<'_, '_>, size: usize) {
    let (input, now) = (masked(FRAMES, size), Instant::now());
    let mut pipeline = pipeline(AutoPing::default().then(AutoPong));
    let mut events = VecDeque::new();
    let mut buffer = BytesMut::with_capacity(2 * input.len());
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        buffer.reserve(input.len());
        buffer.extend_from_slice(&input);
        pipeline.receive(&mut buffer, now);
        answer(&mut pipeline, &mut events, now);
        let written = pipeline.output().len();
        pipeline.output().advance(black_box(written));
    });
}

/// The same, with the echo in a stage.
#[divan::bench(args = [64, 1024])]
fn pipeline_inline(bencher: Bencher<'_, '_>, size: usize) {
    let (input, now) = (masked(FRAMES, size), Instant::now());
    let mut pipeline = pipeline(Chain::of(EchoStage).and(AutoPing::default().then(AutoPong)));
    let mut buffer = BytesMut::with_capacity(2 * input.len());
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        buffer.reserve(input.len());
        buffer.extend_from_slice(&input);
        pipeline.receive(&mut buffer, now);
        let written = pipeline.output().len();
        pipeline.output().advance(black_box(written));
    });
}

struct Echo {
    fed: bool,
}

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Echo {
    type Result = ();

    fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, ctx: &mut Context<Self>) {
        match handshake::accept(&request) {
            Ok(response) if self.fed => sender.do_send(UpgradeServer::new(response, ctx)),
            Ok(response) => sender.do_send(UpgradeServer::new(response, ctx.address())),
            Err(refusal) => sender.do_send(refusal.into_response()),
        }
    }
}

impl Handler<Received<Frame>> for Echo {
    type Result = ();

    fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, _: &mut Context<Self>) {
        sender.do_send(Frame::new(frame.opcode, frame.data));
    }
}

/// An echo server on a thread of its own: fed by a feeder, or by mail.
fn server(fed: bool) -> SocketAddr {
    static SERVERS: [OnceLock<SocketAddr>; 2] = [OnceLock::new(), OnceLock::new()];
    *SERVERS[usize::from(fed)].get_or_init(|| {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let system = System::new();
            system.block_on(async move {
                let bind = Bind::factory(move || Echo { fed }, "127.0.0.1:0").workers(1);
                let bound = Sockets::from_registry().send(bind).await.expect("the service runs").expect("a port is free");
                tell.send(bound.address).expect("the bench waits");
            });
            system.run()
        });
        told.recv().expect("the server starts")
    })
}

fn over_loopback(bencher: Bencher<'_, '_>, fed: bool, size: usize) {
    let mut stream = TcpStream::connect(server(fed)).expect("the server listens");
    stream.set_nodelay(true).expect("it is a TCP stream");
    stream.write_all(HANDSHAKE.as_bytes()).expect("the server reads");
    let mut head = [0; 512];
    let read = stream.read(&mut head).expect("the server answers");
    assert!(head[..read].starts_with(b"HTTP/1.1 101 ") && head[..read].ends_with(b"\r\n\r\n"));
    let input = masked(FRAMES, size);
    // A server's frames have no masking-key.
    let mut echoed = vec![0; input.len() - 4 * FRAMES];
    bencher.counter(ItemsCount::new(FRAMES)).bench_local(|| {
        stream.write_all(&input).expect("the server reads");
        stream.read_exact(&mut echoed).expect("the server echoes");
    });
}

/// 64 messages there and back, through an actor that is fed in its own context. Includes the client's side and the wake-ups.
#[divan::bench(args = [64, 1024])]
fn loopback_fed(bencher: Bencher<'_, '_>, size: usize) {
    over_loopback(bencher, true, size);
}

/// The same through the actor's mailbox.
#[divan::bench(args = [64, 1024])]
fn loopback_mail(bencher: Bencher<'_, '_>, size: usize) {
    over_loopback(bencher, false, size);
}
