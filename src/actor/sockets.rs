//! The service: Akka's `IO(Sockets)`.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, Addr, Context, Handler, Message, ResponseActFuture, Supervised, SystemService, WeakAddr, WrapFuture};

use super::bind::Bind;
use super::connect::{Connect, connect};
use super::listener::Listener;
use super::messages::{BindError, Bound, CloseAll, ClosedAll, ConnectError, Connected, Shutdown, Unbind, Unbound};
use super::roster::Roster;
use super::stats::{ClearStats, GetStats, Stats};

/// The service that listens and connects. It takes [`Bind`], [`Connect`], [`CloseAll`], [`Shutdown`], [`GetStats`] and [`ClearStats`].
///
/// One for the whole system with `Sockets::from_registry()`; more of them with `Sockets::default().start()`.
#[derive(Debug, Default)]
pub struct Sockets {
    listeners: Vec<WeakAddr<Listener>>,
    /// The connections that were made.
    clients: Arc<Roster>,
}

impl Sockets {
    fn adopt(&mut self, listener: &Addr<Listener>) {
        self.listeners.retain(|listener| listener.upgrade().is_some_and(|listener| listener.connected()));
        self.listeners.push(listener.downgrade());
    }

    /// Those that are there.
    fn listeners(&self) -> impl Iterator<Item = Addr<Listener>> {
        self.listeners.iter().filter_map(WeakAddr::upgrade)
    }
}

impl Actor for Sockets {
    type Context = Context<Self>;
}

impl Supervised for Sockets {}

impl SystemService for Sockets {}

impl Handler<Bind> for Sockets {
    type Result = ResponseActFuture<Self, Result<Bound, BindError>>;

    fn handle(&mut self, bind: Bind, _: &mut Context<Self>) -> Self::Result {
        Box::pin(bind.listen().into_actor(self).map(|bound, sockets, _| bound.inspect(|bound| sockets.adopt(&bound.listener))))
    }
}

/// A listener that was started elsewhere, to be ended by [`Shutdown`] with the others.
pub(crate) struct Adopt(pub(crate) Addr<Listener>);

impl Message for Adopt {
    type Result = ();
}

impl Handler<Adopt> for Sockets {
    type Result = ();

    fn handle(&mut self, Adopt(listener): Adopt, _: &mut Context<Self>) {
        self.adopt(&listener);
    }
}

impl Handler<Connect> for Sockets {
    type Result = ResponseActFuture<Self, Result<Connected, ConnectError>>;

    fn handle(&mut self, message: Connect, _: &mut Context<Self>) -> Self::Result {
        Box::pin(connect(message, self.clients.clone()).into_actor(self))
    }
}

impl Handler<CloseAll> for Sockets {
    type Result = ResponseActFuture<Self, ClosedAll>;

    fn handle(&mut self, CloseAll { grace }: CloseAll, _: &mut Context<Self>) -> Self::Result {
        let later = Arc::new(self.clients.successor());
        // Their servers are many: there is no storm to be feared.
        let ended = std::mem::replace(&mut self.clients, later).wind_down(grace, Duration::ZERO);
        Box::pin(ended.into_actor(self).map(|report, _, _| ClosedAll { cut_off: report.cut_off() }))
    }
}

impl Handler<Shutdown> for Sockets {
    type Result = ResponseActFuture<Self, Unbound>;

    fn handle(&mut self, Shutdown { grace }: Shutdown, _: &mut Context<Self>) -> Self::Result {
        // They stay known until they have ended, so that it can be said again.
        let ends: Vec<_> = self.listeners().map(|listener| listener.send(Unbind::within(grace))).collect();
        let ended = async move {
            let mut report = Unbound::default();
            for end in ends {
                // A listener that has stopped already has ended, too.
                if let Ok(unbound) = end.await {
                    report = report.and(unbound);
                }
            }
            report
        };
        Box::pin(ended.into_actor(self))
    }
}

impl Handler<GetStats> for Sockets {
    type Result = ResponseActFuture<Self, Stats>;

    fn handle(&mut self, get @ GetStats { made_only }: GetStats, _: &mut Context<Self>) -> Self::Result {
        let made = self.clients.counters().read();
        let asked: Vec<_> = self.listeners().filter(|_| !made_only).map(|listener| listener.send(get)).collect();
        let sum = async move {
            let mut sum = made;
            for stats in asked {
                // One that has gone meanwhile has none.
                sum += stats.await.unwrap_or_default();
            }
            sum
        };
        Box::pin(sum.into_actor(self))
    }
}

impl Handler<ClearStats> for Sockets {
    type Result = ();

    fn handle(&mut self, clear: ClearStats, _: &mut Context<Self>) {
        self.clients.counters().clear();
        self.listeners().for_each(|listener| listener.do_send(clear));
    }
}
