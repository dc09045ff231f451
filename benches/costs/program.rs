//! What `benches/costs/run` measures: an echo over loopback, each time with one thing more between the wire and the echo.
//!
//! ```text
//! costs WAY TIMES
//! ```
//!
//! Client and server are on one thread, so that their order is always the same; `--help` lists the ways. 64 messages of 64 bytes go there
//! and back at a time.

use std::process::ExitCode;

use actix::prelude::*;
use actix_sockets::http::{HttpRequest, HttpResponse};
use actix_sockets::stage::{AutoPing, AutoPong, Chain, Command, Event, Flow, HidePongs, Stage};
use actix_sockets::websocket::{Codec, Frame, Role};
use actix_sockets::{Bind, Received, Responder, Sockets, StageActor, UpgradeServer, handshake};
use bytes::BytesMut;

#[path = "../common/client.rs"]
mod client;
#[path = "../common/opening.rs"]
mod opening;

const MESSAGES: usize = 64;
const SIZE: usize = 64;
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The ways from the wire to the echo and back.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// Codec, Closing, and the echo as a stage.
    Bare,
    Consolidation,
    AutoPong,
    AutoPing,
    HidePongs,
    /// A stage that looks at everything and lets it pass.
    Watch,
    /// AutoPing, AutoPong and Consolidation, as without a word said.
    Defaults,
    /// Each message in two fragments, echoed as they come.
    Fragments,
    /// Each message in two fragments, put together.
    Consolidated,
    /// The defaults, and the echo in an actor: fed in its context.
    Actor,
    /// By its address, through its mailbox.
    Mailbox,
    /// As `Actor`, with a stage that looks at everything, fused.
    ActorWatch,
    /// With that stage as an actor of its own on this arbiter.
    Hosted,
    /// With that stage as an actor of its own on another arbiter.
    Elsewhere,
}

const WAYS: [(&str, Way); 14] = [
    ("bare", Way::Bare),
    ("consolidation", Way::Consolidation),
    ("auto-pong", Way::AutoPong),
    ("auto-ping", Way::AutoPing),
    ("hide-pongs", Way::HidePongs),
    ("watch", Way::Watch),
    ("defaults", Way::Defaults),
    ("fragments", Way::Fragments),
    ("consolidated", Way::Consolidated),
    ("actor", Way::Actor),
    ("mailbox", Way::Mailbox),
    ("actor-watch", Way::ActorWatch),
    ("hosted", Way::Hosted),
    ("elsewhere", Way::Elsewhere),
];

/// Echoes frames as they come.
#[derive(Debug)]
struct EchoStage;

impl Stage for EchoStage {
    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        match event {
            Event::Frame(frame) if frame.opcode.is_data() => flow.down(Command::Frame(frame)),
            other => flow.up(other),
        }
    }
}

/// Looks at everything, as stages do by default.
#[derive(Debug)]
struct Watch;

impl Stage for Watch {}

struct Echo {
    way: Way,
    elsewhere: ArbiterHandle,
}

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Echo {
    fn upgrade(&self, response: HttpResponse, sender: Responder, ctx: &mut Context<Self>) {
        let bare = |response| UpgradeServer::inline(response, EchoStage).stages(Chain::new());
        match self.way {
            Way::Bare | Way::Fragments => sender.do_send(bare(response).fragments()),
            Way::Consolidation | Way::Consolidated => sender.do_send(bare(response)),
            Way::AutoPong => sender.do_send(bare(response).fragments().stages(AutoPong)),
            Way::AutoPing => sender.do_send(bare(response).fragments().stages(AutoPing::default())),
            Way::HidePongs => sender.do_send(bare(response).fragments().stages(HidePongs)),
            Way::Watch => sender.do_send(bare(response).fragments().stages(Watch)),
            Way::Defaults => sender.do_send(UpgradeServer::inline(response, EchoStage)),
            Way::Actor => sender.do_send(UpgradeServer::new(response, ctx)),
            Way::Mailbox => sender.do_send(UpgradeServer::new(response, ctx.address())),
            Way::ActorWatch => sender.do_send(UpgradeServer::new(response, ctx).also(Watch)),
            Way::Hosted => sender.do_send(UpgradeServer::new(response, ctx).hosted(StageActor::host(Watch))),
            Way::Elsewhere => {
                sender.do_send(UpgradeServer::new(response, ctx).hosted(StageActor::host_on(self.elsewhere.clone(), Watch)));
            }
        }
    }
}

impl Handler<Received<HttpRequest>> for Echo {
    type Result = ();

    fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, ctx: &mut Context<Self>) {
        match handshake::accept(&request) {
            Ok(response) => self.upgrade(response, sender, ctx),
            Err(refusal) => sender.do_send(refusal.into_response()),
        }
    }
}

impl Handler<Received<Frame>> for Echo {
    type Result = ();

    fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, _: &mut Context<Self>) {
        sender.do_send(frame);
    }
}

/// What a client writes for the messages, and how long their echoes are.
fn wire(way: Way) -> (BytesMut, usize) {
    let (half, mut wire, mut echoed) = ("x".repeat(SIZE / 2), BytesMut::new(), 0);
    let (client, server) = (Codec::new(Role::Client), Codec::new(Role::Server));
    let mut put = |frame: Frame| client.encode(&frame, || KEY, &mut wire).expect("a good frame");
    for _ in 0..MESSAGES {
        let (whole, first, last) = (Frame::text(half.repeat(2)), Frame::text(&*half).more(), Frame::continuation(half.clone()));
        echoed += if way == Way::Fragments { server.wire_len(&first) + server.wire_len(&last) } else { server.wire_len(&whole) };
        if matches!(way, Way::Fragments | Way::Consolidated) {
            put(first);
            put(last);
        } else {
            put(whole);
        }
    }
    (wire, echoed)
}

fn echo(way: Way, times: usize) {
    System::new().block_on(async {
        let elsewhere = Arbiter::new().handle();
        let bind = Bind::factory(move || Echo { way, elsewhere: elsewhere.clone() }, "127.0.0.1:0").workers(1);
        let bound = Sockets::from_registry().send(bind).await.expect("the service runs").expect("a port is free");
        let (wire, length) = wire(way);
        let echoed = client::echo(bound.address, &wire, length, times).await;
        // The last echo: text, whole or the end of one.
        assert!(matches!(echoed[echoed.len() - SIZE / 2 - 2..][..2], [0x80, 32] | [b'x', b'x']), "not what was sent");
    });
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let way = args.first().and_then(|name| WAYS.iter().find(|(known, _)| name == known));
    match (way, args.get(1).and_then(|times| times.parse().ok())) {
        (Some((_, way)), Some(times)) => echo(*way, times),
        _ => {
            eprintln!("usage: costs {} TIMES", WAYS.map(|(name, _)| name).join("|"));
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
