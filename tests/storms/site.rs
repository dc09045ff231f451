//! The server's side: an echo in a system of its own, and what it holds of the machine.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_sockets::stage::{Event, Flow, Stage};
use actix_sockets::{
    Bind, Frame, HttpRequest, HttpResponse, Listener, Received, Settings, Sockets, UpgradeServer, WebSocketSettings, handshake,
};

/// How long what has ended may take to be gone: lingering closes, closing handshakes.
const SETTLES: Duration = Duration::from_secs(30);

/// What is said where somebody dies as he was told to.
pub(crate) const TOLD: &str = "as it was told";

/// On a busy machine clients are slow, and are none the worse for it.
fn patient() -> Settings {
    let long = Duration::from_secs(60);
    let http = actix_sockets::http::Settings::new().head_timeout(long).content_grace(long);
    let websocket = WebSocketSettings::new().ping_every(None);
    Settings::new().http(http).websocket(websocket).tls_handshake_timeout(long)
}

/// How many actors there are.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

struct Alive;

impl Alive {
    fn new() -> Self {
        ALIVE.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An HTTP handler that upgrades, or dies in one of several ways.
struct Mortal(Alive);

impl Actor for Mortal {
    type Context = Context<Self>;
}

impl Handler<Received<HttpRequest>> for Mortal {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<HttpRequest>, ctx: &mut Context<Self>) {
        let upgrade = |make: fn() -> Echo| handshake::accept(&message).map(|response| UpgradeServer::factory(response, make));
        match message.path() {
            "/panic" => panic!("{TOLD}"),
            "/stop" => ctx.stop(),
            "/unmade" => match upgrade(|| panic!("{TOLD}")) {
                Ok(upgrade) => sender.do_send(upgrade),
                Err(refusal) => sender.do_send(refusal.into_response()),
            },
            "/chat" => match upgrade(|| Echo(Alive::new())) {
                Ok(upgrade) => sender.do_send(upgrade.also(Fragile)),
                Err(refusal) => sender.do_send(refusal.into_response()),
            },
            _ => sender.do_send(HttpResponse::not_found()),
        }
    }
}

/// A stage that panics if it is told to.
#[derive(Debug)]
struct Fragile;

impl Stage for Fragile {
    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        assert!(!matches!(&event, Event::Frame(frame) if frame.as_text() == Some("stage")), "{TOLD}");
        flow.up(event);
    }
}

struct Echo(Alive);

impl Actor for Echo {
    type Context = Context<Self>;
}

impl Handler<Received<Frame>> for Echo {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<Frame>, ctx: &mut Context<Self>) {
        match message.as_text() {
            Some("panic") => panic!("{TOLD}"),
            Some("stop") => ctx.stop(),
            _ => sender.do_send(message),
        }
    }
}

/// What the process holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Census {
    pub(crate) descriptors: usize,
    /// HTTP handlers and frame handlers: each connection and websocket has one of its own, which ends with it.
    pub(crate) actors: usize,
    pub(crate) threads: usize,
    /// Bytes of resident memory.
    pub(crate) resident: usize,
}

pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) listener: Addr<Listener>,
    system: System,
    thread: JoinHandle<()>,
}

impl Site {
    pub(crate) fn up(tls: bool) -> Self {
        let (up, is_up) = channel();
        let thread = std::thread::spawn(move || {
            let runner = System::new();
            let bound = runner.block_on(async {
                let bind = Bind::factory(|| Mortal(Alive::new()), "127.0.0.1:0").workers(1).settings(patient());
                Sockets::from_registry().send(Self::secured(bind, tls)).await.unwrap().unwrap()
            });
            up.send((bound, System::current())).unwrap();
            runner.run().unwrap();
        });
        let (bound, system) = is_up.recv_timeout(SETTLES).unwrap();
        Self { address: bound.address, listener: bound.listener, system, thread }
    }

    #[cfg(feature = "tls")]
    fn secured(bind: Bind, tls: bool) -> Bind {
        if !tls {
            return bind;
        }
        let identity = crate::authority::Authority::new("ours").signs(&["localhost"]).identity();
        bind.tls(actix_sockets::tls::Server::builder(identity).build().unwrap())
    }

    #[cfg(not(feature = "tls"))]
    fn secured(bind: Bind, _: bool) -> Bind {
        bind
    }

    pub(crate) fn census() -> Census {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<usize>().unwrap()
        };
        Census {
            // One is the folder's own.
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count() - 1,
            actors: ALIVE.load(Ordering::SeqCst),
            threads: number("Threads:"),
            resident: number("VmRSS:") << 10,
        }
    }

    /// The census when all is at rest: as few as before, or the same for a second.
    pub(crate) fn settled(&self, before: Option<Census>) -> Census {
        let until = Instant::now() + SETTLES;
        let (mut last, mut since) = (Self::census(), Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(50));
            let census = Self::census();
            if before.is_some_and(|before| census.descriptors <= before.descriptors && census.actors <= before.actors) {
                return census;
            }
            if (census.descriptors, census.actors) != (last.descriptors, last.actors) {
                (last, since) = (census, Instant::now());
            }
            // Longer than any close lingers.
            let rests = before.is_none() && since.elapsed() > Duration::from_secs(3);
            if rests || Instant::now() > until {
                return census;
            }
        }
    }

    pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async { tokio::time::timeout(crate::PATIENCE, future).await.expect("an answer in time") })
    }

    pub(crate) fn end(self) {
        self.system.stop();
        self.thread.join().unwrap();
    }
}
