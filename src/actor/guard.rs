//! Who may ask: what decides about a request before its handler sees it.

use std::any::TypeId;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use ::http::header::{HeaderValue, RETRY_AFTER};
use ::http::{Extensions, StatusCode};
use tokio::time::timeout;

use super::above::internal_error;
use super::address::Address;
use super::clock;
use super::socket::SocketId;
use crate::http::{HttpRequest, HttpResponse};
use crate::rate::Buckets;
use crate::tls::Info;

/// Decides about a request before its handler sees it, at once or later: who is it, may it, and how often?
///
/// A guard is given the request and where it comes from, and gives what it has found out about it, or the response that refuses it. What it has found,
/// a value of any type, is among the [`extensions`](HttpRequest::extensions) of the request that the handler gets, and of the one in
/// [`Upgraded`](super::Upgraded).
///
/// ```
/// use std::time::Duration;
/// use actix_sockets::{Guard, HttpResponse, RateLimit, Settings};
/// # use http::StatusCode;
///
/// #[derive(Clone)]
/// struct User(String);
///
/// # async fn look_up(token: &str) -> Option<User> { None }
/// let known = Guard::new(|asking| async move {
///     let token = asking.request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
///     match look_up(token.unwrap_or_default()).await {
///         Some(user) => Ok(user), // request.extensions.get::<User>() from now on
///         None => Err(HttpResponse::new(StatusCode::UNAUTHORIZED)),
///     }
/// });
/// let settings = Settings::new().guard(RateLimit::per_address(100, Duration::from_secs(60))).guard(known);
/// ```
///
/// [`Settings::guard`](super::Settings::guard) sets one before all requests of a listener, [`WebSockets::allow`](super::WebSockets::allow) before those
/// for its websockets. Of several, each is asked when those before it have agreed.
///
/// **While it ponders** nothing of the request is told to anybody, and no later one of the connection: their order holds. The guard's future is dropped when
/// the connection ends; when the peer has sent FIN behind a request for an upgrade, which nothing could come of any more; when the listener ends; and when the
/// request should have been answered ([`request_timeout`](crate::http::Settings::request_timeout), 20 s; [`within`](Self::within) sets a shorter
/// time). The peer gets a 503 then, if it can. A guard that panics is a 500, and hurts nobody else.
#[derive(Clone)]
pub struct Guard(Arc<Judge>);

/// What a guard says about a request.
type Judge = dyn Fn(&Asking) -> Opinion + Send + Sync;

enum Opinion {
    Formed(Verdict),
    Forming(Pin<Box<dyn Future<Output = Verdict> + Send>>),
}

/// What was found out, or the refusal.
type Verdict = Result<Extensions, Box<HttpResponse>>;

/// What a [`Guard`] decides about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Asking {
    /// The request, with what earlier guards have found in its [`extensions`](HttpRequest::extensions).
    pub request: Arc<HttpRequest>,
    /// The connection's name.
    pub id: SocketId,
    /// The peer's address.
    pub remote: Address,
    /// What the TLS handshake has agreed on, the peer's certificate with it; `None` in the clear.
    pub tls: Option<Arc<Info>>,
}

impl Guard {
    /// One that may take its time. What it has found out is a value of any type; `()` where that is nothing.
    #[must_use]
    pub fn new<T, Forming>(judge: impl Fn(Asking) -> Forming + Send + Sync + 'static) -> Self
    where
        T: Clone + Send + Sync + 'static,
        Forming: Future<Output = Result<T, HttpResponse>> + Send + 'static,
    {
        Self(Arc::new(move |asking| {
            let forming = judge(asking.clone());
            Opinion::Forming(Box::pin(async move { verdict(forming.await) }))
        }))
    }

    /// One that decides at once.
    #[must_use]
    pub fn check<T>(judge: impl Fn(&Asking) -> Result<T, HttpResponse> + Send + Sync + 'static) -> Self
    where
        T: Clone + Send + Sync + 'static,
    {
        Self(Arc::new(move |asking| Opinion::Formed(verdict(judge(asking)))))
    }

    /// The same guard, which has so long to decide. Longer: the request is refused with a 503.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self(Arc::new(move |asking| match (self.0)(asking) {
            Opinion::Forming(forming) => {
                let id = asking.id;
                Opinion::Forming(Box::pin(async move {
                    timeout(within, forming).await.unwrap_or_else(|_| {
                        tracing::warn!(connection = %id, ?within, "a guard has not decided in time: the request is refused");
                        Err(Box::new(unavailable()))
                    })
                }))
            }
            formed => formed,
        }))
    }
}

fn verdict<T: Clone + Send + Sync + 'static>(found: Result<T, HttpResponse>) -> Verdict {
    let (found, mut extensions) = (found.map_err(Box::new)?, Extensions::new());
    if TypeId::of::<T>() != TypeId::of::<()>() {
        extensions.insert(found);
    }
    Ok(extensions)
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// What is said where a guard can decide no more.
pub(super) fn unavailable() -> HttpResponse {
    HttpResponse::new(StatusCode::SERVICE_UNAVAILABLE).with_text("503 Service Unavailable\n")
}

/// All guards about one request, one after the other: the request, with what they have found, or the refusal.
pub(super) struct Judging {
    guards: Arc<[Guard]>,
    /// How many have been asked.
    asked: usize,
    asking: Asking,
    forming: Option<Pin<Box<dyn Future<Output = Verdict> + Send>>>,
}

impl Judging {
    pub(super) fn new(guards: Arc<[Guard]>, asking: Asking) -> Self {
        Self { guards, asked: 0, asking, forming: None }
    }

    fn step(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Box<HttpResponse>>> {
        loop {
            let verdict = match &mut self.forming {
                Some(forming) => std::task::ready!(forming.as_mut().poll(cx)),
                None => {
                    let Some(guard) = self.guards.get(self.asked) else { return Poll::Ready(Ok(())) };
                    self.asked += 1;
                    match (guard.0)(&self.asking) {
                        Opinion::Formed(verdict) => verdict,
                        Opinion::Forming(forming) => {
                            self.forming = Some(forming);
                            continue;
                        }
                    }
                }
            };
            // What it has of the request is let go of: it need not be copied then.
            self.forming = None;
            Arc::make_mut(&mut self.asking.request).extensions.extend(verdict?);
        }
    }
}

impl Future for Judging {
    type Output = Result<HttpRequest, Box<HttpResponse>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let judged = match catch_unwind(AssertUnwindSafe(|| this.step(cx))) {
            Ok(step) => std::task::ready!(step),
            Err(_) => {
                tracing::error!(connection = %this.asking.id, "a guard panicked: the request is answered with a 500");
                Err(Box::new(internal_error()))
            }
        };
        Poll::Ready(judged.map(|()| {
            let nothing = Arc::new(HttpRequest::new(::http::Method::GET, ::http::Uri::default()));
            Arc::unwrap_or_clone(std::mem::replace(&mut this.asking.request, nothing))
        }))
    }
}

/// How often requests may come from one address; more often: 429, with `Retry-After`. A [`Guard`].
///
/// Of an IPv6 address the first 64 bits count, as whoever has one has all of these. A peer without address, of a Unix socket, is not limited. Clones
/// share what they count: so listeners can have one limit together.
///
/// ```
/// use std::time::Duration;
/// use actix_sockets::{RateLimit, Settings};
///
/// // Twenty at once, and twenty a minute.
/// let settings = Settings::new().guard(RateLimit::per_address(20, Duration::from_secs(60)));
/// ```
#[derive(Clone, Debug)]
pub struct RateLimit(Arc<Mutex<Buckets<IpAddr>>>);

impl RateLimit {
    /// So many requests in this time, evenly, and as many at once. At least the last 32 768 addresses are remembered, and at most 65 536: see
    /// [`Buckets`].
    #[must_use]
    pub fn per_address(requests: u32, per: Duration) -> Self {
        Self::of(Buckets::new(requests, per))
    }

    /// With these buckets.
    #[must_use]
    pub fn of(buckets: Buckets<IpAddr>) -> Self {
        Self(Arc::new(Mutex::new(buckets)))
    }
}

#[expect(clippy::result_large_err, reason = "it is made once for each refusal, and sent")]
impl From<RateLimit> for Guard {
    fn from(RateLimit(buckets): RateLimit) -> Self {
        Self::check(move |asking| {
            // Who has no address, but a Unix socket, is not limited by it.
            let Some(address) = asking.remote.ip() else { return Ok(()) };
            let taken = buckets.lock().unwrap_or_else(PoisonError::into_inner).take(network(address), clock::now());
            taken.map_err(|wait| {
                let seconds = (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1);
                let refusal = HttpResponse::new(StatusCode::TOO_MANY_REQUESTS).with_text("429 Too Many Requests\n");
                refusal.with_header(RETRY_AFTER, HeaderValue::from(seconds))
            })
        })
    }
}

/// Whose an address is: its own, or of IPv6 the first 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}
