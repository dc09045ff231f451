//! Echo on actix-ws.
use actix_web::{App, HttpRequest, HttpServer, Responder, rt, web};
use actix_ws::AggregatedMessage as Msg;
use futures_util::StreamExt;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};

async fn ws(req: HttpRequest, body: web::Payload) -> actix_web::Result<impl Responder> {
    let (response, mut session, stream) = actix_ws::handle(&req, body)?;
    let mut stream = stream.max_frame_size(16 << 20).aggregate_continuations().max_continuation_size(16 << 20);
    rt::spawn(async move {
        let mut reason = None;
        while let Some(Ok(msg)) = stream.next().await {
            let sent = match msg {
                Msg::Text(t) => session.text(t).await,
                Msg::Binary(b) => session.binary(b).await,
                Msg::Ping(p) => session.pong(&p).await,
                Msg::Pong(_) => Ok(()),
                Msg::Close(r) => {
                    reason = r;
                    break;
                }
            };
            if sent.is_err() {
                return;
            }
        }
        let _ = session.close(reason).await;
    });
    Ok(response)
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let args = common::args(&["--tls", "--openssl"]);
    let server = HttpServer::new(|| App::new().route("/", web::get().to(ws))).workers(args.threads).backlog(4096).tcp_nodelay(true);
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
