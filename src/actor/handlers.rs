//! An HTTP handler for those who only want websockets.

use std::fmt;
use std::sync::Arc;

use actix::{Actor, Context, Handler};

use super::guard::{Asking, Guard, Judging};
use super::lobby::{Later, Made};
use super::messages::Received;
use super::upgrade::UpgradeServer;
use crate::http::{HttpRequest, HttpResponse};
use crate::upgrade::handshake::{Origin, Rules};
use crate::websocket::Frame;

/// Upgrades every valid handshake to a frame handler made for it; all other requests are answered 404, 426 or what else is right.
///
/// ```no_run
/// # use actix_sockets::{Bind, Received, Sockets, WebSockets, websocket::Frame};
/// # use actix::prelude::*;
/// struct Echo;
///
/// impl Actor for Echo {
///     type Context = Context<Self>;
/// }
///
/// impl Handler<Received<Frame>> for Echo {
///     type Result = ();
///     fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, _: &mut Context<Self>) {
///         if frame.opcode.is_data() {
///             sender.do_send(frame);
///         }
///     }
/// }
///
/// # async fn bind() -> Result<(), Box<dyn std::error::Error>> {
/// let echo = WebSockets::handled_by(|| Echo).at("/echo");
/// let bound = Sockets::from_registry().send(Bind::factory(move || echo.clone(), "127.0.0.1:0")).await??;
/// # Ok(()) }
/// ```
pub struct WebSockets<A: Actor> {
    make: Arc<dyn Fn() -> A + Send + Sync>,
    path: Option<String>,
    rules: Rules,
    guards: Arc<[Guard]>,
    dress: Option<Dress<A>>,
}

/// What is done to each upgrade before it is sent.
type Dress<A> = Arc<dyn Fn(UpgradeServer<A>) -> UpgradeServer<A> + Send + Sync>;

impl<A: Actor<Context = Context<A>> + Handler<Received<Frame>>> WebSockets<A> {
    /// With frame handlers made by this.
    #[must_use]
    pub fn handled_by(make: impl Fn() -> A + Send + Sync + 'static) -> Self {
        Self { make: Arc::new(make), path: None, rules: Rules::new(), guards: Arc::default(), dress: None }
    }

    /// Only at this path: elsewhere 404. Any path by default.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// With compressed messages, where the client offers them: see [`Upgrade::deflate`](super::Upgrade::deflate).
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(self, deflate: super::Deflate) -> Self {
        self.upgrading(move |upgrade| upgrade.deflate(deflate.clone()))
    }

    /// Whatever else an [`UpgradeServer`] can be told: stages, limits, what the handler hears.
    ///
    /// ```
    /// # use actix_sockets::{Closed, Received, WebSockets, stage::AutoPong, websocket::Frame};
    /// # use actix::prelude::*;
    /// # fn dress<A>(websockets: WebSockets<A>) -> WebSockets<A>
    /// # where A: Actor<Context = Context<A>> + Handler<Received<Frame>> + Handler<Received<Closed>> {
    /// websockets.upgrading(|upgrade| upgrade.frame_size_limit(4096).stages(AutoPong).hears::<Closed>())
    /// # }
    /// ```
    #[must_use]
    pub fn upgrading(mut self, dress: impl Fn(UpgradeServer<A>) -> UpgradeServer<A> + Send + Sync + 'static) -> Self {
        self.dress = Some(match self.dress.take() {
            Some(before) => Arc::new(move |upgrade| dress(before(upgrade))),
            None => Arc::new(dress),
        });
        self
    }

    /// From which origins: the same one by default.
    #[must_use]
    pub fn origin(mut self, origin: Origin) -> Self {
        self.rules = self.rules.origin(origin);
        self
    }

    /// Only for whom this lets in, which may take its time: see [`Guard`]. It is asked about valid handshakes from origins that are let in.
    ///
    /// ```
    /// # use actix_sockets::{HttpResponse, Received, WebSockets, websocket::Frame};
    /// # use actix::prelude::*;
    /// # use http::StatusCode;
    /// # #[derive(Clone)] struct User(String);
    /// # async fn look_up(cookie: &str) -> Option<User> { None }
    /// # fn dress<A: Actor<Context = Context<A>> + Handler<Received<Frame>>>(websockets: WebSockets<A>) -> WebSockets<A> {
    /// websockets.allow(|asking| async move {
    ///     let user = look_up(asking.request.header("cookie").unwrap_or_default()).await;
    ///     user.ok_or_else(|| HttpResponse::new(StatusCode::UNAUTHORIZED)) // upgraded.request.extensions.get::<User>()
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn allow<T, Forming>(self, judge: impl Fn(Asking) -> Forming + Send + Sync + 'static) -> Self
    where
        T: Clone + Send + Sync + 'static,
        Forming: Future<Output = Result<T, HttpResponse>> + Send + 'static,
    {
        self.guard(Guard::new(judge))
    }

    /// Only for whom this guard lets in, behind those that are there.
    #[must_use]
    pub fn guard(mut self, guard: impl Into<Guard>) -> Self {
        self.guards = self.guards.iter().cloned().chain([guard.into()]).collect();
        self
    }

    /// The subprotocols that are known.
    #[must_use]
    pub fn protocols(mut self, protocols: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.rules = self.rules.protocols(protocols);
        self
    }
}

impl<A: Actor> Clone for WebSockets<A> {
    fn clone(&self) -> Self {
        Self {
            make: self.make.clone(),
            path: self.path.clone(),
            rules: self.rules.clone(),
            guards: self.guards.clone(),
            dress: self.dress.clone(),
        }
    }
}

impl<A: Actor> Actor for WebSockets<A> {
    type Context = Context<Self>;
}

impl<A: Actor<Context = Context<A>> + Handler<Received<Frame>>> Handler<Received<HttpRequest>> for WebSockets<A> {
    type Result = ();

    fn handle(&mut self, Received { message: request, sender }: Received<HttpRequest>, _: &mut Context<Self>) {
        if self.path.as_deref().is_some_and(|path| path != request.path()) {
            return sender.do_send(HttpResponse::not_found());
        }
        let response = match self.rules.accept(&request) {
            Ok(response) => response,
            Err(refusal) => return sender.do_send(refusal.into_response()),
        };
        let (make, dress) = (self.make.clone(), self.dress.clone());
        let upgrade = move || {
            let upgrade = UpgradeServer::factory(response, move || make());
            match &dress {
                Some(dress) => dress(upgrade),
                None => upgrade,
            }
        };
        if self.guards.is_empty() {
            return sender.do_send(upgrade());
        }
        let judging = Judging::new(self.guards.clone(), sender.asking(request));
        let answer = async move {
            match judging.await {
                Ok(request) => Made { answer: upgrade().into(), found: Some(request.extensions) },
                Err(refusal) => Made { answer: (*refusal).into(), found: None },
            }
        };
        sender.later(Later { answer: Box::pin(answer), guarded: true });
    }
}

impl<A: Actor> fmt::Debug for WebSockets<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSockets")
            .field("path", &self.path)
            .field("rules", &self.rules)
            .field("guards", &self.guards.len())
            .finish_non_exhaustive()
    }
}
