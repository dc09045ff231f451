//! Everything that a websocket tells its frame handler, as one type, and which of the handler's methods hears what.

use std::collections::VecDeque;
use std::sync::Arc;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Recipient};

use super::messages::{Closed, Drained, Received, RoundTripTime, Told, UpgradeFailed, Upgraded};
use super::queue::vec_pool;
use super::socket::Peer;
use super::upstream::{Parcel, Route, Upstream};
use crate::http::HttpResponse;
use crate::websocket::Frame;

/// One message to a frame handler.
#[derive(Debug)]
pub(crate) enum Delivery {
    Response(Box<Received<HttpResponse>>),
    Upgraded(Box<Received<Upgraded>>),
    Failed(Box<Received<UpgradeFailed>>),
    Frame(Received<Frame>),
    RoundTripTime(Received<RoundTripTime>),
    Drained(Received<Drained>),
    Closed(Received<Closed>),
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

/// What a frame handler hears. Frames always; the rest if it asks for it.
pub(crate) struct FrameRoutes<A: Actor> {
    frame: Option<Route<A, Frame>>,
    response: Option<Route<A, HttpResponse>>,
    upgraded: Option<Route<A, Upgraded>>,
    failed: Option<Route<A, UpgradeFailed>>,
    round_trip_time: Option<Route<A, RoundTripTime>>,
    drained: Option<Route<A, Drained>>,
    closed: Option<Route<A, Closed>>,
}

impl<A: Actor> Default for FrameRoutes<A> {
    fn default() -> Self {
        Self { frame: None, response: None, upgraded: None, failed: None, round_trip_time: None, drained: None, closed: None }
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
    Frame => frame,
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

impl Parcel for Delivery {
    type Routes<A: Actor> = FrameRoutes<A>;

    #[inline]
    fn call<A: Actor>(self, routes: &FrameRoutes<A>, actor: &mut A, ctx: &mut A::Context) {
        macro_rules! call {
            ($route:ident, $received:expr) => {
                if let Some(route) = &routes.$route {
                    route.call(actor, $received, ctx)
                }
            };
        }
        match self {
            Self::Frame(received) => call!(frame, received),
            Self::Response(received) => call!(response, *received),
            Self::Upgraded(received) => call!(upgraded, *received),
            Self::Failed(received) => call!(failed, *received),
            Self::RoundTripTime(received) => call!(round_trip_time, received),
            Self::Drained(received) => call!(drained, received),
            Self::Closed(received) => call!(closed, received),
        }
    }

    fn mail<A: Actor>(self, routes: &FrameRoutes<A>, addr: &Addr<A>) {
        macro_rules! mail {
            ($route:ident, $received:expr) => {
                if let Some(route) = &routes.$route {
                    route.mail(addr, $received)
                }
            };
        }
        match self {
            Self::Frame(received) => mail!(frame, received),
            Self::Response(received) => mail!(response, *received),
            Self::Upgraded(received) => mail!(upgraded, *received),
            Self::Failed(received) => mail!(failed, *received),
            Self::RoundTripTime(received) => mail!(round_trip_time, received),
            Self::Drained(received) => mail!(drained, received),
            Self::Closed(received) => mail!(closed, received),
        }
    }

    fn pool_put(deliveries: VecDeque<Self>) {
        deliveries::put(deliveries);
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
    pub(crate) fn notice(&self, delivery: &Delivery) {
        match (delivery, self) {
            (Delivery::RoundTripTime(Received { message, sender }), Self { round_trips: Some(to), .. }) => {
                to.do_send(Received { message: *message, sender: sender.clone() });
            }
            (Delivery::Closed(Received { message, sender }), Self { closed: Some(to), .. }) => {
                to.do_send(Received { message: message.clone(), sender: sender.clone() });
            }
            _ => {}
        }
    }
}

/// The way up to a handler, and to those who want to know what stages in actors of their own have to tell.
pub(crate) struct Observed {
    pub(crate) observers: Observers,
    pub(crate) above: Option<Box<dyn Upstream<Delivery>>>,
}

impl Upstream<Delivery> for Observed {
    fn deliver(&mut self, parcels: &mut VecDeque<Delivery>) {
        parcels.iter().for_each(|delivery| self.observers.notice(delivery));
        match &mut self.above {
            Some(above) => above.deliver(parcels),
            None => parcels.clear(),
        }
    }

    fn connected(&self) -> bool {
        self.above.as_ref().is_none_or(|above| above.connected())
    }

    fn must_be_asked(&self) -> bool {
        self.above.as_ref().is_some_and(|above| above.must_be_asked())
    }

    fn attach(&mut self, peer: Arc<dyn Peer>) {
        if let Some(above) = &mut self.above {
            above.attach(peer);
        }
    }
}
