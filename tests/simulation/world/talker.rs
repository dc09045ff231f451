//! The frame handler at either end: it does what the plan says, and enters in the books what it hears.

use std::time::Duration;

use actix::prelude::*;
use actix_sockets::stage::{AutoPing, AutoPong, Stage};
use actix_sockets::test::End;
use actix_sockets::websocket::OpCode;
use actix_sockets::{
    Closed, Deflate, Drained, Frame, HttpResponse, IntoHandler, Received, RoundTripTime, Socket, StageActor, Upgrade, UpgradeFailed,
    Upgraded, WebSocketSettings,
};

use super::ledger::{Said, Shared, WAITING};
use super::plan::{Deed, How, Place};

pub(crate) struct Talker {
    books: Shared,
    end: End,
}

/// A stage that lets all pass.
#[derive(Debug)]
struct Pass;

impl Stage for Pass {}

impl Talker {
    /// Starts one, and hands its upgrade on: with its address, with its context, or with the talker itself to be made when its time comes.
    pub(crate) fn upgrade<O: 'static>(books: &Shared, end: End, opening: O, send: impl FnOnce(Upgrade<Self, O>)) {
        let talker = Self { books: books.clone(), end };
        books.note(format_args!("{end:?} upgrades"));
        match books.plan.ends[end as usize].place {
            Place::Address => send(talker.dressed(opening, Self { books: books.clone(), end }.start())),
            Place::Factory => {
                let made = Self { books: books.clone(), end };
                send(talker.dress(Upgrade::factory(opening, move || made)));
            }
            Place::Context => {
                Self::create(move |ctx| {
                    send(talker.dressed(opening, ctx));
                    talker
                });
            }
        }
    }

    fn dressed<O>(&self, opening: O, handler: impl IntoHandler<Self>) -> Upgrade<Self, O> {
        self.dress(Upgrade::new(opening, handler))
    }

    fn dress<O>(&self, upgrade: Upgrade<Self, O>) -> Upgrade<Self, O> {
        let (books, end) = (self.books.clone(), self.end);
        let plan = &self.books.plan.ends[end as usize];
        let settings = WebSocketSettings::default()
            .unsent_limits(plan.soft, plan.hard)
            .overflow(plan.policy)
            .window(plan.window)
            .closing_timeout(plan.closing)
            .write_stall(plan.stall);
        let mut upgrade = upgrade.settings(settings).hears::<Upgraded>().hears::<RoundTripTime>().hears::<Drained>().hears::<Closed>();
        upgrade = match plan.ping {
            Some((every, within)) => upgrade.stages(AutoPing::every(every).within(within).then(AutoPong)),
            None => upgrade.stages(AutoPong),
        };
        if plan.hosted {
            upgrade = upgrade.hosted(StageActor::host(Pass));
        }
        if plan.fragments {
            upgrade = upgrade.fragments();
        }
        if plan.deflate {
            let deflate = Deflate::new().threshold(0);
            upgrade = upgrade.deflate(if plan.contexts { deflate } else { deflate.without_contexts() });
        }
        if plan.observed {
            upgrade = upgrade.on_closed(Watcher { books, end }.start());
        }
        upgrade
    }

    fn does(&mut self, deed: &Deed, ctx: &mut Context<Self>) {
        let (books, end) = (self.books.clone(), self.end);
        let side = |change: fn(&mut super::ledger::Side)| change(&mut books.open().sides[end as usize]);
        match deed {
            Deed::Wait(time) => {
                books.note(format_args!("{end:?} waits for {time:?}"));
                side(|side| side.waits += 1);
                ctx.wait(tokio::time::sleep(*time).into_actor(self).map(move |(), talker, _| {
                    talker.books.open().sides[talker.end as usize].waits -= 1;
                }));
            }
            Deed::Stop => {
                books.note(format_args!("{end:?} stops"));
                side(|side| side.dead = true);
                ctx.stop();
            }
            Deed::Panic => {
                books.note(format_args!("{end:?} panics"));
                side(|side| side.dead = true);
                std::panic::panic_any(super::Planned);
            }
            deed => act(&books, end, deed),
        }
    }
}

/// What can be done by anybody who has a socket.
pub(crate) fn act(books: &Shared, end: End, deed: &Deed) {
    let Some(socket) = books.open().sides[end as usize].socket.clone() else { return };
    let text = books.open().sides[end as usize].chance.as_mut().is_some_and(|chance| chance.percent(50));
    match deed {
        Deed::Say { length, fragments, how } => {
            books.say(end, &socket, Said::new(*length, text), *fragments, *how);
        }
        Deed::Fill => fill(books, end, &socket),
        Deed::Burst(many, most) => {
            for at in 0..*many {
                // Of all lengths up to that, and each third is asked after.
                let how = if at % 3 == 0 { How::Acked } else { How::Send };
                books.say(end, &socket, Said::new(most - at * 7 % most, text), 1, how);
            }
        }
        Deed::Ping => books.ping(end, &socket),
        Deed::Close(code) => books.close(end, &socket, *code),
        Deed::Wait(_) | Deed::Stop | Deed::Panic => {}
    }
}

/// Messages until exactly the hard limit is unsent; then one that is to be refused, and one that is not asked.
fn fill(books: &Shared, end: End, socket: &Socket) {
    let hard = books.plan.ends[end as usize].hard;
    for _ in 0..8 {
        let unsent = socket.buffered_amount();
        // What waits in the queue counts for more than its payload.
        let Some(length) = hard.checked_sub(unsent + WAITING) else { break };
        if !books.say(end, socket, Said::new(length.min(books.plan.longest), false), 1, How::Acked) {
            break;
        }
    }
    books.say(end, socket, Said::new(1, false), 1, How::Try);
}

/// A message is in hand for as long as this is there.
struct Held {
    books: Shared,
    end: End,
    length: usize,
    socket: Socket,
}

impl Held {
    fn new(books: &Shared, end: End, length: usize, socket: Socket) -> Self {
        let mut inner = books.open();
        let side = &mut inner.sides[end as usize];
        side.held += length;
        side.most_held = side.most_held.max(side.held);
        drop(inner);
        books.weigh(end);
        Self { books: books.clone(), end, length, socket }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.books.open().sides[self.end as usize].held -= self.length;
    }
}

impl Actor for Talker {
    type Context = Context<Self>;
}

impl Handler<Received<Upgraded>> for Talker {
    type Result = ();
    fn handle(&mut self, Received { sender, .. }: Received<Upgraded>, ctx: &mut Self::Context) {
        let (books, end) = (self.books.clone(), self.end);
        {
            let mut inner = books.open();
            inner.note(format_args!("{end:?} is upgraded"));
            let side = &mut inner.sides[end as usize];
            side.upgraded += 1;
            side.inherited = sender.buffered_amount();
            side.socket = Some(sender.clone());
        }
        for (at, within, deed) in books.plan.ends[end as usize].script.clone() {
            if !within {
                let books = books.clone();
                actix::spawn(async move {
                    tokio::time::sleep(at).await;
                    act(&books, end, &deed);
                });
            } else if at.is_zero() && !matches!(deed, Deed::Stop | Deed::Panic) {
                self.does(&deed, ctx);
            } else {
                ctx.run_later(at, move |talker, ctx| talker.does(&deed, ctx));
            }
        }
    }
}

impl Handler<Received<Frame>> for Talker {
    type Result = ();
    fn handle(&mut self, Received { message: frame, sender }: Received<Frame>, ctx: &mut Self::Context) {
        let (books, end) = (self.books.clone(), self.end);
        match frame.opcode {
            OpCode::Pong => {
                let mut inner = books.open();
                let side = &mut inner.sides[end as usize];
                if let Some(number) = frame.as_pong() {
                    // Only the newest may be answered (RFC 6455 §5.5.3), and none twice.
                    if number <= side.ponged || number > side.pinged {
                        let (ponged, pinged) = (side.ponged, side.pinged);
                        inner.wrong(format_args!("{end:?}: a pong to ping {number} behind one to {ponged}, of {pinged}"));
                    } else {
                        side.ponged = number;
                    }
                }
                return;
            }
            OpCode::Text | OpCode::Binary | OpCode::Continuation => {}
            other => return books.wrong(format_args!("{end:?} hears {other:?}")),
        }
        let whole = if frame.fin && frame.opcode != OpCode::Continuation {
            Some((frame.opcode == OpCode::Text, frame.data.clone()))
        } else {
            let mut inner = books.open();
            let partial = &mut inner.sides[end as usize].partial;
            if frame.opcode != OpCode::Continuation {
                let kind = u8::from(frame.opcode == OpCode::Text);
                *partial = Some([&[kind][..], &frame.data].concat()[..].into());
                None
            } else if let Some(bytes) = partial {
                bytes.extend_from_slice(&frame.data);
                frame.fin.then(|| partial.take()).flatten().map(|bytes| (bytes[0] == 1, bytes.freeze().slice(1..)))
            } else {
                inner.wrong(format_args!("{end:?} hears a continuation of nothing"));
                None
            }
        };
        let held = Held::new(&books, end, frame.data.len(), sender);
        let Some((text, data)) = whole else { return };
        let Some(said) = books.heard(end, text, &data) else { return };
        let plan = books.plan.ends[end as usize].clone();
        let (answers, later, holds, delay, length) = {
            let mut inner = books.open();
            let Some(chance) = &mut inner.sides[end as usize].chance else { return };
            let (answers, later, holds) = (chance.percent(plan.answers), chance.percent(plan.later), chance.percent(plan.holds));
            (answers, later, holds, chance.millis(0, plan.hold_for.as_millis() as usize), chance.between(0, 200))
        };
        let reply = Said { depth: said.depth + 1, ..Said::new(length.min(books.plan.longest), false) };
        if said.hot || answers && said.depth < 2 {
            let mut reply = Said { in_turn: true, ..reply.clone() };
            if said.hot {
                // The other end closes: it is not to hold this for long.
                reply.depth = 3;
            }
            books.say(end, &held.socket, reply, 1, How::Send);
        }
        if later && said.depth < 2 && !said.hot {
            let (books, socket) = (books.clone(), held.socket.clone());
            actix::spawn(async move {
                tokio::time::sleep(delay / 8).await;
                books.say(end, &socket, reply, 1, How::Send);
            });
        }
        if holds && !said.hot && said.depth < 3 {
            ctx.run_later(delay, move |_, _| drop(held));
        }
    }
}

impl Handler<Received<RoundTripTime>> for Talker {
    type Result = ();
    fn handle(&mut self, told: Received<RoundTripTime>, _: &mut Self::Context) {
        let time: Duration = told.message.0;
        let inner = self.books.open();
        let end = self.end;
        inner.note(format_args!("{end:?}: a round trip of {time:?}"));
        if !inner.sides[end as usize].closed.is_empty() {
            inner.wrong(format_args!("{end:?}: a round trip behind Closed"));
        }
    }
}

impl Handler<Received<Drained>> for Talker {
    type Result = ();
    fn handle(&mut self, _: Received<Drained>, _: &mut Self::Context) {
        let mut inner = self.books.open();
        inner.note(format_args!("{:?} is drained", self.end));
        inner.sides[self.end as usize].flooded = false;
        if !inner.sides[self.end as usize].closed.is_empty() {
            inner.wrong(format_args!("{:?}: Drained behind Closed", self.end));
        }
    }
}

impl Handler<Received<Closed>> for Talker {
    type Result = ();
    fn handle(&mut self, told: Received<Closed>, _: &mut Self::Context) {
        let mut inner = self.books.open();
        let Closed { code, reason, by, clean, .. } = &told.message;
        inner.note(format_args!("{:?} is closed: {code} {reason:?} by {by:?}, clean: {clean}", self.end));
        inner.sides[self.end as usize].closed.push(told.message);
    }
}

impl Handler<Received<HttpResponse>> for Talker {
    type Result = ();
    fn handle(&mut self, told: Received<HttpResponse>, _: &mut Self::Context) {
        let refused = told.message.status != 101 && self.books.plan.hostile.is_none();
        if refused || self.books.open().sides[self.end as usize].upgraded > 0 {
            self.books.wrong(format_args!("the response to the handshake is {} or comes behind Upgraded", told.message.status));
        }
    }
}

impl Handler<Received<UpgradeFailed>> for Talker {
    type Result = ();
    fn handle(&mut self, told: Received<UpgradeFailed>, _: &mut Self::Context) {
        self.books.note(format_args!("no upgrade: {}", told.message.error));
        self.books.open().sides[self.end as usize].refused += 1;
    }
}

/// Hears of the end only.
struct Watcher {
    books: Shared,
    end: End,
}

impl Actor for Watcher {
    type Context = Context<Self>;
}

impl Handler<Received<Closed>> for Watcher {
    type Result = ();
    fn handle(&mut self, _: Received<Closed>, _: &mut Self::Context) {
        self.books.open().sides[self.end as usize].observed += 1;
    }
}

/// The number of one of the script's pings; the library's own are of no concern here.
trait AsPong {
    fn as_pong(&self) -> Option<u64>;
}

impl AsPong for Frame {
    fn as_pong(&self) -> Option<u64> {
        std::str::from_utf8(&self.data).ok()?.strip_prefix("ping ")?.parse().ok()
    }
}
