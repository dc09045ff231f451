//! The example of the README: a server that shouts, and a client that hears it. Prints `I AM COW`, and ends.

use actix::prelude::*;
use actix_sockets::handshake::{self, Target};
use actix_sockets::{Bind, Connect, Connected, Register, Requester, Sockets, UpgradeClient, UpgradeServer, Upgraded};
use actix_sockets::{Close, Closed, Frame, HttpRequest, HttpResponse, Received};

struct ShoutServer;

impl Actor for ShoutServer {
    type Context = Context<Self>;
}

impl Handler<Received<Connected>> for ShoutServer {
    type Result = ();

    fn handle(&mut self, connected: Received<Connected>, ctx: &mut Self::Context) {
        connected.sender.do_send(Register::new(ctx)); // as for any HTTP server
    }
}

impl Handler<Received<HttpRequest>> for ShoutServer {
    type Result = ();

    fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, ctx: &mut Self::Context) {
        // Upgrade the connection if the request looks good; until then it is a plain HTTP server's.
        match handshake::accept(&request) {
            Ok(response) => sender.do_send(UpgradeServer::new(response, ctx).hears::<Upgraded>()),
            Err(refusal) => sender.do_send(refusal.into_response()),
        }
    }
}

impl Handler<Received<Upgraded>> for ShoutServer {
    type Result = ();

    fn handle(&mut self, _: Received<Upgraded>, _: &mut Self::Context) {} // the server might speak first
}

impl Handler<Received<Frame>> for ShoutServer {
    type Result = ();

    fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, _: &mut Self::Context) {
        // Answer each text in capitals.
        if let Some(text) = frame.as_text() {
            sender.do_send(Frame::text(text.to_uppercase()));
        }
    }
}

struct ShoutClient {
    target: Target,
}

impl Actor for ShoutClient {
    type Context = Context<Self>;
}

impl Handler<Received<Connected, Requester>> for ShoutClient {
    type Result = ();

    fn handle(&mut self, Received { sender, .. }: Received<Connected, Requester>, ctx: &mut Self::Context) {
        // Ask for the upgrade as soon as there is a connection.
        sender.do_send(UpgradeClient::to(&self.target, ctx).hears::<HttpResponse>().hears::<Upgraded>().hears::<Closed>());
    }
}

impl Handler<Received<HttpResponse>> for ShoutClient {
    type Result = ();

    fn handle(&mut self, response: Received<HttpResponse>, _: &mut Self::Context) {
        assert_eq!(response.message.status, 101); // Switching Protocols
    }
}

impl Handler<Received<Upgraded>> for ShoutClient {
    type Result = ();

    fn handle(&mut self, upgraded: Received<Upgraded>, _: &mut Self::Context) {
        upgraded.sender.do_send(Frame::text("i am cow"));
    }
}

impl Handler<Received<Frame>> for ShoutClient {
    type Result = ();

    fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, _: &mut Self::Context) {
        println!("{}", frame.as_text().unwrap_or("no text?"));
        sender.do_send(Close::default());
    }
}

impl Handler<Received<Closed>> for ShoutClient {
    type Result = ();

    fn handle(&mut self, _: Received<Closed>, _: &mut Self::Context) {
        System::current().stop();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = System::new();
    system.block_on(async {
        let sockets = Sockets::from_registry();
        let bound = sockets.send(Bind::new(ShoutServer.start(), "localhost:0")).await??;
        let target = Target::parse(&format!("ws://{}/mychat", bound.address))?;
        let client = ShoutClient { target: target.clone() }.start();
        sockets.send(Connect::target(client, &target)).await??;
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    Ok(system.run()?)
}
