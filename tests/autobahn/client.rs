//! The client under test: echoes what the Autobahn suite says, one case after another. See `README.md`.
//!
//! It always offers permessage-deflate if it is built with the feature: the suite agrees to it in its sections 12 and 13 only.
//!
//! ```text
//! autobahn-client URL AGENT
//! ```

use std::process::ExitCode;

use actix::prelude::*;
use actix_sockets::handshake::Target;
use actix_sockets::{Closed, Connect, Frame, Received, Settings, Sockets, UpgradeClient, UpgradeFailed, WebSocketSettings};
use tokio::sync::oneshot;

const LIMIT: u64 = 64 << 20;

/// Handles one connection: echoes, or only listens.
struct Client {
    echoes: bool,
    /// The last text heard.
    heard: String,
    /// What was heard, for the one who waits for the end.
    done: Option<oneshot::Sender<Result<String, String>>>,
}

impl Client {
    fn end(&mut self, how: Result<String, String>) {
        if let Some(done) = self.done.take() {
            let _ = done.send(how);
        }
    }
}

impl Actor for Client {
    type Context = Context<Self>;
}

impl Handler<Received<Frame>> for Client {
    type Result = ();

    fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, _: &mut Context<Self>) {
        if self.echoes && frame.opcode.is_data() {
            sender.do_send(Frame::new(frame.opcode, frame.data));
        } else if let Some(text) = frame.as_text() {
            self.heard = text.to_owned();
        }
    }
}

impl Handler<Received<UpgradeFailed>> for Client {
    type Result = ();

    fn handle(&mut self, failed: Received<UpgradeFailed>, _: &mut Context<Self>) {
        self.end(Err(failed.message.error.to_string()));
    }
}

impl Handler<Received<Closed>> for Client {
    type Result = ();

    fn handle(&mut self, _: Received<Closed>, _: &mut Context<Self>) {
        let heard = std::mem::take(&mut self.heard);
        self.end(Ok(heard));
    }
}

/// One connection from its beginning to its end, however it ends. Gives the last text that was not echoed.
async fn connection(url: &str, echoes: bool) -> Result<String, String> {
    let target = Target::parse(url).map_err(|error| error.to_string())?;
    let (done, ended) = oneshot::channel();
    let client = Client { echoes, heard: String::new(), done: Some(done) }.start();
    let upgrade = UpgradeClient::to(&target, client).hears::<UpgradeFailed>().hears::<Closed>();
    #[cfg(feature = "deflate")]
    let upgrade = upgrade.deflate(actix_sockets::Deflate::new());
    let websocket = WebSocketSettings::new().frame_size_limit(LIMIT).message_size_limit(LIMIT).fragments_limit(1 << 20);
    let connect = Connect::websocket(&target, upgrade).settings(Settings::new().websocket(websocket));
    let connected = Sockets::from_registry().send(connect).await.map_err(|error| error.to_string())?;
    connected.map_err(|error| error.to_string())?;
    ended.await.map_err(|error| error.to_string())?
}

async fn run(url: &str, agent: &str) -> Result<(), String> {
    let count = connection(&format!("{url}/getCaseCount"), false).await?;
    let count: u32 = count.parse().map_err(|_| format!("`{count}` is no count of cases"))?;
    for case in 1..=count {
        // How a case ends is for the suite to judge.
        if let Err(error) = connection(&format!("{url}/runCase?case={case}&agent={agent}"), true).await {
            println!("case {case}: {error}");
        }
    }
    connection(&format!("{url}/updateReports?agent={agent}"), false).await.map(drop)
}

#[actix::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, agent] = &args[..] else {
        eprintln!("usage: autobahn-client URL AGENT");
        return ExitCode::from(2);
    };
    match run(url.trim_end_matches('/'), agent).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autobahn-client: {error}");
            ExitCode::FAILURE
        }
    }
}
