//! A row of the tables: what a raw peer says, what it hears, and what the handler sees; in every cut, over every transport.

use crate::peer::{Cut, Peer, responses};
use crate::site::{address, seen_by_handler_of};
use crate::transport::Transport;

/// One `#[test]` a row: `name: clause, what is said => what must happen;`.
macro_rules! rows {
    ($($(#[$attribute:meta])* $name:ident: $clause:literal, $says:expr => $must:expr;)*) => { $(
        #[doc = $clause]
        #[test]
        $(#[$attribute])*
        fn $name() {
            $crate::transcript::run($clause, ($says).as_ref(), &$must);
        }
    )* };
}

/// What must happen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Must {
    /// The requests that the handler sees, and no other: see `described` in [`crate::site`].
    sees: Vec<String>,
    /// The statuses that the peer hears.
    hears: Vec<u16>,
    /// The connection ends: what is said behind it is never a request. Otherwise it goes on, and the next request is answered.
    ends: bool,
    /// The peer says FIN behind it.
    fin: bool,
    /// Field lines, or a status-line, that the last response has or has not.
    lines: Vec<(bool, &'static str)>,
    content: Option<&'static str>,
    one_in_hand: bool,
    alone: bool,
}

/// Refused with this status alone: no handler sees it, and nothing behind it is parsed.
pub(crate) fn refused(status: u16) -> Must {
    Must { hears: vec![status], ends: true, ..Must::default() }.has("connection: close")
}

/// The handler sees these, each is answered with 200, and the connection goes on.
pub(crate) fn sees<const N: usize>(requests: [&str; N]) -> Must {
    Must { sees: requests.map(str::to_owned).into(), hears: vec![200; N], ..Must::default() }
}

/// Neither a request nor a response, and the connection ends.
pub(crate) fn nothing() -> Must {
    Must { ends: true, ..Must::default() }
}

impl Must {
    /// The peer hears these in place of a 200 for each request.
    pub(crate) fn hears<const N: usize>(mut self, statuses: [u16; N]) -> Self {
        self.hears = statuses.into();
        self
    }

    /// What is behind it is refused with this status.
    pub(crate) fn then_refused(mut self, status: u16) -> Self {
        self.hears.push(status);
        self.ends = true;
        self.has("connection: close")
    }

    /// The connection ends behind it.
    pub(crate) fn ends(mut self) -> Self {
        self.ends = true;
        self
    }

    /// The peer says FIN behind it, and so does the server.
    pub(crate) fn after_fin(mut self) -> Self {
        self.fin = true;
        self.ends()
    }

    /// Only where one request is in hand at a time: with more, the next is in the handler's hand before this one's answer ends the connection.
    pub(crate) fn one_in_hand(mut self) -> Self {
        self.one_in_hand = true;
        self
    }

    /// Only as the first request of a connection: behind another, `100 Continue` may be left out, since content or FIN has come meanwhile.
    pub(crate) fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Whether it is played so.
    fn is_for(&self, transport: Transport, round: &Round) -> bool {
        let apart = (round.limit == 1 || !self.one_in_hand) && !(round.pipelined && self.alone);
        // TLS cuts what is said into records of its own: the others would tell no more, and each costs a handshake.
        apart && (transport == Transport::Clear || !matches!(round.cut, Cut::Whole))
    }

    /// The last response has a line that begins so, whatever its case.
    pub(crate) fn has(mut self, line: &'static str) -> Self {
        self.lines.push((true, line));
        self
    }

    /// The last response has no such line.
    pub(crate) fn lacks(mut self, line: &'static str) -> Self {
        self.lines.push((false, line));
        self
    }

    /// The last response has this content.
    pub(crate) fn content(mut self, content: &'static str) -> Self {
        self.content = Some(content);
        self
    }
}

/// How a row is played.
#[derive(Clone, Copy, Debug)]
struct Round {
    cut: Cut,
    /// How many requests may be in hand.
    limit: usize,
    /// Behind another request.
    pipelined: bool,
}

const ROUNDS: [Round; 5] = [
    Round { cut: Cut::Whole, limit: 1, pipelined: false },
    Round { cut: Cut::Bytes, limit: 1, pipelined: false },
    Round { cut: Cut::Random(0x9E37_79B9_7F4A_7C15), limit: 8, pipelined: false },
    Round { cut: Cut::Whole, limit: 8, pipelined: true },
    Round { cut: Cut::Random(9112), limit: 1, pipelined: true },
];

const NEXT: &str = "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const FIRST: &str = "GET /first HTTP/1.1\r\nHost: a\r\n\r\n";

pub(crate) fn run(clause: &str, says: &[u8], must: &Must) {
    for transport in Transport::ALL {
        for round in ROUNDS.into_iter().filter(|round| must.is_for(transport, round)) {
            eprintln!("── {clause}: {transport:?} {round:?}");
            play(transport, round, says, must);
        }
    }
}

fn play(transport: Transport, round: Round, says: &[u8], must: &Must) {
    let mut peer = Peer::connect(address(transport, round.limit), transport);
    let (mut all, mut seen, mut heard) = (Vec::new(), Vec::new(), Vec::new());
    if round.pipelined {
        all.extend_from_slice(FIRST.as_bytes());
        seen.push("GET /first".to_owned());
        heard.push(200);
    }
    all.extend_from_slice(says);
    seen.extend(must.sees.iter().cloned());
    heard.extend(&must.hears);
    let last = heard.len();
    if !must.fin {
        // A request that is answered, or one that must never be one.
        all.extend_from_slice(NEXT.as_bytes());
    }
    if !must.ends {
        seen.push("GET /next".to_owned());
        heard.push(200);
    }
    peer.says(&all, round.cut);
    if must.fin {
        peer.finishes();
    }
    let bytes = peer.hears_all();
    peer.finishes();
    let ends = peer.ends;
    drop(peer);
    let text = String::from_utf8_lossy(&bytes);
    assert_eq!(seen_by_handler_of(ends), seen, "what the handler sees; heard: {text}");
    let methods: Vec<String> = seen.iter().map(|request| request.split(' ').next().unwrap().to_owned()).collect();
    let responses = responses(&bytes, &methods);
    assert_eq!(responses.iter().map(|response| response.status).collect::<Vec<_>>(), heard, "{text}");
    let Some(response) = last.checked_sub(1).map(|last| &responses[last]) else { return };
    for (there, wanted) in &must.lines {
        let found = response.lines.iter().any(|line| line.to_lowercase().starts_with(&wanted.to_lowercase()));
        assert_eq!(found, *there, "{wanted:?} in {text}");
    }
    if let Some(content) = must.content {
        assert_eq!(response.content, content, "{text}");
    }
}

// ── what is said ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// `GET /` with this request-line in its place.
pub(crate) fn line(line: &str) -> String {
    format!("{line}\r\nHost: a\r\n\r\n")
}

/// `GET /` with these field lines behind `Host`.
pub(crate) fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

/// `POST /` with these field lines behind `Host`, and this behind the head.
pub(crate) fn post(fields: &str, behind: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{behind}")
}

/// `POST /` with this content as it is on the wire, in the chunked transfer coding.
pub(crate) fn chunked(content: &str) -> String {
    post("Transfer-Encoding: chunked", content)
}
