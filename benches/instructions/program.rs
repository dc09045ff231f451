//! What `benches/instructions/run` counts the instructions of.
//!
//! ```text
//! instructions MODE TIMES
//! ```

use std::collections::VecDeque;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use actix::prelude::*;
use actix_sockets::http::{self, HttpRequest, HttpResponse};
use actix_sockets::output::Output;
use actix_sockets::stage::{AutoPing, AutoPong, Chain, Stage};
use actix_sockets::websocket::utf8::Utf8Validator;
use actix_sockets::websocket::{Codec, Frame, Role, masking};
use actix_sockets::{Bind, Received, Settings, Sockets, UpgradeServer, handshake};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use common::{EchoStage, answer, pipeline};

#[path = "../common/client.rs"]
mod client;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/opening.rs"]
mod opening;

const FRAMES: usize = 64;
const SIZE: usize = 64;
const REQUESTS: usize = 16;
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What a client writes for so many texts.
fn wire() -> BytesMut {
    let mut wire = BytesMut::new();
    for _ in 0..FRAMES {
        Codec::new(Role::Client).encode(&Frame::text("x".repeat(SIZE)), || KEY, &mut wire).expect("a good frame");
    }
    wire
}

/// 64 masked texts decoded, and their echoes encoded.
fn codec(times: usize) {
    let input = wire();
    let mut codec = Codec::new(Role::Server);
    let (mut buffer, mut output) = (BytesMut::with_capacity(128 << 10), Output::new());
    for _ in 0..times {
        buffer.reserve(input.len());
        buffer.extend_from_slice(&input);
        while let Some(frame) = codec.decode(&mut buffer).expect("good frames") {
            codec.encode_into(Frame::new(frame.opcode, frame.data), || KEY, &mut output).expect("a good frame");
        }
        output.advance(black_box(output.len()));
    }
}

/// 4 KiB at an odd phase, and 61 bytes.
fn masking(times: usize) {
    let (mut large, mut small) = (vec![b'a'; 4 << 10], [b'a'; 61]);
    for _ in 0..times {
        masking::mask(black_box(KEY), black_box(1), black_box(&mut large));
        masking::mask(black_box(KEY), black_box(0), black_box(&mut small));
    }
}

/// 1 KiB of ASCII, 1 KiB of Greek, and 61 bytes in two pieces, cut within a character.
fn utf8(times: usize) {
    let (ascii, greek) = ("a".repeat(1 << 10), "κ".repeat(512));
    for _ in 0..times {
        for pieces in [&[ascii.as_bytes()][..], &[greek.as_bytes()], &[&greek.as_bytes()[..31], &greek.as_bytes()[31..62]]] {
            let mut validator = Utf8Validator::new();
            for piece in pieces {
                validator.push(black_box(piece)).expect("good text");
            }
            validator.finish().expect("whole text");
        }
    }
}

/// 64 texts up the default stages and their echoes down, unless a stage has echoed already.
fn chain(times: usize, chain: Chain) {
    let (input, now) = (wire(), Instant::now());
    let mut pipeline = pipeline(chain);
    let mut events = VecDeque::new();
    let mut buffer = BytesMut::with_capacity(2 * input.len());
    for _ in 0..times {
        buffer.reserve(input.len());
        buffer.extend_from_slice(&input);
        pipeline.receive(&mut buffer, now);
        answer(&mut pipeline, &mut events, now);
        let written = pipeline.output().len();
        assert_eq!(written, input.len() - 4 * FRAMES);
        pipeline.output().advance(written);
    }
}

struct Echo {
    inline: bool,
}

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Echo {
    type Result = ();

    fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, ctx: &mut Context<Self>) {
        match handshake::accept(&request) {
            Ok(response) if self.inline => sender.do_send(UpgradeServer::inline(response, EchoStage)),
            Ok(response) => sender.do_send(UpgradeServer::new(response, ctx)),
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

/// Answers requests, as many at a time as one read brings.
struct Hello;

impl Actor for Hello {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Hello {
    type Result = ();

    fn handle(&mut self, Received { sender, .. }: Received<HttpRequest>, _: &mut Context<Self>) {
        sender.do_send(HttpResponse::ok("Hello, World!"));
    }
}

/// 16 requests in one write, and their answers, over loopback.
fn http_turn(times: usize) {
    System::new().block_on(async {
        let settings = Settings::new().http(http::Settings::new().pipelining_limit(REQUESTS));
        let bind = Bind::factory(|| Hello, "127.0.0.1:0").workers(1).settings(settings);
        let bound = Sockets::from_registry().send(bind).await.expect("the service runs").expect("a port is free");
        let mut stream = TcpStream::connect(bound.address).await.expect("the server listens");
        let input = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(REQUESTS);
        let mut answers = BytesMut::with_capacity(8 << 10);
        for _ in 0..times {
            stream.write_all(input.as_bytes()).await.expect("the server reads");
            answers.clear();
            while !(answers.len().is_multiple_of(REQUESTS) && answers.ends_with(b"Hello, World!")) {
                stream.read_buf(&mut answers).await.expect("the server answers");
            }
        }
    });
}

/// 64 texts there and back over loopback, client and server on one thread: their order, and so the count, is always the same.
fn echo_turn(times: usize, inline: bool) {
    System::new().block_on(async {
        let bind = Bind::factory(move || Echo { inline }, "127.0.0.1:0").workers(1);
        let bound = Sockets::from_registry().send(bind).await.expect("the service runs").expect("a port is free");
        let input = wire();
        client::echo(bound.address, &input, input.len() - 4 * FRAMES, times).await;
    });
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let times = args.get(1).and_then(|times| times.parse().ok());
    match (args.first().map(String::as_str), times) {
        (Some("codec"), Some(times)) => codec(times),
        (Some("masking"), Some(times)) => masking(times),
        (Some("utf8"), Some(times)) => utf8(times),
        (Some("stage-chain"), Some(times)) => chain(times, AutoPing::default().then(AutoPong)),
        (Some("stage-chain-inline"), Some(times)) => chain(times, Chain::of(EchoStage).and(AutoPing::default().then(AutoPong))),
        (Some("echo-turn"), Some(times)) => echo_turn(times, false),
        (Some("echo-turn-inline"), Some(times)) => echo_turn(times, true),
        (Some("http-turn"), Some(times)) => http_turn(times),
        _ => {
            eprintln!("usage: instructions codec|masking|utf8|stage-chain|stage-chain-inline|echo-turn|echo-turn-inline|http-turn TIMES");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
