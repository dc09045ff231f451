//! A stage between two probes. What it says is written down, a line each: `↑` to the handler, `↓` to the wire.

use std::time::{Duration, Instant};

use actix_sockets::stage::{By, Command, Event, Flow, Life, Outcome, Stage};
use actix_sockets::websocket::{Frame, OpCode};

/// Any stage, and a clock.
pub(crate) struct Probe<S> {
    pub(crate) stage: S,
    start: Instant,
    now: Instant,
    pub(crate) life: Life,
}

impl<S: Stage> Probe<S> {
    /// Starts the stage, and the clock.
    pub(crate) fn new(mut stage: S) -> Self {
        let start = Instant::now();
        let life = Life { last_read: start, suspended: false };
        let mut flow = Flow::new(start, life);
        stage.started(&mut flow);
        assert_eq!(said(&mut flow), [""; 0], "nothing in the library speaks first");
        Self { stage, start, now: start, life }
    }

    /// An event comes from below; bytes were read for it.
    pub(crate) fn hears(&mut self, event: impl Into<Event>) -> Vec<String> {
        self.life.last_read = self.now;
        let mut flow = self.flow();
        self.stage.event(event.into(), &mut flow);
        said(&mut flow)
    }

    /// A frame comes from below.
    pub(crate) fn reads(&mut self, frame: Frame) -> Vec<String> {
        self.hears(Event::Frame(frame))
    }

    /// A command comes from above.
    pub(crate) fn told(&mut self, command: Command) -> Vec<String> {
        let mut flow = self.flow();
        self.stage.command(command, &mut flow);
        said(&mut flow)
    }

    /// A frame comes from above.
    pub(crate) fn sends(&mut self, frame: Frame) -> Vec<String> {
        self.told(Command::Frame(frame))
    }

    /// Time passes, and each deadline is met when it comes. What is said is preceded by the second at which it was.
    pub(crate) fn waits(&mut self, how_long: Duration) -> Vec<String> {
        let until = self.now + how_long;
        let mut all = Vec::new();
        while let Some(deadline) = self.stage.deadline().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            let mut flow = self.flow();
            self.stage.timeout(&mut flow);
            let at = self.now.duration_since(self.start).as_secs_f64();
            all.extend(said(&mut flow).into_iter().map(|line| format!("{at} {line}")));
        }
        self.now = until;
        all
    }

    /// Time passes, and deadlines are met at the end of it only, as late as that.
    pub(crate) fn oversleeps(&mut self, how_long: Duration) -> Vec<String> {
        self.now += how_long;
        let mut all = Vec::new();
        while self.stage.deadline().is_some_and(|deadline| deadline <= self.now) {
            let mut flow = self.flow();
            self.stage.timeout(&mut flow);
            all.extend(said(&mut flow));
        }
        all
    }

    /// Bytes were read, and no frame came of them.
    pub(crate) fn byte_is_read(&mut self) {
        self.life.last_read = self.now;
    }

    fn flow(&self) -> Flow<'static> {
        Flow::new(self.now, self.life)
    }
}

/// What a flow holds: events, then commands.
pub(crate) fn said(flow: &mut Flow<'_>) -> Vec<String> {
    let (events, commands) = flow.take();
    let events = events.iter().map(|event| format!("↑ {}", event_line(event)));
    events.chain(commands.iter().map(|command| format!("↓ {}", command_line(command)))).collect()
}

pub(crate) fn event_line(event: &Event) -> String {
    match event {
        Event::Frame(frame) => frame_line(frame),
        Event::RoundTripTime(time) => format!("round trip {time:?}"),
        Event::Closed(Outcome { code, by, clean, .. }) => {
            let by = if *by == By::Us { "us" } else { "the peer" };
            format!("Closed {code} by {by}{}", if *clean { ", clean" } else { "" })
        }
        other => format!("{other:?}"),
    }
}

pub(crate) fn command_line(command: &Command) -> String {
    match command {
        Command::Frame(frame) => frame_line(frame),
        Command::Close(close) => format!("Close {}", close.code),
        Command::Fail(code, _) => format!("Fail {code}"),
        other => format!("{other:?}"),
    }
}

/// `Text "Hello"`, with `…` behind a fragment that is not the last.
pub(crate) fn frame_line(frame: &Frame) -> String {
    let more = if frame.fin { "" } else { " …" };
    match (frame.opcode, frame.close_reason()) {
        (OpCode::Close, Some((code, ""))) => format!("Close {code}"),
        (OpCode::Close, Some((code, reason))) => format!("Close {code} {reason:?}"),
        (opcode, _) => format!("{opcode:?} \"{}\"{more}", frame.data.escape_ascii()),
    }
}
