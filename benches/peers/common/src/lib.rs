//! What the servers share: the command line, the runtime and accept loop of the tokio ones, TLS, and loops over a socket that is a
//! `Stream` and a `Sink`.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;
use tokio::sync::broadcast;

pub mod frames;
#[cfg(feature = "tls")]
mod tls;

/// What is sent to everybody with `--fan-out`.
pub const PREPARED: &[u8; 128] = &[b'x'; 128];
/// What is answered with `--http`.
pub const PLAINTEXT: &str = "Hello, World!";

const USAGE: &str = "--port P [--threads N] [--batch | --fan-out | --http] [--deflate] [--tls CERT KEY [--openssl]]";

#[derive(Clone, Debug, Default)]
pub struct Args {
    pub port: u16,
    pub threads: usize,
    /// Echo everything that is already readable, then flush once, where the library lets us.
    pub batch: bool,
    /// Any message makes the server send the prepared one to everybody.
    pub fan_out: bool,
    /// Answer requests; no websockets.
    pub http: bool,
    /// permessage-deflate, each message by itself.
    pub deflate: bool,
    /// Certificate chain and key, files in PEM.
    pub tls: Option<(String, String)>,
    /// TLS by OpenSSL, not by rustls.
    pub openssl: bool,
}

/// The command line, of which this server knows `supported`.
pub fn args(supported: &[&str]) -> Args {
    let mut out = Args { port: 9001, threads: 1, ..Args::default() };
    let mut it = std::env::args().skip(1);
    while let Some(a) = it.next() {
        let mut value = || it.next().unwrap_or_else(|| panic!("{a} needs a value"));
        match a.as_str() {
            "--port" => out.port = value().parse().expect("a port"),
            "--threads" => out.threads = value().parse().expect("a number of threads"),
            other if !supported.contains(&other) => panic!("this server has no {other}; the usage of all: {USAGE}"),
            "--batch" => out.batch = true,
            "--fan-out" => out.fan_out = true,
            "--http" => out.http = true,
            "--deflate" => out.deflate = true,
            "--openssl" => out.openssl = true,
            "--tls" => out.tls = Some((value(), value())),
            other => panic!("unknown argument {other}; usage: {USAGE}"),
        }
    }
    out
}

pub fn runtime(threads: usize) -> tokio::runtime::Runtime {
    if threads == 1 {
        tokio::runtime::Builder::new_current_thread().enable_all().build()
    } else {
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
    }
    .expect("runtime")
}

/// A listener with a deep backlog, so that the handshake scenario measures the server.
pub fn listen(port: u16) -> tokio::net::TcpListener {
    let s = TcpSocket::new_v4().expect("socket");
    s.set_reuseaddr(true).expect("reuseaddr");
    s.bind(([127, 0, 0, 1], port).into()).expect("bind");
    s.listen(4096).expect("listen")
}

/// A TCP stream, or TLS on one.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for T {}

/// What a server does with a connection.
pub trait Connection: Clone + Send + Sync + 'static {
    fn run(self, stream: impl Transport) -> impl Future<Output = ()> + Send;
}

/// One task per connection, TCP_NODELAY on, outside tokio's cooperative budget (as the echo examples of fastwebsockets and
/// tokio-websockets do).
pub fn serve(args: &Args, connection: impl Connection) {
    runtime(args.threads).block_on(async {
        let listener = listen(args.port);
        #[cfg(feature = "tls")]
        let tls = args.tls.as_ref().map(|(cert, key)| tls::Acceptor::new(cert, key, args.openssl));
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            #[cfg(feature = "tls")]
            if let Some(tls) = &tls {
                tokio::spawn(tokio::task::unconstrained(tls.clone().run(stream, connection.clone())));
                continue;
            }
            tokio::spawn(tokio::task::unconstrained(connection.clone().run(stream)));
        }
    });
}

/// Polls a stream once with the task's own waker.
pub async fn poll_next<S: Stream + Unpin>(s: &mut S) -> Poll<Option<S::Item>> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *s).poll_next(cx))).await
}

/// Echo over a library whose socket is a `Stream` of results and a `Sink` of messages.
///
/// Without `batch`: one `send` (feed and flush) for each message, the form of most examples.
/// With it: `feed` while messages are ready, one `flush` before waiting for more.
pub async fn echo<S, M, E>(mut ws: S, batch: bool, is_data: impl Fn(&M) -> bool) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    let mut unflushed = false;
    loop {
        let next = if unflushed {
            match poll_next(&mut ws).await {
                Poll::Ready(next) => next,
                Poll::Pending => {
                    ws.flush().await?;
                    unflushed = false;
                    ws.next().await
                }
            }
        } else {
            ws.next().await
        };
        match next {
            None => return Ok(()),
            Some(msg) => {
                let msg = msg?;
                if !is_data(&msg) {
                    continue;
                }
                if batch {
                    ws.feed(msg).await?;
                    unflushed = true;
                } else {
                    ws.send(msg).await?;
                }
            }
        }
    }
}

/// Echo in rounds: takes every message that is ready, then feeds all of them and flushes once.
/// For a library that flushes what is pending whenever it is polled for the next message.
pub async fn echo_collected<S, M, E>(mut ws: S, is_data: impl Fn(&M) -> bool) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    let mut ready = Vec::new();
    loop {
        match ws.next().await {
            None => return Ok(()),
            Some(msg) => ready.push(msg?),
        }
        while ready.len() < 256 {
            match poll_next(&mut ws).await {
                Poll::Ready(Some(msg)) => ready.push(msg?),
                Poll::Ready(None) => return Ok(()),
                Poll::Pending => break,
            }
        }
        let mut fed = false;
        for msg in ready.drain(..) {
            if is_data(&msg) {
                ws.feed(msg).await?;
                fed = true;
            }
        }
        if fed {
            ws.flush().await?;
        }
    }
}

/// The message that goes to everybody, and where its copies come from. A message holds its bytes by reference: a copy copies no payload.
#[derive(Clone)]
pub struct Hub<M> {
    to_all: broadcast::Sender<M>,
    prepared: M,
}

impl<M: Clone> Hub<M> {
    pub fn new(prepared: M) -> Self {
        Self { to_all: broadcast::channel(16).0, prepared }
    }
}

/// Sends what the hub has for everybody; any message makes the hub send its own.
pub async fn fan_out<S, M: Clone, E>(mut ws: S, hub: Hub<M>, is_data: impl Fn(&M) -> bool) -> Result<(), E>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
{
    let mut said = hub.to_all.subscribe();
    loop {
        tokio::select! {
            heard = ws.next() => {
                let Some(msg) = heard else { return Ok(()) };
                if is_data(&msg?) {
                    let _ = hub.to_all.send(hub.prepared.clone());
                }
            }
            Ok(msg) = said.recv() => ws.send(msg).await?,
        }
    }
}
