//! The closing handshake (RFC 6455 §7): every state, everything that can happen in it, both roles.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use actix_sockets::stage::{By, Close, Closing, Command, Event, Flow, Life, Outcome, Stage};
use actix_sockets::websocket::{CloseCode, Frame, OpCode, ProtocolError, Role};

use super::probe::Probe;

const WITHIN: Duration = Duration::from_secs(5);

/// All that can happen.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Input {
    OurClose,
    OurCloseFrame,
    OurFailure,
    OurText,
    Close,
    Text,
    BrokenRule,
    End,
    Deadline,
}

const INPUTS: [(Input, &str); 9] = [
    (Input::OurClose, "told `Close` 1000"),
    (Input::OurCloseFrame, "told a Close frame, 1001"),
    (Input::OurFailure, "told `Fail` 1011"),
    (Input::OurText, "told a text"),
    (Input::Close, "read a Close frame, 4000"),
    (Input::Text, "read a text"),
    (Input::BrokenRule, "a rule was broken, 1002"),
    (Input::End, "the transport has ended"),
    (Input::Deadline, "the deadline"),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Open,
    Sent,
    Both,
    Closed,
}

/// How each state is reached.
const STATES: [(State, &[Input]); 4] = [
    (State::Open, &[]),
    (State::Sent, &[Input::OurClose]),
    (State::Both, &[Input::OurClose, Input::Close]),
    (State::Closed, &[Input::OurFailure]),
];

fn give(probe: &mut Probe<Closing>, input: Input) -> Vec<String> {
    match input {
        Input::OurClose => probe.told(Command::Close(Close::default())),
        Input::OurCloseFrame => probe.sends(Frame::close(CloseCode::GOING_AWAY, "")),
        Input::OurFailure => probe.told(Command::Fail(CloseCode::INTERNAL_ERROR, "".into())),
        Input::OurText => probe.sends(Frame::text("x")),
        Input::Close => probe.reads(Frame::close(CloseCode(4000), "")),
        Input::Text => probe.reads(Frame::text("x")),
        Input::BrokenRule => probe.hears(ProtocolError::Unmasked),
        Input::End => probe.hears(Event::Ended),
        Input::Deadline => probe.waits(WITHIN).iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect(),
    }
}

fn reach(role: Role, inputs: &[Input]) -> (Probe<Closing>, Vec<String>) {
    let mut probe = Probe::new(Closing::new(role, WITHIN));
    let mut last = Vec::new();
    for input in inputs {
        last = give(&mut probe, *input);
    }
    (probe, last)
}

/// Which state these inputs lead to, seen from outside.
fn state(role: Role, inputs: &[Input]) -> State {
    if !give(&mut reach(role, inputs).0, Input::OurClose).is_empty() {
        return State::Open;
    }
    let ends = give(&mut reach(role, inputs).0, Input::Deadline);
    match ends.iter().any(|line| line == "↓ Abort") {
        _ if ends.is_empty() => State::Closed,
        true => State::Sent,
        false => State::Both,
    }
}

/// What happens, and where it leads.
fn cell(role: Role, before: &[Input], input: Input) -> String {
    let inputs = [before, &[input]].concat();
    let (down, up): (Vec<_>, Vec<_>) = reach(role, &inputs).1.into_iter().partition(|line| line.starts_with('↓'));
    let said = [down, up].concat().join(", ");
    let (from, to) = (state(role, before), state(role, &inputs));
    match (said.as_str(), from == to) {
        ("", true) => "–".into(),
        ("", false) => format!("→ **{to:?}**"),
        (said, true) => said.into(),
        (said, false) => format!("{said} → **{to:?}**"),
    }
}

/// The whole machine as a table.
fn table() -> String {
    let mut table = String::from("| |");
    for (state, _) in STATES {
        write!(table, " {state:?} |").unwrap();
    }
    table += "\n|---|---|---|---|---|\n";
    for (input, name) in INPUTS {
        write!(table, "| {name} |").unwrap();
        for (state, before) in STATES {
            let client = cell(Role::Client, before, input);
            let server = cell(Role::Server, before, input);
            if client == server || state == State::Both {
                write!(table, " {client} |").unwrap();
            } else {
                write!(table, " server: {server}<br>client: {client} |").unwrap();
            }
        }
        table += "\n";
    }
    table
}

/// The table in the documentation is this code's.
#[test]
fn the_documentation_has_the_whole_table() {
    let page = include_str!("../../docs/architecture.md");
    let table = table();
    assert!(page.contains(&table), "docs/architecture.md should contain this:\n\n{table}");
}

#[test]
fn the_states_are_reached_as_they_say() {
    for (expected, inputs) in STATES {
        assert_eq!(state(Role::Client, inputs), expected);
    }
    assert_eq!(state(Role::Server, &[Input::OurClose, Input::Close]), State::Closed, "the server does not wait for the client's FIN");
}

/// All sequences of five things that may happen, then the end of the transport.
#[test]
fn whatever_happens_there_is_one_closed_one_close_frame_and_one_end() {
    for role in [Role::Server, Role::Client] {
        for number in 0..INPUTS.len().pow(5) {
            let mut probe = Probe::new(Closing::new(role, WITHIN));
            let mut rest = number;
            let (mut closed, mut closes, mut ends) = (0, 0, 0);
            for at in 0..6 {
                let input = if at == 5 { Input::End } else { INPUTS[rest % INPUTS.len()].0 };
                rest /= INPUTS.len();
                for line in give(&mut probe, input) {
                    closed += usize::from(line.starts_with("↑ Closed"));
                    closes += usize::from(line.starts_with("↓ Close "));
                    ends += usize::from(line == "↓ Finish" || line == "↓ Abort");
                }
            }
            assert!(closed == 1 && closes <= 1 && ends == 1, "sequence {number} of a {role:?}: {closed}, {closes}, {ends}");
        }
    }
}

fn closed_by(role: Role, inputs: impl Fn(&mut Probe<Closing>) -> Vec<String>) -> String {
    let mut probe = Probe::new(Closing::new(role, WITHIN));
    let mut said = inputs(&mut probe);
    said.extend(give(&mut probe, Input::End));
    said.iter().find(|line| line.contains("Closed")).unwrap().clone()
}

#[test]
fn the_outcome_is_that_of_the_first_close_frame() {
    use Role::{Client, Server};
    for role in [Server, Client] {
        assert_eq!(closed_by(role, |probe| probe.reads(Frame::close(CloseCode(3000), "bye"))), "↑ Closed 3000 by the peer, clean");
        assert_eq!(closed_by(role, |probe| probe.reads(Frame::new(OpCode::Close, ""))), "↑ Closed 1005 by the peer, clean");
        assert_eq!(closed_by(role, |probe| probe.told(Command::Close(Close::new(CloseCode(3000), "bye")))), "↑ Closed 3000 by us");
        assert_eq!(closed_by(role, |_| Vec::new()), "↑ Closed 1006 by the peer");
        let both = |probe: &mut Probe<Closing>| {
            give(probe, Input::OurClose);
            probe.reads(Frame::close(CloseCode(3000), "me too"))
        };
        assert_eq!(closed_by(role, both), "↑ Closed 1000 by us, clean");
    }
}

#[test]
fn the_reason_is_told() {
    let now = Instant::now();
    let mut flow = Flow::new(now, Life { last_read: now, suspended: false });
    Closing::new(Role::Server, WITHIN).event(Event::Frame(Frame::close(CloseCode(3000), "bye")), &mut flow);
    let (events, _) = flow.take();
    let [Event::Closed(outcome)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*outcome, Outcome { code: CloseCode(3000), reason: "bye".into(), by: By::Peer, clean: true });
}

/// The seed answered 1000 whatever the peer had said (A42).
#[test]
fn the_peers_code_is_echoed_without_its_reason() {
    for code in [1000, 1001, 1011, 3000, 4999] {
        let mut probe = Probe::new(Closing::new(Role::Client, WITHIN));
        assert_eq!(probe.reads(Frame::close(CloseCode(code), "a reason")), [format!("↓ Close {code}")]);
    }
    let mut probe = Probe::new(Closing::new(Role::Client, WITHIN));
    assert_eq!(probe.reads(Frame::new(OpCode::Close, "")), ["↓ Close 1005"], "a frame without a code has none in its echo");
}

/// The seed computed a reason and did not send it (A43).
#[test]
fn our_reason_is_sent() {
    let mut probe = Probe::new(Closing::new(Role::Server, WITHIN));
    assert_eq!(probe.told(Command::Close(Close::new(CloseCode(4001), "no more"))), [r#"↓ Close 4001 "no more""#]);
    let mut probe = Probe::new(Closing::new(Role::Server, WITHIN));
    let long = "é".repeat(100);
    let said = probe.told(Command::Fail(CloseCode::POLICY_VIOLATION, long.into()));
    assert_eq!(said[1], format!("↓ Close 1008 {:?}", "é".repeat(61)), "cut on a character's border");
}

/// A close code that may not be on the wire would leave the handshake begun and nothing sent.
#[test]
fn a_close_frame_that_may_not_be_sent_is_one_with_1011() {
    let bad = [
        Frame::close(CloseCode::ABNORMAL, ""),
        Frame::close(CloseCode(42), "why not"),
        Frame::new(OpCode::Close, "x"),
        Frame::new(OpCode::Close, &b"\x03\xe8\xff"[..]),
        Frame::close(CloseCode::NORMAL, "").more(),
    ];
    for close in bad {
        let mut probe = Probe::new(Closing::new(Role::Server, WITHIN));
        let said = probe.sends(close.clone());
        assert!(said.len() == 1 && said[0].starts_with("↓ Close 1011"), "{close:?}: {said:?}");
        assert!(probe.waits(WITHIN).contains(&"5 ↑ Closed 1011 by us".to_owned()));
    }
    let mut probe = Probe::new(Closing::new(Role::Server, WITHIN));
    assert!(probe.told(Command::Fail(CloseCode::TLS_HANDSHAKE, "".into()))[1].starts_with("↓ Close 1011"));
}

#[test]
fn as_long_as_one_likes() {
    let mut probe = Probe::new(Closing::new(Role::Server, Duration::MAX));
    assert_eq!(give(&mut probe, Input::OurClose), ["↓ Close 1000"]);
    assert_eq!(probe.waits(Duration::from_secs(1 << 30)), [""; 0]);
    assert_eq!(probe.reads(Frame::close(CloseCode(1000), "")), ["↑ Closed 1000 by us, clean", "↓ Finish"]);
}
