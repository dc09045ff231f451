//! A websocket client for the terminal and for scripts: lines in, messages out, and back.
//!
//! ```text
//! client [--binary] [--deflate] [--redirects N] [--ca FILE] [--cert FILE --key FILE] URL
//! ```
//!
//! Each line of standard input goes out as a text message, each text message that comes is printed as a line; with `--binary` they are
//! binary messages. With `--deflate` compression is offered (permessage-deflate, RFC 7692), and standard error tells what was agreed on. At the end of input the connection is closed, and what still comes is printed.
//! Redirects are followed up to `--redirects`: none without it.
//!
//! The server's certificate must be of an authority in `--ca`, a PEM file; else in the file that the environment names as `SSL_CERT_FILE`; else
//! of one that the system trusts. `--cert` and `--key` are the certificate that is shown to a server which asks for one.
//!
//! It exits with 0 after a closing handshake that says nothing is wrong; with 1 and a line on standard error after anything else.

use std::error::Error;
use std::io::Write;

use actix::prelude::*;
#[cfg(feature = "deflate")]
use actix_sockets::Deflate;
use actix_sockets::handshake::Target;
#[cfg(feature = "tls")]
use actix_sockets::tls;
use actix_sockets::websocket::{CloseCode, Frame, OpCode};
use actix_sockets::{
    Close, Closed, Connect, Received, SendError, Settings, Socket, Sockets, UpgradeClient, UpgradeFailed, Upgraded, WebSocketSettings,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, stdin};
use tokio::sync::oneshot;

/// The longest message, and the longest line.
const LIMIT: u64 = 64 << 20;
/// While more than this is unsent, no more of the input is read.
const UNSENT: usize = 64 << 10;

/// Says what is typed, and prints what is heard.
struct Client {
    binary: bool,
    deflate: bool,
    /// What is wrong with our own input or output.
    trouble: Option<String>,
    /// How it ended, for `main`.
    done: Option<oneshot::Sender<Result<(), String>>>,
}

impl Client {
    fn end(&mut self, how: Result<(), String>) {
        if let Some(done) = self.done.take() {
            let _ = done.send(self.trouble.take().map_or(how, Err));
        }
    }
}

impl Actor for Client {
    type Context = Context<Self>;
}

impl Handler<Received<Upgraded>> for Client {
    type Result = ();

    fn handle(&mut self, Received { message: upgraded, sender }: Received<Upgraded>, ctx: &mut Context<Self>) {
        if self.deflate {
            let agreed = if upgraded.extensions.is_empty() { "no extension".into() } else { upgraded.extensions.join(", ") };
            eprintln!("client: agreed on {agreed}");
        }
        let socket = sender.clone();
        ctx.spawn(say_lines(socket.clone(), self.binary).into_actor(self).map(move |said, client, _| {
            client.trouble = said.err();
            socket.do_send(Close::default());
        }));
    }
}

impl Handler<Received<UpgradeFailed>> for Client {
    type Result = ();

    fn handle(&mut self, Received { message: failed, .. }: Received<UpgradeFailed>, _: &mut Context<Self>) {
        let said = failed.response.as_ref().and_then(|response| std::str::from_utf8(&response.content).ok()).unwrap_or_default();
        self.end(Err(format!("no websocket: {} {}", failed.error, said.trim()).trim_end().to_owned()));
    }
}

impl Handler<Received<Frame>> for Client {
    type Result = ();

    fn handle(&mut self, Received { message: frame, .. }: Received<Frame>, _: &mut Context<Self>) {
        if frame.opcode == OpCode::Text || self.binary && frame.opcode == OpCode::Binary {
            let mut output = std::io::stdout().lock();
            let printed = output.write_all(&frame.data).and_then(|()| output.write_all(b"\n")).and_then(|()| output.flush());
            if let Err(error) = printed {
                self.end(Err(format!("standard output: {error}")));
            }
        }
    }
}

impl Handler<Received<Closed>> for Client {
    type Result = ();

    fn handle(&mut self, Received { message: closed, .. }: Received<Closed>, _: &mut Context<Self>) {
        let nothing_wrong = matches!(closed.code, CloseCode::NORMAL | CloseCode::GOING_AWAY | CloseCode::NO_STATUS)
            || (3000..=4999).contains(&closed.code.0);
        let how = if closed.clean { "closed" } else { "closed without a closing handshake" };
        let told = format!("{how}: {} {}", closed.code.0, closed.reason);
        self.end(if closed.clean && nothing_wrong { Ok(()) } else { Err(told.trim_end().to_owned()) });
    }
}

/// Sends each line of standard input, as fast as the server takes them. Ends with the input, or with the websocket.
async fn say_lines(socket: Socket, binary: bool) -> Result<(), String> {
    let mut input = BufReader::new(stdin());
    loop {
        let mut line = Vec::new();
        let read = (&mut input).take(LIMIT + 1).read_until(b'\n', &mut line).await.map_err(|error| format!("standard input: {error}"))?;
        if line.pop_if(|last| *last == b'\n').is_none() {
            match read as u64 {
                0 => return Ok(()),
                1..=LIMIT => {}
                _ => return Err(format!("standard input: a line of more than {} MiB", LIMIT >> 20)),
            }
        }
        let frame = if binary {
            Frame::binary(line)
        } else {
            Frame::text(String::from_utf8(line).map_err(|_| "standard input: a line is not UTF-8: try --binary")?)
        };
        let sending = socket.send(frame);
        if socket.buffered_amount() > UNSENT && sending.await == Err(SendError::Closed) {
            return Ok(());
        }
    }
}

#[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "certificates are for TLS"))]
struct Options {
    binary: bool,
    deflate: bool,
    redirects: usize,
    ca: Option<String>,
    identity: Option<(String, String)>,
    url: String,
}

fn options() -> Result<Options, String> {
    let (mut binary, mut deflate, mut redirects, mut ca, mut cert, mut key, mut url) = (false, false, 0, None, None, None, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--binary" => binary = true,
            "--deflate" => deflate = true,
            "--redirects" => redirects = value()?.parse().map_err(|_| "--redirects needs a number")?,
            "--ca" => ca = Some(value()?),
            "--cert" => cert = Some(value()?),
            "--key" => key = Some(value()?),
            _ if !arg.starts_with("--") && url.is_none() => url = Some(arg),
            other => return Err(format!("unknown argument `{other}`")),
        }
    }
    if cert.is_some() != key.is_some() {
        return Err("--cert and --key go together".into());
    }
    if deflate && cfg!(not(feature = "deflate")) {
        return Err("built without the feature `deflate`".into());
    }
    if (ca.is_some() || cert.is_some()) && cfg!(not(feature = "tls")) {
        return Err("built without the feature `tls`".into());
    }
    Ok(Options { binary, deflate, redirects, ca, identity: cert.zip(key), url: url.ok_or("no URL")? })
}

async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let &Options { binary, deflate, .. } = options;
    let target = Target::parse(&options.url)?;
    let (done, ended) = oneshot::channel();
    let client = Client { binary, deflate, trouble: None, done: Some(done) }.start();
    let upgrade = UpgradeClient::to(&target, client).hears::<Upgraded>().hears::<UpgradeFailed>().hears::<Closed>();
    #[cfg(feature = "deflate")]
    let upgrade = if deflate { upgrade.deflate(Deflate::new()) } else { upgrade };
    // What is unsent is a line at most, so reading need not stop for it: if both ends did that, neither would go on.
    let unsent = 2 * LIMIT as usize;
    let websocket = WebSocketSettings::new().frame_size_limit(LIMIT).message_size_limit(LIMIT).fragments_limit(1 << 20);
    let settings = Settings::new().websocket(websocket.unsent_limits(unsent, unsent));
    let connect = Connect::websocket(&target, upgrade).settings(settings).redirects(options.redirects);
    #[cfg(feature = "tls")]
    let connect = if target.secure { connect.tls(options.tls()?) } else { connect };
    Sockets::from_registry().send(connect).await??;
    Ok(ended.await.map_err(|_| "the connection is lost")??)
}

#[cfg(feature = "tls")]
impl Options {
    fn tls(&self) -> Result<tls::Client, tls::TlsError> {
        let mut client = tls::Client::builder();
        if let Some(ca) = &self.ca {
            client = client.authorities(tls::Authorities::file(ca)?);
        }
        if let Some((cert, key)) = &self.identity {
            client = client.identity(tls::Identity::files(cert, key)?);
        }
        client.build()
    }
}

#[actix::main]
async fn main() {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("client: {error}\nusage: client [--binary] [--deflate] [--redirects N] [--ca FILE] [--cert FILE --key FILE] URL");
            std::process::exit(2)
        }
    };
    let ended = run(&options).await;
    if let Err(error) = &ended {
        eprintln!("client: {error}");
    }
    // Not by returning, which would wait for the thread that waits for standard input.
    std::process::exit(i32::from(ended.is_err()))
}
