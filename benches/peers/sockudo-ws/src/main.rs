//! Echo on sockudo-ws, tokio runtime, with its own handshake.
use bytes::{Bytes, BytesMut};
use common::{Args, Connection, Hub, PREPARED, Transport};
use sockudo_ws::deflate::{DeflateConfig, negotiate_server_deflate};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request, server_handshake};
use sockudo_ws::stream::CompressedWebSocketStream;
use sockudo_ws::{Config, Message, WebSocketStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Clone)]
struct Peer {
    args: Args,
    hub: Hub<Message>,
}

fn is_data(m: &Message) -> bool {
    matches!(m, Message::Text(_) | Message::Binary(_))
}

/// Its own handshake for a stream does not negotiate compression.
async fn deflate_handshake(stream: &mut impl Transport) -> Option<DeflateConfig> {
    let mut buf = BytesMut::with_capacity(4096);
    loop {
        if stream.read_buf(&mut buf).await.ok()? == 0 {
            return None;
        }
        if let Some((request, _)) = parse_request(&buf).ok()? {
            let config = DeflateConfig { server_no_context_takeover: true, client_no_context_takeover: true, ..DeflateConfig::default() };
            let agreed = negotiate_server_deflate(request.extensions?, &config)?;
            let answer = build_response(&generate_accept_key(request.key), None, Some(&agreed.to_response_header()));
            stream.write_all(&answer).await.ok()?;
            return Some(agreed.config);
        }
    }
}

impl Connection for Peer {
    async fn run(self, mut stream: impl Transport) {
        if self.args.deflate {
            let Some(agreed) = deflate_handshake(&mut stream).await else { return };
            let ws = CompressedWebSocketStream::server(stream, Config::default(), agreed);
            let _ = common::echo(ws, self.args.batch, is_data).await;
            return;
        }
        let Ok(_) = server_handshake(&mut stream).await else { return };
        let ws = WebSocketStream::server(stream, Config::default());
        let _ =
            if self.args.fan_out { common::fan_out(ws, self.hub, is_data).await } else { common::echo(ws, self.args.batch, is_data).await };
    }
}

fn main() {
    let args = common::args(&["--batch", "--fan-out", "--deflate", "--tls", "--openssl"]);
    let hub = Hub::new(Message::Binary(Bytes::from_static(PREPARED)));
    common::serve(&args.clone(), Peer { args, hub });
}
