//! Everything that a server's connection tells its handler, and which of the handler's methods hears what.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context as TaskContext, Waker};

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, AsyncContext, Context, Handler};

use super::content::{Content, ContentAborted, RequestId, RequestStart};
use super::delivery::{Call, Mail, Way};
use super::http_line::{HttpLine, HttpScope};
use super::messages::{HttpClosed, Received, TimedOut};
use super::queue::{lend, vec_pool};
use super::responder::Responder;
use super::upstream::{Parcel, Route};
use crate::http::{Chunk, ContentEnd, Event, HttpRequest};

vec_pool!(events, Event);

/// What an HTTP handler hears. Requests always; the rest if it asks for it.
pub(crate) struct HttpRoutes<A: Actor> {
    request: Route<A, HttpRequest>,
    content: Option<ContentRoutes<A>>,
    timed_out: Option<Route<A, TimedOut>>,
    closed: Option<Route<A, HttpClosed>>,
}

/// How an HTTP handler hears content as it comes.
struct ContentRoutes<A: Actor> {
    start: Route<A, RequestStart>,
    chunk: Route<A, Chunk>,
    end: Route<A, ContentEnd>,
    aborted: Route<A, ContentAborted>,
}

impl<A: Actor> HttpRoutes<A> {
    pub(crate) fn new() -> Self
    where
        A: Handler<Received<HttpRequest>>,
        A::Context: ToEnvelope<A, Received<HttpRequest>>,
    {
        Self { request: Route::new(), content: None, timed_out: None, closed: None }
    }

    /// Whether requests that are not answered in time are told.
    pub(crate) fn hears_timeouts(&self) -> bool {
        self.timed_out.is_some()
    }

    /// Whether content is told as it comes.
    pub(crate) fn streams(&self) -> bool {
        self.content.is_some()
    }
}

/// What an HTTP handler can ask to hear besides [`HttpRequest`]s, with [`Register::hears`](super::Register::hears).
///
/// - [`RequestStart`]: the content of requests, as it comes. The handler must handle `Received` [`Chunk`]s, [`ContentEnd`] and
///   [`ContentAborted`], too. A request without content is told as an [`HttpRequest`] still.
/// - [`TimedOut`]: a request that it has not answered in time.
/// - [`HttpClosed`]: the connection's end.
pub trait HttpNotice<A: Actor>: http_notice::Sealed<A> {}

pub(crate) mod http_notice {
    use super::{Actor, HttpRoutes};

    pub trait Sealed<A: Actor> {
        #[doc(hidden)]
        #[allow(private_interfaces)]
        fn route(routes: &mut HttpRoutes<A>);
    }
}

impl<A> HttpNotice<A> for RequestStart
where
    A: Actor + Handler<Received<Self>> + Handler<Received<Chunk>> + Handler<Received<ContentEnd>> + Handler<Received<ContentAborted>>,
    A::Context: ToEnvelope<A, Received<Self>>
        + ToEnvelope<A, Received<Chunk>>
        + ToEnvelope<A, Received<ContentEnd>>
        + ToEnvelope<A, Received<ContentAborted>>,
{
}

impl<A> http_notice::Sealed<A> for RequestStart
where
    A: Actor + Handler<Received<Self>> + Handler<Received<Chunk>> + Handler<Received<ContentEnd>> + Handler<Received<ContentAborted>>,
    A::Context: ToEnvelope<A, Received<Self>>
        + ToEnvelope<A, Received<Chunk>>
        + ToEnvelope<A, Received<ContentEnd>>
        + ToEnvelope<A, Received<ContentAborted>>,
{
    #[allow(private_interfaces)]
    fn route(routes: &mut HttpRoutes<A>) {
        routes.content = Some(ContentRoutes { start: Route::new(), chunk: Route::new(), end: Route::new(), aborted: Route::new() });
    }
}

macro_rules! notices {
    ($($message:ty => $field:ident),* $(,)?) => { $(
        impl<A> HttpNotice<A> for $message
        where
            A: Actor + Handler<Received<Self>>,
            A::Context: ToEnvelope<A, Received<Self>>,
        {
        }

        impl<A> http_notice::Sealed<A> for $message
        where
            A: Actor + Handler<Received<Self>>,
            A::Context: ToEnvelope<A, Received<Self>>,
        {
            #[allow(private_interfaces)]
            fn route(routes: &mut HttpRoutes<A>) {
                routes.$field = Some(Route::new());
            }
        }
    )* };
}

notices! {
    TimedOut => timed_out,
    HttpClosed => closed,
}

/// A request is told, with a sender that is made when the handler's turn comes; the rest only where it was asked for.
impl Parcel for Event {
    type Routes<A: Actor> = HttpRoutes<A>;
    type Link = HttpLine;
    type Scope<'a> = HttpScope<'a>;

    fn scope<'a>(line: &'a Arc<HttpLine>, reader: Option<&'a Waker>) -> HttpScope<'a> {
        HttpScope::open(line, reader)
    }

    fn read(line: &Arc<HttpLine>, events: &mut VecDeque<Self>, task: &mut TaskContext<'_>) -> bool {
        line.read(events, task)
    }

    fn last(scope: &HttpScope<'_>) {
        scope.waits();
    }

    fn call<A>(queue: &mut VecDeque<Self>, scope: &HttpScope<'_>, routes: &HttpRoutes<A>, actor: &mut A, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>>,
    {
        while let Some(event) = queue.pop_front() {
            if let Self::Request { number, request: message } = event {
                let sender = Responder::new(scope.line.clone(), number);
                routes.request.call(actor, Received { message, sender }, ctx);
            } else {
                hand(event, scope.line, routes, &mut Call { actor, ctx });
            }
            if ctx.waiting() {
                return scope.waits();
            }
        }
    }

    fn mail<A: Actor>(self, line: &Arc<HttpLine>, routes: &HttpRoutes<A>, addr: &Addr<A>) {
        hand(self, line, routes, &mut Mail { addr });
    }

    /// They are answered with a 500.
    fn unheard(events: VecDeque<Self>, line: &Arc<HttpLine>) {
        for event in events {
            if let Self::Request { number, .. } | Self::RequestStart { number, .. } = event {
                drop(Responder::new(line.clone(), number));
            }
        }
    }

    fn pool_lend(deque: &mut VecDeque<Self>) {
        lend(deque, events::get);
    }

    fn pool_put(deque: VecDeque<Self>) {
        events::put(deque);
    }
}

/// Hands an event over, to whom has asked for it.
fn hand<A: Actor>(event: Event, line: &Arc<HttpLine>, routes: &HttpRoutes<A>, way: &mut impl Way<A>) {
    let content = routes.content.as_ref();
    let sender = |number, worth| Content::new(line.clone(), RequestId { connection: line.id, number }, worth);
    match event {
        Event::Request { number, request: message } => {
            let sender = Responder::new(line.clone(), number);
            way.go(Some(&routes.request), Received { message, sender });
        }
        Event::RequestStart { number, request, length, worth } => {
            let message = RequestStart { request, length, content: sender(number, worth) };
            way.go(content.map(|routes| &routes.start), Received { message, sender: Responder::new(line.clone(), number) });
        }
        Event::Chunk { number, chunk: message, worth } => {
            way.go(content.map(|routes| &routes.chunk), Received { message, sender: sender(number, worth) });
        }
        Event::ContentEnd { number, end: message } => {
            way.go(content.map(|routes| &routes.end), Received { message, sender: sender(number, 0) });
        }
        Event::ContentAborted { number, error } => {
            let message = ContentAborted { error };
            way.go(content.map(|routes| &routes.aborted), Received { message, sender: sender(number, 0) });
        }
        Event::TimedOut { number, request: Some(request) } => {
            let message = TimedOut { request: *request };
            way.go(routes.timed_out.as_ref(), Received { message, sender: Responder::second(line.clone(), number) });
        }
        Event::Ended(how) => {
            way.go(routes.closed.as_ref(), Received { message: HttpClosed { id: line.id, how }, sender: line.id });
        }
        Event::TimedOut { request: None, .. } | Event::Failed(_) => {}
    }
}
