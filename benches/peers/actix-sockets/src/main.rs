//! Our own servers beside the echo example: plain text over HTTP/1.1, and one message to everybody.
use std::collections::HashMap;
use std::error::Error;

use actix::prelude::*;
use actix_sockets::{handshake, http};
use actix_sockets::{
    Bind, Closed, Connected, Frame, HttpRequest, HttpResponse, Received, Register, Settings, Socket, SocketId, Sockets, UpgradeServer,
    Upgraded,
};
use common::{PLAINTEXT, PREPARED};

/// Answers requests, an actor for each connection.
struct Plaintext;

impl Actor for Plaintext {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Plaintext {
    type Result = ();

    fn handle(&mut self, Received { sender, .. }: Received<HttpRequest>, _: &mut Context<Self>) {
        sender.do_send(HttpResponse::ok(PLAINTEXT));
    }
}

/// Everybody, in one actor.
#[derive(Default)]
struct Room(HashMap<SocketId, Socket>);

impl Actor for Room {
    type Context = Context<Self>;
}

impl Handler<Received<Connected>> for Room {
    type Result = ();

    fn handle(&mut self, connected: Received<Connected>, ctx: &mut Context<Self>) {
        connected.sender.do_send(Register::new(ctx.address()));
    }
}

impl Handler<Received<HttpRequest>> for Room {
    type Result = ();

    fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, ctx: &mut Context<Self>) {
        match handshake::accept(&request) {
            Ok(response) => sender.do_send(UpgradeServer::new(response, ctx.address()).hears::<Upgraded>().hears::<Closed>()),
            Err(refusal) => sender.do_send(refusal.into_response()),
        }
    }
}

impl Handler<Received<Upgraded>> for Room {
    type Result = ();

    fn handle(&mut self, upgraded: Received<Upgraded>, _: &mut Context<Self>) {
        self.0.insert(upgraded.sender.id(), upgraded.sender);
    }
}

impl Handler<Received<Closed>> for Room {
    type Result = ();

    fn handle(&mut self, closed: Received<Closed>, _: &mut Context<Self>) {
        self.0.remove(&closed.sender.id());
    }
}

impl Handler<Received<Frame>> for Room {
    type Result = ();

    fn handle(&mut self, _: Received<Frame>, _: &mut Context<Self>) {
        self.0.values().for_each(|socket| socket.do_send(Frame::binary(bytes::Bytes::from_static(PREPARED))));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = common::args(&["--http", "--fan-out"]);
    let address = ("127.0.0.1", args.port);
    // The other HTTP servers take pipelined requests, too.
    let settings = Settings::new().backlog(4096).http(http::Settings::new().pipelining_limit(16));
    let system = System::new();
    system.block_on(async {
        let bind = match args.http {
            true => Bind::factory(|| Plaintext, address).workers(args.threads),
            false => Bind::new(Room::default().start(), address),
        };
        Sockets::from_registry().send(bind.settings(settings)).await??;
        Ok::<_, Box<dyn Error>>(())
    })?;
    Ok(system.run()?)
}
