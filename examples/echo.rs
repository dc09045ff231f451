//! An echo server for websockets, and a page to try it in the browser.
//!
//! ```text
//! echo [--bind 127.0.0.1:9001] [--workers 1] [--handler per-connection|shared|inline|stage-actors] [--limit BYTES]
//!      [--deflate [--without-contexts] [--ratio-unlimited]]
//!      [--tls-bind ADDRESS --tls-cert FILE --tls-key FILE [--client-ca FILE]] [--proxy-protocol]
//! ```
//!
//! With `--tls-bind` it serves `wss://` there, beside `ws://`, with this certificate chain and key in PEM; `--client-ca` asks clients for a certificate of
//! that authority. A pair for a first try is made by
//!
//! ```text
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost \
//!     -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -out cert.pem -keyout key.pem
//! ```
//!
//! `--deflate`: messages are compressed if the client offers it (permessage-deflate, RFC 7692); `--without-contexts`: each by itself, so that a connection at
//! rest holds no memory for it; `--ratio-unlimited`: they may swell as much as the limit of a message allows.
//!
//! `--proxy-protocol`: every connection comes by way of a proxy, and begins with what that says of it (`send-proxy` or `send-proxy-v2` of HAProxy). `/address` tells
//! whom we take for the client.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use actix::prelude::*;
#[cfg(feature = "deflate")]
use actix_sockets::Deflate;
use actix_sockets::handshake::{Origin, Rules};
use actix_sockets::http::{HttpRequest, HttpResponse};
use actix_sockets::proxy::ProxyProtocol;
use actix_sockets::stage::{AutoPing, AutoPong, Chain, Command, Consolidation, Event, Flow, Stage};
#[cfg(feature = "tls")]
use actix_sockets::tls;
use actix_sockets::websocket::Frame;
use actix_sockets::{
    Bind, Bound, Connected, Received, Register, Responder, Settings, Shutdown, Sockets, StageActor, UpgradeServer, WebSocketSettings,
};
use http::{Method, StatusCode, Version, header};
use tokio::signal::unix::{SignalKind, signal};

const PAGE: &str = include_str!("echo.html");
const LIMIT: u64 = 64 << 20;

/// Where the echo is made.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// In an actor made for each connection.
    PerConnection,
    /// In one actor for all.
    Shared,
    /// In a stage, without any handler.
    Inline,
    /// In an actor made for each connection, above stages that are actors too.
    StageActors,
}

/// Answers requests, and echoes frames.
struct Echo {
    mode: Mode,
    rules: Rules,
    compression: Compression,
}

/// Whether and how messages are compressed.
#[derive(Clone, Copy, Default)]
struct Compression {
    on: bool,
    without_contexts: bool,
    ratio_unlimited: bool,
}

#[cfg(feature = "deflate")]
impl Compression {
    fn of<A: Actor>(self, upgrade: UpgradeServer<A>) -> UpgradeServer<A> {
        let mut deflate = Deflate::new();
        if self.without_contexts {
            deflate = deflate.without_contexts();
        }
        if self.ratio_unlimited {
            deflate = deflate.ratio_unlimited();
        }
        if self.on { upgrade.deflate(deflate) } else { upgrade }
    }
}

#[cfg(not(feature = "deflate"))]
impl Compression {
    fn of<A: Actor>(self, upgrade: UpgradeServer<A>) -> UpgradeServer<A> {
        upgrade
    }
}

impl Echo {
    fn new(mode: Mode, compression: Compression) -> Self {
        // Any origin: any page on the web may let its visitors' browsers talk to this server. It has nothing to give away; a server that
        // knows its users by a cookie must not do this (CSWSH).
        Self { mode, rules: Rules::new().origin(Origin::any()).protocols(["echo"]), compression }
    }

    /// Upgrades to this mode's handler.
    fn upgrade(&self, response: HttpResponse, sender: Responder, ctx: &mut Context<Self>) {
        let compression = self.compression;
        match self.mode {
            Mode::PerConnection => sender.do_send(compression.of(UpgradeServer::new(response, ctx))),
            Mode::Shared => sender.do_send(compression.of(UpgradeServer::new(response, ctx.address()))),
            Mode::Inline => sender.do_send(compression.of(UpgradeServer::inline(response, EchoStage))),
            Mode::StageActors => sender.do_send(
                compression
                    .of(UpgradeServer::new(response, ctx))
                    .stages(Chain::new())
                    .fragments()
                    .hosted(StageActor::host(Consolidation::new(LIMIT)))
                    .hosted(StageActor::host(AutoPong))
                    .hosted(StageActor::host(AutoPing::default())),
            ),
        }
    }
}

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Received<Connected>> for Echo {
    type Result = ();

    fn handle(&mut self, connected: Received<Connected>, ctx: &mut Context<Self>) {
        connected.sender.do_send(Register::new(ctx.address()));
    }
}

impl Handler<Received<HttpRequest>> for Echo {
    type Result = ();

    fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, ctx: &mut Context<Self>) {
        // Other protocols may be offered, too (`h2c`); a server need not care (RFC 9110 §7.8).
        if request.header(header::UPGRADE).is_some_and(|offered| offered.to_ascii_lowercase().contains("websocket")) {
            return match self.rules.accept(&request) {
                Ok(response) => self.upgrade(response, sender, ctx),
                Err(refusal) => sender.do_send(refusal.into_response()),
            };
        }
        let reads = matches!(request.method, Method::GET | Method::HEAD);
        match request.path() {
            "/" if reads => sender.do_send(HttpResponse::new(StatusCode::OK).with_html(PAGE)),
            "/address" if reads => {
                let client = sender.remote().to_string();
                sender.do_send(HttpResponse::ok(client));
            }
            "/echo" if request.method == Method::POST => {
                let mut response = HttpResponse::ok(request.content);
                if let Some(media_type) = request.headers.get(header::CONTENT_TYPE) {
                    response = response.with_header(header::CONTENT_TYPE, media_type.clone());
                }
                sender.do_send(response);
            }
            "/chunked" if reads && request.version == Version::HTTP_10 => sender.do_send(HttpResponse::ok("one two three")),
            "/chunked" if reads => {
                let chunks = sender.start(HttpResponse::new(StatusCode::OK));
                ["one ", "two ", "three"].into_iter().for_each(|chunk| chunks.do_send(chunk));
                chunks.finish();
            }
            "/" | "/address" | "/chunked" => sender.do_send(not_allowed("GET, HEAD")),
            "/echo" => sender.do_send(not_allowed("POST")),
            _ => sender.do_send(HttpResponse::not_found()),
        }
    }
}

impl Handler<Received<Frame>> for Echo {
    type Result = ();

    fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, _: &mut Context<Self>) {
        if frame.opcode.is_data() {
            sender.do_send(Frame::new(frame.opcode, frame.data));
        }
    }
}

/// The echo as a stage.
#[derive(Debug)]
struct EchoStage;

impl Stage for EchoStage {
    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        match event {
            Event::Frame(frame) if frame.opcode.is_data() => flow.down(Command::Frame(Frame::new(frame.opcode, frame.data))),
            other => flow.up(other),
        }
    }
}

fn not_allowed(allow: &'static str) -> HttpResponse {
    HttpResponse::new(StatusCode::METHOD_NOT_ALLOWED).with_header(header::ALLOW, header::HeaderValue::from_static(allow))
}

struct Options {
    bind: String,
    workers: usize,
    mode: Mode,
    compression: Compression,
    limit: u64,
    tls: Tls,
    proxied: bool,
}

/// Where TLS is spoken, and with which files.
#[derive(Default)]
struct Tls {
    bind: Option<String>,
    cert: String,
    key: String,
    client_ca: Option<String>,
}

fn options() -> Result<Options, String> {
    let (bind, compression) = ("127.0.0.1:9001".into(), Compression::default());
    let mut options =
        Options { bind, workers: 1, mode: Mode::PerConnection, compression, limit: LIMIT, tls: Tls::default(), proxied: false };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--help" => return Err("an echo server for websockets".into()),
            "--bind" => options.bind = value()?,
            "--workers" => options.workers = value()?.parse().map_err(|_| "--workers needs a number")?,
            "--limit" => options.limit = value()?.parse().map_err(|_| "--limit needs a number of bytes")?,
            "--deflate" if cfg!(not(feature = "deflate")) => return Err("built without the feature `deflate`".into()),
            "--deflate" => options.compression.on = true,
            "--without-contexts" => options.compression.without_contexts = true,
            "--ratio-unlimited" => options.compression.ratio_unlimited = true,
            "--proxy-protocol" => options.proxied = true,
            "--tls-bind" if cfg!(not(feature = "tls")) => return Err("built without the feature `tls`".into()),
            "--tls-bind" => options.tls.bind = Some(value()?),
            "--tls-cert" => options.tls.cert = value()?,
            "--tls-key" => options.tls.key = value()?,
            "--client-ca" => options.tls.client_ca = Some(value()?),
            "--handler" => {
                options.mode = match value()?.as_str() {
                    "per-connection" => Mode::PerConnection,
                    "shared" => Mode::Shared,
                    "inline" => Mode::Inline,
                    "stage-actors" => Mode::StageActors,
                    other => return Err(format!("no handler `{other}`: per-connection, shared, inline or stage-actors")),
                }
            }
            other => return Err(format!("unknown argument `{other}`")),
        }
    }
    if options.mode == Mode::Shared && options.workers > 1 {
        return Err("a shared handler has one worker: its own arbiter".into());
    }
    if options.tls.bind.is_some() && (options.tls.cert.is_empty() || options.tls.key.is_empty()) {
        return Err("--tls-bind needs --tls-cert and --tls-key".into());
    }
    Ok(options)
}

/// Listens in the clear, and under TLS if that is asked for.
async fn listen(options: &Options) -> Result<Vec<(&'static str, Bound)>, Box<dyn Error>> {
    let &Options { workers, mode, compression, limit, proxied, .. } = options;
    let websocket = WebSocketSettings::new().frame_size_limit(limit).message_size_limit(limit).fragments_limit(1 << 20);
    let settings = Settings::new().websocket(websocket).backlog(4096);
    let shared = (mode == Mode::Shared).then(|| Echo::new(mode, compression).start());
    let at = |address: &str| {
        let bind = match &shared {
            Some(echo) => Bind::new(echo.clone(), address.to_owned()),
            None => Bind::factory(move || Echo::new(mode, compression), address.to_owned()).workers(workers),
        };
        // Whoever can connect is believed: such a listener only the proxy must be able to reach.
        let bind = if proxied { bind.proxy_protocol(ProxyProtocol::required()) } else { bind };
        bind.settings(settings.clone())
    };
    let clear = ("ws", at(&options.bind));
    #[cfg(not(feature = "tls"))]
    let binds = vec![clear];
    #[cfg(feature = "tls")]
    let binds = match &options.tls.bind {
        Some(address) => vec![clear, ("wss", at(address).tls(options.tls.server()?))],
        None => vec![clear],
    };
    let mut bound = Vec::new();
    for (scheme, bind) in binds {
        bound.push((scheme, Sockets::from_registry().send(bind).await??));
    }
    Ok(bound)
}

#[cfg(feature = "tls")]
impl Tls {
    fn server(&self) -> Result<tls::Server, tls::TlsError> {
        let server = tls::Server::builder(tls::Identity::files(&self.cert, &self.key)?);
        match &self.client_ca {
            Some(authority) => server.ask_clients(tls::Authorities::file(authority)?).build(),
            None => server.build(),
        }
    }
}

#[actix::main]
async fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!(
                "echo: {error}\nusage: echo [--bind ADDRESS] [--workers N] [--handler per-connection|shared|inline|stage-actors] [--limit BYTES] \
                 [--deflate [--without-contexts] [--ratio-unlimited]] [--tls-bind ADDRESS --tls-cert FILE --tls-key FILE [--client-ca FILE]] [--proxy-protocol]"
            );
            return ExitCode::from(2);
        }
    };
    let (mut interrupt, mut terminate) = match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("echo: no signal handler: {error}");
            return ExitCode::FAILURE;
        }
    };
    match listen(&options).await {
        Ok(all) => all.iter().for_each(|(scheme, bound)| println!("listening on {scheme}://{}", bound.address)),
        Err(error) => {
            eprintln!("echo: {error}");
            return ExitCode::FAILURE;
        }
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let ended = Sockets::from_registry().send(Shutdown { grace: Duration::from_secs(5) }).await;
    System::current().stop();
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
