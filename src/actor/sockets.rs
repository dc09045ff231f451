//! The service: Akka's `IO(Sockets)`.

use actix::{Actor, ActorFutureExt, Addr, Context, Handler, ResponseActFuture, Supervised, SystemService, WrapFuture};

use super::client_connection::{Connect, connect};
use super::listener::{Bind, Listener};
use super::messages::{BindError, Bound, ConnectError, Connected, Shutdown, Unbind};

/// The service that listens and connects. It takes [`Bind`], [`Connect`] and [`Shutdown`].
///
/// One for the whole system with `Sockets::from_registry()`; more of them with `Sockets::default().start()`.
#[derive(Debug, Default)]
pub struct Sockets {
    listeners: Vec<Addr<Listener>>,
}

impl Actor for Sockets {
    type Context = Context<Self>;
}

impl Supervised for Sockets {}

impl SystemService for Sockets {}

impl Handler<Bind> for Sockets {
    type Result = Result<Bound, BindError>;

    fn handle(&mut self, bind: Bind, _: &mut Context<Self>) -> Self::Result {
        let bound = bind.listen()?;
        self.listeners.retain(Addr::connected);
        self.listeners.push(bound.listener.clone());
        Ok(bound)
    }
}

impl Handler<Connect> for Sockets {
    type Result = ResponseActFuture<Self, Result<Connected, ConnectError>>;

    fn handle(&mut self, message: Connect, _: &mut Context<Self>) -> Self::Result {
        Box::pin(connect(message).into_actor(self))
    }
}

impl Handler<Shutdown> for Sockets {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, Shutdown { grace }: Shutdown, _: &mut Context<Self>) -> Self::Result {
        let ends: Vec<_> = self.listeners.drain(..).map(|listener| listener.send(Unbind::within(grace))).collect();
        let ended = async move {
            for end in ends {
                // A listener that has stopped already has ended, too.
                let _ = end.await;
            }
        };
        Box::pin(ended.into_actor(self).map(|(), _, _| ()))
    }
}
