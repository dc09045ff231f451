//! The limits of a websocket, as they are unless somebody says otherwise: what is at a limit and what is beyond it, n and n + 1. Over connections in memory
//! and on virtual time; with `--nocapture` they are a table.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use actix_sockets::stage::{AutoPong, Chain, Command, Flow, Stage};
use actix_sockets::test::{self, Peer};
use actix_sockets::websocket::{CloseCode, OpCode};
use actix_sockets::{
    Close, Closed, Drained, Frame, Overflow, Received, SendError, SendStatus, Socket, StageActor, UpgradeServer, Upgraded,
    WebSocketSettings, WebSockets,
};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// What a frame counts for besides its payload while it waits to be written, and while a handler has it in hand.
const UNSENT: usize = 64;
const IN_HAND: usize = 64;
const NEARLY: Duration = Duration::from_millis(1);

/// Keeps all that it is told.
#[derive(Clone, Default)]
struct Keeper(Rc<RefCell<Kept>>);

#[derive(Default)]
struct Kept {
    socket: Option<Socket>,
    /// With what keeps it in hand.
    messages: Vec<Received<Frame>>,
    drained: usize,
    closed: Option<Closed>,
}

impl Actor for Keeper {
    type Context = Context<Self>;
}

impl Handler<Received<Upgraded>> for Keeper {
    type Result = ();
    fn handle(&mut self, upgraded: Received<Upgraded>, _: &mut Self::Context) {
        self.0.borrow_mut().socket = Some(upgraded.sender);
    }
}

impl Handler<Received<Frame>> for Keeper {
    type Result = ();
    fn handle(&mut self, message: Received<Frame>, _: &mut Self::Context) {
        self.0.borrow_mut().messages.push(message);
    }
}

impl Handler<Received<Drained>> for Keeper {
    type Result = ();
    fn handle(&mut self, _: Received<Drained>, _: &mut Self::Context) {
        self.0.borrow_mut().drained += 1;
    }
}

impl Handler<Received<Closed>> for Keeper {
    type Result = ();
    fn handle(&mut self, closed: Received<Closed>, _: &mut Self::Context) {
        self.0.borrow_mut().closed = Some(closed.message);
    }
}

thread_local! {
    static KEEPER: Keeper = Keeper::default();
}

/// A websocket with nothing but defaults, and a peer that says only what it is told to.
struct Site {
    peer: Peer,
}

impl Site {
    async fn new() -> Self {
        Self::with(|upgrade| upgrade).await
    }

    async fn with(more: fn(UpgradeServer<Keeper>) -> UpgradeServer<Keeper>) -> Self {
        kept(|kept| *kept = Kept::default());
        let handler = move || {
            let keeper = || KEEPER.with(Clone::clone);
            WebSockets::handled_by(keeper).upgrading(move |upgrade| more(upgrade.hears::<Upgraded>().hears::<Drained>().hears::<Closed>()))
        };
        let site = Self { peer: test::websocket(handler, "/").await };
        a_moment().await;
        site
    }

    async fn says(&mut self, first: u8, payload: &[u8]) {
        let mut bytes = head(first, payload.len());
        bytes.extend(payload);
        self.peer.says_bytes(&bytes).await;
    }

    /// What has become of it.
    async fn is(&mut self) -> String {
        a_moment().await;
        kept(|kept| match &kept.closed {
            Some(closed) => format!("closed with {}", closed.code.0),
            None => "open".to_owned(),
        })
    }

    /// The same, once the Close frame has been read that the peer is told.
    async fn hears_close(&mut self) -> String {
        loop {
            let frame = self.peer.hears().await;
            if frame.opcode == OpCode::Close {
                return format!("Close {}", frame.close_reason().unwrap().0.0);
            }
        }
    }

    fn socket(&self) -> Socket {
        kept(|kept| kept.socket.clone()).unwrap()
    }
}

fn kept<T>(look: impl FnOnce(&mut Kept) -> T) -> T {
    KEEPER.with(|keeper| look(&mut keeper.0.borrow_mut()))
}

fn messages() -> String {
    format!("{} told", kept(|kept| kept.messages.iter().filter(|message| message.message.fin).count()))
}

async fn a_moment() {
    test::pass(Duration::from_millis(10)).await;
}

/// The header of a frame, masked with zeros.
fn head(first: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(0x80 | length as u8),
        126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes
}

/// The bytes of one frame more or less.
type Does = fn(usize) -> Pin<Box<dyn Future<Output = String>>>;

/// `does(0)` is what happens at the limit, `does(1)` beyond it.
struct Row {
    limit: &'static str,
    value: &'static str,
    does: Does,
    at: &'static str,
    beyond: &'static str,
}

const ROWS: &[Row] = &[
    Row { limit: "frame", value: "1 MiB", does: |more| Box::pin(frame(more)), at: "1 told, open", beyond: "Close 1009, 0 told" },
    Row { limit: "message", value: "8 MiB", does: |more| Box::pin(message(more)), at: "1 told, open", beyond: "Close 1009, 0 told" },
    Row { limit: "fragments", value: "16384", does: |more| Box::pin(fragments(more)), at: "1 told, open", beyond: "Close 1008, 0 told" },
    Row { limit: "incomplete message", value: "60 s", does: |more| Box::pin(incomplete(more)), at: "open", beyond: "closed with 1008" },
    Row {
        limit: "unsent, soft",
        value: "64 KiB",
        does: |more| Box::pin(soft(more)),
        at: "Queued, 0 Drained",
        beyond: "Flooded, 1 Drained",
    },
    Row { limit: "unsent, hard", value: "1 MiB", does: |less| Box::pin(hard(less)), at: "Full, closed with 1008", beyond: "Flooded, open" },
    Row { limit: "window", value: "256 KiB", does: |more| Box::pin(window(more)), at: "2 told", beyond: "1 told, then 1 told" },
    Row { limit: "write_stall", value: "30 s", does: |more| Box::pin(stall(more)), at: "open", beyond: "closed with 1008" },
    Row { limit: "closing handshake", value: "5 s", does: |more| Box::pin(closing(more)), at: "open", beyond: "closed with 1000" },
    Row { limit: "ping", value: "20 s", does: |more| Box::pin(ping(more)), at: "no ping", beyond: "a ping" },
    Row { limit: "sign of life", value: "20 s", does: |more| Box::pin(life(more)), at: "open", beyond: "closed with 1011" },
];

#[test]
fn each_limit_at_n_and_beyond() {
    println!("{:<20}{:<10}{:<26}beyond it", "limit", "n", "at it");
    for Row { limit, value, does, at, beyond } in ROWS {
        let (n, more) = (test::run(does(0)), test::run(does(1)));
        println!("{limit:<20}{value:<10}{n:<26}{more}");
        assert_eq!((n.as_str(), more.as_str()), (*at, *beyond), "{limit}");
    }
}

/// Of the one that is too long no more is said than its header.
async fn frame(more: usize) -> String {
    let mut site = Site::new().await;
    if more == 0 {
        site.says(0x82, &vec![1; MIB]).await;
        return format!("{}, {}", told().await, site.is().await);
    }
    site.peer.says_bytes(&head(0x82, MIB + more)).await;
    format!("{}, {}", site.hears_close().await, messages())
}

async fn told() -> String {
    a_moment().await;
    messages()
}

/// It is refused at the header of the fragment that crosses the limit (T24).
async fn message(more: usize) -> String {
    let mut site = Site::new().await;
    site.says(0x02, &vec![1; MIB]).await;
    for _ in 0..7 {
        site.says(0x00, &vec![1; MIB]).await;
    }
    if more == 0 {
        site.says(0x80, b"").await;
        return format!("{}, {}", told().await, site.is().await);
    }
    assert_eq!(site.is().await, "open");
    site.peer.says_bytes(&head(0x00, more)).await;
    format!("{}, {}", site.hears_close().await, messages())
}

async fn fragments(more: usize) -> String {
    let mut site = Site::new().await;
    let mut bytes = head(0x01, 0);
    (2..16_384 + more).for_each(|_| bytes.extend(head(0x00, 0)));
    bytes.extend(head(0x80, 0));
    site.peer.says_bytes(&bytes).await;
    if more == 0 { format!("{}, {}", told().await, site.is().await) } else { format!("{}, {}", site.hears_close().await, messages()) }
}

/// Pings are answered meanwhile: the peer lives, and its message does not end.
async fn incomplete(more: usize) -> String {
    let mut site = Site::new().await;
    site.says(0x01, b"begun").await;
    for _ in 0..5 {
        test::pass(Duration::from_secs(10)).await;
        site.says(0x8a, b"").await;
    }
    test::pass(Duration::from_secs(10) - Duration::from_millis(50)).await;
    if more > 0 {
        test::pass(Duration::from_millis(100)).await;
    }
    site.is().await
}

/// Said in one turn, so that nothing is written meanwhile.
async fn soft(more: usize) -> String {
    let mut site = Site::new().await;
    let status = site.socket().try_send(Frame::binary(vec![1; 64 * KIB - UNSENT + more])).unwrap();
    assert_eq!(site.peer.hears().await.data.len(), 64 * KIB - UNSENT + more);
    a_moment().await;
    format!("{status:?}, {} Drained", kept(|kept| kept.drained))
}

/// What is offered below the limit is taken, however long it is; what is offered at the limit meets the policy.
async fn hard(less: usize) -> String {
    let mut site = Site::new().await;
    let socket = site.socket();
    socket.try_send(Frame::binary(vec![1; MIB - UNSENT - less])).unwrap();
    let next = Frame::binary(vec![2; 2 * MIB]);
    let offered = socket.try_send(next.clone());
    let said = match offered {
        Ok(status) => format!("{status:?}"),
        Err(SendError::Full) => {
            socket.do_send(next);
            "Full".to_owned()
        }
        Err(other) => format!("{other:?}"),
    };
    if less > 0 {
        assert_eq!(socket.try_send(Frame::text("one more")), Err(SendError::Full), "one is taken whole, and no more");
    }
    format!("{said}, {}", site.is().await)
}

async fn window(more: usize) -> String {
    let mut site = Site::new().await;
    site.says(0x82, &vec![1; 256 * KIB - IN_HAND + more]).await;
    a_moment().await;
    site.says(0x81, b"next").await;
    let first = told().await;
    if more == 0 {
        return first;
    }
    kept(|kept| kept.messages.clear());
    format!("{first}, then {}", told().await)
}

/// The peer reads nothing.
async fn stall(more: usize) -> String {
    let mut site = Site::new().await;
    site.socket().do_send(Frame::binary(vec![1; 900 * KIB]));
    test::pass(Duration::from_secs(30) - Duration::from_millis(50)).await;
    if more > 0 {
        test::pass(Duration::from_millis(100)).await;
    }
    site.is().await
}

/// The peer does not answer our Close.
async fn closing(more: usize) -> String {
    let mut site = Site::new().await;
    site.socket().do_send(Close::new(CloseCode::NORMAL, ""));
    assert_eq!(site.hears_close().await, "Close 1000");
    test::pass(Duration::from_secs(5) - 50 * NEARLY).await;
    if more > 0 {
        test::pass(100 * NEARLY).await;
    }
    site.is().await
}

async fn ping(more: usize) -> String {
    let mut site = Site::new().await;
    site.peer.hears_nothing_for(Duration::from_secs(10)).await;
    site.peer.hears_nothing_for(Duration::from_secs(10) - 50 * NEARLY).await;
    if more == 0 {
        return "no ping".to_owned();
    }
    assert_eq!(site.peer.hears().await.opcode, OpCode::Ping);
    "a ping".to_owned()
}

/// The first ping is not answered.
async fn life(more: usize) -> String {
    let mut site = Site::new().await;
    test::pass(Duration::from_secs(20)).await;
    assert_eq!(site.peer.hears().await.opcode, OpCode::Ping);
    test::pass(Duration::from_secs(20) - 50 * NEARLY).await;
    if more > 0 {
        test::pass(100 * NEARLY).await;
    }
    site.is().await
}

/// A control frame passes the hard limit, as far as one data frame may: then there is no room for it, and nothing is closed or dropped for its sake. So no
/// more than the hard limit and one frame is ever unsent, whatever the policy.
#[test]
fn t30_control_frames_pass_the_hard_limit_as_far_as_one_frame() {
    const FRAME: usize = 1000 + UNSENT;
    const POLICIES: [fn(UpgradeServer<Keeper>) -> UpgradeServer<Keeper>; 4] = [
        |upgrade| upgrade.settings(WebSocketSettings::new().overflow(Overflow::Close)),
        |upgrade| upgrade.settings(WebSocketSettings::new().overflow(Overflow::DropNewest)),
        |upgrade| upgrade.settings(WebSocketSettings::new().overflow(Overflow::DropOldest)),
        |upgrade| upgrade.settings(WebSocketSettings::new().overflow(Overflow::Conflate)),
    ];
    for policy in POLICIES {
        test::run(async move {
            let mut site = Site::with(policy).await;
            let socket = site.socket();
            while socket.try_send(Frame::binary(vec![1; FRAME - UNSENT])).is_ok() {}
            let data = socket.buffered_amount();
            assert!((MIB..MIB + FRAME).contains(&data), "{data}");
            let room = (MIB + FRAME - data) / UNSENT;
            for _ in 0..room {
                socket.try_send(Frame::ping("")).unwrap();
            }
            assert_eq!(socket.try_send(Frame::ping("")), Err(SendError::Full));
            (0..100_000).for_each(|_| socket.do_send(Frame::pong("unasked")));
            let unsent = socket.buffered_amount();
            println!("t30: limit {} bytes, {unsent} unsent; {room} pings passed behind {data}", MIB + FRAME);
            assert!(unsent <= MIB + FRAME && unsent > MIB + FRAME - UNSENT, "{unsent}");
            assert_eq!((site.is().await.as_str(), socket.drops().total()), ("open", 0));
            // A Close always passes.
            socket.do_send(Close::new(CloseCode::NORMAL, ""));
            assert_eq!(site.hears_close().await, "Close 1000");
        });
    }
}

/// Pings of no byte while output is almost blocked: their pongs cost more than they, and a hosted `AutoPong` keeps the newest only, as one in the pipeline.
#[test]
fn t25_pongs_of_a_hosted_stage_stop_at_the_soft_limit() {
    test::run(async {
        let mut site = Site::with(|upgrade| upgrade.stages(Chain::new()).hosted(StageActor::host(AutoPong))).await;
        let socket = site.socket();
        // The network takes 64 KiB. What is unsent then is below the soft limit by little, and the websocket is read.
        socket.do_send(Frame::binary(vec![1; 127 * KIB]));
        a_moment().await;
        let blocked = socket.buffered_amount();
        assert!((60 * KIB..64 * KIB).contains(&blocked), "{blocked}");
        let mut flood: Vec<u8> = [0x89, 0x80, 0, 0, 0, 0].repeat(10_000);
        flood.extend([&[0x89, 0x84, 0, 0, 0, 0], &b"last"[..]].concat());
        site.peer.says_bytes(&flood).await;
        a_moment().await;
        let (limit, unsent) = (64 * KIB + 139, socket.buffered_amount());
        println!("t25, hosted: limit {limit} bytes, {unsent} unsent behind 10 001 pings, {blocked} before");
        assert!(unsent > blocked && unsent <= limit, "{unsent}");
        assert_eq!(site.peer.hears().await.data.len(), 127 * KIB);
        let mut pongs = 1;
        while site.peer.hears().await != Frame::pong("last") {
            pongs += 1;
        }
        assert!(pongs < 1000, "{pongs} pongs");
        site.peer.says(Frame::ping("flows again")).await;
        assert_eq!(site.peer.hears().await, Frame::pong("flows again"));
    });
}

/// Lets all pass.
#[derive(Debug)]
struct Pass;

impl Stage for Pass {}

/// Lets nothing pass.
#[derive(Debug)]
struct Keep;

impl Stage for Keep {
    fn command(&mut self, command: Command, _: &mut Flow<'_>) {
        drop(command);
    }
}

/// Found by the simulation: what the sender has seen above a hosted stage, the websocket has not, when it writes all that waits there before the stage's
/// turn comes.
#[test]
fn what_was_seen_above_a_hosted_stage_is_told_to_be_drained() {
    test::run(async {
        let mut site = Site::with(|upgrade| upgrade.hosted(StageActor::host(Pass))).await;
        let socket = site.socket();
        socket.do_send(Frame::binary(vec![1; 64 * KIB - UNSENT]));
        a_moment().await;
        socket.do_send(Frame::binary(vec![2; 40 * KIB]));
        a_moment().await;
        assert_eq!((socket.buffered_amount().div_ceil(KIB), kept(|kept| kept.drained)), (40, 0), "the pipe is full, and little more waits");
        // Now there is room for it below, and more is sent above, in one turn.
        let first = site.peer.hears().await;
        assert_eq!(socket.try_send(Frame::binary(vec![3; 40 * KIB])), Ok(SendStatus::Flooded));
        let heard = [first, site.peer.hears().await, site.peer.hears().await];
        a_moment().await;
        assert_eq!((heard.map(|frame| frame.data[0]), socket.buffered_amount()), ([1, 2, 3], 0));
        assert_eq!(kept(|kept| kept.drained), 1);
    });
}

/// Nothing of it comes down to the websocket: it has no other reason to take a turn.
#[test]
fn what_a_hosted_stage_keeps_is_told_to_be_drained() {
    test::run(async {
        let site = Site::with(|upgrade| upgrade.hosted(StageActor::host(Keep))).await;
        let socket = site.socket();
        assert_eq!(socket.try_send(Frame::binary(vec![1; 64 * KIB])), Ok(SendStatus::Flooded));
        a_moment().await;
        assert_eq!((socket.buffered_amount(), kept(|kept| kept.drained)), (0, 1));
    });
}

/// Whoever saw the long one, and waits for room, hears that the short one has made some.
#[test]
fn what_a_short_message_makes_room_for_is_told_to_be_drained() {
    test::run(async {
        let conflating = |upgrade: UpgradeServer<Keeper>| upgrade.settings(WebSocketSettings::new().overflow(Overflow::Conflate));
        let mut site = Site::with(conflating).await;
        let socket = site.socket();
        assert_eq!(socket.try_send(Frame::binary(vec![1; 64 * KIB]).keyed(1)), Ok(SendStatus::Flooded));
        assert_eq!(socket.try_send(Frame::binary(vec![2; KIB]).keyed(1)), Ok(SendStatus::Queued));
        assert_eq!(site.peer.hears().await.data, vec![2; KIB]);
        a_moment().await;
        assert_eq!((socket.drops().conflated, kept(|kept| kept.drained)), (1, 1));
    });
}

/// Where the newest of a key takes the place of an older one it is taken whole, however long it is: a control frame passes the limit behind it all the same.
#[test]
fn a_long_message_in_the_place_of_a_short_one_keeps_back_no_ping() {
    test::run(async {
        let handler = || {
            WebSockets::handled_by(|| KEEPER.with(Clone::clone))
                .upgrading(|upgrade| upgrade.hears::<Upgraded>().settings(WebSocketSettings::new().overflow(Overflow::Conflate)))
        };
        let _peer = test::websocket(handler, "/").await;
        a_moment().await;
        let socket = kept(|kept| kept.socket.clone()).unwrap();
        socket.do_send(Frame::text("short").keyed(1));
        assert_eq!(socket.try_send(Frame::binary(vec![1; 2 * MIB]).keyed(1)), Ok(SendStatus::Flooded));
        assert_eq!(socket.drops().conflated, 1);
        assert_eq!(socket.try_send(Frame::ping("still there?")), Ok(SendStatus::Flooded));
    });
}
