//! Echo on yawc over a hyper upgrade. UTF-8 checking is switched on (it is off by default),
//! since the other libraries check text.
use std::task::Poll;

use bytes::Bytes;
use common::{Args, Connection, Transport};
use futures_util::{SinkExt, StreamExt};
use http_body_util::Empty;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use yawc::{OpCode, Options, WebSocket, WebSocketError};

async fn on_request(mut req: Request<Incoming>, args: Args) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let mut options = Options::default().with_utf8().with_limits(16 << 20, 32 << 20);
    let batch = args.batch;
    if batch {
        options = options.with_backpressure_boundary(64 << 10);
    }
    if args.deflate {
        options = options.with_balanced_compression().server_no_context_takeover().client_no_context_takeover();
    }
    let (response, fut) = WebSocket::upgrade_with_options(&mut req, options)?;
    tokio::spawn(tokio::task::unconstrained(async move {
        let Ok(mut ws) = fut.await else { return };
        let mut unflushed = false;
        loop {
            let next = if unflushed {
                match common::poll_next(&mut ws).await {
                    Poll::Ready(next) => next,
                    Poll::Pending => {
                        if ws.flush().await.is_err() {
                            return;
                        }
                        unflushed = false;
                        ws.next().await
                    }
                }
            } else {
                ws.next().await
            };
            let Some(frame) = next else { return };
            if !matches!(frame.opcode(), OpCode::Text | OpCode::Binary) {
                continue;
            }
            let sent = if batch {
                unflushed = true;
                ws.feed(frame).await
            } else {
                ws.send(frame).await
            };
            if sent.is_err() {
                return;
            }
        }
    }));
    Ok(response)
}

#[derive(Clone)]
struct Peer(Args);

impl Connection for Peer {
    async fn run(self, stream: impl Transport) {
        let service = service_fn(move |req| on_request(req, self.0.clone()));
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    }
}

fn main() {
    let args = common::args(&["--batch", "--deflate", "--tls", "--openssl"]);
    common::serve(&args.clone(), Peer(args));
}
