//! Stages above one another: the plumbing between them.

use std::cell::Cell;
use std::fmt;
use std::time::Instant;

use super::{Command, Effect, Event, Flow, Interest, Life, Stage};

/// Any number of stages, the one nearest the handler first. A chain is a stage; a chain in a chain is taken apart, so that it stays
/// flat. Prints as `AutoPing(20s) → AutoPong`.
#[derive(Default)]
pub struct Chain {
    /// Top first.
    stages: Vec<Box<dyn Stage>>,
    /// What each of them wants to see.
    interests: Vec<Interest>,
    /// The soonest deadline, until a stage is called again: most messages pass by without that.
    soonest: Cell<Option<Option<Instant>>>,
}

/// What lies at the two ends of a chain.
pub(super) trait Ends {
    fn top(&mut self, event: Event);
    fn bottom(&mut self, command: Command);
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
        self.interests.push(stage.interest());
        self.stages.push(stage);
    }

    /// Whether there are no stages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Whether some stage wants to see what `interest` names.
    #[must_use]
    pub fn wants(&self, interest: Interest) -> bool {
        self.interests.iter().any(|wanted| wanted.meets(interest))
    }

    pub(super) fn start(&mut self, now: Instant, life: Life, ends: &mut impl Ends) {
        for at in 0..self.stages.len() {
            let mut flow = Flow::new(now, life);
            self.stages[at].started(&mut flow);
            self.perform(at, flow, ends);
        }
    }

    /// An event enters at the bottom.
    #[inline]
    pub(super) fn event(&mut self, event: Event, now: Instant, life: Life, ends: &mut impl Ends) {
        self.rise(self.stages.len(), event, now, life, ends);
    }

    /// A command enters at the top.
    #[inline]
    pub(super) fn command(&mut self, command: Command, now: Instant, life: Life, ends: &mut impl Ends) {
        self.sink(0, command, now, life, ends);
    }

    /// The soonest deadline of all.
    pub(super) fn soonest(&self) -> Option<Instant> {
        match self.soonest.get() {
            Some(known) => known,
            None => {
                let soonest = self.stages.iter().filter_map(|stage| stage.deadline()).min();
                self.soonest.set(Some(soonest));
                soonest
            }
        }
    }

    pub(super) fn expire(&mut self, now: Instant, life: Life, ends: &mut impl Ends) {
        for at in 0..self.stages.len() {
            if self.stages[at].deadline().is_some_and(|deadline| deadline <= now) {
                let mut flow = Flow::new(now, life);
                self.stages[at].timeout(&mut flow);
                self.perform(at, flow, ends);
            }
        }
    }

    /// An event rises from below stage `from` to the next one that wants it.
    fn rise(&mut self, from: usize, event: Event, now: Instant, life: Life, ends: &mut impl Ends) {
        let kind = Interest::of_event(&event);
        match (0..from).rev().find(|&at| self.interests[at].meets(kind)) {
            None => ends.top(event),
            Some(at) => {
                let mut flow = Flow::new(now, life);
                self.stages[at].event(event, &mut flow);
                self.perform(at, flow, ends);
            }
        }
    }

    /// A command sinks to stage `from` or the next one below it that wants it.
    fn sink(&mut self, from: usize, command: Command, now: Instant, life: Life, ends: &mut impl Ends) {
        let kind = Interest::of_command(&command);
        match (from..self.stages.len()).find(|&at| self.interests[at].meets(kind)) {
            None => ends.bottom(command),
            Some(at) => {
                let mut flow = Flow::new(now, life);
                self.stages[at].command(command, &mut flow);
                self.perform(at, flow, ends);
            }
        }
    }

    /// Does what stage `at` has said, in its order.
    fn perform(&mut self, at: usize, mut flow: Flow, ends: &mut impl Ends) {
        self.soonest.set(None);
        let (now, life) = (flow.now, flow.life);
        for effect in flow.effects() {
            match effect {
                Effect::Up(event) => self.rise(at, event, now, life, ends),
                Effect::Down(command) => self.sink(at + 1, command, now, life, ends),
            }
        }
    }
}

/// A chain in the place of a stage: its ends are the flow's.
impl Stage for Chain {
    fn started(&mut self, flow: &mut Flow) {
        self.start(flow.now, flow.life, flow);
    }

    fn event(&mut self, event: Event, flow: &mut Flow) {
        Self::event(self, event, flow.now, flow.life, flow);
    }

    fn command(&mut self, command: Command, flow: &mut Flow) {
        Self::command(self, command, flow.now, flow.life, flow);
    }

    fn deadline(&self) -> Option<Instant> {
        self.soonest()
    }

    fn timeout(&mut self, flow: &mut Flow) {
        self.expire(flow.now, flow.life, flow);
    }

    fn interest(&self) -> Interest {
        self.interests.iter().fold(Interest::NONE, |all, one| all.and(*one))
    }

    fn parts(&mut self) -> Option<Vec<Box<dyn Stage>>> {
        self.interests.clear();
        self.soonest.set(None);
        Some(std::mem::take(&mut self.stages))
    }
}

impl Ends for Flow {
    fn top(&mut self, event: Event) {
        self.up(event);
    }

    fn bottom(&mut self, command: Command) {
        self.down(command);
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, stage) in self.stages.iter().enumerate() {
            write!(f, "{}{stage:?}", if at == 0 { "" } else { " → " })?;
        }
        Ok(())
    }
}
