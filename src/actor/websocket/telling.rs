//! Telling: the pipeline's events, to the handler and to those who look on.

use std::collections::VecDeque;

use super::WebSocket;
use crate::actor::buffers;
use crate::actor::delivery::{Delivery, deliveries};
use crate::actor::large;
use crate::actor::line::Line;
use crate::stage::Outcome;

impl WebSocket {
    /// Hands the pipeline's events to the handler.
    #[inline]
    pub(super) fn tell(&mut self) {
        if self.pipeline.has_events() {
            self.waited = 0;
            let mut events = VecDeque::new();
            self.pipeline.swap_events(&mut events);
            if self.pipeline.has_ended() {
                self.log_end(&events);
            }
            self.deliver(events);
        }
    }

    /// What has ended it, said once: a limit, a rule, the peer, the handler.
    pub(super) fn log_end(&self, events: &VecDeque<Delivery>) {
        if let Some(Delivery::Closed(Outcome { code, reason, by, clean })) = events.back() {
            tracing::debug!(socket = %self.line.id(), %code, %reason, ?by, clean, "the websocket is closed");
        }
    }

    /// A websocket at rest has no memory for events.
    #[inline]
    pub(super) fn rest(&mut self) {
        if self.upstream.is_some() {
            let mut events = VecDeque::new();
            self.pipeline.swap_events(&mut events);
            deliveries::put(events);
        }
    }

    pub(super) fn deliver(&mut self, mut deliveries: VecDeque<Delivery>) {
        self.share.told();
        if !self.observers.is_empty() {
            deliveries.iter().for_each(|delivery| self.observers.notice(delivery, &self.line));
        }
        if let Some(Delivery::Closed(outcome)) = deliveries.back() {
            self.transport.seat().counters().closed(outcome.code);
        }
        if let Some(upstream) = &mut self.upstream {
            let mut worth = 0;
            for delivery in &mut deliveries {
                match delivery {
                    Delivery::Frame(frame) => {
                        buffers::detach(&mut frame.data);
                        worth += Line::worth(frame.data.len());
                        self.messages += 1;
                    }
                    other => worth += other.worth(),
                }
            }
            self.line.hand_out(worth);
            large::told(worth);
            upstream.deliver(&mut deliveries);
        }
        deliveries::put(deliveries);
    }
}
