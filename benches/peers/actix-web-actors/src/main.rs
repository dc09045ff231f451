//! Echo on actix-web-actors (deprecated, but the actor peer): one actor per connection.
use std::cell::RefCell;

use actix::{Actor, ActorContext, Addr, AsyncContext, Handler, Message, StreamHandler};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, web};
use actix_web_actors::ws;
use common::PREPARED;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};

thread_local! {
    /// Everybody, for --fan-out.
    static ALL: RefCell<Vec<Addr<Echo>>> = const { RefCell::new(Vec::new()) };
}

#[derive(Message)]
#[rtype(result = "()")]
struct ToAll(web::Bytes);

struct Echo {
    fan_out: bool,
}

impl Handler<ToAll> for Echo {
    type Result = ();

    fn handle(&mut self, ToAll(bytes): ToAll, ctx: &mut Self::Context) {
        ctx.binary(bytes);
    }
}

impl Actor for Echo {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.fan_out {
            ALL.with_borrow_mut(|all| all.push(ctx.address()));
        }
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Echo {
    fn handle(&mut self, msg: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        match msg {
            Ok(ws::Message::Text(_) | ws::Message::Binary(_)) if self.fan_out => {
                ALL.with_borrow(|all| all.iter().for_each(|each| each.do_send(ToAll(web::Bytes::from_static(PREPARED)))));
            }
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

async fn index(req: HttpRequest, stream: web::Payload, fan_out: web::Data<bool>) -> Result<HttpResponse, Error> {
    ws::WsResponseBuilder::new(Echo { fan_out: **fan_out }, &req, stream).frame_size(16 << 20).start()
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let args = common::args(&["--fan-out", "--tls", "--openssl"]);
    let fan_out = web::Data::new(args.fan_out);
    let server = HttpServer::new(move || App::new().app_data(fan_out.clone()).route("/", web::get().to(index)))
        .workers(args.threads)
        .backlog(4096)
        .tcp_nodelay(true);
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
