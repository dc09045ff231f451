//! Our side: a system of its own on a thread of its own, and an actor that records what it hears.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::handshake::{self, Target};
use actix_sockets::stage::{AutoPing, AutoPong, Chain, Command, Consolidation, Event, Flow, Stage};
use actix_sockets::websocket::OpCode;
use actix_sockets::{
    Bind, Bound, Closed, Connect, Connected, Drained, Frame, HttpRequest, HttpResponse, Listener, Received, Register, Responder,
    RoundTripTime, Settings, Socket, Sockets, StageActor, UpgradeClient, UpgradeFailed, UpgradeServer, Upgraded, WebSocketSettings,
    WebSockets,
};

use crate::peer::{PATIENCE, Peer};
use crate::transport::Transport;

/// How the frame handler of a server is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By its context, one for each connection.
    Fed,
    /// Made for the upgrade.
    Made,
    /// By its address, one for all.
    Shared,
    /// By its context, above stages that are actors.
    Hosted,
    /// The same, with the stages on another arbiter.
    Elsewhere,
    /// By its address, above a stage that is an actor.
    SharedHosted,
    /// There is none: a stage echoes.
    Inline,
}

impl Kind {
    /// All that have a handler.
    pub(crate) const HANDLED: [Self; 6] = [Self::Fed, Self::Made, Self::Shared, Self::Hosted, Self::Elsewhere, Self::SharedHosted];

    /// Only the address of the handler is known.
    pub(crate) fn is_by_mail(self) -> bool {
        matches!(self, Self::Shared | Self::SharedHosted)
    }
}

/// The test for every way that a handler can be attached, over every transport.
pub(crate) fn with_each_handler(test: impl Fn(Plan)) {
    for transport in Transport::ALL {
        for kind in Kind::HANDLED {
            eprintln!("── {transport:?} {kind:?}");
            test(Plan::new(kind, transport));
        }
    }
}

/// The same, all ways at once: for tests that mostly wait.
pub(crate) fn with_each_handler_at_once(test: impl Fn(Plan) + Sync) {
    for transport in Transport::ALL {
        std::thread::scope(|scope| {
            for kind in Kind::HANDLED {
                let test = &test;
                let thread = std::thread::Builder::new().name(format!("{transport:?} {kind:?}"));
                thread.spawn_scoped(scope, move || test(Plan::new(kind, transport))).unwrap();
            }
        });
    }
}

/// The same, and without any handler.
pub(crate) fn with_each_echo(test: impl Fn(Plan)) {
    with_each_handler(&test);
    for transport in Transport::ALL {
        eprintln!("── {transport:?} Inline");
        test(Plan::new(Kind::Inline, transport));
    }
}

/// The test once for each transport, with this handler.
pub(crate) fn with(kind: Kind, test: impl Fn(Plan)) {
    for transport in Transport::ALL {
        eprintln!("── {transport:?} {kind:?}");
        test(Plan::new(kind, transport));
    }
}

/// What a handler heard.
#[derive(Debug)]
pub(crate) enum Heard {
    Response(u16),
    Upgraded(Box<Upgraded>, Socket),
    Failed(String),
    Frame(Frame),
    RoundTripTime(Duration),
    Drained,
    Closed(Closed),
    /// The actor's `stopped`.
    Stopped,
    /// What an observer was told.
    Observed(Box<Self>),
}

type Ctx = Context<Probe>;
type Do<M> = Arc<dyn Fn(Received<M>, &mut Ctx) + Send + Sync>;

/// What our side is made of, and what its handler does.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) transport: Transport,
    settings: Settings,
    websocket: WebSocketSettings,
    ping: Option<Duration>,
    workers: usize,
    redirects: usize,
    observed: bool,
    forgets: bool,
    on_frame: Do<Frame>,
    on_upgraded: Do<Upgraded>,
    on_drained: Do<Drained>,
    on_request: Option<Do<HttpRequest>>,
    stage: Option<Arc<dyn Fn() -> Chain + Send + Sync>>,
    #[cfg(feature = "deflate")]
    deflate: Option<actix_sockets::Deflate>,
}

impl Plan {
    /// An echo, without pings.
    pub(crate) fn new(kind: Kind, transport: Transport) -> Self {
        Self {
            kind,
            transport,
            settings: Settings::new(),
            websocket: WebSocketSettings::new().ping_every(None),
            ping: None,
            workers: 1,
            redirects: 0,
            observed: false,
            forgets: false,
            on_frame: Arc::new(|Received { message, sender }, _| {
                if message.opcode.is_data() {
                    sender.do_send(Frame::new(message.opcode, message.data));
                }
            }),
            on_upgraded: Arc::new(|_, _| {}),
            on_drained: Arc::new(|_, _| {}),
            on_request: None,
            stage: None,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }

    pub(crate) fn settings(mut self, adjust: impl FnOnce(Settings) -> Settings) -> Self {
        self.settings = adjust(self.settings);
        self
    }

    pub(crate) fn websocket(mut self, adjust: impl FnOnce(WebSocketSettings) -> WebSocketSettings) -> Self {
        self.websocket = adjust(self.websocket);
        self
    }

    /// An `AutoPing` in the place where the kind has its stages.
    pub(crate) fn ping(mut self, every: Duration) -> Self {
        self.ping = Some(every);
        self
    }

    pub(crate) fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// A client that follows so many redirects.
    pub(crate) fn redirects(mut self, limit: usize) -> Self {
        self.redirects = limit;
        self
    }

    /// The frames that it hears are not kept for the test.
    #[allow(dead_code, reason = "it is the tests of memory that must not fill it")]
    pub(crate) fn forgets(mut self) -> Self {
        self.forgets = true;
        self
    }

    /// Another actor is told of round-trip times and of the end.
    pub(crate) fn observed(mut self) -> Self {
        self.observed = true;
        self
    }

    pub(crate) fn on_frame(mut self, act: impl Fn(Received<Frame>, &mut Ctx) + Send + Sync + 'static) -> Self {
        self.on_frame = Arc::new(act);
        self
    }

    pub(crate) fn on_upgraded(mut self, act: impl Fn(Received<Upgraded>, &mut Ctx) + Send + Sync + 'static) -> Self {
        self.on_upgraded = Arc::new(act);
        self
    }

    pub(crate) fn on_drained(mut self, act: impl Fn(Received<Drained>, &mut Ctx) + Send + Sync + 'static) -> Self {
        self.on_drained = Arc::new(act);
        self
    }

    /// In place of the upgrade.
    pub(crate) fn on_request(mut self, act: impl Fn(Received<HttpRequest>, &mut Ctx) + Send + Sync + 'static) -> Self {
        self.on_request = Some(Arc::new(act));
        self
    }

    /// One stage more, above the others, hosted if the kind is.
    pub(crate) fn stage<S: Stage>(mut self, make: impl Fn() -> S + Send + Sync + 'static) -> Self {
        self.stage = Some(Arc::new(move || Chain::of(make())));
        self
    }

    /// Compressed messages, where the peer agrees.
    #[cfg(feature = "deflate")]
    pub(crate) fn deflate(mut self, deflate: actix_sockets::Deflate) -> Self {
        self.deflate = Some(deflate);
        self
    }

    /// A server with this plan.
    pub(crate) fn up(self) -> Site {
        let transport = self.transport;
        Site::start(transport, move |told| {
            let (kind, settings, workers) = (self.kind, self.settings.clone().websocket(self.websocket.clone()), self.workers);
            async move {
                // Kept, so that it lives as long as the system.
                let arbiter = Arbiter::new();
                let observer = Observer(told.clone()).start();
                let probe = Probe { plan: self, told, elsewhere: arbiter.handle(), observer };
                let bind = match kind {
                    Kind::Shared | Kind::SharedHosted => Bind::new(probe.start(), "127.0.0.1:0"),
                    _ => Bind::factory(move || probe.clone(), "127.0.0.1:0").workers(workers),
                };
                let bind = transport.bind(bind.settings(settings));
                let bound = Sockets::from_registry().send(bind).await.expect("the service runs").expect("the address is free");
                std::mem::forget(arbiter);
                Some(bound)
            }
        })
    }

    /// A server of websockets only, with the settings of this plan.
    pub(crate) fn serves<A>(self, websockets: WebSockets<A>) -> Site
    where
        A: Actor<Context = Context<A>> + Handler<Received<Frame>>,
    {
        self.binds(move || Bind::factory(move || websockets.clone(), "127.0.0.1:0").workers(1))
    }

    /// A server of another kind, with the settings of this plan.
    pub(crate) fn binds(self, bind: impl FnOnce() -> Bind + Send + 'static) -> Site {
        let (transport, settings) = (self.transport, self.settings.websocket(self.websocket));
        Site::start(transport, move |_| async move {
            let bind = transport.bind(bind().settings(settings));
            Some(Sockets::from_registry().send(bind).await.expect("the service runs").expect("the address is free"))
        })
    }

    /// A client with this plan, connected to this URL.
    pub(crate) fn visits(self, url: &str) -> Site {
        let target = Target::parse(url).expect("a URL");
        let transport = self.transport;
        Site::start(transport, move |told| async move {
            let settings = self.settings.clone().websocket(self.websocket.clone());
            let (kind, redirects) = (self.kind, self.redirects);
            let arbiter = Arbiter::new();
            let observer = Observer(told.clone()).start();
            let probe = Probe { plan: self, told, elsewhere: arbiter.handle(), observer };
            std::mem::forget(arbiter);
            let asks = |connect: Connect| {
                Sockets::from_registry().do_send(transport.connect(connect).settings(settings).redirects(redirects));
            };
            match kind {
                Kind::Fed => {
                    let request = handshake::request(&target, [7; 16]);
                    Probe::create(|ctx| {
                        let upgrade = probe.plan.equip(UpgradeClient::new(request, ctx), &probe);
                        asks(Connect::websocket(&target, upgrade));
                        probe.clone()
                    });
                }
                Kind::Made => {
                    let made = probe.clone();
                    let upgrade = probe.plan.equip(UpgradeClient::factory(handshake::request(&target, [8; 16]), move || made), &probe);
                    asks(Connect::websocket(&target, upgrade));
                }
                _ => {
                    let plan = probe.plan.clone();
                    let observer = probe.clone();
                    let upgrade = plan.equip(UpgradeClient::to(&target, probe.start()), &observer);
                    asks(Connect::websocket(&target, upgrade));
                }
            }
            None
        })
    }

    fn equip<Opening>(&self, upgrade: actix_sockets::Upgrade<Probe, Opening>, probe: &Probe) -> actix_sockets::Upgrade<Probe, Opening> {
        let mut upgrade = upgrade
            .hears::<HttpResponse>()
            .hears::<Upgraded>()
            .hears::<UpgradeFailed>()
            .hears::<RoundTripTime>()
            .hears::<Drained>()
            .hears::<Closed>();
        let elsewhere = probe.elsewhere.clone();
        match self.kind {
            Kind::Hosted | Kind::SharedHosted => {
                upgrade = upgrade
                    .stages(Chain::new())
                    .fragments()
                    .hosted(StageActor::host(Consolidation::new(8 << 20)))
                    .hosted(StageActor::host(AutoPong));
                if let Some(every) = self.ping {
                    upgrade = upgrade.hosted(StageActor::host(AutoPing::every(every)));
                }
                if let Some(stage) = &self.stage {
                    upgrade = upgrade.hosted(StageActor::host(stage()));
                }
            }
            Kind::Elsewhere => {
                upgrade = upgrade
                    .stages(Chain::new())
                    .fragments()
                    .hosted(StageActor::host_on(elsewhere.clone(), Consolidation::new(8 << 20)))
                    .hosted(StageActor::host_on(elsewhere.clone(), AutoPong));
                if let Some(every) = self.ping {
                    upgrade = upgrade.hosted(StageActor::host_on(elsewhere.clone(), AutoPing::every(every)));
                }
                if let Some(stage) = &self.stage {
                    upgrade = upgrade.hosted(StageActor::host_on(elsewhere, stage()));
                }
            }
            Kind::Fed | Kind::Made | Kind::Shared | Kind::Inline => {
                if let Some(every) = self.ping {
                    upgrade = upgrade.stages(AutoPing::every(every).then(AutoPong));
                }
                if let Some(stage) = &self.stage {
                    upgrade = upgrade.also(stage());
                }
            }
        }
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &self.deflate {
            upgrade = upgrade.deflate(deflate.clone());
        }
        if self.observed {
            upgrade = upgrade.round_trips_to(probe.observer.clone()).on_closed(probe.observer.clone());
        }
        upgrade
    }
}

/// HTTP handler and frame handler in one.
#[derive(Clone)]
pub(crate) struct Probe {
    plan: Plan,
    told: Sender<Heard>,
    elsewhere: ArbiterHandle,
    observer: Addr<Observer>,
}

impl Probe {
    fn told(&self, heard: Heard) {
        // A test that has heard enough listens no longer.
        let _ = self.told.send(heard);
    }

    pub(crate) fn upgrade(&self, request: &HttpRequest, sender: Responder, ctx: &mut Ctx) {
        let response = match handshake::accept(request) {
            Ok(response) => response,
            Err(refusal) => return sender.do_send(refusal.into_response()),
        };
        match self.plan.kind {
            Kind::Inline => {
                let upgrade = match &self.plan.stage {
                    Some(stage) => UpgradeServer::inline(response, stage()).also(Echo),
                    None => UpgradeServer::inline(response, Echo),
                };
                #[cfg(feature = "deflate")]
                let upgrade = match &self.plan.deflate {
                    Some(deflate) => upgrade.deflate(deflate.clone()),
                    None => upgrade,
                };
                sender.do_send(upgrade.on_closed(self.observer.clone()));
            }
            Kind::Fed | Kind::Hosted | Kind::Elsewhere => sender.do_send(self.plan.equip(UpgradeServer::new(response, ctx), self)),
            Kind::Shared | Kind::SharedHosted => sender.do_send(self.plan.equip(UpgradeServer::new(response, ctx.address()), self)),
            Kind::Made => {
                let probe = self.clone();
                sender.do_send(self.plan.equip(UpgradeServer::factory(response, move || probe), self));
            }
        }
    }
}

impl Actor for Probe {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Ctx) {
        self.told(Heard::Stopped);
    }
}

impl Handler<Received<Connected>> for Probe {
    type Result = ();
    fn handle(&mut self, connected: Received<Connected>, ctx: &mut Ctx) {
        connected.sender.do_send(Register::new(ctx.address()));
    }
}

impl Handler<Received<HttpRequest>> for Probe {
    type Result = ();
    fn handle(&mut self, received: Received<HttpRequest>, ctx: &mut Ctx) {
        match self.plan.on_request.clone() {
            Some(act) if received.message.path() != "/chat" => act(received, ctx),
            _ => self.upgrade(&received.message, received.sender, ctx),
        }
    }
}

impl Handler<Received<Frame>> for Probe {
    type Result = ();
    fn handle(&mut self, received: Received<Frame>, ctx: &mut Ctx) {
        if !self.plan.forgets {
            self.told(Heard::Frame(received.message.clone()));
        }
        let act = self.plan.on_frame.clone();
        act(received, ctx);
    }
}

impl Handler<Received<Upgraded>> for Probe {
    type Result = ();
    fn handle(&mut self, received: Received<Upgraded>, ctx: &mut Ctx) {
        self.told(Heard::Upgraded(Box::new(received.message.clone()), received.sender.clone()));
        let act = self.plan.on_upgraded.clone();
        act(received, ctx);
    }
}

impl Handler<Received<Drained>> for Probe {
    type Result = ();
    fn handle(&mut self, received: Received<Drained>, ctx: &mut Ctx) {
        self.told(Heard::Drained);
        let act = self.plan.on_drained.clone();
        act(received, ctx);
    }
}

impl Handler<Received<HttpResponse>> for Probe {
    type Result = ();
    fn handle(&mut self, received: Received<HttpResponse>, _: &mut Ctx) {
        self.told(Heard::Response(received.message.status.as_u16()));
    }
}

impl Handler<Received<UpgradeFailed>> for Probe {
    type Result = ();
    fn handle(&mut self, received: Received<UpgradeFailed>, _: &mut Ctx) {
        self.told(Heard::Failed(received.message.error.to_string()));
    }
}

impl Handler<Received<RoundTripTime>> for Probe {
    type Result = ();
    fn handle(&mut self, received: Received<RoundTripTime>, _: &mut Ctx) {
        self.told(Heard::RoundTripTime(received.message.0));
    }
}

impl Handler<Received<Closed>> for Probe {
    type Result = ();
    fn handle(&mut self, received: Received<Closed>, _: &mut Ctx) {
        self.told(Heard::Closed(received.message));
    }
}

/// Says what it hears, and first what is known of the request, by the guards of `guards.rs`.
pub(crate) struct Parrot;

impl Actor for Parrot {
    type Context = Context<Self>;
}

impl Handler<Received<Upgraded>> for Parrot {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<Upgraded>, _: &mut Context<Self>) {
        sender.do_send(Frame::text(format!("{:?}", message.request.extensions.get::<crate::guards::User>())));
    }
}

impl Handler<Received<Frame>> for Parrot {
    type Result = ();
    fn handle(&mut self, Received { message, sender }: Received<Frame>, _: &mut Context<Self>) {
        sender.do_send(message);
    }
}

/// Not the frame handler, but told.
struct Observer(Sender<Heard>);

impl Actor for Observer {
    type Context = Context<Self>;
}

impl Handler<Received<RoundTripTime>> for Observer {
    type Result = ();
    fn handle(&mut self, received: Received<RoundTripTime>, _: &mut Context<Self>) {
        let _ = self.0.send(Heard::Observed(Box::new(Heard::RoundTripTime(received.message.0))));
    }
}

impl Handler<Received<Closed>> for Observer {
    type Result = ();
    fn handle(&mut self, received: Received<Closed>, _: &mut Context<Self>) {
        let _ = self.0.send(Heard::Observed(Box::new(Heard::Closed(received.message))));
    }
}

/// The echo as a stage.
#[derive(Debug)]
pub(crate) struct Echo;

impl Stage for Echo {
    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        match event {
            Event::Frame(frame) if frame.opcode.is_data() => flow.down(Command::Frame(Frame::new(frame.opcode, frame.data))),
            other => flow.up(other),
        }
    }
}

/// A system that runs, and what its probe hears.
pub(crate) struct Site {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) listener: Option<Addr<Listener>>,
    pub(crate) system: System,
    transport: Transport,
    heard: Receiver<Heard>,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    fn start<F>(transport: Transport, begin: impl FnOnce(Sender<Heard>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Option<Bound>>,
    {
        let (told, heard) = channel();
        let (up, is_up) = channel();
        let thread = std::thread::spawn(move || {
            let runner = System::new();
            let bound = runner.block_on(begin(told));
            up.send((bound, System::current())).expect("the test waits");
            runner.run().expect("the system runs");
        });
        let (bound, system) = is_up.recv_timeout(PATIENCE).expect("the system starts");
        let (address, listener) = bound.map(|bound| (bound.address, bound.listener)).unzip();
        Self { address, listener, system, transport, heard, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address.expect("this is a server")
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}/chat", self.transport.scheme(), self.address())
    }

    /// A raw client, upgraded.
    pub(crate) fn peer(&self) -> Peer {
        Peer::upgraded(self.address(), self.transport)
    }

    /// A raw client that has said nothing.
    pub(crate) fn connection(&self) -> Peer {
        Peer::connect(self.address(), self.transport)
    }

    /// Runs this on the system's own arbiter.
    pub(crate) fn within(&self, act: impl FnOnce() + Send + 'static) {
        self.system.arbiter().spawn_fn(act);
    }

    #[track_caller]
    pub(crate) fn next(&self) -> Heard {
        self.heard.recv_timeout(PATIENCE).expect("the handler hears something in time")
    }

    /// The next that `pick` takes; others are passed over.
    #[track_caller]
    pub(crate) fn until<T>(&self, mut pick: impl FnMut(Heard) -> Option<T>) -> T {
        loop {
            if let Some(picked) = pick(self.next()) {
                return picked;
            }
        }
    }

    #[track_caller]
    pub(crate) fn upgraded(&self) -> Socket {
        self.until(|heard| match heard {
            Heard::Upgraded(_, socket) => Some(socket),
            Heard::Response(_) | Heard::Stopped => None,
            other => panic!("{other:?} in place of Upgraded"),
        })
    }

    #[track_caller]
    pub(crate) fn hears_text(&self, text: &str) {
        self.until(|heard| match heard {
            Heard::Frame(frame) => {
                assert_eq!(frame.as_text(), Some(text), "{frame:?}");
                Some(())
            }
            // The actor that handled the request, if another one handles the frames.
            Heard::Stopped => None,
            other => panic!("{other:?} in place of {text:?}"),
        });
    }

    /// Of the end, past frames and whatever else comes before it.
    #[track_caller]
    pub(crate) fn closed(&self) -> Closed {
        self.until(|heard| match heard {
            Heard::Closed(closed) => Some(closed),
            Heard::Observed(heard) => match *heard {
                Heard::Closed(closed) => Some(closed),
                _ => None,
            },
            _ => None,
        })
    }

    /// Nothing more, but that actors stop.
    #[track_caller]
    pub(crate) fn hears_no_more_for(&self, time: Duration) {
        let until = std::time::Instant::now() + time;
        while let Ok(heard) = self.heard.recv_timeout(until.saturating_duration_since(std::time::Instant::now())) {
            assert!(matches!(heard, Heard::Stopped), "{heard:?} after the end");
        }
    }

    /// Waits for a future from outside.
    pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("an answer in time") })
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.system.stop();
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            thread.join().expect("the system ends without a panic");
        }
    }
}

/// A text frame's text.
pub(crate) fn text_of(heard: Heard) -> Option<String> {
    match heard {
        Heard::Frame(frame) if frame.opcode == OpCode::Text => frame.as_text().map(str::to_owned),
        _ => None,
    }
}
