//! Where the requests of one connection wait until they are let in, and answers until they are made.
//!
//! Here futures are polled that are the user's, in the connection's own turn: so whatever ends the connection ends them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use ::http::Extensions;

use super::guard::{Guard, Judging, unavailable};
use super::http_line::{HttpCommand, HttpLine};
use super::responder::Answer;
use crate::http::{Event, HttpRequest, RequestNumber, Server};

/// An answer that is being made.
pub(crate) struct Later {
    pub(super) answer: Pin<Box<dyn Future<Output = Made> + Send>>,
    /// It is a guard that it waits for: at the end of the listener it is not waited for any more.
    pub(super) guarded: bool,
}

/// An answer, and what is to be known of the request if it is an upgrade.
pub(crate) struct Made {
    pub(super) answer: Answer,
    pub(super) found: Option<Extensions>,
}

/// Which request is judged, and what else there is to be told of its beginning: how long its content will be, and what asking for that is worth. `None` if
/// it has come whole.
#[derive(Clone, Copy)]
struct Asked {
    number: RequestNumber,
    content: Option<(Option<u64>, usize)>,
}

impl Asked {
    fn worth(self) -> usize {
        self.content.map_or(0, |(_, worth)| worth)
    }
}

/// The lobby of one connection. There is none where nothing has to wait.
#[derive(Default)]
pub(super) struct Lobby {
    guards: Arc<[Guard]>,
    /// Those that come behind the request that is being judged, in order.
    waiting: VecDeque<Event>,
    judging: Option<(Asked, Judging)>,
    /// The latest request that has been judged, or is being: numbers come in order, and each once.
    judged: Option<RequestNumber>,
    /// What goes on to the handler.
    passed: VecDeque<Event>,
    /// Never more than there are requests in hand.
    later: Vec<(RequestNumber, Later)>,
    /// What events were worth that nobody will hear.
    back: usize,
    /// No guard is waited for any more.
    shut: bool,
}

impl Lobby {
    /// One in which these guards stand.
    pub(super) fn new(guards: Arc<[Guard]>) -> Self {
        Self { guards, ..Self::default() }
    }

    /// An answer that is being made.
    pub(super) fn add(&mut self, number: RequestNumber, later: Later) {
        self.later.push((number, later));
    }

    /// The listener ends: who has come may be let in at once, and otherwise stays out.
    pub(super) fn shut(&mut self) {
        self.shut = true;
    }

    /// Takes what has come, and gives the answers that are to be sent. To be called again until there are none; then what has passed is where it
    /// was taken from.
    pub(super) fn turn(&mut self, line: &Arc<HttpLine>, http: &mut Server, cx: &mut TaskContext<'_>) -> VecDeque<HttpCommand> {
        let mut answers = VecDeque::new();
        self.take_in(line, http, &mut answers);
        self.let_go(http, &mut answers);
        self.judge(line, http, cx, &mut answers);
        self.make(line, http, cx, &mut answers);
        if answers.is_empty() && http.events().is_empty() {
            std::mem::swap(http.events(), &mut self.passed);
        }
        answers
    }

    /// What events were worth that nobody will hear.
    pub(super) fn given_back(&mut self) -> usize {
        std::mem::take(&mut self.back)
    }

    fn take_in(&mut self, line: &HttpLine, http: &mut Server, answers: &mut VecDeque<HttpCommand>) {
        for event in http.events().drain(..) {
            match event {
                Event::TimedOut { number, .. } if self.lets_wait(number) => {
                    tracing::warn!(connection = %line.id, request = %number, "a guard has not decided in time: the request is refused");
                    self.refuse(number, answers);
                }
                event if self.is_in(&event) => self.passed.push_back(event),
                event => self.waiting.push_back(event),
            }
        }
    }

    /// Whether the handler may hear this now: it is of no request, or of one that has been let in. What was let in and has not been taken yet
    /// comes by again.
    pub(super) fn is_in(&self, event: &Event) -> bool {
        let Some(number) = event.number() else { return true };
        let judging = self.judging.as_ref().is_some_and(|(asked, _)| asked.number == number);
        self.guards.is_empty() || (self.judged >= Some(number) && !judging)
    }

    /// Lets go of those for whom it is too late.
    fn let_go(&mut self, http: &Server, answers: &mut VecDeque<HttpCommand>) {
        let hung_up = |number| http.has_received_eof() && http.upgrade_request(number).is_some();
        let pondered = |number| self.shut && self.pondered().any(|pondered| pondered == number);
        let numbers: Vec<_> = self.numbers().filter(|number| pondered(*number) || hung_up(*number)).collect();
        for number in numbers {
            self.refuse(number, answers);
        }
        // The connection has answered by itself.
        self.later.retain(|(number, _)| http.is_awaited(*number));
        if let Some((asked, _)) = self.judging.take_if(|(asked, _)| !http.is_awaited(asked.number)) {
            self.back += asked.worth();
        }
        let mut back = 0;
        self.waiting.retain(|event| {
            let awaited = event.begins().is_none_or(|number| http.is_awaited(number));
            back += if awaited { 0 } else { event.worth() };
            awaited
        });
        self.back += back;
    }

    /// Those that wait for a guard.
    fn numbers(&self) -> impl Iterator<Item = RequestNumber> {
        self.waiting.iter().filter(|_| !self.guards.is_empty()).filter_map(Event::begins).chain(self.pondered())
    }

    /// Those that a guard has been asked about and has not decided.
    fn pondered(&self) -> impl Iterator<Item = RequestNumber> {
        let later = self.later.iter().filter(|(_, later)| later.guarded).map(|(number, _)| *number);
        self.judging.iter().map(|(asked, _)| asked.number).chain(later)
    }

    fn lets_wait(&self, number: RequestNumber) -> bool {
        self.numbers().any(|waits| waits == number)
    }

    fn refuse(&mut self, number: RequestNumber, answers: &mut VecDeque<HttpCommand>) {
        self.forget(number);
        if let Some((asked, _)) = self.judging.take_if(|(asked, _)| asked.number == number) {
            self.back += asked.worth();
        }
        self.later.retain(|(made, _)| *made != number);
        answers.push_back(HttpCommand::Respond(number, unavailable(), None));
    }

    /// Of a request that was refused nothing is told, nor what becomes of its content.
    fn forget(&mut self, refused: RequestNumber) {
        let mut back = 0;
        self.waiting.retain(|event| {
            let stays = event.number() != Some(refused);
            back += if stays { 0 } else { event.worth() };
            stays
        });
        self.back += back;
    }

    /// Judges one request after the other, as long as that can be done now.
    fn judge(&mut self, line: &Arc<HttpLine>, http: &mut Server, cx: &mut TaskContext<'_>, answers: &mut VecDeque<HttpCommand>) {
        loop {
            if let Some((asked, judging)) = &mut self.judging {
                let asked = *asked;
                let Poll::Ready(judged) = Pin::new(judging).poll(cx) else {
                    if !self.shut {
                        return;
                    }
                    // What was in hand when the listener ended is asked about, and not waited for.
                    self.refuse(asked.number, answers);
                    continue;
                };
                let Asked { number, content } = asked;
                self.judging = None;
                match judged {
                    Ok(request) => {
                        if let Some(upgrade) = http.upgrade_request_mut(number) {
                            upgrade.extensions.clone_from(&request.extensions);
                        }
                        self.passed.push_back(match content {
                            Some((length, worth)) => Event::RequestStart { number, request, length, worth },
                            None => Event::Request { number, request },
                        });
                    }
                    Err(response) => {
                        self.back += asked.worth();
                        self.forget(number);
                        tracing::debug!(connection = %line.id, request = %number, status = %response.status, "refused by a guard");
                        answers.push_back(HttpCommand::Respond(number, *response, None));
                    }
                }
            }
            match self.waiting.pop_front() {
                None => return,
                Some(Event::Request { number, request }) if !self.guards.is_empty() => {
                    self.ask(line, request, Asked { number, content: None });
                }
                Some(Event::RequestStart { number, request, length, worth }) if !self.guards.is_empty() => {
                    self.ask(line, request, Asked { number, content: Some((length, worth)) });
                }
                Some(event) => self.passed.push_back(event),
            }
        }
    }

    fn ask(&mut self, line: &HttpLine, request: HttpRequest, asked: Asked) {
        self.judged = Some(asked.number);
        self.judging = Some((asked, Judging::new(self.guards.clone(), line.asking(request))));
    }

    /// Sees which answers have been made.
    fn make(&mut self, line: &HttpLine, http: &mut Server, cx: &mut TaskContext<'_>, answers: &mut VecDeque<HttpCommand>) {
        self.later.retain_mut(|(number, later)| {
            let Poll::Ready(made) = catch_unwind(AssertUnwindSafe(|| later.answer.as_mut().poll(cx))).map_or_else(
                |_| {
                    tracing::error!(connection = %line.id, request = %number, "an answer panicked while it was made: it is a 500");
                    Poll::Ready(None)
                },
                |made| made.map(Some),
            ) else {
                return true;
            };
            answers.push_back(match made {
                None => HttpCommand::Unanswered(*number),
                Some(Made { answer, found }) => {
                    if let (Some(found), Some(upgrade)) = (found, http.upgrade_request_mut(*number)) {
                        upgrade.extensions.extend(found);
                    }
                    answer.of(*number)
                }
            });
            false
        });
    }
}
