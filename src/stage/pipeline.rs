//! A whole websocket without its socket: codec, stages, output.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::base::Base;
use super::{Chain, Command, Event, Interest, Life};
use crate::output::Output;
use crate::websocket::{Codec, Frame, OpCode, ProtocolError};

mod deadlines;
mod ending;

/// How much may come of compressed messages before those who are told of it have their turn: a read of 64 KiB may hold 64 MiB and more.
const BATCH: usize = 256 << 10;

/// Where masking-keys come from (RFC 6455 §5.3): a strong source of entropy for a client, none for a server.
pub type Masks = Box<dyn FnMut() -> [u8; 4] + Send>;

/// How far the life of a websocket's transport has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Frames pass.
    Open,
    /// Write what [`Pipeline::output`] holds, then FIN; read and throw away until the peer's FIN.
    Finishing,
    /// Nothing more to do: drop the transport. What could not be written is lost.
    Done,
}

/// A websocket as a value: bytes, commands and time go in, events, bytes and the next deadline come out.
///
/// After every call that takes `now`: take the events with [`poll_event`](Self::poll_event), write [`output`](Self::output), look at
/// [`phase`](Self::phase), and call [`handle_timeout`](Self::handle_timeout) when [`deadline`](Self::deadline) comes.
///
/// **A verdict waits its turn.** A protocol error and the peer's Close take effect behind the frames before them: nothing more is
/// decoded, and what must be sent for them is sent once [`settle`](Self::settle) says that the earlier frames are answered, or after
/// 250 ms.
///
/// `T` is what events are queued as: whoever owns the pipeline may have them in a form of their own.
#[derive(Debug)]
pub struct Pipeline<T = Event> {
    chain: Chain,
    base: Base<T>,
    /// The first stage that wants to see whole messages coming up, and whether none wants to see data frames going down: they take the short way.
    messages_to: Option<usize>,
    direct_out: bool,
    life: Life,
    /// What was read last and waits for what came before it, and until when.
    verdict: Option<(Event, Instant)>,
    /// Messages are made longer on their way up: one read may bring any number of bytes.
    swells: bool,
    /// Decoding has stopped before the end of what was read.
    behind: bool,
    /// No more frames are decoded: the peer has said its last word, or broken the protocol.
    deaf: bool,
    /// The peer's FIN has come.
    eof: bool,
    /// Since when a message has been incomplete.
    incomplete: Option<Instant>,
    message_within: Duration,
    /// Since when the output has made no progress.
    stalled: Option<Instant>,
    stall_within: Duration,
    /// Since when it has been finishing.
    finishing: Option<Instant>,
    linger: Duration,
}

impl<T: From<Event>> Pipeline<T> {
    /// An open websocket. `codec` knows which end we are and what is too big; `chain` reads from the handler down and should end with
    /// [`Closing`](super::Closing), below which stands only what compresses.
    #[must_use]
    pub fn new(mut codec: Codec, masks: Masks, chain: Chain, now: Instant) -> Self {
        let swells = chain.wants(Interest::RSV1_IN);
        if swells {
            codec = codec.allow_rsv1(true);
        }
        let (output, events, phase) = (Output::new(), VecDeque::new(), Phase::Open);
        let (answers_ping, pong, pongs_within) = (false, None, usize::MAX);
        let (waiting, refused, told, closed) = (0, None, false, false);
        let base = Base { codec, masks, output, events, waiting, refused, told, closed, phase, answers_ping, pong, pongs_within };
        let mut pipeline = Self {
            messages_to: chain.first_for_messages(),
            direct_out: !chain.wants(Interest::DATA_OUT),
            chain,
            base,
            life: Life { last_read: now, suspended: false },
            verdict: None,
            swells,
            behind: false,
            deaf: false,
            eof: false,
            incomplete: None,
            message_within: Duration::from_secs(60),
            stalled: None,
            stall_within: Duration::from_secs(30),
            finishing: None,
            linger: Duration::from_secs(5),
        };
        let Self { chain, life, base, .. } = &mut pipeline;
        if catch_unwind(AssertUnwindSafe(|| chain.start(now, *life, base))).is_err() {
            tracing::error!("a stage panicked when it was started: the websocket is closed with 1011");
            pipeline.panicked(now);
        }
        pipeline.arm(now);
        pipeline
    }

    /// While more output than this waits, only the newest of the pings that come is answered (RFC 6455 §5.5.3): without limit unless it is said.
    #[must_use]
    pub fn pongs_within(mut self, bytes: usize) -> Self {
        self.base.pongs_within = bytes;
        self
    }

    /// Takes over what an earlier protocol has not yet written: it goes before what the stages have said when they were started.
    pub fn take_over(&mut self, unsent: Output) {
        let mut said = std::mem::replace(&mut self.base.output, unsent);
        self.base.output.append(&mut said);
    }

    /// Bytes were read: decodes all whole frames in `bytes`. What is left in it is the beginning of a frame, to be kept and handed in
    /// again with what follows it.
    ///
    /// With a stage that inflates, decoding stops when much has come of it ([`is_behind`](Self::is_behind)): then call again with what is left
    /// once the events are handled, before anything more is read.
    pub fn receive(&mut self, bytes: &mut BytesMut, now: Instant) {
        self.life.last_read = now;
        self.behind = false;
        let written = self.base.output.end();
        while !self.deaf && self.base.phase == Phase::Open {
            if self.swells && self.base.waiting + (self.base.output.end() - written) as usize > BATCH {
                self.behind = true;
                return self.arm(now);
            }
            if let Some(message) = self.base.codec.decode_short(bytes) {
                self.admit(message, now);
                continue;
            }
            match self.base.codec.decode_any(bytes) {
                Ok(Some(close)) if close.opcode == OpCode::Close => self.judge(Event::Frame(close), now),
                Ok(Some(frame)) => self.admit(frame, now),
                Ok(None) => {
                    let waits = !bytes.is_empty() || !self.base.codec.is_idle();
                    self.incomplete = if waits { self.incomplete.or(Some(now)) } else { None };
                    return self.arm(now);
                }
                Err(error) => self.judge(Event::Failed(error), now),
            }
        }
        self.incomplete = None;
        bytes.clear();
        self.arm(now);
    }

    /// A frame was read.
    #[inline(always)]
    fn admit(&mut self, frame: Frame, now: Instant) {
        if self.incomplete.is_some() && self.base.codec.is_idle() {
            self.incomplete = None;
        }
        let Self { chain, life, base, .. } = self;
        match self.messages_to {
            _ if frame.rsv != 0 || !frame.is_whole() || frame.opcode.is_control() => {
                base.answers_ping = frame.opcode == OpCode::Ping;
                chain.event(Event::Frame(frame), now, *life, base);
                base.answers_ping = false;
            }
            Some(at) => chain.message(at, frame, now, *life, base),
            None if base.told => return,
            None => {
                base.waiting += frame.data.len();
                base.events.push_back(Event::Frame(frame).into());
                return;
            }
        }
        self.refuse(now);
    }

    /// The handler says something.
    #[inline]
    pub fn command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Frame(frame) if self.direct_out && frame.opcode.is_data() => self.base.write(frame),
            command => self.chained(command, now),
        }
    }

    fn chained(&mut self, command: Command, now: Instant) {
        self.chain.command(command, now, self.life, &mut self.base);
        self.refuse(now);
        if self.base.phase != Phase::Open {
            self.arm(now);
        }
    }

    /// The next event for the handler.
    #[inline]
    pub fn poll_event(&mut self) -> Option<T> {
        if self.base.events.len() <= 1 {
            self.base.waiting = 0;
        }
        self.base.events.pop_front()
    }

    /// All events for the handler at once, in a queue that was empty: that one is used for the next.
    #[inline]
    pub fn swap_events(&mut self, empty: &mut VecDeque<T>) {
        debug_assert!(empty.is_empty(), "events would be told twice");
        self.base.waiting = 0;
        std::mem::swap(&mut self.base.events, empty);
    }

    /// Whether there are events for the handler.
    #[inline]
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.base.events.is_empty()
    }

    /// Whether [`Event::Closed`] is among the events told so far.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.base.told
    }

    /// What is to be written.
    #[inline]
    pub fn output(&mut self) -> &mut Output {
        &mut self.base.output
    }

    /// The peer's signs of life.
    #[inline]
    #[must_use]
    pub fn life(&self) -> Life {
        self.life
    }

    /// Whether reading makes sense: not while a verdict waits, and not when all is over.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        self.verdict.is_none() && !self.eof && self.base.phase != Phase::Done
    }

    /// How many bytes have come of a message that is not all there, before the frame that is not.
    pub(crate) fn gathered(&self) -> usize {
        self.base.codec.gathered()
    }

    /// Whether a message has begun to come, or a frame.
    pub(crate) fn is_within_message(&self) -> bool {
        self.incomplete.is_some()
    }

    /// Whether [`receive`](Self::receive) has stopped early: frames may be left in what was read.
    #[inline]
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.behind && !self.deaf && self.base.phase == Phase::Open
    }

    /// How many bytes more the frame at the beginning of the input needs, as far as its header is known: a hint for how much to read.
    #[must_use]
    pub fn missing(&self, have: usize) -> usize {
        if self.deaf { 0 } else { self.base.codec.missing(have) }
    }

    /// How far it has got.
    #[inline]
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.base.phase {
            Phase::Finishing if self.eof && self.base.output.is_empty() => Phase::Done,
            phase => phase,
        }
    }

    /// Whether the transport is given up as it is: it is not said to be the end of anything.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.base.phase == Phase::Done
    }

    /// Whether a Close frame has been written: then no frame will follow it.
    #[inline]
    #[must_use]
    pub fn has_closed(&self) -> bool {
        self.base.closed || self.base.phase != Phase::Open
    }

    /// Whether a stage looks at what `interest` names.
    #[must_use]
    pub fn wants(&self, interest: Interest) -> bool {
        self.chain.wants(interest)
    }
}

impl From<ProtocolError> for Event {
    fn from(error: ProtocolError) -> Self {
        Self::Failed(error)
    }
}
