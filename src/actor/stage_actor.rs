//! A stage as an actor of its own: two mailbox hops a frame, and an arbiter of one's choice.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use actix::{Actor, ActorContext, ActorFuture, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message};

use super::delivery::{Delivery, deliveries};
use super::messages::{Closed, Received, RoundTripTime};
use super::socket::{Entry, Line, Peer, Signal, Socket};
use super::upstream::Upstream;
use super::websocket::{LOOK, Timer};
use crate::stage::{Chain, Command, Event, Flow, Life, Outcome, Stage};
use crate::websocket::CloseCode;

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
    above: Option<Box<dyn Upstream<Delivery>>>,
    /// What the frames that are in hand above are worth below.
    held: VecDeque<Socket>,
    timer: Timer,
    /// When to look after the handler, if it was given by its address.
    look: Option<Instant>,
    told: bool,
    kind: std::marker::PhantomData<fn(S)>,
}

/// A stage, and the arbiter that it is to be hosted on.
pub struct StageHost {
    start: Box<dyn FnOnce(Option<Box<dyn Upstream<Delivery>>>) -> Box<dyn Upstream<Delivery>> + Send>,
    name: String,
}

impl fmt::Debug for StageHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.name)
    }
}

impl StageHost {
    pub(crate) fn start(self, above: Option<Box<dyn Upstream<Delivery>>>) -> Box<dyn Upstream<Delivery>> {
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
        StageHost { start: Box::new(move |above| Box::new(Below(Self::new(stage, above).start()))), name }
    }

    /// To be hosted on this arbiter.
    #[must_use]
    pub fn host_on(arbiter: ArbiterHandle, stage: S) -> StageHost {
        let name = format!("{stage:?}");
        let start = move |above| -> Box<dyn Upstream<Delivery>> {
            Box::new(Below(Self::start_in_arbiter(&arbiter, move |_| Self::new(stage, above))))
        };
        StageHost { start: Box::new(start), name }
    }

    fn new(stage: S, above: Option<Box<dyn Upstream<Delivery>>>) -> Self {
        Self {
            stage: Chain::of(stage),
            line: None,
            below: None,
            above,
            held: VecDeque::new(),
            timer: Timer::default(),
            look: None,
            told: false,
            kind: std::marker::PhantomData,
        }
    }

    /// The peer's signs of life: the websocket's, which also knows of bytes that are not a frame yet, and of reading that is suspended.
    fn life(&self, now: Instant) -> Life {
        let known = self.below.as_ref().and_then(|below| below.line().life());
        known.unwrap_or(Life { last_read: now, suspended: false })
    }

    /// What the websocket below tells.
    fn hear(&mut self, told: VecDeque<Delivery>, now: Instant) {
        let mut up = deliveries::get();
        for delivery in told {
            self.hear_one(delivery, now, &mut up);
        }
        self.deliver(up);
    }

    fn hear_one(&mut self, delivery: Delivery, now: Instant, up: &mut VecDeque<Delivery>) {
        let (event, sender) = match delivery {
            Delivery::Frame(Received { message, sender }) => (Event::Frame(message), sender),
            Delivery::RoundTripTime(Received { message, sender }) => (Event::RoundTripTime(message.0), sender),
            Delivery::Closed(Received { message, sender }) => {
                let Closed { code, reason, by, clean, .. } = message;
                (Event::Closed(Outcome { code, reason, by, clean }), sender)
            }
            Delivery::Upgraded(mut received) => {
                self.open(received.sender.clone(), now, up);
                let below = std::mem::replace(&mut received.sender, self.socket(0));
                self.held.push_back(below);
                return up.push_back(Delivery::Upgraded(received));
            }
            Delivery::Drained(mut received) => {
                received.sender = self.socket(0);
                return up.push_back(Delivery::Drained(received));
            }
            other @ (Delivery::Response(_) | Delivery::Failed(_)) => return up.push_back(other),
        };
        let mut flow = Flow::new(now, self.life(now));
        Stage::event(&mut self.stage, event, &mut flow);
        self.perform(flow, up);
        // In hand below until nothing is in hand above.
        self.held.push_back(sender);
    }

    /// The socket below is there.
    fn open(&mut self, below: Socket, now: Instant, up: &mut VecDeque<Delivery>) {
        let line = Line::above(&below);
        if let Some(above) = &mut self.above {
            above.attach(line.clone());
            self.look = above.must_be_asked().then(|| now + LOOK);
        }
        (self.below, self.line) = (Some(below), Some(line));
        let mut flow = Flow::new(now, self.life(now));
        self.stage.started(&mut flow);
        self.perform(flow, up);
    }

    fn socket(&self, payload: usize) -> Socket {
        let line = self.line.as_ref().expect("`Upgraded` comes before all else");
        let worth = Line::worth(payload);
        line.hand_out(worth);
        Socket::new(line.clone(), worth)
    }

    /// Does what the stage has said: events to the handler, commands to the socket below.
    fn perform(&mut self, mut flow: Flow, up: &mut VecDeque<Delivery>) {
        let (events, commands) = flow.take();
        for event in events {
            match event {
                Event::Frame(frame) => {
                    let sender = self.socket(frame.data.len());
                    up.push_back(Delivery::Frame(Received { message: frame, sender }));
                }
                Event::RoundTripTime(time) => {
                    up.push_back(Delivery::RoundTripTime(Received { message: RoundTripTime(time), sender: self.socket(0) }));
                }
                Event::Closed(Outcome { code, reason, by, clean }) if !std::mem::replace(&mut self.told, true) => {
                    let sender = self.socket(0);
                    let closed = Closed { id: sender.id(), code, reason, by, clean };
                    up.push_back(Delivery::Closed(Received { message: closed, sender }));
                }
                Event::Closed(_) | Event::Failed(_) | Event::Ended => {}
            }
        }
        if let Some(below) = &self.below {
            for command in commands {
                let _ = below.line().push(command, None, true);
            }
        }
    }

    fn deliver(&mut self, mut up: VecDeque<Delivery>) {
        if !up.is_empty()
            && let Some(above) = &mut self.above
        {
            above.deliver(&mut up);
        }
        deliveries::put(up);
    }

    /// What the handler has said, and what time says.
    fn turn(&mut self, cx: &mut TaskContext<'_>) -> Poll<()> {
        let (Some(line), Some(below)) = (self.line.clone(), self.below.clone()) else { return Poll::Pending };
        let now = Instant::now();
        let (entries, signals) = line.take(cx.waker());
        line.tell_seen();
        let mut up = deliveries::get();
        if signals.has(Signal::HandlerGone) {
            below.line().signal(Signal::HandlerGone);
        }
        let check = signals.has(Signal::Check);
        if self.look.is_some_and(|look| check || look <= now) {
            self.look = Some(now + LOOK);
            if self.above.as_ref().is_some_and(|above| !above.connected()) {
                self.look = None;
                below.line().signal(Signal::HandlerGone);
            }
        }
        for signal in [Signal::Check, Signal::Overflow] {
            if signals.has(signal) {
                below.line().signal(signal);
            }
        }
        for Entry { command, ack } in entries {
            line.hand_down(&command);
            let mut flow = Flow::new(now, self.life(now));
            Stage::command(&mut self.stage, command, &mut flow);
            self.forward(flow, ack, &below, &mut up);
        }
        if self.timer.rings(now) {
            let mut flow = Flow::new(now, self.life(now));
            self.stage.timeout(&mut flow);
            self.perform(flow, &mut up);
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
        let deadline = [self.stage.deadline(), self.look].into_iter().flatten().min();
        self.timer.arm(deadline, now, cx);
        Poll::Pending
    }

    /// As [`perform`](Self::perform), with the ack on the last command that goes down.
    fn forward(&mut self, mut flow: Flow, mut ack: Option<tokio::sync::oneshot::Sender<()>>, below: &Socket, up: &mut VecDeque<Delivery>) {
        let (events, commands) = flow.take();
        let mut last = commands.len();
        for command in commands {
            last -= 1;
            let ack = if last == 0 { ack.take() } else { None };
            below.line().forward(command, ack);
        }
        let mut rest = Flow::new(flow.now(), flow.life());
        events.into_iter().for_each(|event| rest.up(event));
        self.perform(rest, up);
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

/// What one turn of the websocket below has brought.
struct Batch(VecDeque<Delivery>);

impl Message for Batch {
    type Result = ();
}

impl<S: Stage> Handler<Batch> for StageActor<S> {
    type Result = ();

    fn handle(&mut self, Batch(told): Batch, _: &mut Context<Self>) {
        let now = Instant::now();
        self.guarded(|stage| stage.hear(told, now));
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
struct Below<S: Stage>(Addr<StageActor<S>>);

impl<S: Stage> Upstream<Delivery> for Below<S> {
    fn deliver(&mut self, parcels: &mut VecDeque<Delivery>) {
        self.0.do_send(Batch(std::mem::take(parcels)));
    }

    fn connected(&self) -> bool {
        self.0.connected()
    }

    fn must_be_asked(&self) -> bool {
        true
    }

    fn attach(&mut self, _: Arc<dyn Peer>) {}
}
