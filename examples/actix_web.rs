//! An actix-web application with a page, and an echo of websockets whose frame handler is an actor of actix-sockets: on actix-web's own server, or on one
//! of ours. It is the same application.
//!
//! `cargo run --example actix_web --features actix-web -- [ADDRESS] [--ours]`

use actix::prelude::*;
use actix_sockets::{Closed, Deflate, Frame, Received, Server, UpgradeServer, handshake, web};
use actix_web::web::{Payload, get};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, guard::Header};

struct Echo;

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Received<Frame>> for Echo {
    type Result = ();

    fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, _: &mut Self::Context) {
        if frame.opcode.is_data() {
            sender.do_send(frame);
        }
    }
}

impl Handler<Received<Closed>> for Echo {
    type Result = ();

    fn handle(&mut self, Received { message: closed, .. }: Received<Closed>, _: &mut Self::Context) {
        eprintln!("closed: {:?}", closed.code);
    }
}

/// `web::start(Echo, &request, payload)` is all it takes; this one compresses, and hears of the end.
async fn echo(request: HttpRequest, payload: Payload) -> Result<HttpResponse, Error> {
    let response = handshake::accept(&web::request(&request))?;
    web::upgrade(UpgradeServer::factory(response, || Echo).deflate(Deflate::new()).hears::<Closed>(), &request, payload)
}

async fn page() -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(include_str!("echo.html"))
}

#[actix::main]
async fn main() -> std::io::Result<()> {
    let app = || App::new().route("/", get().guard(Header("upgrade", "websocket")).to(echo)).route("/", get().to(page));
    let (switches, addresses): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|argument| argument == "--ours");
    let address = addresses.first().map_or("127.0.0.1:8080", String::as_str);
    if switches.is_empty() {
        let server = HttpServer::new(app).bind(address)?;
        println!("listening on http://{}", server.addrs()[0]);
        return server.run().await;
    }
    let server = Server::app(app).bind(address)?;
    println!("listening on http://{}", server.addresses()[0]);
    server.run().await;
    Ok(())
}
