//! Composition: order, interest, flatness.

use std::time::{Duration, Instant};

use actix_sockets::stage::{AutoPing, AutoPong, Chain, Closing, Command, Consolidation, Event, Flow, Interest, Stage};
use actix_sockets::websocket::{Frame, Role};

use super::probe::Probe;

/// Signs every text that passes, on its way up and down.
#[derive(Debug)]
struct Sign(&'static str);

impl Stage for Sign {
    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        match event {
            Event::Frame(frame) if frame.as_text().is_some() => flow.up(Event::Frame(self.signed(&frame))),
            other => flow.up(other),
        }
    }

    fn command(&mut self, command: Command, flow: &mut Flow<'_>) {
        match command {
            Command::Frame(frame) if frame.as_text().is_some() => flow.down(Command::Frame(self.signed(&frame))),
            other => flow.down(other),
        }
    }
}

impl Sign {
    fn signed(&self, frame: &Frame) -> Frame {
        Frame::text(format!("{}{}", frame.as_text().unwrap(), self.0))
    }
}

/// Counts what it is called for; wants to see what it is told.
#[derive(Debug)]
struct Wants(Interest);

impl Stage for Wants {
    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        flow.up(Event::RoundTripTime(Duration::ZERO));
        flow.up(event);
    }

    fn command(&mut self, command: Command, flow: &mut Flow<'_>) {
        flow.down(Command::Frame(Frame::pong("seen")));
        flow.down(command);
    }

    fn interest(&self) -> Interest {
        self.0
    }
}

#[test]
fn a_chain_prints_flat_and_from_the_handler_down() {
    let chain = AutoPing::every(Duration::from_secs(30)).then(AutoPong);
    assert_eq!(format!("{chain:?}"), "AutoPing(30s) → AutoPong");
    let whole = Sign("!").then(chain).and(Closing::new(Role::Server, Duration::from_secs(5)));
    assert_eq!(format!("{whole:?}"), r#"Sign("!") → AutoPing(30s) → AutoPong → Closing(5s)"#);
    let nested = Chain::of(Chain::of(Sign("a")).and(Chain::new())).and(Sign("b").then(Sign("c").then(Sign("d"))));
    assert_eq!(format!("{nested:?}"), r#"Sign("a") → Sign("b") → Sign("c") → Sign("d")"#);
    assert_eq!(format!("{:?}", Chain::new()), "");
}

#[test]
fn commands_go_down_and_events_go_up() {
    let mut probe = Probe::new(Sign("1").then(Sign("2")).and(Sign("3")));
    assert_eq!(probe.sends(Frame::text("")), [r#"↓ Text "123""#]);
    assert_eq!(probe.reads(Frame::text("")), [r#"↑ Text "321""#]);
}

#[test]
fn an_empty_chain_lets_all_pass() {
    let mut probe = Probe::new(Chain::new());
    assert!(probe.stage.is_empty());
    assert_eq!(probe.sends(Frame::text("down")), [r#"↓ Text "down""#]);
    assert_eq!(probe.reads(Frame::text("up")), [r#"↑ Text "up""#]);
    assert_eq!(probe.stage.interest(), Interest::NONE);
    assert_eq!(probe.stage.deadline(), None);
}

/// What a stage sends down meets the stages below it, and no other: the seed's `AutoPong` wrote past them.
#[test]
fn what_a_stage_says_meets_the_stages_on_its_way_and_no_other() {
    let mut probe = Probe::new(Wants(Interest::CONTROL_OUT).then(AutoPong).and(Wants(Interest::CONTROL_OUT)));
    assert_eq!(probe.reads(Frame::ping("x")), [r#"↓ Pong "seen""#, r#"↓ Pong "x""#]);
}

#[test]
fn a_stage_sees_what_it_names_and_nothing_else() {
    let all = [
        (Interest::MESSAGES_IN, Event::Frame(Frame::text("x"))),
        (Interest::FRAGMENTS_IN, Event::Frame(Frame::text("x").more())),
        (Interest::FRAGMENTS_IN, Event::Frame(Frame::continuation("x"))),
        (Interest::CONTROL_IN, Event::Frame(Frame::ping("x"))),
        (Interest::SIGNALS_IN, Event::RoundTripTime(Duration::ZERO)),
        (Interest::SIGNALS_IN, Event::Ended),
    ];
    let sets = [Interest::NONE, Interest::ALL, Interest::MESSAGES_IN, Interest::FRAGMENTS_IN, Interest::CONTROL_IN, Interest::SIGNALS_IN];
    for interest in sets {
        for (kind, event) in all.clone() {
            let seen = Probe::new(Chain::of(Wants(interest))).hears(event.clone()).len() == 2;
            assert_eq!(seen, interest.meets(kind), "{interest:?} and {event:?}");
        }
    }
    let all = [
        (Interest::DATA_OUT, Command::Frame(Frame::text("x"))),
        (Interest::DATA_OUT, Command::Frame(Frame::continuation("x").more())),
        (Interest::CONTROL_OUT, Command::Frame(Frame::ping("x"))),
        (Interest::SIGNALS_OUT, Command::Abort),
    ];
    for interest in [Interest::NONE, Interest::ALL, Interest::DATA_OUT, Interest::CONTROL_OUT, Interest::SIGNALS_OUT] {
        for (kind, command) in all.clone() {
            let seen = Probe::new(Chain::of(Wants(interest))).told(command.clone()).len() == 2;
            assert_eq!(seen, interest.meets(kind), "{interest:?} and {command:?}");
        }
    }
}

#[test]
fn the_interest_of_a_chain_is_that_of_its_stages_together() {
    let chain = AutoPong.then(Consolidation::new(1));
    assert_eq!(chain.interest(), Interest::CONTROL_IN.and(Interest::FRAGMENTS_IN));
    assert!(chain.wants(Interest::CONTROL_IN) && !chain.wants(Interest::MESSAGES_IN) && !chain.wants(Interest::DATA_OUT));
}

#[test]
fn a_chain_has_the_soonest_deadline_and_each_stage_its_own() {
    let seconds = Duration::from_secs;
    let pings = |every: u64, name: &'static str| AutoPing::every(seconds(every)).within(Duration::MAX).body(move || name.into());
    let mut probe = Probe::new(pings(3, "slow").then(pings(2, "quick")));
    let expected = [
        r#"2 ↓ Ping "quick""#,
        r#"3 ↓ Ping "slow""#,
        r#"4 ↓ Ping "quick""#,
        r#"6 ↓ Ping "slow""#, // both are due: the upper one first
        r#"6 ↓ Ping "quick""#,
    ];
    assert_eq!(probe.waits(seconds(6)), expected);
    assert!(probe.stage.deadline() > Some(Instant::now()));
}

/// The lower of two sees the pings of the upper one pass, and both measure.
#[test]
fn a_pong_is_measured_by_every_stage_that_saw_the_ping() {
    let seconds = Duration::from_secs;
    let mut probe = Probe::new(AutoPing::every(seconds(1)).body(|| "x".into()).then(AutoPing::every(Duration::MAX)));
    probe.waits(seconds(1));
    assert_eq!(probe.reads(Frame::pong("x")), ["↑ round trip 0ns", "↑ round trip 0ns", r#"↑ Pong "x""#]);
}
