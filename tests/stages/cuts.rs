//! The same bytes, however they are cut: the same events, the same answers.

use std::time::Duration;

use actix_sockets::stage::{AutoPing, AutoPong, Command, Event, Flow, Stage};
use actix_sockets::websocket::Role;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::wire::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, Wire};

/// Echoes messages, and lets the handler hear them too.
#[derive(Debug)]
struct Echo;

impl Stage for Echo {
    fn event(&mut self, event: Event, flow: &mut Flow<'_>) {
        if let Event::Frame(frame) = &event
            && frame.opcode.is_data()
        {
            flow.down(Command::Frame(frame.clone()));
        }
        flow.up(event);
    }
}

/// What was heard, what was written, how far it got.
type Outcome = (Vec<String>, Vec<u8>, String);

fn run(role: Role, reads: &[&[u8]]) -> Outcome {
    let mut wire = Wire::with(role, Echo.then(AutoPing::every(Duration::from_secs(20))).and(AutoPong));
    let mut heard = Vec::new();
    for read in reads {
        heard.extend(wire.reads(read));
    }
    heard.extend(wire.settles());
    let written = wire.bytes();
    (heard, written, format!("{:?}", wire.pipeline.phase()))
}

fn stories(role: Role) -> Vec<Vec<u8>> {
    let wire = Wire::new(role);
    let frame = |first, payload: &str| wire.peers(first, payload);
    let hello = [frame(FIN | TEXT, "Hello"), frame(FIN | PING, "ping"), frame(FIN | BINARY, &"x".repeat(300))].concat();
    let fragments =
        [frame(TEXT, "Grü"), frame(FIN | PING, "?"), frame(CONTINUATION, "ß"), frame(FIN | PONG, "!"), frame(FIN | CONTINUATION, "e")]
            .concat();
    let close = frame(FIN | CLOSE, "\u{3}\u{fffd}");
    let normal = wire.peers(FIN | CLOSE, b"\x03\xe8bye");
    let wrong = if role == Role::Server { Wire::new(Role::Client) } else { Wire::new(Role::Server) }.peers(FIN | TEXT, "wrong mask");
    vec![
        [&hello[..], &fragments].concat(),
        [&hello[..], &normal, &hello].concat(),
        [&fragments[..], &close, &hello].concat(),
        [&hello[..], &wrong, &hello].concat(),
        [&frame(TEXT, "a")[..], &frame(FIN | TEXT, "b"), &hello].concat(),
        [&hello[..], &wire.peers(FIN | TEXT, b"\xff\xfe"), &hello].concat(),
        [&hello[..], &frame(0x40 | FIN | TEXT, "bits")].concat(),
        [&hello[..], &frame(FIN | PING, &"p".repeat(126))].concat(),
        [&fragments[..], &frame(TEXT, "never ends")].concat(),
    ]
}

#[test]
fn whole_byte_by_byte_and_at_random() {
    let mut random = StdRng::seed_from_u64(6455);
    for role in [Role::Server, Role::Client] {
        for (number, story) in stories(role).iter().enumerate() {
            let whole = run(role, &[story]);
            assert!(!whole.0.is_empty());
            let bytes: Vec<&[u8]> = story.chunks(1).collect();
            assert_eq!(run(role, &bytes), whole, "story {number} of a {role:?}, byte by byte");
            for cut in 0..=story.len() {
                assert_eq!(run(role, &[&story[..cut], &story[cut..]]), whole, "story {number} of a {role:?}, cut at {cut}");
            }
            for _ in 0..50 {
                let (mut reads, mut rest) = (Vec::new(), &story[..]);
                while !rest.is_empty() {
                    let (read, more) = rest.split_at(random.random_range(1..=rest.len().min(40)));
                    reads.push(read);
                    rest = more;
                }
                assert_eq!(run(role, &reads), whole, "story {number} of a {role:?}, in {} reads", reads.len());
            }
        }
    }
}
