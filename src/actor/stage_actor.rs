//! A stage as an actor of its own: two mailbox hops a frame, and an arbiter of one's choice.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use actix::{Actor, ActorContext, ActorFuture, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message};

use super::clock;
use super::delivery::{Delivery, deliveries};
use super::line::{ALL, Ack, Entry, Line, Peer, Signal, Signals, frame_length, length};
use super::socket::Socket;
use super::timer::Timer;
use super::upstream::Upstream;
use super::websocket::LOOK;
use crate::output::Output;
use crate::stage::{Chain, Command, Event, Flow, Life, Stage};
use crate::websocket::{CloseCode, Frame, OpCode};

/// Hosts a [`Stage`] as an actor: what the websocket below it tells comes through its mailbox, and its handler talks to it as to a
/// websocket, through a [`Socket`].
///
/// A frame stays in hand below for as long as it is in hand above, so that the limits and the order of the closing handshake hold across
/// all the actors between wire and handler. What a hosted stage costs is two hops between actors for each frame; what it buys is an
/// arbiter of its own, say for a stage that computes.
///
/// ```
/// # use actix_sockets::{StageActor, UpgradeServer, Received, HttpResponse, stage::AutoPong, websocket::Frame};
/// # use actix::prelude::*;
/// # fn upgrade<A: Actor<Context = Context<A>> + Handler<Received<Frame>>>(response: HttpResponse, ctx: &mut Context<A>) {
/// # let _ =
/// UpgradeServer::new(response, ctx).hosted(StageActor::host(AutoPong))
/// # ;}
/// ```
pub struct StageActor<S: Stage> {
    stage: Chain,
    /// What its handler talks to.
    line: Option<Arc<Line>>,
    /// What it talks to.
    below: Option<Socket>,
    above: Option<Above>,
    /// What the frames that are in hand above are worth below.
    held: VecDeque<Socket>,
    timer: Timer,
    /// When to look after the handler, if it was given by its address.
    look: Option<Instant>,
    told: bool,
    /// The line below was told that something waits here.
    waits: bool,
    /// The newest pong that waits until less does below (RFC 6455 §5.5.3), as in a pipeline.
    pong: Option<Frame>,
    kind: std::marker::PhantomData<fn(S)>,
}

/// The way up from here.
type Above = Box<dyn Upstream<Delivery>>;

/// A stage, and the arbiter that it is to be hosted on.
pub struct StageHost {
    start: Box<dyn FnOnce(Option<Above>) -> Above + Send>,
    name: String,
}

impl fmt::Debug for StageHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.name)
    }
}

impl StageHost {
    pub(crate) fn start(self, above: Option<Above>) -> Above {
        (self.start)(above)
    }
}

impl<S: Stage> From<S> for StageHost {
    fn from(stage: S) -> Self {
        StageActor::host(stage)
    }
}

impl<S: Stage> StageActor<S> {
    /// To be hosted on the connection's own arbiter.
    #[must_use]
    pub fn host(stage: S) -> StageHost {
        let name = format!("{stage:?}");
        StageHost { start: Box::new(move |above| Below::new(Self::new(stage, above).start())), name }
    }

    /// To be hosted on this arbiter.
    #[must_use]
    pub fn host_on(arbiter: ArbiterHandle, stage: S) -> StageHost {
        let name = format!("{stage:?}");
        let start = move |above| -> Above { Below::new(Self::start_in_arbiter(&arbiter, move |_| Self::new(stage, above))) };
        StageHost { start: Box::new(start), name }
    }

    fn new(stage: S, above: Option<Above>) -> Self {
        Self {
            stage: Chain::of(stage),
            line: None,
            below: None,
            above,
            held: VecDeque::new(),
            timer: Timer::default(),
            look: None,
            told: false,
            waits: false,
            pong: None,
            kind: std::marker::PhantomData,
        }
    }

    /// The peer's signs of life: the websocket's, which also knows of bytes that are not a frame yet, and of reading that is suspended.
    fn life(&self, now: Instant) -> Life {
        let known = self.below.as_ref().and_then(|below| below.line().life());
        known.unwrap_or(Life { last_read: now, suspended: false })
    }

    /// The socket below is there.
    fn open(&mut self, below: Socket, now: Instant) {
        let line = Line::above(&below);
        if let Some(above) = &mut self.above {
            above.attach(&line);
            self.look = above.must_be_asked().then(|| now + LOOK);
        }
        (self.below, self.line) = (Some(below), Some(line));
    }

    /// What one turn of the websocket below has brought. It is in hand there until nothing is in hand above.
    fn hear(&mut self, told: VecDeque<Delivery>, held: Socket, now: Instant) {
        self.held.push_back(held);
        let mut up = deliveries::get();
        for delivery in told {
            let event = match delivery {
                Delivery::Frame(frame) => Event::Frame(frame),
                Delivery::RoundTripTime(time) => Event::RoundTripTime(time),
                Delivery::Closed(outcome) => Event::Closed(outcome),
                Delivery::Upgraded(upgraded) => {
                    up.push_back(Delivery::Upgraded(upgraded));
                    let mut flow = Flow::new(now, self.life(now));
                    self.stage.started(&mut flow);
                    self.perform(flow, false, None, &mut up);
                    continue;
                }
                other => {
                    up.push_back(other);
                    continue;
                }
            };
            let answers_ping = matches!(&event, Event::Frame(frame) if frame.opcode == OpCode::Ping);
            let mut flow = Flow::new(now, self.life(now));
            Stage::event(&mut self.stage, event, &mut flow);
            self.perform(flow, answers_ping, None, &mut up);
        }
        self.deliver(up);
    }

    /// Does what the stage has said, about a ping or something else: events to the handler, commands to the socket below, the last of them with the
    /// ack. Tells whether a command went down.
    fn perform(&mut self, mut flow: Flow<'_>, answers_ping: bool, mut ack: Option<Ack>, up: &mut VecDeque<Delivery>) -> bool {
        let (events, commands) = flow.take();
        for event in events {
            let closed = matches!(event, Event::Closed(_));
            if !(closed && std::mem::replace(&mut self.told, true)) {
                up.push_back(event.into());
            }
        }
        let Some(below) = &self.below else { return false };
        let (mut left, some) = (commands.len(), !commands.is_empty());
        for command in commands {
            left -= 1;
            let ack = if left == 0 { ack.take() } else { None };
            match command {
                Command::Frame(pong) if answers_ping && pong.opcode == OpCode::Pong => {
                    // It answers those before it, too: while there is no room below, the newest is kept.
                    self.pong = Some(pong);
                    Self::release_pong(&mut self.pong, below.line());
                }
                command => below.line().forward(command, ack),
            }
        }
        some
    }

    /// Sends the pong that waits, if there is room for it.
    fn release_pong(pong: &mut Option<Frame>, below: &Line) {
        if pong.is_some()
            && below.room_for_above() > 0
            && let Some(pong) = pong.take()
        {
            below.forward(Command::Frame(pong), None);
        }
    }

    fn deliver(&mut self, mut up: VecDeque<Delivery>) {
        if let (Some(above), Some(line)) = (&mut self.above, &self.line)
            && !up.is_empty()
        {
            line.hand_out(up.iter().map(Delivery::worth).sum());
            above.deliver(&mut up);
        }
        deliveries::put(up);
    }

    /// What the handler has said, and what time says.
    fn turn(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let (Some(line), Some(below)) = (self.line.clone(), self.below.clone()) else { return Poll::Pending };
        let now = clock::now();
        let room = below.line().room_for_above();
        if room == ALL {
            line.hurry();
        }
        let (entries, signals) = line.take(cx.waker(), &mut Output::new(), room);
        let mut owed = line.tell_seen();
        let mut up = deliveries::get();
        for Entry { command, ack } in entries {
            let length = length(&command);
            let mut flow = Flow::new(now, self.life(now));
            Stage::command(&mut self.stage, command, &mut flow);
            owed &= !self.perform(flow, false, ack, &mut up);
            line.handed_down(length);
        }
        // The stage has kept it, or the policy has dropped it.
        if owed {
            below.line().stir();
        }
        // What was said first goes first, also if whoever said it is gone by now.
        self.heed(signals, below.line(), now);
        if self.timer.rings(now) {
            let mut flow = Flow::new(now, self.life(now));
            self.stage.timeout(&mut flow);
            self.perform(flow, false, None, &mut up);
        }
        self.deliver(up);
        // Asked after the take, which is when a wake counts again; and in this order: what was said before the last credit came back is in
        // the line then.
        if line.wake_below(1) && line.is_empty() {
            self.held.clear();
        }
        if self.told && self.held.is_empty() {
            return Poll::Ready(());
        }
        Self::release_pong(&mut self.pong, below.line());
        self.hold_back(&line, &below, cx);
        let deadline = [self.stage.deadline(), self.look].into_iter().flatten().min();
        self.timer.arm(deadline, now, cx);
        Poll::Pending
    }

    /// Signals from above: the websocket is to know of them. And is the handler still there, as far as it is time to ask?
    fn heed(&mut self, signals: Signals, below: &Line, now: Instant) {
        if signals.has(Signal::HandlerGone) {
            below.signal(Signal::HandlerGone);
        }
        let check = signals.has(Signal::Check);
        if self.look.is_some_and(|look| check || look <= now) {
            self.look = Some(now + LOOK);
            if self.above.as_ref().is_some_and(|above| !above.connected()) {
                self.look = None;
                below.signal(Signal::HandlerGone);
            }
        }
        for signal in [Signal::Check, Signal::Overflow] {
            if signals.has(signal) {
                below.signal(signal);
            }
        }
    }

    /// What finds no room below waits here: that is told below, and when there is room a turn comes.
    fn hold_back(&mut self, line: &Line, below: &Socket, cx: &TaskContext<'_>) {
        let (mut bytes, mut here) = line.held_back();
        if let Some(pong) = &self.pong {
            (bytes, here) = (bytes + frame_length(pong), true);
        }
        if bytes > 0 || self.waits {
            self.waits = bytes > 0;
            below.line().set_above(bytes, here.then(|| cx.waker()));
        }
    }

    /// A stage that panics ends its websocket, and nothing else.
    fn guarded<R: Default>(&mut self, work: impl FnOnce(&mut Self) -> R) -> R {
        catch_unwind(AssertUnwindSafe(|| work(self))).unwrap_or_else(|_| {
            self.stage = Chain::new();
            if let Some(below) = &self.below {
                let _ = below.line().push(Command::Fail(CloseCode::INTERNAL_ERROR, "a stage panicked".into()), None, true);
            }
            self.held.clear();
            R::default()
        })
    }
}

impl<S: Stage> Actor for StageActor<S> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(0);
        ctx.spawn(Driver);
    }
}

impl<S: Stage> fmt::Debug for StageActor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StageActor({:?})", self.stage)
    }
}

impl<S: Stage> Drop for StageActor<S> {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.close();
        }
        // The websocket below learns that nobody is above it any more.
        if !self.told
            && let Some(below) = &self.below
        {
            below.line().signal(Signal::HandlerGone);
        }
    }
}

/// What the websocket below tells.
enum FromBelow {
    /// It is there.
    Open(Socket),
    /// What one turn has brought, and what stands for it being in hand.
    Batch(VecDeque<Delivery>, Socket),
}

impl Message for FromBelow {
    type Result = ();
}

impl<S: Stage> Handler<FromBelow> for StageActor<S> {
    type Result = ();

    fn handle(&mut self, told: FromBelow, _: &mut Context<Self>) {
        match told {
            FromBelow::Open(below) => self.open(below, clock::now()),
            FromBelow::Batch(told, held) => {
                let now = clock::now();
                self.guarded(|stage| stage.hear(told, held, now));
            }
        }
    }
}

/// Takes turns for as long as the websocket lives.
struct Driver;

impl<S: Stage> ActorFuture<StageActor<S>> for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, stage: &mut StageActor<S>, ctx: &mut Context<StageActor<S>>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let over = stage.guarded(|stage| stage.turn(cx).is_ready());
        if over {
            ctx.stop();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// The way up to a hosted stage.
struct Below<S: Stage> {
    stage: Addr<StageActor<S>>,
    line: Option<Arc<Line>>,
}

impl<S: Stage> Below<S> {
    fn new(stage: Addr<StageActor<S>>) -> Box<Self> {
        Box::new(Self { stage, line: None })
    }
}

impl<S: Stage> Upstream<Delivery> for Below<S> {
    fn deliver(&mut self, parcels: &mut VecDeque<Delivery>) {
        let Some(line) = &self.line else { return parcels.clear() };
        let worth = parcels.iter().map(Delivery::worth).sum();
        self.stage.do_send(FromBelow::Batch(std::mem::take(parcels), Socket::new(line.clone(), worth)));
    }

    fn connected(&self) -> bool {
        self.stage.connected()
    }

    fn must_be_asked(&self) -> bool {
        true
    }

    fn attach(&mut self, line: &Arc<Line>) {
        self.line = Some(line.clone());
        self.stage.do_send(FromBelow::Open(Socket::new(line.clone(), 0)));
    }
}
