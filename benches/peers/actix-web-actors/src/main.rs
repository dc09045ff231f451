//! Echo on actix-web-actors (deprecated, but the actor peer): one actor per connection.
use actix::{Actor, ActorContext, StreamHandler};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, web};
use actix_web_actors::ws;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};

struct Echo;

impl Actor for Echo {
    type Context = ws::WebsocketContext<Self>;
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Echo {
    fn handle(&mut self, msg: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        match msg {
            Ok(ws::Message::Text(t)) => ctx.text(t),
            Ok(ws::Message::Binary(b)) => ctx.binary(b),
            Ok(ws::Message::Ping(p)) => ctx.pong(&p),
            Ok(ws::Message::Pong(_)) => {}
            Ok(ws::Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            _ => ctx.stop(),
        }
    }
}

async fn index(req: HttpRequest, stream: web::Payload) -> Result<HttpResponse, Error> {
    ws::WsResponseBuilder::new(Echo, &req, stream).frame_size(16 << 20).start()
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let args = common::args(&["--tls", "--openssl"]);
    let server = HttpServer::new(|| App::new().route("/", web::get().to(index))).workers(args.threads).backlog(4096).tcp_nodelay(true);
    let address = ("127.0.0.1", args.port);
    let server = match &args.tls {
        None => server.bind(address)?,
        Some((cert, key)) => {
            let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
            acceptor.set_certificate_chain_file(cert)?;
            acceptor.set_private_key_file(key, SslFiletype::PEM)?;
            server.bind_openssl(address, acceptor)?
        }
    };
    server.run().await
}
