//! Who hears what becomes of requests, besides those who wait for a response of their own.

use std::fmt;
use std::sync::Arc;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler};
use http::{Method, Uri};

use super::content::ContentAborted;
use super::messages::{HttpClosed, Received, RequestFailed, ResponseStart};
use super::socket::SocketId;
use super::upstream::Route;
use crate::http::{Chunk, ContentEnd, HttpEnd, HttpError, HttpResponse};

type Ear<M> = Option<Arc<dyn Fn(M) + Send + Sync>>;

/// The actors that were named when the connection was made.
#[derive(Clone, Default)]
pub(crate) struct Ears {
    response: Ear<Received<HttpResponse>>,
    start: Ear<Received<ResponseStart>>,
    chunk: Ear<Received<Chunk>>,
    end: Ear<Received<ContentEnd>>,
    aborted: Ear<Received<ContentAborted>>,
    failed: Ear<Received<RequestFailed>>,
    closed: Ear<Received<HttpClosed>>,
}

macro_rules! ear {
    ($handler:expr, $message:ty) => {{
        let (route, addr) = (Route::<A, $message>::new(), $handler.clone());
        Some(Arc::new(move |received| route.mail(&addr, received)))
    }};
}

impl Ears {
    pub(super) fn hear_responses<A>(&mut self, handler: &Addr<A>)
    where
        A: Actor + Handler<Received<HttpResponse>>,
        A::Context: ToEnvelope<A, Received<HttpResponse>>,
    {
        self.response = ear!(handler, HttpResponse);
    }

    pub(super) fn hear_streams<A>(&mut self, handler: &Addr<A>)
    where
        A: Actor
            + Handler<Received<ResponseStart>>
            + Handler<Received<Chunk>>
            + Handler<Received<ContentEnd>>
            + Handler<Received<ContentAborted>>,
        A::Context: ToEnvelope<A, Received<ResponseStart>>
            + ToEnvelope<A, Received<Chunk>>
            + ToEnvelope<A, Received<ContentEnd>>
            + ToEnvelope<A, Received<ContentAborted>>,
    {
        self.start = ear!(handler, ResponseStart);
        self.chunk = ear!(handler, Chunk);
        self.end = ear!(handler, ContentEnd);
        self.aborted = ear!(handler, ContentAborted);
    }

    pub(super) fn hear_failures<A>(&mut self, handler: &Addr<A>)
    where
        A: Actor + Handler<Received<RequestFailed>>,
        A::Context: ToEnvelope<A, Received<RequestFailed>>,
    {
        self.failed = ear!(handler, RequestFailed);
    }

    pub(super) fn hear_the_end<A>(&mut self, handler: &Addr<A>)
    where
        A: Actor + Handler<Received<HttpClosed>>,
        A::Context: ToEnvelope<A, Received<HttpClosed>>,
    {
        self.closed = ear!(handler, HttpClosed);
    }

    /// Whether responses are heard as they come.
    pub(super) fn stream(&self) -> bool {
        self.start.is_some()
    }

    pub(super) fn response(&self, received: Received<HttpResponse>) {
        tell(&self.response, received);
    }

    pub(super) fn start(&self, received: Received<ResponseStart>) {
        tell(&self.start, received);
    }

    pub(super) fn chunk(&self, received: Received<Chunk>) {
        tell(&self.chunk, received);
    }

    pub(super) fn end(&self, received: Received<ContentEnd>) {
        tell(&self.end, received);
    }

    pub(super) fn aborted(&self, received: Received<ContentAborted>) {
        tell(&self.aborted, received);
    }

    pub(super) fn closed(&self, id: SocketId, how: HttpEnd) {
        tell(&self.closed, Received { message: HttpClosed { id, how }, sender: id });
    }

    pub(super) fn failed(&self, method: &Method, uri: &Uri, error: HttpError, sender: SocketId) {
        if let Some(ear) = &self.failed {
            ear(Received { message: RequestFailed { method: method.clone(), uri: uri.clone(), error }, sender });
        }
    }
}

fn tell<M>(ear: &Ear<M>, message: M) {
    if let Some(ear) = ear {
        ear(message);
    }
}

impl fmt::Debug for Ears {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ears")
    }
}
