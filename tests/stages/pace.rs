//! How fast a peer must take what waits for it: a minimum rate, behind a grace.

use std::time::Duration;

use actix_sockets::stage::Phase;
use actix_sockets::websocket::{Frame, Role};

use super::wire::Wire;

const SECOND: Duration = Duration::from_secs(1);

/// A websocket with a message of 1 MiB that waits to be written.
fn waiting(rate: u32) -> Wire {
    let mut server = Wire::new(Role::Server);
    server.adjust(|pipeline| pipeline.output_rate(rate));
    server.sends(Frame::binary(vec![0; 1 << 20]));
    server
}

/// The stream takes so many bytes.
fn takes(server: &mut Wire, bytes: usize) {
    server.pipeline.output().advance(bytes);
    server.pipeline.wrote(true, server.now);
}

/// T12: a byte now and then is progress, and yet no reader.
#[test]
fn t12_output_must_leave_at_a_rate() {
    let ends = |bytes: usize, every: u32, rate: u32| {
        let mut server = waiting(rate);
        for after in (every..=600).step_by(every as usize) {
            takes(&mut server, bytes);
            let heard = server.waits(every * SECOND);
            if !heard.is_empty() {
                assert_eq!((heard.concat().as_str(), server.pipeline.phase()), ("Closed 1008 by us", Phase::Done));
                return Some(after);
            }
        }
        None
    };
    for (bytes, every, rate, ended) in [
        (1, 1, 240, Some(31)),
        (120, 1, 240, Some(59)),
        (240, 1, 240, None),
        (1, 29, 240, Some(58)),
        (7000, 29, 240, None),
        (1, 1, 0, None),
    ] {
        println!("t12: limit {rate} B/s behind 30 s; {bytes} bytes every {every} s: ended in the turn that ended after {ended:?} s");
        assert_eq!(ends(bytes, every, rate), ended, "{bytes} bytes every {every} s");
    }
}

#[test]
fn what_has_left_is_not_slow_and_a_new_wait_has_its_grace() {
    let mut server = waiting(240);
    takes(&mut server, 1);
    assert_eq!(server.waits(29 * SECOND).len(), 0);
    server.bytes();
    assert_eq!(server.pipeline.deadline(), None);
    server.sends(Frame::text("waits"));
    takes(&mut server, 1);
    assert_eq!(server.pipeline.deadline(), Some(server.now + 30 * SECOND));
}

/// We have slept beyond the time: what is taken now buys time from now on.
#[test]
fn we_may_be_late() {
    let mut server = waiting(240);
    takes(&mut server, 1);
    server.now += 100 * SECOND;
    takes(&mut server, 480);
    assert_eq!(server.pipeline.deadline(), Some(server.now + 2 * SECOND));
    assert_eq!(server.waits(2 * SECOND), ["Closed 1008 by us"]);
}

/// Of a record of TLS every byte counts as it leaves, though none of it is forgotten before all have; and it counts once.
#[test]
fn a_record_that_leaves_slowly_is_counted_by_its_bytes() {
    let mut server = waiting(240);
    takes(&mut server, 1);
    for second in 1..=200 {
        server.pipeline.output().take_ahead(240);
        if second == 100 {
            // What is around it is not output.
            server.pipeline.output().advance(23_900);
        }
        assert!(server.pipeline.output().taken() <= 1 + 240 * second);
        server.pipeline.wrote(true, server.now);
        assert_eq!(server.waits(SECOND).len(), 0, "after {second} s");
    }
    assert_eq!(server.pipeline.output().taken(), 1 + 240 * 200);
    assert_eq!(server.waits(30 * SECOND), ["Closed 1008 by us"]);
}
