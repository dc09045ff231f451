//! Echo on fastwebsockets over a hyper upgrade, as in its README and example.
use bytes::Bytes;
use common::{Connection, Transport};
use fastwebsockets::{FragmentCollector, OpCode, WebSocketError, upgrade};
use http_body_util::Empty;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;

async fn echo(fut: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let mut ws = FragmentCollector::new(fut.await?);
    loop {
        let frame = ws.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => ws.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn on_request(mut req: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, fut) = upgrade::upgrade(&mut req)?;
    tokio::spawn(tokio::task::unconstrained(async move {
        let _ = echo(fut).await;
    }));
    Ok(response)
}

#[derive(Clone)]
struct Peer;

impl Connection for Peer {
    async fn run(self, stream: impl Transport) {
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(on_request)).with_upgrades().await;
    }
}

fn main() {
    common::serve(&common::args(&["--tls", "--openssl"]), Peer);
}
