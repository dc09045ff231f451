//! Pings a peer, measures how long its pongs take, and finds out when it has gone.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Command, Event, Flow, Interest, Stage};
use crate::websocket::{CloseCode, Frame, OpCode};

/// Sends a ping every 20 seconds, tells the round-trip time of each pong that answers one, and fails the websocket with 1011 when
/// nothing at all was read for 20 seconds after a ping.
///
/// Any byte read counts as life, and the deadline stands still while *we* do not read. Pings that the handler sends itself are measured
/// too. Pongs that answer a ping are seen above as well; the data of the library's own pings is a counter of 8 bytes.
pub struct AutoPing {
    every: Duration,
    within: Duration,
    memory: usize,
    body: Box<dyn FnMut() -> Bytes + Send>,
    /// When the next ping is due.
    next: Option<Instant>,
    /// Since when, and by when, something must have been read: the oldest ping that has not been asked about.
    expected: Option<(Instant, Instant)>,
    /// Pings in flight, oldest first.
    in_flight: VecDeque<(Bytes, Instant)>,
}

impl AutoPing {
    /// A ping every so often, and something read within the same time after it.
    #[must_use]
    pub fn every(every: Duration) -> Self {
        let mut count = 0u64;
        let body = move || {
            count += 1;
            Bytes::copy_from_slice(&count.to_be_bytes())
        };
        Self { every, within: every, memory: 16, body: Box::new(body), next: None, expected: None, in_flight: VecDeque::new() }
    }

    /// How long after a ping something must have been read. [`Duration::MAX`] measures only, as SprayWebSockets did.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// How many pings in flight are remembered: 16 by default, the oldest is forgotten first.
    #[must_use]
    pub fn memory(mut self, pings: usize) -> Self {
        self.memory = pings;
        self
    }

    /// What makes the data of each ping, at most 125 bytes; more is cut off.
    #[must_use]
    pub fn body(mut self, body: impl FnMut() -> Bytes + Send + 'static) -> Self {
        self.body = Box::new(body);
        self
    }

    fn remember(&mut self, data: Bytes, now: Instant) {
        if self.memory > 0 {
            if self.in_flight.len() >= self.memory {
                self.in_flight.pop_front();
            }
            self.in_flight.push_back((data, now));
        }
    }
}

impl Default for AutoPing {
    /// Every 20 s, within 20 s.
    fn default() -> Self {
        Self::every(Duration::from_secs(20))
    }
}

impl Stage for AutoPing {
    fn started(&mut self, flow: &mut Flow<'_>) {
        self.next = flow.now().checked_add(self.every);
    }

    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        if let Event::Frame(pong) = &event
            && pong.opcode == OpCode::Pong
            && let Some(at) = self.in_flight.iter().position(|(data, _)| *data == pong.data)
        {
            // A pong may answer the newest ping only (RFC 6455 §5.5.3): the older ones will not be answered any more.
            let sent = self.in_flight.drain(..=at).next_back().expect("`at` is among them").1;
            flow.up(Event::RoundTripTime(flow.now().saturating_duration_since(sent)));
        }
        flow.up(event);
    }

    fn command(&mut self, command: Command, flow: &mut Flow<'_>) {
        if let Command::Frame(ping) = &command
            && ping.opcode == OpCode::Ping
        {
            self.remember(ping.data.clone(), flow.now());
        }
        flow.down(command);
    }

    fn deadline(&self) -> Option<Instant> {
        [self.next, self.expected.map(|(_, by)| by)].into_iter().flatten().min()
    }

    fn timeout(&mut self, flow: &mut Flow<'_>) {
        let now = flow.now();
        if let Some((since, by)) = self.expected
            && by <= now
        {
            let life = flow.life();
            self.expected = None;
            if life.suspended && !planted!(PongWhileSuspended) {
                self.expected = now.checked_add(self.within).map(|by| (since, by));
            } else if life.last_read < since {
                // Not measured from now: a clock that rings late would take an answer that came at once for silence.
                let silent = now.saturating_duration_since(life.last_read);
                self.next = None;
                return flow
                    .down(Command::Fail(CloseCode::INTERNAL_ERROR, format!("no sign of life for {silent:.0?} after a ping").into()));
            }
        }
        if self.next.is_some_and(|next| next <= now) {
            let mut data = (self.body)();
            data.truncate(125);
            self.remember(data.clone(), now);
            flow.down(Command::Frame(Frame::ping(data)));
            self.next = now.checked_add(self.every);
            self.expected = self.expected.or(now.checked_add(self.within).map(|by| (now, by)));
        }
    }

    fn interest(&self) -> Interest {
        Interest::CONTROL_IN.and(Interest::CONTROL_OUT)
    }
}

impl fmt::Debug for AutoPing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AutoPing({:?})", self.every)
    }
}
