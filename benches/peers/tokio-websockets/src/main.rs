//! Echo on tokio-websockets. It flushes pending frames each time it is polled for a message, so
//! --batch takes all that are ready before it feeds them back.
use common::{Args, Connection, Hub, PREPARED, Transport};
use tokio_websockets::{Config, Message, ServerBuilder};

#[derive(Clone)]
struct Peer {
    args: Args,
    hub: Hub<Message>,
}

fn is_data(m: &Message) -> bool {
    m.is_text() || m.is_binary()
}

impl Connection for Peer {
    async fn run(self, stream: impl Transport) {
        let mut builder = ServerBuilder::new();
        if self.args.batch {
            builder = builder.config(Config::default().flush_threshold(64 << 10));
        }
        let Ok((_request, ws)) = builder.accept(stream).await else { return };
        let _ = if self.args.fan_out {
            common::fan_out(ws, self.hub, is_data).await
        } else if self.args.batch {
            common::echo_collected(ws, is_data).await
        } else {
            common::echo(ws, false, is_data).await
        };
    }
}

fn main() {
    let args = common::args(&["--batch", "--fan-out", "--tls", "--openssl"]);
    let hub = Hub::new(Message::binary(bytes::Bytes::from_static(PREPARED)));
    common::serve(&args.clone(), Peer { args, hub });
}
