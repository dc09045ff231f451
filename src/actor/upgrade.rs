//! The messages that turn an HTTP connection into a websocket.

use std::fmt;

use actix::dev::ToEnvelope;
use actix::{Actor, Context, Handler, Recipient};

#[cfg(feature = "deflate")]
use super::deflate::Deflate;
use super::delivery::{Delivery, FrameRoutes, Notice, Observed, Observers};
use super::messages::{Closed, Received, RoundTripTime};
use super::settings::WebSocketSettings;
use super::stage_actor::StageHost;
use super::upstream::{IntoHandler, Place, Upstream};
use crate::http::{HttpRequest, HttpResponse};
use crate::stage::{Chain, Closing, Consolidation, Interest, Masks, Stage};
use crate::upgrade::handshake::deflate::{self, Parameters, Preferences};
use crate::upgrade::handshake::{self, HandshakeError, Target};
use crate::websocket::{Frame, Role};

/// Makes a server's connection a websocket: the response goes out, and the frame handler talks to the websocket from then on.
///
/// Sent to the sender of the [`HttpRequest`] that asked for it. The response must be a `101` that accepts that request:
/// [`handshake::accept()`] makes one, and one of your own is held against the request. If it does not
/// fit, the peer gets a 500 and the handler hears nothing.
pub type UpgradeServer<A> = Upgrade<A, HttpResponse>;

/// Asks a server to make the connection a websocket, with this request.
///
/// Sent to the sender of a client's [`Connected`](super::Connected). The frame handler hears the [`HttpResponse`], then
/// [`Upgraded`](super::Upgraded), if it asks for them with [`hears`](Upgrade::hears); or
/// [`UpgradeFailed`](super::UpgradeFailed) if the server does not accept, or does it wrongly.
pub type UpgradeClient<A> = Upgrade<A, HttpRequest>;

/// An upgrade: the handshake's message, who handles the frames, and how. See [`UpgradeServer`] and [`UpgradeClient`].
pub struct Upgrade<A: Actor, Opening> {
    opening: Opening,
    handler: Option<Place<A, Delivery>>,
    routes: FrameRoutes<A>,
    how: How,
}

/// How a websocket is made up.
#[derive(Default)]
pub(crate) struct How {
    settings: Option<WebSocketSettings>,
    /// In place of the default stages.
    stages: Option<Chain>,
    /// Above them.
    also: Chain,
    /// In actors of their own, above all others, the one nearest the handler first.
    hosted: Vec<StageHost>,
    fragments: bool,
    masks: Option<Masks>,
    #[cfg(feature = "deflate")]
    deflate: Option<Deflate>,
    observers: Observers,
    /// Set over the settings, in order.
    limits: Vec<(Limit, u64)>,
}

/// One of the settings that are a number.
type Limit = fn(WebSocketSettings, u64) -> WebSocketSettings;

/// The actor of a websocket that has no frame handler: see [`Upgrade::inline`].
#[derive(Debug)]
pub enum Nobody {}

impl Actor for Nobody {
    type Context = Context<Self>;
}

impl<A, Opening> Upgrade<A, Opening>
where
    A: Actor + Handler<Received<Frame>>,
    A::Context: ToEnvelope<A, Received<Frame>>,
{
    /// With this message of the handshake, and this frame handler: its address, or, in one of its own methods, its context `ctx`, which is
    /// the faster way in.
    #[must_use]
    pub fn new(opening: Opening, handler: impl IntoHandler<A>) -> Self {
        Self::with(opening, Some(handler.place())).hearing::<Frame>()
    }

    /// With a frame handler that is made for this websocket, on the connection's arbiter. It stops with the websocket unless something else
    /// holds its address.
    #[must_use]
    pub fn factory(opening: Opening, make: impl FnOnce() -> A + Send + 'static) -> Self
    where
        A: Actor<Context = Context<A>>,
    {
        Self::with(opening, Some(Place::made(make))).hearing::<Frame>()
    }
}

impl<A> UpgradeClient<A>
where
    A: Actor + Handler<Received<Frame>>,
    A::Context: ToEnvelope<A, Received<Frame>>,
{
    /// With the request that a websocket URL asks for ([`handshake::request`]) and a fresh random key, and this frame handler.
    #[must_use]
    pub fn to(target: &Target, handler: impl IntoHandler<A>) -> Self {
        Self::new(handshake::request(target, rand::random()), handler)
    }
}

impl<A: Actor> UpgradeClient<A> {
    /// Where masking-keys come from, in place of the system's randomness. They must be unpredictable (RFC 6455 §5.3, §10.3): predictable ones let
    /// whoever chooses the payload choose the bytes on the wire, and fool a proxy in between. For tests.
    #[must_use]
    pub fn masks(mut self, masks: impl FnMut() -> [u8; 4] + Send + 'static) -> Self {
        self.how.masks = Some(Box::new(masks));
        self
    }
}

impl<Opening> Upgrade<Nobody, Opening> {
    /// Without a frame handler: the stage does all the work, in the websocket's own turn. The fastest there is, and no actor of yours can
    /// block it.
    #[must_use]
    pub fn inline(opening: Opening, stage: impl Stage) -> Self {
        Self::with(opening, None).also(stage)
    }
}

impl<A: Actor, Opening> Upgrade<A, Opening> {
    fn with(opening: Opening, handler: Option<Place<A, Delivery>>) -> Self {
        Self { opening, handler, routes: FrameRoutes::default(), how: How::default() }
    }

    /// The frame handler hears this too, in order with its frames: [`Upgraded`](super::Upgraded), [`Closed`], [`RoundTripTime`],
    /// [`Drained`](super::Drained) …
    #[must_use]
    pub fn hears<M: Notice>(self) -> Self
    where
        A: Handler<Received<M>>,
        A::Context: ToEnvelope<A, Received<M>>,
    {
        self.hearing::<M>()
    }

    fn hearing<M: super::delivery::notice::Sealed>(mut self) -> Self
    where
        A: Handler<Received<M>>,
        A::Context: ToEnvelope<A, Received<M>>,
    {
        M::route(&mut self.routes);
        self
    }

    /// Another actor hears of the round-trip times.
    #[must_use]
    pub fn round_trips_to(mut self, recipient: impl Into<Recipient<Received<RoundTripTime>>>) -> Self {
        self.how.observers.round_trips = Some(recipient.into());
        self
    }

    /// Another actor hears of the end: in no order with what the frame handler may tell that actor. To keep an order, let the handler hear
    /// [`Closed`] and pass it on.
    #[must_use]
    pub fn on_closed(mut self, recipient: impl Into<Recipient<Received<Closed>>>) -> Self {
        self.how.observers.closed = Some(recipient.into());
        self
    }

    /// All limits of this websocket, in place of the listener's.
    #[must_use]
    pub fn settings(mut self, settings: WebSocketSettings) -> Self {
        self.how.settings = Some(settings);
        self
    }

    /// The largest payload of a frame read, in bytes: see [`WebSocketSettings::frame_size_limit`].
    #[must_use]
    pub fn frame_size_limit(self, bytes: u64) -> Self {
        self.limit(WebSocketSettings::frame_size_limit, bytes)
    }

    /// The largest message read, in bytes: see [`WebSocketSettings::message_size_limit`].
    #[must_use]
    pub fn message_size_limit(self, bytes: u64) -> Self {
        self.limit(WebSocketSettings::message_size_limit, bytes)
    }

    fn limit(mut self, limit: Limit, value: u64) -> Self {
        self.how.limits.push((limit, value));
        self
    }

    /// These stages in place of the default ones (`AutoPing` then `AutoPong`), read from the handler down. Without
    /// [`AutoPong`](crate::stage::AutoPong) pings reach the handler, and their answer is its duty.
    #[must_use]
    pub fn stages(mut self, stages: impl Stage) -> Self {
        self.how.stages = Some(Chain::of(stages));
        self
    }

    /// This stage too, nearer to the handler than those that are there.
    #[must_use]
    pub fn also(mut self, stage: impl Stage) -> Self {
        self.how.also = Chain::of(stage).and(std::mem::take(&mut self.how.also));
        self
    }

    /// This stage too, nearer to the handler than those that are there, as an actor of its own: see
    /// [`StageActor`](super::StageActor). `host` says on which arbiter.
    #[must_use]
    pub fn hosted(mut self, host: impl Into<StageHost>) -> Self {
        self.how.hosted.insert(0, host.into());
        self
    }

    /// Fragments are not put together: the handler gets them as they come.
    #[must_use]
    pub fn fragments(mut self) -> Self {
        self.how.fragments = true;
        self
    }

    /// Messages are compressed if the peer agrees (RFC 7692); they are not by default. All else is done for you: a server reads the request's offers and says in the
    /// 101 what it agrees on, a client offers it in its request, and the stage that does the work stands below all others.
    ///
    /// A 101 of your own that names permessage-deflate must name what would be agreed on, else the peer gets a 500; and without this call,
    /// neither response may name it, unless one of your stages gives [RSV1](Interest::RSV1_IN) its meaning.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, deflate: Deflate) -> Self {
        self.how.deflate = Some(deflate);
        self
    }

    pub(crate) fn into_parts(self) -> (Opening, Handling)
    where
        A: Actor,
    {
        let Self { opening, handler, routes, how } = self;
        let open: Option<Opener> = handler.map(|place| -> Opener { Box::new(move || place.open(routes)) });
        (opening, Handling { open, how })
    }
}

type Opener = Box<dyn FnOnce() -> Box<dyn Upstream<Delivery>> + Send>;

/// Who handles a websocket's frames, and how: an upgrade without its handshake, whatever the handler's type.
pub(crate) struct Handling {
    open: Option<Opener>,
    how: How,
}

impl Handling {
    /// What is wanted of permessage-deflate, if it is.
    pub(crate) fn deflate(&self) -> Option<&Preferences> {
        #[cfg(feature = "deflate")]
        let wanted = self.how.deflate.as_ref().map(Deflate::preferences);
        #[cfg(not(feature = "deflate"))]
        let wanted = None;
        wanted
    }

    /// Without [`deflate`](Self::deflate) permessage-deflate may be agreed on only where a stage of the user's does it.
    pub(crate) fn check_extensions(&self, response: &HttpResponse) -> Result<(), HandshakeError> {
        let own =
            || self.how.also.wants(Interest::RSV1_IN) || self.how.stages.as_ref().is_some_and(|stages| stages.wants(Interest::RSV1_IN));
        if self.deflate().is_none() && deflate::is_named(&response.headers) && !own() {
            return Err(HandshakeError::Deflate("it is agreed on, and was not turned on at the upgrade"));
        }
        Ok(())
    }

    /// Opens the way to the handler: on the connection's arbiter. With what was agreed on about permessage-deflate.
    pub(crate) fn open(self, role: Role, defaults: &WebSocketSettings, agreed: Option<&Parameters>) -> Handled {
        #[cfg(not(feature = "deflate"))]
        let _ = agreed;
        let How { settings, stages, also, hosted, fragments, masks, mut observers, limits, .. } = self.how;
        let mut settings = settings.unwrap_or_else(|| defaults.clone());
        for (limit, value) in limits {
            settings = limit(settings, value);
        }
        let stages = stages.unwrap_or_else(|| settings.default_stages());
        let mut chain = also.and(stages);
        if !fragments {
            chain = chain.and(Consolidation::new(settings.message_size));
        }
        chain = chain.and(Closing::new(role, settings.closing));
        #[cfg(feature = "deflate")]
        if let (Some(deflate), Some(agreed)) = (self.how.deflate, agreed) {
            chain = chain.and(deflate.stage(agreed, role, settings.message_size));
        }
        let mut upstream = self.open.map(|open| open());
        if !hosted.is_empty()
            && let round_trips @ Some(_) = observers.round_trips.take()
        {
            // The hosted stages may be those that ping: who wants to know stands above them.
            upstream = Some(Box::new(Observed::new(Observers { round_trips, closed: None }, upstream)));
        }
        for host in hosted {
            upstream = Some(host.start(upstream));
        }
        Handled { settings, chain, upstream, masks, observers }
    }
}

/// What a websocket is made of, ready to run.
pub(crate) struct Handled {
    pub(crate) settings: WebSocketSettings,
    pub(crate) chain: Chain,
    pub(crate) upstream: Option<Box<dyn Upstream<Delivery>>>,
    /// Where a client's masking-keys come from, if not from the system's randomness.
    pub(crate) masks: Option<Masks>,
    pub(crate) observers: Observers,
}

impl<A: Actor, Opening: fmt::Debug> fmt::Debug for Upgrade<A, Opening> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").field("opening", &self.opening).field("handler", &self.handler).finish_non_exhaustive()
    }
}
