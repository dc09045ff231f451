//! What a seed says: who is connected by what, with which settings, who does what and when.

use std::fmt;
use std::time::Duration;

use actix_sockets::Overflow;
use actix_sockets::test::End;

use super::chance::Chance;
use super::company::{self, Beside};

/// What can be left out of a plan, to see whether a failure needs it.
pub(crate) const FEATURES: [&str; 20] = [
    "faults",
    "latency",
    "pieces",
    "capacity",
    "deflate",
    "hosted",
    "exchanges",
    "pings",
    "holds",
    "waits",
    "fragments",
    "acks",
    "deaths",
    "wind-down",
    "jumps",
    "overload",
    "policy",
    "conflation",
    "streams",
    "company",
];

/// How a frame handler is known to its websocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Address,
    Context,
    Factory,
}

/// What happens to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Reset,
    /// Of the client's direction, the server's, both.
    Dark(bool, bool),
    Stall(bool, Duration),
}

/// What a script does, at one of the ends.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// A message: how long, in how many fragments, and how it is sent.
    Say {
        length: usize,
        fragments: usize,
        how: How,
    },
    /// Messages until exactly the hard limit is unsent, and one more that is to be refused.
    Fill,
    /// So many messages at once, of so many bytes at most.
    Burst(usize, usize),
    Ping,
    /// The handler waits for something else, and hears nothing meanwhile.
    Wait(Duration),
    Close(u16),
    Stop,
    Panic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Send,
    Acked,
    Try,
}

/// Of one end.
#[derive(Clone, Debug)]
pub(crate) struct EndPlan {
    pub(crate) place: Place,
    pub(crate) soft: usize,
    pub(crate) hard: usize,
    pub(crate) window: usize,
    pub(crate) ping: Option<(Duration, Duration)>,
    pub(crate) closing: Duration,
    pub(crate) stall: Duration,
    /// A stage above the others in an actor of its own.
    pub(crate) hosted: bool,
    /// The handler hears fragments.
    pub(crate) fragments: bool,
    pub(crate) deflate: bool,
    pub(crate) contexts: bool,
    pub(crate) observed: bool,
    /// How many of a hundred messages are answered, held, answered later.
    pub(crate) answers: u64,
    pub(crate) holds: u64,
    pub(crate) later: u64,
    pub(crate) hold_for: Duration,
    /// It sends beyond the soft limit, and beyond the hard one.
    pub(crate) floods: bool,
    pub(crate) overloads: bool,
    /// What becomes of what it sends beyond the hard limit.
    pub(crate) policy: Overflow,
    /// When, from within the handler or not, what.
    pub(crate) script: Vec<(Duration, bool, Deed)>,
}

impl EndPlan {
    /// What it sends may be dropped.
    pub(crate) fn drops(&self) -> bool {
        self.policy != Overflow::Close
    }

    /// What it sends may take the place of something older.
    pub(crate) fn conflates(&self) -> bool {
        self.policy == Overflow::Conflate
    }
}

/// An HTTP request, and how it is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) content: usize,
    pub(crate) answer: usize,
    /// `None`: its responder is dropped.
    pub(crate) after: Option<Duration>,
    /// Its content, or its answer's, goes in pieces.
    pub(crate) streamed: Option<Streamed>,
}

/// How an HTTP request and its answer are streamed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streamed {
    /// In how many pieces the content is said, and the answer; none: at once.
    pub(crate) up: usize,
    pub(crate) down: usize,
    /// The answer is taken as it comes.
    pub(crate) taken: bool,
    /// The answer does not wait for the content.
    pub(crate) early: bool,
    /// Lengths are said ahead; the content waits to be asked for.
    pub(crate) known: bool,
    pub(crate) expects: bool,
    pub(crate) how: How,
    /// Before each piece that is said, and for how long each that is heard is in hand.
    pub(crate) pause: Duration,
    pub(crate) hold: Duration,
    /// The end of the content, or of the answer, is never said.
    pub(crate) cut: bool,
}

impl Streamed {
    fn drawn(s: &mut Chance, kind: bool, answered: bool) -> Self {
        let early = answered && s.percent(15);
        Self {
            up: s.one_of(&[0, 1, 3, 8]),
            down: s.one_of(&[0, 1, 3, 8]),
            taken: s.percent(50),
            early,
            known: s.percent(40),
            expects: s.percent(20) && !early,
            how: s.one_of(&[How::Send, How::Acked, How::Try]),
            pause: Duration::from_millis(s.one_of(&[0, 0, 1, 60])),
            hold: Duration::from_millis(s.one_of(&[0, 0, 5, 90])),
            cut: s.percent(10) && !kind,
        }
    }
}

/// How a connection that nothing has ended is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By the client's Close, the server's, or both at a time.
    Close(bool, bool),
    /// The server, or the client, winds down.
    WindDown(bool),
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) latency: (Duration, Duration),
    pub(crate) pieces: usize,
    pub(crate) capacity: usize,
    pub(crate) forgetful: bool,
    pub(crate) fault: Option<(Duration, Fault)>,
    pub(crate) jump: Option<(Duration, Duration)>,
    pub(crate) exchanges: Vec<Asked>,
    pub(crate) pipelining: usize,
    /// Content of requests is told to the server's handler as it comes; how much of it may be in hand, and unsent of what is answered.
    pub(crate) streams: Option<(usize, usize)>,
    /// All requests are sent at once, the upgrade behind them.
    pub(crate) at_once: bool,
    pub(crate) ends: [EndPlan; 2],
    /// The longest message.
    pub(crate) longest: usize,
    pub(crate) ending: Ending,
    /// Messages right before the Close.
    pub(crate) last_words: usize,
    /// Wound down in the midst of it all: the server, or the client.
    pub(crate) wind_down: Option<(Duration, bool, Duration)>,
    /// Nothing happens that may cut the connection: everything arrives, and the end is clean.
    pub(crate) kind: bool,
    /// This end is one that breaks rules: see `hostile.rs`.
    pub(crate) hostile: Option<End>,
    /// It becomes a websocket behind its requests.
    pub(crate) upgrades: bool,
    /// When it is made.
    pub(crate) begins: Duration,
    /// There are others beside it.
    pub(crate) accompanied: bool,
    /// Who is: of the first of them.
    pub(crate) company: Option<Box<Beside>>,
}

impl Plan {
    /// Of this seed, without what is left out.
    pub(crate) fn of(seed: u64, without: &[&str]) -> Self {
        let accompanied = Chance::of(seed, "company").percent(4) && !without.contains(&"company");
        if accompanied { company::plan(seed, without) } else { Self::drawn(seed, without, false) }
    }

    /// One connection, alone or beside others.
    pub(crate) fn drawn(seed: u64, without: &[&str], accompanied: bool) -> Self {
        let has = |feature: &str, percent: u64| {
            debug_assert!(FEATURES.contains(&feature));
            Chance::of(seed, feature).percent(percent) && !without.contains(&feature)
        };
        let mut chance = Chance::of(seed, "plan");
        let c = &mut chance;
        let latency = match has("latency", 60) {
            true => (c.millis(0, 10), c.millis(10, 40)),
            false => (Duration::ZERO, Duration::ZERO),
        };
        let slow = latency.1 > Duration::ZERO;
        let pieces: usize = if has("pieces", 60) { c.one_of(&[1, 3, 10, 60, 300, 2_000, 20_000]) } else { usize::MAX };
        let smallest: usize = if slow { 4_096 } else { 20 };
        let capacity: usize = if has("capacity", 60) { c.one_of(&[20, 100, 600, 4_096, 16_384]).max(smallest) } else { 64 << 10 };
        // There has to be something to be counted.
        let (pieces, capacity) = if accompanied { company::network(seed) } else { (pieces, capacity) };
        let longest = (capacity.saturating_mul(if slow { 3 } else { 40 })).min(pieces.saturating_mul(250)).clamp(200, 70_000);
        let deaths = has("deaths", 10);
        let overload = has("overload", 15);
        let wind_down = has("wind-down", 10).then(|| (c.millis(0, 3_000), c.percent(70), c.millis(100, 6_000)));
        let fault = has("faults", 35).then(|| {
            let both = c.between(0, 2);
            let fault = match c.between(0, 2) {
                0 => Fault::Reset,
                1 => Fault::Dark(both != 1, both != 2),
                _ => Fault::Stall(c.percent(50), c.millis(10, 20_000)),
            };
            (c.millis(0, 4_000), fault)
        });
        let jump = has("jumps", 10).then(|| (c.millis(100, 4_000), c.millis(1, 30_000)));
        let kind = fault.is_none() && !deaths && !overload && wind_down.is_none() && jump.is_none();
        let deflate = has("deflate", 25);
        // One end may hold what it hears for long, and one may send beyond the soft limit; then the other is patient with it.
        let holder = has("holds", 50).then(|| c.between(0, 1));
        let flooder = c.percent(40).then(|| c.between(0, 1));
        // Drawn apart, so that what is without it stays as it was.
        let policies = [Overflow::DropNewest, Overflow::DropOldest];
        let policy = has("policy", 40).then(|| Chance::of(seed, "which policy").one_of(&policies));
        let policy = if has("conflation", 35) { policy.map(|_| Overflow::Conflate) } else { policy };
        let waits = has("waits", 20);
        let pings = has("pings", 60);
        let fragments = has("fragments", 40);
        let acks = has("acks", 60);
        let mut ends = [0, 1].map(|end| {
            let soft = c.one_of(&[100, 1_000, 5_000, 20_000, 65_536]);
            // Two ends that are both above their soft limits do not read, until `write_stall` ends it, which is not kind. So beside one that floods the other has
            // room; and so has the client of a server whose budget what it has not written may use up.
            let roomy = flooder.is_some_and(|flooder| flooder != end) || accompanied && end == End::Client as usize;
            let soft = if kind && roomy { 1 << 20 } else { soft };
            let policy = match policy {
                Some(policy) if flooder == Some(end) => policy,
                _ => Overflow::Close,
            };
            let hard = if overload || matches!(policy, Overflow::DropNewest | Overflow::DropOldest) {
                soft + c.between(0, 3_000)
            } else {
                soft + longest + 200 + c.between(0, 5_000)
            };
            let impatient = holder.is_none_or(|holder| holder == end) && !waits && !slow && !accompanied;
            let ping = (pings && c.percent(70) && (impatient || !kind)).then(|| (c.millis(200, 1_500), c.millis(400, 3_000)));
            let holds = if holder == Some(end) { c.one_of(&[20, 60, 100]) } else { 0 };
            EndPlan {
                place: c.one_of(&[Place::Address, Place::Context, Place::Factory]),
                soft,
                hard: hard.max(1),
                window: c.one_of(&[0, 100, 1_000, 10_000, 262_144]),
                ping,
                closing: if kind { Duration::from_secs(5) } else { c.millis(100, 5_000) },
                // Who holds each of many messages for long, and reads nothing meanwhile, is kind, too.
                stall: if kind { Duration::from_secs(600) } else { c.millis(500, 30_000) },
                hosted: has("hosted", 20) && c.percent(60),
                fragments: fragments && c.percent(25),
                deflate,
                contexts: c.percent(50),
                observed: c.percent(50),
                answers: c.one_of(&[0, 30, 100]),
                holds,
                later: c.one_of(&[0, 10, 30]),
                hold_for: c.millis(1, if kind { 2_500 } else { 8_000 }) / if accompanied { 4 } else { 1 },
                floods: flooder == Some(end),
                overloads: overload && c.percent(60),
                policy,
                script: Vec::new(),
            }
        });
        let mut bursts = Chance::of(seed, "bursts");
        for end in &mut ends {
            for _ in 0..c.one_of(&[0, 2, 6, 15]) {
                let latest = c.one_of(&[3, 300, 3_000]);
                let (at, within) = (c.millis(0, latest), c.percent(60));
                let length = size(c, longest);
                let how = if acks { c.one_of(&[How::Send, How::Acked, How::Try]) } else { How::Send };
                let parts = if fragments && c.percent(40) { c.between(2, 5) } else { 1 };
                let deed = match c.between(0, 99) {
                    0..=74 => Deed::Say { length, fragments: parts, how },
                    75..=79 if overload => Deed::Fill,
                    80..=89 if pings => Deed::Ping,
                    90..=94 if waits && within => Deed::Wait(c.millis(1, 1_500)),
                    _ => Deed::Say { length, fragments: 1, how: How::Send },
                };
                end.script.push((at, within, deed));
            }
            if overload && c.percent(50) {
                end.script.push((c.millis(0, 2_000), true, Deed::Fill));
            }
            if deaths && c.percent(60) {
                end.script.push((c.millis(0, 3_000), true, c.one_of(&[Deed::Stop, Deed::Panic, Deed::Close(3_000)])));
            }
            if end.drops() {
                for _ in 0..bursts.between(1, 3) {
                    let most = size(&mut bursts, longest).max(8);
                    // Some more than there is room for, where that can be.
                    let many = bursts.between(1, 2 * end.hard / most + 5).min(60);
                    end.script.push((bursts.millis(0, 3_000), bursts.percent(60), Deed::Burst(many, most)));
                }
            }
            end.script.sort_by_key(|(at, ..)| *at);
        }
        let exchanges = if has("exchanges", 60) {
            (0..c.between(0, 6))
                .map(|_| Asked {
                    content: if c.percent(30) { c.between(0, longest.min(4_000)) } else { 0 },
                    answer: c.between(0, longest.min(4_000)),
                    after: (!c.percent(5)).then(|| c.one_of(&[0, 0, 1, 50, 400])).map(Duration::from_millis),
                    streamed: None,
                })
                .collect()
        } else {
            Vec::new()
        };
        let ending = match c.between(0, 9) {
            0..=3 => Ending::Close(true, false),
            4..=6 => Ending::Close(false, true),
            7 => Ending::Close(true, true),
            8 => Ending::WindDown(true),
            _ => Ending::WindDown(false),
        };
        let hostile = if Chance::of(seed, "hostile").percent(15) {
            Some(End::Client)
        } else {
            Chance::of(seed, "hostile server").percent(6).then_some(End::Server)
        };
        // That one knows but one request.
        let mut exchanges: Vec<Asked> = if hostile == Some(End::Server) { Vec::new() } else { exchanges };
        let mut s = Chance::of(seed, "what is streamed");
        let streams = has("streams", 30).then(|| (s.one_of(&[100, 3_000, 262_144]), s.one_of(&[100, 3_000, 65_536])));
        for asked in exchanges.iter_mut().filter(|_| streams.is_some()) {
            if s.percent(75) {
                asked.content = s.between(0, 2 * longest);
                asked.answer = s.between(0, 2 * longest);
                let mut streamed = Streamed::drawn(&mut s, kind, asked.after.is_some());
                // As many pieces as are read, and as many of them in hand at a time as the window lets: all of it is to be heard within the handler's time.
                let read = pieces.min(capacity).div_ceil(2);
                let heard = asked.content.max(asked.answer) / read + 8;
                let at_a_time = if streamed.taken { 1 } else { (streams.map_or(0, |(window, _)| window) / (read + 256)).max(1) };
                if streamed.hold * (heard / at_a_time) as u32 > Duration::from_secs(3) {
                    streamed.hold = Duration::ZERO;
                }
                asked.streamed = Some(streamed);
                // A client that takes its answers slowly does not read, and cannot speak: to a server that is a websocket already it makes no sign of life.
                if kind && streamed.taken && !streamed.hold.is_zero() {
                    ends[End::Server as usize].ping = None;
                }
            }
        }
        Self {
            seed,
            latency,
            pieces,
            capacity,
            forgetful: c.percent(50),
            fault,
            jump,
            exchanges,
            pipelining: c.one_of(&[1, 1, 2, 4]),
            streams,
            at_once: c.percent(50),
            ends,
            longest,
            ending,
            last_words: if c.percent(50) { c.between(1, 5) } else { 0 },
            wind_down,
            kind: kind && hostile.is_none(),
            hostile,
            upgrades: true,
            begins: Duration::ZERO,
            accompanied,
            company: None,
        }
    }
}

/// Around the borders, most of all.
fn size(c: &mut Chance, longest: usize) -> usize {
    let border = c.one_of(&[0, 1, 16, 125, 126, 127, 1_000, 8_191, 8_192, 16_383, 16_384, 65_535, 65_536]);
    match c.between(0, 3) {
        0 | 1 => (border + c.between(0, 2)).saturating_sub(1).min(longest),
        2 => c.between(0, 300.min(longest)),
        _ => c.between(0, longest),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, latency, pieces, capacity, fault, jump, exchanges, ends, longest, ending, last_words, wind_down, kind, .. } = self;
        writeln!(
            f,
            "seed {seed}: kind {kind}, hostile {:?}, latency {latency:?}, pieces {pieces}, capacity {capacity}, longest {longest}",
            self.hostile
        )?;
        writeln!(f, "fault {fault:?}, jump {jump:?}, wound down {wind_down:?}, ended by {ending:?} after {last_words} last words")?;
        writeln!(f, "{} exchanges (at once: {}, pipelining {}): {exchanges:?}", exchanges.len(), self.at_once, self.pipelining)?;
        for (end, name) in ends.iter().zip(["client", "server"]) {
            writeln!(f, "{name}: {end:?}")?;
        }
        self.company.iter().try_for_each(|beside| write!(f, "{beside}"))
    }
}
