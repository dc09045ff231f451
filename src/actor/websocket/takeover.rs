//! The first moment of a websocket: what an upgrade hands over, and what is made of it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;

use super::{LOOK, WebSocket};
use crate::actor::budget::Share;
use crate::actor::clock;
use crate::actor::delivery::Delivery;
use crate::actor::line::{Ack, Line};
use crate::actor::timer::Timer;
use crate::actor::transport::Transport;
use crate::actor::upgrade::Handled;
use crate::output::Output;
use crate::stage::{Interest, Masks, Pipeline};
use crate::websocket::Role;

/// What an upgrade hands over.
pub(crate) struct Takeover {
    pub(crate) transport: Transport,
    pub(crate) role: Role,
    pub(crate) handled: Handled,
    pub(crate) unsent: Output,
    pub(crate) unread: BytesMut,
    /// Who waits for what of it to have been written: see [`WebSocket::acks`].
    pub(crate) acks: VecDeque<(u64, Ack)>,
    /// What the handler hears before all else.
    pub(crate) first: VecDeque<Delivery>,
}

impl WebSocket {
    /// Starts it on this arbiter.
    pub(crate) fn take_over(takeover: Takeover) {
        let Takeover { transport, role, handled, unsent, unread, acks, first } = takeover;
        let Handled { settings, chain, mut upstream, masks, observers } = handled;
        let now = clock::now();
        let line = Line::new(transport.seat().id(), settings.unsent(), transport.write_half().clone());
        let keys: Masks = match (role, masks) {
            (Role::Server, _) => Box::new(|| [0; 4]),
            (Role::Client, Some(masks)) => masks,
            (Role::Client, None) => Box::new(rand::random),
        };
        let mut pipeline = Pipeline::new(settings.codec(role), keys, chain, now)
            .message_within(settings.message_within)
            .pongs_within(settings.soft)
            .stall_within(settings.write_stall)
            .output_rate(settings.output_rate)
            .linger(settings.closing);
        pipeline.take_over(unsent);
        if !planted!(SeatNotMoved) {
            transport.seat().take(&line);
        }
        let share = Share::new(Arc::<Line>::downgrade(&line), transport.seat().whose());
        transport.seat().upgrades();
        let mut look = None;
        if let Some(upstream) = &mut upstream {
            upstream.attach(&line);
            look = upstream.must_be_asked().then(|| now + LOOK);
        }
        let mut websocket = Self {
            transport,
            line,
            upstream,
            observers,
            role,
            answers: pipeline.wants(Interest::MESSAGES_IN),
            soft: settings.soft,
            pipeline,
            window: settings.window,
            partial: unread.into(),
            expected: 0,
            waited: 0,
            acks,
            flooded: false,
            calm: false,
            behind: 0,
            share,
            timer: Timer::default(),
            late: None,
            look,
            messages: 0,
            sent: 0,
        };
        // Before anybody can speak: what waits already is to be written first.
        websocket.line.report(websocket.pipeline.output().len(), true, websocket.pipeline.life());
        websocket.line.set_direct(websocket.is_direct());
        websocket.deliver(first);
        // What came behind the handshake is the first that is read.
        if !websocket.partial.is_empty() {
            let mut unread = std::mem::take(&mut websocket.partial);
            websocket.receive(&mut unread, now);
            websocket.keep(&unread);
        }
        websocket.tell();
        drop(actix_rt::spawn(websocket));
    }
}
