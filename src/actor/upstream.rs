//! The way up: how what a connection tells reaches the actor that hears it.
//!
//! There are two ways. An actor given by its *address* gets every message through its mailbox. An actor given by its *context*, or made
//! for the connection, gets a **feeder**: a future spawned in its context, which takes all that one read has brought from a queue and
//! calls the actor's `Handler` for each. One wake for a read in place of a mailbox hop for a message; the user's code is the same. A
//! feeder that is dropped before its connection has ended says that its actor is dead, which actix does not tell otherwise.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll, Waker};

use actix::dev::{MessageResponse, ToEnvelope};
use actix::{Actor, ActorFuture, Addr, AsyncContext, Context, Handler};
use tokio::task::yield_now;

use super::line::{Peer, Signal};
use super::messages::{Received, Told};
use super::queue::Queue;

/// Everything that one kind of connection tells, as one type.
pub(crate) trait Parcel: Sized + Send + Unpin + 'static {
    /// Which of an actor's handlers hears what.
    type Routes<A: Actor>: Send + Sync + 'static;
    /// What the connection shares with those who talk to it: the senders are made of it.
    type Link: Peer + 'static;
    /// What holds while an actor handles many parcels of one connection.
    type Scope<'a>;

    /// A reader is the task that reads, if the connection need not be woken for it.
    fn scope<'a>(link: &'a Arc<Self::Link>, reader: Option<&'a Waker>) -> Self::Scope<'a>;
    /// Reads in the reader's turn: what has come is put into the empty queue. Tells whether something has, the connection's end among it.
    fn read(_: &Arc<Self::Link>, _: &mut VecDeque<Self>, _: &mut TaskContext<'_>) -> bool {
        false
    }
    /// What is handled in this scope is the last for now: others have their turns before more is.
    fn last(_: &Self::Scope<'_>) {}

    /// Calls the actor's handlers for all that is in the queue, until the actor waits for something else.
    fn call<A>(queue: &mut VecDeque<Self>, scope: &Self::Scope<'_>, routes: &Self::Routes<A>, actor: &mut A, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>>;
    fn mail<A: Actor>(self, link: &Arc<Self::Link>, routes: &Self::Routes<A>, addr: &Addr<A>);

    /// What becomes of those that nobody will hear, because the actor is dead.
    fn unheard(parcels: VecDeque<Self>, _: &Arc<Self::Link>) {
        drop(parcels);
    }

    /// Gives a queue memory that has none, where the arbiter has a pool of it.
    fn pool_lend(_: &mut VecDeque<Self>) {}

    /// Keeps the memory of an empty queue, where the arbiter has a pool of them.
    fn pool_put(deque: VecDeque<Self>) {
        drop(deque);
    }
}

/// How an actor hears one type of message: by a call in its own turn, or by mail.
pub(crate) struct Route<A: Actor, M: Told, S: Send + 'static = <M as Told>::Sender> {
    call: fn(&mut A, Received<M, S>, &mut A::Context),
    mail: fn(&Addr<A>, Received<M, S>),
}

impl<A, M, S> Route<A, M, S>
where
    A: Actor + Handler<Received<M, S>>,
    A::Context: ToEnvelope<A, Received<M, S>>,
    M: Told,
    S: Send + 'static,
{
    pub(crate) fn new() -> Self {
        Self { call: call::<A, M, S>, mail: |addr, received| addr.do_send(received) }
    }
}

/// A function and no closure: that would have what is received moved once more.
fn call<A, M, S>(actor: &mut A, received: Received<M, S>, ctx: &mut A::Context)
where
    A: Actor + Handler<Received<M, S>>,
    A::Context: ToEnvelope<A, Received<M, S>>,
    M: Told,
    S: Send + 'static,
{
    actor.handle(received, ctx).handle(ctx, None);
}

impl<A: Actor, M: Told, S: Send + 'static> Route<A, M, S> {
    #[inline]
    pub(crate) fn call(&self, actor: &mut A, received: Received<M, S>, ctx: &mut A::Context) {
        (self.call)(actor, received, ctx);
    }

    #[inline]
    pub(crate) fn mail(&self, addr: &Addr<A>, received: Received<M, S>) {
        (self.mail)(addr, received);
    }
}

/// The way up, whatever the actor's type.
pub(crate) trait Upstream<P: Parcel>: Send {
    /// Hands all parcels over, in order.
    fn deliver(&mut self, parcels: &mut VecDeque<P>);

    /// Whether the actor can still hear. A feeder tells by itself when it cannot.
    fn connected(&self) -> bool;

    /// Whether [`connected`](Self::connected) must be asked now and then.
    fn must_be_asked(&self) -> bool;

    /// What the senders of the parcels are to be made of. It is signalled when the actor dies. Said once, before the first parcel.
    fn attach(&mut self, link: &Arc<P::Link>);
}

/// Where an actor that is to hear a connection is found.
pub(crate) enum Place<A: Actor, P: Parcel> {
    /// At its address.
    Mail(Addr<A>),
    /// In its context, where a feeder waits.
    Fed(FeedEnd<A, P>),
    /// Nowhere yet: it is made on the connection's arbiter.
    Made(Make<A>, fn(Make<A>, Arc<Feed<A, P>>)),
}

/// Makes an actor.
type Make<A> = Box<dyn FnOnce() -> A + Send>;

impl<A: Actor, P: Parcel> Place<A, P> {
    pub(crate) fn made(make: impl FnOnce() -> A + Send + 'static) -> Self
    where
        A: Actor<Context = Context<A>>,
    {
        Self::Made(Box::new(make), |make, feed| {
            A::create(move |ctx| {
                ctx.spawn(Feeder::new(feed, true));
                make()
            });
        })
    }

    /// Opens the way up. To be called on the connection's arbiter: an actor that is made is made there.
    pub(crate) fn open(self, routes: P::Routes<A>) -> Box<dyn Upstream<P>> {
        match self {
            Self::Mail(addr) => Box::new(Mail { addr, routes, link: None }),
            Self::Fed(end) => {
                let _ = end.0.routes.set(routes);
                Box::new(end)
            }
            Self::Made(make, start) => {
                let end = FeedEnd::new();
                let _ = end.0.routes.set(routes);
                start(make, end.0.clone());
                Box::new(end)
            }
        }
    }
}

impl<A: Actor, P: Parcel> fmt::Debug for Place<A, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mail(_) => "by mail",
            Self::Fed(_) => "fed",
            Self::Made(..) => "made for the connection",
        })
    }
}

/// Where an actor that is to hear a connection is found: its address (`Addr<A>`), which takes everything through the mailbox, or, inside
/// one of its own methods, its context (`ctx`), which is the faster way in.
pub trait IntoHandler<A: Actor>: into_handler::Sealed<A> {}

pub(crate) mod into_handler {
    use super::{Actor, Parcel, Place};

    pub trait Sealed<A: Actor> {
        #[doc(hidden)]
        #[allow(private_interfaces, private_bounds)]
        fn place<P: Parcel>(self) -> Place<A, P>;
    }
}

impl<A: Actor> IntoHandler<A> for Addr<A> {}

impl<A: Actor> into_handler::Sealed<A> for Addr<A> {
    #[allow(private_interfaces, private_bounds)]
    fn place<P: Parcel>(self) -> Place<A, P> {
        Place::Mail(self)
    }
}

impl<A: Actor<Context = Context<A>>> IntoHandler<A> for &mut Context<A> {}

impl<A: Actor<Context = Context<A>>> into_handler::Sealed<A> for &mut Context<A> {
    #[allow(private_interfaces, private_bounds)]
    fn place<P: Parcel>(self) -> Place<A, P> {
        let end = FeedEnd::new();
        self.spawn(Feeder::new(end.0.clone(), false));
        Place::Fed(end)
    }
}

/// Through the mailbox.
struct Mail<A: Actor, P: Parcel> {
    addr: Addr<A>,
    routes: P::Routes<A>,
    link: Option<Arc<P::Link>>,
}

impl<A: Actor, P: Parcel> Upstream<P> for Mail<A, P> {
    fn deliver(&mut self, parcels: &mut VecDeque<P>) {
        let Some(link) = &self.link else { return parcels.clear() };
        parcels.drain(..).for_each(|parcel| parcel.mail(link, &self.routes, &self.addr));
    }

    fn connected(&self) -> bool {
        self.addr.connected()
    }

    fn must_be_asked(&self) -> bool {
        true
    }

    fn attach(&mut self, link: &Arc<P::Link>) {
        self.link = Some(link.clone());
    }
}

/// What a connection and the feeder of its handler share.
pub(crate) struct Feed<A: Actor, P: Parcel> {
    queue: Queue<P, FeedState>,
    routes: OnceLock<P::Routes<A>>,
    link: OnceLock<Arc<P::Link>>,
}

#[derive(Default)]
struct FeedState {
    /// The connection's end is gone: after what is queued there will be no more.
    ended: bool,
    /// The feeder is gone.
    gone: bool,
}

/// The connection's end of a feed.
pub(crate) struct FeedEnd<A: Actor, P: Parcel>(Arc<Feed<A, P>>);

impl<A: Actor, P: Parcel> FeedEnd<A, P> {
    fn new() -> Self {
        Self(Arc::new(Feed { queue: Queue::new(FeedState::default()), routes: OnceLock::new(), link: OnceLock::new() }))
    }
}

impl<A: Actor, P: Parcel> Upstream<P> for FeedEnd<A, P> {
    #[inline]
    fn deliver(&mut self, parcels: &mut VecDeque<P>) {
        let mut feed = self.0.queue.lock();
        if feed.side.gone {
            drop(feed);
            if let Some(link) = self.0.link.get() {
                P::unheard(std::mem::take(parcels), link);
            }
            return;
        }
        if feed.items.is_empty() {
            std::mem::swap(&mut feed.items, parcels);
        } else {
            feed.items.append(parcels);
        }
        feed.wake();
    }

    fn connected(&self) -> bool {
        !self.0.queue.lock().side.gone
    }

    fn must_be_asked(&self) -> bool {
        false
    }

    fn attach(&mut self, link: &Arc<P::Link>) {
        let _ = self.0.link.set(link.clone());
        if !self.connected() {
            link.signal(Signal::HandlerGone);
        }
    }
}

impl<A: Actor, P: Parcel> Drop for FeedEnd<A, P> {
    fn drop(&mut self) {
        let mut feed = self.0.queue.lock();
        feed.side.ended = true;
        feed.wake();
    }
}

/// How often a feeder goes on at once with what has come meanwhile.
const ROUNDS: usize = 4;

/// Feeds an actor, in its own context.
struct Feeder<A: Actor, P: Parcel> {
    feed: Arc<Feed<A, P>>,
    /// Taken and not handled yet: not empty only while the actor waits for something else (`ctx.wait`).
    left: VecDeque<P>,
    /// The actor has this feeder only, and hears one connection: it is worth while to read in its turn.
    reads: bool,
    actor: PhantomData<fn(&mut A)>,
}

impl<A: Actor, P: Parcel> Feeder<A, P> {
    fn new(feed: Arc<Feed<A, P>>, reads: bool) -> Self {
        Self { feed, left: VecDeque::new(), reads, actor: PhantomData }
    }
}

impl<A: Actor, P: Parcel> Feeder<A, P> {
    /// Reads what there is to read, if nothing was delivered. Tells whether something has come.
    fn read(&mut self, task: &mut TaskContext<'_>) -> bool {
        self.feed.link.get().is_some_and(|link| P::read(link, &mut self.left, task))
    }
}

impl<A, P> ActorFuture<A> for Feeder<A, P>
where
    A: Actor<Context = Context<A>>,
    P: Parcel,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, actor: &mut A, ctx: &mut A::Context, task: &mut TaskContext<'_>) -> Poll<()> {
        let this = &mut *self;
        for round in 1..=ROUNDS {
            if this.left.is_empty() {
                let mut feed = this.feed.queue.lock();
                feed.take_into(task.waker(), &mut this.left);
                let reads = this.reads && round == 1 && this.left.is_empty();
                if this.left.is_empty() && !reads {
                    let ended = feed.side.ended;
                    feed.side.gone = ended;
                    return if ended { Poll::Ready(()) } else { Poll::Pending };
                }
                // What comes while we are here we find by ourselves.
                feed.stay_awake();
                drop(feed);
                // What was read may end the connection, if nothing else: then there is a turn to be taken.
                if reads && !this.read(task) {
                    continue;
                }
            }
            let (Some(routes), Some(link)) = (this.feed.routes.get(), this.feed.link.get()) else { return Poll::Ready(()) };
            let scope = P::scope(link, this.reads.then(|| task.waker()));
            if round == ROUNDS {
                P::last(&scope);
            }
            P::call(&mut this.left, &scope, routes, actor, ctx);
            if ctx.waiting() {
                if this.left.is_empty() {
                    P::pool_put(std::mem::take(&mut this.left));
                }
                // Polled again when the waiting is over; never again when the actor has stopped.
                return Poll::Pending;
            }
            drop(scope);
            P::pool_put(std::mem::take(&mut this.left));
        }
        // There may be more; the others first, and the sockets and timers.
        pin!(yield_now()).poll(task)
    }
}

impl<A: Actor, P: Parcel> Drop for Feeder<A, P> {
    fn drop(&mut self) {
        let mut feed = self.feed.queue.lock();
        if feed.side.ended && feed.side.gone {
            return;
        }
        feed.side.gone = true;
        let items = std::mem::take(&mut feed.items);
        drop(feed);
        if let Some(link) = self.feed.link.get() {
            P::unheard(std::mem::take(&mut self.left), link);
            P::unheard(items, link);
            link.signal(Signal::HandlerGone);
        }
    }
}
