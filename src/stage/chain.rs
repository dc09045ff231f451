//! Stages above one another: the plumbing between them.

use std::cell::Cell;
use std::fmt;
use std::time::Instant;

use super::{Command, Effect, Ends, Event, Flow, Interest, Life, Stage};
use crate::websocket::Frame;

/// Any number of stages, the one nearest the handler first. A chain is a stage; a chain in a chain is taken apart, so that it stays
/// flat. Prints as `AutoPing(20s) → AutoPong`.
#[derive(Default)]
pub struct Chain {
    /// Top first.
    places: Vec<Place>,
    /// The soonest deadline, until a stage is called again: most messages pass by without that.
    soonest: Cell<Option<Option<Instant>>>,
}

/// A stage in its place.
struct Place {
    stage: Box<dyn Stage>,
    /// What it wants to see.
    interest: Interest,
    /// What no stage above it wants of what comes up, and none below it of what goes down.
    free: Interest,
}

impl Chain {
    /// No stages at all: everything passes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The chain of this stage alone.
    #[must_use]
    pub fn of(stage: impl Stage) -> Self {
        Self::new().and(stage)
    }

    /// This chain with one stage more at its lower end.
    #[must_use]
    pub fn and(mut self, mut below: impl Stage) -> Self {
        match below.parts() {
            Some(parts) => parts.into_iter().for_each(|stage| self.push(stage)),
            None => self.push(Box::new(below)),
        }
        self
    }

    fn push(&mut self, stage: Box<dyn Stage>) {
        self.soonest.set(None);
        let interest = stage.interest();
        let wanted_above = self.interest().only(Interest::IN);
        for place in &mut self.places {
            place.free = place.free.without(interest.only(Interest::OUT));
        }
        self.places.push(Place { stage, interest, free: Interest::IN.and(Interest::OUT).without(wanted_above) });
    }

    /// Whether there are no stages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether some stage wants to see what `interest` names.
    #[must_use]
    pub fn wants(&self, interest: Interest) -> bool {
        self.places.iter().any(|place| place.interest.meets(interest))
    }

    pub(super) fn start(&mut self, now: Instant, life: Life, ends: &mut dyn Ends) {
        for at in 0..self.places.len() {
            self.call(at, now, life, ends, Stage::started);
        }
    }

    /// An event enters at the bottom.
    #[inline]
    pub(super) fn event(&mut self, event: Event, now: Instant, life: Life, ends: &mut dyn Ends) {
        self.rise(self.places.len(), event, now, life, ends);
    }

    /// A command enters at the top.
    #[inline]
    pub(super) fn command(&mut self, command: Command, now: Instant, life: Life, ends: &mut dyn Ends) {
        self.sink(0, command, now, life, ends);
    }

    /// Where a whole message coming up goes first.
    pub(super) fn first_for_messages(&self) -> Option<usize> {
        self.places.iter().rposition(|place| place.interest.meets(Interest::MESSAGES_IN))
    }

    /// A whole message that goes to stage `at` first.
    #[inline(always)]
    pub(super) fn message(&mut self, at: usize, message: Frame, now: Instant, life: Life, ends: &mut dyn Ends) {
        self.call(at, now, life, ends, |stage, flow| stage.event(Event::Frame(message), flow));
    }

    /// The soonest deadline of all.
    pub(super) fn soonest(&self) -> Option<Instant> {
        match self.soonest.get() {
            Some(known) => known,
            None => {
                let soonest = self.places.iter().filter_map(|place| place.stage.deadline()).min();
                self.soonest.set(Some(soonest));
                soonest
            }
        }
    }

    pub(super) fn expire(&mut self, now: Instant, life: Life, ends: &mut dyn Ends) {
        for at in 0..self.places.len() {
            if self.places[at].stage.deadline().is_some_and(|deadline| deadline <= now) {
                self.call(at, now, life, ends, Stage::timeout);
            }
        }
    }

    /// An event rises from below stage `from` to the next one that wants it.
    fn rise(&mut self, from: usize, event: Event, now: Instant, life: Life, ends: &mut dyn Ends) {
        let kind = Interest::of_event(&event);
        match self.places[..from].iter().rposition(|place| place.interest.meets(kind)) {
            None => ends.top(event),
            Some(at) => self.call(at, now, life, ends, |stage, flow| stage.event(event, flow)),
        }
    }

    /// A command sinks to stage `from` or the next one below it that wants it.
    fn sink(&mut self, from: usize, command: Command, now: Instant, life: Life, ends: &mut dyn Ends) {
        let kind = Interest::of_command(&command);
        match self.places[from..].iter().position(|place| place.interest.meets(kind)) {
            None => ends.bottom(command),
            Some(at) => self.call(from + at, now, life, ends, |stage, flow| stage.command(command, flow)),
        }
    }

    /// Calls stage `at`, and does what it has said and what could not be done at once, in its order.
    #[inline(always)]
    fn call(&mut self, at: usize, now: Instant, life: Life, ends: &mut dyn Ends, call: impl FnOnce(&mut dyn Stage, &mut Flow<'_>)) {
        self.soonest.set(None);
        let Place { stage, free, .. } = &mut self.places[at];
        let mut flow = Flow::between(ends, *free, now, life);
        call(&mut **stage, &mut flow);
        if flow.waits() {
            let effects = flow.effects();
            self.perform(at, effects, now, life, ends);
        }
    }

    #[inline(never)]
    fn perform(&mut self, at: usize, effects: impl Iterator<Item = Effect>, now: Instant, life: Life, ends: &mut dyn Ends) {
        for effect in effects {
            match effect {
                Effect::Up(event) => self.rise(at, event, now, life, ends),
                Effect::Down(command) => self.sink(at + 1, command, now, life, ends),
            }
        }
    }
}

/// A chain in the place of a stage: its ends are the flow's.
impl Stage for Chain {
    fn started(&mut self, flow: &mut Flow<'_>) {
        self.start(flow.now, flow.life, flow);
    }

    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        Self::event(self, event, flow.now, flow.life, flow);
    }

    fn command(&mut self, command: Command, flow: &mut Flow<'_>) {
        Self::command(self, command, flow.now, flow.life, flow);
    }

    fn deadline(&self) -> Option<Instant> {
        self.soonest()
    }

    fn timeout(&mut self, flow: &mut Flow<'_>) {
        self.expire(flow.now, flow.life, flow);
    }

    fn interest(&self) -> Interest {
        self.places.iter().fold(Interest::NONE, |all, place| all.and(place.interest))
    }

    fn parts(&mut self) -> Option<Vec<Box<dyn Stage>>> {
        self.soonest.set(None);
        Some(self.places.drain(..).map(|place| place.stage).collect())
    }
}

impl Ends for Flow<'_> {
    fn top(&mut self, event: Event) {
        self.up(event);
    }

    fn bottom(&mut self, command: Command) {
        self.down(command);
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, place) in self.places.iter().enumerate() {
            write!(f, "{}{:?}", if at == 0 { "" } else { " → " }, place.stage)?;
        }
        Ok(())
    }
}
