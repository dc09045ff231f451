//! What is told to what stands above a connection: by way of the lobby, the fast path or a function, or to the handler at once.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::Context as TaskContext;
use std::time::Instant;

use super::{Above, internal_error};
use crate::actor::buffers;
use crate::actor::clock;
use crate::actor::connection::Parts;
use crate::actor::http_line::HttpLine;
use crate::actor::messages::{Received, TimedOut};
use crate::actor::register::unpanicked;
use crate::actor::responder::Responder;
use crate::actor::stats::count;
use crate::actor::upstream::Parcel;
use crate::hint::seldom;
use crate::http::{Event, HttpError, HttpRequest, RequestNumber};

/// How often a function is called in one turn for what its answers have made room for.
const ROUNDS: usize = 4;

impl Above {
    /// Lets those in whom the guards have nothing against, and sends the answers that have been made.
    pub(in crate::actor) fn let_in(&mut self, line: &Arc<HttpLine>, parts: &mut Parts, now: Instant, cx: &mut TaskContext<'_>) {
        while let Some(lobby) = &mut self.lobby {
            let answers = lobby.turn(line, &mut parts.http, cx);
            let (none, back) = (answers.is_empty(), lobby.given_back());
            if !none {
                // An upgrade may be among them, which is the connection's own business.
                cx.waker().wake_by_ref();
                // There are answers only, which end nothing.
                let _ = self.obey(answers, line, parts, now);
            }
            match back {
                0 if none => return,
                0 => {}
                // Behind the answers: what is answered is not asked for its content.
                _ => parts.http.give_back(back, now),
            }
        }
    }

    /// Calls the function that is the handler, and does what it says, while there is something for it.
    #[inline(never)]
    pub(in crate::actor) fn call(
        &mut self,
        line: &Arc<HttpLine>,
        parts: &mut Parts,
        now: Instant,
        cx: &mut TaskContext<'_>,
    ) -> ControlFlow<()> {
        for _ in 0..ROUNDS {
            self.let_in(line, parts, now, cx);
            if parts.http.events().is_empty() {
                parts.transport.seat().requests(0, parts.http.in_hand());
                return ControlFlow::Continue(());
            }
            // What it says is taken here: nobody need be woken for it.
            line.stay_awake();
            self.deliver(line, parts, now, cx);
            let (commands, signals) = line.take(cx.waker());
            if !signals.is_empty() && self.heed(signals, line, parts, now) {
                return ControlFlow::Break(());
            }
            self.obey(commands, line, parts, now)?;
        }
        // There may be more; the others first.
        cx.waker().wake_by_ref();
        ControlFlow::Continue(())
    }

    /// Answers what the fast path answers, of those who have been let in.
    #[inline(never)]
    fn answer_fast(&mut self, line: &Arc<HttpLine>, parts: &mut Parts, now: Instant, cx: &mut TaskContext<'_>) {
        let mut left = VecDeque::new();
        Event::pool_lend(&mut left);
        while self.fast.is_some() && !parts.http.events().is_empty() {
            let mut answered = 0;
            for event in std::mem::take(parts.http.events()) {
                let answer = match (&self.fast, &event) {
                    (Some(fast), Event::Request { number, request }) => match unpanicked(line, *number, || fast(request)) {
                        Some(answer) => answer,
                        None => {
                            answered += 1;
                            self.panicked(*number, &mut parts.http, now);
                            continue;
                        }
                    },
                    _ => None,
                };
                match (event, answer) {
                    (Event::Request { number, .. }, Some(response)) => {
                        answered += 1;
                        buffers::lend_write_buffer(parts.http.output());
                        if let Err(error) = parts.http.respond(number, response, &clock::http_date(now), now) {
                            tracing::error!(connection = %line.id, request = %number, %error, "what the fast path answers is no answer");
                            let _ = parts.http.respond(number, internal_error(), &clock::http_date(now), now);
                        }
                    }
                    (event, _) => left.push_back(event),
                }
            }
            parts.transport.seat().requests(answered, parts.http.in_hand());
            // The answers have made room for others.
            self.let_in(line, parts, now, cx);
        }
        Event::pool_put(std::mem::replace(parts.http.events(), left));
    }

    /// Hands over what the handler hears. Tells whether there was something for it.
    #[inline]
    pub(in crate::actor) fn deliver(&mut self, line: &Arc<HttpLine>, parts: &mut Parts, now: Instant, cx: &mut TaskContext<'_>) -> bool {
        if seldom(self.fast.is_some()) {
            self.answer_fast(line, parts, now, cx);
        }
        if parts.http.events().is_empty() {
            parts.transport.seat().requests(0, parts.http.in_hand());
            return false;
        }
        self.hand_over(line, parts)
    }

    #[inline(never)]
    fn hand_over(&mut self, line: &Arc<HttpLine>, parts: &mut Parts) -> bool {
        let Some((requests, heard)) = self.sift(line, parts) else { return false };
        if heard && let Some(upstream) = &mut self.upstream {
            upstream.deliver(parts.http.events());
        }
        parts.http.events().clear();
        parts.transport.seat().requests(requests, parts.http.in_hand());
        heard
    }

    /// As [`deliver`](Self::deliver), to the handler's own feeder, whose turn it is.
    pub(in crate::actor) fn deliver_into(&mut self, queue: &mut VecDeque<Event>, line: &Arc<HttpLine>, parts: &mut Parts) {
        if let Some((requests, heard)) = self.sift(line, parts) {
            if heard {
                std::mem::swap(queue, parts.http.events());
            }
            parts.http.events().clear();
            parts.transport.seat().requests(requests, parts.http.in_hand());
        }
    }

    /// Looks through what is to be delivered: how many requests, and whether the handler hears anything. `None` if there is no handler.
    #[inline(always)]
    fn sift(&mut self, line: &Arc<HttpLine>, parts: &mut Parts) -> Option<(usize, bool)> {
        if seldom(self.upstream.is_none()) {
            // The handler is gone. Left where they are they would have the connection look for who answers them again and again.
            Event::unheard(std::mem::take(parts.http.events()), line);
            return None;
        }
        let events = parts.http.events();
        let (mut requests, mut others) = (0, false);
        for event in &mut *events {
            match event {
                Event::Request { .. } => requests += 1,
                Event::RequestStart { .. } => (requests, others) = (requests + 1, true),
                Event::Chunk { .. } | Event::ContentEnd { .. } | Event::ContentAborted { .. } => others = true,
                Event::TimedOut { number, request } => {
                    count(&parts.transport.seat().counters().request_timeouts);
                    self.tell_timeout(*number, request, line);
                    others |= request.is_some();
                }
                Event::Ended(_) => others = true,
                Event::Failed(error) => failed(line, *error),
            }
        }
        Some((requests, requests > 0 || others))
    }

    /// Tells whoever else is to hear of it, if anybody; otherwise the request is left to the handler.
    #[cold]
    fn tell_timeout(&self, number: RequestNumber, request: &mut Option<Box<HttpRequest>>, line: &Arc<HttpLine>) {
        tracing::warn!(connection = %line.id, request = %number, "a request is not answered in time");
        if let Some(recipient) = &self.timeouts
            && let Some(request) = request.take()
        {
            let (message, sender) = (TimedOut { request: *request }, Responder::second(line.clone(), number));
            recipient.do_send(Received { message, sender });
        }
    }
}

#[cold]
fn failed(line: &HttpLine, error: HttpError) {
    tracing::debug!(connection = %line.id, %error, "the connection failed");
}
