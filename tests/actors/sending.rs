//! What `send`, `try_send` and `do_send` promise.

use std::time::Duration;

use actix_sockets::{Close, Frame, SendError, SendStatus};

use crate::peer::{binary, close, text};
use crate::site::{Kind, Site, with, with_each_handler};

const LARGE: usize = 32 << 20;

#[test]
fn send_is_answered_when_it_is_written() {
    with_each_handler(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        let socket = site.upgraded();
        assert_eq!(Site::wait(socket.send(Frame::text("one"))), Ok(SendStatus::Sent));
        peer.hears(text("one"));
        // Not before: more than the kernel takes, and the peer does not read.
        let mut sending = Box::pin(socket.send(Frame::binary(vec![1; LARGE])));
        let early = Site::wait(async { tokio::time::timeout(Duration::from_millis(200), &mut sending).await });
        assert!(early.is_err(), "{early:?} though nobody reads");
        assert!(socket.buffered_amount() > 0);
        peer.hears(binary(vec![1; LARGE]));
        assert_eq!(Site::wait(sending), Ok(SendStatus::Sent));
    });
}

#[test]
fn send_fails_when_the_connection_ends_first() {
    with_each_handler(|plan| {
        let site = plan.up();
        let peer = site.peer();
        let socket = site.upgraded();
        let sending = socket.send(Frame::binary(vec![1; LARGE]));
        peer.resets();
        assert_eq!(Site::wait(sending), Err(SendError::Closed));
        site.closed();
    });
}

#[test]
fn nothing_can_be_sent_to_a_closed_websocket() {
    with_each_handler(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        let socket = site.upgraded();
        peer.says(close(1000, "")).hears(close(1000, ""));
        peer.hears_fin();
        drop(peer);
        site.closed();
        let until = std::time::Instant::now() + crate::peer::PATIENCE;
        while socket.connected() {
            assert!(std::time::Instant::now() < until, "it stays connected");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(socket.try_send(Frame::text("late")), Err(SendError::Closed));
        assert_eq!(Site::wait(socket.send(Frame::text("late"))), Err(SendError::Closed));
        assert_eq!(Site::wait(socket.send(Close::default())), Err(SendError::Closed));
        socket.do_send(Frame::text("late"));
        assert_eq!(socket.buffered_amount(), 0);
    });
}

/// A frame behind our own Close is not written, and its sender is told so.
#[test]
fn send_behind_a_close_fails() {
    with_each_handler(|plan| {
        let site = plan.up();
        let mut peer = site.peer();
        let socket = site.upgraded();
        assert_eq!(Site::wait(socket.send(Close::default())), Ok(SendStatus::Sent));
        assert_eq!(Site::wait(socket.send(Frame::text("behind"))), Err(SendError::Closed));
        peer.hears(close(1000, "")).says(close(1000, ""));
        peer.hears_fin();
    });
}

/// Corking. A reader that runs alongside would find the frames of separate writes in many reads.
#[test]
fn what_is_sent_in_one_turn_leaves_together() {
    for kind in [Kind::Fed, Kind::Made, Kind::Shared] {
        with(kind, |plan| {
            let site = plan
                .on_frame(|received, _| {
                    for n in 0..1000 {
                        received.sender.do_send(Frame::text(format!("{n:03}")));
                    }
                })
                .up();
            let mut peer = site.peer();
            peer.reads = 0;
            peer.says(text("go"));
            for n in 0..1000 {
                peer.hears(text(format!("{n:03}")));
            }
            assert!(peer.reads <= 3, "1000 frames came in {} reads", peer.reads);
        });
    }
}

/// A socket is a name: equal to its clones, different from other connections', the same from Upgraded to Closed.
#[test]
fn a_socket_is_a_name() {
    with(Kind::Shared, |plan| {
        let site = plan.up();
        let (mut one, _other) = (site.peer(), site.peer());
        let (first, second) = (site.upgraded(), site.upgraded());
        assert_eq!(first, first.clone());
        assert_ne!(first, second);
        one.says(close(1000, ""));
        let closed = site.closed();
        assert!([first.id(), second.id()].contains(&closed.id));
        #[expect(clippy::mutable_key_type, reason = "its hash is its id, which does not change")]
        let set: std::collections::HashSet<_> = [first.clone(), first, second].into();
        assert_eq!(set.len(), 2);
    });
}
