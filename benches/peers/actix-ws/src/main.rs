//! Echo on actix-ws.
use std::cell::RefCell;

use actix_web::{App, HttpRequest, HttpServer, Responder, rt, web};
use actix_ws::{AggregatedMessage as Msg, Closed, Session};
use common::PREPARED;
use futures_util::StreamExt;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};

thread_local! {
    /// Everybody, for --fan-out.
    static SESSIONS: RefCell<Vec<Session>> = const { RefCell::new(Vec::new()) };
}

async fn to_all() -> Result<(), Closed> {
    let sessions = SESSIONS.with_borrow(Clone::clone);
    for mut session in sessions {
        let _ = session.binary(web::Bytes::from_static(PREPARED)).await;
    }
    Ok(())
}

async fn ws(req: HttpRequest, body: web::Payload, fan_out: web::Data<bool>) -> actix_web::Result<impl Responder> {
    let (response, mut session, stream) = actix_ws::handle(&req, body)?;
    let mut stream = stream.max_frame_size(16 << 20).aggregate_continuations().max_continuation_size(16 << 20);
    if **fan_out {
        SESSIONS.with_borrow_mut(|all| all.push(session.clone()));
    }
    rt::spawn(async move {
        let mut reason = None;
        while let Some(Ok(msg)) = stream.next().await {
            let sent = match msg {
                Msg::Text(_) | Msg::Binary(_) if **fan_out => to_all().await,
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
    let args = common::args(&["--fan-out", "--tls", "--openssl"]);
    let fan_out = web::Data::new(args.fan_out);
    let server = HttpServer::new(move || App::new().app_data(fan_out.clone()).route("/", web::get().to(ws)))
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
