//! Several connections in one run, to one server: what it has buffered for all of them together has a budget.
//!
//! Their clients are elsewhere, and have none. Each connection has books of its own; here is what concerns them all.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use actix_sockets::Budget;
use actix_sockets::test::{End, Process};
use tokio::time::sleep;

use super::chance::Chance;
use super::ledger::{Books, Shared, Side};
use super::log::Log;
use super::plan::{Deed, How, Plan};

/// What is counted of a connection is rounded down to this, and so much is read at once.
const STEP: usize = 8 << 10;
const READ: usize = 64 << 10;

/// What the first of several connections knows of the others.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    limit: usize,
    /// The one that has most is closed.
    closes_largest: bool,
    others: Vec<Plan>,
}

/// The plan of a run with several.
pub(crate) fn plan(seed: u64, without: &[&str]) -> Plan {
    let mut chance = Chance::of(seed, "who is there");
    let c = &mut chance;
    let closes_largest = c.percent(15);
    // Time is the same for all, and what is inflated is more than was read.
    let mut without = [without, &["jumps", "deflate"]].concat();
    if c.percent(70) {
        without.extend(["faults", "deaths", "overload", "wind-down"]);
    }
    let most = [c.between(8 << 10, 20 << 10), c.between(20 << 10, 60 << 10), c.between(60 << 10, 300 << 10)];
    let limit = c.one_of(&most);
    let mut plans: Vec<Plan> = (0..c.between(2, 4) as u64).map(|number| one(seed, number, &without, c)).collect();
    plans.iter_mut().for_each(|plan| plan.kind &= !closes_largest);
    let others = plans.split_off(1);
    let first = plans.remove(0);
    Plan { company: Some(Box::new(Beside { limit, closes_largest, others })), ..first }
}

fn one(seed: u64, number: u64, without: &[&str], c: &mut Chance) -> Plan {
    let mut plan = Plan::drawn(seed ^ number << 48, without, true);
    plan.begins = c.millis(0, 1_500);
    // A server is what there is but one of.
    plan.hostile = plan.hostile.filter(|end| *end == End::Client);
    plan.upgrades = c.percent(75) || plan.hostile.is_some();
    // All speak at once now and then, and the server's handler has much in hand.
    let at = Duration::from_millis(2_500).saturating_sub(plan.begins);
    for _ in 0..c.one_of(&[0, 2, 5]) {
        let (length, fragments) = (c.between(plan.longest / 4, plan.longest), c.one_of(&[1, 1, 3]));
        plan.ends[End::Client as usize].script.push((at, false, Deed::Say { length, fragments, how: How::Send }));
    }
    let server = &mut plan.ends[End::Server as usize];
    if c.percent(50) {
        (server.holds, server.window) = (100, 256 << 10);
    }
    for asked in &mut plan.exchanges {
        if asked.streamed.is_none() && c.percent(60) {
            (asked.content, asked.answer) = (c.between(0, 2 * plan.longest), c.between(0, plan.longest));
        }
    }
    plan
}

/// Pieces and capacity of one of several.
pub(crate) fn network(seed: u64) -> (usize, usize) {
    let mut chance = Chance::of(seed, "how wide it is");
    (chance.one_of(&[600, 5_000, 30_000, usize::MAX]), chance.one_of(&[4 << 10, 16 << 10, 64 << 10, 256 << 10]))
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "a budget of {} bytes (closes the largest: {}) for it and:", self.limit, self.closes_largest)?;
        self.others.iter().try_for_each(|plan| write!(f, "{plan}"))
    }
}

/// The server that several connections lead to.
pub(crate) struct Company {
    pub(crate) process: Process,
    limit: usize,
    books: Mutex<Vec<Weak<Books>>>,
    log: Log,
}

impl Company {
    pub(crate) fn new(beside: &Beside, log: &Log) -> Arc<Self> {
        let budget = Budget::bytes(beside.limit);
        let process = Process::with(if beside.closes_largest { budget.close_largest() } else { budget });
        Arc::new(Self { process, limit: beside.limit, books: Mutex::default(), log: log.clone() })
    }

    /// Its connections, as this plan of the first has them.
    pub(crate) fn comes(self: &Arc<Self>, mut first: Plan) -> Vec<Shared> {
        let others = first.company.take().map(|beside| beside.others).unwrap_or_default();
        let plans = std::iter::once(first).chain(others).enumerate();
        let all: Vec<Shared> = plans.map(|(number, plan)| Books::new(plan, self.log.of(number), Some(self.clone()))).collect();
        *self.books.lock().unwrap_or_else(PoisonError::into_inner) = all.iter().map(Arc::downgrade).collect();
        all
    }

    /// Its connections that are there.
    fn there(&self) -> Vec<Shared> {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.iter().filter_map(Weak::upgrade).filter(|books| books.link.connections(End::Server) > 0).collect()
    }

    /// A handler has something more in hand: the limit may be passed by what is not counted of each connection, a read of it, the message that it was within, which
    /// is read to its end, and what comes behind its request.
    pub(crate) fn weigh(&self) {
        let there = self.there();
        let in_hand: usize = there.iter().map(|books| books.in_hand()).sum();
        let each = |books: &Shared| STEP + books.plan.read() + books.message() + books.behind();
        let most = self.limit + there.iter().map(each).sum::<usize>() + READ;
        if in_hand > most {
            let limit = self.limit;
            self.log.wrong(format_args!("{in_hand} bytes are in hand at the server: its budget is {limit}, and {most} may be there"));
        }
    }

    fn has_unkind(&self) -> bool {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.iter().filter_map(Weak::upgrade).any(|books| !books.plan.kind)
    }

    /// What there is is counted, once each that is about to has had its turn.
    async fn look(&self) {
        for last in [false; 50].into_iter().chain([true]) {
            let there: usize = self.there().iter().map(|books| (books.in_hand() + books.unsent()) / STEP * STEP).sum();
            let counted = self.process.buffered();
            if counted >= there {
                return;
            }
            if last {
                self.log.wrong(format_args!("{there} bytes are buffered at the server, and {counted} are counted"));
            }
            tokio::task::yield_now().await;
        }
    }

    /// Nobody has anything.
    fn rests(&self, when: &str) {
        let counted = self.process.buffered();
        if counted > 0 {
            self.log.wrong(format_args!("{counted} bytes are counted {when}"));
        }
    }

    /// All their lives: the unkind ones to their ends; the others are at rest once those are gone, and end then.
    pub(crate) async fn lives(self: &Arc<Self>, all: &[Shared]) {
        let company = self.clone();
        let looks = actix::spawn(async move {
            for number in 0.. {
                company.look().await;
                sleep(Duration::from_millis(if number < 100 { 70 } else { 900 })).await;
            }
        });
        let each = |end: bool| {
            all.iter().filter(move |books| !end || books.plan.kind).map(move |books| {
                let books = books.clone();
                actix::spawn(async move {
                    if !end {
                        sleep(books.plan.begins).await;
                        super::live(&books).await;
                    }
                    if end || !books.plan.kind {
                        super::end(&books).await;
                    }
                })
            })
        };
        for end in [false, true] {
            for course in each(end).collect::<Vec<_>>() {
                course.await.expect("nobody is stopped");
            }
            sleep(Duration::from_secs(1)).await;
            self.rests(if end { "and all have gone" } else { "and all are at rest" });
        }
        looks.abort();
    }
}

impl Books {
    /// What the server's handlers have in hand, of the protocol that is spoken.
    fn in_hand(&self) -> usize {
        let inner = self.open();
        let side = &inner.sides[End::Server as usize];
        if side.upgraded > 0 { side.held } else { inner.uploaded + inner.whole }
    }

    /// How long a message of the protocol that is spoken may be.
    fn message(&self) -> usize {
        if self.is_upgraded() { self.plan.longest } else { self.plan.exchanges.iter().map(|asked| asked.content).max().unwrap_or_default() }
    }

    /// What is read of requests behind the one that is read to its end: those that are pipelined, or the window, and what was read with heads.
    fn behind(&self) -> usize {
        let Plan { exchanges, pipelining, streams, .. } = &self.plan;
        match streams {
            _ if self.is_upgraded() => 0,
            Some((window, _)) => (*window).min(self.message() * exchanges.len()) + (16 << 10) + READ,
            None => self.message() * (pipelining - 1),
        }
    }

    fn is_upgraded(&self) -> bool {
        self.open().sides[End::Server as usize].upgraded > 0
    }

    /// Whether it has ended for the others: one beside it that is not kind had too much for so long that the budget's patience was over.
    pub(crate) fn has_made_room(&self, sides: &[Side]) -> bool {
        let for_room = |side: &Side| side.closed.iter().any(|closed| closed.reason.starts_with("all together have buffered too much"));
        sides.iter().any(for_room) && self.company.as_ref().is_some_and(|company| company.has_unkind())
    }

    /// What is to be written there.
    fn unsent(&self) -> usize {
        let socket = self.open().sides[End::Server as usize].socket.clone();
        socket.map_or(0, |socket| socket.buffered_amount())
    }

    /// A handler has something more in hand.
    pub(crate) fn weigh(&self, end: End) {
        if let (End::Server, Some(company)) = (end, &self.company) {
            company.weigh();
        }
    }
}

impl Plan {
    /// How much comes in one read.
    fn read(&self) -> usize {
        self.pieces.min(self.capacity).min(READ.max(self.longest))
    }
}
