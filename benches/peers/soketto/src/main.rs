//! Echo on soketto, buffered as in its examples. With --batch, flush only when no further
//! message is at hand (its futures may not be dropped half-way, so the pending one is kept).
//! Without compression: its `deflate` ends the connection at the first compressed message (0.8.1 with flate2 1.1).
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use common::{Args, Connection, Transport};
use soketto::BoxedError;
use soketto::handshake::{Server, server::Response};
use tokio_util::compat::TokioAsyncReadCompatExt;

async fn handle(stream: impl Transport, args: Args) -> Result<(), BoxedError> {
    let io = futures::io::BufReader::with_capacity(16 << 10, futures::io::BufWriter::with_capacity(16 << 10, stream.compat()));
    let mut server = Server::new(io);
    let key = server.receive_request().await?.key();
    server.send_response(&Response::Accept { key, protocol: None }).await?;
    let (mut sender, mut receiver) = server.into_builder().finish();
    let mut buf = Vec::new();
    let mut unflushed = false;
    loop {
        buf.clear();
        let data = {
            let mut next = pin!(receiver.receive_data(&mut buf));
            let first = if unflushed { poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await } else { Poll::Pending };
            match first {
                Poll::Ready(data) => data,
                Poll::Pending => {
                    if unflushed {
                        sender.flush().await?;
                        unflushed = false;
                    }
                    next.await
                }
            }
        };
        let data = match data {
            Ok(data) => data,
            Err(soketto::connection::Error::Closed) => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        if data.is_text() {
            sender.send_text(std::str::from_utf8(&buf)?).await?;
        } else {
            sender.send_binary_mut(&mut buf).await?;
        }
        if args.batch {
            unflushed = true;
        } else {
            sender.flush().await?;
        }
    }
}

#[derive(Clone)]
struct Peer(Args);

impl Connection for Peer {
    async fn run(self, stream: impl Transport) {
        let _ = handle(stream, self.0).await;
    }
}

fn main() {
    let args = common::args(&["--batch", "--tls", "--openssl"]);
    common::serve(&args.clone(), Peer(args));
}
