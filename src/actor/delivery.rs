//! Everything that a websocket tells its frame handler, as one type, and which of the handler's methods hears what.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use actix::dev::{MessageResponse, ToEnvelope};
use actix::{Actor, Addr, AsyncContext, Context, Handler, Recipient};

use super::line::Line;
use super::messages::{Closed, Drained, Received, RoundTripTime, Told, UpgradeFailed, Upgraded};
use super::queue::vec_pool;
use super::scope::Scope;
use super::socket::{Socket, SocketId};
use super::upstream::{Parcel, Route, Upstream};
use crate::http::HttpResponse;
use crate::stage::{Event, Outcome};
use crate::websocket::Frame;

/// One message to a frame handler, without its sender: that is made when the handler's turn comes.
#[derive(Debug)]
pub(crate) enum Delivery {
    Response(Box<Received<HttpResponse>>),
    Failed(Box<Received<UpgradeFailed>>),
    Upgraded(Box<Upgraded>),
    Frame(Frame),
    RoundTripTime(Duration),
    Drained,
    Closed(Outcome),
    /// Of no concern to a handler.
    Nothing,
}

impl Delivery {
    /// What it is worth while the handler has it in hand.
    #[inline]
    pub(crate) fn worth(&self) -> usize {
        match self {
            Self::Frame(frame) => Line::worth(frame.data.len()),
            Self::Upgraded(_) => Line::worth(0),
            _ => 0,
        }
    }
}

impl From<Event> for Delivery {
    #[inline]
    fn from(event: Event) -> Self {
        match event {
            Event::Frame(frame) => Self::Frame(frame),
            Event::RoundTripTime(time) => Self::RoundTripTime(time),
            Event::Closed(outcome) => Self::Closed(outcome),
            Event::Failed(_) | Event::Ended => Self::Nothing,
        }
    }
}

vec_pool!(deliveries_of_arbiter, Delivery);

/// Empty queues of deliveries.
pub(crate) mod deliveries {
    use super::{Delivery, VecDeque, deliveries_of_arbiter};

    #[inline]
    pub(crate) fn get() -> VecDeque<Delivery> {
        deliveries_of_arbiter::get()
    }

    #[inline]
    pub(crate) fn put(deliveries: VecDeque<Delivery>) {
        deliveries_of_arbiter::put(deliveries);
    }
}

/// Calls an actor's handler for the frames at the front of a queue, until the actor waits for something else.
type Frames<A> = fn(&mut VecDeque<Delivery>, &Scope<'_>, &mut A, &mut <A as Actor>::Context, Waiting<A>);

/// Whether an actor waits for something else.
type Waiting<A> = fn(&<A as Actor>::Context) -> bool;

fn frames<A>(queue: &mut VecDeque<Delivery>, scope: &Scope<'_>, actor: &mut A, ctx: &mut A::Context, waiting: Waiting<A>)
where
    A: Actor + Handler<Received<Frame>>,
{
    while let Some(Delivery::Frame(frame)) = queue.front_mut() {
        // Taken out where it lies, to be moved once only.
        let message = Frame { data: std::mem::take(&mut frame.data), ..*frame };
        let sender = scope.socket(Line::worth(message.data.len()));
        // What is left of it owns nothing.
        std::mem::forget(queue.pop_front());
        actor.handle(Received { message, sender }, ctx).handle(ctx, None);
        if waiting(ctx) {
            return;
        }
    }
}

/// What a frame handler hears. Frames always; the rest if it asks for it.
pub(crate) struct FrameRoutes<A: Actor> {
    frame: Option<Route<A, Frame>>,
    /// The frames at the front of a queue, called in a row.
    frames: Option<Frames<A>>,
    response: Option<Route<A, HttpResponse>>,
    upgraded: Option<Route<A, Upgraded>>,
    failed: Option<Route<A, UpgradeFailed>>,
    round_trip_time: Option<Route<A, RoundTripTime>>,
    drained: Option<Route<A, Drained>>,
    closed: Option<Route<A, Closed>>,
}

impl<A: Actor> Default for FrameRoutes<A> {
    fn default() -> Self {
        Self { frame: None, frames: None, response: None, upgraded: None, failed: None, round_trip_time: None, drained: None, closed: None }
    }
}

/// What a frame handler can ask to hear besides [`Frame`]s: [`Upgraded`], [`RoundTripTime`], [`Drained`], [`Closed`]; of a client also the
/// handshake's [`HttpResponse`] and [`UpgradeFailed`].
pub trait Notice: Told + notice::Sealed {}

pub(crate) mod notice {
    use super::{Actor, FrameRoutes, Handler, Received, ToEnvelope, Told};

    pub trait Sealed: Told + Sized {
        #[doc(hidden)]
        #[allow(private_interfaces)]
        fn route<A>(routes: &mut FrameRoutes<A>)
        where
            A: Actor + Handler<Received<Self>>,
            A::Context: ToEnvelope<A, Received<Self>>;
    }
}

impl notice::Sealed for Frame {
    #[allow(private_interfaces)]
    fn route<A>(routes: &mut FrameRoutes<A>)
    where
        A: Actor + Handler<Received<Self>>,
        A::Context: ToEnvelope<A, Received<Self>>,
    {
        routes.frame = Some(Route::new());
        routes.frames = Some(frames::<A>);
    }
}

macro_rules! notices {
    ($($message:ty => $field:ident),* $(,)?) => { $(
        impl notice::Sealed for $message {
            #[allow(private_interfaces)]
            fn route<A>(routes: &mut FrameRoutes<A>)
            where
                A: Actor + Handler<Received<Self>>,
                A::Context: ToEnvelope<A, Received<Self>>,
            {
                routes.$field = Some(Route::new());
            }
        }
    )* };
}

notices! {
    HttpResponse => response,
    Upgraded => upgraded,
    UpgradeFailed => failed,
    RoundTripTime => round_trip_time,
    Drained => drained,
    Closed => closed,
}

impl Notice for HttpResponse {}
impl Notice for Upgraded {}
impl Notice for UpgradeFailed {}
impl Notice for RoundTripTime {}
impl Notice for Drained {}
impl Notice for Closed {}

/// The message of a [`Closed`].
fn closed(id: SocketId, Outcome { code, reason, by, clean }: Outcome) -> Closed {
    Closed { id, code, reason, by, clean }
}

impl Parcel for Delivery {
    type Routes<A: Actor> = FrameRoutes<A>;
    type Link = Line;
    type Scope<'a> = Scope<'a>;

    #[inline]
    fn scope<'a>(line: &'a Arc<Line>, _: Option<&'a Waker>) -> Scope<'a> {
        Scope::enter(line)
    }

    fn call<A>(queue: &mut VecDeque<Self>, scope: &Scope<'_>, routes: &FrameRoutes<A>, actor: &mut A, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>>,
    {
        while let Some(first) = queue.front() {
            match (first, routes.frames) {
                (Self::Frame(_), Some(frames)) => frames(queue, scope, actor, ctx, AsyncContext::waiting),
                _ => {
                    let Some(delivery) = queue.pop_front() else { return };
                    // In hand until the handler returns: the sender of an `Upgraded` is there to be kept.
                    let (sender, _held) = (scope.socket(0), scope.socket(delivery.worth()));
                    delivery.hand(sender, routes, &mut Call { actor, ctx });
                }
            }
            if ctx.waiting() {
                return;
            }
        }
    }

    fn mail<A: Actor>(self, line: &Arc<Line>, routes: &FrameRoutes<A>, addr: &Addr<A>) {
        let worth = self.worth();
        let credit = if matches!(self, Self::Frame(_)) { worth } else { 0 };
        self.hand(Socket::new(line.clone(), credit), routes, &mut Mail { addr });
        if credit < worth {
            line.give_back(worth - credit);
        }
    }

    fn pool_put(deliveries: VecDeque<Self>) {
        deliveries::put(deliveries);
    }
}

/// One of the two ways to an actor.
pub(super) trait Way<A: Actor> {
    fn go<M: Told>(&mut self, route: Option<&Route<A, M>>, received: Received<M>);
}

pub(super) struct Call<'a, A: Actor> {
    pub(super) actor: &'a mut A,
    pub(super) ctx: &'a mut A::Context,
}

impl<A: Actor> Way<A> for Call<'_, A> {
    fn go<M: Told>(&mut self, route: Option<&Route<A, M>>, received: Received<M>) {
        if let Some(route) = route {
            route.call(self.actor, received, self.ctx);
        }
    }
}

pub(super) struct Mail<'a, A: Actor> {
    pub(super) addr: &'a Addr<A>,
}

impl<A: Actor> Way<A> for Mail<'_, A> {
    fn go<M: Told>(&mut self, route: Option<&Route<A, M>>, received: Received<M>) {
        if let Some(route) = route {
            route.mail(self.addr, received);
        }
    }
}

impl Delivery {
    /// Hands it over with its sender, if the handler asked for it.
    fn hand<A: Actor>(self, sender: Socket, routes: &FrameRoutes<A>, way: &mut impl Way<A>) {
        match self {
            Self::Frame(message) => way.go(routes.frame.as_ref(), Received { message, sender }),
            Self::Upgraded(message) => way.go(routes.upgraded.as_ref(), Received { message: *message, sender }),
            Self::RoundTripTime(time) => {
                way.go(routes.round_trip_time.as_ref(), Received { message: RoundTripTime(time), sender });
            }
            Self::Drained => way.go(routes.drained.as_ref(), Received { message: Drained, sender }),
            Self::Closed(outcome) => {
                let message = closed(sender.id(), outcome);
                way.go(routes.closed.as_ref(), Received { message, sender });
            }
            Self::Response(received) => way.go(routes.response.as_ref(), *received),
            Self::Failed(received) => way.go(routes.failed.as_ref(), *received),
            Self::Nothing => {}
        }
    }
}

/// Actors other than the frame handler who want to know.
#[derive(Clone, Default)]
pub(crate) struct Observers {
    pub(crate) round_trips: Option<Recipient<Received<RoundTripTime>>>,
    pub(crate) closed: Option<Recipient<Received<Closed>>>,
}

impl Observers {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.round_trips.is_none() && self.closed.is_none()
    }

    /// Tells them what concerns them.
    pub(crate) fn notice(&self, delivery: &Delivery, line: &Arc<Line>) {
        let sender = || Socket::new(line.clone(), 0);
        match (delivery, self) {
            (Delivery::RoundTripTime(time), Self { round_trips: Some(to), .. }) => {
                to.do_send(Received { message: RoundTripTime(*time), sender: sender() });
            }
            (Delivery::Closed(outcome), Self { closed: Some(to), .. }) => {
                to.do_send(Received { message: closed(line.id(), outcome.clone()), sender: sender() });
            }
            _ => {}
        }
    }
}

/// The way up to a handler, and to those who want to know what stages in actors of their own have to tell.
pub(crate) struct Observed {
    observers: Observers,
    above: Option<Box<dyn Upstream<Delivery>>>,
    line: Option<Arc<Line>>,
}

impl Observed {
    pub(crate) fn new(observers: Observers, above: Option<Box<dyn Upstream<Delivery>>>) -> Self {
        Self { observers, above, line: None }
    }
}

impl Upstream<Delivery> for Observed {
    fn deliver(&mut self, parcels: &mut VecDeque<Delivery>) {
        if let Some(line) = &self.line {
            parcels.iter().for_each(|delivery| self.observers.notice(delivery, line));
        }
        match (&mut self.above, &self.line) {
            (Some(above), _) => above.deliver(parcels),
            (None, line) => {
                // Nobody has it in hand.
                let worth: usize = parcels.drain(..).map(|delivery| delivery.worth()).sum();
                if let (1.., Some(line)) = (worth, line) {
                    line.give_back(worth);
                }
            }
        }
    }

    fn connected(&self) -> bool {
        self.above.as_ref().is_none_or(|above| above.connected())
    }

    fn must_be_asked(&self) -> bool {
        self.above.as_ref().is_some_and(|above| above.must_be_asked())
    }

    fn attach(&mut self, line: &Arc<Line>) {
        self.line = Some(line.clone());
        if let Some(above) = &mut self.above {
            above.attach(line);
        }
    }
}
