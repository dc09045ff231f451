//! Frames ⇄ stages ⇄ frame handler.
//!
//! ```text
//!        frame handler
//!    events ▲   │ commands
//!       ┌───┴───▼───┐
//!       │ AutoPing  │   yours and the defaults, nearest the handler first
//!       │ AutoPong  │
//!       ├───────────┤
//!       │ Consoli-  │   fragments become messages (RFC 6455 §5.4)
//!       │ dation    │
//!       ├───────────┤
//!       │ Closing   │   the closing handshake (RFC 6455 §7)
//!       ├───────────┤
//!       │ PerMessa- │   compressed messages (RFC 7692), if agreed on
//!       │ geDeflate │
//!       └───▲───┬───┘
//!         Codec │           bytes ⇄ frames
//! ```
//!
//! A [`Stage`] is a value without I/O and without a clock. [`Event`]s go up to the handler, [`Command`]s go down to the wire; a stage
//! hears what comes to it and says on its [`Flow`] what goes on from it, to either side. Time is what the flow tells. Stages are put
//! together with [`then`](Stage::then), read from the handler down to the wire; the result is a [`Chain`], which is a stage again.
//!
//! [`Pipeline`] is a whole websocket without its socket: codec, chain and output. Whoever owns a socket, or a test, or a
//! simulation, feeds it bytes, commands and time, and takes events, bytes and the next deadline from it.

mod auto_ping;
mod auto_pong;
mod base;
mod chain;
mod closing;
mod consolidation;
#[cfg(feature = "deflate")]
pub mod deflate;
mod hide_pongs;
mod overflow;
mod pipeline;

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, Instant};

pub use auto_ping::AutoPing;
pub use auto_pong::AutoPong;
pub use chain::Chain;
pub use closing::{By, Closing, Outcome};
pub use consolidation::Consolidation;
#[cfg(feature = "deflate")]
pub use deflate::PerMessageDeflate;
pub use hide_pongs::HidePongs;
pub use overflow::{Dropped, Drops, Key, Keyed, Overflow};
pub(crate) use overflow::{Policy, Verdict, Waiting};
pub use pipeline::{Masks, Phase, Pipeline};

use crate::websocket::{CloseCode, Frame, OpCode, ProtocolError};

/// What goes up, from the wire to the frame handler.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A frame was read. Above [`Consolidation`] a data frame is a whole message.
    Frame(Frame),
    /// How long a ping of [`AutoPing`] took to come back as a pong.
    RoundTripTime(Duration),
    /// The peer broke the protocol; nothing more is read. Heard by [`Closing`], which fails the connection.
    Failed(ProtocolError),
    /// The transport has ended: the peer sent its FIN, or the connection broke. Heard by [`Closing`].
    Ended,
    /// The websocket is closed. The last event, and there is always exactly one.
    Closed(Outcome),
}

/// What goes down, from the frame handler to the wire.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Write this frame. One with [`OpCode::Close`] begins the closing handshake.
    Frame(Frame),
    /// Close the websocket: the closing handshake is begun if it has not been, and must end within its deadline.
    Close(Close),
    /// Fail the websocket (RFC 6455 §7.1.7): a Close frame with this code and reason, then the end, without waiting for the peer's.
    Fail(CloseCode, Cow<'static, str>),
    /// What was read breaks the protocol: nothing more is read, and once the frames before it are answered the websocket is failed with this error,
    /// as it is with the codec's own.
    Refuse(ProtocolError),
    /// Write what is to be written, then FIN, then read no more frames. Said by [`Closing`].
    Finish,
    /// Give the transport up as it is. Said by [`Closing`].
    Abort,
}

/// Closes a websocket: SprayWebSockets' `Tcp.Close`. If no Close frame was sent yet, one with this code and reason is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The close code. [`CloseCode::NO_STATUS`] sends a Close frame without one.
    pub code: CloseCode,
    /// The reason, at most 123 bytes: what is longer is cut on a character's border.
    pub reason: Cow<'static, str>,
}

impl Default for Close {
    /// 1000, without a reason.
    fn default() -> Self {
        Self::new(CloseCode::NORMAL, "")
    }
}

impl Close {
    /// With this code and reason.
    #[must_use]
    pub fn new(code: CloseCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// The Close frame that says it.
    #[must_use]
    pub fn frame(&self) -> Frame {
        if self.code == CloseCode::NO_STATUS { Frame::new(OpCode::Close, "") } else { Frame::close(self.code, &self.reason) }
    }
}

/// One step between the wire and the frame handler: a value, without I/O and without a clock.
///
/// Every method has a default that lets all pass, so that a stage names only what it is about:
///
/// ```
/// use actix_sockets::stage::{Command, Event, Flow, Stage};
/// use actix_sockets::websocket::Frame;
///
/// /// Answers every text message by itself, in capitals; the handler hears the rest.
/// #[derive(Debug)]
/// struct Shout;
///
/// impl Stage for Shout {
///     fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
///         match event {
///             Event::Frame(frame) if frame.as_text().is_some() => {
///                 flow.down(Command::Frame(Frame::text(frame.as_text().unwrap().to_uppercase())));
///             }
///             other => flow.up(other),
///         }
///     }
/// }
/// ```
///
/// `Debug` should print the stage's name and what matters of its settings, on one line: a chain prints as those, with arrows.
pub trait Stage: fmt::Debug + Send + 'static {
    /// The websocket is open; called once, before all else.
    fn started(&mut self, flow: &mut Flow<'_>) {
        let _ = flow;
    }

    /// Something comes up from below. What is not handed on with [`Flow::up`] ends here.
    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        flow.up(event);
    }

    /// Something comes down from above. What is not handed on with [`Flow::down`] ends here.
    fn command(&mut self, command: Command, flow: &mut Flow<'_>) {
        flow.down(command);
    }

    /// When [`timeout`](Self::timeout) is to be called next, if at all. Asked after every other call.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline has come: [`Flow::now`] is not before it.
    fn timeout(&mut self, flow: &mut Flow<'_>) {
        let _ = flow;
    }

    /// What the stage wants to see: the rest passes by without a call. Asked once; everything by default.
    fn interest(&self) -> Interest {
        Interest::ALL
    }

    /// This stage above another one: the chain of both.
    fn then(self, below: impl Stage) -> Chain
    where
        Self: Sized,
    {
        Chain::of(self).and(below)
    }

    /// The stages that this one is made of, top first, so that chains of chains stay flat. Only [`Chain`] has more than itself.
    #[doc(hidden)]
    fn parts(&mut self) -> Option<Vec<Box<dyn Stage>>> {
        None
    }
}

/// What a [`Stage`] wants to see, as a set. Frames and other things of kinds that it does not name pass by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest(u8);

impl Interest {
    /// Nothing but `started` and its deadline.
    pub const NONE: Self = Self(0);
    /// Whole data messages coming up: FIN set, not a Continuation.
    pub const MESSAGES_IN: Self = Self(1);
    /// Fragments coming up.
    pub const FRAGMENTS_IN: Self = Self(2);
    /// Control frames coming up.
    pub const CONTROL_IN: Self = Self(4);
    /// Events other than frames.
    pub const SIGNALS_IN: Self = Self(8);
    /// Data frames going down.
    pub const DATA_OUT: Self = Self(16);
    /// Control frames going down.
    pub const CONTROL_OUT: Self = Self(32);
    /// Commands other than frames.
    pub const SIGNALS_OUT: Self = Self(64);
    /// Everything but [`RSV1_IN`](Self::RSV1_IN).
    pub const ALL: Self = Self(127);
    /// Data frames coming up with RSV1 set: the stage gives it its meaning, and clears it. Only where some stage names this does the codec take such frames,
    /// and write them.
    pub const RSV1_IN: Self = Self(128);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets have something in common.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What comes up.
    const IN: Self = Self(1 | 2 | 4 | 8 | 128);
    /// What goes down.
    const OUT: Self = Self(16 | 32 | 64);

    /// What both sets name.
    const fn only(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// This set without the other.
    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `kind` is in the set.
    const fn holds(self, kind: Self) -> bool {
        kind.0 & !self.0 == 0
    }

    const fn of_event(event: &Event) -> Self {
        match event {
            Event::Frame(frame) if frame.opcode.is_control() => Self::CONTROL_IN,
            Event::Frame(frame) => {
                let kind = if frame.is_whole() { Self::MESSAGES_IN } else { Self::FRAGMENTS_IN };
                if frame.rsv & 0b100 == 0 { kind } else { kind.and(Self::RSV1_IN) }
            }
            _ => Self::SIGNALS_IN,
        }
    }

    const fn of_command(command: &Command) -> Self {
        match command {
            Command::Frame(frame) if frame.opcode.is_control() => Self::CONTROL_OUT,
            Command::Frame(_) => Self::DATA_OUT,
            _ => Self::SIGNALS_OUT,
        }
    }
}

/// Signs of life of the peer, as far as reading shows them.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// When bytes were last read, or when reading was last taken up again.
    pub last_read: Instant,
    /// Whether reading is suspended at the moment, for our own reasons: then silence says nothing about the peer.
    pub suspended: bool,
}

/// Where a stage says what goes on from it, and learns the time.
///
/// What no stage on its way wants to see reaches the wire or the handler at once; the rest waits until the stage has returned. Either way
/// all that is said keeps its order.
pub struct Flow<'a> {
    now: Instant,
    life: Life,
    /// The ends of the chain, and the kinds of things that no stage between here and there wants to see.
    ends: Option<&'a mut dyn Ends>,
    free: Interest,
    /// What waits. Most calls leave one thing at most; it needs no allocation.
    first: Option<Effect>,
    rest: Vec<Effect>,
}

/// What lies at the two ends of a chain.
trait Ends {
    fn top(&mut self, event: Event);
    fn bottom(&mut self, command: Command);
}

#[derive(Debug)]
enum Effect {
    Up(Event),
    Down(Command),
}

impl<'a> Flow<'a> {
    /// A flow at this time. For whoever runs a stage by itself, a test say: [`Pipeline`] makes its own.
    #[must_use]
    pub const fn new(now: Instant, life: Life) -> Self {
        Self { now, life, ends: None, free: Interest::NONE, first: None, rest: Vec::new() }
    }

    /// A flow that lets things of the kinds that are free pass to the ends.
    #[inline]
    fn between(ends: &'a mut dyn Ends, free: Interest, now: Instant, life: Life) -> Self {
        Self { ends: Some(ends), free, ..Self::new(now, life) }
    }

    /// Hands an event on to the next stage above, or to the frame handler.
    #[inline]
    pub fn up(&mut self, event: Event) {
        match self.way(Interest::of_event(&event)) {
            Some(ends) => ends.top(event),
            None => self.push(Effect::Up(event)),
        }
    }

    /// Hands a command on to the next stage below, or to the wire.
    #[inline]
    pub fn down(&mut self, command: Command) {
        match self.way(Interest::of_command(&command)) {
            Some(ends) => ends.bottom(command),
            None => self.push(Effect::Down(command)),
        }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What is known of the peer's being alive.
    #[must_use]
    pub fn life(&self) -> Life {
        self.life
    }

    /// What was said so far, in order, taken out: events to the left, commands to the right. For whoever runs a stage by itself.
    pub fn take(&mut self) -> (Vec<Event>, Vec<Command>) {
        let (mut events, mut commands) = (Vec::new(), Vec::new());
        for effect in self.effects() {
            match effect {
                Effect::Up(event) => events.push(event),
                Effect::Down(command) => commands.push(command),
            }
        }
        (events, commands)
    }

    /// The ends, if something of this kind may go there now.
    #[inline]
    fn way(&mut self, kind: Interest) -> Option<&mut (dyn Ends + 'a)> {
        if !self.waits() && self.free.holds(kind) { self.ends.as_deref_mut() } else { None }
    }

    /// Whether something waits.
    #[inline]
    const fn waits(&self) -> bool {
        self.first.is_some()
    }

    fn push(&mut self, effect: Effect) {
        if !self.waits() {
            self.first = Some(effect);
        } else {
            self.rest.push(effect);
        }
    }

    /// What waits, taken out, in order.
    fn effects(&mut self) -> impl Iterator<Item = Effect> + use<> {
        self.first.take().into_iter().chain(std::mem::take(&mut self.rest))
    }
}

impl fmt::Debug for Flow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("now", &self.now).field("life", &self.life).field("waiting", &(&self.first, &self.rest)).finish()
    }
}
