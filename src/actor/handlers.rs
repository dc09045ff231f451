//! An HTTP handler for those who only want websockets.

use std::fmt;
use std::sync::Arc;

use actix::{Actor, Context, Handler};

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
    dress: Option<Dress<A>>,
}

/// What is done to each upgrade before it is sent.
type Dress<A> = Arc<dyn Fn(UpgradeServer<A>) -> UpgradeServer<A> + Send + Sync>;

impl<A: Actor<Context = Context<A>> + Handler<Received<Frame>>> WebSockets<A> {
    /// With frame handlers made by this.
    #[must_use]
    pub fn handled_by(make: impl Fn() -> A + Send + Sync + 'static) -> Self {
        Self { make: Arc::new(make), path: None, rules: Rules::new(), dress: None }
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

    /// The subprotocols that are known.
    #[must_use]
    pub fn protocols(mut self, protocols: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.rules = self.rules.protocols(protocols);
        self
    }
}

impl<A: Actor> Clone for WebSockets<A> {
    fn clone(&self) -> Self {
        Self { make: self.make.clone(), path: self.path.clone(), rules: self.rules.clone(), dress: self.dress.clone() }
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
        match self.rules.accept(&request) {
            Ok(response) => {
                let make = self.make.clone();
                let upgrade = UpgradeServer::factory(response, move || make());
                sender.do_send(match &self.dress {
                    Some(dress) => dress(upgrade),
                    None => upgrade,
                });
            }
            Err(refusal) => sender.do_send(refusal.into_response()),
        }
    }
}

impl<A: Actor> fmt::Debug for WebSockets<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSockets").field("path", &self.path).field("rules", &self.rules).finish_non_exhaustive()
    }
}
