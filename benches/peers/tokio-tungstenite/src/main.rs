//! Echo on tokio-tungstenite.
use common::{Args, Connection, Hub, PREPARED, Transport};
use tokio_tungstenite::{accept_async, tungstenite::Message};

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
        let Ok(ws) = accept_async(stream).await else { return };
        let _ =
            if self.args.fan_out { common::fan_out(ws, self.hub, is_data).await } else { common::echo(ws, self.args.batch, is_data).await };
    }
}

fn main() {
    let args = common::args(&["--batch", "--fan-out", "--tls", "--openssl"]);
    let hub = Hub::new(Message::binary(PREPARED.as_slice()));
    common::serve(&args.clone(), Peer { args, hub });
}
