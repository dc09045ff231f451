//! The actor of a listener: who accepts for it, and who is connected to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message, MessageResult, ResponseActFuture, WrapFuture,
};

use tokio::sync::oneshot;

use super::accepting::Accepting;
use super::house::House;
use super::listening::{Door, Open};
use super::messages::{Unbind, Unbound};
use super::roster::Roster;
use super::stats::{ClearStats, GetStats, Stats};
use super::workers::Workers;

/// The actor of a listener. It takes [`Unbind`], [`GetStats`] and [`ClearStats`], also when it has ended.
pub struct Listener {
    doors: Vec<Arc<Door>>,
    /// `None` when it has ended: with it goes what has made handlers.
    house: Option<Arc<House>>,
    roster: Arc<Roster>,
    workers: Option<Arc<Workers>>,
    /// Itself, for as long as it listens or its connections are there: whoever has started it may have forgotten it.
    own: Option<Addr<Self>>,
    /// How many wait for its end.
    unbinding: usize,
    ended: Option<Unbound>,
}

impl Listener {
    /// Starts the actor on this arbiter; it accepts from these sockets, for each address one or one for each worker.
    pub(crate) fn start(sockets: Vec<Vec<Open>>, house: Arc<House>, workers: Arc<Workers>, arbiter: &ArbiterHandle) -> Addr<Self> {
        Self::start_in_arbiter(arbiter, move |ctx| {
            let handles = workers.handles();
            let mut doors = Vec::new();
            for shards in sockets {
                let sharded = shards.len() > 1;
                for (shard, open) in shards.into_iter().enumerate() {
                    let door = Arc::new(Door::new(open));
                    doors.push(door.clone());
                    match handles.get(shard) {
                        Some(worker) if sharded => {
                            let house = house.clone();
                            worker.spawn_fn(move || Accepting::begin(door, house, Vec::new()));
                        }
                        _ => Accepting::begin(door, house.clone(), handles.clone()),
                    }
                }
            }
            let roster = house.roster.clone();
            Self { doors, house: Some(house), roster, workers: Some(workers), own: Some(ctx.address()), unbinding: 0, ended: None }
        })
    }
}

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.doors.iter().for_each(|door| door.close());
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("connections", &self.roster.count())
            .field("workers", &self.workers.as_ref().map_or(0, |workers| workers.count()))
            .finish_non_exhaustive()
    }
}

impl Handler<Unbind> for Listener {
    type Result = ResponseActFuture<Self, Unbound>;

    /// Each is answered, those that come while an earlier one waits with it; the shortest grace is the one that counts.
    fn handle(&mut self, Unbind { grace }: Unbind, _: &mut Context<Self>) -> Self::Result {
        self.doors.drain(..).for_each(|door| door.close());
        if let Some(ended) = &self.ended {
            return Box::pin(std::future::ready(ended.clone()).into_actor(self));
        }
        self.unbinding += 1;
        let spread = self.house.as_ref().map_or(Duration::ZERO, |house| house.settings.drain_spread);
        let ended = self.roster.clone().wind_down(grace, spread);
        Box::pin(ended.into_actor(self).map(|unbound, listener: &mut Self, _| {
            listener.unbinding -= 1;
            if listener.unbinding == 0 {
                listener.ended = Some(unbound.clone());
                listener.workers = None;
                listener.house = None;
                listener.own = None;
            }
            unbound
        }))
    }
}

/// An [`Unbind`] that is done even if nobody waits for the answer: actix passes over a message whose sender has given up.
pub(super) struct Stop {
    pub(super) unbind: Unbind,
    pub(super) tell: oneshot::Sender<Unbound>,
}

impl Message for Stop {
    type Result = ();
}

impl Handler<Stop> for Listener {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, Stop { unbind, tell }: Stop, ctx: &mut Context<Self>) -> Self::Result {
        Box::pin(Handler::<Unbind>::handle(self, unbind, ctx).map(|unbound, _, _| drop(tell.send(unbound))))
    }
}

impl Handler<GetStats> for Listener {
    type Result = MessageResult<GetStats>;

    fn handle(&mut self, GetStats { made_only }: GetStats, _: &mut Context<Self>) -> Self::Result {
        MessageResult(if made_only { Stats::default() } else { self.roster.counters().read() })
    }
}

impl Handler<ClearStats> for Listener {
    type Result = ();

    fn handle(&mut self, _: ClearStats, _: &mut Context<Self>) {
        self.roster.counters().clear();
    }
}
